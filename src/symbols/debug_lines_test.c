/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "dwarf/dwarf_budget.h"
#include "symbols/debug_lines.h"

#define TIMEOUT_MS 60000

static const struct symbol outermost = {.name = "outermost", .image = "prog"};

static int take_bias(struct dl_phdr_info *info, size_t size, void *userdata)
{
    (void)size;
    *(uint64_t *)userdata = info->dlpi_addr;
    return 1; /* the program itself comes first */
}

static uint64_t address_of(const void *code)
{
    uint64_t bias = 0;
    dl_iterate_phdr(take_bias, &bias);
    return (uint64_t)(uintptr_t)code - bias;
}

/* This program as its own debug file. */
static struct debug_file own_file(int fd)
{
    static char path[] = "/proc/self/exe";
    return (struct debug_file){
        .file = {.fd = fd, .path = path}, .alternate = {.fd = -1}, .has_dwarf = true};
}

static void load(struct debug_lines_desk *desk, struct debug_lines *lines, uint64_t address)
{
    struct symbol_chain_entry chain[SYMBOL_CHAIN_MAX];
    assert_int_equal(debug_lines_chain(lines, address, &outermost, chain, SYMBOL_CHAIN_MAX), 1);
    assert_true(debug_lines_desk_wait(desk, TIMEOUT_MS));
    assert_true(debug_lines_is_settled(lines, address));
}

/* With room for nothing the last unit alone stays, and what went is read again. */
static void test_eviction(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct debug_file file = own_file(fd);
    struct debug_lines_desk *desk = NULL;
    struct debug_lines *lines = NULL;
    assert_int_equal(debug_lines_desk_new(1, &desk), 0);
    assert_int_equal(debug_lines_new(desk, "prog", FRAME_KIND_USER, &file, &lines), 0);
    uint64_t here = address_of((const void *)test_eviction);
    uint64_t there = address_of((const void *)fd_close); /* of another unit */
    load(desk, lines, here);
    load(desk, lines, there);
    assert_false(debug_lines_is_settled(lines, here));
    load(desk, lines, here);
    struct debug_lines_stats stats;
    debug_lines_desk_describe(desk, &stats);
    assert_int_equal(stats.n_units_loaded, 1);
    assert_int_equal(stats.n_loads, 3);
    assert_int_equal(stats.n_evictions, 2);
    assert_int_equal(stats.n_failures, 0);
    assert_true(stats.index_bytes > 0);
    debug_lines_desk_free(desk);
    debug_lines_free(lines);
}

static void test_a_file_that_cannot_be_read(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct debug_file file = own_file(fd);
    struct debug_lines_desk *desk = NULL;
    struct debug_lines *lines = NULL;
    assert_int_equal(debug_lines_desk_new(0, &desk), 0);
    assert_int_equal(debug_lines_new(desk, "prog", FRAME_KIND_USER, &file, &lines), 0);
    assert_false(debug_lines_is_settled(lines, 0x1000));
    load(desk, lines, 0x1000);
    struct debug_lines_stats stats;
    debug_lines_desk_describe(desk, &stats);
    assert_int_equal(stats.n_failures, 1);
    debug_lines_desk_free(desk);
    debug_lines_free(lines);
}

/* A file whose .debug_abbrev says that it is twice as large as what there is room for. */
static int make_hollow_file(void)
{
    static const char names[] = "\0.debug_info\0.debug_abbrev\0.shstrtab";
    uint64_t n_bytes = dwarf_budget_of_process()->max_bytes * 2;
    Elf64_Shdr headers[4] = {
        [1] = {.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = 2048, .sh_size = 12},
        [2] = {.sh_name = 13, .sh_type = SHT_PROGBITS, .sh_offset = 4096, .sh_size = n_bytes},
        [3] = {.sh_name = 27, .sh_type = SHT_STRTAB, .sh_offset = 512, .sh_size = sizeof(names)},
    };
    static const uint8_t unit[12] = {8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8, 1};
    Elf64_Ehdr header = {.e_ident = ELFMAG, .e_type = ET_EXEC, .e_machine = EM_X86_64};
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_version = EV_CURRENT;
    header.e_ehsize = sizeof(header);
    header.e_shoff = 1024;
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = 4;
    header.e_shstrndx = 3;
    int fd = memfd_create("hollow", MFD_CLOEXEC);
    assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
    assert_int_equal(pwrite(fd, names, sizeof(names), 512), sizeof(names));
    assert_int_equal(pwrite(fd, headers, sizeof(headers), 1024), sizeof(headers));
    assert_int_equal(pwrite(fd, unit, sizeof(unit), 2048), sizeof(unit));
    assert_int_equal(ftruncate(fd, (off_t)(4096 + n_bytes)), 0);
    return fd;
}

static void test_what_is_too_large_is_told(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = make_hollow_file();
    struct debug_file file = own_file(fd);
    struct debug_lines_desk *desk = NULL;
    struct debug_lines *lines = NULL;
    assert_int_equal(debug_lines_desk_new(0, &desk), 0);
    assert_int_equal(debug_lines_new(desk, "prog", FRAME_KIND_USER, &file, &lines), 0);
    assert_null(debug_lines_note(lines));
    load(desk, lines, 0x1000);
    assert_string_equal(debug_lines_note(lines), "debug information is too large to be read");
    debug_lines_desk_free(desk);
    debug_lines_free(lines);
    assert_int_equal(dwarf_budget_of_process()->n_bytes, 0);
}

/* What has a file's place for a moment does not cost its lines for good. */
static void test_a_failure_that_passes(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    struct debug_file file = own_file(-1);
    file.file.device = status.st_dev;
    file.file.inode = status.st_ino;
    file.file.n_bytes = (uint64_t)status.st_size;
    file.file.modified_s = status.st_mtim.tv_sec;
    file.file.modified_ns = status.st_mtim.tv_nsec + 1; /* -ESTALE */
    struct debug_lines_desk *desk = NULL;
    struct debug_lines *lines = NULL;
    assert_int_equal(debug_lines_desk_new(0, &desk), 0);
    assert_int_equal(debug_lines_new(desk, "prog", FRAME_KIND_USER, &file, &lines), 0);
    uint64_t here = address_of((const void *)test_eviction);
    load(desk, lines, here);
    file.file.modified_ns = status.st_mtim.tv_nsec;
    struct symbol_chain_entry chain[SYMBOL_CHAIN_MAX];
    load(desk, lines, here); /* not before its time */
    assert_int_equal(debug_lines_chain(lines, here, &outermost, chain, SYMBOL_CHAIN_MAX), 1);
    assert_null(chain[0].file);
    debug_lines_desk_retry_after(desk, 0);
    load(desk, lines, here);
    assert_int_equal(debug_lines_chain(lines, here, &outermost, chain, SYMBOL_CHAIN_MAX), 1);
    assert_non_null(strstr(chain[0].file, "debug_lines_test.c"));
    debug_lines_desk_free(desk);
    debug_lines_free(lines);
}

struct asker {
    struct debug_lines *lines;
    pthread_t thread;
};

static void *ask_often(void *userdata)
{
    struct asker *asker = userdata;
    uint64_t first = address_of((const void *)test_eviction);
    struct symbol_chain_entry chain[SYMBOL_CHAIN_MAX];
    for (uint64_t i = 0; i < 20000; i++) {
        (void)debug_lines_chain(asker->lines, first + i % 4096, &outermost, chain,
                                SYMBOL_CHAIN_MAX);
        (void)debug_lines_is_settled(asker->lines, first + i % 4096);
    }
    return NULL;
}

/* Questions from several threads while units come and go, and an end in the middle of it. */
static void test_threads(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct debug_file file = own_file(fd);
    struct debug_lines_desk *desk = NULL;
    struct debug_lines *lines = NULL;
    assert_int_equal(debug_lines_desk_new(1, &desk), 0);
    assert_int_equal(debug_lines_new(desk, "prog", FRAME_KIND_USER, &file, &lines), 0);
    struct asker askers[3];
    for (size_t i = 0; i < 3; i++) {
        askers[i].lines = lines;
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(askers[i].thread, NULL);
    }
    debug_lines_desk_free(desk);
    debug_lines_free(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_a_file_that_cannot_be_read),
        cmocka_unit_test(test_what_is_too_large_is_told),
        cmocka_unit_test(test_a_failure_that_passes),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
