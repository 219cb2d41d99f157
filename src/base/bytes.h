/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * bytes - a bounded reader over bytes that nobody vouches for
 *
 * Every read checks the bound; the first one that fails sets a sticky flag and
 * all further reads return 0 or NULL, so that a parser checks once at its end
 * with bytes_has_failed(). Little-endian, unaligned.
 *
 * Owner:   borrows the memory; copies of the struct are independent cursors.
 * Threads: one per cursor.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct bytes bytes_of(const void *data, size_t n_bytes)
{
    return (struct bytes){.at = data, .end = (const uint8_t *)data + n_bytes, .failed = false};
}

static inline size_t bytes_left(const struct bytes *bytes)
{
    return (size_t)(bytes->end - bytes->at);
}

static inline bool bytes_has_failed(const struct bytes *bytes)
{
    return bytes->failed;
}

/* The next n_bytes, borrowed, or NULL when there are fewer. */
static inline const uint8_t *bytes_take(struct bytes *bytes, size_t n_bytes)
{
    if (bytes->failed || bytes_left(bytes) < n_bytes) {
        bytes->failed = true;
        return NULL;
    }
    const uint8_t *taken = bytes->at;
    bytes->at += n_bytes;
    return taken;
}

static inline void bytes_skip(struct bytes *bytes, size_t n_bytes)
{
    (void)bytes_take(bytes, n_bytes);
}

/* Copies the next n_bytes out; zeros where there are fewer. */
static inline void bytes_take_into(struct bytes *bytes, void *target, size_t n_bytes)
{
    if (bytes->failed || bytes_left(bytes) < n_bytes) {
        bytes->failed = true;
        memset(target, 0, n_bytes);
    } else if (n_bytes > 0) { /* nothing may be where nothing is */
        memcpy(target, bytes->at, n_bytes);
        bytes->at += n_bytes;
    }
}

static inline uint8_t bytes_take_u8(struct bytes *bytes)
{
    uint8_t value;
    bytes_take_into(bytes, &value, sizeof(value));
    return value;
}

static inline uint16_t bytes_take_u16(struct bytes *bytes)
{
    uint16_t value;
    bytes_take_into(bytes, &value, sizeof(value));
    return value;
}

static inline uint32_t bytes_take_u32(struct bytes *bytes)
{
    uint32_t value;
    bytes_take_into(bytes, &value, sizeof(value));
    return value;
}

static inline uint64_t bytes_take_u64(struct bytes *bytes)
{
    uint64_t value;
    bytes_take_into(bytes, &value, sizeof(value));
    return value;
}

/* DWARF's numbers of any length. What does not fit into 64 bits fails. */
static inline uint64_t bytes_take_uleb128(struct bytes *bytes)
{
    uint64_t value = 0;
    for (unsigned int shift = 0; shift < 70 && !bytes->failed && bytes->at < bytes->end;
         shift += 7) {
        uint8_t byte = *bytes->at++;
        uint64_t bits = byte & 0x7f;
        if (shift == 63 && bits > 1) {
            break;
        }
        value |= bits << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    bytes->failed = true;
    return 0;
}

static inline int64_t bytes_take_sleb128(struct bytes *bytes)
{
    uint64_t value = 0;
    for (unsigned int shift = 0; shift < 70 && !bytes->failed && bytes->at < bytes->end;
         shift += 7) {
        uint8_t byte = *bytes->at++;
        if (shift == 63 && byte != 0 && byte != 0x7f) {
            break;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            bool is_negative = (byte & 0x40) != 0 && shift + 7 < 64;
            return (int64_t)(is_negative ? value | UINT64_MAX << (shift + 7) : value);
        }
    }
    bytes->failed = true;
    return 0;
}

/* A NUL-terminated string within the bytes, borrowed; NULL (and failed) where no NUL follows. */
static inline const char *bytes_take_string(struct bytes *bytes)
{
    const uint8_t *nul = bytes->failed ? NULL : memchr(bytes->at, '\0', bytes_left(bytes));
    if (!nul) {
        bytes->failed = true;
        return NULL;
    }
    return (const char *)bytes_take(bytes, (size_t)(nul - bytes->at) + 1);
}
