/* SPDX-License-Identifier: MIT */
#include "interchange/perf_data_facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_HEADER_BYTES 8u
#define BUILD_ID_FIELD_BYTES 24u
#define MISC_HAS_BUILD_ID_SIZE (1u << 15)

void perf_data_tables_init(struct perf_data_tables *tables)
{
    *tables = (struct perf_data_tables){0};
#if defined(__aarch64__)
    tables->machine = PERF_MACHINE_AARCH64; /* until the file says something else */
#else
    tables->machine = PERF_MACHINE_X86_64;
#endif
    hash_table_init(&tables->by_id);
    hash_table_init(&tables->by_path);
    arena_init(&tables->texts, 0);
}

void perf_data_tables_release(struct perf_data_tables *tables)
{
    free(tables->events);
    free(tables->build_ids);
    hash_table_release(&tables->by_id);
    hash_table_release(&tables->by_path);
    arena_release(&tables->texts);
}

/* Room for one more; NULL without memory. */
static void *grow(void *array, size_t n_items, size_t *capacity, size_t item_bytes)
{
    if (n_items < *capacity) {
        return array;
    }
    size_t wanted = *capacity ? 2 * *capacity : 16;
    void *grown = reallocarray(array, wanted, item_bytes);
    if (grown) {
        *capacity = wanted;
    }
    return grown;
}

int perf_data_tables_add_event(struct perf_data_tables *tables, const void *attr, size_t attr_bytes,
                               struct bytes ids)
{
    struct perf_data_event event = {0};
    int r = perf_layout_of(attr, attr_bytes, tables->machine, &event.layout);
    if (r < 0) {
        return r;
    }
    if (tables->n_events == PERF_DATA_MAX_EVENTS) {
        return -ENOSPC;
    }
    void *grown = grow(tables->events, tables->n_events, &tables->events_capacity, sizeof(event));
    if (!grown) {
        return -ENOMEM;
    }
    tables->events = grown;
    while (bytes_left(&ids) >= sizeof(uint64_t)) {
        if (tables->by_id.n_used == PERF_DATA_MAX_IDS) {
            return -ENOSPC;
        }
        r = hash_table_set(&tables->by_id, bytes_take_u64(&ids), (uint32_t)tables->n_events);
        if (r < 0) {
            return r;
        }
    }
    tables->events[tables->n_events++] = event;
    return 0;
}

/* A text as perf writes it: with its length, padded with NULs. The bytes fail where it is none. */
static const char *take_text(struct bytes *data, size_t *ret_n_bytes)
{
    uint32_t n_bytes = bytes_take_u32(data);
    const char *text = (const char *)bytes_take(data, n_bytes);
    *ret_n_bytes = text ? strnlen(text, n_bytes) : 0;
    return text;
}

static void copy_text(char *target, size_t target_bytes, const char *text, size_t n_bytes)
{
    if (text) {
        snprintf(target, target_bytes, "%.*s", (int)(n_bytes < 4096 ? n_bytes : 4096), text);
    }
}

/* Registers mean something else on another machine: its stack copies cannot be walked here. */
static void take_machine(struct perf_data_tables *tables, struct bytes data)
{
    size_t n_bytes;
    char name[32] = "";
    const char *text = take_text(&data, &n_bytes);
    copy_text(name, sizeof(name), text, n_bytes);
    if (name[0] == '\0') {
        return;
    }
    tables->machine = strcmp(name, "x86_64") == 0    ? PERF_MACHINE_X86_64
                      : strcmp(name, "aarch64") == 0 ? PERF_MACHINE_AARCH64
                                                     : PERF_MACHINE_OTHER;
    for (size_t i = 0; i < tables->n_events; i++) {
        tables->events[i].layout.machine = tables->machine;
    }
}

static void take_command(struct perf_data_tables *tables, struct bytes data)
{
    uint32_t n_words = bytes_take_u32(&data);
    char *command = tables->facts.command;
    size_t used = 0;
    command[0] = '\0';
    for (uint32_t i = 0; i < n_words && !bytes_has_failed(&data); i++) {
        size_t n_bytes;
        const char *word = take_text(&data, &n_bytes);
        if (word && used + 1 < sizeof(tables->facts.command)) {
            int n = snprintf(command + used, sizeof(tables->facts.command) - used, "%s%.*s",
                             i > 0 ? " " : "", (int)(n_bytes < 4096 ? n_bytes : 4096), word);
            used += n > 0 ? (size_t)n : 0;
        }
    }
}

void perf_data_tables_name_event(struct perf_data_tables *tables, uint64_t id, const char *name,
                                 size_t n_bytes)
{
    uint32_t index = hash_table_find(&tables->by_id, id);
    if (index < tables->n_events) {
        copy_text(tables->events[index].name, sizeof(tables->events[index].name), name, n_bytes);
    }
}

/*
 * The attributes are those of the header once more; the names are what is new.
 * Where a file has one event, it may be without identifiers.
 */
static void take_event_names(struct perf_data_tables *tables, struct bytes data)
{
    uint32_t n_events = bytes_take_u32(&data);
    uint32_t attr_bytes = bytes_take_u32(&data);
    for (uint32_t i = 0; i < n_events && !bytes_has_failed(&data); i++) {
        bytes_skip(&data, attr_bytes);
        uint32_t n_ids = bytes_take_u32(&data);
        size_t n_bytes;
        const char *name = take_text(&data, &n_bytes);
        if (name && n_ids == 0 && i < tables->n_events) {
            copy_text(tables->events[i].name, sizeof(tables->events[i].name), name, n_bytes);
        }
        for (uint32_t k = 0; k < n_ids && !bytes_has_failed(&data); k++) {
            uint64_t id = bytes_take_u64(&data);
            if (name && !bytes_has_failed(&data)) {
                perf_data_tables_name_event(tables, id, name, n_bytes);
            }
        }
    }
}

static bool has_path(uint32_t index, const void *wanted, const void *userdata)
{
    const struct perf_data_tables *tables = userdata;
    return strcmp(tables->build_ids[index].path, wanted) == 0;
}

const struct perf_data_build_id *
perf_data_tables_find_build_id(const struct perf_data_tables *tables, const char *path)
{
    uint32_t index = hash_table_find_equal(&tables->by_path, hash_bytes(path, strlen(path)),
                                           has_path, path, tables);
    return index < tables->n_build_ids ? &tables->build_ids[index] : NULL;
}

int perf_data_tables_add_build_id(struct perf_data_tables *tables, const void *record,
                                  size_t n_bytes)
{
    struct bytes data = bytes_of(record, n_bytes);
    bytes_skip(&data, 4);
    uint16_t misc = bytes_take_u16(&data);
    bytes_skip(&data, 2 + 4); /* its size, which the caller has looked at; pid */
    const uint8_t *field = bytes_take(&data, BUILD_ID_FIELD_BYTES);
    if (!field) {
        return 0;
    }
    const char *path = (const char *)data.at;
    size_t path_bytes = strnlen(path, bytes_left(&data));
    struct perf_data_build_id entry = {.n_bytes = LIMIT_BUILD_ID_BYTES};
    if ((misc & MISC_HAS_BUILD_ID_SIZE) && field[LIMIT_BUILD_ID_BYTES] <= LIMIT_BUILD_ID_BYTES) {
        entry.n_bytes = field[LIMIT_BUILD_ID_BYTES];
    }
    if (entry.n_bytes == 0 || path_bytes == 0 || path_bytes >= LIMIT_PATH_BYTES ||
        tables->n_build_ids == PERF_DATA_MAX_BUILD_IDS) {
        return 0;
    }
    memcpy(entry.bytes, field, entry.n_bytes);
    void *grown =
        grow(tables->build_ids, tables->n_build_ids, &tables->build_ids_capacity, sizeof(entry));
    if (!grown) {
        return -ENOMEM;
    }
    tables->build_ids = grown;
    entry.path = arena_strndup(&tables->texts, path, path_bytes);
    if (!entry.path) {
        return -ENOMEM;
    }
    uint64_t hash = hash_bytes(entry.path, path_bytes);
    if (hash_table_find_equal(&tables->by_path, hash, has_path, entry.path, tables) !=
        HASH_TABLE_NONE) {
        return 0;
    }
    tables->build_ids[tables->n_build_ids] = entry;
    int r = hash_table_add(&tables->by_path, hash, (uint32_t)tables->n_build_ids);
    tables->n_build_ids += r == 0;
    return r;
}

static int take_build_ids(struct perf_data_tables *tables, struct bytes data)
{
    int r = 0;
    while (r == 0 && bytes_left(&data) >= RECORD_HEADER_BYTES) {
        const uint8_t *record = data.at;
        bytes_skip(&data, 6);
        uint16_t size_bytes = bytes_take_u16(&data);
        if (size_bytes < RECORD_HEADER_BYTES) {
            break;
        }
        bytes_skip(&data, size_bytes - RECORD_HEADER_BYTES);
        if (bytes_has_failed(&data)) {
            break;
        }
        r = perf_data_tables_add_build_id(tables, record, size_bytes);
    }
    return r;
}

static void take_clocks(struct perf_data_facts *facts, struct bytes data)
{
    bytes_skip(&data, 4 + 4); /* version, clock */
    uint64_t wall_ns = bytes_take_u64(&data);
    uint64_t clock_ns = bytes_take_u64(&data);
    if (!bytes_has_failed(&data)) {
        facts->wall_ns = wall_ns;
        facts->clock_ns = clock_ns;
    }
}

int perf_data_tables_add_feature(struct perf_data_tables *tables, uint32_t number,
                                 struct bytes data)
{
    struct perf_data_facts *facts = &tables->facts;
    size_t n_bytes;
    switch (number) {
    case PERF_DATA_FEATURE_BUILD_ID:
        return take_build_ids(tables, data);
    case PERF_DATA_FEATURE_HOSTNAME: {
        const char *text = take_text(&data, &n_bytes);
        copy_text(facts->host, sizeof(facts->host), text, n_bytes);
        break;
    }
    case PERF_DATA_FEATURE_OSRELEASE: {
        const char *text = take_text(&data, &n_bytes);
        copy_text(facts->release, sizeof(facts->release), text, n_bytes);
        break;
    }
    case PERF_DATA_FEATURE_ARCH:
        take_machine(tables, data);
        break;
    case PERF_DATA_FEATURE_NRCPUS:
        facts->n_cpus = bytes_take_u32(&data);
        break;
    case PERF_DATA_FEATURE_CMDLINE:
        take_command(tables, data);
        break;
    case PERF_DATA_FEATURE_EVENT_DESC:
        take_event_names(tables, data);
        break;
    case PERF_DATA_FEATURE_CLOCK_DATA:
        take_clocks(facts, data);
        break;
    default:
        break;
    }
    return 0;
}
