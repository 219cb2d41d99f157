/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_history - what a snapshot of a run shows, as members of an archive
 *
 * Everything that queries read of a snapshot is written: the stored records and
 * the sums over the whole run, which reach further back than they do. What is
 * read again is a run that has ended, with a snapshot that is the same in every
 * field that a query looks at; a snapshot of a run that goes on is kept as of
 * its instant, what is open in it counted as it was.
 *
 * Shape:   members "records/<kind>", each of frames of one kind of record
 *          (column.h, history_tables.h). Ids are numbers of rows: of threads,
 *          images, frames, stacks and so on. Members that are not known are left
 *          alone.
 * Owner:   the aggregate that is read is the caller's.
 * Threads: writing reads nothing but the snapshot: any thread that holds one,
 *          while the run goes on. Reading: one.
 * Limits:  those of the aggregate's tables; config.max_memory_bytes: past it
 *          the oldest records are dropped while they are read, as in a live run.
 * Source:  docs/design/0015-archive.md
 * Tests:   run_history_test.c, run_history_damage_test.c,
 *          tests/fuzz/fuzz_run_history.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/aggregate.h"
#include "archive/archive_file.h"
#include "base/cleanup.h"
#include "base/error.h"

#define RUN_HISTORY_MEMBERS_MAX 40

/*
 * The tables and sums, without which nothing can be shown; then the records,
 * which are most of it. What stands behind others is what a cut costs, so other
 * small members go in between.
 *
 * Errors are those of archive_writer_add(), or -ENOMEM.
 */
struct run_history_writing;
int run_history_write_tables(const struct snapshot *snapshot, struct archive_writer *writer,
                             struct run_history_writing **ret_writing, struct error *reterr_error);
int run_history_write_records(struct run_history_writing *writing, struct archive_writer *writer,
                              struct error *reterr_error);
struct run_history_writing *run_history_writing_free(struct run_history_writing *writing);
DEFINE_FREEP(run_history_writing);

/* Both. */
int run_history_write(const struct snapshot *snapshot, struct archive_writer *writer,
                      struct error *reterr_error);

/* One member of which something is lost. */
struct run_history_loss {
    const char *member; /* "records/samples"; static */
    bool is_missing;    /* all of it */
    uint64_t n_rows;    /* that it had and that are gone */
    uint64_t n_bytes;   /* of it that could not be made sense of */
};

struct run_history_damage {
    size_t n_losses; /* 0: nothing is lost */
    struct run_history_loss losses[RUN_HISTORY_MEMBERS_MAX];
    uint64_t n_rows_refused; /* told something impossible, such as a thread that is none */
    uint64_t n_rows_mended;  /* pointed to something that is lost, or were out of their order */
};

/*
 * An aggregate that has ended, with what the members tell. No event may be
 * applied to it any more; aggregate_snapshot() and aggregate_free() as usual.
 *
 *   config        listener.on_image and on_image_seen are called as for a live
 *                 run, all before this returns; has_no_switches is the archive's
 *   ret_damage    what is lost; what is left fits together: records that are
 *                 gone are in the sums still, stacks that are gone are empty
 *
 * -EBADMSG (code "archive_invalid") where nothing can be shown: one of run,
 * threads, images, frames or stacks is missing, or no archive of ours has such
 * contents. -ENOMEM, or what archive_reader_read() said.
 */
int run_history_read(struct archive_reader *reader, const struct aggregate_config *config,
                     struct aggregate **ret_aggregate, struct run_history_damage *ret_damage,
                     struct error *reterr_error);
