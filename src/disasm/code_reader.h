/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * code_reader - the bytes of an image's code, wherever they can be had
 *
 * A file's code comes from the file, found as its symbols are; the vdso's and
 * anonymous code from the target's memory while it lives; the kernel's from
 * the kernel; code that was made at run time from whoever kept a record of it.
 *
 * Shape:   addresses are those of struct symbol: link-time addresses in files
 *          and the vdso, run-time addresses elsewhere.
 * Owner:   code_reader_open()/code_reader_free(). The image is borrowed.
 * Threads: one at a time.
 * Tests:   code_reader_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "disasm/disasm.h"
#include "disasm/kept_code.h"
#include "images/image_table.h"

/* What may be asked besides files; all of it may be absent. */
struct code_access {
    /* The run came with its code: nothing of this machine is looked at, and what is not here cannot
     * be had. */
    bool is_kept_only;
    const struct kept_code *kept; /* the image's; NULL: none */
    bool is_target_alive;         /* the run goes on: what nobody kept may stand in memory still */
    int64_t memory_pid;           /* in whose; 0: image->pid */
    uint64_t seen_ns; /* it stood there then (CLOCK_MONOTONIC): a process that began later is
                       * another one; 0: not known */
    void *userdata;
    /* Does it stand in memory as it did when it ran? Asked before and after it is read; NULL:
     * nobody knows. */
    bool (*is_unchanged)(void *userdata);
    /*
     * Code made at run time, by (image, image_place.offset), as it was when it
     * ran. How many bytes could be copied, from the beginning; 0 where no
     * record holds the place.
     */
    ssize_t (*read_recorded)(void *userdata, const struct image *image, uint64_t offset,
                             void *buffer, size_t n_bytes);
};

struct code_reader;

/* 0, or a negative errno with the reason. `access` and `image` are borrowed. */
int code_reader_open(const struct code_access *access, const struct image *image,
                     struct code_reader **ret_reader, struct error *reterr_error);
struct code_reader *code_reader_free(struct code_reader *reader);
DEFINE_FREEP(code_reader);

enum disasm_machine code_reader_machine(const struct code_reader *reader);

/* "file", "target memory", "kernel memory", "record": of what was read last. */
const char *code_reader_origin(const struct code_reader *reader);

/* When the file was last written, in seconds since 1970; 0 where there is none. */
int64_t code_reader_modified_s(const struct code_reader *reader);

/* How many bytes could be read, from the beginning (at least 1), or a negative errno with the
 * reason. */
ssize_t code_reader_read(struct code_reader *reader, uint64_t address, void *buffer, size_t n_bytes,
                         struct error *reterr_error);

/* Where in the image the address stands (image_place.offset); false where the file loads nothing
 * there. */
bool code_reader_offset(const struct code_reader *reader, uint64_t address, uint64_t *ret_offset);

/* false where the file says that something else than code stands there. */
bool code_reader_is_code(struct code_reader *reader, uint64_t address);

/*
 * What surrounds an address in which no symbol is known: the function as the
 * unwind information has it, cut at the ends of its section. false: unknown.
 */
bool code_reader_bounds(struct code_reader *reader, uint64_t address, uint64_t *ret_start,
                        uint64_t *ret_end);

/* What kept_code_new() has to know, without an open_failure. */
void code_reader_describe(const struct code_reader *reader, struct kept_code_facts *ret_facts);
