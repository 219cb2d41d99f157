/* SPDX-License-Identifier: MIT */
/*
 * An address means something only in the address space of its moment: it is
 * turned into (image, offset) here, once, and never looked at again. Samples
 * whose raw addresses were seen before in the same state of the address space
 * take a short cut by hash; 64 bits of it make a mix-up less likely than a bit
 * flip in memory.
 */
#include "aggregate/stack_resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Whose addresses, and when: what they mean depends on it. */
struct moment {
    int64_t pid;
    uint64_t time_ns;
};

static int note_seen(struct aggregate *aggregate, image_id image)
{
    if (image >= aggregate->image_is_seen_capacity) {
        size_t capacity = 2 * (size_t)image + 64;
        bool *seen = realloc(aggregate->image_is_seen, capacity * sizeof(*seen));
        if (!seen) {
            return -ENOMEM;
        }
        memset(seen + aggregate->image_is_seen_capacity, 0,
               (capacity - aggregate->image_is_seen_capacity) * sizeof(*seen));
        aggregate->image_is_seen = seen;
        aggregate->image_is_seen_capacity = capacity;
    }
    if (!aggregate->image_is_seen[image]) {
        aggregate->image_is_seen[image] = true;
        if (aggregate->config.listener.on_image_seen) {
            aggregate->config.listener.on_image_seen(aggregate->config.listener.userdata, image);
        }
    }
    return 0;
}

/* Code without a file can be other code at another time, and in another process at any time. */
static uint32_t epoch_of(struct aggregate *aggregate, const struct moment *moment, image_id image)
{
    if (image == IMAGE_ID_UNKNOWN) {
        return code_epochs_now(aggregate->code_epochs, moment->pid, moment->time_ns);
    }
    return image_table_get(aggregate->images, image)->kind == IMAGE_KIND_ANONYMOUS
               ? code_epochs_begin(aggregate->code_epochs, moment->pid, moment->time_ns)
               : 0;
}

static struct frame place_of(struct aggregate *aggregate, const struct moment *moment, uint64_t ip,
                             bool is_kernel)
{
    if (is_kernel) {
        return (struct frame){.image = IMAGE_ID_KERNEL, .offset = ip};
    }
    struct image_place place = image_map_find(aggregate->map, moment->pid, ip);
    return (struct frame){
        .image = place.image,
        .code_epoch = epoch_of(aggregate, moment, place.image),
        .offset = place.offset,
    };
}

/* Returns the number of frames that the stack really has, or a negative errno. */
static int resolve_ips(struct aggregate *aggregate, const struct moment *moment,
                       const struct event_stack *stack, frame_id *frames)
{
    uint32_t n_ips = stack->n_ips, n_kernel_ips = stack->n_kernel_ips;
    if (n_ips > LIMIT_STACK_IPS) {
        n_ips = LIMIT_STACK_IPS;
    }
    for (uint32_t i = 0; i < n_ips; i++) {
        /*
         * A return address lies behind its call, which can be the last
         * instruction of the caller; one byte before it is inside for sure.
         */
        bool is_innermost = i == 0 || i == n_kernel_ips;
        uint64_t ip = stack->ips[i] - (is_innermost ? 0 : 1);
        struct frame frame = place_of(aggregate, moment, ip, i < n_kernel_ips);
        bool is_walked = stack->source == EVENT_STACK_WALKED;
        if (frame.image == IMAGE_ID_UNKNOWN && !is_innermost && !is_walked) {
            /*
             * Nothing executable is mapped there: the frame-pointer chain went
             * through a register that held something else. What it found from
             * here on is no caller of anything.
             */
            return (int)i;
        }
        int r = note_seen(aggregate, frame.image);
        r = r ? r : frame_table_intern(aggregate->frames, frame, &frames[i]);
        if (r != 0) {
            return r;
        }
    }
    return (int)n_ips;
}

int stack_resolve(struct aggregate *aggregate, int64_t pid, uint64_t time_ns,
                  const struct event_stack *stack, struct resolved_stack *ret_stack)
{
    uint32_t n_ips = stack->n_ips, n_kernel_ips = stack->n_kernel_ips;
    uint64_t is_walked = stack->source == EVENT_STACK_WALKED;
    *ret_stack = (struct resolved_stack){
        .stack = STACK_ID_EMPTY,
        .is_cut = stack->is_truncated || (is_walked && stack->end != EVENT_STACK_END_COMPLETE),
    };
    if (n_ips == 0) {
        return 0;
    }
    uint64_t generation = image_map_generation(aggregate->map, pid);
    uint64_t epoch = code_epochs_now(aggregate->code_epochs, pid, time_ns);
    uint64_t hash = hash_bytes(stack->ips, n_ips * sizeof(uint64_t)) ^
                    hash_u64(generation ^ epoch << 40 ^ is_walked << 63 ^
                             hash_u64((uint64_t)pid << 16 ^ n_kernel_ips));
    struct stack_cache_entry *entry = &aggregate->stack_cache[hash % STACK_CACHE_ENTRIES];
    if (entry->hash == hash && entry->stack != STACK_ID_EMPTY) {
        ret_stack->stack = entry->stack;
        ret_stack->is_cut |= entry->is_cut;
        return 0;
    }
    frame_id frames[LIMIT_STACK_IPS];
    const struct moment moment = {.pid = pid, .time_ns = time_ns};
    int n_frames = resolve_ips(aggregate, &moment, stack, frames);
    if (n_frames < 0) {
        return n_frames;
    }
    bool is_cut = (uint32_t)n_frames < n_ips;
    stack_id id;
    int r = stack_table_intern(aggregate->stacks, frames, (size_t)n_frames, &id);
    if (r == 0) {
        *entry = (struct stack_cache_entry){.hash = hash, .stack = id, .is_cut = is_cut};
        ret_stack->stack = id;
        ret_stack->is_cut |= is_cut;
    }
    return r;
}

stack_id stack_user_part(const struct aggregate *aggregate, stack_id stack)
{
    while (stack != STACK_ID_EMPTY) {
        struct stack_node node = stack_table_get(aggregate->stacks, stack);
        image_id image = frame_table_get(aggregate->frames, node.frame).image;
        if (image != IMAGE_ID_KERNEL && image != IMAGE_ID_NAMED) {
            break;
        }
        stack = node.parent;
    }
    return stack;
}

int stack_put_kernel(struct aggregate *aggregate, stack_id stack, const uint64_t *ips,
                     uint32_t n_ips, stack_id *ret_stack)
{
    stack_id base = stack_user_part(aggregate, stack);
    n_ips = n_ips < LIMIT_STACK_IPS ? n_ips : LIMIT_STACK_IPS;
    uint64_t hash = hash_bytes(ips, n_ips * sizeof(*ips)) ^ hash_u64(UINT64_C(1) << 62 ^ base);
    struct stack_cache_entry *entry = &aggregate->stack_cache[hash % STACK_CACHE_ENTRIES];
    if (entry->hash == hash && entry->stack != STACK_ID_EMPTY) {
        *ret_stack = entry->stack;
        return 0;
    }
    const struct event_stack top = {.ips = ips, .n_ips = n_ips, .n_kernel_ips = n_ips};
    const struct moment moment = {0};
    frame_id frames[LIMIT_STACK_IPS];
    int n_frames = resolve_ips(aggregate, &moment, &top, frames);
    if (n_frames < 0) {
        return n_frames;
    }
    int r = stack_table_extend(aggregate->stacks, base, frames, (size_t)n_frames, ret_stack);
    if (r == 0) {
        *entry = (struct stack_cache_entry){.hash = hash, .stack = *ret_stack};
    }
    return r;
}

int stack_put_site(struct aggregate *aggregate, stack_id stack, const char *site,
                   stack_id *ret_stack)
{
    uint32_t number;
    frame_id frame;
    int r = name_table_intern(&aggregate->sites, site, &number);
    if (r == 0) {
        const struct frame place = {.image = IMAGE_ID_NAMED, .offset = number};
        r = frame_table_intern(aggregate->frames, place, &frame);
    }
    return r ? r : stack_table_extend(aggregate->stacks, stack, &frame, 1, ret_stack);
}
