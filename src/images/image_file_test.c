/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "images/elf_file.h"
#include "images/image_file.h"
#include "images/proc_maps.h"

/* The mapping of ours that holds `ip`, as an image of process `pid`. */
static void find_image(int64_t pid, uint64_t ip, struct image *ret_image, char **ret_maps)
{
    size_t n_bytes;
    assert_int_equal(fd_read_file("/proc/self/maps", 1 << 20, ret_maps, &n_bytes), 0);
    char *at = *ret_maps;
    struct proc_maps_line line;
    while (proc_maps_next(&at, &line)) {
        bool is_wanted = ip != 0 ? ip >= line.image.start_ip && ip < line.image.end_ip
                                 : strcmp(line.image.path, "[vdso]") == 0;
        if (is_wanted) {
            *ret_image = (struct image){
                .kind = ip != 0 ? IMAGE_KIND_FILE : IMAGE_KIND_VDSO,
                .path = line.image.path,
                .name = line.image.path,
                .inode = line.image.inode,
                .device_major = line.image.device_major,
                .device_minor = line.image.device_minor,
                .pid = pid,
                .start_ip = line.image.start_ip,
                .end_ip = line.image.end_ip,
            };
            return;
        }
    }
    fail_msg("no such mapping");
}

static uint64_t inode_of(const struct image_file *file)
{
    struct stat status;
    assert_int_equal(fstat(image_file_descriptor(file), &status), 0);
    return status.st_ino;
}

static void test_own_program(void **state)
{
    (void)state;
    struct image image;
    _cleanup_(freep) char *maps = NULL;
    find_image(getpid(), (uintptr_t)&test_own_program, &image, &maps);
    _cleanup_(image_file_freep) struct image_file *file = NULL;
    struct error error = {0};
    assert_int_equal(image_file_open(&image, &file, &error), 0);
    size_t n_bytes;
    assert_null(image_file_memory(file, &n_bytes));
    struct stat status;
    assert_int_equal(stat("/proc/self/exe", &status), 0);
    assert_int_equal(inode_of(file), status.st_ino);
    assert_true((fcntl(image_file_descriptor(file), F_GETFD) & FD_CLOEXEC) != 0);
}

/* A process that is gone leaves the path, which is checked against the mapping. */
static void test_program_of_a_process_that_is_gone(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    struct image image;
    _cleanup_(freep) char *maps = NULL;
    find_image(child, (uintptr_t)&test_own_program, &image, &maps);
    _cleanup_(image_file_freep) struct image_file *file = NULL;
    assert_int_equal(image_file_open(&image, &file, NULL), 0);
    file = image_file_free(file);

    image.inode++;
    struct error error = {0};
    assert_int_equal(image_file_open(&image, &file, &error), -ESTALE);
    assert_string_equal(error.code, "image_changed");
    image.path = "/no/such/file";
    assert_int_equal(image_file_open(&image, &file, &error), -ENOENT);
    assert_null(file);
}

static void test_build_id_decides_where_it_is_known(void **state)
{
    (void)state;
    struct image image;
    _cleanup_(freep) char *maps = NULL;
    find_image(getpid(), (uintptr_t)&strlen, &image, &maps);
    _cleanup_(fd_closep) int fd = open(image.path, O_RDONLY | O_CLOEXEC);
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    assert_int_equal(elf_file_open_descriptor(fd, &elf, NULL), 0);
    image.build_id_bytes = (uint8_t)elf_file_build_id(elf, image.build_id);
    if (image.build_id_bytes == 0) {
        skip();
    }
    /* As the kernel tells it: the build-id in the place of inode and device. */
    image.inode = image.device_major = image.device_minor = 0;
    _cleanup_(image_file_freep) struct image_file *file = NULL;
    assert_int_equal(image_file_open(&image, &file, NULL), 0);
    file = image_file_free(file);
    image.build_id[0] ^= 1;
    assert_int_equal(image_file_open(&image, &file, NULL), -ESTALE);
    image.build_id[0] ^= 1;
    image.build_id_bytes--;
    assert_int_equal(image_file_open(&image, &file, NULL), -ESTALE);
}

static void test_deleted_file(void **state)
{
    (void)state;
    char path[] = "/tmp/image_file_test_XXXXXX";
    _cleanup_(fd_closep) int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 8192), 0);
    void *mapped = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(mapped, MAP_FAILED);
    assert_int_equal(unlink(path), 0);
    struct image image;
    _cleanup_(freep) char *maps = NULL;
    find_image(getpid(), (uintptr_t)mapped, &image, &maps);
    assert_non_null(strstr(image.path, " (deleted)"));
    _cleanup_(image_file_freep) struct image_file *file = NULL;
    int r = image_file_open(&image, &file, NULL);
    if (geteuid() == 0 && r == 0) {
        assert_int_equal(inode_of(file), image.inode);
    } else {
        assert_true(r < 0); /* map_files is for the privileged */
    }
    munmap(mapped, 8192);
}

static void test_a_fifo_is_not_opened(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/image_file_test_fifo_%d", (int)getpid());
    assert_int_equal(mkfifo(path, 0600), 0);
    struct image image = {.kind = IMAGE_KIND_FILE, .path = path, .name = "fifo", .pid = getpid()};
    _cleanup_(image_file_freep) struct image_file *file = NULL;
    assert_true(image_file_open(&image, &file, NULL) < 0); /* and it does not wait for a writer */
    assert_int_equal(unlink(path), 0);
}

static void check_vdso(int64_t pid, uint64_t start_ip_shift)
{
    struct image image;
    _cleanup_(freep) char *maps = NULL;
    find_image(pid, 0, &image, &maps);
    image.start_ip += start_ip_shift;
    image.end_ip += start_ip_shift;
    _cleanup_(image_file_freep) struct image_file *file = NULL;
    struct error error = {0};
    assert_int_equal(image_file_open(&image, &file, &error), 0);
    assert_int_equal(image_file_descriptor(file), -1);
    size_t n_bytes = 0;
    const void *memory = image_file_memory(file, &n_bytes);
    assert_int_equal(n_bytes, image.end_ip - image.start_ip);
    assert_memory_equal(memory, (const void *)(uintptr_t)(image.start_ip - start_ip_shift),
                        n_bytes);
}

static void test_vdso_from_the_target_or_else_our_own(void **state)
{
    (void)state;
    check_vdso(getpid(), 0);
    check_vdso(0x7fffffff, 0);
    check_vdso(getpid(), UINT64_C(1) << 50);
}

static void test_what_has_no_file(void **state)
{
    (void)state;
    struct image image = {.kind = IMAGE_KIND_ANONYMOUS, .path = "[anon]", .name = "[anon]"};
    _cleanup_(image_file_freep) struct image_file *file = NULL;
    struct error error = {0};
    assert_int_equal(image_file_open(&image, &file, &error), -ENOENT);
    assert_string_equal(error.code, "no_file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_program),
        cmocka_unit_test(test_program_of_a_process_that_is_gone),
        cmocka_unit_test(test_build_id_decides_where_it_is_known),
        cmocka_unit_test(test_deleted_file),
        cmocka_unit_test(test_a_fifo_is_not_opened),
        cmocka_unit_test(test_vdso_from_the_target_or_else_our_own),
        cmocka_unit_test(test_what_has_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
