/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * archive_manifest - the list of an archive's members, as JSON and back
 *
 * The manifest says what the archive is, of which version, and of each member
 * its size and checksum. It has a checksum of its own, over its text with zeros
 * in place of that checksum: a changed digit in it is noticed like one in any
 * member. White space behind it does not count.
 *
 * Shape:   {"format": "stax-archive", "crc32": "89abcdef", "version": 2,
 *          "minor_version": 0, "members": [{"name": "run.json", "bytes": 90,
 *          "crc32": "89abcdef"}, …], …what the caller put in…}
 *          "format" and "crc32" are where they are to the byte.
 * Owner:   the caller holds the struct; archive_members_release().
 * Threads: one.
 * Limits:  those of archive_file.h. Reading takes no tree: some 8 bytes for each
 *          of the text at most.
 * Tests:   archive_manifest_test.c, tests/fuzz/fuzz_archive.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/hash_table.h"
#include "base/text.h"

struct archive_listed {
    const char *name;
    uint64_t n_bytes;
    uint32_t crc32;
    bool has_crc32; /* else it was found, not listed */
};

struct archive_members {
    struct archive_listed *listed;
    size_t n_members, n_allocated;
    uint64_t n_bytes; /* of all */
    struct hash_table by_name;
    struct arena names;
};

void archive_members_init(struct archive_members *members);
void archive_members_release(struct archive_members *members);
DEFINE_RELEASEP(archive_members);

/* 0; -EINVAL (a bad name), -EEXIST, -E2BIG (too many), -EFBIG (too large), -ENOMEM. */
int archive_members_add(struct archive_members *members, const struct archive_listed *member);

/* NULL where there is none of that name. */
const struct archive_listed *archive_members_find(const struct archive_members *members,
                                                  const char *name);

/* `facts`: a JSON object, borrowed. 0, -EINVAL where it is none, -EFBIG, -ENOMEM. */
int archive_manifest_write(const struct archive_members *members, const char *facts,
                           struct text *ret_text);

struct archive_manifest {
    bool is_ours;  /* it says that it is one of ours, whatever came of the rest */
    bool is_whole; /* its checksum is right */
    uint64_t version;
};

/*
 * 0 and the members; -ENOTSUP (of a newer version, see there), -EBADMSG (it
 * makes no sense), or -ENOMEM. `ret_manifest` is set in any case.
 */
int archive_manifest_read(const char *text, size_t n_bytes, struct archive_manifest *ret_manifest,
                          struct archive_members *ret_members);
