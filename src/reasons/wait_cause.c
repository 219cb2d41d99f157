/* SPDX-License-Identifier: MIT */
#include "reasons/wait_cause.h"

#include <stdbool.h>
#include <stdint.h>

#include "reasons/wait_name.h"
#include "reasons/wait_rules.h"

/* Wrappers of system calls stand at the inner end: behind a function of the vdso or of the part of
 * the C library that has no names, at most. */
#define WRAPPER_FRAMES_MAX 6

/* Where the function that waits is found at the inner end, and how far out somebody can have called
 * it for a purpose that it does not know itself. */
#define PRIMITIVE_FRAMES_MAX 24
#define PURPOSE_FRAMES_MAX WAIT_CAUSE_USER_FRAMES_MAX

/* A runtime that is known by a function that does much else has one frame without a name between it
 * and the frame that waits. */
#define NEAR_FRAMES 2

struct verdict {
    enum wait_reason reason;
    uint16_t accepts; /* which answers are awaited; 0: any */
    bool is_asking;   /* 'reason' stands if nobody answers */
    bool asks_call;
    bool asks_user;
    bool is_decided;
};

/* How much the frame at 'site' tells; of equal ones the innermost is kept. */
enum site_grade { GRADE_NONE, GRADE_MEANS, GRADE_CALL, GRADE_MEANS_THAT_SAYS, GRADE_SITE };

struct site {
    size_t index;
    enum site_grade grade;
};

static void offer_site(struct site *site, size_t index, enum site_grade grade)
{
    if (grade > site->grade) {
        *site = (struct site){.index = index, .grade = grade};
    }
}

static void hear(struct verdict *verdict, const struct wait_rule *rule)
{
    if (rule->word == WAIT_WORD_NOTHING || verdict->is_decided) {
        return;
    }
    if (rule->word == WAIT_WORD_REASON) {
        bool is_call = rule->space == WAIT_SPACE_CALL;
        if (!verdict->is_asking ||
            ((verdict->accepts & (1u << rule->reason)) != 0 && (!is_call || verdict->asks_call))) {
            verdict->reason = rule->reason;
            verdict->is_decided = true;
        }
        return;
    }
    if (verdict->is_asking) {
        return;
    }
    verdict->reason = rule->reason;
    verdict->accepts = rule->accepts;
    verdict->is_asking = true;
    verdict->asks_call = rule->word == WAIT_WORD_ASK_CALL;
    verdict->asks_user = rule->word == WAIT_WORD_ASK_USER;
    verdict->is_decided = verdict->asks_user; /* By the frames of the kernel, that is. */
}

static enum site_grade grade_of(const struct wait_rule *rule)
{
    switch ((enum wait_sight)rule->sight) {
    case WAIT_SIGHT_SITE:
        return GRADE_SITE;
    case WAIT_SIGHT_MEANS:
        return rule->word == WAIT_WORD_NOTHING ? GRADE_MEANS : GRADE_MEANS_THAT_SAYS;
    default:
        return GRADE_NONE;
    }
}

static void read_kernel(const struct wait_names *stack, size_t n_kernel, struct verdict *verdict,
                        struct site *site)
{
    for (size_t i = 0; i < n_kernel; i++) {
        if (verdict->is_decided && site->grade == GRADE_SITE) {
            return;
        }
        struct wait_name name;
        struct wait_name call;
        if (!wait_name_of_kernel(stack->names[i], &name)) {
            continue;
        }
        const struct wait_rule *rule = wait_rule_of_kernel(&name);
        if (rule != NULL) {
            hear(verdict, rule);
            offer_site(site, i, grade_of(rule));
        } else if (wait_name_of_call(&name, &call)) {
            rule = wait_rule_of_call(&call);
            if (rule != NULL) {
                hear(verdict, rule);
            }
            offer_site(site, i, GRADE_CALL);
        } else {
            /* A function that no rule knows waits for something that it alone knows. */
            offer_site(site, i, GRADE_SITE);
        }
    }
}

/* Which wrapper of a system call stands at the inner end of the user frames: its rule, or NULL. */
static const struct wait_rule *wrapper_rule(const struct wait_names *stack, size_t index)
{
    struct wait_name name;
    struct wait_name call;
    if (!wait_name_of_user(stack->names[index], &name) || !wait_name_of_wrapper(&name, &call)) {
        return NULL;
    }
    return wait_rule_of_call(&call);
}

static size_t limited(size_t begin, size_t n_frames, size_t end)
{
    return end - begin < n_frames ? end : begin + n_frames;
}

/*
 * The rule of the user frame that says for what it waits, and the index of the innermost frame that
 * says anything. NULL where none does.
 */
static const struct wait_rule *judge_user(const struct wait_names *stack, size_t n_kernel,
                                          bool over_ready, size_t *ret_index)
{
    const struct wait_rule *best = NULL;
    size_t last_named = SIZE_MAX;
    size_t last_primitive = 0;
    size_t end = limited(n_kernel, PURPOSE_FRAMES_MAX, stack->n_names);
    for (size_t i = n_kernel; i < end; i++) {
        struct wait_name name;
        if (best == NULL && !over_ready && i - n_kernel >= PRIMITIVE_FRAMES_MAX) {
            return NULL;
        }
        if (!wait_name_of_user(stack->names[i], &name)) {
            continue;
        }
        const struct wait_rule *rule = wait_rule_of_user(&name);
        bool is_near = last_named == last_primitive && i - last_named <= NEAR_FRAMES;
        last_named = i;
        if (rule == NULL || (over_ready && !rule->over_ready) || (rule->is_near && !is_near)) {
            continue;
        }
        if (rule->rank == WAIT_RANK_PRIMITIVE) {
            last_primitive = i;
        }
        if (best != NULL && rule->rank <= best->rank) {
            continue;
        }
        *ret_index = best == NULL ? i : *ret_index;
        best = rule;
        if (rule->rank == WAIT_RANK_FINAL) {
            break;
        }
    }
    return best;
}

/* What the kernel did not decide, the wrapper at the inner end of the user frames may. */
static void read_wrapper(const struct wait_names *stack, size_t n_kernel, struct verdict *verdict,
                         struct site *site)
{
    size_t end = limited(n_kernel, WRAPPER_FRAMES_MAX, stack->n_names);
    for (size_t i = n_kernel; i < end; i++) {
        struct wait_name name;
        const struct wait_rule *rule = wrapper_rule(stack, i);
        if (rule != NULL) {
            hear(verdict, rule);
            offer_site(site, i, GRADE_CALL);
            return;
        }
        if (!verdict->is_asking && wait_name_of_user(stack->names[i], &name) &&
            wait_rule_of_user(&name) != NULL) {
            /* A lock or the like, of which the call itself is not seen. */
            verdict->asks_user = true;
            return;
        }
    }
    verdict->asks_user = !verdict->is_asking;
}

struct wait_cause wait_cause_decide(const struct wait_names *stack)
{
    size_t n_kernel = stack->n_kernel < stack->n_names ? stack->n_kernel : stack->n_names;
    struct verdict verdict = {.reason = WAIT_REASON_OTHER};
    struct site site = {.index = stack->n_names};
    read_kernel(stack, n_kernel, &verdict, &site);
    if (!verdict.is_decided) {
        read_wrapper(stack, n_kernel, &verdict, &site);
    }

    size_t index = stack->n_names;
    const struct wait_rule *rule = NULL;
    if (verdict.asks_user) {
        rule = judge_user(stack, n_kernel, false, &index);
    } else if (verdict.reason == WAIT_REASON_READY) {
        rule = judge_user(stack, n_kernel, true, &index);
    }
    if (rule != NULL) {
        verdict.reason = rule->reason;
        offer_site(&site, index, GRADE_MEANS);
    }
    return (struct wait_cause){.reason = verdict.reason, .site = site.index};
}
