/* SPDX-License-Identifier: MIT */
#include "inject/kept_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096u /* a power of two */
#define TEXTS_MAX 65536u

struct kept {
    const struct kept *next;
    uint32_t hash;
    uint32_t n_bytes;
    char text[];
};

static const struct kept *buckets[BUCKETS];
static uint32_t n_texts;

/* FNV-1a, 32 bits. */
static uint32_t hash_text(const char *text, size_t n_bytes)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < n_bytes; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    }
    return hash;
}

static const struct kept *find(const struct kept *first, uint32_t hash, const char *text,
                               size_t n_bytes)
{
    const struct kept *kept = first;
    while (kept && (kept->hash != hash || kept->n_bytes != n_bytes ||
                    memcmp(kept->text, text, n_bytes) != 0)) {
        kept = kept->next;
    }
    return kept;
}

const char *kept_text(const char *text)
{
    size_t n_bytes = strnlen(text, KEPT_TEXT_BYTES - 1);
    uint32_t hash = hash_text(text, n_bytes);
    const struct kept **bucket = &buckets[hash & (BUCKETS - 1)];
    const struct kept *first = __atomic_load_n(bucket, __ATOMIC_ACQUIRE);
    const struct kept *known = find(first, hash, text, n_bytes);
    if (known) {
        return known->text;
    }
    if (__atomic_add_fetch(&n_texts, 1, __ATOMIC_RELAXED) > TEXTS_MAX) {
        __atomic_sub_fetch(&n_texts, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    struct kept *kept = malloc(sizeof(*kept) + n_bytes + 1);
    if (!kept) {
        __atomic_sub_fetch(&n_texts, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    kept->hash = hash;
    kept->n_bytes = (uint32_t)n_bytes;
    memcpy(kept->text, text, n_bytes);
    kept->text[n_bytes] = '\0';
    do {
        known = find(first, hash, text, n_bytes); /* by another thread meanwhile */
        if (known) {
            free(kept);
            __atomic_sub_fetch(&n_texts, 1, __ATOMIC_RELAXED);
            return known->text;
        }
        kept->next = first;
    } while (!__atomic_compare_exchange_n(bucket, &first, kept, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    return kept->text;
}

static size_t encode(uint32_t character, char ret_bytes[static 4])
{
    bool is_character = character < 0x110000 && (character < 0xd800 || character > 0xdfff);
    if (!is_character) {
        ret_bytes[0] = '?';
        return 1;
    }
    if (character < 0x80) {
        ret_bytes[0] = (char)character;
        return 1;
    }
    size_t n_more = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    ret_bytes[0] = (char)(leads[n_more] | character >> 6 * n_more);
    for (size_t i = 1; i <= n_more; i++) {
        ret_bytes[i] = (char)(0x80 | (character >> 6 * (n_more - i) & 0x3f));
    }
    return n_more + 1;
}

void kept_text_narrow(const wchar_t *wide, char ret_text[static KEPT_TEXT_BYTES])
{
    size_t n_bytes = 0;
    for (; *wide != L'\0'; wide++) {
        char bytes[4];
        size_t n = encode((uint32_t)*wide, bytes);
        if (n_bytes + n >= KEPT_TEXT_BYTES) {
            break;
        }
        memcpy(ret_text + n_bytes, bytes, n);
        n_bytes += n;
    }
    ret_text[n_bytes] = '\0';
}
