/* SPDX-License-Identifier: MIT */
/*
 * Records of lines and of unwinding come before the code that they belong to,
 * possibly in an earlier read: they are kept aside until it comes.
 *
 * A program that begins again truncates its dump. Its header has another time
 * then, or it is shorter than what was read of it.
 */
#include "jit/jit_dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "decode/jitdump.h"
#include "jit/jit_process.h"

/* A record from further ahead than this was not made with our clock. */
#define MAX_AHEAD_NS (10 * NS_PER_S)
/* How many unknown writers of one dump are looked up in one round. */
#define MAX_PID_LOOKUPS 64u
/* Of what is kept aside; more than that is not of one function. */
#define MAX_HELD_BYTES ((size_t)16 << 20)

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
    uint32_t n_rewrites;
    const struct jit_body *bytes_since; /* what was loaded before has no bytes any more */
    struct jitdump_header header;
    uint8_t header_bytes[JITDUMP_HEADER_BYTES];
    bool has_header;
    bool has_passed_end;
    bool was_read_before; /* something, in an earlier round */
    int failure;
    uint64_t offset; /* of the next record */
    uint64_t n_file_bytes;
    struct timespec mtime; /* at the last look */
    bool has_more;         /* the budget ended before the file did */
    uint8_t *window;       /* of one jit_dump_read() */
    size_t window_bytes;
    struct held_bytes eh_frame, lines;
    uint64_t lines_addr, n_lines;
    uint64_t read_ns; /* of this round */
    uint64_t end_ns;
    uint32_t unknown_pid; /* of the last record whose writer was not known */
    unsigned int n_pid_lookups;
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
    dump->end_ns = UINT64_MAX;
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

void jit_dump_end_at(struct jit_dump *dump, uint64_t end_ns)
{
    dump->end_ns = end_ns;
}

bool jit_dump_has_passed_end(const struct jit_dump *dump)
{
    return dump->has_passed_end;
}

static bool has_our_time(const struct jit_dump *dump, const struct jitdump_record *record)
{
    return !jit_dump_has_foreign_clock(dump) && record->time_ns > 0 &&
           record->time_ns <= dump->read_ns + MAX_AHEAD_NS;
}

/* Where the record has no time of our clock: what was there when we came has always been there,
 * the rest came now. */
static uint64_t time_of(const struct jit_dump *dump, const struct jitdump_record *record)
{
    if (has_our_time(dump, record)) {
        return record->time_ns;
    }
    return dump->was_read_before ? dump->read_ns : 0;
}

/*
 * A child that runs on without exec writes into the dump of its parent, under
 * its own pid. In another pid namespace that pid is not ours. -1: not known.
 */
static int64_t pid_of(struct jit_dump *dump, uint32_t pid)
{
    if (pid == 0 || pid == dump->header.pid) {
        return dump->pid;
    }
    if ((int64_t)dump->header.pid != dump->pid || pid == dump->unknown_pid) {
        return -1;
    }
    if (jit_code_knows(dump->code, pid)) {
        return pid;
    }
    /* Its fork may not have been told yet. */
    if (dump->n_pid_lookups++ < MAX_PID_LOOKUPS && jit_process_parent_of(pid) == dump->pid) {
        return pid;
    }
    dump->unknown_pid = pid;
    return -1;
}

/* Descriptors of one jit_code stay open: each is another. Parent and child count on from the same
 * index. */
static uint64_t producer_of(const struct jit_dump *dump, int64_t pid)
{
    uint64_t child = pid == dump->pid ? 0 : (uint64_t)pid;
    return child << 32 | (uint64_t)(dump->n_rewrites & 0xff) << 24 | ((uint64_t)dump->fd + 1);
}

static void hold(struct held_bytes *held, struct bytes bytes)
{
    drop_held(held);
    size_t n_bytes = bytes_left(&bytes);
    uint8_t *data = n_bytes > 0 && n_bytes <= MAX_HELD_BYTES ? malloc(n_bytes) : NULL;
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
    int64_t pid = pid_of(dump, record->load.pid);
    const struct jit_load load = {
        .pid = pid,
        .start_ip = record->load.code_addr,
        .n_bytes = record->load.n_code_bytes,
        .from_ns = time_of(dump, record),
        .is_time_exact = has_our_time(dump, record),
        .name = record->load.name,
        .n_name_bytes = strlen(record->load.name),
        .producer = producer_of(dump, pid),
        .index = record->load.index,
        .fd = has_code ? dump->fd : -1,
        .code_offset = dump->offset + (uint64_t)(record->load.code.at - dump->window),
        .elf_machine = (uint16_t)dump->header.elf_machine,
        .eh_frame = bytes_held(&dump->eh_frame, dump),
        .n_debug_entries = dump->n_lines,
        .debug_entries = has_lines ? bytes_held(&dump->lines, dump) : bytes_of(dump->window, 0),
    };
    if (pid < 0) {
        jit_code_drop(dump->code);
    } else {
        (void)jit_code_load(dump->code, &load); /* what cannot be kept is counted there */
    }
}

static void move(struct jit_dump *dump, const struct jitdump_record *record)
{
    int64_t pid = pid_of(dump, record->move.pid);
    if (pid < 0) {
        jit_code_drop(dump->code);
    } else {
        (void)jit_code_move(dump->code, producer_of(dump, pid), record->move.index,
                            record->move.new_code_addr, time_of(dump, record));
    }
}

static void apply(struct jit_dump *dump, const struct jitdump_record *record)
{
    bool is_after_end = has_our_time(dump, record) && record->time_ns > dump->end_ns;
    switch (record->kind) {
    case JITDUMP_CODE_LOAD:
        if (!is_after_end) {
            load(dump, record);
        }
        drop_held(&dump->eh_frame);
        drop_held(&dump->lines);
        break;
    case JITDUMP_CODE_MOVE:
        if (!is_after_end) {
            move(dump, record);
        }
        break;
    case JITDUMP_DEBUG_INFO:
        hold(&dump->lines, record->debug_info.entries);
        dump->lines_addr = record->debug_info.code_addr;
        dump->n_lines = record->debug_info.n_entries;
        return;
    case JITDUMP_UNWINDING_INFO:
        hold(&dump->eh_frame, record->unwinding.eh_frame);
        return;
    case JITDUMP_CLOSE:
    case JITDUMP_OTHER:
        return;
    }
    dump->has_passed_end = dump->has_passed_end || is_after_end;
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
        memcpy(dump->header_bytes, dump->window, sizeof(dump->header_bytes));
        dump->has_header = true;
        dump->offset = dump->header.header_bytes;
    }
    return r;
}

/* The record that the window holds the beginning of. 1: read on, 0: it is not there yet. */
static int read_large(struct jit_dump *dump, const struct jitdump_record *record)
{
    if (dump->offset + record->n_bytes > dump->n_file_bytes) {
        return 0;
    }
    if (record->kind == JITDUMP_CLOSE || record->kind == JITDUMP_OTHER) {
        dump->offset += record->n_bytes; /* nobody needs what is in it */
        return 1;
    }
    int r = widen(dump, record->n_bytes);
    return r < 0 ? r : 1;
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
        return read_large(dump, &record);
    }
    return used > 0 && n_bytes == dump->window_bytes;
}

static bool is_rewritten(const struct jit_dump *dump)
{
    uint8_t header[JITDUMP_HEADER_BYTES];
    if (dump->offset > dump->n_file_bytes) {
        return true;
    }
    return dump->has_header &&
           (pread(dump->fd, header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
            memcmp(header, dump->header_bytes, sizeof(header)) != 0);
}

static void begin_anew(struct jit_dump *dump)
{
    drop_held(&dump->eh_frame);
    drop_held(&dump->lines);
    dump->bytes_since = jit_code_forget_bytes(dump->code, dump->fd, dump->bytes_since);
    dump->n_rewrites++;
    dump->has_header = false;
    dump->has_passed_end = false;
    dump->failure = 0;
    dump->offset = 0;
}

/* 1: it has changed since the last look or there is more to read, 0: no, or a negative errno. */
static int look(struct jit_dump *dump)
{
    struct stat status;
    if (fstat(dump->fd, &status) < 0) {
        return -errno;
    }
    bool is_changed = (uint64_t)status.st_size != dump->n_file_bytes ||
                      status.st_mtim.tv_sec != dump->mtime.tv_sec ||
                      status.st_mtim.tv_nsec != dump->mtime.tv_nsec;
    dump->n_file_bytes = (uint64_t)status.st_size;
    dump->mtime = status.st_mtim;
    if (is_changed && is_rewritten(dump)) {
        begin_anew(dump);
    }
    return is_changed || dump->has_more;
}

static int read_windows(struct jit_dump *dump, struct jit_budget *budget, int64_t *ret_n_records)
{
    int r = 0;
    dump->has_more = false;
    while (r >= 0) {
        ssize_t n_filled = fill_window(dump);
        if (n_filled <= 0) {
            return (int)n_filled;
        }
        r = dump->has_header ? read_records(dump, (size_t)n_filled, ret_n_records)
                             : read_header(dump, (size_t)n_filled);
        if (r > 0 && dump->offset > JIT_FILE_MAX_BYTES) {
            r = -EFBIG;
        }
        if (r == 0) {
            break;
        }
        if (r > 0 && !jit_budget_take(budget, (size_t)n_filled)) {
            dump->has_more = true;
            break;
        }
    }
    return r;
}

int64_t jit_dump_read(struct jit_dump *dump, struct jit_budget *budget)
{
    int64_t n_records = 0;
    dump->read_ns = clock_now_ns();
    dump->unknown_pid = 0;
    dump->n_pid_lookups = 0;
    int r = look(dump);
    if (r > 0 && dump->failure == 0) {
        dump->window_bytes = JIT_WINDOW_BYTES;
        dump->window = malloc(dump->window_bytes);
        r = dump->window ? read_windows(dump, budget, &n_records) : -ENOMEM;
        free(dump->window);
        dump->window = NULL;
    }
    dump->was_read_before = dump->was_read_before || n_records > 0;
    dump->failure = r < 0 ? r : dump->failure;
    return dump->failure < 0 && n_records == 0 ? dump->failure : n_records;
}
