/* SPDX-License-Identifier: MIT */
#include "interchange/export_firefox_tables.h"

#include <errno.h>
#include <stdlib.h>

#define NONE UINT32_MAX
#define INTEGER_MAX (UINT64_C(1) << 53) /* that a JavaScript number holds exactly */
#define FIRST_ROOM 1024u

/* ---- numbers ---- */

static int numbers_init(struct firefox_numbers *numbers, size_t n_all)
{
    *numbers = (struct firefox_numbers){
        .of = calloc(n_all + 1, sizeof(*numbers->of)),
        .members = calloc(n_all + 1, sizeof(*numbers->members)),
    };
    return numbers->of && numbers->members ? 0 : -ENOMEM;
}

static void numbers_release(struct firefox_numbers *numbers)
{
    free(numbers->of);
    free(numbers->members);
}

static void numbers_clear(struct firefox_numbers *numbers)
{
    for (uint32_t i = 0; i < numbers->n; i++) {
        numbers->of[numbers->members[i]] = 0;
    }
    numbers->n = 0;
}

static uint32_t number_of(struct firefox_numbers *numbers, uint32_t member)
{
    if (numbers->of[member] == 0) {
        numbers->members[numbers->n++] = member;
        numbers->of[member] = numbers->n;
    }
    return numbers->of[member] - 1;
}

/* ---- stacks ---- */

int firefox_tables_init(struct export_job *job, struct firefox_tables *ret_tables)
{
    const struct snapshot *snapshot = job->context->snapshot;
    *ret_tables = (struct firefox_tables){
        .job = job,
        .node_of_stack = calloc((size_t)snapshot->n_stacks + 1, sizeof(uint32_t)),
    };
    export_strings_init(&ret_tables->strings);
    hash_table_init(&ret_tables->node_of);
    int r = ret_tables->node_of_stack ? 0 : -ENOMEM;
    r = r ? r : numbers_init(&ret_tables->places, job->frames.n_places);
    r = r ? r : numbers_init(&ret_tables->functions, job->frames.n_functions);
    r = r ? r : numbers_init(&ret_tables->images, snapshot->n_images);
    return r ? r : numbers_init(&ret_tables->libs, snapshot->n_images);
}

void firefox_tables_release(struct firefox_tables *tables)
{
    export_strings_release(&tables->strings);
    hash_table_release(&tables->node_of);
    numbers_release(&tables->places);
    numbers_release(&tables->functions);
    numbers_release(&tables->images);
    numbers_release(&tables->libs);
    free(tables->nodes);
    free(tables->node_of_stack);
}

void firefox_tables_begin(struct firefox_tables *tables)
{
    for (uint32_t i = 0; i < tables->n_nodes; i++) {
        tables->node_of_stack[tables->nodes[i].stack] = 0;
    }
    hash_table_clear(&tables->node_of);
    numbers_clear(&tables->places);
    numbers_clear(&tables->functions);
    numbers_clear(&tables->images);
    tables->n_nodes = 0;
}

static int add_node(struct firefox_tables *tables, uint32_t prefix, uint32_t place,
                    uint32_t *ret_node)
{
    if (tables->n_nodes == tables->n_nodes_room) {
        uint32_t n_room = tables->n_nodes_room ? 2 * tables->n_nodes_room : FIRST_ROOM;
        struct firefox_node *grown = n_room > tables->n_nodes_room
                                         ? reallocarray(tables->nodes, n_room, sizeof(*grown))
                                         : NULL;
        if (!grown) {
            return -ENOMEM;
        }
        tables->nodes = grown;
        tables->n_nodes_room = n_room;
    }
    tables->nodes[tables->n_nodes] = (struct firefox_node){.prefix = prefix, .place = place};
    *ret_node = tables->n_nodes++;
    return 0;
}

/* A place without code, below a stack or alone. */
static int codeless_node(struct firefox_tables *tables, uint32_t prefix, uint32_t place,
                         uint32_t *ret_node)
{
    uint64_t key = (uint64_t)prefix << 32 | place;
    *ret_node = hash_table_find(&tables->node_of, key);
    if (*ret_node != HASH_TABLE_NONE) {
        return 0;
    }
    int r = add_node(tables, prefix, place, ret_node);
    return r ? r : hash_table_add(&tables->node_of, key, *ret_node);
}

/* The node of a stack; those of its callers are made before it. */
static int stack_node_of(struct firefox_tables *tables, stack_id stack, uint32_t *ret_node)
{
    const struct snapshot *snapshot = tables->job->context->snapshot;
    stack_id missing[64];
    while (tables->node_of_stack[stack] == 0 && stack != STACK_ID_EMPTY) {
        /* Up to where a caller is known, then down, some frames at a time. */
        size_t n_missing = 0;
        for (stack_id at = stack; at != STACK_ID_EMPTY && tables->node_of_stack[at] == 0;
             at = snapshot_stack(snapshot, at).parent) {
            missing[n_missing++ % 64] = at;
        }
        size_t n_now = n_missing < 64 ? n_missing : 64;
        for (size_t i = 0; i < n_now; i++) {
            stack_id at = missing[(n_missing - 1 - i) % 64];
            struct stack_node node = snapshot_stack(snapshot, at);
            struct export_frame_places places = tables->job->frames.of_frame[node.frame];
            uint32_t prefix = tables->node_of_stack[node.parent] - 1; /* NONE of the empty one */
            for (uint32_t j = 0; j < places.n; j++) {
                int r = add_node(tables, prefix, places.first + j, &prefix);
                if (r != 0) {
                    return r;
                }
            }
            tables->nodes[prefix].stack = at;
            tables->node_of_stack[at] = prefix + 1;
        }
    }
    *ret_node = tables->node_of_stack[stack] - 1;
    return 0;
}

int firefox_tables_stack(struct firefox_tables *tables, const struct export_row *row,
                         enum wait_reason reason, uint32_t *ret_stack)
{
    uint32_t outer = export_outer_place(tables->job, row);
    uint32_t inner = export_inner_place(tables->job, row, reason);
    uint32_t node = NONE;
    int r = outer != EXPORT_NO_PLACE ? codeless_node(tables, NONE, outer, &node)
                                     : stack_node_of(tables, row->shown_stack, &node);
    if (r == 0 && inner != EXPORT_NO_PLACE) {
        r = codeless_node(tables, node, inner, &node);
    }
    *ret_stack = node;
    return r;
}

int firefox_tables_path(struct firefox_tables *tables, const uint32_t *places, size_t n_places,
                        uint32_t *ret_stack)
{
    uint32_t node = NONE;
    int r = 0;
    for (size_t i = 0; i < n_places && r == 0; i++) {
        r = codeless_node(tables, node, places[i], &node);
    }
    *ret_stack = node;
    return r;
}

/* ---- tables ---- */

static void put_number(struct export_sink *sink, uint32_t number, const char *none)
{
    if (number == NONE) {
        export_sink_text(sink, none);
    } else {
        export_sink_u64(sink, number);
    }
}

static void begin_column(struct export_sink *sink, const char *name)
{
    export_sink_char(sink, '"');
    export_sink_text(sink, name);
    export_sink_text(sink, "\":[");
}

/* The same value in all rows. */
static void put_constant(struct export_sink *sink, const char *name, const char *value, uint32_t n)
{
    begin_column(sink, name);
    for (uint32_t i = 0; i < n; i++) {
        export_sink_text(sink, i > 0 ? "," : "");
        export_sink_text(sink, value);
    }
    export_sink_text(sink, "],");
}

static void end_table(struct export_sink *sink, uint32_t n)
{
    export_sink_printf(sink, "\"length\":%u}", n);
}

static void put_stacks(struct firefox_tables *tables)
{
    struct export_sink *sink = &tables->job->sink;
    export_sink_text(sink, ",\n\"stackTable\":{");
    begin_column(sink, "prefix");
    for (uint32_t i = 0; i < tables->n_nodes; i++) {
        export_sink_text(sink, i > 0 ? "," : "");
        put_number(sink, tables->nodes[i].prefix, "null");
    }
    export_sink_text(sink, "],");
    begin_column(sink, "frame");
    for (uint32_t i = 0; i < tables->n_nodes; i++) {
        export_sink_text(sink, i > 0 ? "," : "");
        export_sink_u64(sink, number_of(&tables->places, tables->nodes[i].place));
    }
    export_sink_text(sink, "],");
    end_table(sink, tables->n_nodes);
}

enum frame_column {
    FRAME_ADDRESS,
    FRAME_DEPTH,
    FRAME_CATEGORY,
    FRAME_SUBCATEGORY,
    FRAME_FUNC,
    FRAME_LINE
};

/* Within its file; other code has none, and the reader's numbers do not reach the kernel's. */
static void put_address(struct firefox_tables *tables, const struct export_place *place)
{
    const struct snapshot *snapshot = tables->job->context->snapshot;
    struct export_sink *sink = &tables->job->sink;
    if (place->frame != EXPORT_NO_FRAME) {
        struct frame frame = snapshot_frame(snapshot, place->frame);
        if (snapshot_image(snapshot, frame.image)->kind == IMAGE_KIND_FILE &&
            frame.offset <= INTEGER_MAX) {
            export_sink_u64(sink, frame.offset);
            return;
        }
    }
    export_sink_text(sink, "-1");
}

static void put_frame_cell(struct firefox_tables *tables, enum frame_column column, uint32_t number)
{
    const struct export_job *job = tables->job;
    struct export_sink *sink = &tables->job->sink;
    const struct export_place *place = &job->frames.places[number];
    switch (column) {
    case FRAME_ADDRESS:
        put_address(tables, place);
        break;
    case FRAME_DEPTH:
        export_sink_u64(sink, place->depth);
        break;
    case FRAME_CATEGORY:
        export_sink_u64(sink, job->frames.functions[place->function].kind);
        break;
    case FRAME_SUBCATEGORY: {
        bool is_wait = job->frames.functions[place->function].kind == EXPORT_KIND_OFF_CPU;
        export_sink_u64(sink, is_wait ? number - job->frames.off_cpu[0] + 1 : 0);
        break;
    }
    case FRAME_FUNC:
        export_sink_u64(sink, number_of(&tables->functions, place->function));
        break;
    case FRAME_LINE:
        put_number(sink, place->line > 0 ? place->line : NONE, "null");
        break;
    }
}

static void put_frames(struct firefox_tables *tables)
{
    static const char *const names[] = {
        [FRAME_ADDRESS] = "address",   [FRAME_DEPTH] = "inlineDepth",
        [FRAME_CATEGORY] = "category", [FRAME_SUBCATEGORY] = "subcategory",
        [FRAME_FUNC] = "func",         [FRAME_LINE] = "line",
    };
    struct export_sink *sink = &tables->job->sink;
    uint32_t n = tables->places.n;
    export_sink_text(sink, ",\n\"frameTable\":{");
    for (size_t column = 0; column < sizeof(names) / sizeof(*names); column++) {
        begin_column(sink, names[column]);
        for (uint32_t i = 0; i < n; i++) {
            export_sink_text(sink, i > 0 ? "," : "");
            put_frame_cell(tables, (enum frame_column)column, tables->places.members[i]);
        }
        export_sink_text(sink, "],");
    }
    put_constant(sink, "nativeSymbol", "null", n);
    put_constant(sink, "innerWindowID", "null", n);
    put_constant(sink, "column", "null", n);
    end_table(sink, n);
}

static void put_functions(struct firefox_tables *tables)
{
    struct export_sink *sink = &tables->job->sink;
    const struct export_function *functions = tables->job->frames.functions;
    uint32_t n = tables->functions.n;
    export_sink_text(sink, ",\n\"funcTable\":{");
    begin_column(sink, "name");
    for (uint32_t i = 0; i < n; i++) {
        export_sink_text(sink, i > 0 ? "," : "");
        const char *name = functions[tables->functions.members[i]].name;
        export_sink_u64(sink, export_strings_number(&tables->strings, name));
    }
    export_sink_text(sink, "],");
    begin_column(sink, "fileName");
    for (uint32_t i = 0; i < n; i++) {
        export_sink_text(sink, i > 0 ? "," : "");
        const char *file = functions[tables->functions.members[i]].file;
        put_number(sink, file ? export_strings_number(&tables->strings, file) : NONE, "null");
    }
    export_sink_text(sink, "],");
    begin_column(sink, "resource");
    for (uint32_t i = 0; i < n; i++) {
        export_sink_text(sink, i > 0 ? "," : "");
        const struct export_function *function = &functions[tables->functions.members[i]];
        bool has_image = function->image[0] != '\0';
        put_number(sink, has_image ? number_of(&tables->images, function->image_id) : NONE, "-1");
    }
    export_sink_text(sink, "],");
    put_constant(sink, "isJS", "false", n);
    put_constant(sink, "relevantForJS", "false", n);
    put_constant(sink, "lineNumber", "null", n);
    put_constant(sink, "columnNumber", "null", n);
    end_table(sink, n);
}

static void put_resources(struct firefox_tables *tables)
{
    struct export_sink *sink = &tables->job->sink;
    const struct snapshot *snapshot = tables->job->context->snapshot;
    uint32_t n = tables->images.n;
    export_sink_text(sink, ",\n\"resourceTable\":{");
    begin_column(sink, "lib");
    for (uint32_t i = 0; i < n; i++) {
        export_sink_text(sink, i > 0 ? "," : "");
        export_sink_u64(sink, number_of(&tables->libs, tables->images.members[i]));
    }
    export_sink_text(sink, "],");
    begin_column(sink, "name");
    for (uint32_t i = 0; i < n; i++) {
        export_sink_text(sink, i > 0 ? "," : "");
        const char *name = snapshot_image(snapshot, tables->images.members[i])->name;
        export_sink_u64(sink, export_strings_number(&tables->strings, name));
    }
    export_sink_text(sink, "],");
    put_constant(sink, "host", "null", n);
    put_constant(sink, "type", "1", n); /* a library */
    end_table(sink, n);
}

int firefox_tables_write(struct firefox_tables *tables)
{
    struct export_sink *sink = &tables->job->sink;
    put_stacks(tables);
    put_frames(tables);
    put_functions(tables);
    put_resources(tables);
    export_sink_text(sink, ",\n\"nativeSymbols\":{\"libIndex\":[],\"address\":[],\"name\":[],"
                           "\"functionSize\":[],\"length\":0}");
    return tables->strings.is_cut ? -ENOMEM : 0;
}

/* A build-id as the 33 digits by which symbol servers know a file: a GUID and an age of 0. */
static void put_breakpad_id(struct export_sink *sink, const struct image *image)
{
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    if (image->build_id_bytes == 0) {
        return;
    }
    for (size_t i = 0; i < sizeof(order); i++) {
        bool is_there = order[i] < image->build_id_bytes;
        export_sink_printf(sink, "%02X", is_there ? image->build_id[order[i]] : 0);
    }
    export_sink_char(sink, '0');
}

static void put_lib(struct export_sink *sink, const struct image *image)
{
    export_sink_text(sink, "{\"arch\":null,\"name\":");
    export_sink_json(sink, image->name);
    export_sink_text(sink, ",\"debugName\":");
    export_sink_json(sink, image->name);
    export_sink_text(sink, ",\"path\":");
    export_sink_json(sink, image->path);
    export_sink_text(sink, ",\"debugPath\":");
    export_sink_json(sink, image->path);
    export_sink_text(sink, ",\"breakpadId\":\"");
    put_breakpad_id(sink, image);
    export_sink_text(sink, "\",\"codeId\":");
    if (image->build_id_bytes > 0) {
        export_sink_char(sink, '"');
        for (size_t i = 0; i < image->build_id_bytes; i++) {
            export_sink_printf(sink, "%02x", image->build_id[i]);
        }
        export_sink_text(sink, "\"}");
    } else {
        export_sink_text(sink, "null}");
    }
}

void firefox_tables_write_shared(struct firefox_tables *tables)
{
    struct export_sink *sink = &tables->job->sink;
    const struct snapshot *snapshot = tables->job->context->snapshot;
    export_sink_text(sink, "\"libs\":[");
    for (uint32_t i = 0; i < tables->libs.n; i++) {
        export_sink_text(sink, i > 0 ? ",\n" : "");
        put_lib(sink, snapshot_image(snapshot, tables->libs.members[i]));
    }
    export_sink_text(sink, "],\n\"shared\":{\"stringArray\":[");
    for (uint32_t i = 0; i < tables->strings.n_strings; i++) {
        export_sink_text(sink, i > 0 ? ",\n" : "");
        export_sink_json(sink, tables->strings.strings[i]);
    }
    export_sink_text(sink, "]}");
}
