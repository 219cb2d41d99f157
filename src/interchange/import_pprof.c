/* SPDX-License-Identifier: MIT */
/*
 * pprof: a message of Protocol Buffers, gzip'd as a rule. Samples have several
 * values; the one that is a time is what they stand for, the one that is a
 * number how many they are. The labels thread, tid and pid say whose they are.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash_table.h"
#include "interchange/import_names.h"
#include "interchange/import_reader.h"
#include "interchange/import_weights.h"
#include "interchange/pprof_tables.h"

#define START_NS NS_PER_S
#define PID 1
#define NO_VALUE SIZE_MAX
#define MAX_THREADS 65536u
#define MAX_MAPPINGS (1u << 20) /* libraries in processes */
#define NAME_BYTES 64u
/* Threads that have a name and no number. */
#define FIRST_MADE_TID (INT64_C(1) << 32)

/* What the values of samples are. */
struct meaning {
    size_t time_at, count_at; /* NO_VALUE: there is none */
    uint64_t ns_per_unit;     /* of the value at time_at */
    uint64_t ns_per_sample;   /* where there is no time */
};

struct thread {
    int64_t pid, tid;
    char name[NAME_BYTES];
};

struct import_reader {
    uint8_t *bytes; /* of the file */
    size_t n_bytes;
    struct arena stacks;
    struct import_names *names;
    struct import_weights weights;
    struct pprof_tables tables; /* until the file has been read */
    struct meaning meaning;
    int64_t time_ns, duration_ns, period;
    bool is_cut;
    uint64_t n_negative, n_unknown_places, n_told;
    struct thread *threads;
    size_t n_threads, threads_capacity;
    struct hash_table by_tid, by_pid;
    int64_t *pids;
    size_t n_pids, pids_capacity;
    size_t at_thread, at_pid, at_library; /* what is told before the first sample */
    struct import_notes notes;
};

/* Does the field have the type that it has in a profile? */
static bool is_plausible(const struct protobuf_field *field)
{
    bool is_bytes = field->wire == PROTOBUF_BYTES;
    switch (field->number) {
    case PPROF_SAMPLE_TYPE:
    case PPROF_SAMPLE:
    case PPROF_MAPPING:
    case PPROF_LOCATION:
    case PPROF_FUNCTION:
    case PPROF_STRING:
    case PPROF_PERIOD_TYPE:
        return is_bytes;
    case 13: /* comments */
        return true;
    default:
        return field->number <= 15 && field->wire == PROTOBUF_VARINT;
    }
}

/* The first fields are those of a profile; only the last one may be cut off, by the limit. */
static bool pprof_is_mine(const uint8_t *first_bytes, size_t n_bytes)
{
    struct bytes profile = bytes_of(first_bytes, n_bytes);
    struct protobuf_field field;
    size_t n_fields = 0;
    while (protobuf_next(&profile, &field)) {
        if (!is_plausible(&field)) {
            return false;
        }
        n_fields++;
    }
    bool is_whole = !bytes_has_failed(&profile) || n_bytes == IMPORT_DETECT_BYTES;
    return n_fields >= 2 && is_whole;
}

/* ---- what values mean ---- */

static uint64_t unit_ns(const struct pprof_tables *tables, uint64_t unit)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"nanoseconds", 1},
        {"nanosecond", 1},
        {"ns", 1},
        {"microseconds", NS_PER_US},
        {"microsecond", NS_PER_US},
        {"us", NS_PER_US},
        {"\302\265s", NS_PER_US},
        {"milliseconds", NS_PER_MS},
        {"millisecond", NS_PER_MS},
        {"ms", NS_PER_MS},
        {"seconds", NS_PER_S},
        {"second", NS_PER_S},
        {"s", NS_PER_S},
    };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (pprof_text_is(tables, unit, units[i].name)) {
            return units[i].ns;
        }
    }
    return 0;
}

static void find_values(const struct pprof_tables *tables, struct meaning *meaning)
{
    for (size_t i = 0; i < tables->n_types; i++) {
        const struct pprof_type *type = &tables->types[i];
        bool is_time = unit_ns(tables, type->unit) > 0;
        bool is_cpu = is_time && pprof_text_is(tables, type->name, "cpu");
        if (is_cpu || (is_time && meaning->time_at == NO_VALUE)) {
            meaning->time_at = i;
            meaning->ns_per_unit = unit_ns(tables, type->unit);
            if (is_cpu) {
                break;
            }
        }
    }
    for (size_t i = 0; i < tables->n_types && meaning->count_at == NO_VALUE; i++) {
        if (pprof_text_is(tables, tables->types[i].unit, "count") &&
            (pprof_text_is(tables, tables->types[i].name, "samples") ||
             meaning->time_at == NO_VALUE)) {
            meaning->count_at = i;
        }
    }
}

/* What the profile is shown by; NO_VALUE: it does not say. */
static size_t shown_value(const struct pprof_tables *tables)
{
    for (size_t i = 0; i < tables->n_types; i++) {
        if (tables->default_type != 0 && tables->types[i].name == tables->default_type) {
            return i;
        }
    }
    return NO_VALUE;
}

static void choose_values(struct import_reader *reader)
{
    const struct pprof_tables *tables = &reader->tables;
    struct meaning meaning = {
        .time_at = NO_VALUE, .count_at = NO_VALUE, .ns_per_unit = 1, .ns_per_sample = NS_PER_MS};
    find_values(tables, &meaning);
    uint64_t period_unit_ns = unit_ns(tables, tables->period_type.unit);
    size_t shown = shown_value(tables);
    if (meaning.time_at == NO_VALUE && shown != NO_VALUE &&
        !pprof_text_is(tables, tables->types[shown].unit, "count")) {
        meaning.count_at = NO_VALUE; /* of memory: numbers beside it need not be of the same */
    }
    if (meaning.time_at != NO_VALUE) {
        /* It says what each sample stands for. */
    } else if (meaning.count_at != NO_VALUE && period_unit_ns > 0 && tables->period > 0 &&
               (uint64_t)tables->period < NS_PER_S / period_unit_ns * 1000) {
        meaning.ns_per_sample = (uint64_t)tables->period * period_unit_ns;
    } else if (meaning.count_at != NO_VALUE) {
        import_note(&reader->notes, "the profile tells no times: each sample counts as 1 ms");
    } else {
        meaning.time_at = shown != NO_VALUE ? shown : tables->n_types - 1;
        struct pprof_text name = pprof_text_at(tables, tables->types[meaning.time_at].name);
        struct pprof_text unit = pprof_text_at(tables, tables->types[meaning.time_at].unit);
        import_note(&reader->notes, "the profile tells %.*s in %.*s: one counts as 1 ns",
                    (int)(name.n_bytes < 60 ? name.n_bytes : 60), name.bytes,
                    (int)(unit.n_bytes < 60 ? unit.n_bytes : 60), unit.bytes);
    }
    reader->meaning = meaning;
}

/* ---- samples ---- */

struct sample {
    uint64_t ips[LIMIT_STACK_IPS];
    size_t n_ips;
    uint64_t values[PPROF_MAX_TYPES];
    size_t n_values;
    uint64_t thread; /* text; 0: not told */
    int64_t tid, pid;
};

/* ---- whose samples they are ---- */

static void read_label(const struct pprof_tables *tables, struct bytes message,
                       struct sample *sample)
{
    struct protobuf_field field;
    uint64_t key = 0, text = 0;
    int64_t number = 0;
    while (protobuf_next(&message, &field)) {
        switch (field.number) {
        case 1:
            key = field.value;
            break;
        case 2:
            text = field.value;
            break;
        case 3:
            number = (int64_t)field.value;
            break;
        default:
            break;
        }
    }
    number = number > 0 && number < INT32_MAX ? number : 0;
    if (pprof_text_is(tables, key, "tid")) {
        sample->tid = number;
    } else if (pprof_text_is(tables, key, "pid")) {
        sample->pid = number;
    } else if (pprof_text_is(tables, key, "thread")) {
        sample->thread = text;
    }
}

static int take_pid(struct import_reader *reader, int64_t pid)
{
    if (hash_table_find(&reader->by_pid, (uint64_t)pid) != HASH_TABLE_NONE) {
        return 0;
    }
    if (reader->n_pids == reader->pids_capacity) {
        size_t capacity = reader->pids_capacity ? 2 * reader->pids_capacity : 16;
        void *grown = reallocarray(reader->pids, capacity, sizeof(*reader->pids));
        if (!grown) {
            return -ENOMEM;
        }
        reader->pids = grown;
        reader->pids_capacity = capacity;
    }
    reader->pids[reader->n_pids] = pid;
    return hash_table_add(&reader->by_pid, (uint64_t)pid, (uint32_t)reader->n_pids++);
}

/* The thread's first sample says of which process it is and what its name is. */
static int find_thread(struct import_reader *reader, const struct sample *sample,
                       const struct thread **ret_thread)
{
    bool has_name = sample->thread > 0 && sample->thread < reader->tables.texts.n_rows;
    int64_t pid = sample->pid ? sample->pid : PID;
    int64_t tid = sample->tid ? sample->tid
                  : has_name  ? FIRST_MADE_TID + (int64_t)sample->thread
                              : pid;
    uint32_t known = hash_table_find(&reader->by_tid, (uint64_t)tid);
    if (known == HASH_TABLE_NONE && reader->n_threads == MAX_THREADS) {
        known = 0;
    }
    if (known != HASH_TABLE_NONE) {
        *ret_thread = &reader->threads[known];
        return 0;
    }
    if (reader->n_threads == reader->threads_capacity) {
        size_t capacity = reader->threads_capacity ? 2 * reader->threads_capacity : 64;
        void *grown = reallocarray(reader->threads, capacity, sizeof(*reader->threads));
        if (!grown) {
            return -ENOMEM;
        }
        reader->threads = grown;
        reader->threads_capacity = capacity;
    }
    struct thread *thread = &reader->threads[reader->n_threads];
    *thread = (struct thread){.pid = pid, .tid = tid, .name = "[pprof]"};
    if (has_name) {
        struct pprof_text name = pprof_text_at(&reader->tables, sample->thread);
        snprintf(thread->name, sizeof(thread->name), "%.*s",
                 (int)(name.n_bytes < NAME_BYTES ? name.n_bytes : NAME_BYTES), name.bytes);
    }
    int r = take_pid(reader, pid);
    r = r ? r : hash_table_add(&reader->by_tid, (uint64_t)tid, (uint32_t)reader->n_threads);
    reader->n_threads += r == 0;
    *ret_thread = thread;
    return r;
}

/* ---- what samples say ---- */

static int take_places(struct import_reader *reader, struct protobuf_field *field,
                       struct sample *sample)
{
    uint64_t id;
    while (protobuf_next_number(field, &id)) {
        if (sample->n_ips == LIMIT_STACK_IPS) {
            continue;
        }
        int r = pprof_location_ip(&reader->tables, id, reader->names, &sample->ips[sample->n_ips]);
        if (r == -ENOENT) {
            reader->n_unknown_places++;
        } else if (r < 0) {
            return r;
        } else {
            sample->n_ips++;
        }
    }
    return 0;
}

static int read_sample(struct import_reader *reader, struct bytes message, struct sample *sample)
{
    struct protobuf_field field;
    int r = 0;
    sample->n_ips = sample->n_values = 0;
    sample->thread = 0;
    sample->tid = sample->pid = 0;
    while (r == 0 && protobuf_next(&message, &field)) {
        if (field.number == 1) {
            r = take_places(reader, &field, sample);
        } else if (field.number == 2) {
            uint64_t value;
            while (protobuf_next_number(&field, &value)) {
                if (sample->n_values < PPROF_MAX_TYPES) {
                    sample->values[sample->n_values++] = value;
                }
            }
        } else if (field.number == 3) {
            read_label(&reader->tables, field.bytes, sample);
        }
    }
    return r;
}

static uint64_t times(uint64_t value, uint64_t factor)
{
    uint64_t product;
    return __builtin_mul_overflow(value, factor, &product) ? UINT64_MAX : product;
}

static int take_sample(struct import_reader *reader, struct sample *sample)
{
    const struct meaning *meaning = &reader->meaning;
    bool has_time = meaning->time_at < sample->n_values;
    bool has_count = meaning->count_at < sample->n_values;
    uint64_t units = has_time ? sample->values[meaning->time_at] : 0;
    uint64_t count = has_count ? sample->values[meaning->count_at] : units > 0;
    if ((int64_t)units < 0 || (int64_t)count < 0) {
        reader->n_negative++;
        return 0;
    }
    struct import_weight weight = {.n_ips = (uint32_t)sample->n_ips};
    weight.n_samples = count;
    weight.ns =
        has_time ? times(units, meaning->ns_per_unit) : times(count, meaning->ns_per_sample);
    if (weight.n_samples == 0 && weight.ns == 0) {
        return 0;
    }
    const struct thread *thread;
    int r = find_thread(reader, sample, &thread);
    if (r < 0) {
        return r;
    }
    weight.pid = thread->pid;
    weight.tid = thread->tid;
    weight.n_kernel_ips = import_names_make_stack(sample->ips, sample->n_ips);
    uint64_t *ips = arena_alloc_array(&reader->stacks, sample->n_ips, sizeof(*ips));
    if (!ips) {
        return -ENOMEM;
    }
    memcpy(ips, sample->ips, sample->n_ips * sizeof(*ips));
    weight.ips = ips;
    reader->n_told++;
    return import_weights_add(&reader->weights, &weight);
}

static int take_samples(struct import_reader *reader)
{
    struct bytes profile = bytes_of(reader->bytes, reader->n_bytes);
    struct protobuf_field field;
    _cleanup_(freep) struct sample *sample = malloc(sizeof(*sample));
    int r = sample ? 0 : -ENOMEM;
    while (r == 0 && protobuf_next(&profile, &field)) {
        if (field.number == PPROF_SAMPLE) {
            r = read_sample(reader, field.bytes, sample);
            r = r ? r : take_sample(reader, sample);
        }
    }
    return r;
}

/* ---- the reader ---- */

static struct import_reader *pprof_free(struct import_reader *reader)
{
    if (reader) {
        pprof_tables_release(&reader->tables);
        free(reader->bytes);
        free(reader->threads);
        free(reader->pids);
        hash_table_release(&reader->by_tid);
        hash_table_release(&reader->by_pid);
        arena_release(&reader->stacks);
        import_weights_release(&reader->weights);
        import_names_free(reader->names);
        free(reader);
    }
    return NULL;
}

static void pprof_freep(struct import_reader **reader)
{
    *reader = pprof_free(*reader);
}

static void note_all(struct import_reader *reader, bool is_scaled)
{
    import_note(&reader->notes, "a pprof profile does not tell when samples were taken: they are "
                                "spread evenly");
    import_weights_note(&reader->weights, is_scaled, &reader->notes);
    if (reader->is_cut) {
        import_note(&reader->notes, IMPORT_NOTE_DAMAGED);
    } else if (reader->tables.is_cut) {
        import_note(&reader->notes, "the profile is cut off or damaged: what follows is missing");
    }
    if (reader->n_negative > 0) {
        import_note(&reader->notes, "%llu samples with negative values are left out",
                    (unsigned long long)reader->n_negative);
    }
    if (reader->n_unknown_places > 0) {
        import_note(&reader->notes, "%llu frames are at places that the profile does not describe",
                    (unsigned long long)reader->n_unknown_places);
    }
}

static int read_profile(struct import_reader *reader)
{
    bool is_scaled = false;
    int r = pprof_tables_read(reader->bytes, reader->n_bytes, &reader->tables);
    r = r ? r : import_names_new(&reader->names);
    if (r < 0 || reader->tables.n_types == 0) {
        return r;
    }
    choose_values(reader);
    r = take_samples(reader);
    r = r ? r : import_names_finish(reader->names);
    if (r < 0) {
        return r;
    }
    const struct pprof_tables *tables = &reader->tables;
    reader->time_ns = tables->time_ns > 0 ? tables->time_ns : 0;
    reader->duration_ns = tables->duration_ns > 0 ? tables->duration_ns : 0;
    reader->period =
        unit_ns(tables, tables->period_type.unit) == 1 && tables->period > 0 ? tables->period : 0;
    r = import_weights_begin(&reader->weights, PID, START_NS, (uint64_t)reader->duration_ns,
                             &is_scaled);
    note_all(reader, is_scaled);
    return r;
}

static int pprof_open(const char *path, struct import_reader **ret_reader,
                      struct error *reterr_error)
{
    _cleanup_(pprof_freep) struct import_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        error_set_errno(reterr_error, -ENOMEM, "reading a pprof profile");
        return -ENOMEM;
    }
    arena_init(&reader->stacks, IMPORT_MAX_STACK_BYTES);
    hash_table_init(&reader->by_tid);
    hash_table_init(&reader->by_pid);
    import_weights_init(&reader->weights);
    int r =
        import_read_whole(path, &reader->bytes, &reader->n_bytes, &reader->is_cut, reterr_error);
    if (r < 0) {
        return r;
    }
    r = read_profile(reader);
    if (r < 0) {
        error_set_errno(reterr_error, r, "reading a pprof profile");
        return r;
    }
    if (reader->n_pids * import_names_n_libraries(reader->names) > MAX_MAPPINGS) {
        error_set(reterr_error, "limit",
                  "the pprof profile %s tells of more than the %u libraries of processes that are "
                  "read",
                  path, MAX_MAPPINGS);
        return -EFBIG;
    }
    if (reader->weights.n_weights == 0) {
        error_set(reterr_error, "archive_invalid", "the pprof profile %s has no samples", path);
        return -EBADMSG;
    }
    /* Names have been copied, stacks too. */
    pprof_tables_release(&reader->tables);
    free(reader->bytes);
    reader->bytes = NULL;
    *ret_reader = TAKE_PTR(reader);
    return 0;
}

static void pprof_facts(const struct import_reader *reader, struct import_facts *ret_facts)
{
    *ret_facts = (struct import_facts){
        .format = IMPORT_PPROF,
        .pid = reader->n_pids == 1 && reader->pids[0] != PID ? reader->pids[0] : 0,
        .n_samples = reader->weights.n_samples,
        .started_at_unix_ns = (uint64_t)reader->time_ns,
        .frequency_hz = reader->period > 0 ? (uint32_t)((int64_t)NS_PER_S / reader->period) : 0,
    };
}

/* Threads, then each library in each process; false where the batch has no room. */
static bool introduce(struct import_reader *reader, struct event_batch *batch)
{
    size_t n_libraries = import_names_n_libraries(reader->names);
    for (; reader->at_thread < reader->n_threads; reader->at_thread++) {
        const struct thread *thread = &reader->threads[reader->at_thread];
        if (!event_batch_has_room(batch)) {
            return false;
        }
        import_tell_thread(batch, thread->pid, thread->tid, START_NS, thread->name);
    }
    for (; reader->at_pid < reader->n_pids; reader->at_pid++) {
        for (; reader->at_library < n_libraries; reader->at_library++) {
            if (!event_batch_has_room(batch)) {
                return false;
            }
            (void)import_names_map(reader->names, reader->at_library, reader->pids[reader->at_pid],
                                   START_NS, batch);
        }
        reader->at_library = 0;
    }
    return true;
}

static int pprof_next(struct import_reader *reader, struct event_batch *batch)
{
    return introduce(reader, batch) ? import_weights_play(&reader->weights, batch) : 1;
}

static const struct import_notes *pprof_notes(const struct import_reader *reader)
{
    return &reader->notes;
}

static struct kept_symbols *pprof_find_symbols(const struct import_reader *reader,
                                               const struct image *image)
{
    return import_names_find_symbols(reader->names, image);
}

const struct import_reader_ops import_pprof_ops = {
    .format = IMPORT_PPROF,
    .name = "pprof",
    .is_mine = pprof_is_mine,
    .open = pprof_open,
    .free = pprof_free,
    .facts = pprof_facts,
    .next = pprof_next,
    .notes = pprof_notes,
    .find_symbols = pprof_find_symbols,
};
