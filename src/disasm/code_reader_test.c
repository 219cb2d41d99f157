/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "disasm/code_reader.h"
#include "images/proc_maps.h"

__attribute__((noinline, used)) static int known_code(int x)
{
    __asm__ volatile("nop\n nop\n nop");
    return x * 3;
}

/* This program, as an image of a run; strings stay in `maps`. */
static struct image own_image(char *maps, uint64_t ip, uint64_t *ret_bias_offset)
{
    char *at = maps;
    struct proc_maps_line line;
    struct image image = {.pid = getpid()};
    while (proc_maps_next(&at, &line)) {
        if (ip >= line.image.start_ip && ip < line.image.end_ip) {
            image.path = image.name = line.image.path;
            image.inode = line.image.inode;
            image.device_major = line.image.device_major;
            image.device_minor = line.image.device_minor;
            image.start_ip = line.image.start_ip;
            image.end_ip = line.image.end_ip;
            *ret_bias_offset = ip - line.image.start_ip + line.image.file_offset;
        }
    }
    return image;
}

/* The address in the image whose bytes stand at the offset of the file: tried out. */
static uint64_t address_of(const struct code_reader *reader, uint64_t offset)
{
    for (uint64_t distance = 0; distance < 1 << 20; distance += 4096) {
        uint64_t found;
        if (code_reader_offset(reader, offset + distance, &found) && found == offset) {
            return offset + distance;
        }
    }
    fail_msg("no segment loads the offset");
    return 0;
}

static void test_code_from_the_file(void **state)
{
    (void)state;
    _cleanup_(freep) char *maps = NULL;
    uint64_t offset = 0;
    uint8_t bytes[32];
    struct error error = {0};
    const struct code_access access = {.is_target_alive = false};
    assert_int_equal(fd_read_file("/proc/self/maps", 1 << 22, &maps, NULL), 0);
    struct image image = own_image(maps, (uint64_t)(uintptr_t)known_code, &offset);
    image.kind = IMAGE_KIND_FILE;
    _cleanup_(code_reader_freep) struct code_reader *reader = NULL;
    assert_int_equal(code_reader_open(&access, &image, &reader, &error), 0);
    uint64_t address = address_of(reader, offset);
    assert_int_equal(code_reader_read(reader, address, bytes, sizeof(bytes), &error), 32);
    assert_memory_equal(bytes, (const void *)(uintptr_t)known_code, 32);
    assert_string_equal(code_reader_origin(reader), "file");
    assert_int_equal(code_reader_machine(reader), disasm_own_machine());
    assert_true(code_reader_modified_s(reader) > 1000000000);
    assert_true(code_reader_is_code(reader, address));
    assert_false(code_reader_is_code(reader, 4)); /* the ELF header */
    uint64_t start, end;
    assert_true(code_reader_bounds(reader, address + 2, &start, &end));
    assert_int_equal(start, address);
    assert_true(end > address + 2 && end < address + 4096);
    assert_true(code_reader_read(reader, UINT64_MAX - 8, bytes, 4, &error) < 0);
    assert_string_equal(error.code, "no_code");
    assert_int_equal(known_code(1), 3);
}

static void test_code_of_the_vdso(void **state)
{
    (void)state;
    uint64_t start_ip = getauxval(AT_SYSINFO_EHDR);
    if (start_ip == 0) {
        print_message("there is no vdso\n");
        skip();
    }
    const struct image image = {.kind = IMAGE_KIND_VDSO,
                                .path = "[vdso]",
                                .name = "[vdso]",
                                .pid = getpid(),
                                .start_ip = start_ip,
                                .end_ip = start_ip + 8192};
    const struct code_access access = {.is_target_alive = true};
    _cleanup_(code_reader_freep) struct code_reader *reader = NULL;
    uint8_t magic[4];
    assert_int_equal(code_reader_open(&access, &image, &reader, NULL), 0);
    assert_int_equal(code_reader_read(reader, 0, magic, 4, NULL), 4);
    assert_memory_equal(magic, "\177ELF", 4);
}

static ssize_t read_recorded(void *userdata, const struct image *image, uint64_t offset,
                             void *buffer, size_t n_bytes)
{
    assert_int_equal(image->kind, IMAGE_KIND_ANONYMOUS);
    if (offset != 0x7000) {
        return 0;
    }
    memset(buffer, *(int *)userdata, n_bytes);
    return (ssize_t)n_bytes;
}

static void test_code_made_at_run_time(void **state)
{
    (void)state;
    static const uint8_t code[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int fill = 0x90;
    const struct image image = {
        .kind = IMAGE_KIND_ANONYMOUS, .path = "[anon]", .name = "[anon]", .pid = getpid()};
    const struct code_access alive = {
        .is_target_alive = true, .userdata = &fill, .read_recorded = read_recorded};
    struct error error = {0};
    uint8_t bytes[8];
    struct code_reader *reader = NULL;
    assert_int_equal(code_reader_open(&alive, &image, &reader, &error), 0);
    /* The record first: memory may hold something else by now. */
    assert_int_equal(code_reader_read(reader, 0x7000, bytes, 8, &error), 8);
    assert_int_equal(bytes[7], 0x90);
    assert_string_equal(code_reader_origin(reader), "record");
    uint64_t address = (uint64_t)(uintptr_t)code;
    assert_int_equal(code_reader_read(reader, address, bytes, 8, &error), 8);
    assert_memory_equal(bytes, code, 8);
    assert_string_equal(code_reader_origin(reader), "target memory");
    assert_true(code_reader_read(reader, 16, bytes, 8, &error) < 0);
    assert_non_null(strstr(error.message, "gone"));
    uint64_t start, end;
    assert_false(code_reader_bounds(reader, address, &start, &end));
    reader = code_reader_free(reader);

    const struct code_access dead = {.is_target_alive = false};
    assert_int_equal(code_reader_open(&dead, &image, &reader, &error), 0);
    assert_true(code_reader_read(reader, address, bytes, 8, &error) < 0);
    assert_non_null(strstr(error.message, "the run has ended"));
    assert_non_null(strstr(error.hint, "jitdump"));
    reader = code_reader_free(reader);
}

static int n_asked;

static bool is_unchanged(void *userdata)
{
    return n_asked++ < *(const int *)userdata;
}

/* Memory counts only while it is that of the process, and the code, that was seen. */
static void test_memory_of_today(void **state)
{
    (void)state;
    static const uint8_t code[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int n_unchanged = 2;
    uint8_t bytes[8] = {0};
    struct error error = {0};
    struct code_reader *reader = NULL;
    uint64_t address = (uint64_t)(uintptr_t)code;
    const struct image image = {
        .kind = IMAGE_KIND_ANONYMOUS, .path = "[anon]", .name = "[anon]", .pid = 1};
    struct code_access access = {
        .is_target_alive = true,
        .memory_pid = getpid(), /* not that of who mapped such memory first */
        .seen_ns = clock_now_ns(),
        .userdata = &n_unchanged,
        .is_unchanged = is_unchanged,
    };
    assert_int_equal(code_reader_open(&access, &image, &reader, &error), 0);
    n_asked = 0;
    assert_int_equal(code_reader_read(reader, address, bytes, 8, &error), 8);
    assert_memory_equal(bytes, code, 8);
    assert_int_equal(n_asked, 2); /* before and after */
    for (n_unchanged = 0; n_unchanged < 2; n_unchanged++) {
        n_asked = 0;
        assert_true(code_reader_read(reader, address, bytes, 8, &error) < 0);
        assert_non_null(strstr(error.message, "was replaced since"));
    }
    n_asked = 0;
    access.seen_ns = 1; /* before we began: our pid was another process' */
    assert_true(code_reader_read(reader, address, bytes, 8, &error) < 0);
    assert_non_null(strstr(error.message, "gone"));
    reader = code_reader_free(reader);
}

static void test_says_why_there_is_no_code(void **state)
{
    (void)state;
    const struct code_access access = {.is_target_alive = false};
    const struct image gone = {
        .kind = IMAGE_KIND_FILE, .path = "/nowhere/lib.so", .name = "lib.so"};
    struct error error = {0};
    struct code_reader *reader = NULL;
    assert_true(code_reader_open(&access, &gone, &reader, &error) < 0);
    assert_null(reader);
    assert_true(error_is_set(&error));
    assert_null(code_reader_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_from_the_file),        cmocka_unit_test(test_code_of_the_vdso),
        cmocka_unit_test(test_code_made_at_run_time),     cmocka_unit_test(test_memory_of_today),
        cmocka_unit_test(test_says_why_there_is_no_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
