/* SPDX-License-Identifier: MIT */
/*
 * Records are read through a window that moves over the file, so that its size
 * does not matter and nothing breaks when it gets shorter meanwhile. What
 * `perf record -z` has compressed is one stream over many records, and a record
 * in it can begin in one of them and end in another.
 */
#include "interchange/perf_data_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "decode/perf_abi.h"
#include "interchange/perf_data_facts.h"
#include "interchange/perf_data_unpack.h"

#define MAGIC "PERFILE2"
#define MAGIC_SWAPPED "2ELIFREP"
#define MAGIC_OLD "PERFFILE"
#define MAGIC_BYTES 8u
#define PIPE_HEADER_BYTES 16u
#define FILE_HEADER_BYTES 104u
#define SECTION_BYTES 16u
#define N_FEATURES 256u
#define MAX_ATTR_BYTES 4096u
#define MAX_FEATURE_BYTES (64u << 20)

#define RECORD_HEADER_BYTES 8u
#define WINDOW_BYTES (1u << 20)

/* Records that only files have. */
#define FIRST_OWN_TYPE 64u
#define TYPE_ATTR 64u
#define TYPE_TRACING_DATA 66u
#define TYPE_BUILD_ID 67u
#define TYPE_AUXTRACE 71u
#define TYPE_EVENT_UPDATE 78u
#define TYPE_FEATURE 80u
#define TYPE_COMPRESSED 81u
#define TYPE_COMPRESSED2 83u

#define UPDATE_NAME 2u

struct perf_data_file {
    int fd;
    uint64_t start, end; /* of the records */
    uint64_t at;
    bool is_again; /* all that records tell of events is known already */
    struct perf_data_tables tables;
    struct perf_data_damage damage;
    uint64_t missing_bytes; /* that the header promises */

    uint8_t *window;
    uint64_t window_start;
    size_t window_bytes;

    struct perf_data_unpack unpack;
};

bool perf_data_file_is(const uint8_t *first_bytes, size_t n_bytes)
{
    return n_bytes >= MAGIC_BYTES && (memcmp(first_bytes, MAGIC, MAGIC_BYTES) == 0 ||
                                      memcmp(first_bytes, MAGIC_SWAPPED, MAGIC_BYTES) == 0 ||
                                      memcmp(first_bytes, MAGIC_OLD, MAGIC_BYTES) == 0);
}

struct perf_data_file *perf_data_file_free(struct perf_data_file *file)
{
    if (file) {
        fd_close(file->fd);
        perf_data_tables_release(&file->tables);
        perf_data_unpack_release(&file->unpack);
        free(file->window);
        free(file);
    }
    return NULL;
}

/* ---- bytes ---- */

/* Returns how many could be read, or a negative errno. */
static ssize_t read_at(int fd, uint64_t offset, void *target, size_t n_bytes)
{
    size_t n_done = 0;
    if (offset > INT64_MAX - n_bytes) {
        return 0;
    }
    while (n_done < n_bytes) {
        ssize_t r =
            pread(fd, (uint8_t *)target + n_done, n_bytes - n_done, (off_t)(offset + n_done));
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r < 0) {
            return -errno;
        }
        if (r == 0) {
            break;
        }
        n_done += (size_t)r;
    }
    return (ssize_t)n_done;
}

/* A section of the header, as a copy: NULL (and 0) where it is not there as a whole. */
static int read_section(const struct perf_data_file *file, uint64_t offset, uint64_t n_bytes,
                        uint64_t max_bytes, uint8_t **ret_bytes)
{
    *ret_bytes = NULL;
    if (n_bytes == 0 || n_bytes > max_bytes) {
        return 0;
    }
    struct stat status;
    if (fstat(file->fd, &status) < 0 || offset > (uint64_t)status.st_size ||
        n_bytes > (uint64_t)status.st_size - offset) {
        return 0;
    }
    uint8_t *bytes = malloc(n_bytes);
    if (!bytes) {
        return -ENOMEM;
    }
    if (read_at(file->fd, offset, bytes, n_bytes) != (ssize_t)n_bytes) {
        free(bytes);
        return 0;
    }
    *ret_bytes = bytes;
    return 0;
}

/* The bytes at the cursor; NULL where there are fewer before the end. */
static const uint8_t *peek(struct perf_data_file *file, size_t n_bytes)
{
    if (file->at > file->end || n_bytes > file->end - file->at) {
        return NULL;
    }
    if (file->at < file->window_start ||
        file->at + n_bytes > file->window_start + file->window_bytes) {
        uint64_t left = file->end - file->at;
        size_t wanted = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        ssize_t r = read_at(file->fd, file->at, file->window, wanted);
        file->window_start = file->at;
        file->window_bytes = r > 0 ? (size_t)r : 0;
        if (file->window_bytes < n_bytes) {
            return NULL;
        }
    }
    return file->window + (file->at - file->window_start);
}

/* ---- opening ---- */

static int invalid(struct error *error, const char *why)
{
    error_set(error, "archive_invalid", "the perf.data file cannot be read: %s", why);
    return -EBADMSG;
}

static int take_attrs(struct perf_data_file *file, uint64_t entry_bytes, uint64_t offset,
                      uint64_t n_bytes, struct error *reterr_error)
{
    if (entry_bytes < PERF_LAYOUT_MIN_ATTR_BYTES + SECTION_BYTES || entry_bytes > MAX_ATTR_BYTES ||
        n_bytes < entry_bytes || n_bytes / entry_bytes > PERF_DATA_MAX_EVENTS) {
        return invalid(reterr_error, "its table of events makes no sense");
    }
    uint8_t entry[MAX_ATTR_BYTES];
    for (uint64_t i = 0; i < n_bytes / entry_bytes; i++) {
        if (read_at(file->fd, offset + i * entry_bytes, entry, entry_bytes) !=
            (ssize_t)entry_bytes) {
            return invalid(reterr_error, "its table of events is cut off");
        }
        struct bytes section = bytes_of(entry + entry_bytes - SECTION_BYTES, SECTION_BYTES);
        uint64_t ids_offset = bytes_take_u64(&section), ids_bytes = bytes_take_u64(&section);
        _cleanup_(freep) uint8_t *ids = NULL;
        int r =
            read_section(file, ids_offset, ids_bytes, PERF_DATA_MAX_IDS * sizeof(uint64_t), &ids);
        r = r ? r
              : perf_data_tables_add_event(&file->tables, entry, entry_bytes - SECTION_BYTES,
                                           bytes_of(ids, ids ? ids_bytes : 0));
        if (r == -EBADMSG || r == -ENOSPC) {
            return invalid(reterr_error, "the attributes of an event make no sense");
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Behind the records: a section per feature whose bit is set. */
static int take_features(struct perf_data_file *file, const uint8_t *bits)
{
    uint64_t at = file->end;
    for (uint32_t number = 0; number < N_FEATURES; number++) {
        if (!(bits[number / 8] & 1u << number % 8)) {
            continue;
        }
        uint8_t bytes[SECTION_BYTES];
        if (read_at(file->fd, at, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes)) {
            file->tables.facts.is_unfinished = true;
            return 0;
        }
        at += SECTION_BYTES;
        struct bytes section = bytes_of(bytes, sizeof(bytes));
        uint64_t offset = bytes_take_u64(&section), n_bytes = bytes_take_u64(&section);
        _cleanup_(freep) uint8_t *data = NULL;
        int r = read_section(file, offset, n_bytes, MAX_FEATURE_BYTES, &data);
        file->tables.facts.is_unfinished |= n_bytes > 0 && !data;
        if (r == 0 && data) {
            r = perf_data_tables_add_feature(&file->tables, number, bytes_of(data, n_bytes));
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int take_header(struct perf_data_file *file, uint64_t file_bytes, struct error *reterr_error)
{
    uint8_t bytes[FILE_HEADER_BYTES];
    ssize_t n_bytes = read_at(file->fd, 0, bytes, sizeof(bytes));
    struct bytes header = bytes_of(bytes, n_bytes > 0 ? (size_t)n_bytes : 0);
    const uint8_t *magic = bytes_take(&header, MAGIC_BYTES);
    if (!magic || memcmp(magic, MAGIC, MAGIC_BYTES) != 0) {
        return invalid(reterr_error, magic && memcmp(magic, MAGIC_SWAPPED, MAGIC_BYTES) == 0
                                         ? "it is of a machine with the other byte order"
                                         : "it is no file of perf record since 2009");
    }
    uint64_t header_bytes = bytes_take_u64(&header);
    if (header_bytes == PIPE_HEADER_BYTES) {
        file->tables.facts.is_pipe = true;
        file->start = PIPE_HEADER_BYTES;
        file->end = file_bytes;
        return 0;
    }
    uint64_t entry_bytes = bytes_take_u64(&header);
    uint64_t attrs_offset = bytes_take_u64(&header), attrs_bytes = bytes_take_u64(&header);
    uint64_t data_offset = bytes_take_u64(&header), data_bytes = bytes_take_u64(&header);
    bytes_skip(&header, SECTION_BYTES); /* types of events, no longer written */
    const uint8_t *bits = bytes_take(&header, N_FEATURES / 8);
    if (bytes_has_failed(&header) || header_bytes < FILE_HEADER_BYTES) {
        return invalid(reterr_error, "its header is cut off");
    }
    if (data_offset > file_bytes) {
        return invalid(reterr_error, "it ends before its records begin");
    }
    file->start = data_offset;
    file->end = file_bytes;
    bool is_whole = data_bytes > 0 && data_bytes <= file_bytes - data_offset;
    if (is_whole) {
        file->end = data_offset + data_bytes;
    }
    file->tables.facts.is_unfinished = !is_whole;
    if (data_bytes > file->end - file->start) {
        file->missing_bytes = data_bytes - (file->end - file->start);
    }
    file->damage.lost_bytes = file->missing_bytes;
    if (bits[PERF_DATA_FEATURE_DIR_FORMAT / 8] & 1u << PERF_DATA_FEATURE_DIR_FORMAT % 8) {
        return invalid(reterr_error, "it is one of several files of perf record --threads");
    }
    int r = take_attrs(file, entry_bytes, attrs_offset, attrs_bytes, reterr_error);
    return r == 0 && is_whole ? take_features(file, bits) : r;
}

static int open_descriptor(const char *path, struct perf_data_file *file, uint64_t *ret_bytes,
                           struct error *reterr_error)
{
    struct stat status;
    file->fd = fd_open_regular(path);
    int r = file->fd < 0 ? file->fd : 0;
    if (r == 0 && fstat(file->fd, &status) < 0) {
        r = -errno;
    }
    if (r < 0) {
        error_set(reterr_error, "archive_read", "%s cannot be read: %s", path, strerror(-r));
        file->fd = -1;
        return r;
    }
    *ret_bytes = (uint64_t)status.st_size;
    return 0;
}

int perf_data_file_open(const char *path, struct perf_data_file **ret_file,
                        struct error *reterr_error)
{
    _cleanup_(perf_data_file_freep) struct perf_data_file *file = calloc(1, sizeof(*file));
    if (!file) {
        error_set_errno(reterr_error, -ENOMEM, "opening a perf.data file");
        return -ENOMEM;
    }
    file->fd = -1;
    perf_data_tables_init(&file->tables);
    uint64_t file_bytes = 0;
    int r = open_descriptor(path, file, &file_bytes, reterr_error);
    if (r == 0) {
        file->window = malloc(WINDOW_BYTES);
        r = file->window ? take_header(file, file_bytes, reterr_error) : -ENOMEM;
    }
    if (r < 0) {
        if (r == -ENOMEM) {
            error_set_errno(reterr_error, r, "opening a perf.data file");
        }
        return r;
    }
    file->at = file->start;
    *ret_file = TAKE_PTR(file);
    return 0;
}

/* ---- records ---- */

static size_t record_bytes(const uint8_t *header)
{
    uint16_t size_bytes;
    memcpy(&size_bytes, header + 6, sizeof(size_bytes));
    return size_bytes;
}

static uint32_t record_type(const uint8_t *header)
{
    uint32_t type;
    memcpy(&type, header, sizeof(type));
    return type;
}

/* All events of a file have their identifiers at the same place. */
static uint32_t event_of(struct perf_data_file *file, const uint8_t *bytes, size_t n_bytes)
{
    const struct perf_data_tables *tables = &file->tables;
    if (tables->n_events <= 1) {
        return tables->n_events == 1 ? 0 : UINT32_MAX;
    }
    bool is_sample = record_type(bytes) == PERF_ABI_RECORD_SAMPLE;
    const struct perf_layout *layout = &tables->events[0].layout;
    size_t id_at = 0;
    if (is_sample) {
        id_at = perf_layout_sample_id_at(layout);
    } else {
        size_t back_bytes = perf_layout_trailer_id_at(layout);
        id_at = back_bytes > 0 && back_bytes < n_bytes ? n_bytes - back_bytes : 0;
    }
    uint32_t index = HASH_TABLE_NONE;
    if (id_at >= RECORD_HEADER_BYTES && id_at + sizeof(uint64_t) <= n_bytes) {
        uint64_t id;
        memcpy(&id, bytes + id_at, sizeof(id));
        index = hash_table_find(&tables->by_id, id);
    }
    if (index < tables->n_events) {
        return index;
    }
    return is_sample ? UINT32_MAX : 0;
}

static void give(struct perf_data_file *file, const uint8_t *bytes, size_t n_bytes,
                 struct perf_data_record *ret_record)
{
    *ret_record = (struct perf_data_record){.bytes = bytes,
                                            .n_bytes = n_bytes,
                                            .type = record_type(bytes),
                                            .event = event_of(file, bytes, n_bytes)};
    bool is_lost = ret_record->event == UINT32_MAX && ret_record->type == PERF_ABI_RECORD_SAMPLE;
    file->damage.lost_records += is_lost;
}

/* Is a whole record among the plain bytes? */
static bool next_plain(struct perf_data_file *file, struct perf_data_record *ret_record)
{
    struct perf_data_unpack *unpack = &file->unpack;
    size_t n_left = unpack->plain_bytes - unpack->plain_at;
    if (n_left < RECORD_HEADER_BYTES) {
        return false;
    }
    const uint8_t *bytes = unpack->plain + unpack->plain_at;
    size_t n_bytes = record_bytes(bytes);
    if (n_bytes < RECORD_HEADER_BYTES) {
        perf_data_unpack_give_up(unpack);
        return false;
    }
    if (n_bytes > n_left) {
        return false;
    }
    unpack->plain_at += n_bytes;
    give(file, bytes, n_bytes, ret_record);
    return true;
}

static void take_update(struct perf_data_file *file, struct bytes body)
{
    uint64_t what = bytes_take_u64(&body), id = bytes_take_u64(&body);
    if (what == UPDATE_NAME && !bytes_has_failed(&body)) {
        perf_data_tables_name_event(&file->tables, id, (const char *)body.at,
                                    strnlen((const char *)body.at, bytes_left(&body)));
    }
}

/* The attributes say themselves how long they are; identifiers follow. */
static int take_attr(struct perf_data_file *file, struct bytes body)
{
    struct bytes attr = body;
    bytes_skip(&attr, 4);
    uint32_t attr_bytes = bytes_take_u32(&attr);
    const uint8_t *at = bytes_take(&body, attr_bytes);
    int r = at ? perf_data_tables_add_event(&file->tables, at, attr_bytes, body) : 0;
    return r == -ENOMEM ? r : 0;
}

/* Records of the file itself. Some are followed by bytes that their size does not tell of. */
static int take_own(struct perf_data_file *file, const uint8_t *record, size_t n_bytes)
{
    struct bytes body = bytes_of(record + RECORD_HEADER_BYTES, n_bytes - RECORD_HEADER_BYTES);
    uint32_t type = record_type(record);
    if (type == TYPE_AUXTRACE) {
        uint64_t more_bytes = bytes_take_u64(&body);
        file->at = more_bytes < file->end - file->at ? file->at + more_bytes : file->end;
    } else if (type == TYPE_TRACING_DATA) {
        uint64_t more_bytes = ((uint64_t)bytes_take_u32(&body) + 7) & ~UINT64_C(7);
        file->at = more_bytes < file->end - file->at ? file->at + more_bytes : file->end;
    } else if (type == TYPE_COMPRESSED || type == TYPE_COMPRESSED2) {
        size_t data_bytes = bytes_left(&body);
        if (type == TYPE_COMPRESSED2) { /* padded */
            uint64_t told_bytes = bytes_take_u64(&body);
            data_bytes = told_bytes < bytes_left(&body) ? (size_t)told_bytes : bytes_left(&body);
        }
        perf_data_unpack_put(&file->unpack, body.at, data_bytes);
    } else if (file->is_again) {
        return 0;
    } else if (type == TYPE_ATTR) {
        return take_attr(file, body);
    } else if (type == TYPE_BUILD_ID) {
        return perf_data_tables_add_build_id(&file->tables, record, n_bytes);
    } else if (type == TYPE_EVENT_UPDATE) {
        take_update(file, body);
    } else if (type == TYPE_FEATURE) {
        uint64_t number = bytes_take_u64(&body);
        return number < N_FEATURES
                   ? perf_data_tables_add_feature(&file->tables, (uint32_t)number, body)
                   : 0;
    }
    return 0;
}

/* 1: a record for the caller; 0: one of the file's own, or the end (then *ret_is_over). */
static int next_in_file(struct perf_data_file *file, struct perf_data_record *ret_record,
                        bool *ret_is_over)
{
    const uint8_t *header = peek(file, RECORD_HEADER_BYTES);
    size_t n_bytes = header ? record_bytes(header) : 0;
    const uint8_t *record = n_bytes >= RECORD_HEADER_BYTES ? peek(file, n_bytes) : NULL;
    if (!record) {
        if (file->at < file->end) {
            file->damage.lost_bytes += file->end - file->at;
        }
        file->at = file->end;
        *ret_is_over = true;
        return 0;
    }
    file->at += n_bytes;
    uint32_t type = record_type(record);
    if (type < FIRST_OWN_TYPE || type == PERF_DATA_FINISHED_ROUND) {
        give(file, record, n_bytes, ret_record);
        return 1;
    }
    return take_own(file, record, n_bytes);
}

int perf_data_file_next(struct perf_data_file *file, struct perf_data_record *ret_record)
{
    bool is_over = false;
    while (!is_over) {
        if (next_plain(file, ret_record)) {
            return 1;
        }
        int r = perf_data_unpack_has_more(&file->unpack) ? perf_data_unpack_more(&file->unpack)
                                                         : next_in_file(file, ret_record, &is_over);
        if (r != 0) {
            return r;
        }
    }
    file->unpack.is_bad |= file->unpack.plain_at < file->unpack.plain_bytes;
    return 0;
}

int perf_data_file_rewind(struct perf_data_file *file)
{
    file->at = file->start;
    file->is_again = true;
    file->damage = (struct perf_data_damage){.lost_bytes = file->missing_bytes};
    return perf_data_unpack_rewind(&file->unpack);
}

size_t perf_data_file_n_events(const struct perf_data_file *file)
{
    return file->tables.n_events;
}

const struct perf_data_event *perf_data_file_event(const struct perf_data_file *file,
                                                   uint32_t index)
{
    return &file->tables.events[index];
}

const struct perf_data_facts *perf_data_file_facts(const struct perf_data_file *file)
{
    return &file->tables.facts;
}

struct perf_data_damage perf_data_file_damage(const struct perf_data_file *file)
{
    struct perf_data_damage damage = file->damage;
    damage.is_bad_compression = file->unpack.is_bad;
    return damage;
}

const struct perf_data_build_id *perf_data_file_build_id(const struct perf_data_file *file,
                                                         const char *path)
{
    return perf_data_tables_find_build_id(&file->tables, path);
}
