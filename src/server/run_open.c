/* SPDX-License-Identifier: MIT */
#include "server/run_open.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/archive_file.h"
#include "archive/run_history.h"
#include "archive/run_symbols.h"
#include "jsonrpc/json_scan.h"
#include "rpc/fields.h"
#include "rpc/tables.h"
#include "server/run_internal.h"

/* What is wrong with an archive is told in so many notes, before those that it brings. */
#define DAMAGE_NOTES 2u
#define DAMAGE_TITLE "the archive is damaged: "

struct opening {
    struct archive_reader *reader;
    struct run *run;
    struct error *error;
    char damage[DAMAGE_NOTES][RUN_NOTE_BYTES];
    size_t n_untold; /* for which there was no room */
};

static void add_note(struct run *run, const char *text)
{
    if (run->n_notes < RUN_MAX_NOTES) {
        (void)snprintf(run->notes[run->n_notes++], RUN_NOTE_BYTES, "%.*s", RUN_NOTE_BYTES - 1,
                       text);
    }
}

/* Joined with what was found before, as long as there is room. */
static void add_damage(struct opening *opening, const char *text)
{
    const size_t n_reserved = 40; /* for how many more there are */
    for (size_t i = 0; i < DAMAGE_NOTES; i++) {
        char *note = opening->damage[i];
        size_t length = strlen(note);
        const char *before = length > 0 ? "; " : DAMAGE_TITLE;
        if (length + strlen(before) + strlen(text) + n_reserved < RUN_NOTE_BYTES) {
            (void)snprintf(note + length, RUN_NOTE_BYTES - length, "%s%s", before, text);
            return;
        }
    }
    opening->n_untold++;
}

static void add_notes(struct opening *opening)
{
    struct run *run = opening->run;
    char *last = opening->damage[DAMAGE_NOTES - 1];
    if (opening->n_untold > 0) {
        size_t length = strlen(last);
        (void)snprintf(last + length, RUN_NOTE_BYTES - length, "; and %zu more", opening->n_untold);
    }
    for (size_t i = 0; i < DAMAGE_NOTES; i++) {
        if (opening->damage[i][0] != '\0') {
            add_note(run, opening->damage[i]);
        }
    }
    for (size_t i = 0; i < run->archived->run.n_notes; i++) {
        add_note(run, run->archived->run.notes[i]);
    }
}

/*
 * A member of JSON into the run's arena; false where it is not there or makes
 * no sense, which is damage unless nobody ever wrote it.
 */
static bool read_json(struct opening *opening, const char *name, const struct rpc_type *type,
                      void *object)
{
    struct archive_bytes member = {.bytes = NULL};
    bool is_read =
        archive_reader_read(opening->reader, name, &member) == 0 && member.state == ARCHIVE_WHOLE;
    if (is_read) {
        struct json_scan scan = json_scan_of(member.bytes, member.n_bytes);
        is_read = rpc_decode_text(type, &scan, &opening->run->arena, object, NULL) == 0;
    }
    free(member.bytes);
    if (!is_read && member.is_listed) {
        char text[RUN_NOTE_BYTES];
        (void)snprintf(text, sizeof(text), "what %s told of the run is lost", name);
        add_damage(opening, text);
    }
    return is_read;
}

static void take_counters(struct run *run, const struct archived_run *archived)
{
    struct counter_set *set = &run->counters;
    *set = (struct counter_set){
        .is_wanted = archived->counters_wanted,
        .is_available = archived->counters_available,
        .is_user_only = archived->counters_user_only,
    };
    (void)snprintf(set->reason, sizeof(set->reason), "%s",
                   archived->counters_reason ? archived->counters_reason : "");
    (void)snprintf(set->fix, sizeof(set->fix), "%s",
                   archived->counters_fix ? archived->counters_fix : "");
    for (size_t i = 0; i < archived->n_counters && i < LIMIT_COUNTERS; i++) {
        const struct archived_counter *from = &archived->counters[i];
        struct counter *counter = &set->counters[i];
        counter->is_available = from->available;
        (void)snprintf(counter->name, sizeof(counter->name), "%s", from->name ? from->name : "");
        (void)snprintf(counter->reason, sizeof(counter->reason), "%s",
                       from->reason ? from->reason : "");
    }
}

static void take_objects(struct run *run, const struct archived_run *archived)
{
    for (size_t i = 0; i < archived->n_objects; i++) {
        const struct archived_object *object = &archived->objects[i];
        const struct object_name_entry entry = {
            .pid = object->pid,
            .is_address = object->is_address,
            .value = object->value,
            .text = object->text ? object->text : "",
        };
        object_names_add(run->object_names, &entry);
    }
}

/* What the recording server said of the run. Without it the run has no command and no notes. */
static int take_facts(struct opening *opening)
{
    struct run *run = opening->run;
    struct archived_run *archived = arena_alloc(&run->arena, sizeof(*archived));
    struct diagnose_result *diagnosis = arena_alloc(&run->arena, sizeof(*diagnosis));
    if (!archived || !diagnosis) {
        return -ENOMEM;
    }
    if (!read_json(opening, "run.json", &rpc_type_archived_run, archived)) {
        *archived = (struct archived_run){.run = {.command = "(unknown)"}};
    }
    if (read_json(opening, "diagnostics.json", &rpc_type_diagnose_result, diagnosis)) {
        run->diagnosis = diagnosis;
    }
    run->archived = archived;
    run->request.pid = archived->run.pid;
    run->request.command = archived->run.command ? archived->run.command : "(unknown)";
    run->request.launched = archived->run.is_launched;
    run->request.no_kernel = !archived->has_kernel;
    run->request.ring_ns =
        archived->run.ring_ns; /* of an aggregate that is restored nothing goes */
    run->frequency_hz = archived->run.frequency_hz;
    run->started_at_unix_ns = archived->run.started_at_unix_ns;
    (void)snprintf(run->backend, sizeof(run->backend), "%s",
                   archived->run.backend ? archived->run.backend : "");
    if (archived->run.has_exit_status) {
        run_set_exit_status(run, archived->run.exit_status);
    }
    take_counters(run, archived);
    take_objects(run, archived);
    return 0;
}

/* Before any image is told of: none of this machine's files is looked at. */
static int take_symbols(struct opening *opening)
{
    struct run *run = opening->run;
    struct run_symbols_damage damage = {.n_members = 0};
    int r = run_symbols_read(opening->reader, &run->symbols, &damage, opening->error);
    if (r < 0) {
        return r;
    }
    const struct kept_run kept = run_symbols_kept(run->symbols);
    query_names_set_kept(run->names, &kept);
    jit_code_set_kept(run->jit, run_symbols_take_jit(run->symbols));
    if (damage.n_members + damage.n_rows > 0) {
        char note[RUN_NOTE_BYTES];
        (void)snprintf(note, sizeof(note),
                       "names and code of some functions are lost (%" PRIu64 " members, %" PRIu64
                       " records)",
                       damage.n_members, damage.n_rows);
        add_damage(opening, note);
    }
    return 0;
}

static void note_damage(struct opening *opening, const struct run_history_damage *damage)
{
    char note[RUN_NOTE_BYTES];
    for (size_t i = 0; i < damage->n_losses; i++) {
        const struct run_history_loss *loss = &damage->losses[i];
        if (loss->is_missing) {
            (void)snprintf(note, sizeof(note), "%s is lost", loss->member);
        } else {
            (void)snprintf(note, sizeof(note),
                           "of %s %" PRIu64 " records and %" PRIu64 " bytes are lost", loss->member,
                           loss->n_rows, loss->n_bytes);
        }
        add_damage(opening, note);
    }
    if (damage->n_rows_refused + damage->n_rows_mended > 0) {
        (void)snprintf(note, sizeof(note),
                       "%" PRIu64 " records make no sense, %" PRIu64 " pointed to what is lost",
                       damage->n_rows_refused, damage->n_rows_mended);
        add_damage(opening, note);
    }
}

static int take_history(struct opening *opening)
{
    struct run *run = opening->run;
    struct aggregate_config config = run_aggregate_config(run);
    struct run_history_damage damage = {.n_losses = 0};
    int r = run_history_read(opening->reader, &config, &run->aggregate, &damage, opening->error);
    if (r < 0) {
        return r;
    }
    note_damage(opening, &damage);
    struct snapshot *final = aggregate_snapshot(run->aggregate, 0);
    if (!final) {
        return -ENOMEM;
    }
    run->start_ns = final->start_ns;
    run_settle_idle(run, final);
    return 0;
}

int run_open(const char *path, struct symbolizer *symbolizer, struct run **ret_run,
             struct error *reterr_error)
{
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    _cleanup_(run_unrefp) struct run *run = NULL;
    int r = archive_reader_open(path, &reader, reterr_error);
    if (r < 0) {
        return r;
    }
    r = run_new_idle(symbolizer, &run);
    struct opening opening = {.reader = reader, .run = run, .error = reterr_error};
    if (r == 0 && archive_reader_damage(reader)) {
        add_damage(&opening, archive_reader_damage(reader));
    }
    r = r ? r : take_facts(&opening);
    r = r ? r : take_symbols(&opening);
    r = r ? r : take_history(&opening);
    if (r < 0) {
        if (!error_is_set(reterr_error)) {
            error_set_errno(reterr_error, r, "opening the archive");
        }
        return r;
    }
    add_notes(&opening);
    jit_code_settle(run->jit);
    *ret_run = TAKE_PTR(run);
    return 0;
}
