/* SPDX-License-Identifier: MIT */
#include "inject/open_ranges.h"

#include <stddef.h>

#define WINDOW 128u /* places in which a key may lie: so many may be open with the same one */
#define KEY_WORDS (sizeof(((struct open_key *)NULL)->words) / sizeof(uint64_t))

/* In the low bits of a place's state; above them is how often the place was freed. */
enum place_state {
    PLACE_FREE,
    PLACE_TAKEN, /* by the one that reads or writes it */
    PLACE_OPEN,
    PLACE_STATES
};

struct place {
    struct open_key key;
    struct range range;
};

/* Apart from what they are of: most of a search is a look at these. */
static uint64_t states[OPEN_RANGES_MAX];
static struct place places[OPEN_RANGES_MAX];
static uint32_t n_open;

_Static_assert((OPEN_RANGES_MAX & (OPEN_RANGES_MAX - 1)) == 0, "a hash is cut by a mask");

static uint32_t hash_key(const struct open_key *key)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < KEY_WORDS; i++) {
        /* The finalizer of splitmix64 (Steele, Lea, Flood 2014), word by word. */
        hash = (hash ^ key->words[i]) + UINT64_C(0x9e3779b97f4a7c15);
        hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
        hash ^= hash >> 31;
    }
    return (uint32_t)hash;
}

/* To another state; false where somebody else has changed it since `from` was read. */
static bool change(uint32_t at, uint64_t from, enum place_state to)
{
    uint64_t wanted = from - from % PLACE_STATES + to;
    return __atomic_compare_exchange_n(&states[at], &from, wanted, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

/* By the one that has taken it, when it was `from`. */
static void give_back(uint32_t at, uint64_t from, enum place_state to)
{
    uint64_t round = from - from % PLACE_STATES;
    uint64_t wanted = to == PLACE_FREE ? round + PLACE_STATES : round + to;
    __atomic_store_n(&states[at], wanted, __ATOMIC_RELEASE);
}

/* What is read here counts only if the place's state is then still the same. */
static bool has_key(const struct place *place, const struct open_key *key)
{
    bool is_same = true;
    for (size_t i = 0; i < KEY_WORDS; i++) {
        is_same =
            is_same && __atomic_load_n(&place->key.words[i], __ATOMIC_RELAXED) == key->words[i];
    }
    return is_same;
}

static void set_key(struct place *place, const struct open_key *key)
{
    for (size_t i = 0; i < KEY_WORDS; i++) {
        __atomic_store_n(&place->key.words[i], key->words[i], __ATOMIC_RELAXED);
    }
}

bool open_ranges_put(const struct open_key *key, const struct range *range)
{
    uint32_t first = hash_key(key);
    for (uint32_t i = 0; i < WINDOW; i++) {
        uint32_t at = (first + i) & (OPEN_RANGES_MAX - 1);
        uint64_t state = __atomic_load_n(&states[at], __ATOMIC_RELAXED);
        if (state % PLACE_STATES == PLACE_FREE && change(at, state, PLACE_TAKEN)) {
            set_key(&places[at], key);
            places[at].range = *range;
            __atomic_add_fetch(&n_open, 1, __ATOMIC_RELAXED);
            give_back(at, state, PLACE_OPEN);
            return true;
        }
    }
    return false;
}

bool open_ranges_any(void)
{
    return __atomic_load_n(&n_open, __ATOMIC_RELAXED) > 0;
}

bool open_ranges_take(const struct open_key *key, struct range *ret_range)
{
    uint32_t first = hash_key(key);
    for (uint32_t i = 0; i < WINDOW; i++) {
        uint32_t at = (first + i) & (OPEN_RANGES_MAX - 1);
        uint64_t state = __atomic_load_n(&states[at], __ATOMIC_ACQUIRE);
        if (state % PLACE_STATES == PLACE_OPEN && has_key(&places[at], key) &&
            change(at, state, PLACE_TAKEN)) {
            *ret_range = places[at].range;
            __atomic_sub_fetch(&n_open, 1, __ATOMIC_RELAXED);
            give_back(at, state, PLACE_FREE);
            return true;
        }
    }
    return false;
}

void open_ranges_clear(void)
{
    n_open = 0;
    for (uint32_t i = 0; i < OPEN_RANGES_MAX; i++) {
        /* Pages that hold nothing stay untouched. */
        if (states[i] % PLACE_STATES != PLACE_FREE) {
            give_back(i, states[i], PLACE_FREE);
        }
    }
}
