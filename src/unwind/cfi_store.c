/* SPDX-License-Identifier: MIT */
/*
 * One thread does all that touches files. A table that a stack waits for comes
 * before opening what may never be needed; a file that cannot be opened any
 * more later is the smaller harm.
 *
 * What came out is published once per source with a release store, and stays as
 * it is while the source has it: asking takes no lock.
 */
#include "unwind/cfi_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/thread.h"
#include "images/image_file.h"
#include "unwind/cfi_outcomes.h"

enum job { JOB_BUILD, JOB_OPEN, JOB_CLOSE, JOB_N };

struct cfi_source {
    struct cfi_store *store;
    struct cfi_source *older, *newer; /* in the store's list of all */
    struct image image;               /* strings are ours */
    atomic_bool is_wanted;
    _Atomic uint64_t wanted_ns, ready_ns;
    struct cfi_outcome *_Atomic outcome; /* NULL: pending */
    /* The store's thread's alone: */
    struct image_file *file;
    /* Under the store's lock: */
    struct cfi_source *next[JOB_N];
    size_t n_jobs;
    bool is_closing;  /* JOB_CLOSE is queued */
    bool is_released; /* freed when its jobs are done */
};

struct job_queue {
    struct cfi_source *first, *last;
};

struct cfi_store {
    pthread_t builder;
    pthread_mutex_t lock;
    pthread_cond_t has_work, is_idle;
    /* Under the lock: */
    struct job_queue queues[JOB_N];
    size_t n_unfinished; /* builds and openings, the one at work included */
    bool is_stopping;
    struct cfi_source *newest;
    struct cfi_outcomes outcomes;
    /* The thread's alone, until it has ended: */
    size_t n_held_files;
};

/* What is told where not even the reason found room. */
static struct cfi_outcome out_of_memory = {.failure = "out of memory", .is_constant = true};
static struct cfi_outcome no_file = {.failure = "no file stands behind it", .is_constant = true};

/* Under the lock. A source is queued at most once for each job. */
static void enqueue(struct cfi_store *store, enum job job, struct cfi_source *source)
{
    struct job_queue *queue = &store->queues[job];
    source->next[job] = NULL;
    source->n_jobs++;
    if (queue->last) {
        queue->last->next[job] = source;
    } else {
        queue->first = source;
    }
    queue->last = source;
    store->n_unfinished += job != JOB_CLOSE;
    pthread_cond_signal(&store->has_work);
}

/* Under the lock. */
static struct cfi_source *dequeue(struct cfi_store *store, enum job *ret_job)
{
    for (int job = 0; job < JOB_N; job++) {
        struct job_queue *queue = &store->queues[job];
        struct cfi_source *source = queue->first;
        if (source) {
            queue->first = source->next[job];
            queue->last = queue->first ? queue->last : NULL;
            *ret_job = (enum job)job;
            return source;
        }
    }
    return NULL;
}

static bool is_settled(const struct cfi_source *source)
{
    return atomic_load_explicit(&source->outcome, memory_order_acquire) != NULL;
}

static void hold_file(struct cfi_store *store, struct cfi_source *source)
{
    if (!source->file && !is_settled(source) && store->n_held_files < CFI_STORE_MAX_HELD &&
        image_file_open(&source->image, &source->file, NULL) == 0) {
        store->n_held_files++;
    }
}

static void release_file(struct cfi_store *store, struct cfi_source *source)
{
    if (source->file) {
        source->file = image_file_free(source->file);
        store->n_held_files--;
    }
}

/* Building --------------------------------------------------------------------------------- */

static int open_elf(const struct image_file *file, struct elf_file **ret_elf,
                    struct error *reterr_error)
{
    size_t n_bytes;
    const void *memory = image_file_memory(file, &n_bytes);
    return memory ? elf_file_open_memory(memory, n_bytes, ret_elf, reterr_error)
                  : elf_file_open_descriptor(image_file_descriptor(file), ret_elf, reterr_error);
}

static int identify(const struct image *image, const struct image_file *file, struct elf_file *elf,
                    struct cfi_identity *ret_identity)
{
    memset(ret_identity, 0, sizeof(*ret_identity));
    ret_identity->kind = image->kind;
    (void)elf_file_build_id(elf, ret_identity->build_id);
    size_t n_bytes;
    const void *memory = image_file_memory(file, &n_bytes);
    if (memory) {
        ret_identity->n_bytes = n_bytes;
        ret_identity->content = hash_bytes(memory, n_bytes);
        return 0;
    }
    struct stat status;
    if (fstat(image_file_descriptor(file), &status) < 0) {
        return -errno;
    }
    ret_identity->device = status.st_dev;
    ret_identity->inode = status.st_ino;
    ret_identity->n_bytes = (uint64_t)status.st_size;
    ret_identity->modified_s = status.st_mtim.tv_sec;
    ret_identity->modified_ns = status.st_mtim.tv_nsec;
    return 0;
}

static struct cfi_outcome *find_shared(struct cfi_store *store, const struct cfi_identity *identity)
{
    pthread_mutex_lock(&store->lock);
    struct cfi_outcome *outcome = cfi_outcomes_take(&store->outcomes, identity);
    pthread_mutex_unlock(&store->lock);
    return outcome;
}

static struct cfi_outcome *add_outcome(struct cfi_store *store, struct cfi_outcome *outcome)
{
    pthread_mutex_lock(&store->lock);
    cfi_outcomes_add(&store->outcomes, outcome);
    pthread_mutex_unlock(&store->lock);
    return outcome;
}

static void set_failure(struct cfi_outcome *outcome, const struct error *error)
{
    snprintf(outcome->failure, sizeof(outcome->failure), "%.*s", (int)sizeof(outcome->failure) - 1,
             error_is_set(error) ? error->message : "no reason is known");
}

/* A file without a table is remembered too: asking again would give the same answer. */
static struct cfi_outcome *build_table(struct cfi_store *store, const struct cfi_identity *identity,
                                       struct elf_file *elf)
{
    struct cfi_outcome *outcome = calloc(1, sizeof(*outcome));
    if (!outcome) {
        return &out_of_memory;
    }
    struct error error = {0};
    uint64_t started_ns = clock_now_ns();
    int r = cfi_table_build_elf(elf, &outcome->table, &error);
    outcome->build_ns = clock_now_ns() - started_ns;
    outcome->layout = *elf_file_layout(elf);
    outcome->identity = *identity;
    outcome->is_shared = r != -ENOMEM;
    if (r < 0) {
        set_failure(outcome, &error);
    }
    return add_outcome(store, outcome);
}

static struct cfi_outcome *fail(struct cfi_store *store, const struct error *error)
{
    struct cfi_outcome *outcome = calloc(1, sizeof(*outcome));
    if (!outcome) {
        return &out_of_memory;
    }
    set_failure(outcome, error);
    return add_outcome(store, outcome);
}

static struct cfi_outcome *build(struct cfi_store *store, struct cfi_source *source)
{
    struct error error = {0};
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    if (!source->file) {
        if (image_file_open(&source->image, &source->file, &error) < 0) {
            return fail(store, &error);
        }
        store->n_held_files++;
    }
    if (open_elf(source->file, &elf, &error) < 0) {
        return fail(store, &error);
    }
    struct cfi_identity identity;
    int r = identify(&source->image, source->file, elf, &identity);
    if (r < 0) {
        error_set_errno(&error, r, "identifying the file");
        return fail(store, &error);
    }
    struct cfi_outcome *shared = find_shared(store, &identity);
    return shared ? shared : build_table(store, &identity, elf);
}

static void do_job(struct cfi_store *store, enum job job, struct cfi_source *source)
{
    switch (job) {
    case JOB_BUILD: {
        struct cfi_outcome *outcome = build(store, source);
        release_file(store, source);
        atomic_store_explicit(&source->ready_ns, clock_now_ns(), memory_order_relaxed);
        atomic_store_explicit(&source->outcome, outcome, memory_order_release);
        break;
    }
    case JOB_OPEN:
        hold_file(store, source);
        break;
    default:
        release_file(store, source);
        break;
    }
}

static void free_source(struct cfi_source *source)
{
    image_file_free(source->file);
    free((char *)(uintptr_t)source->image.path);
    free((char *)(uintptr_t)source->image.name);
    free(source);
}

/* Under the lock, on the thread. */
static void end_source(struct cfi_store *store, struct cfi_source *source)
{
    if (source->newer) {
        source->newer->older = source->older;
    } else {
        store->newest = source->older;
    }
    if (source->older) {
        source->older->newer = source->newer;
    }
    cfi_outcomes_release(&store->outcomes,
                         atomic_load_explicit(&source->outcome, memory_order_relaxed));
    free_source(source);
}

/* The thread ------------------------------------------------------------------------------- */

static void *run_builder(void *userdata)
{
    struct cfi_store *store = userdata;
    pthread_mutex_lock(&store->lock);
    while (!store->is_stopping) {
        enum job job;
        struct cfi_source *source = dequeue(store, &job);
        if (!source) {
            pthread_cond_wait(&store->has_work, &store->lock);
            continue;
        }
        source->is_closing = source->is_closing && job != JOB_CLOSE;
        /* Of one that was released, only its file is still of interest. */
        if (!source->is_released || job == JOB_CLOSE) {
            pthread_mutex_unlock(&store->lock);
            do_job(store, job, source);
            pthread_mutex_lock(&store->lock);
        }
        source->n_jobs--;
        if (source->is_released && source->n_jobs == 0) {
            end_source(store, source);
        }
        store->n_unfinished -= job != JOB_CLOSE;
        if (store->n_unfinished == 0) {
            pthread_cond_broadcast(&store->is_idle);
        }
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

static void release_locks(struct cfi_store *store)
{
    pthread_cond_destroy(&store->has_work);
    pthread_cond_destroy(&store->is_idle);
    pthread_mutex_destroy(&store->lock);
}

int cfi_store_new(struct cfi_store **ret_store)
{
    struct cfi_store *store = calloc(1, sizeof(*store));
    if (!store) {
        return -ENOMEM;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->has_work, &attributes);
    pthread_cond_init(&store->is_idle, &attributes);
    pthread_condattr_destroy(&attributes);
    atomic_init(&store->outcomes.memory_bytes, 0);
    store->outcomes.max_idle_bytes = CFI_STORE_MAX_IDLE_BYTES;
    int r = thread_start("unwind-tables", run_builder, store, &store->builder);
    if (r < 0) {
        release_locks(store);
        free(store);
        return r;
    }
    *ret_store = store;
    return 0;
}

struct cfi_store *cfi_store_free(struct cfi_store *store)
{
    if (!store) {
        return NULL;
    }
    pthread_mutex_lock(&store->lock);
    store->is_stopping = true;
    pthread_cond_signal(&store->has_work);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->builder, NULL);

    while (store->newest) {
        struct cfi_source *source = store->newest;
        store->newest = source->older;
        free_source(source);
    }
    cfi_outcomes_clear(&store->outcomes);
    release_locks(store);
    free(store);
    return NULL;
}

/* Sources ---------------------------------------------------------------------------------- */

static bool has_file(enum image_kind kind)
{
    return kind == IMAGE_KIND_FILE || kind == IMAGE_KIND_VDSO;
}

struct cfi_source *cfi_store_announce(struct cfi_store *store, const struct image *image)
{
    struct cfi_source *source = calloc(1, sizeof(*source));
    if (!source) {
        return NULL;
    }
    source->store = store;
    source->image = *image;
    source->image.path = strdup(image->path);
    source->image.name = strdup(image->name);
    if (!source->image.path || !source->image.name) {
        free_source(source);
        return NULL;
    }
    atomic_init(&source->is_wanted, false);
    atomic_init(&source->wanted_ns, 0);
    atomic_init(&source->ready_ns, 0);
    atomic_init(&source->outcome, has_file(image->kind) ? NULL : &no_file);

    pthread_mutex_lock(&store->lock);
    source->older = store->newest;
    if (store->newest) {
        store->newest->newer = source;
    }
    store->newest = source;
    if (has_file(image->kind)) {
        enqueue(store, JOB_OPEN, source);
    }
    pthread_mutex_unlock(&store->lock);
    return source;
}

void cfi_source_want(struct cfi_source *source)
{
    if (atomic_load_explicit(&source->is_wanted, memory_order_relaxed) || is_settled(source) ||
        atomic_exchange_explicit(&source->is_wanted, true, memory_order_relaxed)) {
        return;
    }
    atomic_store_explicit(&source->wanted_ns, clock_now_ns(), memory_order_relaxed);
    pthread_mutex_lock(&source->store->lock);
    enqueue(source->store, JOB_BUILD, source);
    pthread_mutex_unlock(&source->store->lock);
}

enum code_state cfi_source_state(const struct cfi_source *source,
                                 const struct cfi_table **ret_table, struct elf_layout *ret_layout)
{
    const struct cfi_outcome *outcome =
        atomic_load_explicit(&source->outcome, memory_order_acquire);
    if (!outcome) {
        return CODE_PENDING;
    }
    if (!outcome->table) {
        return CODE_WITHOUT_TABLE;
    }
    *ret_table = outcome->table;
    *ret_layout = outcome->layout;
    return CODE_READY;
}

/* Under the lock. */
static void queue_closing(struct cfi_source *source)
{
    if (!source->is_closing) {
        source->is_closing = true;
        enqueue(source->store, JOB_CLOSE, source);
    }
}

void cfi_source_retire(struct cfi_source *source)
{
    pthread_mutex_lock(&source->store->lock);
    queue_closing(source);
    pthread_mutex_unlock(&source->store->lock);
}

struct cfi_source *cfi_source_release(struct cfi_source *source)
{
    if (source) {
        struct cfi_store *store = source->store;
        pthread_mutex_lock(&store->lock);
        source->is_released = true;
        queue_closing(source);
        pthread_mutex_unlock(&store->lock);
    }
    return NULL;
}

void cfi_store_limit_idle(struct cfi_store *store, size_t max_bytes)
{
    pthread_mutex_lock(&store->lock);
    cfi_outcomes_limit_idle(&store->outcomes, max_bytes);
    pthread_mutex_unlock(&store->lock);
}

void cfi_source_describe(const struct cfi_source *source, struct cfi_source_info *ret_info)
{
    const struct cfi_outcome *outcome =
        atomic_load_explicit(&source->outcome, memory_order_acquire);
    *ret_info = (struct cfi_source_info){.state = CODE_PENDING, .origin = "none"};
    if (!outcome) {
        return;
    }
    uint64_t wanted_ns = atomic_load_explicit(&source->wanted_ns, memory_order_relaxed);
    uint64_t ready_ns = atomic_load_explicit(&source->ready_ns, memory_order_relaxed);
    ret_info->state = outcome->table ? CODE_READY : CODE_WITHOUT_TABLE;
    ret_info->build_ns = outcome->build_ns;
    ret_info->wait_ns = ready_ns > wanted_ns ? ready_ns - wanted_ns : 0;
    memcpy(ret_info->failure, outcome->failure, sizeof(ret_info->failure));
    if (outcome->table) {
        ret_info->origin = outcome->table->origin;
        ret_info->n_functions = outcome->table->n_functions;
        ret_info->n_rows = outcome->table->n_rows;
        ret_info->n_unsupported = outcome->table->n_unsupported;
        ret_info->n_refused = outcome->table->n_refused;
        ret_info->memory_bytes = cfi_table_memory_bytes(outcome->table);
    }
}

bool cfi_store_wait_idle(struct cfi_store *store, int timeout_ms)
{
    uint64_t until_ns = clock_now_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS;
    struct timespec until = {
        .tv_sec = (time_t)(until_ns / NS_PER_S),
        .tv_nsec = (long)(until_ns % NS_PER_S),
    };
    pthread_mutex_lock(&store->lock);
    int r = 0;
    while (store->n_unfinished > 0 && r == 0) {
        r = pthread_cond_timedwait(&store->is_idle, &store->lock, &until);
    }
    bool is_idle = store->n_unfinished == 0;
    pthread_mutex_unlock(&store->lock);
    return is_idle;
}

size_t cfi_store_memory_bytes(const struct cfi_store *store)
{
    return atomic_load_explicit(&store->outcomes.memory_bytes, memory_order_relaxed);
}
