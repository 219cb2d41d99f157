/* SPDX-License-Identifier: MIT */
#include "truth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

FILE *truth_open(const char *path)
{
    if (path == NULL) {
        return stdout;
    }
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    return file;
}

void truth_close(FILE *truth)
{
    fputc('\n', truth);
    fflush(truth);
    if (truth != stdout) {
        fclose(truth);
    }
}

double option_number(const char *text, const char *option)
{
    char *end = NULL;
    const double number = strtod(text, &end);

    if (end == text || *end != '\0' || !(number >= 0 && number < 1e15)) {
        fprintf(stderr, "%s: not a number: %s\n", option, text);
        exit(2);
    }
    return number;
}

uint64_t option_count(const char *text, const char *option)
{
    return (uint64_t)option_number(text, option);
}

void option_usage(const char *usage)
{
    fprintf(stderr, "usage: %s\n", usage);
    exit(2);
}
