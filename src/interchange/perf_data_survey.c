/* SPDX-License-Identifier: MIT */
#include "interchange/perf_data_survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "decode/perf_abi.h"

#define MAX_PROCESSES (1u << 22)
#define MAX_ANCESTORS 64u

/* perf_event_attr.type and, of software, .config. */
#define TYPE_HARDWARE 0u
#define TYPE_SOFTWARE 1u
#define TYPE_TRACEPOINT 2u
#define HARDWARE_CYCLES 0u
#define SOFTWARE_CPU_CLOCK 0u
#define SOFTWARE_TASK_CLOCK 1u
#define SOFTWARE_DUMMY 9u
#define SOFTWARE_BPF_OUTPUT 10u

#define KERNEL_MAP "[kernel.kallsyms]"

/* Of what happens now and then nobody says how long it took: it counts as this much. */
#define NS_PER_OCCURRENCE 1000000.0

/* include/trace/events/sched.h: behind the fields that all tracepoints have. */
#define TRACE_COMMON_BYTES 8u
#define TRACE_COMM_BYTES 16u
#define STATE_PREEMPTED 0x100u

/* ---- processes ---- */

void perf_data_survey_release(struct perf_data_survey *survey)
{
    free(survey->events);
    free(survey->processes);
    hash_table_release(&survey->by_pid);
    hash_table_release(&survey->pids_by_tid);
    *survey = (struct perf_data_survey){0};
}

static struct perf_data_process *find_process(const struct perf_data_survey *survey, int64_t pid)
{
    uint32_t index = hash_table_find(&survey->by_pid, (uint64_t)pid);
    return index == HASH_TABLE_NONE ? NULL : &survey->processes[index];
}

static int get_process(struct perf_data_survey *survey, int64_t pid,
                       struct perf_data_process **ret_process)
{
    *ret_process = find_process(survey, pid);
    if (*ret_process) {
        return 0;
    }
    if (survey->n_processes == survey->processes_capacity) {
        size_t capacity = survey->processes_capacity ? 2 * survey->processes_capacity : 64;
        void *grown = capacity > MAX_PROCESSES
                          ? NULL
                          : reallocarray(survey->processes, capacity, sizeof(*survey->processes));
        if (!grown) {
            return -ENOMEM;
        }
        survey->processes = grown;
        survey->processes_capacity = capacity;
    }
    int r = hash_table_add(&survey->by_pid, (uint64_t)pid, (uint32_t)survey->n_processes);
    if (r < 0) {
        return r;
    }
    *ret_process = &survey->processes[survey->n_processes++];
    **ret_process = (struct perf_data_process){.pid = pid};
    return 0;
}

bool perf_data_survey_wants(const struct perf_data_survey *survey, int64_t pid)
{
    const struct perf_data_process *process = find_process(survey, pid);
    return process && process->is_wanted;
}

int64_t perf_data_survey_pid_of(const struct perf_data_survey *survey, int64_t tid)
{
    uint32_t pid = hash_table_find(&survey->pids_by_tid, (uint64_t)tid);
    return pid == HASH_TABLE_NONE ? 0 : (int64_t)pid;
}

static int note_thread(struct perf_data_survey *survey, int64_t pid, int64_t tid)
{
    if (pid <= 0 || tid <= 0) {
        return 0;
    }
    return hash_table_set(&survey->pids_by_tid, (uint64_t)tid, (uint32_t)pid);
}

/* A process that is wanted brings those along whose address space it began with. */
static void want_ancestors(struct perf_data_survey *survey)
{
    for (size_t i = 0; i < survey->n_processes; i++) {
        const struct perf_data_process *process = &survey->processes[i];
        for (unsigned int n = 0; process && process->is_wanted && n < MAX_ANCESTORS; n++) {
            struct perf_data_process *parent = find_process(survey, process->parent_pid);
            if (!parent || parent->is_wanted) {
                break;
            }
            parent->is_wanted = true;
            process = parent;
        }
    }
}

/* ---- tracepoints ---- */

/* The name of a thread, which is text where the fields are at the places that are known here. */
static bool skip_comm(struct bytes *raw)
{
    const uint8_t *comm = bytes_take(raw, TRACE_COMM_BYTES);
    size_t n_bytes = comm ? strnlen((const char *)comm, TRACE_COMM_BYTES) : TRACE_COMM_BYTES;
    for (size_t i = 0; comm && i < n_bytes; i++) {
        if (comm[i] < 0x20) {
            return false;
        }
    }
    return n_bytes < TRACE_COMM_BYTES;
}

bool perf_data_read_switch(const struct perf_extras *extras, struct perf_data_switch *ret_switch)
{
    struct bytes raw = bytes_of(extras->raw, extras->raw ? extras->raw_bytes : 0);
    bytes_skip(&raw, TRACE_COMMON_BYTES);
    bool is_known = skip_comm(&raw);
    ret_switch->prev_tid = (int32_t)bytes_take_u32(&raw);
    bytes_skip(&raw, 4); /* priority */
    uint64_t state = bytes_take_u64(&raw);
    is_known = skip_comm(&raw) && is_known;
    ret_switch->next_tid = (int32_t)bytes_take_u32(&raw);
    ret_switch->is_preempted = state == 0 || (state & STATE_PREEMPTED);
    return is_known && !bytes_has_failed(&raw);
}

int32_t perf_data_read_wakeup(const struct perf_extras *extras)
{
    struct bytes raw = bytes_of(extras->raw, extras->raw ? extras->raw_bytes : 0);
    bytes_skip(&raw, TRACE_COMMON_BYTES);
    bool is_known = skip_comm(&raw);
    int32_t tid = (int32_t)bytes_take_u32(&raw);
    return is_known ? tid : 0;
}

/* ---- records ---- */

static void note_kernel(struct perf_data_survey *survey, const struct perf_record *record)
{
    const struct event_image *image = &record->mmap.image;
    const char *prefix = KERNEL_MAP;
    if (strncmp(image->path, prefix, strlen(prefix)) != 0 || survey->kernel_end_ip != 0) {
        return;
    }
    survey->kernel_start_ip = image->start_ip;
    survey->kernel_end_ip = image->end_ip;
    survey->kernel_symbol_ip = image->file_offset;
    snprintf(survey->kernel_symbol, sizeof(survey->kernel_symbol), "%.31s",
             image->path + strlen(prefix));
    if (image->build_id_bytes > 0 && image->build_id_bytes <= LIMIT_BUILD_ID_BYTES) {
        survey->kernel_build_id_bytes = image->build_id_bytes;
        memcpy(survey->kernel_build_id, image->build_id, image->build_id_bytes);
    }
}

static int note_sample(struct perf_data_survey *survey, const struct perf_data_file *file,
                       const struct perf_data_record *at, const struct perf_record *record,
                       const struct perf_extras *extras)
{
    const struct perf_layout *layout = &perf_data_file_event(file, at->event)->layout;
    struct perf_data_tally *tally = &survey->events[at->event];
    if (record->pid == 0 && record->tid == 0) {
        tally->n_idle++;
        return 0;
    }
    tally->n_samples++;
    tally->periods += extras->has_period     ? record->sample.period_ns
                      : layout->is_frequency ? 1
                                             : layout->period;
    struct perf_data_process *process;
    int r = get_process(survey, record->pid, &process);
    if (r < 0) {
        return r;
    }
    process->n_samples++;
    process->is_wanted = true;
    struct perf_data_switch told;
    if (tally->use == PERF_DATA_SWITCHES && perf_data_read_switch(extras, &told)) {
        /* Of somebody else's thread nobody tells when it ceases to run. */
        survey->n_switches += perf_data_survey_pid_of(survey, told.next_tid) != 0;
    }
    return note_thread(survey, record->pid, record->tid);
}

static int note_record(struct perf_data_survey *survey, const struct perf_data_file *file,
                       const struct perf_data_record *at, const struct perf_record *record,
                       const struct perf_extras *extras)
{
    struct perf_data_process *process;
    int r = 0;
    switch (record->type) {
    case PERF_ABI_RECORD_SAMPLE:
        return note_sample(survey, file, at, record, extras);
    case PERF_ABI_RECORD_MMAP:
    case PERF_ABI_RECORD_MMAP2:
        if ((record->misc & PERF_ABI_MISC_CPUMODE_MASK) == PERF_ABI_MISC_KERNEL) {
            note_kernel(survey, record);
        }
        return 0;
    case PERF_ABI_RECORD_COMM:
        return note_thread(survey, record->comm.pid, record->comm.tid);
    case PERF_ABI_RECORD_FORK:
        r = note_thread(survey, record->task.pid, record->task.tid);
        r = r ? r : get_process(survey, record->task.pid, &process);
        if (r == 0 && record->task.pid != record->task.parent_pid) {
            process->parent_pid = record->task.parent_pid;
            r = get_process(survey, record->task.parent_pid, &process);
        }
        return r;
    case PERF_ABI_RECORD_SWITCH:
        if (record->pid > 0) {
            survey->n_switches++;
            r = get_process(survey, record->pid, &process);
            if (r == 0) {
                process->is_wanted = true;
            }
        }
        return r;
    default:
        return 0;
    }
}

/* ---- events ---- */

static bool has_part(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

/* The larger, the better as what samples are; 0: never. */
static int rank_of(const struct perf_data_event *event)
{
    const struct perf_layout *layout = &event->layout;
    switch (layout->type) {
    case TYPE_SOFTWARE:
        if (layout->config == SOFTWARE_CPU_CLOCK || layout->config == SOFTWARE_TASK_CLOCK) {
            return 5;
        }
        return layout->config == SOFTWARE_DUMMY || layout->config == SOFTWARE_BPF_OUTPUT ? 0 : 2;
    case TYPE_TRACEPOINT:
        return strncmp(event->name, "sched:", 6) == 0 ? 0 : 1;
    case TYPE_HARDWARE:
        return (layout->config & UINT32_MAX) == HARDWARE_CYCLES ? 4 : 3;
    default:
        return has_part(event->name, "cycles") ? 4 : 3;
    }
}

static bool is_clock(const struct perf_data_event *event)
{
    return rank_of(event) == 5;
}

/* Which tracepoints tell what: known before their records are looked at. */
static void find_tracepoints(struct perf_data_survey *survey, const struct perf_data_file *file)
{
    bool has_waking = false;
    for (uint32_t i = 0; i < survey->n_events; i++) {
        has_waking |= strcmp(perf_data_file_event(file, i)->name, "sched:sched_waking") == 0;
    }
    for (uint32_t i = 0; i < survey->n_events; i++) {
        const char *name = perf_data_file_event(file, i)->name;
        if (strcmp(name, "sched:sched_switch") == 0) {
            survey->events[i].use = PERF_DATA_SWITCHES;
        } else if (strcmp(name, has_waking ? "sched:sched_waking" : "sched:sched_wakeup") == 0) {
            survey->events[i].use = PERF_DATA_WAKEUPS;
        }
    }
}

/* A processor with two kinds of cores has an event per kind: "cpu_core/cycles/". */
static const char *name_behind_unit(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash ? slash : name;
}

static void choose_samples(struct perf_data_survey *survey, const struct perf_data_file *file)
{
    int best = 0;
    survey->sample_event = UINT32_MAX;
    for (uint32_t i = 0; i < survey->n_events; i++) {
        int rank = rank_of(perf_data_file_event(file, i));
        if (survey->events[i].n_samples > 0 && rank > best) {
            best = rank;
            survey->sample_event = i;
        }
    }
    if (survey->sample_event == UINT32_MAX) {
        return;
    }
    const struct perf_data_event *chosen = perf_data_file_event(file, survey->sample_event);
    for (uint32_t i = 0; i < survey->n_events; i++) {
        const struct perf_data_event *event = perf_data_file_event(file, i);
        bool is_sister = event->name[0] != '\0' && rank_of(event) == best &&
                         strchr(event->name, '/') && strchr(chosen->name, '/') &&
                         strcmp(name_behind_unit(event->name), name_behind_unit(chosen->name)) == 0;
        if (i == survey->sample_event || is_sister) {
            survey->events[i].use = PERF_DATA_SAMPLES;
            survey->n_samples += survey->events[i].n_samples;
        }
    }
}

/*
 * Periods of clocks are nanoseconds. Others are counts: at a fixed frequency
 * of samples, each stands for its part of a second on the average, and counts
 * say which stands for more and which for less.
 */
static void weigh(struct perf_data_survey *survey, const struct perf_data_file *file)
{
    survey->ns_per_unit = 1;
    if (survey->sample_event == UINT32_MAX) {
        return;
    }
    const struct perf_data_event *event = perf_data_file_event(file, survey->sample_event);
    uint64_t n_samples = 0, periods = 0;
    for (uint32_t i = 0; i < survey->n_events; i++) {
        if (survey->events[i].use == PERF_DATA_SAMPLES) {
            n_samples += survey->events[i].n_samples;
            periods += survey->events[i].periods;
        }
    }
    survey->is_time = is_clock(event);
    bool has_rate = event->layout.is_frequency && event->layout.period > 0 && periods > 0;
    if (survey->is_time && (periods > n_samples || !has_rate)) {
        return;
    }
    if (has_rate) {
        survey->ns_per_unit =
            (double)n_samples * (double)NS_PER_S / (double)event->layout.period / (double)periods;
    } else if (periods <= n_samples) {
        survey->ns_per_unit = NS_PER_OCCURRENCE;
    }
}

static int grow_events(struct perf_data_survey *survey, const struct perf_data_file *file)
{
    size_t n_events = perf_data_file_n_events(file);
    if (n_events == survey->n_events) {
        return 0;
    }
    struct perf_data_tally *grown = reallocarray(survey->events, n_events, sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    memset(grown + survey->n_events, 0, (n_events - survey->n_events) * sizeof(*grown));
    survey->events = grown;
    survey->n_events = n_events;
    return 0;
}

bool perf_data_survey_is_time(const struct perf_data_survey *survey, uint64_t time_ns)
{
    uint64_t number = time_ns >> PERF_DATA_AGE_BITS;
    return time_ns == 0 || number - survey->age + 1 <= 2;
}

/* The recording begins with its events: perf notes names and mappings before it enables them. */
static void note_time(struct perf_data_survey *survey, const struct perf_record *record)
{
    bool is_event =
        record->type == PERF_ABI_RECORD_SAMPLE || record->type == PERF_ABI_RECORD_SWITCH;
    uint64_t number = record->time_ns >> PERF_DATA_AGE_BITS;
    size_t i = 0;
    if (!is_event || record->time_ns == 0) {
        return;
    }
    while (i < survey->n_ages && survey->ages[i].number != number) {
        i++;
    }
    if (i == PERF_DATA_MAX_AGES) {
        return;
    }
    struct perf_data_age *age = &survey->ages[i];
    if (i == survey->n_ages) {
        survey->n_ages++;
        *age = (struct perf_data_age){.number = number, .first_ns = UINT64_MAX};
    }
    age->n_records++;
    age->first_ns = record->time_ns < age->first_ns ? record->time_ns : age->first_ns;
    age->last_ns = record->time_ns > age->last_ns ? record->time_ns : age->last_ns;
}

static void choose_age(struct perf_data_survey *survey)
{
    uint64_t most = 0;
    for (size_t i = 0; i < survey->n_ages; i++) {
        if (survey->ages[i].n_records > most) {
            most = survey->ages[i].n_records;
            survey->age = survey->ages[i].number;
        }
    }
    for (size_t i = 0; i < survey->n_ages; i++) {
        const struct perf_data_age *age = &survey->ages[i];
        if (perf_data_survey_is_time(survey, age->first_ns)) {
            bool is_first = survey->first_ns == 0 || age->first_ns < survey->first_ns;
            survey->first_ns = is_first ? age->first_ns : survey->first_ns;
            survey->last_ns = age->last_ns > survey->last_ns ? age->last_ns : survey->last_ns;
        }
    }
}

static int read_all(struct perf_data_file *file, struct perf_data_survey *survey)
{
    struct perf_data_record at;
    int r = 0;
    while (r >= 0 && (r = perf_data_file_next(file, &at)) == 1) {
        if (at.type == PERF_DATA_FINISHED_ROUND || at.event == UINT32_MAX) {
            continue;
        }
        bool has_new = perf_data_file_n_events(file) != survey->n_events;
        r = grow_events(survey, file);
        if (r < 0) {
            break;
        }
        if (has_new) {
            find_tracepoints(survey, file);
        }
        struct perf_record record;
        struct perf_extras extras;
        const struct perf_layout *layout = &perf_data_file_event(file, at.event)->layout;
        survey->n_records++;
        if (perf_layout_parse(layout, at.bytes, at.n_bytes, &record, &extras) != 0) {
            continue;
        }
        note_time(survey, &record);
        r = note_record(survey, file, &at, &record, &extras);
    }
    return r;
}

static void conclude(struct perf_data_survey *survey, const struct perf_data_file *file)
{
    choose_age(survey);
    find_tracepoints(survey, file);
    choose_samples(survey, file);
    weigh(survey, file);
    want_ancestors(survey);
    uint64_t most = 0;
    for (size_t i = 0; i < survey->n_processes; i++) {
        if (survey->processes[i].n_samples > most) {
            most = survey->processes[i].n_samples;
            survey->main_pid = survey->processes[i].pid;
        }
    }
    survey->has_switches = survey->n_switches > 0;
    const struct perf_data_build_id *kernel = perf_data_file_build_id(file, KERNEL_MAP);
    if (survey->kernel_build_id_bytes == 0 && kernel) {
        survey->kernel_build_id_bytes = kernel->n_bytes;
        memcpy(survey->kernel_build_id, kernel->bytes, kernel->n_bytes);
    }
}

int perf_data_survey_make(struct perf_data_file *file, struct perf_data_survey *ret_survey)
{
    struct perf_data_survey survey = {.sample_event = UINT32_MAX};
    hash_table_init(&survey.by_pid);
    hash_table_init(&survey.pids_by_tid);
    int r = grow_events(&survey, file);
    find_tracepoints(&survey, file);
    r = r ? r : read_all(file, &survey);
    r = r ? r : grow_events(&survey, file);
    if (r == 0) {
        conclude(&survey, file);
        r = perf_data_file_rewind(file);
    }
    if (r < 0) {
        perf_data_survey_release(&survey);
        return r;
    }
    *ret_survey = survey;
    return 0;
}
