/* SPDX-License-Identifier: MIT */
#include "archive/archive_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "archive/archive_directory.h"
#include "archive/archive_manifest.h"
#include "archive/archive_name.h"
#include "archive/archive_place.h"
#include "archive/archive_sqlar.h"

#define SUFFIX ".stax"

struct archive_writer {
    struct archive_place *place;
    struct sqlar_writer *sqlar; /* NULL: a directory */
    struct archive_members members;
    uint64_t archive_bytes;
    bool is_directory;
};

static bool is_for_one_file(const char *path)
{
    size_t length = strlen(path);
    size_t n_suffix = sizeof(SUFFIX) - 1;
    return length > n_suffix && strcmp(path + length - n_suffix, SUFFIX) == 0;
}

int archive_writer_new(const char *path, struct archive_writer **ret_writer,
                       struct error *reterr_error)
{
    _cleanup_(archive_writer_freep) struct archive_writer *writer = calloc(1, sizeof(*writer));
    if (!writer) {
        error_set_errno(reterr_error, -ENOMEM, "saving");
        return -ENOMEM;
    }
    archive_members_init(&writer->members);
    writer->is_directory = !is_for_one_file(path);
    int r = archive_place_new(path, writer->is_directory, &writer->place, reterr_error);
    if (r < 0) {
        return r;
    }
    if (!writer->is_directory) {
        r = sqlar_writer_new(archive_place_get_path(writer->place), &writer->sqlar);
        if (r < 0) {
            return archive_place_explain(writer->place, r, reterr_error);
        }
    }
    *ret_writer = TAKE_PTR(writer);
    return 0;
}

struct archive_writer *archive_writer_free(struct archive_writer *writer)
{
    if (!writer) {
        return NULL;
    }
    (void)sqlar_writer_free(writer->sqlar);
    (void)archive_place_free(writer->place);
    archive_members_release(&writer->members);
    free(writer);
    return NULL;
}

static int explain_name(const char *name, uint64_t n_bytes, int r, struct error *error)
{
    switch (-r) {
    case E2BIG:
        error_set(error, "archive_write", "an archive cannot have more than %u members",
                  ARCHIVE_MAX_MEMBERS);
        break;
    case EFBIG:
        error_set(error, "archive_write",
                  "%s is too large for an archive (%llu bytes; %llu in all are the limit)", name,
                  (unsigned long long)n_bytes, (unsigned long long)ARCHIVE_MAX_BYTES);
        break;
    default:
        error_set(error, "internal", "the member %s of an archive: %s", name, strerror(-r));
        break;
    }
    return r;
}

int archive_writer_add(struct archive_writer *writer, const char *name, const void *bytes,
                       size_t n_bytes, struct error *reterr_error)
{
    const struct archive_listed member = {
        .name = name,
        .n_bytes = n_bytes,
        .crc32 = n_bytes > 0 ? (uint32_t)crc32_z(0, bytes, n_bytes) : 0,
        .has_crc32 = true,
    };
    int r = archive_members_add(&writer->members, &member);
    if (r < 0) {
        return explain_name(name, n_bytes, r, reterr_error);
    }
    r = writer->is_directory
            ? archive_directory_write(archive_place_get_fd(writer->place), name, bytes, n_bytes)
            : sqlar_writer_add(writer->sqlar, name, bytes, n_bytes);
    return r < 0 ? archive_place_explain(writer->place, r, reterr_error) : 0;
}

int archive_writer_sql(struct archive_writer *writer, const char *statement,
                       const struct archive_value *values, size_t n_values,
                       struct error *reterr_error)
{
    if (writer->is_directory) {
        return 0;
    }
    struct error said = {.code = ""};
    int r = sqlar_writer_sql(writer->sqlar, statement, values, n_values, &said);
    if (r < 0 && error_is_set(&said)) {
        if (reterr_error) {
            *reterr_error = said;
        }
        return r;
    }
    return r < 0 ? archive_place_explain(writer->place, r, reterr_error) : 0;
}

static int write_manifest(struct archive_writer *writer, const struct text *manifest)
{
    int fd = archive_place_get_fd(writer->place);
    if (writer->is_directory) {
        int r = archive_directory_write(fd, ARCHIVE_MANIFEST_NAME, manifest->data,
                                        manifest->length_bytes);
        writer->archive_bytes = writer->members.n_bytes + manifest->length_bytes;
        return r ? r : archive_directory_sync(fd);
    }
    struct stat status;
    int r = sqlar_writer_finish(writer->sqlar, manifest->data, manifest->length_bytes);
    if (r == 0 && fstat(fd, &status) < 0) {
        r = -errno;
    }
    writer->archive_bytes = r == 0 ? (uint64_t)status.st_size : 0;
    return r;
}

int archive_writer_finish(struct archive_writer *writer, const char *manifest,
                          struct error *reterr_error)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, ARCHIVE_MAX_MANIFEST_BYTES);
    int r = archive_manifest_write(&writer->members, manifest, &text);
    if (r < 0) {
        return explain_name(ARCHIVE_MANIFEST_NAME, text.length_bytes, r, reterr_error);
    }
    r = write_manifest(writer, &text);
    if (r < 0) {
        return archive_place_explain(writer->place, r, reterr_error);
    }
    return archive_place_publish(writer->place, reterr_error);
}

uint64_t archive_writer_bytes(const struct archive_writer *writer)
{
    return writer->archive_bytes;
}
