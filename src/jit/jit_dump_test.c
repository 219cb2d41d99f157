/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "decode/jitdump_test.h"
#include "jit/jit_dump.h"
#include "jit/jit_test.h"

struct scene {
    struct jit_code *code;
    struct jit_dump *dump;
    int fd; /* the writer's */
};

static struct scene make(void)
{
    struct scene scene = {.fd = test_file()};
    assert_int_equal(jit_code_new(&scene.code), 0);
    assert_int_equal(jit_dump_open(scene.code, 42, dup(scene.fd), &scene.dump), 0);
    return scene;
}

static void end(struct scene *scene)
{
    jit_dump_free(scene->dump);
    jit_code_free(scene->code);
    close(scene->fd);
}

static void append(const struct scene *scene, const void *data, size_t n_bytes)
{
    assert_int_equal(write(scene->fd, data, n_bytes), (ssize_t)n_bytes);
}

static int64_t look(const struct scene *scene)
{
    struct jit_budget budget = jit_budget_begin(NULL, clock_now_ns());
    budget.until_ns = UINT64_MAX;
    return jit_dump_read(scene->dump, &budget);
}

/* Written in pieces of every size: what is read is always whole. */
static void test_it_grows(void **state)
{
    (void)state;
    struct jitdump_text text = {0};
    dump_header(&text, 7, 0);
    for (uint64_t i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof(name), "f%d", (int)i);
        dump_load(&text, 100 + i, 0x1000 * (i + 1), i, name, "code of it");
    }
    dump_move(&text, 500, 0x1000, 0x90000, 10, 0);
    for (size_t piece = 1; piece < 200; piece += 37) {
        struct scene scene = make();
        int64_t n_records = 0;
        for (size_t at = 0; at < text.n_bytes; at += piece) {
            size_t n = piece < text.n_bytes - at ? piece : text.n_bytes - at;
            append(&scene, text.bytes + at, n);
            int64_t n_read = look(&scene);
            assert_true(n_read >= 0);
            n_records += n_read;
        }
        assert_int_equal(n_records, 21);
        assert_int_equal(look(&scene), 0);
        assert_int_equal(jit_code_publish(scene.code), 0);
        assert_string_equal(test_name_at(scene.code, 42, 0x5009, 300), "f4");
        assert_string_equal(test_name_at(scene.code, 42, 0x1001, 300), "f0");
        assert_string_equal(test_name_at(scene.code, 42, 0x90001, 600), "f0");
        struct jit_place place;
        char code[16] = "";
        assert_true(jit_code_find(scene.code, 42, 0x90001, 600, 600, &place));
        assert_int_equal(jit_code_read(&place, code, sizeof(code)), 10);
        assert_string_equal(code, "code of it");
        end(&scene);
    }
}

/* Lines come before their code, and belong to no other. */
static void test_lines_belong_to_their_code(void **state)
{
    (void)state;
    struct scene scene = make();
    struct jitdump_text text = {0};
    dump_header(&text, 7, 0);
    dump_debug_info(&text, 0x1000, 0x1000, 0x1004);
    append(&scene, text.bytes, text.n_bytes);
    assert_int_equal(look(&scene), 1);
    text = (struct jitdump_text){0};
    dump_load(&text, 100, 0x1000, 1, "lined", "12345678");
    dump_load(&text, 100, 0x2000, 2, "plain", "12345678");
    dump_debug_info(&text, 0x7000, 0x3000, 0x3004);
    dump_load(&text, 100, 0x3000, 3, "other", "12345678");
    append(&scene, text.bytes, text.n_bytes);
    assert_int_equal(look(&scene), 4);
    assert_int_equal(jit_code_publish(scene.code), 0);
    struct jit_place place;
    const char *file;
    uint32_t line;
    assert_true(jit_code_find(scene.code, 42, 0x1006, 100, 100, &place));
    assert_true(jit_code_line(&place, 0x1006, &file, &line));
    assert_int_equal(line, 20);
    assert_true(jit_code_find(scene.code, 42, 0x2006, 100, 100, &place));
    assert_false(jit_code_line(&place, 0x2006, &file, &line));
    assert_true(jit_code_find(scene.code, 42, 0x3006, 100, 100, &place));
    assert_false(jit_code_line(&place, 0x3006, &file, &line));
    end(&scene);
}

/* Ticks are no time: what was there has always been, what comes later comes when it is read. */
static void test_foreign_clock(void **state)
{
    (void)state;
    struct scene scene = make();
    struct jitdump_text text = {0};
    dump_header(&text, 7, JITDUMP_FLAG_ARCH_TIMESTAMP);
    dump_load(&text, UINT64_MAX - 5, 0x1000, 1, "first", "code");
    append(&scene, text.bytes, text.n_bytes);
    assert_int_equal(look(&scene), 1);
    assert_true(jit_dump_has_foreign_clock(scene.dump));
    uint64_t between_ns = clock_now_ns();
    text = (struct jitdump_text){0};
    dump_load(&text, 5, 0x1000, 2, "second", "code");
    append(&scene, text.bytes, text.n_bytes);
    assert_int_equal(look(&scene), 1);
    assert_int_equal(jit_code_publish(scene.code), 0);
    assert_string_equal(test_name_at(scene.code, 42, 0x1000, 1), "first");
    assert_string_equal(test_name_at(scene.code, 42, 0x1000, between_ns), "first");
    assert_string_equal(test_name_at(scene.code, 42, 0x1000, clock_now_ns()), "second");
    end(&scene);
}

static void test_nonsense(void **state)
{
    (void)state;
    struct scene scene = make();
    struct jitdump_text text = {0};
    const uint8_t zeros[64] = {0};
    dump_header(&text, 7, 0);
    dump_load(&text, 1, 0x1000, 1, "before", "code");
    append(&scene, text.bytes, text.n_bytes);
    append(&scene, zeros, sizeof(zeros)); /* a record cannot be shorter than its beginning */
    assert_int_equal(look(&scene), 1);
    assert_int_equal(look(&scene), -EBADMSG);
    assert_int_equal(jit_code_publish(scene.code), 0);
    assert_string_equal(test_name_at(scene.code, 42, 0x1000, 2), "before");
    end(&scene);
    scene = make();
    append(&scene,
           "\x7f"
           "ELF and more",
           13);
    assert_int_equal(look(&scene), -EBADMSG);
    end(&scene);
}

/* A record that is larger than what is read at once. */
static void test_large_code(void **state)
{
    (void)state;
    struct scene scene = make();
    struct jitdump_text text = {0};
    const uint64_t n_code_bytes = 3u << 20;
    char *code = malloc(n_code_bytes);
    memset(code, 'c', n_code_bytes);
    dump_header(&text, 7, 0);
    dump_load(&text, 1, 0x100000, 1, "large", "");
    uint32_t n_record_bytes = (uint32_t)(text.n_bytes - text.record_at + n_code_bytes);
    memcpy(text.bytes + text.record_at + 4, &n_record_bytes, 4);
    memcpy(text.bytes + text.record_at + JITDUMP_PREFIX_BYTES + 24, &n_code_bytes, 8);
    append(&scene, text.bytes, text.n_bytes);
    append(&scene, code, n_code_bytes);
    text = (struct jitdump_text){0};
    dump_load(&text, 1, 0x9000000, 2, "behind", "x");
    append(&scene, text.bytes, text.n_bytes);
    assert_int_equal(look(&scene), 2);
    assert_int_equal(jit_code_publish(scene.code), 0);
    assert_string_equal(test_name_at(scene.code, 42, 0x100000 + n_code_bytes - 1, 2), "large");
    assert_string_equal(test_name_at(scene.code, 42, 0x9000000, 2), "behind");
    free(code);
    end(&scene);
}

static void test_identity(void **state)
{
    (void)state;
    struct scene scene = make();
    struct stat status;
    assert_int_equal(fstat(scene.fd, &status), 0);
    assert_true(jit_dump_is_file(scene.dump, status.st_dev, status.st_ino));
    assert_false(jit_dump_is_file(scene.dump, status.st_dev, status.st_ino + 1));
    assert_int_equal(jit_dump_pid(scene.dump), 42);
    end(&scene);
}

/* A large record of a kind that nobody uses is stepped over, whatever it holds. */
static void test_large_records_of_no_use(void **state)
{
    (void)state;
    struct scene scene = make();
    struct jitdump_text text = {0};
    const uint32_t n_record_bytes = JITDUMP_MAX_RECORD_BYTES;
    uint64_t at = JITDUMP_HEADER_BYTES;
    dump_header(&text, 7, 0);
    append(&scene, text.bytes, text.n_bytes);
    for (int i = 0; i < 40; i++, at += n_record_bytes) {
        text = (struct jitdump_text){0};
        dump_begin(&text, 99, 1);
        memcpy(text.bytes + 4, &n_record_bytes, 4);
        assert_int_equal(pwrite(scene.fd, text.bytes, text.n_bytes, (off_t)at), 16);
    }
    text = (struct jitdump_text){0};
    dump_load(&text, 1, 0x1000, 1, "behind", "code");
    assert_int_equal(pwrite(scene.fd, text.bytes, text.n_bytes, (off_t)at), (ssize_t)text.n_bytes);
    struct jit_budget budget = jit_budget_begin(NULL, clock_now_ns());
    budget.until_ns = UINT64_MAX;
    assert_int_equal(jit_dump_read(scene.dump, &budget), 1); /* 2.5 GiB with 64 MiB to read */
    assert_false(budget.was_exceeded);
    end(&scene);
}

/* Records of use over holes are read in parts, and given up past the limit. */
static void test_a_dump_without_an_end(void **state)
{
    (void)state;
    struct scene scene = make();
    struct jitdump_text text = {0};
    const uint32_t n_record_bytes = JITDUMP_MAX_RECORD_BYTES;
    uint64_t at = JITDUMP_HEADER_BYTES;
    dump_header(&text, 7, 0);
    append(&scene, text.bytes, text.n_bytes);
    for (; at <= JIT_FILE_MAX_BYTES; at += n_record_bytes) {
        text = (struct jitdump_text){0};
        dump_begin(&text, JITDUMP_DEBUG_INFO, 1);
        memcpy(text.bytes + 4, &n_record_bytes, 4);
        assert_int_equal(pwrite(scene.fd, text.bytes, text.n_bytes, (off_t)at), 16);
    }
    assert_int_equal(ftruncate(scene.fd, (off_t)(at + n_record_bytes)), 0);
    atomic_bool is_stopping = true;
    struct jit_budget budget = jit_budget_begin(&is_stopping, clock_now_ns());
    uint64_t start_ns = clock_now_ns();
    assert_true(jit_dump_read(scene.dump, &budget) >= 0);
    assert_true(budget.was_exceeded);
    assert_true(clock_now_ns() - start_ns < 60 * NS_PER_S);
    int64_t r = 0;
    for (int i = 0; r >= 0 && i < 200; i++) {
        budget = jit_budget_begin(NULL, clock_now_ns());
        (void)jit_dump_read(scene.dump, &budget);
        r = budget.was_exceeded ? 0 : look(&scene);
    }
    assert_int_equal(r, -EFBIG);
    end(&scene);
}

/* A child that goes on without exec writes into the dump of its parent. */
static void test_records_of_children(void **state)
{
    (void)state;
    struct scene scene = make();
    struct jitdump_text text = {0};
    struct jit_code_stats stats;
    jit_code_fork(scene.code, 43, 42, 50);
    dump_header(&text, 42, 0);
    text.pid = 42;
    dump_load(&text, 100, 0x1000, 1, "of the parent", "code");
    text.pid = 43;
    dump_load(&text, 110, 0x2000, 2, "of the child", "code");
    dump_load(&text, 110, 0x3000, 1, "its own number 1", "code");
    dump_move(&text, 200, 0x3000, 0x5000, 4, 1);
    text.pid = 44000044; /* no pid is that high */
    dump_load(&text, 120, 0x4000, 3, "of nobody", "code");
    append(&scene, text.bytes, text.n_bytes);
    assert_int_equal(look(&scene), 5);
    assert_int_equal(jit_code_publish(scene.code), 0);
    assert_string_equal(test_name_at(scene.code, 42, 0x1000, 300), "of the parent");
    assert_string_equal(test_name_at(scene.code, 42, 0x2000, 300), "");
    assert_string_equal(test_name_at(scene.code, 43, 0x2000, 300), "of the child");
    assert_string_equal(test_name_at(scene.code, 43, 0x5000, 300), "its own number 1");
    assert_string_equal(test_name_at(scene.code, 42, 0x4000, 300), "");
    jit_code_get_stats(scene.code, &stats);
    assert_int_equal(stats.n_dropped, 1);
    end(&scene);
}

/* The program began again: another header, other records, the same file. */
static void test_written_anew(void **state)
{
    (void)state;
    struct scene scene = make();
    struct jitdump_text text = {0};
    struct jit_place place;
    char code[8] = "";
    dump_header(&text, 7, 0);
    dump_load(&text, 100, 0x1000, 1, "before", "CODE");
    append(&scene, text.bytes, text.n_bytes);
    assert_int_equal(look(&scene), 1);
    assert_int_equal(jit_code_publish(scene.code), 0);
    assert_true(jit_code_find(scene.code, 42, 0x1000, 100, 100, &place));
    assert_int_equal(jit_code_read(&place, code, sizeof(code)), 4);
    /* Longer than before, so that only the header tells. */
    text = (struct jitdump_text){0};
    dump_header(&text, 7, 0);
    text.bytes[24]++; /* its time */
    dump_load(&text, 200, 0x2000, 1, "after", "OTHER");
    dump_load(&text, 200, 0x3000, 2, "and more", "OTHER");
    assert_int_equal(ftruncate(scene.fd, 0), 0);
    assert_int_equal(lseek(scene.fd, 0, SEEK_SET), 0);
    append(&scene, text.bytes, text.n_bytes);
    assert_int_equal(look(&scene), 2);
    assert_int_equal(jit_code_publish(scene.code), 0);
    assert_string_equal(test_name_at(scene.code, 42, 0x1000, 100), "before");
    assert_int_equal(jit_code_read(&place, code, sizeof(code)), -ENODATA);
    assert_true(jit_code_find(scene.code, 42, 0x2000, 300, 300, &place));
    assert_int_equal(jit_code_read(&place, code, sizeof(code)), 5);
    assert_memory_equal(code, "OTHER", 5);
    /* Shorter than what was read. */
    text = (struct jitdump_text){0};
    dump_header(&text, 7, 0);
    assert_int_equal(ftruncate(scene.fd, 0), 0);
    assert_int_equal(lseek(scene.fd, 0, SEEK_SET), 0);
    append(&scene, text.bytes, text.n_bytes);
    assert_int_equal(look(&scene), 0);
    assert_int_equal(jit_code_read(&place, code, sizeof(code)), -ENODATA);
    text = (struct jitdump_text){0};
    dump_load(&text, 300, 0x7000, 1, "at last", "x");
    append(&scene, text.bytes, text.n_bytes);
    assert_int_equal(look(&scene), 1);
    end(&scene);
}

static void test_after_the_end_of_the_run(void **state)
{
    (void)state;
    struct scene scene = make();
    struct jitdump_text text = {0};
    struct jit_code_stats stats;
    jit_dump_end_at(scene.dump, 500);
    dump_header(&text, 7, 0);
    dump_load(&text, 100, 0x1000, 1, "in the run", "code");
    append(&scene, text.bytes, text.n_bytes);
    assert_int_equal(look(&scene), 1);
    assert_false(jit_dump_has_passed_end(scene.dump));
    text = (struct jitdump_text){0};
    dump_load(&text, 501, 0x1000, 2, "too late", "code");
    append(&scene, text.bytes, text.n_bytes);
    assert_int_equal(look(&scene), 1);
    assert_true(jit_dump_has_passed_end(scene.dump));
    jit_code_get_stats(scene.code, &stats);
    assert_int_equal(stats.n_functions, 1);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_grows),
        cmocka_unit_test(test_lines_belong_to_their_code),
        cmocka_unit_test(test_foreign_clock),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_large_code),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_large_records_of_no_use),
        cmocka_unit_test(test_a_dump_without_an_end),
        cmocka_unit_test(test_records_of_children),
        cmocka_unit_test(test_written_anew),
        cmocka_unit_test(test_after_the_end_of_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
