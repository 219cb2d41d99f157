/* SPDX-License-Identifier: MIT */
#include "server/run_save.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "archive/archive_file.h"
#include "archive/run_history.h"
#include "archive/run_symbols.h"
#include "base/clock.h"
#include "base/fd.h"
#include "jsonrpc/json_write.h"
#include "query/object_text.h"
#include "query/query.h"
#include "rpc/fields.h"
#include "rpc/tables.h"
#include "server/run_archive_tables.h"
#include "server/run_diagnose.h"
#include "server/run_internal.h"
#include "server/run_object_namer.h"
#include "server/run_unrecorded.h"

/* Names and lines that are not there by then, all in all, are missing from the archive for good; a
 * finished run has most of them. */
#define WAIT_MS 40000
#define JSON_MAX_BYTES ((size_t)64 << 20)

struct saving {
    struct run *run;
    struct snapshot *snapshot;
    struct archive_writer *writer;
    struct arena *arena;
    uint64_t wait_until_ns; /* for names and lines */
    bool was_recording;     /* before the snapshot was taken: what it has may go on */
    struct archived_run archived;
    struct run_symbols_stats symbols;
    struct error *error;
};

static int left_ms(const struct saving *saving)
{
    uint64_t now_ns = clock_now_ns();
    return now_ns < saving->wait_until_ns ? (int)((saving->wait_until_ns - now_ns) / NS_PER_MS) : 0;
}

/* Descriptors mean something only while the target lives: who waited for what is asked now. */
static void name_objects(const struct saving *saving)
{
    const struct object_namer namer = run_object_namer(saving->run);
    for (uint32_t id = 1; id < saving->snapshot->n_wait_objects; id++) {
        const struct wait_object object = snapshot_wait_object(saving->snapshot, id);
        (void)object_text(&object, &namer, saving->arena);
    }
}

static int take_objects(struct saving *saving)
{
    struct object_name_entry *entries;
    size_t n_entries;
    name_objects(saving);
    int r = object_names_list(saving->run->object_names, saving->arena, &entries, &n_entries);
    if (r < 0) {
        return r;
    }
    struct archived_object *objects =
        arena_alloc_array(saving->arena, n_entries + 1, sizeof(*objects));
    if (!objects) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_entries; i++) {
        objects[i] = (struct archived_object){
            .pid = entries[i].pid,
            .is_address = entries[i].is_address,
            .value = entries[i].value,
            .text = entries[i].text,
        };
    }
    saving->archived.objects = objects;
    saving->archived.n_objects = n_entries;
    return 0;
}

static int take_counters(struct saving *saving)
{
    const struct counter_set *set = run_get_counters(saving->run);
    struct archived_run *archived = &saving->archived;
    archived->counters =
        arena_alloc_array(saving->arena, LIMIT_COUNTERS, sizeof(*archived->counters));
    if (!archived->counters) {
        return -ENOMEM;
    }
    archived->counters_wanted = set->is_wanted;
    archived->counters_available = set->is_available;
    archived->counters_user_only = set->is_user_only;
    archived->counters_reason = set->reason[0] ? set->reason : NULL;
    archived->counters_fix = set->fix[0] ? set->fix : NULL;
    for (size_t i = 0; i < LIMIT_COUNTERS; i++) {
        const struct counter *counter = &set->counters[i];
        archived->counters[archived->n_counters++] = (struct archived_counter){
            .name = counter->name,
            .available = counter->is_available,
            .reason = counter->reason[0] ? counter->reason : NULL,
        };
    }
    return 0;
}

/* As far as it is known; NULL: it is not. */
static const char *cpu_model(struct arena *arena)
{
    _cleanup_(freep) char *text = NULL;
    const char *line = NULL;
    if (fd_read_file("/proc/cpuinfo", 1u << 20, &text, NULL) == 0) {
        line = strstr(text, "model name");
        line = line ? strchr(line, ':') : NULL;
    }
    return line && line[1] == ' ' ? arena_strndup(arena, line + 2, strcspn(line + 2, "\n")) : NULL;
}

/* This machine, unless the run came from another one. */
static struct archived_host host_of(const struct saving *saving)
{
    struct utsname names;
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (saving->run->archived) {
        return saving->run->archived->host;
    }
    if (uname(&names) < 0) {
        return (struct archived_host){0};
    }
    return (struct archived_host){
        .os = arena_strdup(saving->arena, names.sysname),
        .kernel = arena_strdup(saving->arena, names.release),
        .architecture = arena_strdup(saving->arena, names.machine),
        .cpus = n_cpus > 0 ? (uint32_t)n_cpus : 0,
        .cpu_model = cpu_model(saving->arena),
    };
}

static int take_facts(struct saving *saving)
{
    struct run *run = saving->run;
    struct archived_run *archived = &saving->archived;
    *archived = (struct archived_run){
        .host = host_of(saving),
        .saved_at_unix_ns = clock_now_unix_ns(),
        .was_recording = saving->was_recording,
        .has_kernel = run_has_kernel(run),
        .wakeups_unrecorded = run_unrecorded(run, CAPABILITY_WAKEUPS, saving->arena),
        .counters_unrecorded = run_unrecorded(run, CAPABILITY_COUNTERS, saving->arena),
    };
    int r = run_describe(run, saving->snapshot, saving->arena, &archived->run);
    if (r == 0 && saving->was_recording) { /* whatever has happened since */
        archived->run.state = RUN_STATE_RECORDING;
        archived->run.has_exit_status = false;
        archived->run.exit_status = 0;
        archived->run.stop_reason = "saved while it was being recorded";
    }
    r = r ? r : take_counters(saving);
    return r ? r : take_objects(saving);
}

static int add_json(const struct saving *saving, const char *name, const struct rpc_type *type,
                    const void *object)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, JSON_MAX_BYTES);
    rpc_encode(type, object, &text);
    if (text.is_cut) {
        return -ENOMEM;
    }
    return archive_writer_add(saving->writer, name, text.data, text.length_bytes, saving->error);
}

static int finish(const struct saving *saving)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, JSON_MAX_BYTES);
    struct json_writer json = json_writer_of(&text);
    json_write_object_begin(&json);
    json_write_key(&json, "stax_version");
    json_write_string(&json, STAX_VERSION);
    json_write_key(&json, "saved_at_unix_ns");
    json_write_u64(&json, saving->archived.saved_at_unix_ns);
    json_write_key(&json, "host");
    rpc_encode(&rpc_type_archived_host, &saving->archived.host, &text);
    json.needs_comma = true;
    json_write_key(&json, "clock");
    json_write_object_begin(&json);
    json_write_key(&json, "start_ns");
    json_write_u64(&json, saving->snapshot->start_ns);
    json_write_key(&json, "started_at_unix_ns");
    json_write_u64(&json, saving->archived.run.started_at_unix_ns);
    json_write_object_end(&json);
    json_write_key(&json, "run");
    rpc_encode(&rpc_type_run_info, &saving->archived.run, &text);
    json.needs_comma = true;
    json_write_object_end(&json);
    return text.is_cut ? -ENOMEM : archive_writer_finish(saving->writer, text.data, saving->error);
}

static int write_symbols(struct saving *saving)
{
    const struct run_symbols_options options = {
        .is_target_alive = run_has_live_target(saving->run),
        .timeout_ms = left_ms(saving),
    };
    return run_symbols_write(saving->snapshot, run_get_names(saving->run), &options, saving->writer,
                             &saving->symbols, saving->error);
}

static int write_members(struct saving *saving)
{
    _cleanup_(run_history_writing_freep) struct run_history_writing *records = NULL;
    struct diagnose_result diagnosis;
    int r = run_diagnose(saving->run, saving->snapshot, saving->arena, &diagnosis);
    r = r ? r : take_facts(saving);
    r = r ? r : add_json(saving, "run.json", &rpc_type_archived_run, &saving->archived);
    diagnosis.run.state = saving->was_recording ? RUN_STATE_RECORDING : diagnosis.run.state;
    r = r ? r : add_json(saving, "diagnostics.json", &rpc_type_diagnose_result, &diagnosis);
    r = r ? r : run_history_write_tables(saving->snapshot, saving->writer, &records, saving->error);
    r = r ? r : write_symbols(saving);
    r = r ? r : run_history_write_records(records, saving->writer, saving->error);
    r = r ? r
          : run_archive_tables_write(saving->run, saving->snapshot, saving->arena, saving->writer,
                                     saving->error);
    return r ? r : finish(saving);
}

static int no_snapshot(const struct run *run, struct error *error)
{
    if (error_is_set(run_get_error(run))) { /* it came to nothing */
        *error = *run_get_error(run);
        return -EINVAL;
    }
    error_set(error, "busy", "no memory for a snapshot of run %u", run_get_id(run));
    return -ENOMEM;
}

static void wait_for_names(const struct saving *saving, const struct snapshot *snapshot)
{
    struct query_names *names = run_get_names(saving->run);
    query_names_settle(names, left_ms(saving));
    query_names_settle_chains(names, snapshot, left_ms(saving));
    if (run_get_state(saving->run) != RUN_STATE_RECORDING) {
        run_settle_jit(saving->run, left_ms(saving));
    }
}

/* Waits for the names of what there is, and takes what there is then: meanwhile it may have ended.
 */
static int take_snapshot(struct saving *saving)
{
    _cleanup_(snapshot_unrefp) struct snapshot *first = run_take_snapshot(saving->run);
    if (!first) {
        return no_snapshot(saving->run, saving->error);
    }
    wait_for_names(saving, first);
    saving->was_recording = run_get_state(saving->run) == RUN_STATE_RECORDING;
    saving->snapshot = run_take_snapshot(saving->run);
    return saving->snapshot ? 0 : no_snapshot(saving->run, saving->error);
}

/* What could not be put in. */
static int add_notes(const struct saving *saving, struct save_result *result)
{
    const struct run_symbols_stats *symbols = &saving->symbols;
    result->notes = arena_alloc_array(saving->arena, 3, sizeof(*result->notes));
    if (!result->notes) {
        return -ENOMEM;
    }
    if (symbols->n_left_out > 0) {
        result->notes[result->n_notes++] =
            arena_printf(saving->arena,
                         "the code of %" PRIu64 " functions is not in it: it would have been "
                         "too much",
                         symbols->n_left_out);
    }
    if (symbols->n_no_room > 0) {
        result->notes[result->n_notes++] =
            arena_printf(saving->arena,
                         "%" PRIu64 " names or tables of lines are not in it, or "
                         "not all of them: there are too many",
                         symbols->n_no_room);
    }
    if (symbols->n_lines_late > 0) {
        result->notes[result->n_notes++] =
            arena_printf(saving->arena,
                         "source lines of %" PRIu64 " functions are not in it: their debug "
                         "information is still being read; save again",
                         symbols->n_lines_late);
    }
    return 0;
}

int run_save(struct run *run, const char *path, struct arena *arena, struct save_result *ret_result,
             struct error *reterr_error)
{
    uint64_t began_ns = clock_now_ns();
    _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
    int r = archive_writer_new(path, &writer, reterr_error);
    if (r < 0) {
        return r;
    }
    struct saving saving = {
        .run = run,
        .writer = writer,
        .arena = arena,
        .wait_until_ns = began_ns + WAIT_MS * NS_PER_MS,
        .error = reterr_error,
    };
    r = take_snapshot(&saving);
    _cleanup_(snapshot_unrefp) struct snapshot *snapshot = saving.snapshot;
    r = r ? r : write_members(&saving);
    if (r < 0) {
        if (!error_is_set(reterr_error)) {
            error_set_errno(reterr_error, r, "saving the run");
        }
        return r;
    }
    *ret_result = (struct save_result){
        .run = {.id = run_get_id(run),
                .state = run_get_state(run),
                .sequence = snapshot->sequence,
                .duration_ns = snapshot->now_ns - snapshot->start_ns},
        .path = arena_strdup(arena, path),
        .archive_bytes = archive_writer_bytes(writer),
        .samples = saving.archived.run.samples,
        .took_ns = clock_now_ns() - began_ns,
    };
    return ret_result->path ? add_notes(&saving, ret_result) : -ENOMEM;
}
