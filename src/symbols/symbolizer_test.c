/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "images/image_map.h"
#include "images/proc_maps.h"
#include "symbols/built_program_test.h"
#include "symbols/symbolizer.h"
#include "symbols/symbolizer_internal.h"

#define TIMEOUT_MS 20000

/* What a run does with our own maps: every executable mapping becomes an image and a source. */
struct fixture {
    struct symbolizer *symbolizer;
    struct image_table *images;
    struct image_map *map;
    struct symbol_source *sources[256];
};

static void announce(struct fixture *fixture, image_id id)
{
    assert_true(id < sizeof(fixture->sources) / sizeof(fixture->sources[0]));
    fixture->sources[id] =
        symbolizer_announce(fixture->symbolizer, image_table_get(fixture->images, id));
    assert_non_null(fixture->sources[id]);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_int_equal(symbolizer_new(&fixture->symbolizer), 0);
    assert_int_equal(image_table_new(&fixture->images), 0);
    assert_int_equal(image_map_new(&fixture->map), 0);
    announce(fixture, IMAGE_ID_UNKNOWN);
    announce(fixture, IMAGE_ID_KERNEL);
    announce(fixture, IMAGE_ID_NAMED);

    _cleanup_(freep) char *maps = NULL;
    size_t n_bytes;
    assert_int_equal(fd_read_file("/proc/self/maps", 1 << 20, &maps, &n_bytes), 0);
    char *at = maps;
    struct proc_maps_line line;
    while (proc_maps_next(&at, &line)) {
        if (!line.is_executable) {
            continue;
        }
        image_id id;
        bool is_new;
        assert_int_equal(image_table_intern(fixture->images, getpid(), &line.image, &id, &is_new),
                         0);
        bool keeps_ip = image_table_get(fixture->images, id)->kind == IMAGE_KIND_ANONYMOUS;
        assert_int_equal(image_map_add(fixture->map, getpid(), line.image.start_ip,
                                       line.image.end_ip, line.image.file_offset, id, keeps_ip),
                         0);
        if (is_new) {
            announce(fixture, id);
        }
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    symbolizer_free(fixture->symbolizer);
    image_map_free(fixture->map);
    image_table_free(fixture->images);
    free(fixture);
    return 0;
}

static struct symbol_source *source_of(struct fixture *fixture, uint64_t ip, uint64_t *ret_offset)
{
    struct image_place place = image_map_find(fixture->map, getpid(), ip);
    assert_int_not_equal(place.image, IMAGE_ID_UNKNOWN);
    *ret_offset = place.offset;
    return fixture->sources[place.image];
}

static const struct symbol *find(struct fixture *fixture, uint64_t ip)
{
    uint64_t offset;
    struct symbol_source *source = source_of(fixture, ip, &offset);
    symbol_source_want(source);
    assert_true(symbolizer_wait_idle(fixture->symbolizer, TIMEOUT_MS));
    assert_true(symbol_source_is_settled(source));
    return symbol_source_find(source, offset, NULL);
}

int main(void);

static void test_own_program(void **state)
{
    struct fixture *fixture = *state;
    uint64_t offset;
    struct symbol_source *source = source_of(fixture, (uintptr_t)&main, &offset);
    struct symbol_source_info info;
    symbol_source_describe(source, &info);
    assert_int_equal(info.state, SYMBOL_STATE_IDLE);
    assert_false(symbol_source_is_settled(source));
    uint64_t image_addr = 0;
    assert_null(symbol_source_find(source, offset, &image_addr));
    assert_int_equal(image_addr, offset);

    const struct symbol *symbol = find(fixture, (uintptr_t)&main);
    assert_non_null(symbol);
    assert_string_equal(symbol->name, "main");
    assert_int_equal(symbol->kind, FRAME_KIND_USER);
    assert_non_null(strstr(symbol->image, "symbolizer"));
    assert_ptr_equal(symbol_source_find(source, offset + 1, &image_addr), symbol);
    assert_int_equal(image_addr, symbol->start_address + 1);
    symbol_source_describe(source, &info);
    assert_int_equal(info.state, SYMBOL_STATE_LOADED);
    assert_string_equal(info.origin, ".symtab");
    assert_true(info.n_functions > 10);
    assert_string_equal(info.failure, "");
}

static void test_libc_function(void **state)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    if (!libc) {
        skip();
    }
    const struct symbol *symbol = find(*state, (uintptr_t)dlsym(libc, "qsort"));
    assert_non_null(symbol);
    assert_string_equal(symbol->name, "qsort");
    assert_string_equal(symbol->image, "libc.so.6");
    dlclose(libc);
}

/* A function of the vdso, by whatever name the architecture gives it. */
static void test_vdso_function(void **state)
{
    struct fixture *fixture = *state;
    uint64_t vdso_ip = getauxval(AT_SYSINFO_EHDR);
    if (vdso_ip == 0) {
        skip();
    }
    uint64_t offset;
    struct symbol_source *source = source_of(fixture, vdso_ip, &offset);
    assert_int_equal(offset, 0);
    symbol_source_want(source);
    assert_true(symbolizer_wait_idle(fixture->symbolizer, TIMEOUT_MS));
    size_t n_found = 0;
    for (uint64_t at = 0; at < 0x4000; at++) {
        const struct symbol *symbol = symbol_source_find(source, at, NULL);
        if (symbol && strstr(symbol->name, "clock_gettime")) {
            n_found++;
            assert_int_equal(symbol->kind, FRAME_KIND_VDSO);
            assert_string_equal(symbol->image, "[vdso]");
            /* Also where the offset came as the address itself. */
            uint64_t image_addr;
            assert_ptr_equal(symbol_source_find(source, vdso_ip + at, &image_addr), symbol);
            assert_int_equal(image_addr, at);
        }
    }
    assert_true(n_found > 4);
}

static void test_kernel(void **state)
{
    struct fixture *fixture = *state;
    struct symbol_source *source = fixture->sources[IMAGE_ID_KERNEL];
    symbol_source_want(source);
    assert_true(symbolizer_wait_idle(fixture->symbolizer, TIMEOUT_MS));
    struct symbol_source_info info;
    symbol_source_describe(source, &info);
    if (info.state == SYMBOL_STATE_FAILED) {
        assert_true(strlen(info.failure) > 0);
        assert_int_not_equal(geteuid(), 0);
        skip();
    }
    assert_string_equal(info.origin, "kallsyms");

    _cleanup_(freep) char *text = NULL;
    size_t n_bytes;
    assert_int_equal(fd_read_file("/proc/kallsyms", 256 << 20, &text, &n_bytes), 0);
    const char *line = strstr(text, " T schedule\n");
    if (!line) {
        skip();
    }
    uint64_t ip = strtoull(line - 16, NULL, 16);
    uint64_t image_addr;
    const struct symbol *symbol = symbol_source_find(source, ip + 4, &image_addr);
    assert_non_null(symbol);
    assert_string_equal(symbol->name, "schedule");
    assert_string_equal(symbol->image, "[kernel]");
    assert_int_equal(symbol->kind, FRAME_KIND_KERNEL);
    assert_int_equal(symbol->start_address, ip);
    assert_int_equal(image_addr, ip + 4);
}

static void test_images_without_a_file_are_settled(void **state)
{
    struct fixture *fixture = *state;
    struct symbol_source *source = fixture->sources[IMAGE_ID_UNKNOWN];
    symbol_source_want(source);
    assert_true(symbol_source_is_settled(source));
    uint64_t image_addr;
    assert_null(symbol_source_find(source, 0x1234, &image_addr));
    assert_int_equal(image_addr, 0x1234);
    struct symbol_source_info info;
    symbol_source_describe(source, &info);
    assert_string_equal(info.origin, "none");
}

static void test_failures_say_why(void **state)
{
    struct fixture *fixture = *state;
    struct image image = {
        .kind = IMAGE_KIND_FILE, .path = "/no/such/file", .name = "file", .pid = getpid()};
    struct symbol_source *missing = symbolizer_announce(fixture->symbolizer, &image);
    image.path = "/proc/self/maps";
    struct symbol_source *no_elf = symbolizer_announce(fixture->symbolizer, &image);
    symbol_source_want(missing);
    symbol_source_want(no_elf);
    assert_true(symbolizer_wait_idle(fixture->symbolizer, TIMEOUT_MS));
    struct symbol_source_info info;
    symbol_source_describe(missing, &info);
    assert_int_equal(info.state, SYMBOL_STATE_FAILED);
    assert_non_null(strstr(info.failure, "No such file"));
    symbol_source_describe(no_elf, &info);
    assert_int_equal(info.state, SYMBOL_STATE_FAILED);
    assert_true(strlen(info.failure) > 0);
    assert_true(symbol_source_is_settled(no_elf));
    assert_null(symbol_source_find(no_elf, 0, NULL));
}

/* Another run of the same file: equal functions are the same pointer. */
static void test_runs_share_tables(void **state)
{
    struct fixture *fixture = *state;
    const struct symbol *symbol = find(fixture, (uintptr_t)&main);
    struct image_place place = image_map_find(fixture->map, getpid(), (uintptr_t)&main);
    struct symbol_source *again =
        symbolizer_announce(fixture->symbolizer, image_table_get(fixture->images, place.image));
    symbol_source_want(again);
    assert_true(symbolizer_wait_idle(fixture->symbolizer, TIMEOUT_MS));
    assert_ptr_equal(symbol_source_find(again, place.offset, NULL), symbol);
}

/* The file was opened while the target lived; afterwards only that descriptor leads to it. */
static void test_a_deleted_program_of_a_process_that_ends(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(freep) char *program = NULL;
    size_t n_bytes;
    assert_int_equal(fd_read_file("/proc/self/exe", 64 << 20, &program, &n_bytes), 0);
    char path[] = "/tmp/symbolizer_test_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, program, n_bytes), 0);
    struct image_place place = image_map_find(fixture->map, getpid(), (uintptr_t)&main);
    struct image image = *image_table_get(fixture->images, place.image);
    image.path = path;
    image.name = "copy";
    image.inode = 0;
    fd_close(fd);
    struct symbol_source *wanted = symbolizer_announce(fixture->symbolizer, &image);
    struct symbol_source *retired = symbolizer_announce(fixture->symbolizer, &image);
    assert_true(symbolizer_wait_idle(fixture->symbolizer, TIMEOUT_MS));
    assert_int_equal(unlink(path), 0);
    symbol_source_retire(retired);
    symbol_source_want(wanted);
    symbol_source_retire(wanted);
    assert_true(symbolizer_wait_idle(fixture->symbolizer, TIMEOUT_MS));
    const struct symbol *symbol = symbol_source_find(wanted, place.offset, NULL);
    assert_non_null(symbol);
    assert_string_equal(symbol->name, "main");
    symbol_source_retire(retired);
    assert_false(symbol_source_is_settled(retired));
}

static void *ask_for_everything(void *userdata)
{
    struct fixture *fixture = userdata;
    for (int round = 0; round < 50; round++) {
        for (image_id id = 0; id < image_table_count(fixture->images); id++) {
            struct symbol_source *source = fixture->sources[id];
            symbol_source_want(source);
            struct symbol_source_info info;
            symbol_source_describe(source, &info);
            for (uint64_t offset = 0; offset < 0x40000; offset += 0x1357) {
                const struct symbol *symbol = symbol_source_find(source, offset, NULL);
                if (symbol && strlen(symbol->name) == 0) {
                    return userdata;
                }
            }
        }
    }
    return NULL;
}

static void test_questions_while_loading(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_for_everything, fixture), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        void *failed = fixture;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_true(symbolizer_wait_idle(fixture->symbolizer, TIMEOUT_MS));
    for (image_id id = 0; id < image_table_count(fixture->images); id++) {
        assert_true(symbol_source_is_settled(fixture->sources[id]));
    }
}

static const char *name_at(struct symbolizer *symbolizer, const struct image *image,
                           uint64_t offset)
{
    struct symbol_source *source = symbolizer_announce(symbolizer, image);
    symbol_source_want(source);
    assert_true(symbolizer_wait_idle(symbolizer, TIMEOUT_MS));
    const struct symbol *symbol = symbol_source_find(source, offset, NULL);
    return symbol ? symbol->name : "";
}

/* The next run of a server that lives finds the debug symbols that were installed meanwhile. */
static void test_debug_symbols_that_come_later(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_int_equal(
        built_run(built, "objcopy --only-keep-debug prog prog.debug && strip -o bare prog"), 0);
    char list[64], path[64];
    snprintf(list, sizeof(list), "%s/debug", built->folder);
    snprintf(path, sizeof(path), "%s/bare", built->folder);
    setenv("STAX_DEBUG_DIRS", list, 1);
    struct symbolizer *symbolizer = NULL;
    assert_int_equal(symbolizer_new(&symbolizer), 0);
    unsetenv("STAX_DEBUG_DIRS");
    struct image image = {.kind = IMAGE_KIND_FILE, .path = path, .name = "bare"};
    uint64_t hidden = built_address_of(built, "hidden");
    assert_non_null(strstr(name_at(symbolizer, &image, hidden), "bare+0x"));
    built_move_by_id(built, "prog", "prog.debug");
    assert_non_null(strstr(name_at(symbolizer, &image, hidden), "bare+0x")); /* too soon */
    symbolizer_search_again_after(symbolizer, 0);
    assert_string_equal(name_at(symbolizer, &image, hidden), "hidden");
    symbolizer_free(symbolizer);
}

/* Freed with work still queued. */
static void test_free_does_not_wait_for_the_queue(void **state)
{
    (void)state;
    struct symbolizer *symbolizer = NULL;
    assert_int_equal(symbolizer_new(&symbolizer), 0);
    struct image image = {.kind = IMAGE_KIND_FILE, .path = "/proc/self/exe", .name = "exe"};
    for (int i = 0; i < 500; i++) {
        struct symbol_source *source = symbolizer_announce(symbolizer, &image);
        assert_non_null(source);
        symbol_source_want(source);
    }
    assert_null(symbolizer_free(symbolizer));
    assert_null(symbolizer_free(NULL));
}

static void test_waiting_ends_in_time(void **state)
{
    struct fixture *fixture = *state;
    assert_true(symbolizer_wait_idle(fixture->symbolizer, TIMEOUT_MS));
    assert_true(symbolizer_wait_idle(fixture->symbolizer, 0));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_own_program),
        WITH_FIXTURE(test_libc_function),
        WITH_FIXTURE(test_vdso_function),
        WITH_FIXTURE(test_kernel),
        WITH_FIXTURE(test_images_without_a_file_are_settled),
        WITH_FIXTURE(test_failures_say_why),
        WITH_FIXTURE(test_runs_share_tables),
        WITH_FIXTURE(test_a_deleted_program_of_a_process_that_ends),
        WITH_FIXTURE(test_questions_while_loading),
        WITH_FIXTURE(test_waiting_ends_in_time),
        cmocka_unit_test_setup_teardown(test_debug_symbols_that_come_later, built_new, built_free),
        cmocka_unit_test(test_free_does_not_wait_for_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
