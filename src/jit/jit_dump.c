/* SPDX-License-Identifier: MIT */
/*
 * Records of lines and of unwinding come before the code that they belong to,
 * possibly in an earlier read: they are kept aside until it comes.
 */
#include "jit/jit_dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "decode/jitdump.h"

#define WINDOW_BYTES ((size_t)1 << 20)
/* A record from further ahead than this was not made with our clock. */
#define MAX_AHEAD_NS (10 * NS_PER_S)

/* A copy of a record's payload. */
struct held_bytes {
    uint8_t *data;
    size_t n_bytes;
};

struct jit_dump {
    struct jit_code *code;
    int64_t pid;
    int fd; /* the jit_code's */
    uint64_t device, inode;
    uint64_t producer;
    struct jitdump_header header;
    bool has_header;
    bool was_read_before; /* something, in an earlier round */
    int failure;
    uint64_t offset; /* of the next record */
    uint8_t *window;
    size_t window_bytes;
    struct held_bytes eh_frame, lines;
    uint64_t lines_addr, n_lines;
    uint64_t read_ns; /* of this round */
};

int jit_dump_open(struct jit_code *code, int64_t pid, int takes_fd, struct jit_dump **ret_dump)
{
    int fd = jit_code_keep_file(code, takes_fd);
    if (fd < 0) {
        return -EMFILE;
    }
    _cleanup_(jit_dump_freep) struct jit_dump *dump = calloc(1, sizeof(*dump));
    struct stat status;
    if (!dump) {
        return -ENOMEM;
    }
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    dump->code = code;
    dump->pid = pid;
    dump->fd = fd;
    dump->device = status.st_dev;
    dump->inode = status.st_ino;
    dump->producer = (uint64_t)fd + 1; /* descriptors of one jit_code stay open: each is another */
    dump->window_bytes = WINDOW_BYTES;
    dump->window = malloc(dump->window_bytes);
    if (!dump->window) {
        return -ENOMEM;
    }
    *ret_dump = TAKE_PTR(dump);
    return 0;
}

static void drop_held(struct held_bytes *held)
{
    free(held->data);
    *held = (struct held_bytes){0};
}

struct jit_dump *jit_dump_free(struct jit_dump *dump)
{
    if (dump) {
        drop_held(&dump->eh_frame);
        drop_held(&dump->lines);
        free(dump->window);
        free(dump);
    }
    return NULL;
}

int64_t jit_dump_pid(const struct jit_dump *dump)
{
    return dump->pid;
}

bool jit_dump_is_file(const struct jit_dump *dump, uint64_t device, uint64_t inode)
{
    return dump->device == device && dump->inode == inode;
}

bool jit_dump_has_foreign_clock(const struct jit_dump *dump)
{
    return dump->has_header && (dump->header.flags & JITDUMP_FLAG_ARCH_TIMESTAMP);
}

/* Where the record has no time of our clock: what was there when we came has always been there,
 * the rest came now. */
static uint64_t time_of(const struct jit_dump *dump, const struct jitdump_record *record)
{
    if (!jit_dump_has_foreign_clock(dump) && record->time_ns <= dump->read_ns + MAX_AHEAD_NS) {
        return record->time_ns;
    }
    return dump->was_read_before ? dump->read_ns : 0;
}

static void hold(struct held_bytes *held, struct bytes bytes)
{
    drop_held(held);
    size_t n_bytes = bytes_left(&bytes);
    uint8_t *data = n_bytes > 0 ? malloc(n_bytes) : NULL;
    if (data) {
        memcpy(data, bytes.at, n_bytes);
        *held = (struct held_bytes){.data = data, .n_bytes = n_bytes};
    }
}

/* What `held` says; nothing where it holds nothing. */
static struct bytes bytes_held(const struct held_bytes *held, const struct jit_dump *dump)
{
    return held->data ? bytes_of(held->data, held->n_bytes) : bytes_of(dump->window, 0);
}

static void load(struct jit_dump *dump, const struct jitdump_record *record)
{
    bool has_code = bytes_left(&record->load.code) > 0;
    bool has_lines = dump->lines_addr == record->load.code_addr;
    const struct jit_load load = {
        .pid = dump->pid,
        .start_ip = record->load.code_addr,
        .n_bytes = record->load.n_code_bytes,
        .from_ns = time_of(dump, record),
        .name = record->load.name,
        .n_name_bytes = strlen(record->load.name),
        .producer = dump->producer,
        .index = record->load.index,
        .fd = has_code ? dump->fd : -1,
        .code_offset = dump->offset + (uint64_t)(record->load.code.at - dump->window),
        .elf_machine = (uint16_t)dump->header.elf_machine,
        .eh_frame = bytes_held(&dump->eh_frame, dump),
        .n_debug_entries = dump->n_lines,
        .debug_entries = has_lines ? bytes_held(&dump->lines, dump) : bytes_of(dump->window, 0),
    };
    (void)jit_code_load(dump->code, &load); /* what cannot be kept is counted there */
    drop_held(&dump->eh_frame);
    drop_held(&dump->lines);
}

static void apply(struct jit_dump *dump, const struct jitdump_record *record)
{
    switch (record->kind) {
    case JITDUMP_CODE_LOAD:
        load(dump, record);
        break;
    case JITDUMP_CODE_MOVE:
        (void)jit_code_move(dump->code, dump->producer, record->move.index,
                            record->move.new_code_addr, time_of(dump, record));
        break;
    case JITDUMP_DEBUG_INFO:
        hold(&dump->lines, record->debug_info.entries);
        dump->lines_addr = record->debug_info.code_addr;
        dump->n_lines = record->debug_info.n_entries;
        break;
    case JITDUMP_UNWINDING_INFO:
        hold(&dump->eh_frame, record->unwinding.eh_frame);
        break;
    case JITDUMP_CLOSE:
    case JITDUMP_OTHER:
        break;
    }
}

/* Bytes of the file from the next record on, as many as fit in the window. */
static ssize_t fill_window(struct jit_dump *dump)
{
    size_t n_filled = 0;
    while (n_filled < dump->window_bytes) {
        ssize_t n_read = pread(dump->fd, dump->window + n_filled, dump->window_bytes - n_filled,
                               (off_t)(dump->offset + n_filled));
        if (n_read < 0 && errno == EINTR) {
            continue;
        }
        if (n_read < 0) {
            return -errno;
        }
        if (n_read == 0) {
            break;
        }
        n_filled += (size_t)n_read;
    }
    return (ssize_t)n_filled;
}

/* A record that is larger than the window needs a larger one. */
static int widen(struct jit_dump *dump, size_t n_bytes)
{
    uint8_t *wider = realloc(dump->window, n_bytes);
    if (!wider) {
        return -ENOMEM;
    }
    dump->window = wider;
    dump->window_bytes = n_bytes;
    return 0;
}

static int read_header(struct jit_dump *dump, size_t n_bytes)
{
    int r = jitdump_parse_header(dump->window, n_bytes, &dump->header);
    if (r == 1) {
        dump->has_header = true;
        dump->offset = dump->header.header_bytes;
    }
    return r;
}

/*
 * All whole records in the window. 1: read on, 0: the rest is not there yet,
 * or a negative errno.
 */
static int read_records(struct jit_dump *dump, size_t n_bytes, int64_t *inout_n_records)
{
    size_t used = 0;
    struct jitdump_record record;
    int r;
    while ((r = jitdump_parse_record(dump->window + used, n_bytes - used, &record)) == 1) {
        apply(dump, &record); /* which counts places in the file from the window's start */
        used += record.n_bytes;
        (*inout_n_records)++;
    }
    dump->offset += used;
    if (r < 0) {
        return r;
    }
    if (used == 0 && record.n_bytes > dump->window_bytes) {
        r = widen(dump, record.n_bytes);
        return r < 0 ? r : 1;
    }
    return used > 0 && n_bytes == dump->window_bytes;
}

int64_t jit_dump_read(struct jit_dump *dump)
{
    int64_t n_records = 0;
    int r = dump->failure;
    dump->read_ns = clock_now_ns();
    while (r >= 0) {
        ssize_t n_filled = fill_window(dump);
        r = n_filled < 0 ? (int)n_filled : 0;
        if (n_filled <= 0) {
            break;
        }
        r = dump->has_header ? read_records(dump, (size_t)n_filled, &n_records)
                             : read_header(dump, (size_t)n_filled);
        if (r == 0) {
            break;
        }
    }
    dump->was_read_before = dump->was_read_before || n_records > 0;
    dump->failure = r < 0 ? r : 0;
    return dump->failure < 0 && n_records == 0 ? dump->failure : n_records;
}
