/* SPDX-License-Identifier: MIT */
/*
 * The file is read twice: once to know what is in it (perf_data_survey), then
 * record by record, by time (perf_data_order), each translated as if it came
 * from a ring. Addresses mean what the file's own mappings say; the files
 * themselves are looked for on this machine later, where their build-ids agree.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "decode/perf_abi.h"
#include "decode/perf_events.h"
#include "interchange/import_reader.h"
#include "interchange/kernel_of_file.h"
#include "interchange/perf_data_file.h"
#include "interchange/perf_data_order.h"
#include "interchange/perf_data_survey.h"
#include "symbols/kept_symbols.h"

#define MAX_CPUS 8192u
#define MISC_MMAP_DATA (1u << 13)
/* What samples that are longer than an event can tell leave to the next ones; more is damage. */
#define MAX_OWED_NS 1e15

/* Of a thread, as far as it was told last. */
enum running { RUNNING_UNKNOWN, RUNNING_OUT, RUNNING_IN };

struct import_reader {
    struct perf_data_file *file;
    struct perf_data_survey survey;
    struct perf_data_order order;
    struct perf_translator translator;
    int32_t running_tids[MAX_CPUS];
    bool is_read; /* all records are in `order` */
    uint64_t latest_ns;
    double owed_ns;            /* of periods, what rounding has left */
    struct hash_table running; /* tid → enum running; where tracepoints and records both tell */
    /* The kernel is not the one that runs here: it has no names instead of wrong ones. */
    struct kept_symbols *no_names; /* NULL: it is the one */
    uint64_t n_late, n_undecodable, n_idle;
    uint64_t written_at_unix_ns;
    struct import_notes notes;
};

static struct import_reader *perf_data_free(struct import_reader *reader)
{
    if (reader) {
        perf_data_file_free(reader->file);
        perf_data_survey_release(&reader->survey);
        perf_data_order_release(&reader->order);
        hash_table_release(&reader->running);
        kept_symbols_unref(reader->no_names);
        free(reader);
    }
    return NULL;
}

static void perf_data_freep(struct import_reader **reader)
{
    *reader = perf_data_free(*reader);
}

/* ---- what there is to say ---- */

static const char *event_name(const struct perf_data_event *event)
{
    return event->name[0] ? event->name : "an event without a name";
}

static void note_events(struct import_reader *reader)
{
    const struct perf_data_survey *survey = &reader->survey;
    if (survey->sample_event == UINT32_MAX) {
        import_note(&reader->notes, "the file has no samples");
        return;
    }
    const struct perf_data_event *chosen = perf_data_file_event(reader->file, survey->sample_event);
    for (uint32_t i = 0; i < survey->n_events; i++) {
        const struct perf_data_tally *tally = &survey->events[i];
        if (tally->use == PERF_DATA_UNUSED && tally->n_samples > 0) {
            import_note(&reader->notes, "%llu samples of %s are left out: those of %s are shown",
                        (unsigned long long)tally->n_samples,
                        event_name(perf_data_file_event(reader->file, i)), event_name(chosen));
        }
        reader->n_idle += tally->use == PERF_DATA_SAMPLES ? tally->n_idle : 0;
    }
    if (!survey->is_time) {
        import_note(&reader->notes,
                    "times are estimates: samples count %s, and one of them is taken for %.4g ns",
                    event_name(chosen), survey->ns_per_unit);
    }
    if (reader->n_idle > 0) {
        import_note(&reader->notes, "%llu samples of idle processors are left out",
                    (unsigned long long)reader->n_idle);
    }
}

static void note_damage(struct import_reader *reader)
{
    struct perf_data_damage damage = perf_data_file_damage(reader->file);
    if (perf_data_file_facts(reader->file)->is_unfinished) {
        import_note(&reader->notes, "perf record did not finish this file: what it writes at the "
                                    "end (build-ids, names of events) is missing");
    }
    if (damage.lost_bytes > 0) {
        import_note(&reader->notes, "the last %llu bytes of its records are missing or damaged",
                    (unsigned long long)damage.lost_bytes);
    }
    if (damage.lost_records > 0) {
        import_note(&reader->notes, "%llu records are of events that the file does not describe",
                    (unsigned long long)damage.lost_records);
    }
    if (damage.is_bad_compression) {
        import_note(&reader->notes, "some of its compressed records cannot be decompressed");
    }
    if (reader->n_undecodable > 0) {
        import_note(&reader->notes, "%llu records make no sense",
                    (unsigned long long)reader->n_undecodable);
    }
    if (reader->n_late > 0) {
        import_note(&reader->notes, "%llu records came too late for their place in time",
                    (unsigned long long)reader->n_late);
    }
}

/* ---- opening ---- */

static int compare_kernel(struct import_reader *reader)
{
    const struct perf_data_facts *facts = perf_data_file_facts(reader->file);
    const struct perf_data_survey *survey = &reader->survey;
    struct kernel_of_file kernel = {
        .host = facts->host,
        .release = facts->release,
        .written_at_unix_ns = reader->written_at_unix_ns,
        .build_id_bytes = survey->kernel_build_id_bytes,
        .symbol = survey->kernel_symbol,
        .symbol_ip = survey->kernel_symbol_ip,
    };
    memcpy(kernel.build_id, survey->kernel_build_id, sizeof(kernel.build_id));
    const char *why;
    if (kernel_of_file_is_here(&kernel, &why)) {
        return 0;
    }
    import_note(&reader->notes, "the kernel's functions have no names: %s", why);
    int r = kept_symbols_new(&reader->no_names);
    return r ? r : kept_symbols_finish(reader->no_names);
}

static int perf_data_open(const char *path, struct import_reader **ret_reader,
                          struct error *reterr_error)
{
    _cleanup_(perf_data_freep) struct import_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        error_set_errno(reterr_error, -ENOMEM, "opening a perf.data file");
        return -ENOMEM;
    }
    hash_table_init(&reader->running);
    hash_table_init(&reader->survey.by_pid);
    hash_table_init(&reader->survey.pids_by_tid);
    perf_data_order_init(&reader->order);
    int r = perf_data_file_open(path, &reader->file, reterr_error);
    if (r < 0) {
        return r;
    }
    struct stat status;
    if (stat(path, &status) == 0) {
        reader->written_at_unix_ns =
            (uint64_t)status.st_mtim.tv_sec * NS_PER_S + (uint64_t)status.st_mtim.tv_nsec;
    }
    r = perf_data_survey_make(reader->file, &reader->survey);
    if (r < 0) {
        error_set_errno(reterr_error, r, "reading a perf.data file");
        return r;
    }
    if (perf_data_file_n_events(reader->file) == 0) {
        error_set(reterr_error, "archive_invalid",
                  "the perf.data file cannot be read: it describes no event");
        return -EBADMSG;
    }
    reader->translator = (struct perf_translator){
        .pid = reader->survey.main_pid,
        .follow_children = true,
        .running_tids = reader->running_tids,
        .n_running_tids = MAX_CPUS,
    };
    reader->latest_ns = reader->survey.first_ns;
    r = compare_kernel(reader);
    if (r < 0) {
        error_set_errno(reterr_error, r, "opening a perf.data file");
        return r;
    }
    note_events(reader);
    *ret_reader = TAKE_PTR(reader);
    return 0;
}

static void perf_data_facts(const struct import_reader *reader, struct import_facts *ret_facts)
{
    const struct perf_data_facts *facts = perf_data_file_facts(reader->file);
    const struct perf_data_survey *survey = &reader->survey;
    *ret_facts = (struct import_facts){
        .format = IMPORT_PERF_DATA,
        .has_switches = survey->has_switches,
        .has_addresses = true,
        .pid = survey->main_pid,
        .n_samples = survey->n_samples,
    };
    snprintf(ret_facts->command, sizeof(ret_facts->command), "%s", facts->command);
    snprintf(ret_facts->host, sizeof(ret_facts->host), "%s", facts->host);
    uint64_t lasted_ns =
        survey->last_ns > survey->first_ns ? survey->last_ns - survey->first_ns : 0;
    if (facts->wall_ns > 0 && survey->first_ns > 0) {
        ret_facts->started_at_unix_ns = facts->wall_ns + survey->first_ns - facts->clock_ns;
    } else if (reader->written_at_unix_ns > lasted_ns) {
        /* perf writes its file at the end of the recording. */
        ret_facts->started_at_unix_ns = reader->written_at_unix_ns - lasted_ns;
    }
    bool is_of_here = !reader->no_names; /* compare_kernel() */
    ret_facts->here_until_unix_ns = is_of_here && ret_facts->started_at_unix_ns > 0
                                        ? ret_facts->started_at_unix_ns + lasted_ns
                                        : 0;
    if (survey->sample_event == UINT32_MAX) {
        return;
    }
    const struct perf_layout *layout =
        &perf_data_file_event(reader->file, survey->sample_event)->layout;
    if (layout->is_frequency) {
        ret_facts->frequency_hz = (uint32_t)layout->period;
    } else if (survey->is_time && layout->period > 0) {
        ret_facts->frequency_hz = (uint32_t)(NS_PER_S / layout->period);
    }
}

/* ---- records as events ---- */

/* What was added last; events come in time order, so that is where it stands. */
static struct event *latest(struct event_batch *batch)
{
    return event_batch_get_mutable(batch, event_batch_count(batch) - 1);
}

/* Was this told already, by the other of the two ways in which a file may tell of switches? */
static bool is_told(struct import_reader *reader, int64_t tid, enum running now)
{
    uint32_t before = hash_table_find(&reader->running, (uint64_t)tid);
    (void)hash_table_set(&reader->running, (uint64_t)tid, (uint32_t)now);
    return before == (uint32_t)now;
}

/* The weight of a sample as a time, without losing what is rounded away. */
static uint64_t period_ns(struct import_reader *reader, const struct perf_layout *layout,
                          const struct perf_record *record, const struct perf_extras *extras)
{
    uint64_t period = extras->has_period     ? record->sample.period_ns
                      : layout->is_frequency ? 1
                                             : layout->period;
    double exact_ns = (double)period * reader->survey.ns_per_unit + reader->owed_ns;
    if (!(exact_ns >= 0)) {
        exact_ns = 0;
    }
    double most_ns = UINT32_MAX;
    uint64_t rounded_ns = exact_ns < most_ns ? (uint64_t)(exact_ns + 0.5) : UINT32_MAX;
    reader->owed_ns = exact_ns < MAX_OWED_NS ? exact_ns - (double)rounded_ns : 0;
    return rounded_ns;
}

/* A sample with the record's stack, in the batch; NULL where nobody is known to have it. */
static struct event *add_sample(struct import_reader *reader, const struct perf_record *record,
                                struct event_batch *batch)
{
    return perf_events_translate(&reader->translator, record, batch) > 0 ? latest(batch) : NULL;
}

static void add_switch_in(struct import_reader *reader, const struct perf_record *record,
                          int64_t tid, struct event_batch *batch)
{
    int64_t pid = perf_data_survey_pid_of(&reader->survey, tid);
    if (pid == 0 || is_told(reader, tid, RUNNING_IN)) {
        return;
    }
    const struct event event = {
        .kind = EVENT_SWITCH_IN,
        .cpu = (uint16_t)record->cpu,
        .time_ns = record->time_ns,
        .pid = pid,
        .tid = tid,
        .switch_in = {.waker_tid = EVENT_WAKER_UNKNOWN},
    };
    event_batch_add(batch, &event);
}

/* The tracepoint: the stack is that of the thread that leaves. */
static void deliver_sched_switch(struct import_reader *reader, const struct perf_record *record,
                                 const struct perf_extras *extras, struct event_batch *batch)
{
    struct perf_data_switch told;
    if (!perf_data_read_switch(extras, &told)) {
        reader->n_undecodable++;
        return;
    }
    if (told.prev_tid > 0 && record->tid > 0 && !is_told(reader, record->tid, RUNNING_OUT)) {
        struct event *out = add_sample(reader, record, batch);
        if (out) {
            out->kind = EVENT_SWITCH_OUT;
            out->is_preempted = told.is_preempted;
            memset(&out->switch_out, 0, sizeof(out->switch_out));
            out->switch_out.object.syscall = EVENT_NO_SYSCALL;
        }
    }
    if (told.next_tid > 0) {
        add_switch_in(reader, record, told.next_tid, batch);
    }
}

static void deliver_wakeup(struct import_reader *reader, const struct perf_record *record,
                           const struct perf_extras *extras, struct event_batch *batch)
{
    int32_t tid = perf_data_read_wakeup(extras);
    int64_t pid = tid > 0 ? perf_data_survey_pid_of(&reader->survey, tid) : 0;
    if (pid == 0) {
        return;
    }
    const struct event wakeup = {
        .kind = EVENT_WAKEUP,
        .cpu = (uint16_t)record->cpu,
        .time_ns = record->time_ns,
        .pid = pid,
        .tid = tid,
        .wakeup = {.waker_tid = record->tid > 0 ? record->tid : EVENT_NO_WAKER},
    };
    event_batch_add(batch, &wakeup);
}

static void deliver_sample(struct import_reader *reader, uint32_t index, struct perf_record *record,
                           const struct perf_extras *extras, struct event_batch *batch)
{
    const struct perf_layout *layout = &perf_data_file_event(reader->file, index)->layout;
    bool is_idle = record->pid == 0 && record->tid == 0;
    switch (reader->survey.events[index].use) {
    case PERF_DATA_SAMPLES:
        if (!is_idle) {
            record->sample.period_ns = period_ns(reader, layout, record, extras);
            (void)add_sample(reader, record, batch);
        }
        break;
    case PERF_DATA_SWITCHES:
        deliver_sched_switch(reader, record, extras, batch);
        break;
    case PERF_DATA_WAKEUPS:
        deliver_wakeup(reader, record, extras, batch);
        break;
    case PERF_DATA_UNUSED:
        break;
    }
}

static void deliver_mapping(struct import_reader *reader, struct perf_record *record,
                            struct event_batch *batch)
{
    struct event_image *image = &record->mmap.image;
    uint16_t mode = record->misc & PERF_ABI_MISC_CPUMODE_MASK;
    bool is_data = record->type == PERF_ABI_RECORD_MMAP && (record->misc & MISC_MMAP_DATA);
    if (is_data || mode == PERF_ABI_MISC_KERNEL || strncmp(image->path, "[kernel", 7) == 0) {
        return;
    }
    if (reader->no_names && strcmp(image->path, "[vdso]") == 0) {
        image->path = "[vdso of another kernel]"; /* not the one that could be read here */
    }
    const struct perf_data_build_id *told = perf_data_file_build_id(reader->file, image->path);
    if (image->build_id_bytes == 0 && told) {
        image->build_id_bytes = told->n_bytes;
        memcpy(image->build_id, told->bytes, told->n_bytes);
    }
    (void)perf_events_translate(&reader->translator, record, batch);
}

/* A name that perf told before the first event is that of a thread that was there already. */
static void deliver_name(struct import_reader *reader, const struct perf_record *record,
                         bool is_before, struct event_batch *batch)
{
    if (!is_before) {
        (void)perf_events_translate(&reader->translator, record, batch);
        return;
    }
    import_tell_thread(batch, record->comm.pid, record->comm.tid, record->time_ns,
                       record->comm.name);
}

static void deliver_switch(struct import_reader *reader, const struct perf_record *record,
                           struct event_batch *batch)
{
    if (record->pid == 0 && record->tid == 0) {
        return;
    }
    enum running now = record->context_switch.is_out ? RUNNING_OUT : RUNNING_IN;
    if (record->tid <= 0 || !is_told(reader, record->tid, now)) {
        (void)perf_events_translate(&reader->translator, record, batch);
    }
}

static void deliver_side_band(struct import_reader *reader, struct perf_record *record,
                              bool is_before, struct event_batch *batch)
{
    const struct perf_data_survey *survey = &reader->survey;
    switch (record->type) {
    case PERF_ABI_RECORD_MMAP:
    case PERF_ABI_RECORD_MMAP2:
        if (perf_data_survey_wants(survey, record->mmap.pid)) {
            deliver_mapping(reader, record, batch);
        }
        break;
    case PERF_ABI_RECORD_COMM:
        if (perf_data_survey_wants(survey, record->comm.pid)) {
            deliver_name(reader, record, is_before, batch);
        }
        break;
    case PERF_ABI_RECORD_FORK:
        if (!is_before && perf_data_survey_wants(survey, record->task.pid)) {
            (void)perf_events_translate(&reader->translator, record, batch);
        }
        break;
    case PERF_ABI_RECORD_EXIT:
        if (perf_data_survey_wants(survey, record->task.pid)) {
            (void)perf_events_translate(&reader->translator, record, batch);
        }
        break;
    case PERF_ABI_RECORD_SWITCH:
        deliver_switch(reader, record, batch);
        break;
    default:
        (void)perf_events_translate(&reader->translator, record, batch);
        break;
    }
}

static void deliver(struct import_reader *reader, const struct perf_data_record *at,
                    struct event_batch *batch)
{
    struct perf_record record;
    struct perf_extras extras;
    if (at->event == UINT32_MAX) {
        return;
    }
    const struct perf_layout *layout = &perf_data_file_event(reader->file, at->event)->layout;
    int r = perf_layout_parse(layout, at->bytes, at->n_bytes, &record, &extras);
    if (r != 0) {
        reader->n_undecodable += r < 0;
        return;
    }
    bool is_before = record.time_ns == 0;
    bool is_early = record.time_ns < reader->survey.first_ns;
    reader->n_late += !is_early && record.time_ns < reader->latest_ns;
    if (record.time_ns < reader->latest_ns) {
        record.time_ns = reader->latest_ns;
    }
    reader->latest_ns = record.time_ns;
    if (record.type == PERF_ABI_RECORD_SAMPLE) {
        deliver_sample(reader, at->event, &record, &extras, batch);
    } else {
        deliver_side_band(reader, &record, is_before, batch);
    }
}

/* One record of the file into the order. 1; 0 at the end. */
static int read_one(struct import_reader *reader)
{
    struct perf_data_record at;
    int r = perf_data_file_next(reader->file, &at);
    if (r < 0) {
        return r;
    }
    if (r == 0) {
        perf_data_order_end(&reader->order);
        reader->is_read = true;
        return 0;
    }
    if (at.type == PERF_DATA_FINISHED_ROUND) {
        perf_data_order_end_round(&reader->order);
        return 1;
    }
    uint64_t time_ns = 0;
    if (at.event != UINT32_MAX) {
        const struct perf_layout *layout = &perf_data_file_event(reader->file, at.event)->layout;
        time_ns = perf_layout_time(layout, at.bytes, at.n_bytes);
    }
    if (!perf_data_survey_is_time(&reader->survey, time_ns)) {
        reader->n_undecodable++;
        return 1;
    }
    r = perf_data_order_add(&reader->order, &at, time_ns);
    return r < 0 ? r : 1;
}

static int perf_data_next(struct import_reader *reader, struct event_batch *batch)
{
    while (event_batch_has_room(batch)) {
        struct perf_data_record at;
        uint64_t time_ns;
        if (perf_data_order_take(&reader->order, &at, &time_ns)) {
            deliver(reader, &at, batch);
            continue;
        }
        if (reader->is_read) {
            note_damage(reader);
            return 0;
        }
        int r = read_one(reader);
        if (r < 0) {
            return r;
        }
    }
    return 1;
}

static struct kept_symbols *perf_data_find_symbols(const struct import_reader *reader,
                                                   const struct image *image)
{
    return image->kind == IMAGE_KIND_KERNEL ? reader->no_names : NULL;
}

static const struct import_notes *perf_data_notes(const struct import_reader *reader)
{
    return &reader->notes;
}

const struct import_reader_ops import_perf_data_ops = {
    .format = IMPORT_PERF_DATA,
    .name = "perf.data",
    .is_mine = perf_data_file_is,
    .open = perf_data_open,
    .free = perf_data_free,
    .facts = perf_data_facts,
    .next = perf_data_next,
    .notes = perf_data_notes,
    .find_symbols = perf_data_find_symbols,
};
