/* SPDX-License-Identifier: MIT */
/* A run of this program is asked, and asked again by what an archive kept of it. */
#include "query/query_test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive/run_symbols.h"
#include "archive/symbol_tables.h"
#include "base/clock.h"
#include "query/query.h"

#define MADE_IP UINT64_C(0x700000)
#define MADE_BYTES 64
#define TIMEOUT_MS 60000

static volatile int argument = 5, result;
static uintptr_t inlined_ip; /* behind the call in doubled() */

__attribute__((noinline)) static int take_ip(int x)
{
    inlined_ip = (uintptr_t)__builtin_return_address(0);
    return x + 1;
}

static inline __attribute__((always_inline)) int doubled(int x)
{
    return take_ip(x) * 2;
}

__attribute__((noinline)) static int with_inlined(int x)
{
    int y = doubled(x) + 3;
    return y * x;
}

struct fixture {
    struct scene scene;
    struct jit_code *jit;
    char folder[32], path[64];
    bool is_alive; /* the run goes on */
    /* What was read again: */
    struct run_symbols *symbols;
    struct run_symbols_damage damage;
    struct symbolizer *symbolizer;
    struct query_names *names;
    struct jit_code *kept_jit;
};

static void load_made(struct fixture *fixture)
{
    static const uint8_t code[MADE_BYTES] = {0x55, 0x90, 0x90, 0xc3};
    int fd = memfd_create("code", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, code, sizeof(code)), MADE_BYTES);
    const struct jit_load load = {
        .pid = TEST_PID,
        .start_ip = MADE_IP,
        .n_bytes = MADE_BYTES,
        .from_ns = 10,
        .name = "made_one",
        .n_name_bytes = 8,
        .producer = 1,
        .index = 1,
        .fd = jit_code_keep_file(fixture->jit, fd),
    };
    assert_int_equal(jit_code_load(fixture->jit, &load), 0);
    const struct jit_load bare = {
        .pid = TEST_PID,
        .start_ip = MADE_IP + MADE_BYTES,
        .n_bytes = MADE_BYTES,
        .from_ns = 10,
        .name = "name_only",
        .n_name_bytes = 9,
        .fd = -1,
    };
    assert_int_equal(jit_code_load(fixture->jit, &bare), 0);
    assert_int_equal(jit_code_publish(fixture->jit), 0);
    jit_code_settle(fixture->jit);
}

static void tell_run(struct fixture *fixture)
{
    struct aggregate *aggregate = fixture->scene.aggregate;
    const uint64_t places[] = {
        place_in(hash_key, 3),
        place_in(copy_bytes, 1),
        (uint64_t)inlined_ip - 1,
        place_in(walk_tree, 2),
        MADE_IP + 2,
        MADE_IP + MADE_BYTES + 4,
        MADE_IP + 300, /* nobody told what that is */
        UINT64_C(0xffffffff81000000),
    };
    tell_image(aggregate, 2, TEST_PID,
               (struct event_image){.change = EVENT_IMAGE_MAPPED,
                                    .start_ip = MADE_IP,
                                    .end_ip = MADE_IP + 4096,
                                    .path = "//anon"});
    tell_in(aggregate, 1000, TEST_PID);
    for (uint64_t i = 0; i < 200; i++) {
        const uint64_t ips[] = {places[i % (sizeof(places) / sizeof(places[0]))],
                                place_in(run_worker, 4)};
        tell_sample(aggregate, 1005 + i * 9, TEST_PID, ips, 2);
    }
    tell_out(aggregate, 4000, TEST_PID, false);
}

static void save(struct fixture *fixture, bool is_alive, struct query_names *names,
                 struct run_symbols_stats *ret_stats)
{
    struct snapshot *snapshot = fixture->scene.snapshot;
    _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
    struct error error = {0};
    const struct run_symbols_options options = {.timeout_ms = TIMEOUT_MS,
                                                .is_target_alive = is_alive};
    assert_int_equal(archive_writer_new(fixture->path, &writer, &error), 0);
    assert_int_equal(run_symbols_write(snapshot, names, &options, writer, ret_stats, &error), 0);
    assert_int_equal(archive_writer_finish(writer, "{}", &error), 0);
}

static void forget(struct fixture *fixture)
{
    fixture->names = query_names_free(fixture->names);
    fixture->kept_jit = jit_code_free(fixture->kept_jit);
    fixture->symbolizer = symbolizer_free(fixture->symbolizer);
    fixture->symbols = run_symbols_free(fixture->symbols);
}

static void load(struct fixture *fixture)
{
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    struct error error = {0};
    assert_int_equal(archive_reader_open(fixture->path, &reader, &error), 0);
    assert_int_equal(run_symbols_read(reader, &fixture->symbols, &fixture->damage, &error), 0);
    assert_int_equal(symbolizer_new(&fixture->symbolizer), 0);
    assert_int_equal(query_names_new(fixture->symbolizer, &fixture->names), 0);
    assert_int_equal(jit_code_new(&fixture->kept_jit), 0);
    const struct kept_run kept = run_symbols_kept(fixture->symbols);
    query_names_set_kept(fixture->names, &kept);
    query_names_set_jit(fixture->names, fixture->kept_jit);
    jit_code_set_kept(fixture->kept_jit, run_symbols_take_jit(fixture->symbols));
    jit_code_settle(fixture->kept_jit);
    assert_null(run_symbols_take_jit(fixture->symbols));
    const struct snapshot *snapshot = fixture->scene.snapshot;
    for (image_id id = 0; id < snapshot->n_images; id++) {
        query_names_on_image(fixture->names, snapshot_image(snapshot, id));
        query_names_on_image_seen(fixture->names, id);
    }
    assert_true(symbolizer_wait_idle(fixture->symbolizer, 0)); /* no file is read */
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    result = with_inlined(argument);
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/run_symbols_XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/run.stax", fixture->folder);
    assert_int_equal(jit_code_new(&fixture->jit), 0);
    scene_begin(&fixture->scene, true, false);
    query_names_set_jit(fixture->scene.names, fixture->jit);
    load_made(fixture);
    tell_run(fixture);
    scene_freeze(&fixture->scene, 4000);
    query_names_settle_chains(fixture->scene.names, fixture->scene.snapshot, TIMEOUT_MS);
    query_names_settle_chains(fixture->scene.names, fixture->scene.snapshot, TIMEOUT_MS);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    forget(fixture);
    scene_end(&fixture->scene);
    jit_code_free(fixture->jit);
    unlink(fixture->path);
    rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static const char *shown(const char *text)
{
    return text ? text : "(none)";
}

/* The chains of all frames are told as text. */
static void describe_frames(struct query_names *names, const struct snapshot *snapshot,
                            struct arena *arena, const char **ret_texts)
{
    for (frame_id id = 0; id < snapshot->n_frames; id++) {
        struct name_chain chain;
        const char *text = "";
        assert_true(query_names_find_chain(names, snapshot, id, &chain));
        for (uint32_t i = 0; i < chain.n_entries; i++) {
            const struct symbol_chain_entry *entry = &chain.entries[i];
            text = arena_printf(arena, "%s%s (%s) %d 0x%" PRIx64 "+%" PRIu64 " %s:%u %d %d\n", text,
                                entry->symbol->name, entry->symbol->image, (int)entry->symbol->kind,
                                entry->symbol->start_address, entry->symbol->size_bytes,
                                shown(entry->file), entry->line, entry->is_inlined,
                                entry->symbol->is_nameless);
        }
        ret_texts[id] = text;
    }
}

static void assert_frames_are_the_same(const struct fixture *fixture, struct query_names *names)
{
    const struct snapshot *snapshot = fixture->scene.snapshot;
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    const char **before = arena_alloc_array(&arena, snapshot->n_frames, sizeof(*before));
    const char **after = arena_alloc_array(&arena, snapshot->n_frames, sizeof(*after));
    describe_frames(fixture->scene.names, snapshot, &arena, before);
    describe_frames(names, snapshot, &arena, after);
    bool has_inlined = false;
    for (frame_id id = 0; id < snapshot->n_frames; id++) {
        assert_string_equal(before[id], after[id]);
        has_inlined = has_inlined || strstr(before[id], "doubled");
    }
    assert_true(has_inlined);
}

static const char *describe_annotation(const struct fixture *fixture, struct query_names *names,
                                       const char *function, bool no_source, struct arena *arena)
{
    bool is_alive = fixture->is_alive && names == fixture->scene.names;
    struct query_context context = fixture->scene.context;
    const struct query_annotate_options options = {
        .function = function, .no_source = no_source, .code = {.is_target_alive = is_alive}};
    struct annotate_result annotation;
    struct error error = {0};
    context.names = names;
    context.arena = arena;
    int r = query_annotate(&context, &options, &annotation, &error);
    if (r != 0) {
        return arena_printf(arena, "%d %s", r, error.message);
    }
    const char *text =
        arena_printf(arena, "%s %s %s %" PRIu64 " %s %s %s\n", annotation.name, annotation.image,
                     shown(annotation.address), annotation.size, shown(annotation.language),
                     shown(annotation.machine), shown(annotation.origin));
    for (size_t i = 0; i < annotation.n_lines; i++) {
        const struct annotate_line *line = &annotation.lines[i];
        text =
            arena_printf(arena, "%s%s %s %s %" PRIu64 " %s:%u %s %s %s %s %d\n", text,
                         line->address, shown(line->bytes), shown(line->text), line->samples,
                         shown(line->file), line->line, shown(line->source), shown(line->inlined),
                         shown(line->branch_target), shown(line->target_name), line->is_target);
    }
    for (size_t i = 0; i < annotation.n_notes; i++) {
        text = arena_printf(arena, "%s%s\n", text, annotation.notes[i]);
    }
    return text;
}

static void assert_annotations_are_the_same(const struct fixture *fixture,
                                            struct query_names *names)
{
    static const char *const functions[] = {
        "hash_key", "copy_bytes", "walk_tree", "run_worker",         "with_inlined",
        "doubled",  "made_one",   "name_only", "0xffffffff81000000", "no_such_function",
    };
    for (size_t i = 0; i < 2 * sizeof(functions) / sizeof(functions[0]); i++) {
        _cleanup_(arena_releasep) struct arena arena;
        arena_init(&arena, 0);
        const char *before = describe_annotation(fixture, fixture->scene.names, functions[i / 2],
                                                 i % 2 != 0, &arena);
        const char *after =
            describe_annotation(fixture, names, functions[i / 2], i % 2 != 0, &arena);
        assert_string_equal(before, after);
    }
}

/* The source of this test is there while it is built, and usually while it runs. */
static void assert_has_text(const struct fixture *fixture)
{
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    const char *text = describe_annotation(fixture, fixture->names, "with_inlined", false, &arena);
    assert_non_null(strstr(text, "doubled"));
    if (access(__FILE__, R_OK) == 0 && __FILE__[0] == '/') {
        assert_non_null(strstr(text, "int y = doubled(x) + 3;"));
    }
    assert_non_null(strstr(text, "take_ip")); /* the name beside the call */
    text = describe_annotation(fixture, fixture->names, "made_one", false, &arena);
    assert_non_null(strstr(text, "record"));
}

static void what_was_kept_answers_the_same(void **state)
{
    struct fixture *fixture = *state;
    struct run_symbols_stats stats;
    save(fixture, false, fixture->scene.names, &stats);
    assert_true(stats.n_functions >= 6);
    assert_true(stats.n_inlined_functions >= 1);
    assert_true(stats.n_code_bytes > 4 * 32);
    assert_int_equal(stats.n_lines_late, 0);
    assert_int_equal(stats.n_left_out, 0);
    assert_int_equal(stats.n_made_functions, 2);
    assert_int_equal(stats.n_made_bytes, MADE_BYTES);
    assert_true(stats.n_bytes > 0);
    load(fixture);
    assert_int_equal(fixture->damage.n_members, 0);
    assert_int_equal(fixture->damage.n_rows, 0);
    assert_frames_are_the_same(fixture, fixture->names);
    assert_annotations_are_the_same(fixture, fixture->names);
    assert_has_text(fixture);
    /* Once more, from what was kept. */
    struct run_symbols_stats again;
    unlink(fixture->path);
    save(fixture, false, fixture->names, &again);
    assert_int_equal(again.n_made_functions, stats.n_made_functions);
    assert_int_equal(again.n_source_lines, stats.n_source_lines);
    forget(fixture);
    load(fixture);
    assert_frames_are_the_same(fixture, fixture->names);
    assert_annotations_are_the_same(fixture, fixture->names);
}

static void diagnose_knows_where_names_came_from(void **state)
{
    struct fixture *fixture = *state;
    struct run_symbols_stats stats;
    save(fixture, false, fixture->scene.names, &stats);
    load(fixture);
    size_t n_loaded = 0;
    for (image_id id = 0; id < fixture->scene.snapshot->n_images; id++) {
        struct symbol_source_info before, after;
        query_names_describe(fixture->scene.names, id, &before);
        query_names_describe(fixture->names, id, &after);
        if (before.state == SYMBOL_STATE_IDLE) {
            continue; /* no frame is in it: nothing of it is kept */
        }
        assert_int_equal(before.state, after.state);
        assert_string_equal(before.origin, after.origin);
        assert_string_equal(before.failure, after.failure);
        assert_int_equal(before.n_functions, after.n_functions);
        n_loaded += after.n_functions > 0;
    }
    assert_true(n_loaded >= 1);
}

/* Copies all members but one, which is changed. */
static void write_damaged(const struct fixture *fixture, struct archive_reader *reader,
                          const char *path, size_t damaged, unsigned int how)
{
    _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
    struct error error = {0};
    (void)fixture;
    assert_int_equal(archive_writer_new(path, &writer, &error), 0);
    for (size_t i = 0; i < archive_reader_count(reader); i++) {
        const char *name = archive_reader_member(reader, i).name;
        struct archive_bytes member;
        if (strcmp(name, "manifest.json") == 0) {
            continue;
        }
        assert_int_equal(archive_reader_read(reader, name, &member), 0);
        uint8_t *bytes = member.bytes;
        if (i == damaged && member.n_bytes > 40) {
            bytes[how % 3 == 0 ? 40 : member.n_bytes / 2] ^= how % 3 == 2 ? 0 : 0x10;
            member.n_bytes = how % 3 == 2 ? member.n_bytes / 2 : member.n_bytes;
        }
        if (i != damaged || how != 3) { /* 3: it is gone */
            assert_int_equal(archive_writer_add(writer, name, bytes, member.n_bytes, &error), 0);
        }
        free(member.bytes);
    }
    assert_int_equal(archive_writer_finish(writer, "{}", &error), 0);
}

/* Whatever is missing: every question has an answer. */
static void damage_costs_what_was_damaged(void **state)
{
    struct fixture *fixture = *state;
    struct run_symbols_stats stats;
    struct error error = {0};
    save(fixture, false, fixture->scene.names, &stats);
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    assert_int_equal(archive_reader_open(fixture->path, &reader, &error), 0);
    size_t n_members = archive_reader_count(reader), n_damaged = 0;
    assert_true(n_members >= 15);
    char whole[64], damaged[64];
    snprintf(whole, sizeof(whole), "%s", fixture->path);
    snprintf(damaged, sizeof(damaged), "%s/damaged.stax", fixture->folder);
    for (size_t i = 0; i < 4 * n_members; i++) {
        write_damaged(fixture, reader, damaged, i / 4, i % 4);
        memcpy(fixture->path, damaged, sizeof(damaged));
        load(fixture);
        n_damaged += fixture->damage.n_members > 0;
        for (frame_id id = 0; id < fixture->scene.snapshot->n_frames; id++) {
            struct name_chain chain;
            assert_true(
                query_names_find_chain(fixture->names, fixture->scene.snapshot, id, &chain));
            assert_true(chain.n_entries > 0);
        }
        _cleanup_(arena_releasep) struct arena arena;
        arena_init(&arena, 0);
        assert_non_null(
            describe_annotation(fixture, fixture->names, "with_inlined", false, &arena));
        assert_non_null(describe_annotation(fixture, fixture->names, "made_one", false, &arena));
        forget(fixture);
        unlink(damaged);
    }
    assert_true(n_damaged >= 2 * (n_members - 5));
    memcpy(fixture->path, whole, sizeof(whole));
}

/* Code that stands in this process and nowhere else, as long as the run goes on. */
static void memory_is_kept_while_it_is_there(void **state)
{
    struct fixture *fixture = *state;
    size_t n_bytes = 4096;
    uint8_t *memory =
        mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    memset(memory, 0x90, n_bytes);
    uint64_t start_ip = (uint64_t)(uintptr_t)memory, ip = start_ip + 600, now_ns = clock_now_ns();
    const struct event_image mapping = {.change = EVENT_IMAGE_MAPPED,
                                        .start_ip = start_ip,
                                        .end_ip = start_ip + n_bytes,
                                        .path = "//anon"};
    tell_image(fixture->scene.aggregate, now_ns, getpid(), mapping);
    tell(fixture->scene.aggregate, (struct event){.kind = EVENT_SAMPLE,
                                                  .time_ns = now_ns,
                                                  .pid = getpid(),
                                                  .tid = getpid(),
                                                  .stack = {.ips = &ip, .n_ips = 1},
                                                  .sample = {.period_ns = TEST_MS}});
    scene_freeze(&fixture->scene, now_ns + 1);
    fixture->is_alive = true;
    char name[64];
    snprintf(name, sizeof(name), "[anon]+0x%" PRIx64, ip);
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    const char *before = describe_annotation(fixture, fixture->scene.names, name, false, &arena);
    assert_non_null(strstr(before, "target memory"));
    assert_non_null(strstr(before, "nop"));
    struct run_symbols_stats stats;
    save(fixture, true, fixture->scene.names, &stats);
    munmap(memory, n_bytes);
    load(fixture);
    assert_string_equal(before, describe_annotation(fixture, fixture->names, name, false, &arena));
    forget(fixture);
    /* Of a run that is over nobody has it. */
    unlink(fixture->path);
    save(fixture, false, fixture->scene.names, &stats);
    load(fixture);
    assert_non_null(strstr(describe_annotation(fixture, fixture->names, name, false, &arena),
                           "the run has ended"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_kept_answers_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(diagnose_knows_where_names_came_from, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_is_kept_while_it_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_costs_what_was_damaged, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
