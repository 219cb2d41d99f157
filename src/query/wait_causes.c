/* SPDX-License-Identifier: MIT */
#include "query/wait_causes.h"

#include <errno.h>
#include <string.h>

#include "query/query_names.h"
#include "reasons/wait_cause.h"
#include "reasons/wait_object.h"

#define NAMES_FIRST_ROOM 256u
#define KERNEL_NAMES_ENOUGH 2u /* one alone is the place of a look */

/* The name is for the decision only, which knows the entries of every architecture. */
#define SYSCALL_ENTRY "__x64_sys_%s"

int wait_causes_init(const struct query_context *context, struct wait_causes *ret_causes)
{
    *ret_causes = (struct wait_causes){
        .context = context,
        .kept = query_names_causes(context->names),
    };
    hash_table_init(&ret_causes->passing_of);
    return 0;
}

void wait_causes_release(struct wait_causes *causes)
{
    hash_table_release(&causes->passing_of);
}

/* A copy in an array of n_room; what is outgrown stays in the arena. */
static void *grow(struct arena *arena, const void *items, size_t n_items, size_t n_room,
                  size_t item_bytes)
{
    void *grown = arena_alloc_array(arena, n_room, item_bytes);
    if (grown && n_items > 0) {
        memcpy(grown, items, n_items * item_bytes);
    }
    return grown;
}

static int put_name(struct wait_causes *causes, size_t at, const char *name, const char *image)
{
    if (at == causes->n_names_room) {
        size_t n_room = at > 0 ? 2 * at : NAMES_FIRST_ROOM;
        struct arena *arena = causes->context->arena;
        const char **names = grow(arena, causes->names, at, n_room, sizeof(*names));
        const char **images = grow(arena, causes->images, at, n_room, sizeof(*images));
        if (!names || !images) {
            return -ENOMEM;
        }
        causes->names = names;
        causes->images = images;
        causes->n_names_room = n_room;
    }
    causes->names[at] = name;
    causes->images[at] = image;
    return 0;
}

static bool is_kernel_frame(const struct query_context *context, frame_id frame)
{
    image_id image = snapshot_frame(context->snapshot, frame).image;
    return snapshot_image(context->snapshot, image)->kind == IMAGE_KIND_KERNEL;
}

/* By the names as they are now. */
static bool needs_object(const struct query_context *context, stack_id stack)
{
    size_t n_named = 0;
    while (stack != STACK_ID_EMPTY && n_named < KERNEL_NAMES_ENOUGH) {
        struct stack_node node = snapshot_stack(context->snapshot, stack);
        if (!is_kernel_frame(context, node.frame)) {
            break;
        }
        /* Where the host hides its names, "[kernel]+0x…" stands for them. */
        n_named += query_names_find(context->names, context->snapshot, node.frame)->name[0] != '[';
        stack = node.parent;
    }
    return n_named < KERNEL_NAMES_ENOUGH;
}

bool wait_causes_need_object(const struct query_context *context, stack_id stack)
{
    bool needs_call;
    return cause_cache_find(query_names_causes(context->names), stack, &needs_call)
               ? needs_call
               : needs_object(context, stack);
}

static const char *entry_of_syscall(const struct wait_causes *causes, uint32_t syscall)
{
    const char *name = syscall != EVENT_NO_SYSCALL ? wait_syscall_name(syscall) : NULL;
    return name ? arena_printf(causes->context->arena, SYSCALL_ENTRY, name) : NULL;
}

/*
 * Fills names and images as far out as they count. `entry` (may be NULL) goes behind the kernel's
 * names. Will all the names stay what they are?
 */
static int collect_names(struct wait_causes *causes, stack_id stack, const char *entry,
                         struct wait_names *ret_names, bool *ret_is_settled)
{
    const struct query_context *context = causes->context;
    size_t n = 0;
    bool is_in_kernel = true;
    *ret_is_settled = true;
    while (stack != STACK_ID_EMPTY &&
           (is_in_kernel || n - ret_names->n_kernel < WAIT_CAUSE_USER_FRAMES_MAX)) {
        struct stack_node node = snapshot_stack(context->snapshot, stack);
        if (is_in_kernel && !is_kernel_frame(context, node.frame)) {
            is_in_kernel = false;
            ret_names->n_kernel = n;
            int r = entry ? put_name(causes, n++, entry, "[kernel]") : 0;
            if (r != 0) {
                return r;
            }
            ret_names->n_kernel = n;
        }
        struct name_chain chain;
        if (!query_names_find_chain(context->names, context->snapshot, node.frame, &chain)) {
            *ret_is_settled = false;
        }
        for (uint32_t i = 0; i < chain.n_entries; i++) {
            const struct symbol *symbol = chain.entries[i].symbol;
            int r = put_name(causes, n++, symbol->name, symbol->image);
            if (r != 0) {
                return r;
            }
        }
        stack = node.parent;
    }
    if (is_in_kernel) {
        int r = entry ? put_name(causes, n++, entry, "[kernel]") : 0;
        if (r != 0) {
            return r;
        }
        ret_names->n_kernel = n;
    }
    ret_names->names = causes->names;
    ret_names->n_names = n;
    return 0;
}

static int decide(struct wait_causes *causes, stack_id stack, uint32_t syscall,
                  struct wait_cause_entry *ret_entry, bool *ret_is_settled)
{
    const char *entry_name = entry_of_syscall(causes, syscall);
    struct wait_names names = {0};
    int r = collect_names(causes, stack, entry_name, &names, ret_is_settled);
    if (r != 0) {
        return r;
    }
    struct wait_cause cause = wait_cause_decide(&names);
    *ret_entry = (struct wait_cause_entry){
        .reason = cause.reason,
        .site = "",
        .site_image = "",
        .site_frame = WAIT_CAUSE_NO_FRAME,
    };
    if (cause.site >= names.n_names) {
        return 0;
    }
    ret_entry->site = names.names[cause.site];
    ret_entry->site_image = causes->images[cause.site];
    ret_entry->site_frame = cause.site;
    if (entry_name && cause.site + 1 == names.n_kernel) {
        ret_entry->site = wait_syscall_name(syscall);
        ret_entry->site_frame = WAIT_CAUSE_NO_FRAME;
    } else if (entry_name && cause.site >= names.n_kernel) {
        ret_entry->site_frame--; /* the entry of the system call is none of the stack's frames */
    }
    return 0;
}

static uint64_t key_of(stack_id stack, uint32_t syscall)
{
    return (uint64_t)stack << 32 | syscall;
}

static const struct wait_cause_entry *find_passing(const struct wait_causes *causes, stack_id stack,
                                                   uint32_t syscall)
{
    uint32_t known = hash_table_find(&causes->passing_of, key_of(stack, syscall));
    return known != HASH_TABLE_NONE ? causes->passing[known] : NULL;
}

/* The same for the whole query, whatever names come in meanwhile. */
static const struct wait_cause_entry *put_passing(struct wait_causes *causes, stack_id stack,
                                                  uint32_t syscall,
                                                  const struct wait_cause_entry *wanted)
{
    struct arena *arena = causes->context->arena;
    uint32_t n = causes->n_passing;
    if (n == causes->n_passing_room) {
        uint32_t n_room = n > 0 ? 2 * n : NAMES_FIRST_ROOM;
        struct wait_cause_entry **grown =
            grow(arena, causes->passing, n, n_room, sizeof(struct wait_cause_entry *));
        if (!grown) {
            return NULL;
        }
        causes->passing = grown;
        causes->n_passing_room = n_room;
    }
    struct wait_cause_entry *entry = arena_alloc(arena, sizeof(*entry));
    if (!entry || hash_table_add(&causes->passing_of, key_of(stack, syscall), n) != 0) {
        return NULL;
    }
    *entry = *wanted;
    causes->passing[causes->n_passing++] = entry;
    return entry;
}

static const struct wait_cause_entry *get_plain(struct wait_causes *causes, stack_id stack)
{
    bool needs_call, is_settled;
    const struct wait_cause_entry *known = find_passing(causes, stack, EVENT_NO_SYSCALL);
    known = known ? known : cause_cache_find(causes->kept, stack, &needs_call);
    struct wait_cause_entry entry;
    if (known || decide(causes, stack, EVENT_NO_SYSCALL, &entry, &is_settled) != 0) {
        return known;
    }
    if (is_settled) {
        needs_call = needs_object(causes->context, stack);
        known = cause_cache_put(causes->kept, stack, &entry, needs_call);
    }
    return known ? known : put_passing(causes, stack, EVENT_NO_SYSCALL, &entry);
}

static const struct wait_cause_entry *get_with_syscall(struct wait_causes *causes, stack_id stack,
                                                       uint32_t syscall)
{
    bool is_settled;
    const struct wait_cause_entry *known = find_passing(causes, stack, syscall);
    known = known ? known : cause_cache_find_call(causes->kept, stack, syscall);
    struct wait_cause_entry entry;
    if (known || decide(causes, stack, syscall, &entry, &is_settled) != 0) {
        return known;
    }
    if (is_settled) {
        /* With it comes that a system call takes part. */
        (void)get_plain(causes, stack);
        known = cause_cache_put_call(causes->kept, stack, syscall, &entry);
    }
    return known ? known : put_passing(causes, stack, syscall, &entry);
}

const struct wait_cause_entry *wait_causes_get(struct wait_causes *causes, stack_id stack,
                                               wait_object_id object)
{
    const struct query_context *context = causes->context;
    if (object != 0 && wait_causes_need_object(context, stack)) {
        uint32_t syscall = snapshot_wait_object(context->snapshot, object).syscall;
        if (wait_syscall_name(syscall)) {
            return get_with_syscall(causes, stack, syscall);
        }
    }
    return get_plain(causes, stack);
}
