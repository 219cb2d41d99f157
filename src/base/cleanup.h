/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cleanup - destructors that run when a variable leaves its scope
 *
 * `_cleanup_(stack_table_freep) struct stack_table *table = NULL;` frees the
 * table on every way out of the block; TAKE_PTR(table) hands it to the caller
 * instead. Every noun_free() of the tree accepts NULL and returns NULL.
 *
 * Owner:   the variable, until TAKE_PTR()/TAKE_FD() moves its value out.
 * Threads: any.
 */

#include <stdlib.h>

#define _cleanup_(function) __attribute__((cleanup(function)))

/* Evaluates to the pointer and leaves NULL behind. */
#define TAKE_PTR(pointer)                                                                          \
    ({                                                                                             \
        __typeof__(pointer) *take_from_ = &(pointer);                                              \
        __typeof__(pointer) taken_ = *take_from_;                                                  \
        *take_from_ = NULL;                                                                        \
        taken_;                                                                                    \
    })

/* Evaluates to the descriptor and leaves -1 behind. */
#define TAKE_FD(descriptor)                                                                        \
    ({                                                                                             \
        int *take_from_ = &(descriptor);                                                           \
        int taken_ = *take_from_;                                                                  \
        *take_from_ = -1;                                                                          \
        taken_;                                                                                    \
    })

/* Defines noun_freep() for _cleanup_() from noun_free(). */
#define DEFINE_FREEP(noun)                                                                         \
    static inline void noun##_freep(struct noun **pointer)                                         \
    {                                                                                              \
        *pointer = noun##_free(*pointer);                                                          \
    }                                                                                              \
    struct noun

/* Defines noun_releasep() for _cleanup_() on a struct in the caller's memory. */
#define DEFINE_RELEASEP(noun)                                                                      \
    static inline void noun##_releasep(struct noun *object)                                        \
    {                                                                                              \
        noun##_release(object);                                                                    \
    }                                                                                              \
    struct noun

/* For memory from malloc(): `_cleanup_(freep) char *name = NULL;`. */
static inline void freep(void *pointer)
{
    free(*(void **)pointer);
}
