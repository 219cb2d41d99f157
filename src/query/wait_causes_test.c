/* SPDX-License-Identifier: MIT */
#include "query/wait_causes.h"

#include <pthread.h>

#include "query/stack_frames.h"
#include "query/wait_test.h"

/* The stack in which the thread waits now. */
static stack_id open_stack(const struct scene *scene, size_t thread)
{
    assert_int_equal(scene->snapshot->threads[thread].phase, THREAD_PHASE_BLOCKED);
    return scene->snapshot->threads[thread].wait_stack;
}

static void names_decide_once_per_stack(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    _cleanup_(wait_causes_releasep) struct wait_causes causes;
    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    stack_id stack = open_stack(&scene, 0);
    const struct wait_cause_entry *entry = wait_causes_get(&causes, stack, 0);
    assert_int_equal(entry->reason, WAIT_REASON_READY);
    assert_string_equal(entry->site, "epoll_wait");
    assert_non_null(strstr(entry->site_image, "wait_causes"));
    assert_int_equal(entry->site_frame, 0);
    assert_ptr_equal(wait_causes_get(&causes, stack, 0), entry);

    entry = wait_causes_get(&causes, STACK_ID_EMPTY, 0);
    assert_int_equal(entry->reason, WAIT_REASON_OTHER);
    assert_string_equal(entry->site, "");
    assert_int_equal(entry->site_frame, WAIT_CAUSE_NO_FRAME);
    wait_causes_release(&causes);
    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    scene_end(&scene);
}

/* A place of the kernel alone does not say in which direction; the system call does. */
static void system_calls_take_part_where_a_single_kernel_place_is_known(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    const uint64_t caller[] = {place_in(walk_tree, 1), place_in(run_worker, 2)};
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_block(&scene, 2000, TEST_PID, caller, 2, object_of(SYS_recvfrom, 5));
    tell_seen(&scene, 2500, TEST_PID, "wait_woken", object_of(SYS_recvfrom, 5));
    tell_in(scene.aggregate, 3000, TEST_PID);
    tell_block(&scene, 4000, TEST_PID, caller, 2, object_of(SYS_sendto, 5));
    tell_seen(&scene, 4500, TEST_PID, "wait_woken", object_of(SYS_sendto, 5));
    scene_freeze(&scene, 5000);

    stack_id stack = open_stack(&scene, 0);
    const struct stored_wait *first = snapshot_wait(scene.snapshot, 0);
    assert_int_equal(first->stack, stack);
    assert_true(wait_causes_need_object(&scene.context, stack));
    _cleanup_(wait_causes_releasep) struct wait_causes causes;
    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    const struct wait_cause_entry *in = wait_causes_get(&causes, stack, first->object);
    const struct wait_cause_entry *out =
        wait_causes_get(&causes, stack, scene.snapshot->threads[0].wait_object);
    assert_int_equal(in->reason, WAIT_REASON_IO_R);
    assert_int_equal(out->reason, WAIT_REASON_IO_W);
    assert_ptr_equal(wait_causes_get(&causes, stack, first->object), in);
    struct frame_result *frames;
    size_t n_frames;
    assert_int_equal(frames_of_stack(&scene.context, stack, 0, &frames, &n_frames), 0);
    assert_int_equal(n_frames, 3);
    assert_string_equal(frames[0].name, "wait_woken");
    assert_string_equal(frames[0].image, "[kernel]");
    assert_int_equal(frames[0].kind, FRAME_KIND_KERNEL);
    assert_string_equal(frames[1].name, "walk_tree");
    scene_end(&scene);
}

/* Without a kernel half there is the system call alone; it is no frame. */
static void the_site_can_be_a_system_call(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    const uint64_t caller[] = {place_in(walk_tree, 1), place_in(run_worker, 2)};
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_block(&scene, 2000, TEST_PID, caller, 2, object_of(SYS_nanosleep, 0));
    scene_freeze(&scene, 5000);
    _cleanup_(wait_causes_releasep) struct wait_causes causes;
    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    stack_id stack = open_stack(&scene, 0);
    const struct wait_cause_entry *entry =
        wait_causes_get(&causes, stack, scene.snapshot->threads[0].wait_object);
    assert_int_equal(entry->reason, WAIT_REASON_SLEEP);
    assert_string_equal(entry->site, "nanosleep");
    assert_string_equal(entry->site_image, "[kernel]");
    assert_int_equal(entry->site_frame, WAIT_CAUSE_NO_FRAME);
    /* The same stack where nobody told the call. */
    entry = wait_causes_get(&causes, stack, 0);
    assert_int_equal(entry->reason, WAIT_REASON_OTHER);
    scene_end(&scene);
}

static void system_calls_take_part_where_kernel_names_are_hidden(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    /* No symbol of any kernel is here. */
    const uint64_t ips[] = {UINT64_C(0xffff800000000100), UINT64_C(0xffff800000000200),
                            UINT64_C(0xffff800000000300), place_in(run_worker, 2)};
    tell_start(&scene, 1000, TEST_PID, "main");
    tell(scene.aggregate, (struct event){
                              .kind = EVENT_SWITCH_OUT,
                              .time_ns = 2000,
                              .pid = TEST_PID,
                              .tid = TEST_PID,
                              .stack = {.ips = ips, .n_ips = 4, .n_kernel_ips = 3},
                              .switch_out = {.object = object_of(SYS_epoll_wait, 3)},
                          });
    scene_freeze(&scene, 5000);
    _cleanup_(wait_causes_releasep) struct wait_causes causes;
    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    stack_id stack = open_stack(&scene, 0);
    assert_true(wait_causes_need_object(&scene.context, stack));
    const struct wait_cause_entry *entry =
        wait_causes_get(&causes, stack, scene.snapshot->threads[0].wait_object);
    assert_int_equal(entry->reason, WAIT_REASON_READY);
    assert_string_equal(entry->site, "epoll_wait");
    scene_end(&scene);
}

/* ---- from query to query ---- */

/* Names that are final: lines and inlined functions have been read, too. */
static void settle(const struct scene *scene)
{
    query_names_settle_chains(scene->names, scene->snapshot, 20000);
}

static const struct wait_cause_entry *kept_of(const struct scene *scene, stack_id stack)
{
    bool needs_call;
    return cause_cache_find(query_names_causes(scene->names), stack, &needs_call);
}

static void what_final_names_decided_is_decided_for_the_run(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    settle(&scene);
    stack_id stack = open_stack(&scene, 0);
    assert_null(kept_of(&scene, stack));
    const struct wait_cause_entry *first = NULL;
    for (int query = 0; query < 3; query++) {
        _cleanup_(wait_causes_releasep) struct wait_causes causes;
        scene_ask_anew(&scene);
        assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
        const struct wait_cause_entry *entry = wait_causes_get(&causes, stack, 0);
        first = first ? first : entry;
        assert_ptr_equal(entry, first);
        assert_ptr_equal(entry, kept_of(&scene, stack));
        assert_int_equal(entry->reason, WAIT_REASON_READY);
        assert_string_equal(entry->site, "epoll_wait");
        assert_int_equal(causes.n_passing, 0);
    }
    /* Later parts of the run have other snapshots and the same stacks. */
    tell_in(scene.aggregate, 12000, TEST_PID);
    scene_freeze(&scene, 13000);
    _cleanup_(wait_causes_releasep) struct wait_causes causes;
    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    assert_ptr_equal(wait_causes_get(&causes, stack, 0), first);
    scene_end(&scene);
}

static void system_calls_are_decided_for_the_run_too(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    const uint64_t caller[] = {place_in(walk_tree, 1), place_in(run_worker, 2)};
    tell_start(&scene, 1000, TEST_PID, "main");
    tell_block(&scene, 2000, TEST_PID, caller, 2, object_of(SYS_nanosleep, 0));
    scene_freeze(&scene, 5000);
    settle(&scene);
    stack_id stack = open_stack(&scene, 0);
    wait_object_id object = scene.snapshot->threads[0].wait_object;
    const struct wait_cause_entry *first = NULL;
    for (int query = 0; query < 2; query++) {
        _cleanup_(wait_causes_releasep) struct wait_causes causes;
        scene_ask_anew(&scene);
        assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
        const struct wait_cause_entry *entry = wait_causes_get(&causes, stack, object);
        first = first ? first : entry;
        assert_ptr_equal(entry, first);
        assert_string_equal(entry->site, "nanosleep");
        assert_int_equal(wait_causes_get(&causes, stack, 0)->reason, WAIT_REASON_OTHER);
        assert_int_equal(causes.n_passing, 0);
    }
    bool needs_call;
    struct cause_cache *cache = query_names_causes(scene.names);
    assert_ptr_equal(cause_cache_find_call(cache, stack, SYS_nanosleep), first);
    assert_non_null(cause_cache_find(cache, stack, &needs_call));
    assert_true(needs_call);
    assert_true(wait_causes_need_object(&scene.context, stack));
    scene_end(&scene);
}

/* The same within a query, and asked again in the next one. */
static void what_passing_names_decided_is_decided_again(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    assert_int_equal(symbolizer_new(&scene.symbolizer), 0);
    query_names_free(scene.names);
    assert_int_equal(query_names_new(scene.symbolizer, &scene.names), 0);
    scene_map_self(&scene, 1);
    tell_waits(&scene);
    stack_id stack = open_stack(&scene, 0);
    struct frame place =
        snapshot_frame(scene.snapshot, snapshot_stack(scene.snapshot, stack).frame);
    query_names_on_image(scene.names, snapshot_image(scene.snapshot, place.image));

    struct wait_causes causes;
    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    const struct wait_cause_entry *early = wait_causes_get(&causes, stack, 0);
    assert_int_equal(early->reason, WAIT_REASON_OTHER);
    assert_int_equal(causes.n_passing, 1);
    assert_null(kept_of(&scene, stack));
    query_names_on_image_seen(scene.names, place.image);
    assert_true(symbolizer_wait_idle(scene.symbolizer, 20000));
    settle(&scene);
    assert_ptr_equal(wait_causes_get(&causes, stack, 0), early);
    assert_int_equal(early->reason, WAIT_REASON_OTHER);
    wait_causes_release(&causes);

    assert_int_equal(wait_causes_init(&scene.context, &causes), 0);
    const struct wait_cause_entry *late = wait_causes_get(&causes, stack, 0);
    assert_int_equal(late->reason, WAIT_REASON_READY);
    assert_ptr_equal(late, kept_of(&scene, stack));
    wait_causes_release(&causes);
    scene_end(&scene);
}

#define N_ASKERS 4
#define N_ROUNDS 50

struct asker {
    const struct scene *scene;
    pthread_t thread;
    size_t n_wrong;
};

static void *ask_all(void *userdata)
{
    struct asker *asker = userdata;
    const struct snapshot *snapshot = asker->scene->snapshot;
    for (int round = 0; round < N_ROUNDS; round++) {
        _cleanup_(arena_releasep) struct arena arena;
        _cleanup_(wait_causes_releasep) struct wait_causes causes;
        arena_init(&arena, 0);
        struct query_context context = asker->scene->context;
        context.arena = &arena;
        asker->n_wrong += wait_causes_init(&context, &causes) != 0;
        for (uint64_t i = snapshot->first_wait; i < snapshot->n_waits; i++) {
            const struct stored_wait *wait = snapshot_wait(snapshot, i);
            const struct wait_cause_entry *cause =
                wait_causes_get(&causes, wait->stack, wait->object);
            bool is_known = cause && cause->reason != WAIT_REASON_OTHER && cause->site[0];
            asker->n_wrong += !is_known;
            asker->n_wrong += cause != wait_causes_get(&causes, wait->stack, wait->object);
        }
    }
    return NULL;
}

static void many_ask_at_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_waits(&scene);
    const uint64_t caller[] = {place_in(walk_tree, 1), place_in(run_worker, 2)};
    const int64_t third = TEST_PID + 2;
    tell_start(&scene, 12000, third, "third");
    for (uint64_t at_ns = 13000; at_ns < 16000; at_ns += 1000) {
        tell_block(&scene, at_ns, third, caller, 2,
                   object_of(at_ns % 2000 ? SYS_nanosleep : SYS_epoll_wait, 3));
        tell_in(scene.aggregate, at_ns + 500, third);
    }
    scene_freeze(&scene, 20000); /* lines may still be on their way */
    static struct asker askers[N_ASKERS];
    for (int i = 0; i < N_ASKERS; i++) {
        askers[i] = (struct asker){.scene = &scene};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_all, &askers[i]), 0);
    }
    for (int i = 0; i < N_ASKERS; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].n_wrong, 0);
    }
    settle(&scene);
    struct asker last = {.scene = &scene};
    ask_all(&last);
    assert_int_equal(last.n_wrong, 0);
    assert_non_null(kept_of(&scene, snapshot_wait(scene.snapshot, 0)->stack));
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_decide_once_per_stack),
        cmocka_unit_test(system_calls_take_part_where_a_single_kernel_place_is_known),
        cmocka_unit_test(the_site_can_be_a_system_call),
        cmocka_unit_test(system_calls_take_part_where_kernel_names_are_hidden),
        cmocka_unit_test(what_final_names_decided_is_decided_for_the_run),
        cmocka_unit_test(system_calls_are_decided_for_the_run_too),
        cmocka_unit_test(what_passing_names_decided_is_decided_again),
        cmocka_unit_test(many_ask_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
