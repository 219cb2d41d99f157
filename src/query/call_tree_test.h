/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * call_tree_test - a made-up run with inlined functions, for tests
 *
 * The test programs are linked with --wrap, so that the chains of the run's
 * frames are made here: the second half of hash_key is mix(), inlined into
 * round_of(), inlined into it; the second half of walk_tree is round_of().
 *
 * Owner:   constants. Threads: one.
 */

#include <string.h>

#include "query/query_test.h"

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof(*(array))))

static const struct symbol inlined_mix = {.name = "mix", .image = "inlines"};
static const struct symbol inlined_round = {.name = "round_of", .image = "inlines"};
static bool are_lines_loaded = true;

size_t __real_symbol_source_find_chain(struct symbol_source *source, uint64_t offset,
                                       struct symbol_chain_entry *ret_chain, size_t max_entries);
size_t __wrap_symbol_source_find_chain(struct symbol_source *source, uint64_t offset,
                                       struct symbol_chain_entry *ret_chain, size_t max_entries);
bool __wrap_symbol_source_chain_is_settled(struct symbol_source *source, uint64_t offset);

bool __wrap_symbol_source_chain_is_settled(struct symbol_source *source, uint64_t offset)
{
    (void)source;
    (void)offset;
    return are_lines_loaded;
}

size_t __wrap_symbol_source_find_chain(struct symbol_source *source, uint64_t offset,
                                       struct symbol_chain_entry *ret_chain, size_t max_entries)
{
    assert_true(max_entries >= 3);
    uint64_t address;
    const struct symbol *symbol = symbol_source_find(source, offset, &address);
    if (!symbol) {
        return 0;
    }
    uint64_t place = address - symbol->start_address - 4;
    bool is_hash = strcmp(symbol->name, "hash_key") == 0;
    bool is_walk = strcmp(symbol->name, "walk_tree") == 0;
    size_t n = 0;
    if (are_lines_loaded && place >= FUNCTION_PLACES / 2) {
        if (is_hash) {
            ret_chain[n++] = (struct symbol_chain_entry){&inlined_mix, true, "/src/lib/mix.h", 7};
        }
        if (is_hash || is_walk) {
            ret_chain[n++] =
                (struct symbol_chain_entry){&inlined_round, true, "/src/lib/mix.h", 20};
        }
    }
    ret_chain[n] = (struct symbol_chain_entry){.symbol = symbol};
    if (are_lines_loaded && (is_hash || is_walk)) {
        ret_chain[n].file = is_hash ? "/src/app/hash.c" : "main.c";
        ret_chain[n].line = 30;
    }
    return n + 1;
}

/*
 * run_worker ─ walk_tree ─┬ hash_key                     30
 *                         ├ hash_key ─ round_of ─ mix    20
 *                         └ round_of ┬ hash_key          10
 *                                    └ (itself)           5
 *              visit_node                                 5
 * walk_tree ─ walk_tree ─ walk_tree                      30, called by nobody
 */
static inline void tell_inlined(struct scene *scene)
{
    const uint64_t plain[] = {place_in(hash_key, 1), place_in(walk_tree, 2),
                              place_in(run_worker, 6)};
    const uint64_t mixed[] = {place_in(hash_key, 9), place_in(walk_tree, 3),
                              place_in(run_worker, 6)};
    const uint64_t below[] = {place_in(hash_key, 2), place_in(walk_tree, 12),
                              place_in(run_worker, 6)};
    const uint64_t itself[] = {place_in(walk_tree, 11), place_in(run_worker, 6)};
    const uint64_t visit[] = {place_in(visit_node, 1), place_in(run_worker, 6)};
    const uint64_t again[] = {place_in(walk_tree, 1), place_in(walk_tree, 2),
                              place_in(walk_tree, 3)};
    tell_in(scene->aggregate, 1000, TEST_PID);
    for (uint64_t i = 0; i < 100; i++) {
        const uint64_t *ips = i < 30   ? plain
                              : i < 50 ? mixed
                              : i < 60 ? below
                              : i < 65 ? itself
                              : i < 70 ? visit
                                       : again;
        uint32_t n_ips = i >= 60 && i < 70 ? 2 : 3;
        tell_sample(scene->aggregate, 1001 + i, TEST_PID, ips, n_ips);
    }
    tell_out(scene->aggregate, 2000, TEST_PID, false);
    scene_freeze(scene, 2500);
}

/* The setup and teardown of a test; its state is the scene. */
static inline int begin_inlined(void **state)
{
    static struct scene scene;
    are_lines_loaded = true;
    scene_begin(&scene, true, false);
    tell_inlined(&scene);
    *state = &scene;
    return 0;
}

static inline int end_inlined(void **state)
{
    scene_end(*state);
    return 0;
}
