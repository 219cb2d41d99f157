/* SPDX-License-Identifier: MIT */
#include "symbols/built_program_test.h"

#include <sys/resource.h>

#include "base/clock.h"
#include "symbols/image_symbols.h"

static struct image_symbols *load(const struct built *built, const char *name)
{
    struct opened opened = built_open(built, name);
    opened.image.path = opened.path;
    char list[64];
    snprintf(list, sizeof(list), "%s/debug", built->folder);
    _cleanup_(debug_directories_releasep) struct debug_directories directories = {0};
    assert_int_equal(debug_directories_parse(list, &directories), 0);
    _cleanup_(image_file_freep) struct image_file *file = NULL;
    assert_int_equal(image_file_open(&opened.image, &file, NULL), 0);
    struct image_symbols *symbols = NULL;
    assert_int_equal(image_symbols_load_elf(&opened.image, file, &directories, &symbols, NULL), 0);
    opened_release(&opened);
    return symbols;
}

static void assert_name(struct image_symbols *symbols, uint64_t offset, const char *name)
{
    uint64_t image_addr;
    const struct symbol *symbol = image_symbols_find(symbols, offset, &image_addr);
    assert_non_null(symbol);
    assert_string_equal(symbol->name, name);
    assert_int_equal(symbol->start_address, image_addr);
}

static void assert_stripped(const struct built *built, const char *name, const char *origin)
{
    _cleanup_(image_symbols_freep) struct image_symbols *symbols = load(built, name);
    assert_string_equal(symbols->origin, origin);
    assert_string_equal(symbols->note, "");
    assert_name(symbols, built_address_of(built, "hidden"), "hidden");
    assert_name(symbols, built_address_of(built, "two"), "two");
}

/* Its bounds are known from its unwind information, and nothing else. */
static void assert_nameless(struct image_symbols *symbols, uint64_t wanted)
{
    uint64_t image_addr;
    const struct symbol *symbol = image_symbols_find(symbols, wanted, &image_addr);
    assert_non_null(symbol);
    assert_true(symbol->is_nameless);
    assert_non_null(strstr(symbol->name, "+0x"));
    assert_ptr_equal(image_symbols_find(symbols, wanted + 1, &image_addr), symbol);
}

static void test_what_the_image_says(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_stripped(built, "prog", ".symtab");
    assert_int_equal(built_run(built, "strip -o bare prog"), 0);
    _cleanup_(image_symbols_freep) struct image_symbols *symbols = load(built, "bare");
    assert_nameless(symbols, built_address_of(built, "hidden"));
    assert_true(symbols->is_stripped);
    assert_int_equal(symbols->build_id_bytes, 20);
    assert_null(atomic_load(&symbols->debug_file));
}

static void test_separate_files(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_int_equal(built_run(built, "objcopy --only-keep-debug prog prog.debug && strip -o bare "
                                      "prog && objcopy --add-gnu-debuglink=prog.debug bare linked"),
                     0);
    assert_stripped(built, "linked", ".dynsym + debug file by debuglink");
    built_move_by_id(built, "prog", "prog.debug");
    assert_stripped(built, "bare", ".dynsym + debug file by build-id");
    if (!built_has_tool("eu-strip")) {
        print_message("no eu-strip\n");
        return;
    }
    assert_int_equal(built_run(built, "rm -r debug && eu-strip -f prog.debug -o elfutils prog"), 0);
    assert_stripped(built, "elfutils", ".dynsym + debug file by debuglink");
    /* Everything goes, section headers too; the build-id in the segments is left. */
    built_move_by_id(built, "prog", "prog.debug");
    if (built_run(built, "strip --strip-section-headers -o headless prog 2>/dev/null") == 0) {
        assert_stripped(built, "headless", "debug file by build-id");
    }
}

static void test_debug_file_of_another_address(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_int_equal(built_run(built, "objcopy --only-keep-debug prog prog.debug && objcopy "
                                      "--change-addresses=0x300000 prog.debug && "
                                      "strip -o bare prog"),
                     0);
    built_move_by_id(built, "prog", "prog.debug");
    assert_stripped(built, "bare", ".dynsym + debug file by build-id");
}

/* As distributions make it: the functions that .dynsym lacks, and nothing else. */
static int add_minidebug(const struct built *built)
{
    return built_run(built, "strip -o bare prog && nm -D prog --format=posix --defined-only | "
                            "awk '{print $1}' | sort > dynamic && nm prog --format=posix "
                            "--defined-only | awk '$2 ~ /[tT]/ {print $1}' | sort | "
                            "comm -13 dynamic - > kept && objcopy --only-keep-debug prog full && "
                            "objcopy -S --remove-section .gdb_index --remove-section .comment "
                            "--keep-symbols=kept full mini && xz -kf mini && objcopy "
                            "--add-section .gnu_debugdata=mini.xz bare with_mini");
}

static void test_minidebug(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built) || !built_has_tool("xz")) {
        print_message("no gcc, objcopy or xz\n");
        skip();
    }
    assert_int_equal(built_run(built, "gcc -g -O1 -Wl,--build-id=sha1 -rdynamic -o prog prog.c"),
                     0);
    assert_int_equal(add_minidebug(built), 0);
    assert_stripped(built, "with_mini", ".dynsym + .gnu_debugdata");
    /* A separate file says more. */
    assert_int_equal(built_run(built, "cp full prog.debug"), 0);
    built_move_by_id(built, "prog", "prog.debug");
    assert_stripped(built, "with_mini", ".dynsym + debug file by build-id");
    assert_int_equal(built_run(built, "rm -r debug && head -c 200 mini.xz > cut && objcopy "
                                      "--add-section .gnu_debugdata=cut bare with_mini"),
                     0);
    _cleanup_(image_symbols_freep) struct image_symbols *symbols = load(built, "with_mini");
    assert_string_equal(symbols->origin, ".dynsym");
    assert_string_equal(symbols->note, ".gnu_debugdata is corrupt");
    assert_name(symbols, built_address_of(built, "one"), "one");
}

static void test_another_build_is_named(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_int_equal(built_run(built, "gcc -g -O2 -Wl,--build-id=sha1 -o other prog.c && "
                                      "objcopy --only-keep-debug other prog.debug && strip -o bare "
                                      "prog && objcopy --add-gnu-debuglink=prog.debug bare linked"),
                     0);
    _cleanup_(image_symbols_freep) struct image_symbols *symbols = load(built, "linked");
    assert_non_null(strstr(symbols->note, "prog.debug: the debug file has another build-id"));
    assert_nameless(symbols, built_address_of(built, "hidden"));
}

static struct debug_directories directories_of(const struct built *built)
{
    char list[64];
    snprintf(list, sizeof(list), "%s/debug", built->folder);
    struct debug_directories directories = {.n_directories = 0};
    assert_int_equal(debug_directories_parse(list, &directories), 0);
    return directories;
}

/* Somebody installs debug symbols while a server lives that has looked for them in vain. */
static void test_what_is_installed_later(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_int_equal(
        built_run(built, "objcopy --only-keep-debug prog prog.debug && strip -o bare prog"), 0);
    _cleanup_(image_symbols_freep) struct image_symbols *symbols = load(built, "bare");
    _cleanup_(debug_directories_releasep) struct debug_directories directories =
        directories_of(built);
    struct opened bare = built_open(built, "bare");
    bare.image.path = bare.path;
    uint64_t hidden = built_address_of(built, "hidden");
    assert_nameless(symbols, hidden);
    assert_int_equal(image_symbols_search_again(symbols, &bare.image, bare.fd, &directories, 0),
                     -ENOENT);
    built_move_by_id(built, "prog", "prog.debug");
    assert_int_equal(
        image_symbols_search_again(symbols, &bare.image, bare.fd, &directories, NS_PER_S * 3600),
        -EAGAIN);
    assert_nameless(symbols, hidden);
    assert_int_equal(image_symbols_search_again(symbols, &bare.image, bare.fd, &directories, 0), 0);
    assert_name(symbols, hidden, "hidden");
    assert_string_equal(symbols->origin, ".dynsym + debug file by build-id");
    assert_true(atomic_load(&symbols->debug_file)->has_dwarf);
    assert_string_equal(image_symbols_note(symbols), "");
    assert_int_equal(image_symbols_search_again(symbols, &bare.image, bare.fd, &directories, 0),
                     -EAGAIN);
    opened_release(&bare);
}

/* Only of another build is said that it is stale; all else may be for want of something. */
static void test_reasons_for_not_extending(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_int_equal(built_run(built, "gcc -g -O2 -Wl,--build-id=sha1 -o other prog.c && "
                                      "objcopy --only-keep-debug prog prog.debug && "
                                      "strip -o bare prog && echo text > text"),
                     0);
    _cleanup_(image_symbols_freep) struct image_symbols *symbols = load(built, "bare");
    _cleanup_(debug_directories_releasep) struct debug_directories directories =
        directories_of(built);
    struct opened bare = built_open(built, "bare");
    bare.image.path = bare.path;
    static const struct {
        const char *name;
        int r;
    } cases[] = {{"other", -ESTALE}, {"text", -ESTALE}, {"bare", -ENOENT}, {"missing", -ENOENT}};
    char path[64];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", built->folder, cases[i].name);
        image_symbols_await(symbols);
        assert_int_equal(image_symbols_extend(symbols, &bare.image, bare.fd, path, &directories),
                         cases[i].r);
        assert_false(atomic_load(&symbols->is_awaiting));
    }
    snprintf(path, sizeof(path), "%s/prog.debug", built->folder);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int r = image_symbols_extend(symbols, &bare.image, bare.fd, path, &directories);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(r < 0 && r != -ESTALE);
    r = image_symbols_extend(symbols, &bare.image, -1, path, &directories);
    assert_true(r < 0 && r != -ESTALE);
    assert_int_equal(image_symbols_extend(symbols, &bare.image, bare.fd, path, &directories), 0);
    opened_release(&bare);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, built_new, built_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_the_image_says),           CASE(test_separate_files),
        CASE(test_debug_file_of_another_address), CASE(test_minidebug),
        CASE(test_another_build_is_named),        CASE(test_what_is_installed_later),
        CASE(test_reasons_for_not_extending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
