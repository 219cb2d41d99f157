/* SPDX-License-Identifier: MIT */
#include "interchange/pprof_tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMELESS_LIBRARY "[pprof]"

static void table_init(struct pprof_table *table, size_t row_bytes)
{
    *table = (struct pprof_table){.row_bytes = row_bytes};
    hash_table_init(&table->by_id);
}

static void table_release(struct pprof_table *table)
{
    free(table->rows);
    hash_table_release(&table->by_id);
}

/* Of two rows with one id the first one stands. id 0: it has none. */
static int table_add(struct pprof_table *table, uint64_t id, const void *row)
{
    if (table->n_rows == PPROF_MAX_ROWS) {
        return -ENOSPC;
    }
    if (table->n_rows == table->capacity) {
        size_t capacity = table->capacity ? 2 * table->capacity : 64;
        void *grown = reallocarray(table->rows, capacity, table->row_bytes);
        if (!grown) {
            return -ENOMEM;
        }
        table->rows = grown;
        table->capacity = capacity;
    }
    memcpy((char *)table->rows + table->n_rows * table->row_bytes, row, table->row_bytes);
    int r = 0;
    if (id != 0 && hash_table_find(&table->by_id, id) == HASH_TABLE_NONE) {
        r = hash_table_add(&table->by_id, id, (uint32_t)table->n_rows);
    }
    table->n_rows += r == 0;
    return r;
}

static void *table_find(const struct pprof_table *table, uint64_t id)
{
    uint32_t index = hash_table_find(&table->by_id, id);
    return index == HASH_TABLE_NONE ? NULL : (char *)table->rows + index * table->row_bytes;
}

void pprof_tables_release(struct pprof_tables *tables)
{
    table_release(&tables->texts);
    table_release(&tables->functions);
    table_release(&tables->mappings);
    table_release(&tables->locations);
    memset(tables, 0, sizeof(*tables));
}

static struct pprof_type read_type(struct bytes message)
{
    struct pprof_type type = {0};
    struct protobuf_field field;
    while (protobuf_next(&message, &field)) {
        if (field.number == 1) {
            type.name = field.value;
        } else if (field.number == 2) {
            type.unit = field.value;
        }
    }
    return type;
}

static int read_function(struct pprof_tables *tables, struct bytes message)
{
    struct pprof_function function = {0};
    struct protobuf_field field;
    uint64_t id = 0, system_name = 0;
    while (protobuf_next(&message, &field)) {
        switch (field.number) {
        case 1:
            id = field.value;
            break;
        case 2:
            function.name = field.value;
            break;
        case 3:
            system_name = field.value;
            break;
        case 4:
            function.file = field.value;
            break;
        default:
            break;
        }
    }
    function.name = function.name ? function.name : system_name;
    return table_add(&tables->functions, id, &function);
}

static int read_mapping(struct pprof_tables *tables, struct bytes message)
{
    struct pprof_mapping mapping = {0};
    struct protobuf_field field;
    uint64_t id = 0;
    while (protobuf_next(&message, &field)) {
        if (field.number == 1) {
            id = field.value;
        } else if (field.number == 5) {
            mapping.path = field.value;
        }
    }
    return table_add(&tables->mappings, id, &mapping);
}

static int read_location(struct pprof_tables *tables, struct bytes message)
{
    struct pprof_location location = {.message = message};
    struct protobuf_field field;
    uint64_t id = 0;
    while (protobuf_next(&message, &field)) {
        switch (field.number) {
        case 1:
            id = field.value;
            break;
        case 2:
            location.mapping = field.value;
            break;
        case 3:
            location.address = field.value;
            break;
        default:
            break;
        }
    }
    return table_add(&tables->locations, id, &location);
}

static int read_field(struct pprof_tables *tables, const struct protobuf_field *field)
{
    switch (field->number) {
    case PPROF_SAMPLE_TYPE:
        if (tables->n_types < PPROF_MAX_TYPES) {
            tables->types[tables->n_types++] = read_type(field->bytes);
        }
        return 0;
    case PPROF_MAPPING:
        return read_mapping(tables, field->bytes);
    case PPROF_LOCATION:
        return read_location(tables, field->bytes);
    case PPROF_FUNCTION:
        return read_function(tables, field->bytes);
    case PPROF_STRING: {
        const struct pprof_text text = {.bytes = (const char *)field->bytes.at,
                                        .n_bytes = bytes_left(&field->bytes)};
        return table_add(&tables->texts, 0, &text);
    }
    case PPROF_TIME_NS:
        tables->time_ns = (int64_t)field->value;
        return 0;
    case PPROF_DURATION_NS:
        tables->duration_ns = (int64_t)field->value;
        return 0;
    case PPROF_PERIOD_TYPE:
        tables->period_type = read_type(field->bytes);
        return 0;
    case PPROF_PERIOD:
        tables->period = (int64_t)field->value;
        return 0;
    case PPROF_DEFAULT_TYPE:
        tables->default_type = field->value;
        return 0;
    default:
        return 0;
    }
}

int pprof_tables_read(const void *bytes, size_t n_bytes, struct pprof_tables *ret_tables)
{
    struct bytes profile = bytes_of(bytes, n_bytes);
    struct protobuf_field field;
    int r = 0;
    memset(ret_tables, 0, sizeof(*ret_tables));
    table_init(&ret_tables->texts, sizeof(struct pprof_text));
    table_init(&ret_tables->functions, sizeof(struct pprof_function));
    table_init(&ret_tables->mappings, sizeof(struct pprof_mapping));
    table_init(&ret_tables->locations, sizeof(struct pprof_location));
    while (r == 0 && protobuf_next(&profile, &field)) {
        r = read_field(ret_tables, &field);
    }
    ret_tables->is_cut = bytes_has_failed(&profile);
    if (r < 0) {
        pprof_tables_release(ret_tables);
    }
    return r;
}

struct pprof_text pprof_text_at(const struct pprof_tables *tables, uint64_t index)
{
    const struct pprof_text *texts = tables->texts.rows;
    return index < tables->texts.n_rows ? texts[index] : (struct pprof_text){.bytes = ""};
}

bool pprof_text_is(const struct pprof_tables *tables, uint64_t index, const char *wanted)
{
    struct pprof_text text = pprof_text_at(tables, index);
    return text.n_bytes == strlen(wanted) && memcmp(text.bytes, wanted, text.n_bytes) == 0;
}

static void read_line(const struct pprof_tables *tables, struct bytes message,
                      struct import_frame *ret_frame)
{
    struct protobuf_field field;
    const struct pprof_function *function = NULL;
    *ret_frame = (struct import_frame){0};
    while (protobuf_next(&message, &field)) {
        if (field.number == 1) {
            function = table_find(&tables->functions, field.value);
        } else if (field.number == 2) {
            ret_frame->line = (int64_t)field.value > 0 ? (uint32_t)field.value : 0;
        }
    }
    if (function) {
        struct pprof_text name = pprof_text_at(tables, function->name);
        struct pprof_text file = pprof_text_at(tables, function->file);
        ret_frame->function = name.bytes;
        ret_frame->function_bytes = name.n_bytes;
        ret_frame->file = file.n_bytes > 0 ? file.bytes : NULL;
        ret_frame->file_bytes = file.n_bytes;
    }
}

static bool is_kernel_path(struct pprof_text path)
{
    return (path.n_bytes >= 7 && memcmp(path.bytes, "[kernel", 7) == 0) ||
           (path.n_bytes >= 8 && memcmp(path.bytes, "[vmlinux", 8) == 0);
}

static int make_place(const struct pprof_tables *tables, struct pprof_location *location,
                      struct import_names *names)
{
    struct import_frame frames[IMPORT_MAX_INLINED];
    struct protobuf_field field;
    struct bytes message = location->message;
    size_t n_frames = 0;
    char address[32];
    while (n_frames < IMPORT_MAX_INLINED && protobuf_next(&message, &field)) {
        if (field.number == 4) {
            read_line(tables, field.bytes, &frames[n_frames++]);
        }
    }
    if (n_frames == 0) {
        int n = snprintf(address, sizeof(address), "0x%llx", (unsigned long long)location->address);
        frames[n_frames++] =
            (struct import_frame){.function = address, .function_bytes = (size_t)n};
    }
    const struct pprof_mapping *mapping = table_find(&tables->mappings, location->mapping);
    struct pprof_text path = pprof_text_at(tables, mapping ? mapping->path : 0);
    if (path.n_bytes == 0) {
        path = (struct pprof_text){.bytes = NAMELESS_LIBRARY, .n_bytes = strlen(NAMELESS_LIBRARY)};
    }
    frames[n_frames - 1].is_kernel = is_kernel_path(path);
    uint32_t library;
    int r = import_names_library(names, path.bytes, path.n_bytes, &library);
    return r ? r : import_names_add(names, library, frames, n_frames, &location->ip);
}

int pprof_location_ip(struct pprof_tables *tables, uint64_t id, struct import_names *names,
                      uint64_t *ret_ip)
{
    struct pprof_location *location = table_find(&tables->locations, id);
    if (!location) {
        return -ENOENT;
    }
    int r = location->ip ? 0 : make_place(tables, location, names);
    *ret_ip = location->ip;
    return r;
}
