/* SPDX-License-Identifier: MIT */
#include "disasm/kept_sources.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "disasm/source_files.h"

/* Lines 3 and 9 of a file that lies on this machine as well, with other text. */
static struct kept_sources *make(const char *path)
{
    struct kept_sources *kept;
    assert_int_equal(kept_sources_new(&kept), 0);
    const struct kept_source_file files[] = {
        {.path = path, .found = "/build/x.c", .modified_s = 55},
        {.path = "/src/y.c", .found = "/src/y.c", .modified_s = 66},
    };
    uint32_t x, y;
    assert_int_equal(kept_sources_add_file(kept, &files[0], &x), 0);
    assert_int_equal(kept_sources_add_file(kept, &files[1], &y), 0);
    const struct kept_source_line lines[] = {
        {.file = y, .line = 3, .text = "y three"},
        {.file = x, .line = 9, .text = "nine"},
        {.file = x, .line = 3, .text = "three"},
        {.file = x, .line = 4, .text = ""},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(kept_sources_add_line(kept, &lines[i]), 0);
    }
    const struct kept_source_line wrong = {.file = 2, .line = 3, .text = "?"};
    assert_int_equal(kept_sources_add_line(kept, &wrong), -EINVAL);
    kept_sources_finish(kept);
    return kept;
}

static void lines_are_found(void **state)
{
    (void)state;
    _cleanup_(kept_sources_freep) struct kept_sources *kept = make("/src/x.c");
    const struct kept_source_file *file = kept_sources_find(kept, "/src/x.c");
    assert_non_null(file);
    assert_string_equal(file->found, "/build/x.c");
    assert_string_equal(kept_sources_line(kept, file, 9), "nine");
    assert_string_equal(kept_sources_line(kept, file, 4), "");
    assert_null(kept_sources_line(kept, file, 5));
    file = kept_sources_find(kept, "/src/y.c");
    assert_string_equal(kept_sources_line(kept, file, 3), "y three");
    assert_null(kept_sources_line(kept, file, 9));
    assert_null(kept_sources_find(kept, "/src/z.c"));
    size_t n;
    assert_non_null(kept_sources_files(kept, &n));
    assert_int_equal(n, 2);
    assert_string_equal(kept_sources_lines(kept, &n)[0].text, "three");
    assert_int_equal(n, 4);
}

struct folder {
    char path[64], file[96];
};

static void write_file(struct folder *folder)
{
    snprintf(folder->path, sizeof(folder->path), "/tmp/kept_sources_XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->file, sizeof(folder->file), "%s/x.c", folder->path);
    static const char text[] = "one\ntwo\nanother three\n";
    _cleanup_(fd_closep) int fd = open(folder->file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, sizeof(text) - 1), 0);
}

static void remove_file(const struct folder *folder)
{
    unlink(folder->file);
    rmdir(folder->path);
}

static void files_of_this_machine_are_others(void **state)
{
    (void)state;
    struct folder folder;
    write_file(&folder);
    _cleanup_(kept_sources_freep) struct kept_sources *kept = make(folder.file);
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    _cleanup_(source_files_releasep) struct source_files files;
    source_files_init(&files, &arena);
    files.is_kept_only = true;
    files.kept = kept;
    int64_t modified_s;
    assert_string_equal(source_files_line(&files, folder.file, 3), "three");
    assert_null(source_files_line(&files, folder.file, 2)); /* which the file has */
    assert_string_equal(source_files_found(&files, folder.file, &modified_s), "/build/x.c");
    assert_int_equal(modified_s, 55);
    assert_null(source_files_found(&files, "/etc/passwd", NULL));
    _cleanup_(source_files_releasep) struct source_files none;
    source_files_init(&none, &arena);
    none.is_kept_only = true;
    assert_null(source_files_line(&none, folder.file, 3));
    remove_file(&folder);
}

/* Who says where sources lie on this machine means these. */
static void a_map_leads_to_files_of_this_machine(void **state)
{
    (void)state;
    struct folder folder;
    write_file(&folder);
    _cleanup_(kept_sources_freep) struct kept_sources *kept = make("/src/x.c");
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    const struct source_map map = {.from = "/src", .to = folder.path};
    _cleanup_(source_files_releasep) struct source_files files;
    source_files_init(&files, &arena);
    files.is_kept_only = true;
    files.kept = kept;
    files.n_maps = 1;
    files.maps = &map;
    assert_string_equal(source_files_line(&files, "/src/x.c", 3), "another three");
    assert_string_equal(source_files_line(&files, "/src/y.c", 3), "y three"); /* not there */
    remove_file(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_found),
        cmocka_unit_test(files_of_this_machine_are_others),
        cmocka_unit_test(a_map_leads_to_files_of_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
