/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * import_reader - one file of another profiler, read as events
 *
 * What the formats have in common for import.c: opened, checked, and then
 * asked for one batch of events after the other.
 *
 * Owner:   open() makes the reader, free() ends it.
 * Threads: one.
 */

#include "base/error.h"
#include "capture/capture.h"
#include "images/image_table.h"
#include "interchange/import.h"
#include "model/event_batch.h"
#include "symbols/kept_symbols.h"

#define IMPORT_MAX_NOTES 12
#define IMPORT_NOTE_BYTES 400

struct import_reader;

/* Whatever a reader has to say about its file, once each. */
struct import_notes {
    size_t n_notes;
    char texts[IMPORT_MAX_NOTES][IMPORT_NOTE_BYTES];
};

void import_note(struct import_notes *notes, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct import_reader_ops {
    enum import_format format;
    const char *name;
    /* Could the file be of this format, by its first bytes? */
    bool (*is_mine)(const uint8_t *first_bytes, size_t n_bytes);
    int (*open)(const char *path, struct import_reader **ret_reader, struct error *reterr_error);
    struct import_reader *(*free)(struct import_reader *reader);
    void (*facts)(const struct import_reader *reader, struct import_facts *ret_facts);
    /*
     * Adds events to the batch, in time order and not before those of earlier
     * calls, until it has no room or the file is over. 1: there may be more;
     * 0: that was all; or a negative errno.
     */
    int (*next)(struct import_reader *reader, struct event_batch *batch);
    /* Borrowed; final once next() has returned 0. */
    const struct import_notes *(*notes)(const struct import_reader *reader);
    /* The names that the file brings of an image, borrowed; NULL: none. Any thread. */
    struct kept_symbols *(*find_symbols)(const struct import_reader *reader,
                                         const struct image *image);
};

extern const struct import_reader_ops import_perf_data_ops;
extern const struct import_reader_ops import_folded_ops;
extern const struct import_reader_ops import_pprof_ops;
extern const struct import_reader_ops import_firefox_ops;

/* A thread that is there from the beginning. */
void import_tell_thread(struct event_batch *batch, int64_t pid, int64_t tid, uint64_t time_ns,
                        const char *name);

#define IMPORT_DETECT_BYTES 4096u

/* Reads a regular file as a whole, and decompresses it where it is gzip; *ret_is_cut: that ends
 * early or is damaged (IMPORT_NOTE_DAMAGED). free() the bytes; a NUL follows them. */
int import_read_whole(const char *path, uint8_t **ret_bytes, size_t *ret_n_bytes, bool *ret_is_cut,
                      struct error *reterr_error);
#define IMPORT_NOTE_DAMAGED                                                                        \
    "the compressed file is cut off or damaged: what follows in it is missing"

/* The first bytes, decompressed where they are gzip; returns how many. */
size_t import_read_first(const char *path, uint8_t *bytes, size_t max_bytes);
