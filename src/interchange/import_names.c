/* SPDX-License-Identifier: MIT */
#include "interchange/import_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash_table.h"

/* Libraries lie this far apart; places are so far from each other that no ip of a caller (which
 * stands one byte behind its place) is another place. */
#define LIBRARY_BYTES (UINT64_C(1) << 32)
#define PLACE_BYTES UINT64_C(16)
#define KERNEL_FIRST_IP (UINT64_C(1) << 63)
#define MAX_NAME_BYTES 16384u

struct library {
    const char *path;
    uint64_t start_ip;
    uint64_t n_places;
    struct kept_symbols *kept;
};

/* Functions by what makes them one. */
struct function {
    uint32_t library, number;
    bool is_inlined;
    size_t name_bytes;
    const char *name;
};

struct import_names {
    struct arena texts;
    struct library *libraries; /* [0]: the kernel */
    size_t n_libraries, libraries_capacity;
    struct hash_table by_path; /* hash → index in libraries */
    struct function *functions;
    size_t n_functions, functions_capacity;
    struct hash_table by_name; /* hash → index in functions */
};

static int add_library(struct import_names *names, const char *path, size_t n_bytes,
                       uint32_t *ret_library)
{
    if (names->n_libraries == IMPORT_MAX_LIBRARIES) {
        return -ENOSPC;
    }
    if (names->n_libraries == names->libraries_capacity) {
        size_t capacity = names->libraries_capacity ? 2 * names->libraries_capacity : 16;
        void *grown = reallocarray(names->libraries, capacity, sizeof(*names->libraries));
        if (!grown) {
            return -ENOMEM;
        }
        names->libraries = grown;
        names->libraries_capacity = capacity;
    }
    struct library library = {.path = arena_strndup(&names->texts, path, n_bytes)};
    int r = library.path ? kept_symbols_new(&library.kept) : -ENOMEM;
    if (r < 0) {
        return r;
    }
    library.start_ip =
        names->n_libraries == 0 ? KERNEL_FIRST_IP : (names->n_libraries + 1) * LIBRARY_BYTES;
    *ret_library = (uint32_t)names->n_libraries;
    names->libraries[names->n_libraries++] = library;
    return 0;
}

int import_names_new(struct import_names **ret_names)
{
    _cleanup_(import_names_freep) struct import_names *names = calloc(1, sizeof(*names));
    if (!names) {
        return -ENOMEM;
    }
    arena_init(&names->texts, 0);
    hash_table_init(&names->by_path);
    hash_table_init(&names->by_name);
    uint32_t kernel;
    int r = add_library(names, "[kernel]", strlen("[kernel]"), &kernel);
    if (r == 0) {
        *ret_names = TAKE_PTR(names);
    }
    return r;
}

struct import_names *import_names_free(struct import_names *names)
{
    if (names) {
        for (size_t i = 0; i < names->n_libraries; i++) {
            kept_symbols_unref(names->libraries[i].kept);
        }
        free(names->libraries);
        free(names->functions);
        hash_table_release(&names->by_path);
        hash_table_release(&names->by_name);
        arena_release(&names->texts);
        free(names);
    }
    return NULL;
}

static bool has_path(uint32_t index, const void *wanted, const void *userdata)
{
    const struct import_names *names = userdata;
    return strcmp(names->libraries[index].path, wanted) == 0;
}

/* Only what begins with a slash is the path of an image; the name of a library alone gets one. */
int import_names_library(struct import_names *names, const char *path, size_t n_bytes,
                         uint32_t *ret_library)
{
    char whole[LIMIT_PATH_BYTES];
    bool has_slash = n_bytes > 0 && path[0] == '/';
    if (n_bytes > sizeof(whole) - 2) {
        n_bytes = sizeof(whole) - 2;
    }
    whole[0] = '/';
    size_t at = has_slash ? 0 : 1;
    if (n_bytes > 0) {
        memcpy(whole + at, path, n_bytes);
    }
    whole[at + n_bytes] = '\0';
    n_bytes = strlen(whole);
    uint64_t hash = hash_bytes(whole, n_bytes);
    uint32_t found = hash_table_find_equal(&names->by_path, hash, has_path, whole, names);
    if (found != HASH_TABLE_NONE) {
        *ret_library = found;
        return 0;
    }
    int r = add_library(names, whole, n_bytes, ret_library);
    return r ? r : hash_table_add(&names->by_path, hash, *ret_library);
}

static bool is_function(uint32_t index, const void *wanted, const void *userdata)
{
    const struct import_names *names = userdata;
    const struct function *function = &names->functions[index], *other = wanted;
    return function->library == other->library && function->is_inlined == other->is_inlined &&
           function->name_bytes == other->name_bytes &&
           memcmp(function->name, other->name, other->name_bytes) == 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static enum frame_kind kind_of(uint32_t library, const struct import_frame *frame)
{
    if (library == 0) {
        return FRAME_KIND_KERNEL;
    }
    return frame->is_jit ? FRAME_KIND_JIT : FRAME_KIND_USER;
}

static int add_function(struct import_names *names, struct function *function,
                        const struct import_frame *frame, uint64_t address)
{
    if (names->n_functions == names->functions_capacity) {
        size_t capacity = names->functions_capacity ? 2 * names->functions_capacity : 256;
        void *grown = reallocarray(names->functions, capacity, sizeof(*names->functions));
        if (!grown) {
            return -ENOMEM;
        }
        names->functions = grown;
        names->functions_capacity = capacity;
    }
    const struct library *library = &names->libraries[function->library];
    function->name = arena_strndup(&names->texts, function->name, function->name_bytes);
    if (!function->name) {
        return -ENOMEM;
    }
    const struct symbol symbol = {
        .name = function->name,
        .image = base_name(library->path),
        .kind = kind_of(function->library, frame),
        .start_address = address,
        .size_bytes = 1,
    };
    return kept_symbols_add_function(library->kept, &symbol, function->is_inlined,
                                     &function->number);
}

/* The number of a function in the kept symbols of its library. */
static int intern_function(struct import_names *names, uint32_t library, bool is_inlined,
                           const struct import_frame *frame, uint64_t address, uint32_t *ret_number)
{
    struct function function = {
        .library = library,
        .is_inlined = is_inlined,
        .name = frame->function_bytes > 0 ? frame->function : "[unknown]",
        .name_bytes = frame->function_bytes > 0 ? frame->function_bytes : strlen("[unknown]"),
    };
    if (function.name_bytes > MAX_NAME_BYTES) {
        function.name_bytes = MAX_NAME_BYTES;
    }
    /* A NUL ends a name; whoever wrote it there. */
    function.name_bytes = strnlen(function.name, function.name_bytes);
    uint64_t hash = hash_bytes(function.name, function.name_bytes) ^
                    hash_u64((uint64_t)library << 1 | is_inlined);
    uint32_t found = hash_table_find_equal(&names->by_name, hash, is_function, &function, names);
    if (found != HASH_TABLE_NONE) {
        *ret_number = names->functions[found].number;
        return 0;
    }
    int r = add_function(names, &function, frame, address);
    r = r ? r : hash_table_add(&names->by_name, hash, (uint32_t)names->n_functions);
    if (r == 0) {
        names->functions[names->n_functions++] = function;
        *ret_number = function.number;
    }
    return r;
}

static int intern_file(struct kept_symbols *kept, const struct import_frame *frame,
                       uint32_t *ret_file)
{
    char path[LIMIT_PATH_BYTES];
    size_t n_bytes = frame->file ? strnlen(frame->file, frame->file_bytes) : 0;
    *ret_file = KEPT_NONE;
    if (n_bytes == 0 || n_bytes >= sizeof(path)) {
        return 0;
    }
    memcpy(path, frame->file, n_bytes);
    path[n_bytes] = '\0';
    return kept_symbols_add_file(kept, path, ret_file);
}

/* Lines, and what was inlined, from the outermost frame to the innermost. */
static int add_lines(struct import_names *names, uint32_t library,
                     const struct import_frame *frames, size_t n_frames, uint64_t address)
{
    struct kept_symbols *kept = names->libraries[library].kept;
    struct kept_call call = {.parent = KEPT_NONE};
    uint32_t innermost = KEPT_NONE;
    int r = 0;
    for (size_t i = n_frames - 1; i > 0 && r == 0; i--) {
        call.parent = innermost;
        call.call_line = frames[i].line;
        r = intern_function(names, library, true, &frames[i - 1], address, &call.function);
        r = r ? r : intern_file(kept, &frames[i], &call.call_file);
        r = r ? r : kept_symbols_add_call(kept, &call, &innermost);
    }
    struct kept_line line = {.start_addr = address, .line = frames[0].line, .call = innermost};
    r = r ? r : intern_file(kept, &frames[0], &line.file);
    if (r != 0 || (line.file == KEPT_NONE && innermost == KEPT_NONE)) {
        return r;
    }
    return kept_symbols_add_line(kept, &line);
}

int import_names_add(struct import_names *names, uint32_t library,
                     const struct import_frame *frames, size_t n_frames, uint64_t *ret_ip)
{
    if (n_frames == 0) {
        return -EINVAL;
    }
    n_frames = n_frames < IMPORT_MAX_INLINED ? n_frames : IMPORT_MAX_INLINED;
    const struct import_frame *outermost = &frames[n_frames - 1];
    library = outermost->is_kernel ? 0 : library;
    struct library *at = &names->libraries[library];
    if (at->n_places == KEPT_SYMBOLS_MAX) {
        return -ENOSPC;
    }
    uint64_t offset = (at->n_places + 1) * PLACE_BYTES;
    /* Of the kernel's code the symbols' addresses are those of the run. */
    uint64_t address = library == 0 ? at->start_ip + offset : offset;
    uint32_t number;
    int r = intern_function(names, library, false, outermost, address, &number);
    r = r ? r : kept_symbols_add_place(at->kept, address, number);
    r = r ? r : add_lines(names, library, frames, n_frames, address);
    if (r == 0) {
        at->n_places++;
        *ret_ip = at->start_ip + offset;
    }
    return r;
}

uint32_t import_names_make_stack(uint64_t *ips, size_t n_ips)
{
    uint32_t n_kernel_ips = 0;
    while (n_kernel_ips < n_ips && import_names_is_kernel(ips[n_kernel_ips])) {
        n_kernel_ips++;
    }
    for (size_t i = 0; i < n_ips; i++) {
        ips[i] += i == 0 || i == n_kernel_ips ? 0 : 1;
    }
    return n_kernel_ips;
}

int import_names_finish(struct import_names *names)
{
    int r = 0;
    for (size_t i = 0; i < names->n_libraries && r == 0; i++) {
        const struct symbol_source_info info = {.state = SYMBOL_STATE_LOADED,
                                                .origin = "the imported file"};
        r = kept_symbols_describe_as(names->libraries[i].kept, &info);
        r = r ? r : kept_symbols_finish(names->libraries[i].kept);
    }
    return r;
}

size_t import_names_n_libraries(const struct import_names *names)
{
    return names->n_libraries;
}

bool import_names_map(const struct import_names *names, size_t library, int64_t pid,
                      uint64_t time_ns, struct event_batch *batch)
{
    const struct library *at = &names->libraries[library];
    if (library == 0 || at->n_places == 0) {
        return true; /* the kernel is everywhere */
    }
    const struct event_image image = {
        .change = EVENT_IMAGE_MAPPED,
        .start_ip = at->start_ip,
        .end_ip = at->start_ip + (at->n_places + 2) * PLACE_BYTES,
        .path = at->path,
    };
    struct event event = {.kind = EVENT_IMAGE, .time_ns = time_ns, .pid = pid, .tid = pid};
    event.image = event_batch_add_image(batch, &image);
    return event.image && event_batch_add(batch, &event);
}

struct kept_symbols *import_names_find_symbols(const struct import_names *names,
                                               const struct image *image)
{
    if (image->kind == IMAGE_KIND_KERNEL) {
        return names->libraries[0].kept;
    }
    uint64_t hash = hash_bytes(image->path, strlen(image->path));
    uint32_t found = hash_table_find_equal(&names->by_path, hash, has_path, image->path, names);
    return found == HASH_TABLE_NONE ? NULL : names->libraries[found].kept;
}
