/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * built_program_test - programs that the tests of this room compile and take apart
 *
 * A folder of its own per test with the program "prog" (functions one(), two()
 * and the local hidden()), compiled with -g and a build-id, and a shell to work
 * in it. Where no compiler is installed the folder has no path and the test is
 * to be skipped.
 *
 * Owner:   built_new()/built_free(), which removes the folder.
 * Threads: one.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "images/elf_file.h"
#include "images/image_table.h"

struct built {
    char folder[32];
};

struct opened {
    int fd;
    struct elf_file *elf;
    struct image image;
    char path[128];
};

static inline bool built_has_tool(const char *name)
{
    char command[128];
    snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", name);
    return system(command) == 0;
}

/* The exit status of a shell command in the folder. */
__attribute__((format(printf, 2, 3))) static inline int built_run(const struct built *built,
                                                                  const char *format, ...)
{
    char command[1024];
    int n_bytes = snprintf(command, sizeof(command), "cd %s && exec 2>&1 && ", built->folder);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command + n_bytes, sizeof(command) - (size_t)n_bytes, format, arguments);
    va_end(arguments);
    return system(command);
}

static inline void built_write(const struct built *built, const char *name, const void *data,
                               size_t n_bytes)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", built->folder, name);
    _cleanup_(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, data, n_bytes), 0);
}

static inline int built_new(void **state)
{
    static const char source[] =
        "static __attribute__((noinline)) int hidden(int n) { return n * 3 + 1; }\n"
        "__attribute__((noinline)) int one(int n) { return hidden(n) + 1; }\n"
        "__attribute__((noinline)) int two(int n) { return hidden(n) + 2; }\n"
        "int main(int argc, char **argv) { (void)argv; return one(argc) + two(argc); }\n";
    struct built *built = calloc(1, sizeof(*built));
    assert_non_null(built);
    *state = built;
    if (!built_has_tool("gcc") || !built_has_tool("objcopy")) {
        return 0;
    }
    snprintf(built->folder, sizeof(built->folder), "/tmp/stax-symbols-XXXXXX");
    assert_non_null(mkdtemp(built->folder));
    built_write(built, "prog.c", source, sizeof(source) - 1);
    assert_int_equal(built_run(built, "gcc -g -O1 -Wl,--build-id=sha1 -o prog prog.c"), 0);
    return 0;
}

static inline int built_free(void **state)
{
    struct built *built = *state;
    if (built->folder[0] != '\0') {
        char command[64];
        snprintf(command, sizeof(command), "rm -rf %s", built->folder);
        assert_int_equal(system(command), 0);
    }
    free(built);
    return 0;
}

static inline bool built_is_missing(const struct built *built)
{
    return built->folder[0] == '\0';
}

/* The hex digits of the build-id of a file in the folder. */
static inline void built_id_of(const struct built *built, const char *name,
                               char ret_hex[2 * LIMIT_BUILD_ID_BYTES + 1])
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", built->folder, name);
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    assert_int_equal(elf_file_open_descriptor(fd, &elf, NULL), 0);
    uint8_t id[LIMIT_BUILD_ID_BYTES];
    size_t n_bytes = elf_file_build_id(elf, id);
    ret_hex[0] = '\0';
    for (size_t i = 0; i < n_bytes; i++) {
        snprintf(ret_hex + 2 * i, 3, "%02x", id[i]);
    }
}

/* Moves a file of the folder to where its build-id says, below debug/. */
static inline void built_move_by_id(const struct built *built, const char *id_of, const char *name)
{
    char hex[2 * LIMIT_BUILD_ID_BYTES + 1];
    built_id_of(built, id_of, hex);
    assert_int_equal(built_run(built, "mkdir -p debug/.build-id/%.2s", hex), 0);
    assert_int_equal(built_run(built, "mv %s debug/.build-id/%.2s/%s.debug", name, hex, hex + 2),
                     0);
}

/* Of a function of "prog", as nm tells; programs here are linked so that it is its offset too. */
static inline uint64_t built_address_of(const struct built *built, const char *name)
{
    char command[256];
    snprintf(command, sizeof(command), "nm %s/prog | grep -w %s", built->folder, name);
    FILE *out = popen(command, "re");
    assert_non_null(out);
    char line[128] = "";
    assert_non_null(fgets(line, sizeof(line), out));
    pclose(out);
    return strtoull(line, NULL, 16);
}

/* As the kernel would tell of it, were it mapped. */
static inline struct opened built_open(const struct built *built, const char *name)
{
    struct opened opened = {.fd = -1};
    snprintf(opened.path, sizeof(opened.path), "%s/%s", built->folder, name);
    opened.fd = open(opened.path, O_RDONLY | O_CLOEXEC);
    assert_true(opened.fd >= 0);
    assert_int_equal(elf_file_open_descriptor(opened.fd, &opened.elf, NULL), 0);
    opened.image = (struct image){.kind = IMAGE_KIND_FILE, .name = "prog"};
    return opened;
}

static inline void opened_release(struct opened *opened)
{
    opened->elf = elf_file_free(opened->elf);
    opened->fd = fd_close(opened->fd);
}
