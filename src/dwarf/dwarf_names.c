/* SPDX-License-Identifier: MIT */
#include "dwarf/dwarf_names.h"

#include <errno.h>

#include "dwarf/dwarf_abi.h"

#define CANCEL_STEP_ENTRIES 65536u

void dwarf_names_init(struct dwarf_names *names, const struct dwarf_sources *own_sources,
                      const struct dwarf_unit_list *own, const struct dwarf_unit_list *alternate,
                      struct arena *arena)
{
    *names = (struct dwarf_names){.arena = arena};
    arena_init(&names->scratch, arena->max_bytes);
    names->sources[DWARF_SIDE_OWN] = *own_sources;
    names->sources[DWARF_SIDE_ALTERNATE].sections = own_sources->alternate;
    names->units[DWARF_SIDE_OWN] = own;
    names->units[DWARF_SIDE_ALTERNATE] = alternate;
}

static void close_unit(struct dwarf_open_unit *open)
{
    if (open->unit) {
        dwarf_reader_release(&open->reader);
        if (open->has_lines) {
            dwarf_line_program_release(&open->lines);
        }
        free(open->paths);
        *open = (struct dwarf_open_unit){0};
    }
}

void dwarf_names_release(struct dwarf_names *names)
{
    for (size_t i = 0; i < DWARF_NAMES_OPEN_UNITS; i++) {
        close_unit(&names->open[i]);
    }
    arena_release(&names->scratch);
}

bool dwarf_place_of(const struct dwarf_unit *unit, enum dwarf_side side, struct dwarf_value value,
                    struct dwarf_place *ret_place)
{
    ret_place->side = side;
    ret_place->info_offset = value.number;
    switch (value.kind) {
    case DWARF_VALUE_REF_UNIT:
        return !__builtin_add_overflow(unit->offset, value.number, &ret_place->info_offset);
    case DWARF_VALUE_REF_FILE:
        return true;
    case DWARF_VALUE_REF_ALT:
        ret_place->side = DWARF_SIDE_ALTERNATE;
        return true;
    default:
        return false;
    }
}

/* The unit that holds the place, opened; *ret_open NULL: there is none. */
static int open_unit_at(struct dwarf_names *names, struct dwarf_place place,
                        struct dwarf_open_unit **ret_open)
{
    *ret_open = NULL;
    struct dwarf_open_unit *oldest = &names->open[0];
    for (size_t i = 0; i < DWARF_NAMES_OPEN_UNITS; i++) {
        struct dwarf_open_unit *open = &names->open[i];
        if (open->unit && open->side == place.side && place.info_offset >= open->unit->offset &&
            place.info_offset < open->unit->end_offset) {
            open->used_at = ++names->clock;
            *ret_open = open;
            return 0;
        }
        oldest = open->used_at < oldest->used_at ? open : oldest;
    }
    const struct dwarf_unit_list *list = names->units[place.side];
    const struct dwarf_unit *unit = list ? dwarf_unit_list_find(list, place.info_offset) : NULL;
    if (!unit || unit->tag == 0 || !names->sources[place.side].sections) {
        return 0;
    }
    close_unit(oldest);
    struct bytes bytes;
    int r = dwarf_reader_open(names->sources[place.side].sections, unit, &oldest->reader, &bytes);
    if (r < 0) {
        return r == -ENOMEM || r == -ECANCELED ? r : 0;
    }
    oldest->unit = unit;
    oldest->side = place.side;
    oldest->used_at = ++names->clock;
    *ret_open = oldest;
    return 0;
}

int dwarf_names_reader(struct dwarf_names *names, const struct dwarf_unit *unit,
                       const struct dwarf_reader **ret_reader)
{
    *ret_reader = NULL;
    struct dwarf_open_unit *open;
    struct dwarf_place place = {DWARF_SIDE_OWN, unit->offset};
    int r = open_unit_at(names, place, &open);
    if (r == 0 && open) {
        *ret_reader = &open->reader;
    }
    return r;
}

/* Of the bytes at hand: asked for one by one, the whole section would be read for them. */
static const char *string_here(const struct dwarf_open_unit *open, uint64_t info_offset,
                               struct arena *arena)
{
    struct bytes bytes = dwarf_reader_at(&open->reader, open->unit, info_offset);
    if (bytes_left(&bytes) > DWARF_STRING_MAX_BYTES) {
        bytes.end = bytes.at + DWARF_STRING_MAX_BYTES;
    }
    const char *text = bytes_take_string(&bytes);
    return text ? arena_strndup(arena, text, (size_t)(bytes.at - (const uint8_t *)text)) : NULL;
}

static const char *text_of(const struct dwarf_names *names, const struct dwarf_open_unit *open,
                           struct dwarf_value value, struct arena *arena)
{
    if (value.kind == DWARF_VALUE_STRING_HERE) {
        return string_here(open, value.number, arena);
    }
    return dwarf_unit_string(&names->sources[open->side], open->unit, value, arena);
}

static void open_lines(struct dwarf_names *names, struct dwarf_open_unit *open)
{
    open->has_looked_for_lines = true;
    open->has_lines =
        dwarf_line_program_open(&names->sources[open->side], open->unit, &open->lines) == 0;
    if (open->has_lines) {
        open->paths = calloc(dwarf_line_program_n_files(&open->lines) + 1, sizeof(*open->paths));
    }
}

static const char *path_of(struct dwarf_names *names, struct dwarf_open_unit *open, uint64_t file)
{
    if (!open->has_looked_for_lines) {
        open_lines(names, open);
    }
    if (!open->paths || file >= dwarf_line_program_n_files(&open->lines)) {
        return NULL;
    }
    if (!open->paths[file]) {
        open->paths[file] = dwarf_line_program_path(&open->lines, &names->sources[open->side],
                                                    open->unit, file, NULL, names->arena);
    }
    return open->paths[file];
}

static bool has_scopes(const struct dwarf_unit *unit)
{
    switch (unit->language) {
    case DW_LANG_C89:
    case DW_LANG_C:
    case DW_LANG_C99:
    case DW_LANG_C11:
    case DW_LANG_C17:
    case DW_LANG_ObjC:
    case DW_LANG_Mips_Assembler:
        return false;
    default:
        return true;
    }
}

/* What one entry of the chain adds. The name closest to the start stands. */
static void collect(struct dwarf_names *names, struct dwarf_open_unit *open,
                    const struct dwarf_die *die, struct dwarf_name *name)
{
    if (!name->is_mangled && die->linkage_name.kind != DWARF_VALUE_NONE) {
        const char *text = text_of(names, open, die->linkage_name, names->arena);
        if (text && text[0] != '\0') {
            name->text = text;
            name->is_mangled = true;
            name->is_scratch = false;
        }
    }
    if (!name->text && die->name.kind != DWARF_VALUE_NONE) {
        name->text = text_of(names, open, die->name, &names->scratch);
        name->is_scratch = true;
    }
    if (name->declared_at == 0 && die->decl_line.kind == DWARF_VALUE_CONSTANT) {
        name->declared_at = (uint32_t)die->decl_line.number;
    }
    /* Names of the linker need no place to tell them from others. */
    if (!name->is_mangled && !name->declared_in && die->decl_file.kind == DWARF_VALUE_CONSTANT) {
        name->declared_in = path_of(names, open, die->decl_file.number);
    }
}

int dwarf_names_find(struct dwarf_names *names, struct dwarf_place place,
                     struct dwarf_name *ret_name)
{
    *ret_name = (struct dwarf_name){0};
    for (int i = 0; i < DWARF_ORIGINS_MAX && !ret_name->is_mangled; i++) {
        struct dwarf_open_unit *open;
        int r = open_unit_at(names, place, &open);
        if (r < 0) {
            return r;
        }
        if (!open) {
            break;
        }
        struct bytes bytes = dwarf_reader_at(&open->reader, open->unit, place.info_offset);
        const struct dwarf_abbrev *abbrev = dwarf_die_begin(&bytes, &open->reader.source);
        struct dwarf_die die;
        if (!abbrev || bytes_has_failed(&bytes)) {
            break;
        }
        dwarf_die_attributes(&bytes, &open->reader.source, abbrev, &die);
        collect(names, open, &die, ret_name);
        ret_name->wants_scopes = has_scopes(open->unit);
        ret_name->declaration = place;
        struct dwarf_value next =
            die.origin.kind != DWARF_VALUE_NONE ? die.origin : die.specification;
        if (!dwarf_place_of(open->unit, open->side, next, &place)) {
            break;
        }
    }
    ret_name->wants_scopes = ret_name->wants_scopes && !ret_name->is_mangled && ret_name->text;
    return 0;
}

/* Scopes ------------------------------------------------------------------------------------- */

static bool is_scope(uint16_t tag)
{
    switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_interface_type:
    case DW_TAG_enumeration_type:
    case DW_TAG_module:
        return true;
    default:
        return false;
    }
}

struct scope {
    uint16_t tag;
    bool is_known; /* text is what it will be */
    struct dwarf_value name;
    const char *text;
};

/* The entries around the one at hand, outermost first. */
struct scope_path {
    size_t depth;
    struct scope scopes[DWARF_DEPTH_MAX];
};

/* NULL: it adds nothing to names. */
static const char *scope_text(struct dwarf_names *names, const struct dwarf_open_unit *open,
                              struct scope *scope)
{
    if (!scope->is_known) {
        scope->is_known = true;
        scope->text =
            is_scope(scope->tag) ? text_of(names, open, scope->name, &names->scratch) : NULL;
        if (!scope->text && scope->tag == DW_TAG_namespace) {
            scope->text = "(anonymous namespace)";
        }
    }
    return scope->text;
}

static int put_scopes(struct dwarf_names *names, const struct dwarf_open_unit *open,
                      struct scope_path *path, struct dwarf_name *name)
{
    const char *texts[DWARF_SCOPES_MAX]; /* innermost first */
    size_t n_texts = 0;
    size_t n_bytes = strlen(name->text) + 1;
    for (size_t i = path->depth; i-- > 0 && n_texts < DWARF_SCOPES_MAX;) {
        const char *text = scope_text(names, open, &path->scopes[i]);
        if (text) {
            texts[n_texts++] = text;
            n_bytes += strlen(text) + strlen("::");
        }
    }
    char *whole = arena_alloc(names->arena, n_bytes);
    if (!whole) {
        return -ENOMEM;
    }
    char *at = whole;
    while (n_texts > 0) {
        at = stpcpy(stpcpy(at, texts[--n_texts]), "::");
    }
    (void)stpcpy(at, name->text);
    name->text = whole;
    name->is_scratch = false;
    return 0;
}

/* Serves all names of one unit, sorted by offset, in one walk. */
static int walk_for_scopes(struct dwarf_names *names, struct dwarf_open_unit *open,
                           struct dwarf_name **sorted, size_t n_names, struct scope_path *path)
{
    const struct dwarf_unit *unit = open->unit;
    const struct dwarf_reader *reader = &open->reader;
    struct bytes bytes = dwarf_reader_at(reader, unit, unit->offset + unit->header_bytes);
    size_t next = 0;
    path->depth = 0;
    for (uint64_t i = 0; next < n_names && bytes_left(&bytes) > 0 && !bytes_has_failed(&bytes);
         i++) {
        if (i % CANCEL_STEP_ENTRIES == 0 &&
            dwarf_sections_is_cancelled(names->sources[open->side].sections)) {
            return -ECANCELED;
        }
        uint64_t offset = unit->offset + (uint64_t)(bytes.at - reader->window.at);
        while (next < n_names && sorted[next]->declaration.info_offset <= offset) {
            bool is_here = sorted[next]->declaration.info_offset == offset;
            int r = is_here ? put_scopes(names, open, path, sorted[next]) : 0;
            if (r < 0) {
                return r;
            }
            next++;
        }
        const struct dwarf_abbrev *abbrev = dwarf_die_begin(&bytes, &reader->source);
        if (!abbrev) {
            path->depth -= path->depth > 0;
            continue;
        }
        if (!abbrev->has_children) {
            dwarf_die_skip(&bytes, &reader->source, abbrev);
            continue;
        }
        struct dwarf_value sibling = dwarf_die_sibling(&bytes, &reader->source, abbrev);
        bool is_wanted_later =
            sibling.kind == DWARF_VALUE_REF_UNIT && next < n_names &&
            sorted[next]->declaration.info_offset - unit->offset >= sibling.number;
        if (!is_wanted_later || !dwarf_reader_jump(reader, unit, sibling, &bytes)) {
            if (path->depth == DWARF_DEPTH_MAX) {
                return 0;
            }
            struct dwarf_die die;
            dwarf_die_attributes(&bytes, &reader->source, abbrev, &die);
            path->scopes[path->depth++] = (struct scope){.tag = abbrev->tag, .name = die.name};
        }
    }
    return 0;
}

static int compare_declarations(const void *left, const void *right)
{
    const struct dwarf_name *one = *(const struct dwarf_name *const *)left;
    const struct dwarf_name *other = *(const struct dwarf_name *const *)right;
    if (one->declaration.side != other->declaration.side) {
        return one->declaration.side < other->declaration.side ? -1 : 1;
    }
    return (one->declaration.info_offset > other->declaration.info_offset) -
           (one->declaration.info_offset < other->declaration.info_offset);
}

static int qualify_sorted(struct dwarf_names *names, struct dwarf_name **sorted, size_t n_sorted)
{
    _cleanup_(freep) struct scope_path *path = malloc(sizeof(*path));
    if (!path) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_sorted;) {
        struct dwarf_open_unit *open;
        int r = open_unit_at(names, sorted[i]->declaration, &open);
        if (r < 0) {
            return r;
        }
        size_t n_here = 1;
        while (open && i + n_here < n_sorted &&
               sorted[i + n_here]->declaration.side == open->side &&
               sorted[i + n_here]->declaration.info_offset < open->unit->end_offset) {
            n_here++;
        }
        r = open ? walk_for_scopes(names, open, sorted + i, n_here, path) : 0;
        if (r < 0) {
            return r;
        }
        i += n_here;
    }
    return 0;
}

static int keep_texts(const struct dwarf_names *names, struct dwarf_name *all, size_t n_names)
{
    for (size_t i = 0; i < n_names; i++) {
        if (all[i].is_scratch && all[i].text) {
            all[i].text = arena_strdup(names->arena, all[i].text);
            all[i].is_scratch = false;
            if (!all[i].text) {
                return -ENOMEM;
            }
        }
    }
    return 0;
}

int dwarf_names_qualify(struct dwarf_names *names, struct dwarf_name *all, size_t n_names)
{
    size_t n_sorted = 0;
    _cleanup_(freep) struct dwarf_name **sorted =
        reallocarray(NULL, n_names > 0 ? n_names : 1, sizeof(*sorted));
    if (!sorted) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_names; i++) {
        if (all[i].wants_scopes) {
            sorted[n_sorted++] = &all[i];
        }
    }
    if (n_sorted > 0) {
        qsort(sorted, n_sorted, sizeof(struct dwarf_name *), compare_declarations);
        int r = qualify_sorted(names, sorted, n_sorted);
        if (r < 0) {
            return r;
        }
    }
    return keep_texts(names, all, n_names);
}
