/* SPDX-License-Identifier: MIT */
#include "interchange/firefox_stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/limits.h"

#define NAMELESS_LIBRARY "[firefox]"

int firefox_stacks_init(const struct firefox_profile *profile, size_t max_tables,
                        struct firefox_stacks *ret_stacks)
{
    size_t n_threads = firefox_profile_n_threads(profile);
    n_threads = n_threads < max_tables ? n_threads : max_tables;
    *ret_stacks = (struct firefox_stacks){
        .frames = calloc(n_threads + 1, sizeof(*ret_stacks->frames)),
        .tables = calloc(n_threads + 1, sizeof(*ret_stacks->tables)),
    };
    if (!ret_stacks->frames || !ret_stacks->tables) {
        return -ENOMEM;
    }
    int r = import_names_new(&ret_stacks->names);
    return r ? r : firefox_libraries_new(profile->libs, &ret_stacks->libraries);
}

void firefox_stacks_release(struct firefox_stacks *stacks)
{
    for (size_t i = 0; i < stacks->n_tables; i++) {
        free(stacks->tables[i].frames);
        free(stacks->tables[i].prefixes);
    }
    for (size_t i = 0; i < stacks->n_frame_tables; i++) {
        free(stacks->frames[i].ips);
    }
    free(stacks->frames);
    free(stacks->tables);
    firefox_libraries_free(stacks->libraries);
    import_names_free(stacks->names);
}

struct library_path {
    const char *bytes;
    size_t n_bytes;
};

static struct library_path library_of(const struct firefox_profile *profile,
                                      const struct firefox_thread *view, size_t func,
                                      int64_t *ret_lib)
{
    int64_t resource = firefox_number(view->func_resource, func, -1);
    *ret_lib = resource >= 0 ? firefox_number(view->resource_lib, (size_t)resource, -1) : -1;
    const json_t *lib = *ret_lib >= 0 ? json_array_get(profile->libs, (size_t)*ret_lib) : NULL;
    const json_t *path = json_object_get(lib, "path");
    if (!json_is_string(path) || json_string_length(path) == 0) {
        path = json_object_get(lib, "name");
    }
    if (json_is_string(path) && json_string_length(path) > 0) {
        return (struct library_path){json_string_value(path), json_string_length(path)};
    }
    return (struct library_path){NAMELESS_LIBRARY, strlen(NAMELESS_LIBRARY)};
}

static bool is_kernel(const struct firefox_profile *profile, const struct firefox_thread *view,
                      size_t frame, const char *library)
{
    int64_t category = firefox_number(view->frame_category, frame, -1);
    const char *name = category < 0
                           ? NULL
                           : json_string_value(json_object_get(
                                 json_array_get(profile->categories, (size_t)category), "name"));
    return strncmp(library, "[kernel", 7) == 0 || (name && strcmp(name, "Kernel") == 0);
}

static void find_file(const struct firefox_thread *view, size_t func, struct import_frame *frame)
{
    int64_t number = firefox_number(view->func_file, func, -1);
    int64_t source = firefox_number(view->func_source, func, -1);
    if (number < 0 && source >= 0) {
        number = firefox_number(view->source_file, (size_t)source, -1);
    }
    frame->file = firefox_text(view, number, &frame->file_bytes);
}

/* samply's way to say that it knows no name. */
static bool is_nameless(const struct import_frame *frame)
{
    return frame->function_bytes == 0 ||
           (frame->function_bytes > 2 && strncmp(frame->function, "0x", 2) == 0);
}

static int make_frame(struct firefox_stacks *stacks, const struct firefox_profile *profile,
                      const struct firefox_thread *view, size_t row, uint64_t *ret_ip)
{
    int64_t func = firefox_number(view->frame_func, row, -1);
    int64_t line = firefox_number(view->frame_line, row, 0), lib;
    *ret_ip = 0;
    if (func < 0) {
        return 0;
    }
    struct import_frame frame = {.line = line > 0 && line < UINT32_MAX ? (uint32_t)line : 0};
    frame.function = firefox_text(view, firefox_number(view->func_name, (size_t)func, -1),
                                  &frame.function_bytes);
    frame.is_jit = json_is_true(json_array_get(view->func_is_js, (size_t)func));
    find_file(view, (size_t)func, &frame);
    struct library_path path = library_of(profile, view, (size_t)func, &lib);
    frame.is_kernel = is_kernel(profile, view, row, path.bytes);
    int64_t address = firefox_number(view->frame_address, row, -1);
    if (is_nameless(&frame) && !frame.is_kernel && lib >= 0 && address >= 0 &&
        firefox_libraries_ip(stacks->libraries, (size_t)lib, (uint64_t)address, ret_ip)) {
        stacks->has_files = true;
        return 0;
    }
    uint32_t library;
    int r = import_names_library(stacks->names, path.bytes, path.n_bytes, &library);
    return r ? r : import_names_add(stacks->names, library, &frame, 1, ret_ip);
}

static int count_rows(struct firefox_stacks *stacks, size_t n_rows)
{
    stacks->n_rows += n_rows;
    return stacks->n_rows > FIREFOX_STACKS_MAX_ROWS ? -EFBIG : 0;
}

/* The frames of the thread, by the number of their table. */
static int frames_of(struct firefox_stacks *stacks, const struct firefox_profile *profile,
                     const struct firefox_thread *view, uint32_t *ret_index)
{
    size_t n = stacks->n_frame_tables;
    if (n > 0 && stacks->frames[n - 1].funcs == view->frame_func &&
        stacks->frames[n - 1].names == view->func_name) {
        *ret_index = (uint32_t)n - 1;
        return 0;
    }
    *ret_index = (uint32_t)n;
    struct firefox_frame_table *frames = &stacks->frames[stacks->n_frame_tables++];
    *frames = (struct firefox_frame_table){.funcs = view->frame_func,
                                           .names = view->func_name,
                                           .n_frames = json_array_size(view->frame_func)};
    int r = count_rows(stacks, frames->n_frames);
    if (r < 0) {
        return r;
    }
    frames->ips = calloc(frames->n_frames + 1, sizeof(*frames->ips));
    r = frames->ips ? 0 : -ENOMEM;
    for (size_t i = 0; i < frames->n_frames && r == 0; i++) {
        r = make_frame(stacks, profile, view, i, &frames->ips[i]);
    }
    return r;
}

int firefox_stacks_of(struct firefox_stacks *stacks, const struct firefox_profile *profile,
                      const struct firefox_thread *view, uint32_t *ret_table)
{
    size_t n = stacks->n_tables;
    uint32_t frame_table = 0;
    int r = frames_of(stacks, profile, view, &frame_table);
    if (r < 0) {
        return r;
    }
    if (n > 0 && stacks->tables[n - 1].identity == view->stack_frame &&
        stacks->tables[n - 1].frame_table == frame_table) {
        *ret_table = (uint32_t)n - 1;
        return 0;
    }
    *ret_table = (uint32_t)n;
    struct firefox_stack_table *table = &stacks->tables[stacks->n_tables++];
    table->identity = view->stack_frame;
    table->frame_table = frame_table;
    table->n_stacks = json_array_size(view->stack_frame);
    r = count_rows(stacks, table->n_stacks);
    if (r < 0) {
        return r;
    }
    table->frames = calloc(table->n_stacks + 1, sizeof(*table->frames));
    table->prefixes = calloc(table->n_stacks + 1, sizeof(*table->prefixes));
    if (!table->frames || !table->prefixes) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < table->n_stacks; i++) {
        int64_t frame = firefox_number(view->stack_frame, i, -1);
        int64_t prefix = firefox_number(view->stack_prefix, i, -1);
        bool is_known = frame >= 0 && (uint64_t)frame < stacks->frames[frame_table].n_frames;
        table->frames[i] = is_known ? (uint32_t)frame : UINT32_MAX;
        /* A caller stands before what it calls; so there is no way round in a circle. */
        table->prefixes[i] = prefix >= 0 && (uint64_t)prefix < i ? (uint32_t)prefix : UINT32_MAX;
    }
    return 0;
}

bool firefox_stacks_ips(const struct firefox_stacks *stacks, uint32_t table, uint32_t stack,
                        uint64_t *ips, size_t *ret_n_ips)
{
    const struct firefox_stack_table *rows = &stacks->tables[table];
    size_t n_ips = 0;
    while (stack != UINT32_MAX && n_ips < LIMIT_STACK_IPS) {
        uint32_t frame = rows->frames[stack];
        uint64_t ip = frame == UINT32_MAX ? 0 : stacks->frames[rows->frame_table].ips[frame];
        ips[n_ips] = ip;
        n_ips += ip != 0;
        stack = rows->prefixes[stack];
    }
    *ret_n_ips = n_ips;
    return stack == UINT32_MAX;
}
