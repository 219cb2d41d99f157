/* SPDX-License-Identifier: MIT */
#include "inject/itt_functions.h"

#include <string.h>

#include "inject/dialect.h"
#include "inject/kept_text.h"

#define COUNTERS_MAX 1024u

/* A handle that the program made before the library came is not one of these. */
struct itt_counter {
    uint32_t is_set;
    int kind; /* enum itt_number_kind of values that are set */
    struct dialect_domain *domain;
    const char *name;
    int64_t sum;
};

static struct itt_counter counters[COUNTERS_MAX];
static uint32_t n_counters;

bool itt_read_number(int kind, const void *data, double *ret_value)
{
    union {
        uint64_t u64;
        int64_t s64;
        uint32_t u32;
        int32_t s32;
        uint16_t u16;
        int16_t s16;
        float real32;
        double real;
    } number;
    static const size_t sizes[] = {
        [ITT_NUMBER_U64] = 8, [ITT_NUMBER_S64] = 8, [ITT_NUMBER_U32] = 4,   [ITT_NUMBER_S32] = 4,
        [ITT_NUMBER_U16] = 2, [ITT_NUMBER_S16] = 2, [ITT_NUMBER_FLOAT] = 4, [ITT_NUMBER_DOUBLE] = 8,
    };
    if (!data || kind <= ITT_NUMBER_NONE || kind > ITT_NUMBER_DOUBLE) {
        return false;
    }
    memcpy(&number, data, sizes[kind]);
    switch ((enum itt_number_kind)kind) {
    case ITT_NUMBER_U64:
        *ret_value = (double)number.u64;
        break;
    case ITT_NUMBER_S64:
        *ret_value = (double)number.s64;
        break;
    case ITT_NUMBER_U32:
        *ret_value = number.u32;
        break;
    case ITT_NUMBER_S32:
        *ret_value = number.s32;
        break;
    case ITT_NUMBER_U16:
        *ret_value = number.u16;
        break;
    case ITT_NUMBER_S16:
        *ret_value = number.s16;
        break;
    case ITT_NUMBER_FLOAT:
        *ret_value = (double)number.real32;
        break;
    case ITT_NUMBER_DOUBLE:
    case ITT_NUMBER_NONE:
        *ret_value = number.real;
        break;
    }
    return true;
}

static bool is_counter(const struct itt_counter *counter, const struct dialect_domain *domain,
                       const char *name)
{
    return __atomic_load_n(&counter->is_set, __ATOMIC_ACQUIRE) && counter->domain == domain &&
           counter->name == name;
}

/* Two threads that make the same one at once may make two; both are reported by the same name. */
static struct itt_counter *get_counter(struct dialect_domain *domain, const char *name, int kind)
{
    const char *kept = kept_text(name);
    uint32_t n = __atomic_load_n(&n_counters, __ATOMIC_RELAXED);
    for (uint32_t i = 0; kept && i < n && i < COUNTERS_MAX; i++) {
        if (is_counter(&counters[i], domain, kept)) {
            return &counters[i];
        }
    }
    if (!kept || n >= COUNTERS_MAX) {
        return NULL;
    }
    n = __atomic_fetch_add(&n_counters, 1, __ATOMIC_RELAXED);
    if (n >= COUNTERS_MAX) {
        __atomic_sub_fetch(&n_counters, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    struct itt_counter *counter = &counters[n];
    counter->domain = domain;
    counter->name = kept;
    counter->kind = kind;
    __atomic_store_n(&counter->is_set, 1, __ATOMIC_RELEASE);
    return counter;
}

/* Ours, and made. */
static bool is_known(const struct itt_counter *counter)
{
    uintptr_t first = (uintptr_t)counters, at = (uintptr_t)counter;
    return at >= first && at < first + sizeof(counters) && (at - first) % sizeof(*counter) == 0 &&
           __atomic_load_n(&counter->is_set, __ATOMIC_ACQUIRE);
}

static void add(struct itt_counter *counter, int64_t delta)
{
    if (is_known(counter)) {
        int64_t sum = __atomic_add_fetch(&counter->sum, delta, __ATOMIC_RELAXED);
        dialect_count(counter->domain, counter->name, (double)sum);
    }
}

struct itt_counter *itt_counter_create(const char *name, const char *domain)
{
    return itt_counter_create_typed(name, domain, ITT_NUMBER_U64);
}

struct itt_counter *itt_counter_create_typed(const char *name, const char *domain, int kind)
{
    return name ? get_counter(dialect_domain(domain ? domain : ITT_DEFAULT_DOMAIN), name, kind)
                : NULL;
}

void itt_counter_destroy(struct itt_counter *counter)
{
    (void)counter; /* another of the same name is the same */
}

void itt_counter_inc(struct itt_counter *counter)
{
    add(counter, 1);
}

void itt_counter_inc_delta(struct itt_counter *counter, unsigned long long delta)
{
    add(counter, (int64_t)delta);
}

void itt_counter_dec(struct itt_counter *counter)
{
    add(counter, -1);
}

void itt_counter_dec_delta(struct itt_counter *counter, unsigned long long delta)
{
    add(counter, (int64_t)-delta);
}

void itt_counter_set_value(struct itt_counter *counter, void *value)
{
    double number;
    if (is_known(counter) && itt_read_number(counter->kind, value, &number)) {
        dialect_count(counter->domain, counter->name, number);
    }
}

void itt_counter_set_value_ex(struct itt_counter *counter, struct itt_clock *clock,
                              unsigned long long time, void *value)
{
    (void)clock;
    (void)time;
    itt_counter_set_value(counter, value);
}

static void add_named(const struct itt_domain *domain, const struct itt_string *name, int64_t delta)
{
    if (name && name->text) {
        add(get_counter(itt_domain_of(domain), name->text, ITT_NUMBER_S64), delta);
    }
}

void itt_counter_inc_v3(const struct itt_domain *domain, struct itt_string *name)
{
    add_named(domain, name, 1);
}

void itt_counter_inc_delta_v3(const struct itt_domain *domain, struct itt_string *name,
                              unsigned long long delta)
{
    add_named(domain, name, (int64_t)delta);
}

void itt_counter_dec_v3(const struct itt_domain *domain, struct itt_string *name)
{
    add_named(domain, name, -1);
}

void itt_counter_dec_delta_v3(const struct itt_domain *domain, struct itt_string *name,
                              unsigned long long delta)
{
    add_named(domain, name, (int64_t)-delta);
}
