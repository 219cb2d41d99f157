/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "images/proc_maps.h"
#include "unwind/cfi_store.h"

#define WAIT_MS 20000

static char *own_maps;

/* The mapping of ours that holds `ip` (or the vdso, where ip is 0) as an image. */
static struct image image_at(uint64_t ip)
{
    static char paths[16][PATH_MAX];
    static size_t n_paths;
    char *path = paths[n_paths++ % 16];
    _cleanup_(freep) char *texts = strdup(own_maps);
    assert_non_null(texts);
    char *at = texts;
    struct proc_maps_line line;
    while (proc_maps_next(&at, &line)) {
        bool is_wanted = ip != 0 ? ip >= line.image.start_ip && ip < line.image.end_ip
                                 : strcmp(line.image.path, "[vdso]") == 0;
        if (is_wanted) {
            snprintf(path, PATH_MAX, "%s", line.image.path);
            return (struct image){
                .kind = ip != 0 ? IMAGE_KIND_FILE : IMAGE_KIND_VDSO,
                .path = path,
                .name = path,
                .inode = line.image.inode,
                .device_major = line.image.device_major,
                .device_minor = line.image.device_minor,
                .pid = getpid(),
                .start_ip = line.image.start_ip,
                .end_ip = line.image.end_ip,
            };
        }
    }
    return (struct image){.kind = IMAGE_KIND_UNKNOWN, .path = "", .name = ""};
}

static int read_maps(void **state)
{
    (void)state;
    size_t n_bytes;
    return fd_read_file("/proc/self/maps", 1 << 16, &own_maps, &n_bytes);
}

static int free_maps(void **state)
{
    (void)state;
    free(own_maps);
    return 0;
}

static struct cfi_store *new_store(void)
{
    struct cfi_store *store = NULL;
    assert_int_equal(cfi_store_new(&store), 0);
    return store;
}

static void test_a_table_comes_when_it_is_wanted(void **state)
{
    (void)state;
    _cleanup_(cfi_store_freep) struct cfi_store *store = new_store();
    struct image image = image_at((uintptr_t)&gnu_get_libc_version);
    assert_int_equal(image.kind, IMAGE_KIND_FILE);
    struct cfi_source *source = cfi_store_announce(store, &image);
    assert_non_null(source);
    assert_true(cfi_store_wait_idle(store, WAIT_MS));

    const struct cfi_table *table = NULL;
    struct elf_layout layout;
    assert_int_equal(cfi_source_state(source, &table, &layout), CODE_PENDING);
    assert_int_equal(cfi_store_memory_bytes(store), 0);

    cfi_source_want(source);
    cfi_source_want(source);
    assert_true(cfi_store_wait_idle(store, WAIT_MS));
    assert_int_equal(cfi_source_state(source, &table, &layout), CODE_READY);
    assert_int_equal(cfi_store_memory_bytes(store), cfi_table_memory_bytes(table));

    /* From a place in memory through the file to the row of a function's first instruction. */
    struct proc_maps_line line;
    _cleanup_(freep) char *copy = strdup(own_maps);
    char *at = copy;
    uint64_t image_addr = 0;
    while (proc_maps_next(&at, &line)) {
        uint64_t ip = (uintptr_t)&gnu_get_libc_version;
        if (ip >= line.image.start_ip && ip < line.image.end_ip) {
            assert_true(elf_layout_find(
                &layout, line.image.file_offset + (ip - line.image.start_ip), &image_addr));
        }
    }
    struct cfi_row row = cfi_table_find(table, image_addr);
#if defined(__x86_64__)
    assert_int_equal(row.kind, CFI_SP);
    assert_int_equal(row.cfa, 1);
#else
    assert_int_equal(row.kind & CFI_KIND_MASK, CFI_SP);
#endif
    assert_int_equal(row.fp, 0);

    struct cfi_source_info info;
    cfi_source_describe(source, &info);
    assert_int_equal(info.state, CODE_READY);
    assert_string_equal(info.origin, ".eh_frame");
    assert_string_equal(info.failure, "");
    assert_int_equal(info.n_rows, table->n_rows);
    assert_true(info.n_functions > 1000 && info.n_rows > info.n_functions);
    assert_true(info.build_ns > 0 && info.wait_ns >= info.build_ns);
    print_message("libc: %llu us from want to ready, %llu us of them to make %llu rows\n",
                  (unsigned long long)info.wait_ns / 1000, (unsigned long long)info.build_ns / 1000,
                  (unsigned long long)info.n_rows);
}

static void test_runs_share_the_table_of_a_file(void **state)
{
    (void)state;
    _cleanup_(cfi_store_freep) struct cfi_store *store = new_store();
    struct image image = image_at((uintptr_t)&gnu_get_libc_version);
    struct image other = image_at((uintptr_t)&test_runs_share_the_table_of_a_file);
    const struct cfi_table *tables[3] = {0};
    struct elf_layout layout;
    struct cfi_source *sources[3];
    for (size_t i = 0; i < 3; i++) {
        sources[i] = cfi_store_announce(store, i < 2 ? &image : &other);
        assert_non_null(sources[i]);
        cfi_source_want(sources[i]);
        assert_true(cfi_store_wait_idle(store, WAIT_MS));
        /* A run that is over takes nothing with it. */
        cfi_source_retire(sources[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(cfi_source_state(sources[i], &tables[i], &layout), CODE_READY);
    }
    assert_ptr_equal(tables[0], tables[1]);
    assert_ptr_not_equal(tables[0], tables[2]);
    assert_int_equal(cfi_store_memory_bytes(store),
                     cfi_table_memory_bytes(tables[0]) + cfi_table_memory_bytes(tables[2]));
}

static void test_the_vdso(void **state)
{
    (void)state;
    struct image image = image_at(0);
    if (image.kind != IMAGE_KIND_VDSO) {
        skip();
    }
    _cleanup_(cfi_store_freep) struct cfi_store *store = new_store();
    struct cfi_source *source = cfi_store_announce(store, &image);
    cfi_source_want(source);
    assert_true(cfi_store_wait_idle(store, WAIT_MS));
    const struct cfi_table *table;
    struct elf_layout layout;
    assert_int_equal(cfi_source_state(source, &table, &layout), CODE_READY);
    assert_true(table->n_rows > 2);
}

/* The file is opened when it is announced: it may be gone when its table is wanted. */
static void test_a_file_that_is_gone_when_it_is_wanted(void **state)
{
    (void)state;
    char path[] = "/tmp/cfi-store-XXXXXX";
    _cleanup_(fd_closep) int fd = mkstemp(path);
    assert_true(fd >= 0);
    _cleanup_(freep) char *program = NULL;
    size_t n_bytes;
    assert_int_equal(fd_read_file("/proc/self/exe", 64 << 20, &program, &n_bytes), 0);
    assert_int_equal(fd_write_all(fd, program, n_bytes), 0);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    struct image image = {
        .kind = IMAGE_KIND_FILE,
        .path = path,
        .name = "program",
        .inode = status.st_ino,
        .device_major = major(status.st_dev),
        .device_minor = minor(status.st_dev),
        .pid = getpid(),
    };
    _cleanup_(cfi_store_freep) struct cfi_store *store = new_store();
    struct cfi_source *source = cfi_store_announce(store, &image);
    assert_true(cfi_store_wait_idle(store, WAIT_MS));
    assert_int_equal(unlink(path), 0);
    struct cfi_source *late = cfi_store_announce(store, &image);
    cfi_source_want(source);
    cfi_source_want(late);
    assert_true(cfi_store_wait_idle(store, WAIT_MS));
    const struct cfi_table *table;
    struct elf_layout layout;
    assert_int_equal(cfi_source_state(source, &table, &layout), CODE_READY);
    assert_int_equal(cfi_source_state(late, &table, &layout), CODE_WITHOUT_TABLE);
    struct cfi_source_info info;
    cfi_source_describe(late, &info);
    assert_int_equal(info.state, CODE_WITHOUT_TABLE);
    assert_string_not_equal(info.failure, "");
    assert_string_equal(info.origin, "none");
}

static void test_what_has_no_table(void **state)
{
    (void)state;
    _cleanup_(cfi_store_freep) struct cfi_store *store = new_store();
    char path[] = "/tmp/cfi-store-XXXXXX";
    _cleanup_(fd_closep) int fd = mkstemp(path);
    assert_int_equal(fd_write_all(fd, "no program", 10), 0);
    struct image images[] = {
        {.kind = IMAGE_KIND_FILE, .path = path, .name = "text"},
        {.kind = IMAGE_KIND_FILE, .path = "/nonexistent/file", .name = "file"},
        {.kind = IMAGE_KIND_ANONYMOUS, .path = "[anon]", .name = "[anon]"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct cfi_source *source = cfi_store_announce(store, &images[i]);
        cfi_source_want(source);
        assert_true(cfi_store_wait_idle(store, WAIT_MS));
        const struct cfi_table *table;
        struct elf_layout layout;
        assert_int_equal(cfi_source_state(source, &table, &layout), CODE_WITHOUT_TABLE);
        struct cfi_source_info info;
        cfi_source_describe(source, &info);
        assert_string_not_equal(info.failure, "");
        cfi_source_retire(source);
    }
    unlink(path);
}

/* Released at any stage of its life. */
static void test_sources_are_given_back(void **state)
{
    (void)state;
    _cleanup_(cfi_store_freep) struct cfi_store *store = new_store();
    struct image image = image_at((uintptr_t)&gnu_get_libc_version);
    const struct cfi_table *first = NULL, *table;
    struct elf_layout layout;
    for (int round = 0; round < 200; round++) {
        struct cfi_source *source = cfi_store_announce(store, &image);
        assert_non_null(source);
        if (round % 4 != 0) {
            cfi_source_want(source);
        }
        if (round % 4 == 1) {
            assert_true(cfi_store_wait_idle(store, WAIT_MS));
            assert_int_equal(cfi_source_state(source, &table, &layout), CODE_READY);
            /* Kept, though nobody had it meanwhile. */
            first = first ? first : table;
            assert_ptr_equal(table, first);
        }
        if (round % 3 == 0) {
            cfi_source_retire(source);
        }
        assert_null(cfi_source_release(source));
    }
    assert_null(cfi_source_release(NULL));
    assert_true(cfi_store_wait_idle(store, WAIT_MS));
}

static void await_memory(struct cfi_store *store, size_t n_bytes)
{
    for (int i = 0; i < 20000 && cfi_store_memory_bytes(store) != n_bytes; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    assert_int_equal(cfi_store_memory_bytes(store), n_bytes);
}

static void test_tables_that_nobody_uses_are_bounded(void **state)
{
    (void)state;
    _cleanup_(cfi_store_freep) struct cfi_store *store = new_store();
    struct image images[2];
    images[0] = image_at((uintptr_t)&gnu_get_libc_version);
    images[1] = image_at((uintptr_t)&test_tables_that_nobody_uses_are_bounded);
    const struct cfi_table *table;
    struct elf_layout layout;
    size_t n_bytes[2];
    struct cfi_source *sources[2];
    for (size_t i = 0; i < 2; i++) {
        sources[i] = cfi_store_announce(store, &images[i]);
        cfi_source_want(sources[i]);
        assert_true(cfi_store_wait_idle(store, WAIT_MS));
        assert_int_equal(cfi_source_state(sources[i], &table, &layout), CODE_READY);
        n_bytes[i] = cfi_table_memory_bytes(table);
    }
    cfi_store_limit_idle(store, 0);
    await_memory(store, n_bytes[0] + n_bytes[1]); /* both are in use */
    cfi_source_release(sources[0]);
    await_memory(store, n_bytes[1]);
    assert_int_equal(cfi_source_state(sources[1], &table, &layout), CODE_READY);
    assert_true(table->n_rows > 0);
    cfi_store_limit_idle(store, n_bytes[0] + n_bytes[1]);
    cfi_source_release(sources[1]);
    /* Again, and behind it what was given back before it goes first. */
    sources[0] = cfi_store_announce(store, &images[0]);
    cfi_source_want(sources[0]);
    assert_true(cfi_store_wait_idle(store, WAIT_MS));
    await_memory(store, n_bytes[0] + n_bytes[1]);
    cfi_source_release(sources[0]);
    await_memory(store, n_bytes[0]);
}

struct asker {
    struct cfi_store *store;
    const struct image *images;
    int n_ready;
};

static void *ask(void *userdata)
{
    struct asker *asker = userdata;
    for (int round = 0; round < 50; round++) {
        struct cfi_source *source = cfi_store_announce(asker->store, &asker->images[round % 2]);
        const struct cfi_table *table = NULL;
        struct elf_layout layout;
        cfi_source_want(source);
        while (cfi_source_state(source, &table, &layout) == CODE_PENDING) {
            nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
        }
        asker->n_ready += table && table->n_rows > 0 && layout.n_segments > 0;
        cfi_source_release(source);
    }
    return NULL;
}

static void test_many_threads_ask(void **state)
{
    (void)state;
    _cleanup_(cfi_store_freep) struct cfi_store *store = new_store();
    struct image images[2];
    images[0] = image_at((uintptr_t)&gnu_get_libc_version);
    images[1] = image_at((uintptr_t)&test_many_threads_ask);
    struct asker askers[4];
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        askers[i] = (struct asker){.store = store, .images = images};
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].n_ready, 50);
    }
}

static void test_free_with_work_left(void **state)
{
    (void)state;
    struct image image = image_at((uintptr_t)&gnu_get_libc_version);
    for (int round = 0; round < 20; round++) {
        struct cfi_store *store = new_store();
        for (int i = 0; i < round; i++) {
            struct cfi_source *source = cfi_store_announce(store, &image);
            if (i % 2 == 0) {
                cfi_source_want(source);
            }
        }
        assert_null(cfi_store_free(store));
    }
    assert_null(cfi_store_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_table_comes_when_it_is_wanted),
        cmocka_unit_test(test_runs_share_the_table_of_a_file),
        cmocka_unit_test(test_the_vdso),
        cmocka_unit_test(test_a_file_that_is_gone_when_it_is_wanted),
        cmocka_unit_test(test_what_has_no_table),
        cmocka_unit_test(test_sources_are_given_back),
        cmocka_unit_test(test_tables_that_nobody_uses_are_bounded),
        cmocka_unit_test(test_many_threads_ask),
        cmocka_unit_test(test_free_with_work_left),
    };
    return cmocka_run_group_tests(tests, read_maps, free_maps);
}
