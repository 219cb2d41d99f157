/* SPDX-License-Identifier: MIT */

/*
 * driver_main - feeds every seed of a folder to a fuzz target, once
 *
 * Stands where libFuzzer's main() stands under clang. Each seed is also tried
 * cut off at every length up to CUT_MAX_BYTES (parsers of foreign bytes fail
 * at the ends), the empty input comes first, and every input lies in a block
 * of its own size, so that a sanitizer sees the first byte read past it.
 *
 * usage: fuzz_<parser> [FOLDER | FILE]…; a folder that does not exist is empty.
 * Exit: 0; 1 when an input could not be read. A fault is the sanitizer's to tell.
 */

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CUT_MAX_BYTES 4096
#define PATH_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long n_inputs;

static int try_input(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    n_inputs++;
    return 0;
}

static int try_all_cuts(const uint8_t *data, size_t size)
{
    const size_t cut_max = size < CUT_MAX_BYTES ? size : CUT_MAX_BYTES;

    for (size_t cut = 0; cut < cut_max; cut++) {
        const int r = try_input(data, cut);
        if (r < 0) {
            return r;
        }
    }
    return try_input(data, size);
}

static int try_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *data = malloc(size > 0 ? size : 1);
    int r = -ENOMEM;

    if (file == NULL) {
        r = -errno;
    } else if (data != NULL) {
        r = fread(data, 1, size, file) == size ? try_all_cuts(data, size) : -EIO;
    }
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(-r));
    }
    free(data);
    if (file != NULL) {
        fclose(file);
    }
    return r;
}

static int try_path(const char *path, int depth)
{
    struct stat about;
    int r = 0;

    if (stat(path, &about) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (S_ISREG(about.st_mode)) {
        return try_file(path, (size_t)about.st_size);
    }
    DIR *folder = depth > 0 ? opendir(path) : NULL;
    if (folder == NULL) {
        return 0;
    }
    for (struct dirent *entry; r >= 0 && (entry = readdir(folder)) != NULL;) {
        char inside[PATH_BYTES];
        if (entry->d_name[0] != '.' &&
            snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name) < (int)sizeof inside) {
            r = try_path(inside, depth - 1);
        }
    }
    closedir(folder);
    return r;
}

int main(int argc, char **argv)
{
    static const uint8_t nothing[1];

    if (try_input(nothing, 0) < 0) {
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        if (try_path(argv[i], 2) < 0) {
            return 1;
        }
    }
    printf("%lu inputs\n", n_inputs);
    return 0;
}
