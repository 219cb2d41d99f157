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
#include "interchange/firefox_libraries.h"
#include "interchange/firefox_profile.h"
#include "interchange/import_names.h"
#include "interchange/import_reader.h"

#define START_NS NS_PER_S
#define NAMELESS_LIBRARY "[firefox]"
/* JSON takes much more memory than bytes: a number some ten times as much, what is nested forty
 * times. A profile has few arrays, and long ones. */
#define MAX_JSON_BYTES (64u << 20)
#define MAX_JSON_NESTS (1u << 20)
#define MAX_THREADS 65536u
#define MAX_TIME_MS 1e12
/* Numbers of threads that the profile does not tell apart. */
#define FIRST_MADE_TID (INT64_C(1) << 32)

struct thread {
    const char *name;
    int64_t pid, tid;
};

/* The stacks of one table, which threads may share. */
struct stacks {
    const json_t *identity;
    size_t n_frames, n_stacks;
    uint64_t *frame_ips;         /* 0: the frame makes no sense */
    uint32_t *frames, *prefixes; /* of each stack; UINT32_MAX: none */
};

struct sample {
    uint64_t time_ns;
    uint32_t thread, period_ns;
    uint32_t stacks, stack; /* UINT32_MAX: it has none */
    uint32_t nth;           /* in the file: of two at one time the first one comes first */
};

struct import_reader {
    struct arena texts;
    struct import_names *names;
    struct firefox_libraries *libraries;
    struct thread *threads;
    size_t n_threads;
    struct hash_table tids;
    struct hash_table pids; /* → index in pid_list */
    int64_t *pid_list;
    size_t n_pids;
    struct stacks *stacks; /* one per thread at most */
    size_t n_stack_tables;
    struct sample *samples;
    size_t n_samples, samples_capacity, n_played;
    size_t at_thread, at_pid, at_library; /* what is told before the first sample */
    double interval_ms, start_ms;
    char product[64];
    bool has_files;
    uint64_t n_idle, n_bad, n_other_weights;
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

/* ---- stacks ---- */

struct library_path {
    const char *bytes;
    size_t n_bytes;
};

static struct library_path library_of(const struct firefox_profile *profile,
                                      const struct firefox_thread *view, size_t func,
                                      int64_t *ret_lib)
{
    int64_t resource = firefox_number(view->func_resource, func, -1);
    *ret_lib = resource >= 0 ? firefox_number(view->resource_lib, (size_t)resource, -1) : -1;
    const json_t *lib = *ret_lib >= 0 ? json_array_get(profile->libs, (size_t)*ret_lib) : NULL;
    const json_t *path = json_object_get(lib, "path");
    if (!json_is_string(path) || json_string_length(path) == 0) {
        path = json_object_get(lib, "name");
    }
    if (json_is_string(path) && json_string_length(path) > 0) {
        return (struct library_path){json_string_value(path), json_string_length(path)};
    }
    return (struct library_path){NAMELESS_LIBRARY, strlen(NAMELESS_LIBRARY)};
}

static bool is_kernel(const struct firefox_profile *profile, const struct firefox_thread *view,
                      size_t frame, const char *library)
{
    int64_t category = firefox_number(view->frame_category, frame, -1);
    const char *name = category < 0
                           ? NULL
                           : json_string_value(json_object_get(
                                 json_array_get(profile->categories, (size_t)category), "name"));
    return strncmp(library, "[kernel", 7) == 0 || (name && strcmp(name, "Kernel") == 0);
}

static void find_file(const struct firefox_thread *view, size_t func, struct import_frame *frame)
{
    int64_t number = firefox_number(view->func_file, func, -1);
    int64_t source = firefox_number(view->func_source, func, -1);
    if (number < 0 && source >= 0) {
        number = firefox_number(view->source_file, (size_t)source, -1);
    }
    frame->file = firefox_text(view, number, &frame->file_bytes);
}

/* samply's way to say that it knows no name. */
static bool is_nameless(const struct import_frame *frame)
{
    return frame->function_bytes == 0 ||
           (frame->function_bytes > 2 && strncmp(frame->function, "0x", 2) == 0);
}

static int make_frame(struct import_reader *reader, const struct firefox_profile *profile,
                      const struct firefox_thread *view, size_t row, uint64_t *ret_ip)
{
    int64_t func = firefox_number(view->frame_func, row, -1);
    int64_t line = firefox_number(view->frame_line, row, 0), lib;
    *ret_ip = 0;
    if (func < 0) {
        return 0;
    }
    struct import_frame frame = {.line = line > 0 && line < UINT32_MAX ? (uint32_t)line : 0};
    frame.function = firefox_text(view, firefox_number(view->func_name, (size_t)func, -1),
                                  &frame.function_bytes);
    frame.is_jit = json_is_true(json_array_get(view->func_is_js, (size_t)func));
    find_file(view, (size_t)func, &frame);
    struct library_path path = library_of(profile, view, (size_t)func, &lib);
    frame.is_kernel = is_kernel(profile, view, row, path.bytes);
    int64_t address = firefox_number(view->frame_address, row, -1);
    if (is_nameless(&frame) && !frame.is_kernel && lib >= 0 && address >= 0 &&
        firefox_libraries_ip(reader->libraries, (size_t)lib, (uint64_t)address, ret_ip)) {
        reader->has_files = true;
        return 0;
    }
    uint32_t library;
    int r = import_names_library(reader->names, path.bytes, path.n_bytes, &library);
    return r ? r : import_names_add(reader->names, library, &frame, 1, ret_ip);
}

static int fill_stacks(struct import_reader *reader, const struct firefox_profile *profile,
                       const struct firefox_thread *view, struct stacks *stacks)
{
    stacks->n_frames = json_array_size(view->frame_func);
    stacks->n_stacks = json_array_size(view->stack_frame);
    stacks->frame_ips = calloc(stacks->n_frames + 1, sizeof(*stacks->frame_ips));
    stacks->frames = calloc(stacks->n_stacks + 1, sizeof(*stacks->frames));
    stacks->prefixes = calloc(stacks->n_stacks + 1, sizeof(*stacks->prefixes));
    if (!stacks->frame_ips || !stacks->frames || !stacks->prefixes) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < stacks->n_frames; i++) {
        int r = make_frame(reader, profile, view, i, &stacks->frame_ips[i]);
        if (r < 0) {
            return r;
        }
    }
    for (size_t i = 0; i < stacks->n_stacks; i++) {
        int64_t frame = firefox_number(view->stack_frame, i, -1);
        int64_t prefix = firefox_number(view->stack_prefix, i, -1);
        bool is_known = frame >= 0 && (uint64_t)frame < stacks->n_frames;
        stacks->frames[i] = is_known ? (uint32_t)frame : UINT32_MAX;
        /* A caller stands before what it calls; so there is no way round in a circle. */
        stacks->prefixes[i] = prefix >= 0 && (uint64_t)prefix < i ? (uint32_t)prefix : UINT32_MAX;
    }
    return 0;
}

static int stacks_of(struct import_reader *reader, const struct firefox_profile *profile,
                     const struct firefox_thread *view, uint32_t *ret_index)
{
    size_t n = reader->n_stack_tables;
    if (n > 0 && reader->stacks[n - 1].identity == view->stack_frame) {
        *ret_index = (uint32_t)n - 1;
        return 0;
    }
    *ret_index = (uint32_t)reader->n_stack_tables;
    struct stacks *stacks = &reader->stacks[reader->n_stack_tables++];
    stacks->identity = view->stack_frame;
    return fill_stacks(reader, profile, view, stacks);
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
    if (strcmp(view->weight_type, "tracing-ms") == 0) {
        return cpu == 0 ? -1 : weight * (double)NS_PER_MS; /* a wait weighs its length */
    }
    if (cpu >= 0 && profile->cpu_unit_ns > 0) {
        return cpu > 0 ? cpu * profile->cpu_unit_ns : -1;
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
        bool is_known = stack >= 0 && (uint64_t)stack < reader->stacks[stacks].n_stacks;
        reader->n_bad += stack >= 0 && !is_known;
        time_ms = time_ms < MAX_TIME_MS ? time_ms : MAX_TIME_MS;
        const struct sample sample = {
            .time_ns = START_NS + (time_ms > 0 ? (uint64_t)(time_ms * (double)NS_PER_MS) : 0),
            .thread = (uint32_t)reader->n_threads,
            .period_ns = period_ns < UINT32_MAX ? (uint32_t)(period_ns + 0.5) : UINT32_MAX,
            .stacks = stacks,
            .stack = is_known ? (uint32_t)stack : UINT32_MAX,
        };
        int r = add_sample(reader, &sample);
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
    reader->stacks = calloc(n_threads + 1, sizeof(*reader->stacks));
    reader->pid_list = calloc(n_threads + 1, sizeof(*reader->pid_list));
    if (!reader->threads || !reader->stacks || !reader->pid_list) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_threads; i++) {
        struct firefox_thread view;
        uint32_t stacks;
        firefox_profile_thread(profile, i, &view);
        int r = take_thread(reader, &view);
        r = r ? r : stacks_of(reader, profile, &view, &stacks);
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
        for (size_t i = 0; i < reader->n_stack_tables; i++) {
            free(reader->stacks[i].frame_ips);
            free(reader->stacks[i].frames);
            free(reader->stacks[i].prefixes);
        }
        free(reader->stacks);
        free(reader->threads);
        free(reader->pid_list);
        free(reader->samples);
        hash_table_release(&reader->tids);
        hash_table_release(&reader->pids);
        arena_release(&reader->texts);
        firefox_libraries_free(reader->libraries);
        import_names_free(reader->names);
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
    int r = import_names_new(&reader->names);
    r = r ? r : firefox_libraries_new(profile->libs, &reader->libraries);
    r = r ? r : take_threads(reader, profile);
    r = r ? r : import_names_finish(reader->names);
    note_all(reader);
    return r;
}

static bool has_many_nests(const uint8_t *bytes, size_t n_bytes)
{
    size_t n_nests = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        n_nests += bytes[i] == '[' || bytes[i] == '{';
    }
    return n_nests > MAX_JSON_NESTS;
}

static int load(const char *path, json_t **ret_document, struct error *reterr_error)
{
    _cleanup_(freep) uint8_t *bytes = NULL;
    size_t n_bytes;
    int r = import_read_whole(path, &bytes, &n_bytes, reterr_error);
    if (r < 0) {
        return r;
    }
    if (n_bytes > MAX_JSON_BYTES || has_many_nests(bytes, n_bytes)) {
        error_set(reterr_error, "limit",
                  "%s is larger than the %u MiB or %u arrays and objects of JSON that are read",
                  path, MAX_JSON_BYTES >> 20, MAX_JSON_NESTS);
        return -EFBIG;
    }
    json_error_t wrong;
    *ret_document = json_loadb((const char *)bytes, n_bytes, 0, &wrong);
    if (!*ret_document) {
        error_set(reterr_error, "archive_invalid", "%s cannot be read: %s in line %d", path,
                  wrong.text, wrong.line);
        return -EBADMSG;
    }
    return 0;
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
    int r = load(path, &document, reterr_error);
    if (r < 0) {
        return r;
    }
    struct firefox_profile profile;
    if (firefox_profile_of(document, &profile)) {
        r = read_profile(reader, &profile);
        if (r < 0) {
            error_set_errno(reterr_error, r, "reading a Firefox profile");
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
    *ret_facts = (struct import_facts){
        .format = IMPORT_FIREFOX,
        .has_addresses = reader->has_files,
        .pid = reader->n_pids == 1 ? reader->pid_list[0] : 0,
        .n_samples = reader->n_samples,
        .frequency_hz = (uint32_t)(1000 / reader->interval_ms + 0.5),
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
    size_t n_named = import_names_n_libraries(reader->names);
    size_t n_libraries = n_named + firefox_libraries_count(reader->libraries);
    if (reader->at_pid == reader->n_pids) {
        return false;
    }
    int64_t pid = reader->pid_list[reader->at_pid];
    size_t at = reader->at_library++;
    if (at < n_named) {
        (void)import_names_map(reader->names, at, pid, START_NS, batch);
    } else if (at < n_libraries) {
        firefox_libraries_map(reader->libraries, at - n_named, pid, START_NS, batch);
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
    const struct stacks *stacks = &reader->stacks[sample->stacks];
    uint32_t at = sample->stack;
    while (at != UINT32_MAX && n_ips < LIMIT_STACK_IPS) {
        uint32_t frame = stacks->frames[at];
        uint64_t ip = frame == UINT32_MAX ? 0 : stacks->frame_ips[frame];
        ips[n_ips] = ip;
        n_ips += ip != 0;
        at = stacks->prefixes[at];
    }
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
                  .end = at == UINT32_MAX ? EVENT_STACK_END_COMPLETE : EVENT_STACK_END_LIMIT},
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
    return image->build_id_bytes > 0 ? NULL : import_names_find_symbols(reader->names, image);
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
