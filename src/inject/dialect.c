/* SPDX-License-Identifier: MIT */
#include "inject/dialect.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inject/kept_text.h"
#include "inject/thread_names.h"

#define DOMAINS_MAX 256u
#define THREAD_DOMAINS_MAX 64u
#define THREAD_LANES_MAX 128u /* for threads whose number is in the name of their lane */
#define TEXT_UNNAMED "(unnamed)"
#define TEXT_TOO_DEEP "(not followed: nested too deep)"
#define TEXT_TOO_MANY "(not followed: too many are open)"

/* A lane id, and the version of names for which it was made (see thread_names.h), in one word. */
typedef uint64_t lane_word;

struct dialect_domain {
    struct dialect_domain *next;
    const char *name;
    lane_word ranges_lane, counters_lane;
};

/* What is open of one domain in one thread. */
struct nest {
    struct nest *next;
    const struct dialect_domain *domain;
    stax_lane lane;
    uint32_t version; /* of names, for which the lane was made; 0: none was */
    uint32_t depth;   /* may be more than are followed */
    struct range ranges[DIALECT_DEPTH_MAX];
};

struct thread_state {
    uint32_t tid;
    uint32_t n_nests;
    enum { LABEL_UNKNOWN, LABEL_OWN, LABEL_OTHERS } label; /* where it is the tid */
    struct nest *nests;
};

static struct dialect_domain *domains;
static uint32_t n_domains;
static struct dialect_domain other_domain = {.name = "(other)"};

static __thread struct thread_state *current;
static pthread_key_t thread_end_key;
static bool has_thread_end_key;

static void free_state(void *data)
{
    struct thread_state *state = data;
    thread_names_set(state->tid, "");
    while (state->nests) {
        struct nest *nest = state->nests;
        state->nests = nest->next;
        free(nest);
    }
    free(state);
    current = NULL;
}

/* What is open was begun by the parent, and is reported there. */
static void forget_parent(void)
{
    struct thread_state *state = current;
    uint32_t tid = (uint32_t)gettid();
    thread_names_forked(state ? state->tid : 0, tid);
    open_ranges_clear();
    if (!state) {
        return;
    }
    state->tid = tid;
    for (struct nest *nest = state->nests; nest; nest = nest->next) {
        for (uint32_t i = 0; i < nest->depth && i < DIALECT_DEPTH_MAX; i++) {
            nest->ranges[i].span.start_ns = 0;
        }
    }
}

static void start_once(void)
{
    has_thread_end_key = pthread_key_create(&thread_end_key, free_state) == 0;
    (void)pthread_atfork(NULL, NULL, forget_parent);
}

/* The lane that `word` remembers, made anew where names have changed since. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the atomic store writes it */
static stax_lane find_lane(lane_word *word, const char *domain, const char *what)
{
    uint32_t version = thread_names_version();
    lane_word known = __atomic_load_n(word, __ATOMIC_RELAXED);
    if ((uint32_t)(known >> 32) != version) {
        char name[KEPT_TEXT_BYTES];
        snprintf(name, sizeof(name), "%s %s", domain, what);
        known = (lane_word)version << 32 | stax_lane_new(name).id;
        __atomic_store_n(word, known, __ATOMIC_RELAXED);
    }
    return (stax_lane){.id = (uint32_t)known};
}

static stax_lane find_ranges_lane(struct dialect_domain *domain)
{
    return find_lane(&domain->ranges_lane, domain->name, "ranges");
}

void dialect_start(const char *default_domain)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, start_once);
    (void)find_ranges_lane(dialect_domain(default_domain));
}

static struct dialect_domain *find_domain(struct dialect_domain *first, const char *name)
{
    while (first && strcmp(first->name, name) != 0) {
        first = first->next;
    }
    return first;
}

struct dialect_domain *dialect_domain(const char *name)
{
    const char *kept = kept_text(name);
    if (!kept) {
        return &other_domain;
    }
    struct dialect_domain *first = __atomic_load_n(&domains, __ATOMIC_ACQUIRE);
    struct dialect_domain *known = find_domain(first, kept);
    if (known) {
        return known;
    }
    if (__atomic_add_fetch(&n_domains, 1, __ATOMIC_RELAXED) > DOMAINS_MAX) {
        __atomic_sub_fetch(&n_domains, 1, __ATOMIC_RELAXED);
        return &other_domain;
    }
    struct dialect_domain *domain = calloc(1, sizeof(*domain));
    if (!domain) {
        __atomic_sub_fetch(&n_domains, 1, __ATOMIC_RELAXED);
        return &other_domain;
    }
    domain->name = kept;
    do {
        known = find_domain(first, kept); /* by another thread meanwhile */
        if (known) {
            free(domain);
            __atomic_sub_fetch(&n_domains, 1, __ATOMIC_RELAXED);
            return known;
        }
        domain->next = first;
    } while (!__atomic_compare_exchange_n(&domains, &first, domain, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    return domain;
}

static struct thread_state *get_state(void)
{
    if (!current && has_thread_end_key) {
        struct thread_state *state = calloc(1, sizeof(*state));
        if (state) {
            state->tid = (uint32_t)gettid();
            if (pthread_setspecific(thread_end_key, state) != 0) {
                free(state);
                return NULL;
            }
            current = state;
        }
    }
    return current;
}

static struct nest *find_nest(const struct dialect_domain *domain)
{
    struct nest *nest = current ? current->nests : NULL;
    while (nest && nest->domain != domain) {
        nest = nest->next;
    }
    return nest;
}

static struct nest *get_nest(const struct dialect_domain *domain)
{
    struct nest *nest = find_nest(domain);
    struct thread_state *state = nest ? NULL : get_state();
    if (nest || !state || state->n_nests == THREAD_DOMAINS_MAX) {
        return nest;
    }
    nest = calloc(1, sizeof(*nest));
    if (nest) {
        nest->domain = domain;
        nest->next = state->nests;
        state->nests = nest;
        state->n_nests++;
    }
    return nest;
}

/* A program that starts thread after thread would use up the lanes of all others. */
static void make_label(struct thread_state *state, char ret_label[static THREAD_LABEL_BYTES])
{
    static uint32_t n_labels;
    if (thread_names_label(state->tid, ret_label)) {
        return;
    }
    if (state->label == LABEL_UNKNOWN) {
        uint32_t n = __atomic_add_fetch(&n_labels, 1, __ATOMIC_RELAXED);
        state->label = n <= THREAD_LANES_MAX ? LABEL_OWN : LABEL_OTHERS;
    }
    if (state->label == LABEL_OTHERS) {
        snprintf(ret_label, THREAD_LABEL_BYTES, "other threads");
    }
}

/* Only what is recorded makes a lane: not every thread that ever ran. */
static stax_lane find_thread_lane(struct nest *nest)
{
    uint32_t version = thread_names_version();
    if (nest->version != version) {
        char label[THREAD_LABEL_BYTES];
        char name[KEPT_TEXT_BYTES];
        make_label(current, label);
        /* Of a long domain's name the begin, so that the thread's is always there. */
        snprintf(name, sizeof(name), "%.*s: %s", KEPT_TEXT_BYTES - THREAD_LABEL_BYTES - 3,
                 nest->domain->name, label);
        nest->lane = stax_lane_new(name);
        nest->version = version;
    }
    return nest->lane;
}

static const char *name_of(const char *text)
{
    return text && text[0] != '\0' ? text : TEXT_UNNAMED;
}

/* The name of something that happens now in the thread, inside of what is open. */
static stax_name_id find_name(const struct nest *nest, uint32_t depth, const char *text)
{
    const char *name = name_of(text);
    const struct range *outer = depth > 0 ? &nest->ranges[depth - 1] : NULL;
    return outer && outer->span.start_ns != 0 ? stax_name_inside(outer->span.name, name)
                                              : stax_name(name);
}

static void begin(struct range *range, stax_lane lane, stax_name_id name)
{
    range->span.lane = lane;
    range->span.name = name;
    /* Last, so that what was done here is no part of the range. */
    range->span.origin = stax_origin_capture(lane);
    range->span.start_ns = range->span.origin.time_ns;
}

static void report_moment(stax_lane lane, stax_name_id name, const struct range_facts *facts)
{
    struct range range = {.span = {.start_ns = 0}};
    if (facts) {
        range.facts = *facts;
    }
    begin(&range, lane, name);
    range_report(&range, range.span.start_ns);
}

int dialect_push(struct dialect_domain *domain, const char *text, const struct range_facts *facts)
{
    struct nest *nest = get_nest(domain);
    if (!nest || nest->depth == INT32_MAX) {
        return -1;
    }
    bool is_recorded = stax_recording_active();
    uint32_t depth = nest->depth++;
    if (depth >= DIALECT_DEPTH_MAX) {
        if (is_recorded) {
            report_moment(find_thread_lane(nest), stax_name(TEXT_TOO_DEEP), NULL);
        }
        return (int)depth;
    }
    struct range *range = &nest->ranges[depth];
    range->span.start_ns = 0;
    if (is_recorded) {
        if (facts) {
            range->facts = *facts;
        } else {
            range->facts.n_counters = 0;
            memset(range->facts.id, 0, sizeof(range->facts.id));
        }
        begin(range, find_thread_lane(nest), find_name(nest, depth, text));
    }
    return (int)depth;
}

int dialect_pop(struct dialect_domain *domain)
{
    struct nest *nest = find_nest(domain);
    if (!nest || nest->depth == 0) {
        return -1;
    }
    uint32_t depth = --nest->depth;
    if (depth < DIALECT_DEPTH_MAX && nest->ranges[depth].span.start_ns != 0) {
        range_report(&nest->ranges[depth], stax_now_ns());
    }
    return (int)depth;
}

struct range_facts *dialect_innermost(struct dialect_domain *domain)
{
    struct nest *nest = find_nest(domain);
    if (!nest || nest->depth == 0 || nest->depth > DIALECT_DEPTH_MAX) {
        return NULL;
    }
    struct range *range = &nest->ranges[nest->depth - 1];
    return range->span.start_ns != 0 ? &range->facts : NULL;
}

void dialect_mark(struct dialect_domain *domain, const char *text, const struct range_facts *facts)
{
    struct nest *nest = stax_recording_active() ? get_nest(domain) : NULL;
    if (nest) {
        uint32_t depth = nest->depth < DIALECT_DEPTH_MAX ? nest->depth : DIALECT_DEPTH_MAX;
        report_moment(find_thread_lane(nest), find_name(nest, depth, text), facts);
    }
}

void dialect_open(struct dialect_domain *domain, const struct open_key *key, const char *text,
                  const struct range_facts *facts)
{
    if (!stax_recording_active()) {
        return; /* its end will find nothing */
    }
    struct range range = {.span = {.start_ns = 0}};
    if (facts) {
        range.facts = *facts;
    }
    stax_lane lane = find_ranges_lane(domain);
    begin(&range, lane, stax_name(name_of(text)));
    if (!open_ranges_put(key, &range)) {
        report_moment(lane, stax_name(TEXT_TOO_MANY), NULL);
    }
}

void dialect_close(const struct open_key *key)
{
    if (!open_ranges_any()) {
        return; /* begun while nobody recorded: it costs next to nothing */
    }
    uint64_t now_ns = stax_now_ns();
    struct range range;
    if (open_ranges_take(key, &range)) {
        range_report(&range, now_ns);
    }
}

void dialect_report(struct dialect_domain *domain, const char *text, uint64_t start_ns,
                    uint64_t end_ns)
{
    if (stax_recording_active()) {
        stax_lane lane = find_ranges_lane(domain);
        stax_span_report_named(lane, stax_name(name_of(text)), start_ns, end_ns,
                               stax_origin_capture(lane));
    }
}

void dialect_count(struct dialect_domain *domain, const char *name, double value)
{
    if (!stax_recording_active()) {
        return;
    }
    struct range_facts facts = {.n_counters = 0};
    range_add_counter(&facts, name, value);
    report_moment(find_lane(&domain->counters_lane, domain->name, "counters"), stax_name(name),
                  &facts);
}

void dialect_name_thread(uint32_t tid, const char *name)
{
    struct thread_state *state = tid == 0 ? get_state() : NULL;
    /* A thread that names itself takes its name away when it ends. */
    thread_names_set(state ? state->tid : tid, name);
}
