/* SPDX-License-Identifier: MIT */

/*
 * fuzz_archive - bytes as an archive in one file, or as the manifest of a directory
 *
 * An input that begins with '{' is the manifest of a directory with three members.
 * Everything else is a file; its SQLite header's magic is put in, so that trying
 * is not spent on that. Whatever is listed is read. What says that it is whole has
 * the size that was listed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive_directory.h"
#include "archive/archive_file.h"
#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_READS 200

static char folder[100];

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void remove_folder(void)
{
    (void)archive_directory_remove(AT_FDCWD, folder);
}

static void put_file(const char *path, const void *bytes, size_t n_bytes)
{
    _cleanup_(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(fd >= 0 && fd_write_all(fd, bytes, n_bytes) == 0);
}

/* In memory where there is such a place: an input is written for every try. */
static void make_folder(void)
{
    struct stat status;
    bool has_shm = stat("/dev/shm", &status) == 0 && access("/dev/shm", W_OK) == 0;
    char path[200];
    (void)snprintf(folder, sizeof(folder), "%s/fuzz-archive-XXXXXX", has_shm ? "/dev/shm" : "/tmp");
    require(mkdtemp(folder) != NULL);
    (void)atexit(remove_folder);
    (void)snprintf(path, sizeof(path), "%s/dir", folder);
    require(mkdir(path, 0700) == 0);
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"dir/run.json", "dir/a", "dir/empty"};
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        put_file(path, "{\"id\": 1}", i < 2 ? 9 : 0);
    }
}

static void read_all(const char *path, size_t size)
{
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    struct error error = {.code = ""};
    int r = archive_reader_open(path, &reader, &error);
    require(r <= 0 && (r < 0) == (reader == NULL) && (r < 0) == error_is_set(&error));
    if (r < 0) {
        return;
    }
    const char *manifest = archive_reader_manifest(reader);
    require(manifest || archive_reader_damage(reader));
    require(!manifest || strlen(manifest) <= 17 * size + 4096);
    size_t n_members = archive_reader_count(reader);
    require(n_members <= ARCHIVE_MAX_MEMBERS);
    for (size_t i = 0; i < n_members && i < MOST_READS; i++) {
        struct archive_member member = archive_reader_member(reader, i);
        struct archive_bytes bytes;
        r = archive_reader_read(reader, member.name, &bytes);
        require(r == 0 || r == -ENOMEM);
        require(bytes.n_bytes <= 16 * size + 4096);
        require(bytes.state != ARCHIVE_WHOLE || !manifest || bytes.n_bytes == member.n_bytes);
        require(bytes.bytes || bytes.n_bytes == 0);
        free(bytes.bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[200];
    if (folder[0] == '\0') {
        make_folder();
    }
    if (size > 0 && data[0] == '{') {
        (void)snprintf(path, sizeof(path), "%s/dir/manifest.json", folder);
        put_file(path, data, size);
        (void)snprintf(path, sizeof(path), "%s/dir", folder);
        read_all(path, size + 18);
        return 0;
    }
    uint8_t *copy = malloc(size + 1);
    require(copy != NULL);
    memcpy(copy, data, size);
    memcpy(copy, "SQLite format 3", size < 16 ? size : 16);
    (void)snprintf(path, sizeof(path), "%s/input.stax", folder);
    put_file(path, copy, size);
    free(copy);
    read_all(path, size);
    return 0;
}
