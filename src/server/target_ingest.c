/* SPDX-License-Identifier: MIT */
/*
 * A program that is offered waits until the drain thread takes it over, at its
 * next poll; its gate is opened by whoever first knows that the run records
 * it. Everything that both threads touch lies behind the lock, which is never
 * held while a ring is read.
 */
#include "server/target_ingest.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash_table.h"
#include "server/target_process.h"
#include "server/target_span.h"
#include "server/target_tables.h"

#define MAX_PIDS 65536u
/* Of each ring, when the gates are closed: one that is filled nevertheless has an end, too. */
#define FINAL_SLOTS (2 * TARGET_RING_SLOTS)
/* At the end the queue is waited for so long, … */
#define FINAL_PATIENCE_MS 200
/* … and a thread that was stopped while it wrote so long. */
#define FINAL_WRITER_MS 20

struct waiting {
    struct target_producer *producer; /* claimed */
    bool is_open;                     /* its gate */
    struct target_ring_counts counts; /* when it opened */
};

struct target_ingest {
    struct target_ingest_config config;

    /* Behind the lock. */
    pthread_mutex_t lock;
    bool has_begun, has_ended;
    struct waiting waiting[TARGET_PRODUCERS_MAX];
    size_t n_waiting;
    struct hash_table pids;     /* that the run records, beside config.pid */
    struct hash_table children; /* that report spans and are not recorded */

    /* Behind a lock of its own: the drain thread waits for no question. */
    pthread_mutex_t stats_lock;
    struct target_ingest_stats stats;

    /* The drain thread's. */
    struct target_tables *tables;
    struct target_source *sources[TARGET_PRODUCERS_MAX];
    size_t n_sources, first_source; /* the first to be read in the next poll */
    uint64_t start_ns;
    bool is_held_back; /* the queue has no room: spans are left in their rings */
    bool drops;        /* … but for the last ones */
    bool is_ending;    /* each source has slots of its own */
    bool has_events;   /* the capture has told something: the run's first instant is known */
    struct target_ingest_stats own;
};

int target_ingest_new(const struct target_ingest_config *config, struct target_ingest **ret_target)
{
    struct target_ingest *target = calloc(1, sizeof(*target));
    if (!target) {
        return -ENOMEM;
    }
    target->config = *config;
    hash_table_init(&target->pids);
    hash_table_init(&target->children);
    pthread_mutex_init(&target->lock, NULL);
    pthread_mutex_init(&target->stats_lock, NULL);
    int r = target_tables_new(config->pid, config->ingest, &target->tables);
    if (r < 0) {
        target_ingest_free(target);
        return r;
    }
    *ret_target = target;
    return 0;
}

static void let_go(struct target_producer *producer)
{
    target_ring_reader_set_active(producer->reader, false);
    target_producer_unclaim(producer);
    target_producer_unref(producer);
}

static void release_waiting(struct target_ingest *target)
{
    while (target->n_waiting > 0) {
        let_go(target->waiting[--target->n_waiting].producer);
    }
}

static void release_source(struct target_ingest *target, size_t index)
{
    struct target_producer *producer = target->sources[index]->producer;
    target->sources[index] = target_source_free(target->sources[index]);
    target->sources[index] = target->sources[--target->n_sources];
    let_go(producer);
}

struct target_ingest *target_ingest_free(struct target_ingest *target)
{
    if (target) {
        release_waiting(target);
        while (target->n_sources > 0) {
            release_source(target, target->n_sources - 1);
        }
        hash_table_release(&target->pids);
        hash_table_release(&target->children);
        target_tables_free(target->tables);
        pthread_mutex_destroy(&target->lock);
        pthread_mutex_destroy(&target->stats_lock);
        free(target);
    }
    return NULL;
}

/* Under the lock. */
static bool is_recorded(const struct target_ingest *target, int64_t pid)
{
    return pid == target->config.pid ||
           hash_table_find(&target->pids, (uint64_t)pid) != HASH_TABLE_NONE;
}

/* Under the lock. */
static void open_gate(struct waiting *waiting)
{
    if (!waiting->is_open) {
        target_ring_reader_skip(waiting->producer->reader);
        target_ring_reader_counts(waiting->producer->reader, &waiting->counts);
        target_ring_reader_set_active(waiting->producer->reader, true);
        waiting->is_open = true;
    }
}

static void open_gates(struct target_ingest *target)
{
    for (size_t i = 0; target->has_begun && i < target->n_waiting; i++) {
        if (is_recorded(target, target->waiting[i].producer->pid)) {
            open_gate(&target->waiting[i]);
        }
    }
}

/* Under the lock. */
static void count_child(struct target_ingest *target, int64_t pid)
{
    uint64_t key = (uint64_t)pid;
    if (!target->has_ended && target->children.n_used < MAX_PIDS &&
        hash_table_find(&target->children, key) == HASH_TABLE_NONE) {
        (void)hash_table_add(&target->children, key, 0);
    }
}

void target_ingest_offer(struct target_ingest *target, struct target_producer *producer)
{
    bool is_wanted = target->config.follows_children || producer->pid == target->config.pid;
    bool is_child = !is_wanted && target->config.pid > 0 &&
                    target_process_descends(producer->pid, target->config.pid);
    pthread_mutex_lock(&target->lock);
    if (is_child) {
        count_child(target, producer->pid);
    }
    if (is_wanted && !target->has_ended && target->n_waiting < TARGET_PRODUCERS_MAX &&
        target_producer_claim(producer)) {
        target->waiting[target->n_waiting++] =
            (struct waiting){.producer = target_producer_ref(producer)};
        open_gates(target);
    }
    pthread_mutex_unlock(&target->lock);
}

static void note_pid(struct target_ingest *target, int64_t pid)
{
    pthread_mutex_lock(&target->lock);
    if (!is_recorded(target, pid) && target->pids.n_used < MAX_PIDS) {
        (void)hash_table_add(&target->pids, (uint64_t)pid, 0);
        open_gates(target);
    }
    pthread_mutex_unlock(&target->lock);
}

void target_ingest_note(struct target_ingest *target, const struct event *events, size_t n_events)
{
    target->has_events = target->has_events || n_events > 0;
    for (size_t i = 0; target->config.follows_children && i < n_events; i++) {
        bool is_told = events[i].kind == EVENT_THREAD || events[i].kind == EVENT_IMAGE;
        if (is_told && events[i].pid > 0 && events[i].pid != target->config.pid) {
            note_pid(target, events[i].pid);
        }
    }
}

void target_ingest_begin(struct target_ingest *target, uint64_t start_ns)
{
    target->start_ns = start_ns;
    pthread_mutex_lock(&target->lock);
    target->has_begun = true;
    open_gates(target);
    pthread_mutex_unlock(&target->lock);
}

/* Takes over what was offered and is the run's, and drops what has gone. Some still wait? */
static bool take_waiting(struct target_ingest *target)
{
    pthread_mutex_lock(&target->lock);
    for (size_t i = target->n_waiting; i-- > 0;) {
        struct waiting *waiting = &target->waiting[i];
        struct target_source *source = NULL;
        if (waiting->is_open && target->n_sources < TARGET_PRODUCERS_MAX) {
            source = target_source_new(waiting->producer, &waiting->counts);
        }
        if (source) {
            target->sources[target->n_sources++] = source;
            target->own.n_sources++;
        } else if (atomic_load_explicit(&waiting->producer->is_gone, memory_order_acquire)) {
            let_go(waiting->producer);
        } else {
            continue;
        }
        *waiting = target->waiting[--target->n_waiting];
    }
    bool has_waiting = target->n_waiting > 0;
    pthread_mutex_unlock(&target->lock);
    return has_waiting;
}

/* What the programs count themselves, and the slots that made no sense. */
static void take_counts(struct target_ingest *target, struct target_source *source)
{
    struct target_source_losses losses;
    target_source_take_losses(source, &losses);
    for (int cause = 0; cause < EVENT_SPANS_LOST_CAUSE_N; cause++) {
        target->own.n_dropped[cause] += losses.n_lost[cause];
        run_ingest_lose_spans(target->config.ingest, (enum event_spans_lost_cause)cause,
                              losses.n_lost[cause]);
    }
    target->own.n_names_refused += losses.n_names_refused;
    target->own.n_lanes_refused += losses.n_lanes_refused;
    target->own.n_details_refused += losses.n_details_refused;
}

static void lose(struct target_ingest *target, enum event_spans_lost_cause cause)
{
    target->own.n_dropped[cause]++;
    /* The queue counts those that found no room in it by itself. */
    if (cause != EVENT_SPANS_LOST_QUEUE_FULL) {
        run_ingest_lose_spans(target->config.ingest, cause, 1);
    }
}

static void count_details(struct target_ingest *target, const struct target_ring_record *record)
{
    for (uint32_t i = 0; i < record->n_details; i++) {
        target->own.n_details[record->details[i].kind]++;
    }
}

/* What is left in a ring is not lost yet. */
static bool has_room(struct target_ingest *target)
{
    bool has_room = target->drops || run_ingest_has_room_for_told(target->config.ingest);
    target->is_held_back = target->is_held_back || !has_room;
    return has_room;
}

static void take_spans(struct target_ingest *target, struct target_source *source,
                       struct target_ring_poll *poll)
{
    const struct target_span_place place = {
        .tables = target->tables,
        .ingest = target->config.ingest,
        .start_ns = target->start_ns,
        .now_ns = poll->now_ns,
    };
    struct target_ring_reader *reader = source->producer->reader;
    struct target_ring_record record;
    while (has_room(target) && target_ring_reader_take(reader, poll, &record)) {
        target->own.n_spans++;
        count_details(target, &record);
        int cause = target_span_tell(source, &place, &record);
        if (cause != TARGET_SPAN_TOLD) {
            lose(target, (enum event_spans_lost_cause)cause);
        }
    }
    target_ring_reader_release(reader);
    take_counts(target, source);
}

/* Somebody may be reading them: then those of the next look have to do, but for the last ones. */
static void publish_stats(struct target_ingest *target, bool is_end)
{
    target->own.n_lanes = target_tables_count_lanes(target->tables);
    target->own.n_names = target_tables_count_names(target->tables);
    if (is_end) {
        pthread_mutex_lock(&target->stats_lock);
    } else if (pthread_mutex_trylock(&target->stats_lock) != 0) {
        return;
    }
    target->stats = target->own;
    pthread_mutex_unlock(&target->stats_lock);
}

/* Reads all rings, in turn. Is somebody still writing? */
static bool read_rings(struct target_ingest *target, struct target_ring_poll *poll, bool is_end)
{
    bool is_written = false;
    target->is_held_back = false;
    uint64_t n_before = target->own.n_spans;
    size_t n_sources = target->n_sources;
    for (size_t i = 0; i < n_sources && (poll->n_slots > 0 || target->is_ending); i++) {
        struct target_source *source = target->sources[(target->first_source + i) % n_sources];
        poll->n_slots = target->is_ending ? source->n_last_slots : poll->n_slots;
        source->is_gone = atomic_load_explicit(&source->producer->is_gone, memory_order_acquire);
        poll->is_last = is_end || source->is_gone;
        take_spans(target, source, poll);
        source->n_last_slots = poll->n_slots;
        is_written = is_written ||
                     (!source->is_gone && target_ring_reader_is_waiting(source->producer->reader));
        source->is_read_out = source->is_gone && poll->n_slots > 0 && !target->is_held_back;
    }
    target->first_source++;
    target->own.n_batches += target->own.n_spans > n_before;
    publish_stats(target, is_end);
    run_ingest_flush(target->config.ingest);
    return is_written && !is_end;
}

int target_ingest_poll(struct target_ingest *target, uint64_t now_ns)
{
    bool has_waiting = take_waiting(target);
    if (target->n_sources == 0) {
        /* A child that reports is known to be one only when the capture has told of it. */
        return has_waiting || target->config.follows_children ? TARGET_INGEST_POLL_MS : -1;
    }
    if (!target->has_events) {
        return TARGET_INGEST_POLL_MS;
    }
    struct target_ring_poll poll = {.now_ns = now_ns, .n_slots = TARGET_INGEST_POLL_SLOTS};
    (void)read_rings(target, &poll, false);
    for (size_t i = target->n_sources; i-- > 0;) {
        if (target->sources[i]->is_read_out) {
            release_source(target, i);
        }
    }
    return poll.n_slots == 0 || target->is_held_back ? 1 : TARGET_INGEST_POLL_MS;
}

void target_ingest_close(struct target_ingest *target)
{
    (void)take_waiting(target);
    pthread_mutex_lock(&target->lock);
    target->has_ended = true;
    for (size_t i = 0; i < target->n_sources; i++) {
        target_ring_reader_set_active(target->sources[i]->producer->reader, false);
    }
    release_waiting(target);
    pthread_mutex_unlock(&target->lock);
}

/* What a program has reported past its closed gate until there was no end of it. */
static void lose_rest(struct target_ingest *target)
{
    for (size_t i = 0; i < target->n_sources; i++) {
        uint64_t n_left = target_ring_reader_count_left(target->sources[i]->producer->reader);
        target->own.n_dropped[EVENT_SPANS_LOST_QUEUE_FULL] += n_left;
        run_ingest_lose_spans(target->config.ingest, EVENT_SPANS_LOST_QUEUE_FULL, n_left);
    }
    run_ingest_flush(target->config.ingest);
}

void target_ingest_end(struct target_ingest *target, uint64_t now_ns)
{
    target_ingest_close(target);
    struct target_ring_poll poll = {.now_ns = now_ns};
    bool is_wanted = target->n_sources > 0 && target->has_events;
    bool has_read = is_wanted;
    target->is_ending = true;
    for (size_t i = 0; i < target->n_sources; i++) {
        target->sources[i]->n_last_slots = FINAL_SLOTS;
    }
    for (int n_waits = 0; is_wanted; n_waits++) {
        const struct timespec pause = {.tv_nsec = NS_PER_MS};
        target->drops = n_waits >= FINAL_PATIENCE_MS;
        is_wanted = read_rings(target, &poll, n_waits >= FINAL_WRITER_MS) || target->is_held_back;
        if (is_wanted) {
            nanosleep(&pause, NULL);
        }
    }
    if (has_read) {
        lose_rest(target);
    }
    publish_stats(target, true);
    while (target->n_sources > 0) {
        release_source(target, target->n_sources - 1);
    }
    target->tables = target_tables_free(target->tables);
}

void target_ingest_stats(struct target_ingest *target, struct target_ingest_stats *ret_stats)
{
    pthread_mutex_lock(&target->stats_lock);
    *ret_stats = target->stats;
    pthread_mutex_unlock(&target->stats_lock);
    pthread_mutex_lock(&target->lock);
    ret_stats->n_children = target->children.n_used;
    pthread_mutex_unlock(&target->lock);
}
