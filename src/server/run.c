/* SPDX-License-Identifier: MIT */
#include "server/run.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/thread.h"
#include "interchange/import.h"
#include "server/ring_triggers.h"
#include "server/run_drain.h"
#include "server/run_internal.h"
#include "server/run_unwind.h"
#include "server/target_ingest.h"

#define RAISED_NICE (-10)

static void on_image(void *userdata, const struct image *image)
{
    struct run *run = userdata;
    query_names_on_image(run->names, image);
}

static void on_image_seen(void *userdata, image_id image)
{
    struct run *run = userdata;
    query_names_on_image_seen(run->names, image);
}

static void wake_aggregator(void *userdata)
{
    struct run *run = userdata;
    run_ingest_wake(run->ingest);
}

static bool has_askers(void *userdata)
{
    struct run *run = userdata;
    return snapshot_desk_has_askers(&run->desk);
}

/* What the aggregator has to hand for those who ask. */
struct answers {
    struct run *run;
    struct snapshot *latest; /* answers all questions until something is applied */
    uint64_t complete_until_ns;
};

static void answer(struct answers *answers)
{
    struct run *run = answers->run;
    if (!has_askers(run)) {
        return;
    }
    if (!answers->latest) {
        uint64_t start_ns = run->start_ns, until_ns = answers->complete_until_ns;
        answers->latest =
            aggregate_snapshot(run->aggregate, until_ns > start_ns ? until_ns : start_ns);
    }
    snapshot_desk_serve(&run->desk, answers->latest);
}

/* A slab waits for an unwind table with some of its events applied. */
static void answer_while_waiting(void *userdata)
{
    struct answers *answers = userdata;
    answers->latest = snapshot_unref(answers->latest);
    answer(answers);
}

static void apply(struct run *run, const struct run_slab *slab, struct answers *answers)
{
    size_t n_events = event_batch_count(slab->batch);
    uint64_t n_samples = 0;
    run_unwind_apply(run, slab, answer_while_waiting, answers);
    for (size_t i = 0; i < n_events; i++) {
        const struct event *event = event_batch_get(slab->batch, i);
        n_samples += event->kind == EVENT_SAMPLE;
        if (event->kind == EVENT_IMAGE && run->jit_tail) {
            jit_tail_on_image(run->jit_tail, event);
        } else if (event->kind == EVENT_IMAGE && run->jit_left) {
            jit_left_on_image(run->jit_left, event);
        }
    }
    atomic_fetch_add_explicit(&run->n_samples, n_samples, memory_order_relaxed);
    atomic_fetch_add_explicit(&run->sequence, n_events + 1, memory_order_release);
}

static void aggregate_finish(struct run *run, uint64_t end_ns)
{
    bool has_failed = run_get_phase(run) == RUN_PHASE_FAILED;
    struct snapshot *final = NULL;
    if (!has_failed) {
        aggregate_end(run->aggregate, end_ns);
        final = aggregate_snapshot(run->aggregate, end_ns);
        query_names_retire(run->names);
    }
    if (run->jit_tail) {
        jit_tail_end(run->jit_tail);
    } else {
        jit_code_settle(run->jit);
    }
    snapshot_desk_close(&run->desk, final);
    atomic_fetch_add_explicit(&run->sequence, 1, memory_order_release);
    if (!has_failed) {
        atomic_store_explicit(&run->phase, RUN_PHASE_STOPPED, memory_order_release);
    }
    run->on_change(run->userdata);
}

void run_raise_priority(void)
{
    /* Linux: of this thread only. Refused to ordinary users, who go on without. */
    (void)setpriority(PRIO_PROCESS, 0, RAISED_NICE);
}

static void *aggregator_main(void *userdata)
{
    struct run *run = userdata;
    struct answers answers = {.run = run};
    bool is_over = false;
    run_raise_priority();
    while (!is_over) {
        struct run_slab *slab = run_ingest_next(run->ingest);
        if (!slab && !has_askers(run)) {
            slab = run_ingest_wait(run->ingest, has_askers, run);
        }
        if (slab) {
            is_over = slab->is_last;
            apply(run, slab, &answers);
            answers.latest = snapshot_unref(answers.latest);
            answers.complete_until_ns = slab->complete_until_ns;
            run_ingest_return(run->ingest, slab);
        }
        if (!is_over) {
            answer(&answers);
        }
    }
    snapshot_unref(answers.latest);
    run_unwind_end(run);
    aggregate_finish(run, answers.complete_until_ns);
    /* Here, since it takes milliseconds: the main loop and questions go on meanwhile. */
    (void)malloc_trim(0);
    return NULL;
}

static int copy_request(struct run *run, const struct start_request *request)
{
    run->request = *request;
    run->request.command = request->replay && !request->command
                               ? arena_printf(&run->arena, "replay %s", request->replay)
                               : arena_strdup(&run->arena, request->command);
    run->request.replay = arena_strdup(&run->arena, request->replay);
    run->request.daemon_socket = arena_strdup(&run->arena, request->daemon_socket);
    run->request.triggers =
        arena_alloc_array(&run->arena, request->n_triggers + 1, sizeof(*request->triggers));
    bool is_complete = run->request.triggers && (!request->command || run->request.command) &&
                       !request->replay == !run->request.replay &&
                       !request->daemon_socket == !run->request.daemon_socket;
    for (size_t i = 0; is_complete && i < request->n_triggers; i++) {
        run->request.triggers[i] = request->triggers[i];
        run->request.triggers[i].on = arena_strdup(&run->arena, request->triggers[i].on);
        is_complete = run->request.triggers[i].on != NULL;
    }
    return is_complete ? 0 : -ENOMEM;
}

/* As long as it takes until a wait is found, the ring reaches further back than is asked for. */
static uint64_t kept_ns(const struct start_request *request)
{
    uint64_t reach_ns = ring_triggers_reach_ns(request->triggers, request->n_triggers);
    return request->ring_ns ? request->ring_ns + reach_ns + RUN_RING_SLACK_NS : 0;
}

struct aggregate_config run_aggregate_config(struct run *run)
{
    return (struct aggregate_config){
        .max_memory_bytes = run->request.max_memory_bytes,
        .ring_ns = kept_ns(&run->request),
        .has_no_switches = run->request.no_off_cpu,
        .listener = {.userdata = run, .on_image = on_image, .on_image_seen = on_image_seen},
        .code_reuse_count = jit_code_reuse_count(run->jit),
    };
}

/* Who answers for names. */
static int make_names(struct run *run, struct symbolizer *symbolizer)
{
    int r = query_names_new(symbolizer, &run->names);
    r = r ? r : object_names_new(&run->object_names);
    r = r ? r : jit_code_new(&run->jit);
    if (r == 0) {
        query_names_set_jit(run->names, run->jit);
    }
    return r;
}

/* Names that it brings, and those that its processes have left behind. */
static int use_import(struct run *run)
{
    const struct kept_run kept = import_kept_run(run->import);
    uint64_t until_ns = import_get_facts(run->import)->here_until_unix_ns;
    query_names_set_kept(run->names, &kept);
    return until_ns > 0 ? jit_left_new(run->jit, until_ns, &run->jit_left) : 0;
}

static int make_spans(struct run *run)
{
    const struct target_ingest_config config = {
        .pid = run->request.pid,
        .follows_children = run->request.follow_children,
        .ingest = run->ingest,
    };
    return run->import ? 0 : target_ingest_new(&config, &run->spans);
}

static int make_parts(struct run *run, const struct run_config *config)
{
    const struct run_ingest_config ingest = {
        /* A replay that says block=1 is complete whatever it costs; so the queue must know. */
        .waits_for_room =
            run->import || (config->request->replay && strstr(config->request->replay, "block=1")),
    };
    int r = copy_request(run, config->request);
    r = r ? r : run_ingest_new(&ingest, &run->ingest);
    r = r ? r : make_spans(run);
    r = r ? r : run_unwind_begin(run, config->cfi_store);
    r = r ? r : make_names(run, config->symbolizer);
    if (r == 0 && !config->request->replay) {
        r = jit_tail_new(run->jit, &run->jit_tail);
    }
    if (r < 0) {
        return r;
    }
    r = run->import ? use_import(run) : 0;
    if (r < 0) {
        return r;
    }
    const struct aggregate_config aggregate = run_aggregate_config(run);
    return aggregate_new(&aggregate, &run->aggregate);
}

/* The aggregator first: without a drain thread it is sent home by an empty stream. */
static int start_threads(struct run *run)
{
    int r = thread_start("stax-aggregate", aggregator_main, run, &run->aggregator_thread);
    if (r < 0) {
        return r;
    }
    run->has_aggregator_thread = true;
    r = thread_start("stax-drain", run_drain_main, run, &run->drain_thread);
    if (r < 0) {
        atomic_store(&run->phase, RUN_PHASE_FAILED);
        run_ingest_end(run->ingest, 0);
        run_join(run);
        return r;
    }
    run->has_drain_thread = true;
    return 0;
}

static struct run *allocate(void)
{
    struct run *run = calloc(1, sizeof(*run));
    if (run) {
        atomic_init(&run->n_refs, 1);
        atomic_init(&run->phase, RUN_PHASE_STARTING);
        atomic_init(&run->end, RUN_END_NONE);
        atomic_init(&run->exit_status, RUN_NO_EXIT_STATUS);
        run->target.pidfd = -1;
        arena_init(&run->arena, 0);
        snapshot_desk_init(&run->desk);
        pthread_mutex_init(&run->lock, NULL);
        pthread_mutex_init(&run->unwind_lock, NULL);
    }
    return run;
}

int run_new(const struct run_config *config, struct run **ret_run)
{
    _cleanup_(run_unrefp) struct run *run = allocate();
    if (!run) {
        import_free(config->take_import);
        return -ENOMEM;
    }
    run->id = config->id;
    run->ops = config->capture;
    run->on_change = config->on_change;
    run->userdata = config->userdata;
    run->import = config->take_import;
    run->producers = config->producers;
    int r = make_parts(run, config);
    r = r ? r : start_threads(run);
    if (r < 0) {
        return r;
    }
    *ret_run = TAKE_PTR(run);
    return 0;
}

int run_new_idle(struct symbolizer *symbolizer, struct run **ret_run)
{
    _cleanup_(run_unrefp) struct run *run = allocate();
    if (!run) {
        return -ENOMEM;
    }
    int r = make_names(run, symbolizer);
    if (r < 0) {
        return r;
    }
    *ret_run = TAKE_PTR(run);
    return 0;
}

int run_new_part(struct run *parent, struct run **ret_run)
{
    struct run *run = allocate();
    if (!run) {
        return -ENOMEM;
    }
    run->parent = run_ref(parent);
    run->names = parent->names;
    run->object_names = parent->object_names;
    run->jit = parent->jit;
    *ret_run = run;
    return 0;
}

void run_settle_idle(struct run *run, struct snapshot *take_final)
{
    uint64_t n_samples = 0;
    for (size_t i = 0; i < take_final->n_threads; i++) {
        n_samples += take_final->threads[i].n_samples;
    }
    atomic_store(&run->n_samples, n_samples);
    atomic_store(&run->sequence, take_final->sequence);
    snapshot_desk_close(&run->desk, take_final);
    atomic_store_explicit(&run->phase, RUN_PHASE_STOPPED, memory_order_release);
}

struct run *run_ref(struct run *run)
{
    atomic_fetch_add_explicit(&run->n_refs, 1, memory_order_relaxed);
    return run;
}

struct run *run_unref(struct run *run)
{
    if (!run || atomic_fetch_sub_explicit(&run->n_refs, 1, memory_order_acq_rel) > 1) {
        return NULL;
    }
    assert(!run->has_drain_thread && !run->has_aggregator_thread); /* run_join() */
    snapshot_desk_release(&run->desk);
    aggregate_free(run->aggregate);
    unwinder_free(run->unwinder);
    jit_tail_free(run->jit_tail);
    jit_left_free(run->jit_left);
    if (!run->parent) {
        query_names_free(run->names);
        object_names_free(run->object_names);
        jit_code_free(run->jit);
    }
    run_symbols_free(run->symbols);
    import_free(run->import);
    target_ingest_free(run->spans);
    run_ingest_free(run->ingest);
    arena_release(&run->arena);
    pthread_mutex_destroy(&run->lock);
    pthread_mutex_destroy(&run->unwind_lock);
    struct run *parent = run->parent;
    free(run);
    return run_unref(parent);
}

void run_offer_producer(struct run *run, struct target_producer *producer)
{
    if (run->spans) {
        target_ingest_offer(run->spans, producer);
    }
}

int64_t run_count_span_programs(const struct run *run)
{
    if (!run->spans) {
        return -1;
    }
    struct target_ingest_stats stats;
    target_ingest_stats(run->spans, &stats);
    return (int64_t)stats.n_sources;
}

uint32_t run_count_span_children(const struct run *run)
{
    struct target_ingest_stats stats = {0};
    if (run->spans) {
        target_ingest_stats(run->spans, &stats);
    }
    return (uint32_t)stats.n_children;
}

void run_stop(struct run *run, enum run_end cause)
{
    int none = RUN_END_NONE;
    atomic_compare_exchange_strong(&run->end, &none, (int)cause);
}

void run_join(struct run *run)
{
    if (run->has_drain_thread) {
        pthread_join(run->drain_thread, NULL);
        run->has_drain_thread = false;
    }
    if (run->has_aggregator_thread) {
        pthread_join(run->aggregator_thread, NULL);
        run->has_aggregator_thread = false;
    }
    if (run->ingest) {
        run_ingest_retire(run->ingest);
    }
}

void run_set_id(struct run *run, run_id id)
{
    run->id = id;
}

run_id run_get_id(const struct run *run)
{
    return run->id;
}

enum run_phase run_get_phase(const struct run *run)
{
    return (enum run_phase)atomic_load_explicit(&run->phase, memory_order_acquire);
}

enum run_state run_get_state(const struct run *run)
{
    if (run->archived) {
        return RUN_STATE_OPENED;
    }
    if (run_get_phase(run) != RUN_PHASE_STOPPED) {
        return RUN_STATE_RECORDING;
    }
    return run->import ? RUN_STATE_OPENED : RUN_STATE_STOPPED;
}

bool run_has_live_target(const struct run *run)
{
    return run_get_state(run->parent ? run->parent : run) == RUN_STATE_RECORDING;
}

const struct start_request *run_get_request(const struct run *run)
{
    return &run->request;
}

const struct error *run_get_error(const struct run *run)
{
    return &run->error;
}

int64_t run_get_pid(const struct run *run)
{
    return run->request.pid;
}

const char *run_get_command(const struct run *run)
{
    return run->request.command ? run->request.command : run->target.command;
}

uint64_t run_get_samples(const struct run *run)
{
    return atomic_load_explicit(&run->n_samples, memory_order_relaxed);
}

uint64_t run_get_sequence(const struct run *run)
{
    return atomic_load_explicit(&run->sequence, memory_order_acquire);
}

void run_set_exit_status(struct run *run, int32_t exit_status)
{
    atomic_store(&run->exit_status, exit_status);
}

struct snapshot *run_take_snapshot(struct run *run)
{
    return snapshot_desk_ask(&run->desk, wake_aggregator, run);
}

struct query_names *run_get_names(struct run *run)
{
    return run->names;
}

struct object_names *run_get_object_names(struct run *run)
{
    return run->object_names;
}

void run_settle_jit(struct run *run, int timeout_ms)
{
    if (run->jit_tail) {
        (void)jit_tail_wait(run->jit_tail, timeout_ms);
    }
}

void run_get_stats(struct run *run, struct capture_stats *ret_capture,
                   struct run_ingest_stats *ret_ingest)
{
    pthread_mutex_lock(&run->lock);
    if (run->capture) {
        run->ops->stats(run->capture, ret_capture);
    } else {
        *ret_capture = run->stats;
    }
    pthread_mutex_unlock(&run->lock);
    *ret_ingest = (struct run_ingest_stats){.n_slabs = 0};
    if (run->ingest) {
        run_ingest_stats(run->ingest, ret_ingest);
    }
}

const struct counter_set *run_get_counters(const struct run *run)
{
    return &run->counters;
}

bool run_has_kernel(const struct run *run)
{
    return !run->request.no_kernel;
}
