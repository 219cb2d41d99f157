/* SPDX-License-Identifier: MIT */
#include "query/queueing_stack.h"

#include <string.h>

#include "query/query_names.h"
#include "query/stack_frames.h"

#define REPORTING_MAX_FRAMES 4u /* from inside of libstax-target to who called it */

bool queueing_stack_passes(const char *image)
{
    /* The C library, also of older ones (threads apart) and of musl. */
    static const char *const prefixes[] = {"libc.so",         "libc-2.",       "libpthread",
                                           "ld-linux",        "ld-musl",       "[vdso]",
                                           "libstax-target.", "libstax-nvtx.", "libstax-itt."};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncmp(image, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Of a program that libstax-target is linked into, its functions are code of the program. */
static stack_id without_reporting(const struct query_context *context, stack_id stack)
{
    stack_id rest = stack, at = stack;
    for (unsigned int i = 0; i < REPORTING_MAX_FRAMES && at != STACK_ID_EMPTY; i++) {
        struct stack_node node = snapshot_stack(context->snapshot, at);
        const char *name = query_names_find(context->names, context->snapshot, node.frame)->name;
        if (node.parent != STACK_ID_EMPTY &&
            (begins_with(name, "stax_origin_") || begins_with(name, "stax_span_") ||
             begins_with(name, "stax_builder_"))) {
            rest = node.parent;
        }
        at = node.parent;
    }
    return rest;
}

stack_id queueing_stack(const struct query_context *context, stack_id stack)
{
    const struct snapshot *snapshot = context->snapshot;
    for (stack_id at = stack; at != STACK_ID_EMPTY;) {
        struct stack_node node = snapshot_stack(snapshot, at);
        const struct image *image =
            snapshot_image(snapshot, snapshot_frame(snapshot, node.frame).image);
        if (image->kind != IMAGE_KIND_KERNEL && !queueing_stack_passes(image->name)) {
            return without_reporting(context, at);
        }
        at = node.parent;
    }
    return stack;
}

uint32_t queueing_stack_inner(const struct query_context *context, stack_id stack)
{
    stack_id rest = queueing_stack(context, stack);
    return rest == stack
               ? 0
               : (uint32_t)(stack_frames_count(context, stack) - stack_frames_count(context, rest));
}
