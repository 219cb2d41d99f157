/* SPDX-License-Identifier: MIT */
#include "interchange/import.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "interchange/import_reader.h"

/* One call of drain() takes about this long, so that a stop is noticed. */
#define DRAIN_MAX_NS (20 * NS_PER_MS)
/* Copies of stacks take most of the room, where there are any. */
#define BATCH_STACK_BYTES (4u << 20)

#define GZIP_WINDOW_BITS (15 + 16)
#define READ_FIRST_BYTES (1u << 16)

struct capture {
    const struct import_reader_ops *ops;
    struct import_reader *reader;
    struct event_sink sink;
    struct event_batch *batch;
    bool is_over;
    char described[IMPORT_NOTE_BYTES];
    atomic_uint_fast64_t n_delivered, n_rounds, cpu_ns;
};

/* By how sure their marks are: lines of text are no pprof, but could begin like its fields. */
static const struct import_reader_ops *const readers[] = {
    &import_perf_data_ops,
    &import_firefox_ops,
    &import_folded_ops,
    &import_pprof_ops,
};
#define N_READERS (sizeof(readers) / sizeof(readers[0]))

const char *import_format_name(enum import_format format)
{
    switch (format) {
    case IMPORT_PERF_DATA:
        return "perf.data";
    case IMPORT_FOLDED:
        return "folded stacks";
    case IMPORT_PPROF:
        return "pprof";
    case IMPORT_FIREFOX:
        return "Firefox profile";
    case IMPORT_NONE:
    case IMPORT_FORMAT_N:
        break;
    }
    return "unknown";
}

void import_note(struct import_notes *notes, const char *format, ...)
{
    if (notes->n_notes == IMPORT_MAX_NOTES) {
        return;
    }
    char *text = notes->texts[notes->n_notes];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, IMPORT_NOTE_BYTES, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < notes->n_notes; i++) {
        if (strcmp(notes->texts[i], text) == 0) {
            return;
        }
    }
    notes->n_notes++;
}

void import_tell_thread(struct event_batch *batch, int64_t pid, int64_t tid, uint64_t time_ns,
                        const char *name)
{
    const struct event event = {
        .kind = EVENT_THREAD,
        .time_ns = time_ns,
        .pid = pid,
        .tid = tid,
        .thread = {.change = EVENT_THREAD_PRESENT, .name = event_batch_add_text(batch, name)},
    };
    event_batch_add(batch, &event);
}

/* ---- files that are read as a whole ---- */

static bool is_gzip(const uint8_t *bytes, size_t n_bytes)
{
    return n_bytes >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

static int too_large(const char *path, struct error *reterr_error)
{
    error_set(reterr_error, "limit", "%s is larger than the %llu MiB that are read of such a file",
              path, (unsigned long long)(IMPORT_MAX_BYTES >> 20));
    return -EFBIG;
}

/* Room for more, up to one byte above what is read. */
static int reserve(uint8_t **bytes, size_t n_bytes, size_t *capacity)
{
    if (n_bytes + 1 < *capacity) {
        return 0;
    }
    size_t wanted = *capacity < IMPORT_MAX_BYTES / 2 ? *capacity * 2 : IMPORT_MAX_BYTES + 2;
    uint8_t *grown = realloc(*bytes, wanted);
    if (!grown) {
        return -ENOMEM;
    }
    *bytes = grown;
    *capacity = wanted;
    return 0;
}

/* Appends what the stream makes of its input; 1: there is more, 0: the end, or a negative errno.
 * What ends early is as long as it is (*ret_is_cut). */
static int inflate_more(z_stream *stream, uint8_t **bytes, size_t *n_bytes, size_t *capacity,
                        bool *ret_is_cut)
{
    int r = reserve(bytes, *n_bytes, capacity);
    if (r < 0) {
        return r;
    }
    size_t room_bytes = *capacity - *n_bytes - 1;
    stream->next_out = *bytes + *n_bytes;
    stream->avail_out = (uInt)room_bytes;
    r = inflate(stream, Z_NO_FLUSH);
    *n_bytes += room_bytes - stream->avail_out;
    if (*n_bytes > IMPORT_MAX_BYTES) {
        return -EFBIG;
    }
    if (r == Z_STREAM_END) {
        /* Another member may follow; anything else behind it is no part of the file. */
        return is_gzip(stream->next_in, stream->avail_in) && inflateReset(stream) == Z_OK;
    }
    bool has_more = r == Z_OK && (stream->avail_in > 0 || stream->avail_out == 0);
    *ret_is_cut = !has_more;
    return has_more;
}

static int decompress(const uint8_t *packed, size_t packed_bytes, uint8_t **ret_bytes,
                      size_t *ret_n_bytes, bool *ret_is_cut)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)packed, .avail_in = (uInt)packed_bytes};
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK) {
        return -ENOMEM;
    }
    size_t n_bytes = 0, capacity = 1u << 16;
    uint8_t *bytes = malloc(capacity);
    int r = bytes ? 1 : -ENOMEM;
    while (r == 1) {
        r = inflate_more(&stream, &bytes, &n_bytes, &capacity, ret_is_cut);
    }
    inflateEnd(&stream);
    if (r < 0) {
        free(bytes);
        return r;
    }
    bytes[n_bytes] = '\0';
    *ret_bytes = bytes;
    *ret_n_bytes = n_bytes;
    return 0;
}

static int open_file(const char *path, struct error *reterr_error)
{
    int fd = fd_open_regular(path);
    struct stat status;
    if (fd < 0 && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        error_set(reterr_error, "archive_invalid", "%s is a directory, but no archive", path);
    } else if (fd < 0) {
        error_set(reterr_error, "archive_read", "%s cannot be read: %s", path, strerror(-fd));
    }
    return fd;
}

int import_read_whole(const char *path, uint8_t **ret_bytes, size_t *ret_n_bytes, bool *ret_is_cut,
                      struct error *reterr_error)
{
    *ret_is_cut = false;
    _cleanup_(fd_closep) int fd = open_file(path, reterr_error);
    if (fd < 0) {
        return fd;
    }
    char *data = NULL;
    size_t n_bytes = 0;
    int r = fd_read_all(fd, IMPORT_MAX_BYTES, &data, &n_bytes);
    if (r == 0 && is_gzip((const uint8_t *)data, n_bytes)) {
        uint8_t *packed = (uint8_t *)data;
        r = decompress(packed, n_bytes, (uint8_t **)(void *)&data, &n_bytes, ret_is_cut);
        free(packed);
        data = r < 0 ? NULL : data;
    }
    if (r == -EFBIG) {
        return too_large(path, reterr_error);
    }
    if (r < 0) {
        error_set(reterr_error, "archive_read", "%s cannot be read: %s", path, strerror(-r));
        return r;
    }
    *ret_bytes = (uint8_t *)data;
    *ret_n_bytes = n_bytes;
    return 0;
}

size_t import_read_first(const char *path, uint8_t *bytes, size_t max_bytes)
{
    _cleanup_(fd_closep) int fd = fd_open_regular(path);
    _cleanup_(freep) uint8_t *first = malloc(READ_FIRST_BYTES);
    ssize_t n_read = fd >= 0 && first ? pread(fd, first, READ_FIRST_BYTES, 0) : -1;
    if (n_read <= 0) {
        return 0;
    }
    size_t n_bytes = (size_t)n_read;
    if (!is_gzip(first, n_bytes)) {
        n_bytes = n_bytes < max_bytes ? n_bytes : max_bytes;
        memcpy(bytes, first, n_bytes);
        return n_bytes;
    }
    z_stream stream = {.next_in = first,
                       .avail_in = (uInt)n_bytes,
                       .next_out = bytes,
                       .avail_out = (uInt)max_bytes};
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK) {
        return 0;
    }
    (void)inflate(&stream, Z_SYNC_FLUSH);
    n_bytes = max_bytes - stream.avail_out;
    inflateEnd(&stream);
    return n_bytes;
}

/* ---- which one ---- */

static const struct import_reader_ops *reader_for(const char *path)
{
    uint8_t first[IMPORT_DETECT_BYTES];
    size_t n_bytes = import_read_first(path, first, sizeof(first));
    for (size_t i = 0; i < N_READERS; i++) {
        if (readers[i]->is_mine(first, n_bytes)) {
            return readers[i];
        }
    }
    return NULL;
}

enum import_format import_detect(const char *path)
{
    const struct import_reader_ops *ops = reader_for(path);
    return ops ? ops->format : IMPORT_NONE;
}

static int open_reader(const char *path, const struct import_reader_ops **ret_ops,
                       struct import_reader **ret_reader, struct error *reterr_error)
{
    *ret_ops = reader_for(path);
    if (*ret_ops) {
        return (*ret_ops)->open(path, ret_reader, reterr_error);
    }
    _cleanup_(fd_closep) int fd = open_file(path, reterr_error);
    if (fd < 0) {
        return fd;
    }
    error_set(reterr_error, "archive_invalid", "%s is of no format that stax knows", path);
    error_hint(reterr_error, "it reads stax archives, perf.data, folded stacks, pprof and Firefox "
                             "Profiler files");
    return -EBADMSG;
}

struct import {
    const struct import_reader_ops *ops;
    struct import_reader *reader;
    struct import_facts facts;
};

struct import *import_free(struct import *import)
{
    if (import) {
        if (import->reader) {
            import->ops->free(import->reader);
        }
        free(import);
    }
    return NULL;
}

int import_open(const char *path, struct import **ret_import, struct error *reterr_error)
{
    _cleanup_(import_freep) struct import *import = calloc(1, sizeof(*import));
    if (!import) {
        error_set_errno(reterr_error, -ENOMEM, "opening a file");
        return -ENOMEM;
    }
    int r = open_reader(path, &import->ops, &import->reader, reterr_error);
    if (r < 0) {
        return r;
    }
    import->ops->facts(import->reader, &import->facts);
    *ret_import = TAKE_PTR(import);
    return 0;
}

const struct import_facts *import_get_facts(const struct import *import)
{
    return &import->facts;
}

static struct kept_symbols *find_symbols(void *userdata, const struct image *image)
{
    const struct import *import = userdata;
    return import->ops->find_symbols(import->reader, image);
}

struct kept_run import_kept_run(struct import *import)
{
    return (struct kept_run){
        .userdata = import,
        .find_symbols = find_symbols,
        .may_look_at_files = import->facts.has_addresses,
    };
}

/* ---- the backend ---- */

static struct capture *capture_free(struct capture *capture)
{
    if (capture) {
        if (capture->reader) {
            capture->ops->free(capture->reader);
        }
        event_batch_free(capture->batch);
        free(capture);
    }
    return NULL;
}

static void capture_freep(struct capture **capture)
{
    *capture = capture_free(*capture);
}

static void capture_probe(struct capability_set *ret_abilities)
{
    *ret_abilities = (struct capability_set){.backend = "a file of another profiler"};
    ret_abilities->items[CAPABILITY_ON_CPU].is_available = true;
    ret_abilities->items[CAPABILITY_OFF_CPU].is_available = true;
    for (int kind = 0; kind < CAPABILITY_KIND_N; kind++) {
        struct capability *item = &ret_abilities->items[kind];
        if (!item->is_available) {
            snprintf(item->reason, sizeof(item->reason), "the file tells nothing of it");
        }
    }
}

static int capture_open(const struct capture_config *config, struct event_sink sink,
                        struct capture **ret_capture, struct error *reterr_error)
{
    _cleanup_(capture_freep) struct capture *capture = calloc(1, sizeof(*capture));
    const struct event_batch_limits limits = {.stack_bytes = BATCH_STACK_BYTES};
    int r = capture ? event_batch_new(&limits, &capture->batch) : -ENOMEM;
    if (r < 0) {
        error_set_errno(reterr_error, r, "opening a file");
        return r;
    }
    r = open_reader(config->script, &capture->ops, &capture->reader, reterr_error);
    if (r < 0) {
        return r;
    }
    struct import_facts facts;
    capture->ops->facts(capture->reader, &facts);
    snprintf(capture->described, sizeof(capture->described), "%s%s%s", capture->ops->name,
             facts.host[0] ? " of " : "", facts.host);
    capture->sink = sink;
    *ret_capture = TAKE_PTR(capture);
    return 0;
}

static int capture_start(struct capture *capture)
{
    (void)capture;
    return 0;
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Up to a batch of events. */
static int deliver(struct capture *capture)
{
    event_batch_clear(capture->batch);
    int r = capture->ops->next(capture->reader, capture->batch);
    if (r < 0) {
        return r;
    }
    capture->is_over = r == 0;
    size_t n_events = event_batch_count(capture->batch);
    if (n_events == 0) {
        return 0;
    }
    r = capture->sink.on_events(capture->sink.userdata, event_batch_get(capture->batch, 0),
                                n_events);
    atomic_fetch_add_explicit(&capture->n_delivered, n_events, memory_order_relaxed);
    return r;
}

static int capture_drain(struct capture *capture, int timeout_ms, enum capture_state *ret_state)
{
    (void)timeout_ms; /* there is always something to do */
    uint64_t began_ns = clock_now_ns(), cpu_ns = thread_cpu_ns();
    int r = 0;
    do {
        r = capture->is_over ? 0 : deliver(capture);
    } while (r == 0 && !capture->is_over && clock_now_ns() - began_ns < DRAIN_MAX_NS);
    *ret_state = capture->is_over ? CAPTURE_TARGET_GONE : CAPTURE_RUNNING;
    atomic_fetch_add_explicit(&capture->n_rounds, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&capture->cpu_ns, thread_cpu_ns() - cpu_ns, memory_order_relaxed);
    return r;
}

/* What was not asked for until now is not delivered. */
static int capture_stop(struct capture *capture)
{
    capture->is_over = true;
    return 0;
}

static void capture_stats(const struct capture *capture, struct capture_stats *ret_stats)
{
    *ret_stats = (struct capture_stats){
        .events_delivered = atomic_load_explicit(&capture->n_delivered, memory_order_relaxed),
        .drain_rounds = atomic_load_explicit(&capture->n_rounds, memory_order_relaxed),
        .drain_cpu_ns = atomic_load_explicit(&capture->cpu_ns, memory_order_relaxed),
    };
}

static size_t capture_notes(const struct capture *capture, char (*ret_notes)[400], size_t max_notes)
{
    const struct import_notes *notes = capture->ops->notes(capture->reader);
    size_t n_notes = notes->n_notes < max_notes ? notes->n_notes : max_notes;
    for (size_t i = 0; i < n_notes; i++) {
        snprintf(ret_notes[i], 400, "%s", notes->texts[i]);
    }
    return n_notes;
}

static const char *capture_describe(const struct capture *capture)
{
    return capture->described;
}

const struct capture_ops capture_import_ops = {
    .name = "import",
    .is_recorded = true,
    .probe = capture_probe,
    .open = capture_open,
    .start = capture_start,
    .drain = capture_drain,
    .stop = capture_stop,
    .stats = capture_stats,
    .notes = capture_notes,
    .describe = capture_describe,
    .free = capture_free,
};
