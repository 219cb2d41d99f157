/* SPDX-License-Identifier: MIT */
#include "cli/spelling.h"

#include <string.h>

#define MAX_LENGTH 32

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap of neighbours) that turn one word into the other. */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t rows[MAX_LENGTH + 1][MAX_LENGTH + 1];
    for (size_t i = 0; i <= n_a; i++) {
        rows[i][0] = i;
    }
    for (size_t j = 0; j <= n_b; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= n_a; i++) {
        for (size_t j = 1; j <= n_b; j++) {
            size_t replaced = rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            size_t best = min_of(replaced, min_of(rows[i - 1][j], rows[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = min_of(best, rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    return rows[n_a][n_b];
}

const char *spelling_nearest(const char *word, const char *const *names, size_t n_names)
{
    size_t n_word = strlen(word);
    if (n_word < 2 || n_word > MAX_LENGTH) {
        return NULL;
    }
    const char *nearest = NULL;
    size_t nearest_distance = 0;
    for (size_t i = 0; i < n_names; i++) {
        size_t n_name = strlen(names[i]);
        if (n_name > MAX_LENGTH) {
            continue;
        }
        /* The beginning of a name is a better guess than any number of typing errors. */
        size_t edits =
            strncmp(names[i], word, n_word) == 0 ? 0 : distance(word, n_word, names[i], n_name);
        /* One edit in three letters; more would rename the word. */
        if (edits <= (n_word < 3 ? 1 : n_word / 3) && (!nearest || edits < nearest_distance)) {
            nearest = names[i];
            nearest_distance = edits;
        }
    }
    return nearest;
}
