/* SPDX-License-Identifier: MIT */
#include "symbols/built_program_test.h"

#include "symbols/debug_files.h"

static int find_as(const struct built *built, const char *name, const char *mapped_path,
                   struct debug_file **ret_file, struct error *reterr_error)
{
    struct opened opened = built_open(built, name);
    opened.image.path = mapped_path ? mapped_path : opened.path;
    char list[64];
    snprintf(list, sizeof(list), "/nowhere:%s/debug/", built->folder);
    _cleanup_(debug_directories_releasep) struct debug_directories directories = {0};
    assert_int_equal(debug_directories_parse(list, &directories), 0);
    int r = debug_files_find(&opened.image, opened.fd, opened.elf, &directories, ret_file,
                             reterr_error);
    opened_release(&opened);
    return r;
}

/* Where it was found, below the folder; the caller frees the file. */
static const char *place_of(const struct built *built, const struct debug_file *file)
{
    assert_memory_equal(file->file.path, built->folder, strlen(built->folder));
    return file->file.path + strlen(built->folder) + 1;
}

static void split(const struct built *built)
{
    assert_int_equal(built_run(built, "objcopy --only-keep-debug prog prog.debug && "
                                      "strip -o bare prog && objcopy "
                                      "--add-gnu-debuglink=prog.debug bare stripped"),
                     0);
}

static void assert_found(const struct built *built, const char *name, const char *mapped_path,
                         enum debug_file_origin origin, const char *place)
{
    _cleanup_(debug_file_freep) struct debug_file *file = NULL;
    struct error error = {.code = ""};
    assert_int_equal(find_as(built, name, mapped_path, &file, &error), 0);
    assert_false(error_is_set(&error));
    assert_int_equal(file->origin, origin);
    assert_string_equal(place_of(built, file), place);
    assert_true(file->has_dwarf);
    assert_true(file->has_symbols);
    assert_int_equal(file->shift.n_ranges, 0);
    assert_null(file->alternate.path);
    _cleanup_(fd_closep) int fd = debug_file_open(&file->file);
    assert_true(fd >= 0);
    assert_int_not_equal(fd, file->file.fd);
    assert_int_equal(debug_file_open(&file->alternate), -ENOENT);
}

static void test_directories(void **state)
{
    (void)state;
    struct debug_directories directories;
    assert_int_equal(debug_directories_parse(NULL, &directories), 0);
    assert_int_equal(directories.n_directories, 1);
    assert_string_equal(directories.directories[0], "/usr/lib/debug");
    debug_directories_release(&directories);
    assert_int_equal(debug_directories_parse("/a//:relative::/b:/", &directories), 0);
    assert_int_equal(directories.n_directories, 3);
    assert_string_equal(directories.directories[0], "/a");
    assert_string_equal(directories.directories[1], "/b");
    assert_string_equal(directories.directories[2], "");
    debug_directories_release(&directories);
    char many[256] = "";
    for (size_t i = 0; i < 40; i++) {
        memcpy(many + 3 * i, "/x:", 4);
    }
    assert_int_equal(debug_directories_parse(many, &directories), 0);
    assert_int_equal(directories.n_directories, DEBUG_DIRECTORIES_MAX);
    debug_directories_release(&directories);
}

static void test_the_image_itself(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_found(built, "prog", NULL, DEBUG_FILE_ORIGIN_SELF, "prog");
}

static void test_by_build_id(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    split(built);
    char hex[2 * LIMIT_BUILD_ID_BYTES + 1];
    built_id_of(built, "prog", hex);
    char place[128];
    snprintf(place, sizeof(place), "debug/.build-id/%.2s/%s.debug", hex, hex + 2);
    built_move_by_id(built, "prog", "prog.debug");
    assert_found(built, "bare", NULL, DEBUG_FILE_ORIGIN_BUILD_ID, place);
    assert_found(built, "stripped", "[vdso]", DEBUG_FILE_ORIGIN_BUILD_ID, place);
}

static void test_by_link_in_each_place(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    split(built);
    struct debug_file *none = NULL;
    assert_int_equal(find_as(built, "bare", NULL, &none, NULL), -ENOENT);
    assert_found(built, "stripped", NULL, DEBUG_FILE_ORIGIN_DEBUGLINK, "prog.debug");
    assert_int_equal(built_run(built, "mkdir .debug && mv prog.debug .debug/"), 0);
    assert_found(built, "stripped", NULL, DEBUG_FILE_ORIGIN_DEBUGLINK, ".debug/prog.debug");
    assert_int_equal(built_run(built, "mkdir -p debug/$PWD && mv .debug/prog.debug debug/$PWD/"),
                     0);
    char place[128];
    snprintf(place, sizeof(place), "debug%s/prog.debug", built->folder);
    assert_found(built, "stripped", NULL, DEBUG_FILE_ORIGIN_DEBUGLINK, place);
    /* Packages from before /lib became a link to /usr/lib. */
    assert_int_equal(
        built_run(built, "mkdir -p debug/lib/x && mv debug/$PWD/prog.debug debug/lib/x/"), 0);
    assert_found(built, "stripped", "/usr/lib/x/stripped", DEBUG_FILE_ORIGIN_DEBUGLINK,
                 "debug/lib/x/prog.debug");
    assert_int_equal(find_as(built, "stripped", "[vdso]", &none, NULL), -ENOENT);
}

static void assert_refused(const struct built *built, const char *name, const char *why)
{
    struct debug_file *file = NULL;
    struct error error = {.code = ""};
    assert_int_equal(find_as(built, name, NULL, &file, &error), -ESTALE);
    assert_null(file);
    assert_non_null(strstr(error.message, why));
}

static void test_another_build_is_refused(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    split(built);
    assert_int_equal(built_run(built, "gcc -g -O2 -Wl,--build-id=sha1 -o other prog.c && "
                                      "objcopy --only-keep-debug other prog.debug"),
                     0);
    assert_refused(built, "stripped", "prog.debug: the debug file has another build-id");
    built_move_by_id(built, "prog", "prog.debug");
    assert_refused(built, "bare", "the debug file has another build-id");
    /* A second place may still have the right one. */
    split(built);
    assert_found(built, "stripped", NULL, DEBUG_FILE_ORIGIN_DEBUGLINK, "prog.debug");
    assert_int_equal(built_run(built, "echo no program > prog.debug"), 0);
    assert_refused(built, "stripped", "another build-id");
    assert_int_equal(built_run(built, "rm -r debug"), 0);
    assert_refused(built, "stripped", "the debug file is no ELF file");
}

static void test_checksum_where_there_is_no_build_id(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_int_equal(built_run(built, "gcc -g -Wl,--build-id=none -o prog prog.c"), 0);
    split(built);
    assert_found(built, "stripped", NULL, DEBUG_FILE_ORIGIN_DEBUGLINK, "prog.debug");
    assert_int_equal(built_run(built, "printf x >> prog.debug"), 0);
    assert_refused(built, "stripped", "another checksum");
    /* What differs at a glance is not read to its end. */
    assert_int_equal(built_run(built,
                               "echo 'int more(int n) { return n / 3 * 7 + n * 5; }' | "
                               "cat prog.c - > other.c && gcc -g -Wl,--build-id=none -o "
                               "other other.c && objcopy --only-keep-debug other prog.debug"),
                     0);
    assert_refused(built, "stripped", "other code");
    assert_int_equal(built_run(built, "rm prog.debug && mkfifo prog.debug"), 0);
    struct debug_file *file = NULL;
    assert_int_equal(find_as(built, "stripped", NULL, &file, NULL), -ENOENT);
}

static void test_file_that_changes_later(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    split(built);
    _cleanup_(debug_file_freep) struct debug_file *file = NULL;
    assert_int_equal(find_as(built, "stripped", NULL, &file, NULL), 0);
    /* As if too many were held already. */
    struct debug_file_handle handle = file->file;
    handle.fd = -1;
    _cleanup_(fd_closep) int fd = debug_file_open(&handle);
    assert_true(fd >= 0);
    assert_int_equal(built_run(built, "cp prog.debug new && mv new prog.debug"), 0);
    assert_int_equal(debug_file_open(&handle), -ESTALE);
    assert_int_equal(built_run(built, "rm prog.debug"), 0);
    assert_int_equal(debug_file_open(&handle), -ENOENT);
    _cleanup_(fd_closep) int held = debug_file_open(&file->file);
    assert_true(held >= 0);
}

static void test_more_files_than_are_held(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    static struct debug_file *files[DEBUG_FILES_MAX_HELD + 8];
    size_t n_held = 0;
    for (size_t i = 0; i < DEBUG_FILES_MAX_HELD + 8; i++) {
        assert_int_equal(find_as(built, "prog", NULL, &files[i], NULL), 0);
        n_held += files[i]->file.fd >= 0;
        _cleanup_(fd_closep) int fd = debug_file_open(&files[i]->file);
        assert_true(fd >= 0);
    }
    assert_int_equal(n_held, DEBUG_FILES_MAX_HELD);
    for (size_t i = 0; i < DEBUG_FILES_MAX_HELD + 8; i++) {
        debug_file_free(files[i]);
    }
}

/* Two programs that share what dwz found twice. */
static void test_alternate_file(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built) || !built_has_tool("dwz")) {
        print_message("no gcc, objcopy or dwz\n");
        skip();
    }
    assert_int_equal(
        built_run(built, "for i in 1 2; do { for n in $(seq 60); do echo \"struct s$n { int a, b; "
                         "struct s$n *next; long member_$n[7]; } v$n;\"; done; echo 'int main(void)"
                         " { return v1.a; }'; } > d$i.c && gcc -g -Wl,--build-id=sha1 "
                         "-Dx=$i -O$i -o d$i d$i.c || exit; done"),
        0);
    if (built_run(built, "mkdir sub && dwz -m sub/shared -M sub/shared d1 d2 >/dev/null") != 0) {
        print_message("dwz found nothing to share\n");
        skip();
    }
    _cleanup_(debug_file_freep) struct debug_file *file = NULL;
    assert_int_equal(find_as(built, "d1", NULL, &file, NULL), 0);
    assert_int_equal(file->origin, DEBUG_FILE_ORIGIN_SELF);
    assert_non_null(file->alternate.path);
    assert_non_null(strstr(file->alternate.path, "/sub/shared"));
    _cleanup_(fd_closep) int fd = debug_file_open(&file->alternate);
    assert_true(fd >= 0);

    /* By its name where distributions keep them, and not another build's. */
    _cleanup_(debug_file_freep) struct debug_file *moved = NULL;
    assert_int_equal(built_run(built, "mkdir -p debug/.dwz && mv sub/shared debug/.dwz/shared"), 0);
    assert_int_equal(find_as(built, "d1", NULL, &moved, NULL), 0);
    assert_non_null(moved->alternate.path);
    assert_non_null(strstr(moved->alternate.path, "/.dwz/shared"));
    _cleanup_(debug_file_freep) struct debug_file *refused = NULL;
    assert_int_equal(built_run(built, "cp prog debug/.dwz/shared"), 0);
    assert_int_equal(find_as(built, "d1", NULL, &refused, NULL), 0);
    assert_null(refused->alternate.path);
}

static void test_accept(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    split(built);
    struct opened bare = built_open(built, "bare");
    bare.image.path = bare.path;
    _cleanup_(debug_directories_releasep) struct debug_directories directories = {0};
    assert_int_equal(debug_directories_parse(NULL, &directories), 0);
    char path[64];
    snprintf(path, sizeof(path), "%s/prog.debug", built->folder);
    _cleanup_(debug_file_freep) struct debug_file *file = NULL;
    struct error error = {.code = ""};
    assert_int_equal(debug_files_accept(path, DEBUG_FILE_ORIGIN_DEBUGINFOD, &bare.image, bare.elf,
                                        &directories, &file, &error),
                     0);
    assert_string_equal(debug_file_origin_name(file->origin), "debuginfod");
    struct debug_file *none = NULL;
    assert_int_equal(built_run(built, "gcc -g -O2 -Wl,--build-id=sha1 -o prog.debug prog.c"), 0);
    assert_int_equal(debug_files_accept(path, DEBUG_FILE_ORIGIN_DEBUGINFOD, &bare.image, bare.elf,
                                        &directories, &none, &error),
                     -ESTALE);
    assert_non_null(strstr(error.message, "another build-id"));
    opened_release(&bare);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, built_new, built_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directories),
        CASE(test_the_image_itself),
        CASE(test_by_build_id),
        CASE(test_by_link_in_each_place),
        CASE(test_another_build_is_refused),
        CASE(test_checksum_where_there_is_no_build_id),
        CASE(test_file_that_changes_later),
        CASE(test_more_files_than_are_held),
        CASE(test_alternate_file),
        CASE(test_accept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
