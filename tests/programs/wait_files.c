/* SPDX-License-Identifier: MIT */

/*
 * Waits for a disk. A file of which no page is in memory is read in one piece
 * after the other; when all was read it is dropped from memory again.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "burn.h"
#include "wait_kinds.h"

#define PAGE_BYTES UINT64_C(4096)
#define FILE_BYTES (UINT64_C(32) << 20)
#define MOST_BYTES (UINT64_C(1) << 20) /* of one read or write */

static const char *folder_of_files = "./";

#define KEPT __attribute__((noinline))

void wait_files_in(const char *folder)
{
    folder_of_files = folder;
}

static bool write_file(struct waiter *waiter, uint64_t n_bytes)
{
    snprintf(waiter->path, sizeof waiter->path, "%swaits-%d-%s", folder_of_files, getpid(),
             waiter->kind->name);
    if (posix_memalign((void **)&waiter->buffer, PAGE_BYTES, MOST_BYTES) != 0) {
        return false;
    }
    memset(waiter->buffer, 'w', MOST_BYTES);
    const int fd = open(waiter->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_written = fd >= 0;
    for (uint64_t i = 0; is_written && i < n_bytes; i += MOST_BYTES) {
        const uint64_t n_left = n_bytes - i;
        is_written =
            pwrite(fd, waiter->buffer, n_left < MOST_BYTES ? n_left : MOST_BYTES, (off_t)i) > 0;
    }
    waiter->fds[0] = fd;
    waiter->file_bytes = n_bytes;
    return is_written && fsync(fd) == 0;
}

/* A page that is mapped stays in memory, so those of the mapping go first. */
static void drop_pages(struct waiter *waiter)
{
    if (waiter->mapping != NULL) {
        madvise(waiter->mapping, waiter->file_bytes, MADV_DONTNEED);
    }
    posix_fadvise(waiter->fds[0], 0, 0, POSIX_FADV_DONTNEED);
}

/* Two descriptors: one goes past the page cache where the file system can, one through it. */
bool prepare_read(struct waiter *waiter)
{
    if (!write_file(waiter, FILE_BYTES)) {
        return false;
    }
    waiter->fds[1] = open(waiter->path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    posix_fadvise(waiter->fds[0], 0, 0, POSIX_FADV_RANDOM);
    drop_pages(waiter);
    return true;
}

/* 4 KiB as often as 1 MiB. */
void before_read(struct waiter *waiter)
{
    waiter->n_done++;
    waiter->offset += waiter->n_read_bytes;
    waiter->n_read_bytes = PAGE_BYTES << random_next(&waiter->random) % 9;
    if (waiter->offset + waiter->n_read_bytes > waiter->file_bytes) {
        drop_pages(waiter);
        waiter->offset = 0;
    }
}

KEPT void wait_on_read(struct waiter *waiter)
{
    const bool is_direct = waiter->fds[1] >= 0 && waiter->n_done % 2 == 0;

    if (pread(waiter->fds[is_direct], waiter->buffer, waiter->n_read_bytes,
              (off_t)waiter->offset) <= 0) {
        perror("pread");
        exit(1);
    }
}

bool prepare_fsync(struct waiter *waiter)
{
    return write_file(waiter, MOST_BYTES);
}

void before_fsync(struct waiter *waiter)
{
    const uint64_t n_bytes = PAGE_BYTES << random_next(&waiter->random) % 8;

    if (pwrite(waiter->fds[0], waiter->buffer, n_bytes, 0) <= 0) {
        perror("pwrite");
        exit(1);
    }
}

KEPT void wait_on_fsync(struct waiter *waiter)
{
    if (fsync(waiter->fds[0]) != 0) {
        perror("fsync");
        exit(1);
    }
}

bool prepare_page(struct waiter *waiter)
{
    if (!write_file(waiter, FILE_BYTES)) {
        return false;
    }
    void *mapping = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, waiter->fds[0], 0);
    if (mapping == MAP_FAILED) {
        return false;
    }
    waiter->mapping = mapping;
    madvise(mapping, FILE_BYTES, MADV_RANDOM);
    drop_pages(waiter);
    return true;
}

void before_page(struct waiter *waiter)
{
    waiter->offset += PAGE_BYTES;
    if (waiter->offset >= waiter->file_bytes) {
        drop_pages(waiter);
        waiter->offset = 0;
    }
}

KEPT void wait_on_page(struct waiter *waiter)
{
    const volatile uint8_t *byte = waiter->mapping + waiter->offset;

    (void)*byte;
}

void wait_files_remove(struct waiter *waiter)
{
    if (waiter->path[0] != '\0') {
        unlink(waiter->path);
    }
}
