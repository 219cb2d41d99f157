/* SPDX-License-Identifier: MIT */
/*
 * One lock for all of a desk: a question holds it for two binary searches, the
 * thread for the moment in which it publishes what it has read. The files are
 * the thread's alone; of an open one, others read only the spans of its units.
 */
#include "symbols/debug_lines_internal.h"

#include <errno.h>
#include <pthread.h>

#include "base/log.h"
#include "base/thread.h"

#define IDLE_BEFORE_DROP_NS (2 * NS_PER_S)

struct job {
    struct debug_lines *lines;
    uint32_t unit; /* DWARF_UNIT_NONE: open the file */
    struct job *next;
};

/* Jobs --------------------------------------------------------------------------------------- */

/* Under the lock. */
static bool enqueue(struct debug_lines *lines, uint32_t unit)
{
    struct debug_lines_desk *desk = lines->desk;
    struct job *job = malloc(sizeof(*job));
    if (!job) {
        return false;
    }
    *job = (struct job){.lines = lines, .unit = unit};
    if (desk->last_job) {
        desk->last_job->next = job;
    } else {
        desk->first_job = job;
    }
    desk->last_job = job;
    desk->stats.n_units_queued += unit != DWARF_UNIT_NONE;
    pthread_cond_signal(&desk->has_work);
    return true;
}

/* Under the lock. */
static struct job *dequeue(struct debug_lines_desk *desk)
{
    struct job *job = desk->first_job;
    if (job) {
        desk->first_job = job->next;
        desk->last_job = desk->first_job ? desk->last_job : NULL;
        desk->stats.n_units_queued -= job->unit != DWARF_UNIT_NONE;
    }
    return job;
}

/* Under the lock. Without memory it stays ABSENT and is asked for again. */
static void want_unit(struct debug_lines *lines, uint32_t unit)
{
    struct unit_slot *slot = &lines->slots[unit];
    if (slot->state == UNIT_ABSENT && enqueue(lines, unit)) {
        slot->state = UNIT_QUEUED;
    }
}

/* Under the lock. What does not fit is asked for again when the file is open. */
static void want_file(struct debug_lines *lines, uint64_t debug_addr)
{
    if (!lines->pending) {
        lines->pending = calloc(DEBUG_LINES_MAX_PENDING, sizeof(*lines->pending));
    }
    if (lines->pending && lines->n_pending < DEBUG_LINES_MAX_PENDING) {
        lines->pending[lines->n_pending++] = debug_addr;
    }
    if (lines->state == FILE_UNASKED && enqueue(lines, DWARF_UNIT_NONE)) {
        lines->state = FILE_QUEUED;
    }
}

/* What is used most comes first -------------------------------------------------------------- */

static void unlink_slot(struct debug_lines_desk *desk, struct unit_slot *slot)
{
    *(slot->more_used ? &slot->more_used->less_used : &desk->most_used) = slot->less_used;
    *(slot->less_used ? &slot->less_used->more_used : &desk->least_used) = slot->more_used;
    slot->more_used = NULL;
    slot->less_used = NULL;
}

static void link_first(struct debug_lines_desk *desk, struct unit_slot *slot)
{
    slot->more_used = NULL;
    slot->less_used = desk->most_used;
    *(desk->most_used ? &desk->most_used->more_used : &desk->least_used) = slot;
    desk->most_used = slot;
}

static void evict(struct debug_lines_desk *desk)
{
    const struct unit_slot *kept = desk->most_used;
    while (desk->stats.index_bytes > desk->max_bytes && desk->least_used &&
           desk->least_used != kept) {
        struct unit_slot *slot = desk->least_used;
        unlink_slot(desk, slot);
        desk->stats.index_bytes -= slot->index->n_bytes;
        desk->stats.n_units_loaded--;
        desk->stats.n_evictions++;
        slot->index = code_index_free(slot->index);
        slot->state = UNIT_ABSENT;
    }
}

/* The thread --------------------------------------------------------------------------------- */

/* Under the lock; only this thread ever touches what it gives back. */
static void drop_sections(struct debug_lines_desk *desk)
{
    for (struct debug_lines *lines = desk->newest; lines; lines = lines->older) {
        dwarf_file_drop(lines->file);
    }
    desk->holds_sections = false;
}

static int open_file(const struct debug_lines *lines, struct dwarf_file **ret_file)
{
    const struct debug_file *debug_file = lines->debug_file;
    int fd = debug_file_open(&debug_file->file);
    if (fd < 0) {
        return fd;
    }
    int alternate_fd = debug_file->alternate.path ? debug_file_open(&debug_file->alternate) : -1;
    return dwarf_file_open(fd, alternate_fd, debug_file->file.path ? debug_file->file.path : "",
                           &lines->desk->is_stopping, clock_now_ns() + DEBUG_LINES_OPEN_MAX_NS,
                           ret_file);
}

/* Under the lock. The units of the addresses that were asked for while the file was not open. */
static void want_pending(struct debug_lines *lines)
{
    for (size_t i = 0; i < lines->n_pending; i++) {
        uint32_t unit = dwarf_file_find_unit(lines->file, lines->pending[i]);
        if (unit != DWARF_UNIT_NONE) {
            want_unit(lines, unit);
        }
    }
}

/* No descriptor or memory is left, or another file is in its place for the moment. */
static bool may_pass(int why)
{
    return why == -EMFILE || why == -ENFILE || why == -ENOMEM || why == -ESTALE;
}

/* Under the lock. */
static void publish_file(struct debug_lines *lines, struct dwarf_file *takes_file, int why)
{
    struct debug_lines_desk *desk = lines->desk;
    lines->slots = takes_file ? calloc(takes_file->units.n_units + 1, sizeof(*lines->slots)) : NULL;
    if (lines->slots) {
        lines->file = takes_file;
        lines->state = FILE_OPEN;
        lines->older = desk->newest;
        desk->newest = lines;
        desk->stats.n_files++;
        want_pending(lines);
    } else {
        dwarf_file_free(takes_file);
        lines->state = FILE_FAILED;
        lines->failed_ns = may_pass(why) ? clock_now_ns() : 0;
        desk->stats.n_failures++;
    }
    free(lines->pending);
    lines->pending = NULL;
    lines->n_pending = 0;
}

/* Under the lock. */
static void publish_unit(struct debug_lines *lines, uint32_t unit, struct code_index *takes_index)
{
    struct debug_lines_desk *desk = lines->desk;
    struct unit_slot *slot = &lines->slots[unit];
    desk->stats.n_loads++;
    if (!takes_index) {
        slot->state = UNIT_FAILED;
        desk->stats.n_failures++;
        return;
    }
    slot->state = UNIT_LOADED;
    slot->index = takes_index;
    link_first(desk, slot);
    desk->stats.n_units_loaded++;
    desk->stats.index_bytes += takes_index->n_bytes;
    evict(desk);
}

/* What a job has read: a file or an index of one of its units. */
struct harvest {
    struct dwarf_file *file;
    struct code_index *index;
};

static int read_job(const struct job *job, struct harvest *harvest)
{
    const struct debug_lines *lines = job->lines;
    if (job->unit == DWARF_UNIT_NONE) {
        return open_file(lines, &harvest->file);
    }
    dwarf_file_set_deadline(lines->file, clock_now_ns() + DEBUG_LINES_UNIT_MAX_NS);
    return code_index_build(lines->file, job->unit, &harvest->index);
}

/* What other files keep in memory may be all that is in the way. */
static int read_within_budget(struct debug_lines_desk *desk, const struct job *job,
                              struct harvest *harvest)
{
    const struct dwarf_budget *budget = dwarf_budget_of_process();
    uint64_t n_refusals = dwarf_budget_n_refusals(budget);
    int r = read_job(job, harvest);
    if (dwarf_budget_n_refusals(budget) == n_refusals) {
        return r;
    }
    dwarf_file_free(harvest->file);
    code_index_free(harvest->index);
    *harvest = (struct harvest){0};
    pthread_mutex_lock(&desk->lock);
    drop_sections(desk);
    pthread_mutex_unlock(&desk->lock);
    n_refusals = dwarf_budget_n_refusals(budget);
    r = read_job(job, harvest);
    if (dwarf_budget_n_refusals(budget) != n_refusals) {
        atomic_store(&job->lines->note, "debug information is too large to be read");
    }
    return r;
}

/* Without the lock but at its end. */
static void do_job(struct debug_lines_desk *desk, const struct job *job)
{
    struct debug_lines *lines = job->lines;
    uint64_t start_ns = clock_now_ns();
    struct harvest harvest = {0};
    int r = read_within_budget(desk, job, &harvest);
    uint64_t reading_ns = clock_now_ns() - start_ns;
    if (r < 0) {
        log_debug("lines of %s: %s", lines->names.image_name, strerror(-r));
    }
    pthread_mutex_lock(&desk->lock);
    if (job->unit == DWARF_UNIT_NONE) {
        publish_file(lines, harvest.file, r);
    } else {
        publish_unit(lines, job->unit, harvest.index);
    }
    desk->stats.reading_ns += reading_ns;
    desk->holds_sections = true;
    pthread_mutex_unlock(&desk->lock);
}

/* Under the lock. */
static void wait_for_work(struct debug_lines_desk *desk)
{
    if (!desk->holds_sections) {
        pthread_cond_wait(&desk->has_work, &desk->lock);
        return;
    }
    struct timespec until = debug_lines_time_of(clock_now_ns() + IDLE_BEFORE_DROP_NS);
    if (pthread_cond_timedwait(&desk->has_work, &desk->lock, &until) == ETIMEDOUT &&
        !desk->first_job) {
        drop_sections(desk);
    }
}

static void *run_reader(void *userdata)
{
    struct debug_lines_desk *desk = userdata;
    pthread_mutex_lock(&desk->lock);
    while (!atomic_load(&desk->is_stopping)) {
        struct job *job = dequeue(desk);
        if (!job) {
            wait_for_work(desk);
            continue;
        }
        desk->is_reading = true;
        pthread_mutex_unlock(&desk->lock);
        do_job(desk, job);
        free(job);
        pthread_mutex_lock(&desk->lock);
        desk->is_reading = false;
        pthread_cond_broadcast(&desk->has_changed);
    }
    pthread_mutex_unlock(&desk->lock);
    return NULL;
}

int debug_lines_desk_new(size_t max_bytes, struct debug_lines_desk **ret_desk)
{
    struct debug_lines_desk *desk = calloc(1, sizeof(*desk));
    if (!desk) {
        return -ENOMEM;
    }
    desk->max_bytes = max_bytes > 0 ? max_bytes : DEBUG_LINES_MAX_BYTES;
    desk->retry_ns = DEBUG_LINES_RETRY_NS;
    atomic_init(&desk->is_stopping, false);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&desk->lock, NULL);
    pthread_cond_init(&desk->has_work, &attributes);
    pthread_cond_init(&desk->has_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    int r = thread_start("lines", run_reader, desk, &desk->reader);
    if (r < 0) {
        free(desk);
        return r;
    }
    *ret_desk = desk;
    return 0;
}

struct debug_lines_desk *debug_lines_desk_free(struct debug_lines_desk *desk)
{
    if (!desk) {
        return NULL;
    }
    pthread_mutex_lock(&desk->lock);
    atomic_store(&desk->is_stopping, true);
    pthread_cond_signal(&desk->has_work);
    pthread_mutex_unlock(&desk->lock);
    pthread_join(desk->reader, NULL);
    while (desk->first_job) {
        free(dequeue(desk));
    }
    pthread_cond_destroy(&desk->has_work);
    pthread_cond_destroy(&desk->has_changed);
    pthread_mutex_destroy(&desk->lock);
    free(desk);
    return NULL;
}

void debug_lines_desk_retry_after(struct debug_lines_desk *desk, uint64_t retry_ns)
{
    pthread_mutex_lock(&desk->lock);
    desk->retry_ns = retry_ns;
    pthread_mutex_unlock(&desk->lock);
}

void debug_lines_desk_describe(struct debug_lines_desk *desk, struct debug_lines_stats *ret_stats)
{
    pthread_mutex_lock(&desk->lock);
    *ret_stats = desk->stats;
    pthread_mutex_unlock(&desk->lock);
}

bool debug_lines_desk_wait(struct debug_lines_desk *desk, int timeout_ms)
{
    struct timespec until = debug_lines_time_of(
        clock_now_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS);
    pthread_mutex_lock(&desk->lock);
    int r = 0;
    while ((desk->first_job || desk->is_reading) && r == 0) {
        r = pthread_cond_timedwait(&desk->has_changed, &desk->lock, &until);
    }
    bool is_idle = !desk->first_job && !desk->is_reading;
    pthread_mutex_unlock(&desk->lock);
    return is_idle;
}

int debug_lines_new(struct debug_lines_desk *desk, const char *image_name, enum frame_kind kind,
                    const struct debug_file *file, struct debug_lines **ret_lines)
{
    struct debug_lines *lines = calloc(1, sizeof(*lines));
    if (!lines) {
        return -ENOMEM;
    }
    lines->desk = desk;
    lines->debug_file = file;
    inline_names_init(&lines->names, image_name, kind);
    *ret_lines = lines;
    return 0;
}

struct debug_lines *debug_lines_free(struct debug_lines *lines)
{
    if (lines) {
        for (size_t i = 0; lines->slots && i < lines->file->units.n_units; i++) {
            code_index_free(lines->slots[i].index);
        }
        free(lines->slots);
        free(lines->pending);
        dwarf_file_free(lines->file);
        inline_names_release(&lines->names);
        free(lines);
    }
    return NULL;
}

const char *debug_lines_note(const struct debug_lines *lines)
{
    return atomic_load(&lines->note);
}

/* Questions ---------------------------------------------------------------------------------- */

/* Under the lock. The slot of the unit at the address, or NULL. */
static struct unit_slot *slot_at(const struct debug_lines *lines, uint64_t debug_addr,
                                 uint32_t *ret_unit)
{
    *ret_unit = lines->file ? dwarf_file_find_unit(lines->file, debug_addr) : DWARF_UNIT_NONE;
    return *ret_unit == DWARF_UNIT_NONE ? NULL : &lines->slots[*ret_unit];
}

struct code_index *debug_lines_index_at(struct debug_lines *lines, uint64_t debug_addr)
{
    if (lines->state == FILE_FAILED && lines->failed_ns != 0 &&
        clock_now_ns() - lines->failed_ns >= lines->desk->retry_ns) {
        lines->state = FILE_UNASKED;
    }
    if (lines->state == FILE_UNASKED || lines->state == FILE_QUEUED) {
        want_file(lines, debug_addr);
        return NULL;
    }
    uint32_t unit;
    struct unit_slot *slot = slot_at(lines, debug_addr, &unit);
    if (!slot) {
        return NULL;
    }
    want_unit(lines, unit);
    if (slot->state != UNIT_LOADED) {
        return NULL;
    }
    unlink_slot(lines->desk, slot);
    link_first(lines->desk, slot);
    return slot->index;
}

bool debug_lines_is_settled_at(const struct debug_lines *lines, uint64_t debug_addr)
{
    if (lines->state != FILE_OPEN) {
        return lines->state == FILE_FAILED;
    }
    uint32_t unit;
    const struct unit_slot *slot = slot_at(lines, debug_addr, &unit);
    return !slot || slot->state == UNIT_LOADED || slot->state == UNIT_FAILED;
}

bool debug_lines_is_settled(struct debug_lines *lines, uint64_t image_addr)
{
    uint64_t debug_addr = address_shift_to_debug(&lines->debug_file->shift, image_addr);
    pthread_mutex_lock(&lines->desk->lock);
    bool is_settled = debug_lines_is_settled_at(lines, debug_addr);
    pthread_mutex_unlock(&lines->desk->lock);
    return is_settled;
}
