/* SPDX-License-Identifier: MIT */
/*
 * Profiles of the Firefox Profiler, which samply and others write too: JSON,
 * gzip'd or not. Threads have samples with times; a stack is a node of a tree
 * of frames.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash_table.h"
#include "interchange/firefox_json.h"
#include "interchange/firefox_profile.h"
#include "interchange/firefox_stacks.h"
#include "interchange/import_reader.h"

#define START_NS NS_PER_S
/* Libraries in processes: each of them is told of each. */
#define MAX_MAPPINGS (1u << 20)
/* What longer samples are split into beside the first, in all. */
#define MAX_EXTRA_SAMPLES (1u << 20)
#define MAX_THREADS 65536u
#define MAX_TIME_MS 1e12
#define MAX_FREQUENCY_HZ 1e9
/* Numbers of threads that the profile does not tell apart. */
#define FIRST_MADE_TID (INT64_C(1) << 32)

struct thread {
    const char *name;
    int64_t pid, tid;
};

struct sample {
    uint64_t time_ns;
    uint32_t thread, period_ns;
    uint32_t stacks, stack; /* UINT32_MAX: it has none */
    uint32_t nth;           /* in the file: of two at one time the first one comes first */
};

struct import_reader {
    struct arena texts;
    struct firefox_stacks stacks;
    struct thread *threads;
    size_t n_threads;
    struct hash_table tids;
    struct hash_table pids; /* → index in pid_list */
    int64_t *pid_list;
    size_t n_pids;
    struct sample *samples;
    size_t n_samples, samples_capacity, n_played;
    size_t at_thread, at_pid, at_library; /* what is told before the first sample */
    double interval_ms, start_ms;
    char product[64];
    uint64_t n_idle, n_bad, n_other_weights, n_extra, n_shortened;
    struct import_notes notes;
};

static bool firefox_is_mine(const uint8_t *first_bytes, size_t n_bytes)
{
    size_t at = 0;
    while (at < n_bytes && strchr(" \t\r\n", first_bytes[at]) && first_bytes[at] != '\0') {
        at++;
    }
    return at < n_bytes && first_bytes[at] == '{';
}

/* ---- threads and samples ---- */

/* Numbers of threads and processes come as numbers or as texts: "1234", "1234.1". */
static int64_t take_id(const json_t *value)
{
    long long id = json_is_string(value) ? strtoll(json_string_value(value), NULL, 10)
                                         : json_integer_value(value);
    return id > 0 && id < INT32_MAX ? id : 0;
}

static int take_thread(struct import_reader *reader, const struct firefox_thread *view)
{
    struct thread *thread = &reader->threads[reader->n_threads];
    thread->pid = take_id(view->pid);
    thread->pid = thread->pid ? thread->pid : 1;
    thread->tid = take_id(view->tid);
    if (thread->tid == 0 ||
        hash_table_find(&reader->tids, (uint64_t)thread->tid) != HASH_TABLE_NONE) {
        thread->tid = FIRST_MADE_TID + (int64_t)reader->n_threads;
    }
    const char *name = json_string_value(view->name);
    thread->name = arena_strdup(&reader->texts, name ? name : "");
    if (!thread->name) {
        return -ENOMEM;
    }
    int r = hash_table_add(&reader->tids, (uint64_t)thread->tid, 0);
    if (r == 0 && hash_table_find(&reader->pids, (uint64_t)thread->pid) == HASH_TABLE_NONE) {
        reader->pid_list[reader->n_pids] = thread->pid;
        r = hash_table_add(&reader->pids, (uint64_t)thread->pid, (uint32_t)reader->n_pids);
        reader->n_pids += r == 0;
    }
    return r;
}

/* CPU time that a sample stands for; negative: none. */
static double period_of(const struct firefox_profile *profile, const struct firefox_thread *view,
                        size_t row)
{
    double weight = firefox_real(view->sample_weight, row, 1);
    double cpu = firefox_real(view->sample_cpu, row, -1);
    if (cpu == 0) {
        return -1; /* whatever its unit is, it did not run */
    }
    if (strcmp(view->weight_type, "tracing-ms") == 0) {
        return weight * (double)NS_PER_MS; /* a wait weighs its length */
    }
    if (cpu > 0 && profile->cpu_unit_ns > 0) {
        return cpu * profile->cpu_unit_ns;
    }
    return weight * profile->interval_ms * (double)NS_PER_MS;
}

static int add_sample(struct import_reader *reader, const struct sample *sample)
{
    if (reader->n_samples == reader->samples_capacity) {
        size_t capacity = reader->samples_capacity ? 2 * reader->samples_capacity : 4096;
        void *grown = reallocarray(reader->samples, capacity, sizeof(*reader->samples));
        if (!grown) {
            return -ENOMEM;
        }
        reader->samples = grown;
        reader->samples_capacity = capacity;
    }
    reader->samples[reader->n_samples] = *sample;
    reader->samples[reader->n_samples].nth = (uint32_t)reader->n_samples;
    reader->n_samples++;
    return 0;
}

/* One longer than an event can say is several at its time. */
static int add_long_sample(struct import_reader *reader, struct sample *sample, double period_ns)
{
    int r = 0;
    while (period_ns > UINT32_MAX && r == 0 && reader->n_extra < MAX_EXTRA_SAMPLES) {
        sample->period_ns = UINT32_MAX;
        period_ns -= UINT32_MAX;
        reader->n_extra++;
        r = add_sample(reader, sample);
    }
    reader->n_shortened += period_ns > UINT32_MAX;
    sample->period_ns = period_ns < UINT32_MAX ? (uint32_t)(period_ns + 0.5) : UINT32_MAX;
    return r ? r : add_sample(reader, sample);
}

static int take_samples(struct import_reader *reader, const struct firefox_profile *profile,
                        const struct firefox_thread *view, uint32_t stacks)
{
    double time_ms = 0;
    if (strcmp(view->weight_type, "bytes") == 0) {
        reader->n_other_weights += view->n_samples;
        return 0;
    }
    for (size_t i = 0; i < view->n_samples; i++) {
        time_ms = view->sample_time ? firefox_real(view->sample_time, i, time_ms)
                                    : time_ms + firefox_real(view->sample_deltas, i, 0);
        double period_ns = period_of(profile, view, i);
        int64_t stack = firefox_number(view->sample_stack, i, -1);
        if (period_ns <= 0) {
            reader->n_idle++;
            continue;
        }
        bool is_known = stack >= 0 && (uint64_t)stack < reader->stacks.tables[stacks].n_stacks;
        reader->n_bad += stack >= 0 && !is_known;
        time_ms = time_ms < MAX_TIME_MS ? time_ms : MAX_TIME_MS;
        struct sample sample = {
            .time_ns = START_NS + (time_ms > 0 ? (uint64_t)(time_ms * (double)NS_PER_MS) : 0),
            .thread = (uint32_t)reader->n_threads,
            .stacks = stacks,
            .stack = is_known ? (uint32_t)stack : UINT32_MAX,
        };
        int r = add_long_sample(reader, &sample, period_ns);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int by_time(const void *one, const void *other)
{
    const struct sample *a = one, *b = other;
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    return a->nth < b->nth ? -1 : a->nth > b->nth;
}

static int take_threads(struct import_reader *reader, const struct firefox_profile *profile)
{
    size_t n_threads = firefox_profile_n_threads(profile);
    n_threads = n_threads < MAX_THREADS ? n_threads : MAX_THREADS;
    reader->threads = calloc(n_threads + 1, sizeof(*reader->threads));
    reader->pid_list = calloc(n_threads + 1, sizeof(*reader->pid_list));
    if (!reader->threads || !reader->pid_list) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_threads; i++) {
        struct firefox_thread view;
        uint32_t stacks;
        firefox_profile_thread(profile, i, &view);
        int r = take_thread(reader, &view);
        r = r ? r : firefox_stacks_of(&reader->stacks, profile, &view, &stacks);
        r = r ? r : take_samples(reader, profile, &view, stacks);
        if (r < 0) {
            return r;
        }
        reader->n_threads++;
    }
    if (reader->n_samples > 1) {
        qsort(reader->samples, reader->n_samples, sizeof(*reader->samples), by_time);
    }
    return 0;
}

/* ---- the reader ---- */

static struct import_reader *firefox_free(struct import_reader *reader)
{
    if (reader) {
        firefox_stacks_release(&reader->stacks);
        free(reader->threads);
        free(reader->pid_list);
        free(reader->samples);
        hash_table_release(&reader->tids);
        hash_table_release(&reader->pids);
        arena_release(&reader->texts);
        free(reader);
    }
    return NULL;
}

static void firefox_freep(struct import_reader **reader)
{
    *reader = firefox_free(*reader);
}

static void note_all(struct import_reader *reader)
{
    if (reader->n_idle > 0) {
        import_note(&reader->notes,
                    "%llu samples of threads that did not run are left out: where they waited is "
                    "not known exactly",
                    (unsigned long long)reader->n_idle);
    }
    if (reader->n_other_weights > 0) {
        import_note(&reader->notes, "%llu samples of memory are left out",
                    (unsigned long long)reader->n_other_weights);
    }
    if (reader->n_shortened > 0) {
        import_note(&reader->notes, "%llu samples are shorter than the profile says",
                    (unsigned long long)reader->n_shortened);
    }
    if (reader->n_bad > 0) {
        import_note(&reader->notes, "%llu samples have stacks that the profile does not describe",
                    (unsigned long long)reader->n_bad);
    }
}

static int read_profile(struct import_reader *reader, const struct firefox_profile *profile)
{
    reader->interval_ms = profile->interval_ms;
    reader->start_ms = profile->start_ms;
    snprintf(reader->product, sizeof(reader->product), "%.60s",
             profile->product ? profile->product : "");
    int r = firefox_stacks_init(profile, MAX_THREADS, &reader->stacks);
    r = r ? r : take_threads(reader, profile);
    r = r ? r : import_names_finish(reader->stacks.names);
    note_all(reader);
    if (r < 0) {
        return r;
    }
    size_t n_libraries = import_names_n_libraries(reader->stacks.names) +
                         firefox_libraries_count(reader->stacks.libraries);
    return n_libraries * reader->n_pids > MAX_MAPPINGS ? -EFBIG : 0;
}

static int explain(const char *path, int r, struct error *reterr_error)
{
    if (r == -EFBIG) {
        error_set(reterr_error, "limit",
                  "%s has more than the %u frames and stacks or %u libraries of processes that are "
                  "read",
                  path, FIREFOX_STACKS_MAX_ROWS, MAX_MAPPINGS);
    } else {
        error_set_errno(reterr_error, r, "reading a Firefox profile");
    }
    return r;
}

/* What the browser itself hands out before its profiler has looked at it. */
static int refuse_gecko(const char *path, struct error *reterr_error)
{
    error_set(reterr_error, "archive_invalid",
              "%s is a profile in the raw format of Firefox (Gecko), which is not read", path);
    error_hint(reterr_error, "load it into the Firefox Profiler, and save it from there");
    return -EBADMSG;
}

static int firefox_open(const char *path, struct import_reader **ret_reader,
                        struct error *reterr_error)
{
    _cleanup_(firefox_freep) struct import_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        error_set_errno(reterr_error, -ENOMEM, "reading a Firefox profile");
        return -ENOMEM;
    }
    arena_init(&reader->texts, 0);
    hash_table_init(&reader->tids);
    hash_table_init(&reader->pids);
    json_t *document = NULL;
    int r = firefox_json_load(path, &document, reterr_error);
    if (r < 0) {
        return r;
    }
    struct firefox_profile profile;
    if (firefox_profile_of(document, &profile)) {
        r = read_profile(reader, &profile);
        if (r < 0) {
            explain(path, r, reterr_error);
        } else if (reader->n_samples == 0 && firefox_profile_is_raw(&profile)) {
            r = refuse_gecko(path, reterr_error);
        } else if (reader->n_samples == 0) {
            error_set(reterr_error, "archive_invalid", "the Firefox profile %s has no samples",
                      path);
            r = -EBADMSG;
        }
    } else {
        error_set(reterr_error, "archive_invalid",
                  "%s is JSON, but no profile of the Firefox Profiler", path);
        r = -EBADMSG;
    }
    json_decref(document);
    if (r == 0) {
        *ret_reader = TAKE_PTR(reader);
    }
    return r;
}

static void firefox_facts(const struct import_reader *reader, struct import_facts *ret_facts)
{
    double hz = 1000 / reader->interval_ms;
    *ret_facts = (struct import_facts){
        .format = IMPORT_FIREFOX,
        .has_addresses = reader->stacks.has_files,
        .pid = reader->n_pids == 1 ? reader->pid_list[0] : 0,
        .n_samples = reader->n_samples,
        .frequency_hz = (uint32_t)(hz < MAX_FREQUENCY_HZ ? hz + 0.5 : MAX_FREQUENCY_HZ),
    };
    if (reader->start_ms > 0 && reader->start_ms < MAX_TIME_MS * 10) {
        ret_facts->started_at_unix_ns = (uint64_t)(reader->start_ms * (double)NS_PER_MS);
    }
    snprintf(ret_facts->command, sizeof(ret_facts->command), "%s", reader->product);
}

/* Threads, then each library in each process; false where there is nothing left to tell. */
static bool introduce(struct import_reader *reader, struct event_batch *batch)
{
    if (reader->at_thread < reader->n_threads) {
        const struct thread *thread = &reader->threads[reader->at_thread++];
        import_tell_thread(batch, thread->pid, thread->tid, START_NS, thread->name);
        return true;
    }
    size_t n_named = import_names_n_libraries(reader->stacks.names);
    size_t n_libraries = n_named + firefox_libraries_count(reader->stacks.libraries);
    if (reader->at_pid == reader->n_pids) {
        return false;
    }
    int64_t pid = reader->pid_list[reader->at_pid];
    size_t at = reader->at_library++;
    if (at < n_named) {
        (void)import_names_map(reader->stacks.names, at, pid, START_NS, batch);
    } else if (at < n_libraries) {
        firefox_libraries_map(reader->stacks.libraries, at - n_named, pid, START_NS, batch);
    } else {
        reader->at_library = 0;
        reader->at_pid++;
    }
    return true;
}

static void play(struct import_reader *reader, const struct sample *sample,
                 struct event_batch *batch)
{
    uint64_t ips[LIMIT_STACK_IPS];
    size_t n_ips = 0;
    bool is_whole = firefox_stacks_ips(&reader->stacks, sample->stacks, sample->stack, ips, &n_ips);
    uint32_t n_kernel_ips = import_names_make_stack(ips, n_ips);
    uint64_t *copy = event_batch_add_ips(batch, n_ips);
    if (copy && n_ips > 0) {
        memcpy(copy, ips, n_ips * sizeof(*ips));
    }
    const struct thread *thread = &reader->threads[sample->thread];
    const struct event event = {
        .kind = EVENT_SAMPLE,
        .time_ns = sample->time_ns,
        .pid = thread->pid,
        .tid = thread->tid,
        .stack = {.ips = copy,
                  .n_ips = copy ? (uint32_t)n_ips : 0,
                  .n_kernel_ips = copy ? n_kernel_ips : 0,
                  .source = EVENT_STACK_WALKED,
                  .end = is_whole ? EVENT_STACK_END_COMPLETE : EVENT_STACK_END_LIMIT},
        .sample = {.period_ns = sample->period_ns},
    };
    event_batch_add(batch, &event);
}

static int firefox_next(struct import_reader *reader, struct event_batch *batch)
{
    while (event_batch_has_room(batch)) {
        if (introduce(reader, batch)) {
            continue;
        }
        if (reader->n_played == reader->n_samples) {
            return 0;
        }
        play(reader, &reader->samples[reader->n_played++], batch);
    }
    return 1;
}

static const struct import_notes *firefox_notes(const struct import_reader *reader)
{
    return &reader->notes;
}

static struct kept_symbols *firefox_find_symbols(const struct import_reader *reader,
                                                 const struct image *image)
{
    /* An image with a build-id is a file of this machine, and that one has names. */
    return image->build_id_bytes > 0 ? NULL
                                     : import_names_find_symbols(reader->stacks.names, image);
}

const struct import_reader_ops import_firefox_ops = {
    .format = IMPORT_FIREFOX,
    .name = "Firefox profile",
    .is_mine = firefox_is_mine,
    .open = firefox_open,
    .free = firefox_free,
    .facts = firefox_facts,
    .next = firefox_next,
    .notes = firefox_notes,
    .find_symbols = firefox_find_symbols,
};
