/* SPDX-License-Identifier: MIT */
/*
 * One thread does all that touches files. It opens before it loads, since a
 * target that has just mapped a file may be gone before a big table is read.
 *
 * What it has read is published once per source with a release store, and
 * never changes again: finding takes no lock.
 */
#include "symbols/symbolizer.h"

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
#include "symbols/debug_fetch.h"
#include "symbols/debug_lines.h"
#include "symbols/image_symbols.h"
#include "symbols/kallsyms.h"
#include "symbols/kept_symbols.h"
#include "symbols/symbolizer_internal.h"

/* Descriptors held for images that nobody has wanted yet; the usual limit of a process is 1024. */
#define MAX_HELD_FILES 256

/* What makes two images share one table. Zeroed before it is filled: compared as bytes. */
struct table_identity {
    uint64_t kind;
    uint64_t device, inode, n_bytes;
    int64_t modified_s, modified_ns;
    uint64_t content; /* a hash of what has no file */
};

struct shared_table {
    struct table_identity identity;
    struct image_symbols *symbols;
    struct shared_table *next;
};

struct job_queue {
    struct symbol_source *first, *last;
};

struct symbolizer {
    pthread_t loader;
    pthread_mutex_t lock;
    pthread_cond_t has_work, is_idle;
    /* Under the lock: */
    struct job_queue queues[JOB_N];
    size_t n_unfinished;     /* opens and loads, the one at work included */
    atomic_bool is_stopping; /* set under the lock */
    struct symbol_source *newest;
    /* The loader's alone, until it has ended: */
    struct shared_table *tables;
    size_t n_held_files;
    struct debug_fetch *fetch; /* NULL: no server is configured */
    struct debug_lines_desk *lines_desk;
    struct debug_directories debug_directories;
    atomic_uint_least64_t search_again_ns;
};

/* Under the lock. A source is queued at most once for each job. */
static void enqueue(struct symbolizer *symbolizer, enum job job, struct symbol_source *source)
{
    struct job_queue *queue = &symbolizer->queues[job];
    if (queue->last) {
        queue->last->next[job] = source;
    } else {
        queue->first = source;
    }
    queue->last = source;
    symbolizer->n_unfinished += job != JOB_CLOSE;
    pthread_cond_signal(&symbolizer->has_work);
}

/* Under the lock. Opening comes before loading, and both before closing what was not wanted. */
static struct symbol_source *dequeue(struct symbolizer *symbolizer, enum job *ret_job)
{
    for (int job = 0; job < JOB_N; job++) {
        struct job_queue *queue = &symbolizer->queues[job];
        struct symbol_source *source = queue->first;
        if (source) {
            queue->first = source->next[job];
            if (!queue->first) {
                queue->last = NULL;
            }
            *ret_job = (enum job)job;
            return source;
        }
    }
    return NULL;
}

static void hold_file(struct symbolizer *symbolizer, struct symbol_source *source)
{
    if (symbolizer->n_held_files < MAX_HELD_FILES &&
        image_file_open(&source->image, &source->file, NULL) == 0) {
        symbolizer->n_held_files++;
    }
}

static void release_file(struct symbolizer *symbolizer, struct symbol_source *source)
{
    if (source->file) {
        source->file = image_file_free(source->file);
        symbolizer->n_held_files--;
    }
}

static struct table_identity identity_of_content(enum image_kind kind, const void *data,
                                                 size_t n_bytes)
{
    struct table_identity identity;
    memset(&identity, 0, sizeof(identity));
    identity.kind = kind;
    identity.n_bytes = n_bytes;
    identity.content = hash_bytes(data, n_bytes);
    return identity;
}

static int identify_file(const struct image *image, const struct image_file *file,
                         struct table_identity *ret_identity)
{
    size_t n_bytes;
    const void *memory = image_file_memory(file, &n_bytes);
    if (memory) {
        *ret_identity = identity_of_content(image->kind, memory, n_bytes);
        return 0;
    }
    struct stat status;
    if (fstat(image_file_descriptor(file), &status) < 0) {
        return -errno;
    }
    memset(ret_identity, 0, sizeof(*ret_identity));
    ret_identity->kind = image->kind;
    ret_identity->device = status.st_dev;
    ret_identity->inode = status.st_ino;
    ret_identity->n_bytes = (uint64_t)status.st_size;
    ret_identity->modified_s = status.st_mtim.tv_sec;
    ret_identity->modified_ns = status.st_mtim.tv_nsec;
    return 0;
}

static struct image_symbols *find_shared(const struct symbolizer *symbolizer,
                                         const struct table_identity *identity)
{
    for (const struct shared_table *table = symbolizer->tables; table; table = table->next) {
        if (memcmp(&table->identity, identity, sizeof(*identity)) == 0) {
            return table->symbols;
        }
    }
    return NULL;
}

/* The symbolizer owns the table from here on; -ENOMEM: it is gone. */
static int share(struct symbolizer *symbolizer, const struct table_identity *identity,
                 struct image_symbols *takes_symbols)
{
    struct shared_table *table = malloc(sizeof(*table));
    if (!table) {
        image_symbols_free(takes_symbols);
        return -ENOMEM;
    }
    *table = (struct shared_table){
        .identity = *identity,
        .symbols = takes_symbols,
        .next = symbolizer->tables,
    };
    symbolizer->tables = table;
    return 0;
}

/* Modules come and go between runs: only the same text gives the same table. */
static int load_kernel_part(struct symbolizer *symbolizer, const struct kallsyms_piece *piece,
                            struct image_symbols **ret_symbols, struct error *reterr_error)
{
    struct table_identity identity =
        identity_of_content(IMAGE_KIND_KERNEL, piece->text, piece->n_bytes);
    *ret_symbols = find_shared(symbolizer, &identity);
    if (*ret_symbols) {
        return 0;
    }
    int r = image_symbols_load_kernel(piece->text, piece->n_bytes, ret_symbols, reterr_error);
    return r < 0 ? r : share(symbolizer, &identity, *ret_symbols);
}

static int load_kernel(struct symbolizer *symbolizer, struct image_symbols **ret_symbols,
                       struct error *reterr_error)
{
    _cleanup_(freep) char *text = NULL;
    size_t n_bytes;
    int r = kallsyms_read(&text, &n_bytes, reterr_error);
    if (r < 0) {
        return r;
    }
    struct kallsyms_piece pieces[KALLSYMS_PART_N];
    kallsyms_split(text, n_bytes, pieces);
    for (size_t i = 0; i < KALLSYMS_PART_N; i++) {
        struct error *reterr_part = i == KALLSYMS_PART_KERNEL ? reterr_error : NULL;
        r = load_kernel_part(symbolizer, &pieces[i], &ret_symbols[i], reterr_part);
        if (r < 0) {
            ret_symbols[i] = NULL;
        }
        if (r < 0 && i == KALLSYMS_PART_KERNEL) {
            return r;
        }
    }
    return 0;
}

/* Debug symbols may have been installed since, or a server be back. */
static void search_again(struct symbolizer *symbolizer, const struct symbol_source *source,
                         struct image_symbols *symbols)
{
    int fd = image_file_descriptor(source->file);
    uint64_t min_age_ns = atomic_load(&symbolizer->search_again_ns);
    int r = image_symbols_search_again(symbols, &source->image, fd, &symbolizer->debug_directories,
                                       min_age_ns);
    if (r == -ENOENT) {
        debug_fetch_ask(symbolizer->fetch, &source->image, fd, symbols);
    }
}

static int load_file(struct symbolizer *symbolizer, struct symbol_source *source,
                     struct image_symbols **ret_symbols, struct error *reterr_error)
{
    if (!source->file) {
        int r = image_file_open(&source->image, &source->file, reterr_error);
        if (r < 0) {
            return r;
        }
        symbolizer->n_held_files++;
    }
    struct table_identity identity;
    int r = identify_file(&source->image, source->file, &identity);
    if (r < 0) {
        error_set_errno(reterr_error, r, "identifying the file");
        return r;
    }
    *ret_symbols = find_shared(symbolizer, &identity);
    if (*ret_symbols) {
        search_again(symbolizer, source, *ret_symbols);
        return 0;
    }
    r = image_symbols_load_elf(&source->image, source->file, &symbolizer->debug_directories,
                               ret_symbols, reterr_error);
    if (r == 0) {
        r = share(symbolizer, &identity, *ret_symbols);
    }
    if (r == 0) {
        debug_fetch_ask(symbolizer->fetch, &source->image, image_file_descriptor(source->file),
                        *ret_symbols);
    }
    return r;
}

static void load(struct symbolizer *symbolizer, struct symbol_source *source)
{
    struct error error = {0};
    struct image_symbols *symbols[KALLSYMS_PART_N] = {0};
    int r = source->image.kind == IMAGE_KIND_KERNEL
                ? load_kernel(symbolizer, symbols, &error)
                : load_file(symbolizer, source, &symbols[0], &error);
    release_file(symbolizer, source);
    if (r < 0) {
        const char *reason = error_is_set(&error) ? error.message : "out of memory";
        snprintf(source->failure, sizeof(source->failure), "%.*s", (int)sizeof(source->failure) - 1,
                 reason);
        atomic_store_explicit(&source->state, SYMBOL_STATE_FAILED, memory_order_release);
        return;
    }
    for (size_t i = 0; i < KALLSYMS_PART_N; i++) {
        atomic_store_explicit(&source->symbols[i], symbols[i], memory_order_release);
    }
    atomic_store_explicit(&source->state, SYMBOL_STATE_LOADED, memory_order_release);
}

static void do_job(struct symbolizer *symbolizer, enum job job, struct symbol_source *source)
{
    switch (job) {
    case JOB_OPEN:
        hold_file(symbolizer, source);
        break;
    case JOB_LOAD:
        load(symbolizer, source);
        break;
    default:
        release_file(symbolizer, source);
        break;
    }
}

static void *run_loader(void *userdata)
{
    struct symbolizer *symbolizer = userdata;
    pthread_mutex_lock(&symbolizer->lock);
    while (!atomic_load(&symbolizer->is_stopping)) {
        enum job job;
        struct symbol_source *source = dequeue(symbolizer, &job);
        if (!source) {
            pthread_cond_wait(&symbolizer->has_work, &symbolizer->lock);
            continue;
        }
        pthread_mutex_unlock(&symbolizer->lock);
        do_job(symbolizer, job, source);
        pthread_mutex_lock(&symbolizer->lock);
        symbolizer->n_unfinished -= job != JOB_CLOSE;
        if (symbolizer->n_unfinished == 0) {
            pthread_cond_broadcast(&symbolizer->is_idle);
        }
    }
    pthread_mutex_unlock(&symbolizer->lock);
    return NULL;
}

int symbolizer_new(struct symbolizer **ret_symbolizer)
{
    struct symbolizer *symbolizer = calloc(1, sizeof(*symbolizer));
    if (!symbolizer) {
        return -ENOMEM;
    }
    atomic_init(&symbolizer->search_again_ns, SYMBOLIZER_SEARCH_AGAIN_NS);
    int r = debug_directories_parse(getenv("STAX_DEBUG_DIRS"), &symbolizer->debug_directories);
    symbolizer->debug_directories.is_cancelled = &symbolizer->is_stopping;
    if (r == 0) {
        r = debug_fetch_new(&symbolizer->debug_directories, &symbolizer->fetch);
    }
    if (r == 0) {
        r = debug_lines_desk_new(0, &symbolizer->lines_desk);
    }
    if (r < 0) {
        debug_fetch_free(symbolizer->fetch);
        debug_directories_release(&symbolizer->debug_directories);
        free(symbolizer);
        return r;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&symbolizer->lock, NULL);
    pthread_cond_init(&symbolizer->has_work, &attributes);
    pthread_cond_init(&symbolizer->is_idle, &attributes);
    pthread_condattr_destroy(&attributes);
    r = thread_start("symbols", run_loader, symbolizer, &symbolizer->loader);
    if (r < 0) {
        debug_lines_desk_free(symbolizer->lines_desk);
        debug_fetch_free(symbolizer->fetch);
        debug_directories_release(&symbolizer->debug_directories);
        free(symbolizer);
        return r;
    }
    *ret_symbolizer = symbolizer;
    return 0;
}

struct symbol_source *symbol_source_new(struct symbolizer *symbolizer, const struct image *image)
{
    struct symbol_source *source = calloc(1, sizeof(*source));
    if (!source) {
        return NULL;
    }
    source->symbolizer = symbolizer;
    source->image = *image;
    source->image.path = strdup(image->path);
    source->image.name = strdup(image->name);
    if (!source->image.path || !source->image.name) {
        return symbol_source_destroy(source);
    }
    atomic_init(&source->is_wanted, false);
    atomic_init(&source->state, SYMBOL_STATE_LOADED);
    for (size_t i = 0; i < KALLSYMS_PART_N; i++) {
        atomic_init(&source->symbols[i], NULL);
    }
    return source;
}

struct symbol_source *symbol_source_destroy(struct symbol_source *source)
{
    image_file_free(source->file);
    kept_symbols_unref(source->kept);
    free((char *)(uintptr_t)source->image.path);
    free((char *)(uintptr_t)source->image.name);
    free(source);
    return NULL;
}

struct symbolizer *symbolizer_free(struct symbolizer *symbolizer)
{
    if (!symbolizer) {
        return NULL;
    }
    pthread_mutex_lock(&symbolizer->lock);
    atomic_store(&symbolizer->is_stopping, true);
    pthread_cond_signal(&symbolizer->has_work);
    pthread_mutex_unlock(&symbolizer->lock);
    pthread_join(symbolizer->loader, NULL);
    debug_lines_desk_free(symbolizer->lines_desk);
    debug_fetch_free(symbolizer->fetch);
    debug_directories_release(&symbolizer->debug_directories);

    while (symbolizer->newest) {
        struct symbol_source *source = symbolizer->newest;
        symbolizer->newest = source->newer;
        symbol_source_destroy(source);
    }
    while (symbolizer->tables) {
        struct shared_table *table = symbolizer->tables;
        symbolizer->tables = table->next;
        image_symbols_free(table->symbols);
        free(table);
    }
    pthread_cond_destroy(&symbolizer->has_work);
    pthread_cond_destroy(&symbolizer->is_idle);
    pthread_mutex_destroy(&symbolizer->lock);
    free(symbolizer);
    return NULL;
}

static bool has_code_of_its_own(enum image_kind kind)
{
    return kind == IMAGE_KIND_FILE || kind == IMAGE_KIND_VDSO || kind == IMAGE_KIND_KERNEL;
}

struct symbol_source *symbolizer_announce(struct symbolizer *symbolizer, const struct image *image)
{
    struct symbol_source *source = symbol_source_new(symbolizer, image);
    if (!source) {
        return NULL;
    }
    bool has_code = has_code_of_its_own(image->kind);
    atomic_store(&source->state, has_code ? SYMBOL_STATE_IDLE : SYMBOL_STATE_LOADED);

    pthread_mutex_lock(&symbolizer->lock);
    source->newer = symbolizer->newest;
    symbolizer->newest = source;
    if (has_code && image->kind != IMAGE_KIND_KERNEL) {
        enqueue(symbolizer, JOB_OPEN, source);
    }
    pthread_mutex_unlock(&symbolizer->lock);
    return source;
}

void symbol_source_want(struct symbol_source *source)
{
    if (source->kept || atomic_load_explicit(&source->is_wanted, memory_order_relaxed) ||
        !has_code_of_its_own(source->image.kind) ||
        atomic_exchange_explicit(&source->is_wanted, true, memory_order_relaxed)) {
        return;
    }
    atomic_store_explicit(&source->state, SYMBOL_STATE_LOADING, memory_order_relaxed);
    pthread_mutex_lock(&source->symbolizer->lock);
    enqueue(source->symbolizer, JOB_LOAD, source);
    pthread_mutex_unlock(&source->symbolizer->lock);
}

void symbol_source_retire(struct symbol_source *source)
{
    if (source->kept) {
        return; /* it holds no file */
    }
    pthread_mutex_lock(&source->symbolizer->lock);
    if (!source->is_retired) {
        source->is_retired = true;
        enqueue(source->symbolizer, JOB_CLOSE, source);
    }
    pthread_mutex_unlock(&source->symbolizer->lock);
}

/* The kernel's map events may give the vdso's own address as its offset. */
static uint64_t offset_in_image(const struct image *image, uint64_t offset)
{
    bool is_vdso_ip = image->kind == IMAGE_KIND_VDSO && offset >= image->start_ip &&
                      offset < image->end_ip && image->start_ip != 0;
    return is_vdso_ip ? offset - image->start_ip : offset;
}

static struct image_symbols *get_table(const struct symbol_source *source, size_t part)
{
    return atomic_load_explicit(&source->symbols[part], memory_order_acquire);
}

struct image_symbols *symbol_source_symbols(const struct symbol_source *source)
{
    return get_table(source, 0);
}

const struct image *symbol_source_image(const struct symbol_source *source)
{
    return &source->image;
}

struct debug_lines_desk *symbol_source_lines_desk(const struct symbol_source *source)
{
    return source->symbolizer->lines_desk;
}

void symbolizer_search_again_after(struct symbolizer *symbolizer, uint64_t min_age_ns)
{
    atomic_store(&symbolizer->search_again_ns, min_age_ns);
}

struct debug_lines_desk *symbolizer_lines_desk(const struct symbolizer *symbolizer)
{
    return symbolizer->lines_desk;
}

const struct symbol *symbol_source_find(struct symbol_source *source, uint64_t offset,
                                        uint64_t *ret_image_addr)
{
    uint64_t start_offset = offset_in_image(&source->image, offset);
    uint64_t image_addr = start_offset;
    const struct symbol *symbol = NULL;
    if (source->kept) {
        symbol = kept_symbols_find(source->kept, start_offset, &image_addr);
    }
    for (size_t i = 0; i < KALLSYMS_PART_N && !symbol; i++) {
        struct image_symbols *symbols = get_table(source, i);
        if (symbols) {
            symbol = image_symbols_find(symbols, start_offset, &image_addr);
        }
    }
    if (ret_image_addr) {
        *ret_image_addr = image_addr;
    }
    return symbol;
}

static bool is_awaiting(const struct image_symbols *symbols)
{
    return symbols && atomic_load_explicit(&symbols->is_awaiting, memory_order_acquire);
}

bool symbol_source_is_settled(const struct symbol_source *source)
{
    if (source->kept) {
        return kept_symbols_is_finished(source->kept);
    }
    enum symbol_state state = atomic_load_explicit(&source->state, memory_order_acquire);
    return state == SYMBOL_STATE_FAILED ||
           (state == SYMBOL_STATE_LOADED && !is_awaiting(get_table(source, 0)));
}

void symbol_source_describe(struct symbol_source *source, struct symbol_source_info *ret_info)
{
    if (source->kept) {
        kept_symbols_describe(source->kept, ret_info);
        return;
    }
    *ret_info = (struct symbol_source_info){
        .state = atomic_load_explicit(&source->state, memory_order_acquire),
        .origin = "none",
    };
    for (size_t i = 0; i < KALLSYMS_PART_N; i++) {
        const struct image_symbols *symbols = get_table(source, i);
        if (symbols) {
            const char *origin = atomic_load(&symbols->origin);
            ret_info->origin = i == 0 ? origin : ret_info->origin;
            ret_info->n_functions += function_table_count(atomic_load(&symbols->functions));
        }
        if (i == 0 && symbols) {
            snprintf(ret_info->failure, sizeof(ret_info->failure), "%s",
                     image_symbols_note(symbols));
        }
    }
    if (ret_info->state == SYMBOL_STATE_FAILED) {
        memcpy(ret_info->failure, source->failure, sizeof(ret_info->failure));
    }
}

bool symbolizer_wait_idle(struct symbolizer *symbolizer, int timeout_ms)
{
    uint64_t until_ns = clock_now_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS;
    struct timespec until = {
        .tv_sec = (time_t)(until_ns / NS_PER_S),
        .tv_nsec = (long)(until_ns % NS_PER_S),
    };
    pthread_mutex_lock(&symbolizer->lock);
    int r = 0;
    while (symbolizer->n_unfinished > 0 && r == 0) {
        r = pthread_cond_timedwait(&symbolizer->is_idle, &symbolizer->lock, &until);
    }
    bool is_idle = symbolizer->n_unfinished == 0;
    pthread_mutex_unlock(&symbolizer->lock);
    return is_idle;
}
