/* SPDX-License-Identifier: MIT */
#include "archive/archive_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "archive/archive_directory.h"
#include "archive/archive_manifest.h"
#include "archive/archive_name.h"
#include "archive/archive_sqlar.h"
#include "base/fd.h"

#define DAMAGE_BYTES 200

struct archive_reader {
    struct sqlar_reader *sqlar; /* NULL: a directory */
    struct sqlar_condition condition;
    int dir_fd;
    char *manifest; /* NULL: gone */
    struct archive_members members;
    char damage[DAMAGE_BYTES];
};

/* Opening ----------------------------------------------------------------------- */

static int explain_system(const char *path, int r, struct error *error)
{
    if (r == -ENOENT) {
        error_set(error, "archive_read", "there is no file or directory %s", path);
    } else if (r == -EACCES || r == -EPERM) {
        error_set(error, "archive_read", "no permission to read %s", path);
    } else if (r == -ENAMETOOLONG) {
        error_set(error, "archive_read", "the path is too long for an archive in one file: %s",
                  path);
        error_hint(error, "copy it to a path of less than %u characters", SQLAR_PATH_MAX_BYTES);
    } else {
        error_set(error, "archive_read", "%s cannot be read: %s", path, strerror(-r));
    }
    return r;
}

static int explain_newer(const char *path, uint64_t version, struct error *error)
{
    error_set(error, "archive_invalid",
              "%s was made by a newer stax (archive version %" PRIu64 "): this one reads up to %u",
              path, version, ARCHIVE_MAJOR);
    error_hint(error, "open it with a stax that is as new as the one that saved it");
    return -ENOTSUP;
}

static void note(struct archive_reader *reader, const char *what)
{
    size_t length = strlen(reader->damage);
    (void)snprintf(reader->damage + length, DAMAGE_BYTES - length, "%s%s", length > 0 ? "; " : "",
                   what);
}

static void note_cut(struct archive_reader *reader)
{
    char text[100];
    (void)snprintf(text, sizeof(text), "it is cut: %" PRIu64 " of %" PRIu64 " bytes are left",
                   reader->condition.file_bytes, reader->condition.full_bytes);
    note(reader, text);
}

/* `text`: what was read of the manifest, NULL where there is none; taken over. */
static int take_manifest(struct archive_reader *reader, const char *path, char *text,
                         size_t n_bytes, bool *ret_is_ours, struct error *reterr_error)
{
    struct archive_manifest manifest = {.is_ours = false};
    int r = text ? archive_manifest_read(text, n_bytes, &manifest, &reader->members) : -ENOENT;
    *ret_is_ours = manifest.is_ours;
    if (r == 0) {
        reader->manifest = text;
        if (!manifest.is_whole) {
            note(reader, "its manifest is not as it was written");
        }
        return 0;
    }
    free(text);
    /* A list that makes no sense is none. */
    archive_members_release(&reader->members);
    archive_members_init(&reader->members);
    if (r == -ENOTSUP) {
        return explain_newer(path, manifest.version, reterr_error);
    }
    if (r == -ENOMEM) {
        error_set(reterr_error, "archive_read", "no memory to read %s", path);
        return r;
    }
    note(reader, "its manifest is lost");
    return 0;
}

static int open_directory(struct archive_reader *reader, const char *path,
                          struct error *reterr_error)
{
    void *text = NULL;
    size_t n_bytes = 0;
    uint64_t file_bytes;
    bool is_ours;
    reader->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (reader->dir_fd < 0) {
        return explain_system(path, -errno, reterr_error);
    }
    int r = archive_directory_read(reader->dir_fd, ARCHIVE_MANIFEST_NAME,
                                   ARCHIVE_MAX_MANIFEST_BYTES, &text, &n_bytes, &file_bytes);
    if (r == -ENOENT || r == -EINVAL) {
        error_set(reterr_error, "archive_invalid",
                  "%s is a directory and no archive: there is no manifest.json in it", path);
        return -EBADMSG;
    }
    if (r < 0) {
        return explain_system(path, r, reterr_error);
    }
    r = take_manifest(reader, path, text, n_bytes, &is_ours, reterr_error);
    if (r < 0) {
        return r;
    }
    if (!is_ours) {
        error_set(reterr_error, "archive_invalid",
                  "%s is no archive: the manifest.json in it is of something else", path);
        return -EBADMSG;
    }
    r = reader->manifest ? 0 : archive_directory_find(reader->dir_fd, &reader->members);
    return r < 0 ? explain_system(path, r, reterr_error) : 0;
}

static int explain_database(const struct archive_reader *reader, const char *path, int r,
                            struct error *error)
{
    const struct sqlar_condition *condition = &reader->condition;
    if (condition->file_bytes == 0) {
        error_set(error, "archive_invalid", "%s is empty", path);
        return -EBADMSG;
    }
    if (condition->is_ours && condition->version > ARCHIVE_MAJOR) {
        return explain_newer(path, condition->version, error);
    }
    if (condition->is_cut) {
        error_set(error, "archive_invalid",
                  "%s is cut to %" PRIu64 " of %" PRIu64 " bytes, which is too little to read it",
                  path, condition->file_bytes, condition->full_bytes);
    } else if (condition->is_ours) {
        error_set(error, "archive_invalid", "%s is an archive that is damaged beyond use", path);
    } else if (r == -ENODATA) {
        error_set(error, "archive_invalid", "%s is an SQLite database and no archive", path);
    } else {
        error_set(error, "archive_invalid", "%s is no archive", path);
    }
    return -EBADMSG;
}

static int open_file(struct archive_reader *reader, const char *path, struct error *reterr_error)
{
    void *text = NULL;
    size_t n_bytes = 0;
    bool is_ours;
    int r = sqlar_reader_open(path, &reader->sqlar, &reader->condition);
    if (r == -EBADMSG || r == -ENODATA) {
        return explain_database(reader, path, r, reterr_error);
    }
    if (r < 0) {
        return explain_system(path, r, reterr_error);
    }
    if (reader->condition.is_cut) {
        note_cut(reader);
    }
    r = sqlar_reader_read(reader->sqlar, ARCHIVE_MANIFEST_NAME, SQLAR_MANIFEST_INDEX, &text,
                          &n_bytes);
    if (r == -ENOMEM) {
        return explain_system(path, r, reterr_error);
    }
    if (n_bytes > ARCHIVE_MAX_MANIFEST_BYTES) { /* nobody wrote such a list */
        free(text);
        text = NULL;
    }
    r = take_manifest(reader, path, text, n_bytes, &is_ours, reterr_error);
    if (r < 0) {
        return r;
    }
    if (!is_ours && !reader->condition.is_ours) {
        error_set(reterr_error, "archive_invalid",
                  "%s is an SQLite archive, but not one of stax: there is no manifest of it", path);
        return -EBADMSG;
    }
    if (!reader->manifest && reader->condition.version > ARCHIVE_MAJOR) {
        return explain_database(reader, path, -EBADMSG, reterr_error);
    }
    r = reader->manifest ? 0 : sqlar_reader_find(reader->sqlar, &reader->members);
    return r < 0 ? explain_system(path, r, reterr_error) : 0;
}

int archive_reader_open(const char *path, struct archive_reader **ret_reader,
                        struct error *reterr_error)
{
    _cleanup_(archive_reader_freep) struct archive_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        return explain_system(path, -ENOMEM, reterr_error);
    }
    archive_members_init(&reader->members);
    reader->dir_fd = -1;
    struct stat status;
    if (stat(path, &status) < 0) {
        return explain_system(path, -errno, reterr_error);
    }
    if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
        error_set(reterr_error, "archive_invalid", "%s is neither a file nor a directory", path);
        return -EBADMSG;
    }
    int r = S_ISDIR(status.st_mode) ? open_directory(reader, path, reterr_error)
                                    : open_file(reader, path, reterr_error);
    if (r < 0) {
        return r;
    }
    *ret_reader = TAKE_PTR(reader);
    return 0;
}

struct archive_reader *archive_reader_free(struct archive_reader *reader)
{
    if (!reader) {
        return NULL;
    }
    (void)sqlar_reader_free(reader->sqlar);
    (void)fd_close(reader->dir_fd);
    archive_members_release(&reader->members);
    free(reader->manifest);
    free(reader);
    return NULL;
}

/* Asking ------------------------------------------------------------------------ */

const char *archive_reader_manifest(const struct archive_reader *reader)
{
    return reader->manifest;
}

const char *archive_reader_damage(const struct archive_reader *reader)
{
    return reader->damage[0] != '\0' ? reader->damage : NULL;
}

size_t archive_reader_count(const struct archive_reader *reader)
{
    return reader->members.n_members;
}

struct archive_member archive_reader_member(const struct archive_reader *reader, size_t index)
{
    const struct archive_listed *listed = &reader->members.listed[index];
    return (struct archive_member){.name = listed->name, .n_bytes = listed->n_bytes};
}

static int read_bytes(struct archive_reader *reader, const struct archive_listed *listed,
                      struct archive_bytes *ret_bytes)
{
    uint64_t file_bytes;
    if (reader->sqlar) {
        return sqlar_reader_read(reader->sqlar, listed->name, listed - reader->members.listed,
                                 &ret_bytes->bytes, &ret_bytes->n_bytes);
    }
    /* What came behind a member's end is not the member's. */
    return archive_directory_read(reader->dir_fd, listed->name, (size_t)listed->n_bytes,
                                  &ret_bytes->bytes, &ret_bytes->n_bytes, &file_bytes);
}

int archive_reader_read(struct archive_reader *reader, const char *name,
                        struct archive_bytes *ret_bytes)
{
    *ret_bytes = (struct archive_bytes){.state = ARCHIVE_MISSING};
    const struct archive_listed *listed = archive_members_find(&reader->members, name);
    if (!listed) {
        return 0;
    }
    ret_bytes->is_listed = true;
    int r = read_bytes(reader, listed, ret_bytes);
    if (r == -ENOENT) {
        return 0;
    }
    if (r == -ENOMEM || r == -EMFILE || r == -ENFILE) { /* is not the archive's fault */
        return r;
    }
    if (r < 0) { /* no file; no byte of it; not for us */
        ret_bytes->state = ARCHIVE_DAMAGED;
        return 0;
    }
    bool is_right =
        !listed->has_crc32 || (ret_bytes->n_bytes == listed->n_bytes &&
                               crc32_z(0, ret_bytes->bytes, ret_bytes->n_bytes) == listed->crc32);
    ret_bytes->state = r == 0 && is_right ? ARCHIVE_WHOLE : ARCHIVE_DAMAGED;
    return 0;
}
