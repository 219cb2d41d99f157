/* SPDX-License-Identifier: MIT */
#include "symbols/built_program_test.h"

#include <dlfcn.h>

#include "base/clock.h"
#include "symbols/debug_fetch.h"
#include "symbols/debuginfod.h"
#include "symbols/http_server_test.h"

/* The stripped program as the symbolizer loads it, and a client. */
struct scene {
    struct opened program;
    struct image_file *file;
    struct debug_directories directories;
    struct image_symbols *symbols;
    struct debug_fetch *fetch;
    uint64_t hidden_offset, one_offset;
};

static bool is_impossible(const struct built *built)
{
    bool is_missing =
        built_is_missing(built) || !dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL);
    if (is_missing) {
        print_message("no gcc, objcopy or libdebuginfod.so.1\n");
    }
    return is_missing;
}

static struct scene set_scene(const struct built *built, int port)
{
    struct scene scene = {.file = NULL};
    assert_int_equal(built_run(built,
                               "gcc -g -O1 -fno-toplevel-reorder -rdynamic -Wl,--build-id=sha1 "
                               "-o prog prog.c && cp prog lie && gcc -g -O2 -Wl,--build-id=sha1 "
                               "-o lie prog.c && objcopy --only-keep-debug prog prog.debug && "
                               "objcopy --only-keep-debug lie lie.debug && strip -o bare prog"),
                     0);
    char folder[64];
    snprintf(folder, sizeof(folder), "%s/cache", built->folder);
    http_server_announce(port, folder);
    scene.hidden_offset = built_address_of(built, "hidden");
    scene.one_offset = built_address_of(built, "one");
    scene.program = built_open(built, "bare");
    scene.program.image.path = strdup(scene.program.path);
    assert_int_equal(debug_directories_parse("/nowhere", &scene.directories), 0);
    assert_int_equal(image_file_open(&scene.program.image, &scene.file, NULL), 0);
    assert_int_equal(image_symbols_load_elf(&scene.program.image, scene.file, &scene.directories,
                                            &scene.symbols, NULL),
                     0);
    return scene;
}

static void start(struct scene *scene)
{
    assert_int_equal(debug_fetch_new(&scene->directories, &scene->fetch), 0);
    assert_non_null(scene->fetch);
    debug_fetch_ask(scene->fetch, &scene->program.image, scene->program.fd, scene->symbols);
}

static void await(const struct scene *scene)
{
    for (int i = 0; i < 1000 && atomic_load(&scene->symbols->is_awaiting); i++) {
        usleep(10000);
    }
    assert_false(atomic_load(&scene->symbols->is_awaiting));
}

static void end(struct scene *scene)
{
    debug_fetch_free(scene->fetch);
    image_symbols_free(scene->symbols);
    image_file_free(scene->file);
    debug_directories_release(&scene->directories);
    free((char *)(uintptr_t)scene->program.image.path);
    opened_release(&scene->program);
}

static const struct symbol *find(const struct scene *scene, uint64_t offset)
{
    uint64_t image_addr;
    return image_symbols_find(scene->symbols, offset, &image_addr);
}

static void test_names_come_later(void **state)
{
    const struct built *built = *state;
    if (is_impossible(built)) {
        skip();
    }
    char path[64];
    snprintf(path, sizeof(path), "%s/prog.debug", built->folder);
    struct http_server *server = http_server_start(HTTP_SERVER_SENDS_FILE, path);
    struct scene scene = set_scene(built, server->port);
    assert_string_equal(scene.symbols->origin, ".dynsym");
    const struct symbol *one = find(&scene, scene.one_offset);
    assert_non_null(one);
    assert_string_equal(one->name, "one");
    start(&scene);
    await(&scene);
    assert_string_equal(scene.symbols->origin, ".dynsym + debuginfod");
    assert_string_equal(image_symbols_note(scene.symbols), "");
    const struct symbol *hidden = find(&scene, scene.hidden_offset);
    assert_non_null(hidden);
    assert_string_equal(hidden->name, "hidden");
    assert_ptr_equal(find(&scene, scene.one_offset), one);
    const struct debug_file *file = atomic_load(&scene.symbols->debug_file);
    assert_non_null(file);
    assert_int_equal(file->origin, DEBUG_FILE_ORIGIN_DEBUGINFOD);
    assert_true(file->has_dwarf);
    end(&scene);
    http_server_stop(server);
}

static void test_lying_server_is_refused(void **state)
{
    const struct built *built = *state;
    if (is_impossible(built)) {
        skip();
    }
    char path[64];
    snprintf(path, sizeof(path), "%s/lie.debug", built->folder);
    struct http_server *server = http_server_start(HTTP_SERVER_SENDS_FILE, path);
    struct scene scene = set_scene(built, server->port);
    start(&scene);
    await(&scene);
    assert_string_equal(scene.symbols->origin, ".dynsym");
    assert_non_null(strstr(image_symbols_note(scene.symbols), "another build-id"));
    assert_null(atomic_load(&scene.symbols->debug_file));
    const struct symbol *hidden = find(&scene, scene.hidden_offset);
    assert_true(!hidden || strcmp(hidden->name, "hidden") != 0);
    /* It is not believed the next time either. */
    assert_int_not_equal(built_run(built, "find cache -name debuginfo | grep ."), 0);
    end(&scene);
    http_server_stop(server);
}

/* What is of no use to us may be of use to another debugger: the cache is not ours alone. */
static void test_what_is_of_no_use_stays_in_the_cache(void **state)
{
    const struct built *built = *state;
    if (is_impossible(built)) {
        skip();
    }
    char path[64];
    snprintf(path, sizeof(path), "%s/bare", built->folder);
    struct http_server *server = http_server_start(HTTP_SERVER_SENDS_FILE, path);
    struct scene scene = set_scene(built, server->port);
    start(&scene);
    await(&scene);
    assert_non_null(strstr(image_symbols_note(scene.symbols), "debuginfod: "));
    assert_null(atomic_load(&scene.symbols->debug_file));
    assert_int_equal(built_run(built, "find cache -name debuginfo | grep ."), 0);
    end(&scene);
    http_server_stop(server);
}

/* A question that was answered with nothing can be asked again. */
static void test_asking_again(void **state)
{
    const struct built *built = *state;
    if (is_impossible(built)) {
        skip();
    }
    char path[64];
    snprintf(path, sizeof(path), "%s/lie.debug", built->folder);
    struct http_server *server = http_server_start(HTTP_SERVER_SENDS_FILE, path);
    struct scene scene = set_scene(built, server->port);
    start(&scene);
    await(&scene);
    assert_null(atomic_load(&scene.symbols->debug_file));
    assert_int_equal(built_run(built, "cp prog.debug lie.debug"), 0);
    assert_int_equal(image_symbols_search_again(scene.symbols, &scene.program.image,
                                                scene.program.fd, &scene.directories, 0),
                     -ENOENT);
    debug_fetch_ask(scene.fetch, &scene.program.image, scene.program.fd, scene.symbols);
    assert_string_equal(image_symbols_note(scene.symbols),
                        "a debuginfod server is asked for the rest");
    await(&scene);
    assert_non_null(atomic_load(&scene.symbols->debug_file));
    assert_string_equal(find(&scene, scene.hidden_offset)->name, "hidden");
    assert_string_equal(image_symbols_note(scene.symbols), "");
    end(&scene);
    http_server_stop(server);
}

static void test_end_while_a_server_is_silent(void **state)
{
    const struct built *built = *state;
    if (is_impossible(built)) {
        skip();
    }
    struct http_server *server = http_server_start(HTTP_SERVER_IS_SILENT, NULL);
    struct scene scene = set_scene(built, server->port);
    setenv("DEBUGINFOD_TIMEOUT", "60", 1);
    start(&scene);
    assert_true(atomic_load(&scene.symbols->is_awaiting));
    assert_string_equal(find(&scene, scene.one_offset)->name, "one");
    usleep(200000);
    uint64_t start_ns = clock_now_ns();
    end(&scene);
    assert_true(clock_now_ns() - start_ns < DEBUGINFOD_GOODBYE_MS * NS_PER_MS + 20 * NS_PER_S);
    http_server_stop(server);
}

static void test_nobody_is_asked(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    struct scene scene = set_scene(built, 1);
    unsetenv("DEBUGINFOD_URLS");
    assert_int_equal(debug_fetch_new(&scene.directories, &scene.fetch), 0);
    assert_null(scene.fetch);
    debug_fetch_ask(scene.fetch, &scene.program.image, scene.program.fd, scene.symbols);
    assert_false(atomic_load(&scene.symbols->is_awaiting));
    end(&scene);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, built_new, built_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_names_come_later),
        CASE(test_lying_server_is_refused),
        CASE(test_what_is_of_no_use_stays_in_the_cache),
        CASE(test_asking_again),
        CASE(test_end_while_a_server_is_silent),
        CASE(test_nobody_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
