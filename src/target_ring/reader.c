/* SPDX-License-Identifier: MIT */
#include "target_ring/reader.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define SLOT_WORDS (sizeof(struct target_ring_slot) / sizeof(uint64_t))
#define STATE_WORDS (offsetof(struct target_ring_state, n_dropped_full) / sizeof(uint64_t))

struct target_ring_reader {
    const uint8_t *memory; /* all of it, for reading */
    struct target_ring_control *control;
    uint64_t tail;           /* ours; what the control page says is only told, never read */
    uint64_t stuck_since_ns; /* the slot at the tail is reserved and not published; 0: is not */
    uint64_t hasty_until;    /* before this position nothing is waited for again */
    uint64_t n_taken;        /* spans; goes on from what the servers before have told */
    uint64_t n_malformed;
    struct target_ring_identity identity;
    pthread_mutex_t control_lock; /* between detaching and what is written to the control page */
    bool is_detached;             /* atomic */
    uint64_t detached_at;         /* nothing from this position on is ours; set before that */
    struct target_ring_counts detached_counts; /* likewise */
};

static const struct target_ring_state *state_of(const struct target_ring_reader *reader)
{
    return (const void *)(reader->memory + TARGET_RING_PAGE);
}

static uint64_t load_head(const struct target_ring_reader *reader)
{
    return __atomic_load_n(&state_of(reader)->head, __ATOMIC_ACQUIRE);
}

static const struct target_ring_slot *slot_at(const struct target_ring_reader *reader,
                                              uint64_t position)
{
    const struct target_ring_slot *slots =
        (const void *)(reader->memory + TARGET_RING_SLOTS_OFFSET);
    return &slots[position & (TARGET_RING_SLOTS - 1)];
}

static bool is_published(const struct target_ring_reader *reader, uint64_t position)
{
    return __atomic_load_n(&slot_at(reader, position)->commit, __ATOMIC_ACQUIRE) == position + 1;
}

/* The memory may change while it is copied, so every word is read once. */
static void copy_words(uint64_t *ret_words, const void *from, size_t n_words)
{
    const uint64_t *words = from;
    for (size_t i = 0; i < n_words; i++) {
        ret_words[i] = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
    }
}

static bool copy_slot(const struct target_ring_reader *reader, uint64_t position,
                      struct target_ring_slot *ret_slot)
{
    if (!is_published(reader, position)) {
        return false;
    }
    uint64_t words[SLOT_WORDS];
    copy_words(words, slot_at(reader, position), SLOT_WORDS);
    memcpy(ret_slot, words, sizeof(words));
    return true;
}

static enum target_ring_refusal check_state(const uint8_t *memory)
{
    struct target_ring_state state;
    uint64_t words[STATE_WORDS];
    copy_words(words, memory + TARGET_RING_PAGE, STATE_WORDS);
    memcpy(&state, words, sizeof(words));
    if (state.magic != TARGET_RING_MAGIC) {
        return TARGET_RING_WRONG_MAGIC;
    }
    if (state.version != TARGET_RING_VERSION) {
        return TARGET_RING_WRONG_VERSION;
    }
    bool is_ours =
        state.slot_bytes == sizeof(struct target_ring_slot) && state.n_slots == TARGET_RING_SLOTS &&
        state.n_lanes_max == TARGET_RING_LANES && state.n_names_max == TARGET_RING_NAMES &&
        state.text_bytes == TARGET_RING_TEXT_BYTES &&
        state.lanes_offset == TARGET_RING_LANES_OFFSET &&
        state.names_offset == TARGET_RING_NAMES_OFFSET &&
        state.text_offset == TARGET_RING_TEXT_OFFSET &&
        state.slots_offset == TARGET_RING_SLOTS_OFFSET && state.total_bytes == TARGET_RING_BYTES;
    return is_ours ? TARGET_RING_ACCEPTED : TARGET_RING_WRONG_LAYOUT;
}

enum target_ring_refusal target_ring_reader_new(int fd, struct target_ring_reader **ret_reader)
{
    struct stat about;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || fstat(fd, &about) < 0 || !S_ISREG(about.st_mode)) {
        return TARGET_RING_NO_MEMFD;
    }
    if ((seals & SEALS) != SEALS) {
        return TARGET_RING_NOT_SEALED;
    }
    /* Huge pages come in whole ones, so the size refuses them too. */
    if (about.st_size != TARGET_RING_BYTES) {
        return TARGET_RING_WRONG_SIZE;
    }
    struct target_ring_reader *reader = calloc(1, sizeof(*reader));
    void *memory = mmap(NULL, TARGET_RING_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    void *control = mmap(NULL, TARGET_RING_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    enum target_ring_refusal refusal = TARGET_RING_NOT_MAPPED;
    if (reader && memory != MAP_FAILED && control != MAP_FAILED) {
        refusal = check_state(memory);
    }
    if (refusal == TARGET_RING_ACCEPTED) {
        reader->memory = memory;
        reader->control = control;
        reader->identity =
            (struct target_ring_identity){.device = about.st_dev, .inode = about.st_ino};
        pthread_mutex_init(&reader->control_lock, NULL);
        reader->n_taken = __atomic_load_n(&reader->control->n_taken, __ATOMIC_RELAXED);
        *ret_reader = reader;
        return refusal;
    }
    if (memory != MAP_FAILED) {
        munmap(memory, TARGET_RING_BYTES);
    }
    if (control != MAP_FAILED) {
        munmap(control, TARGET_RING_PAGE);
    }
    free(reader);
    return refusal;
}

struct target_ring_reader *target_ring_reader_free(struct target_ring_reader *reader)
{
    if (reader) {
        munmap((void *)(uintptr_t)reader->memory, TARGET_RING_BYTES);
        munmap(reader->control, TARGET_RING_PAGE);
        pthread_mutex_destroy(&reader->control_lock);
        free(reader);
    }
    return NULL;
}

const char *target_ring_refusal_text(enum target_ring_refusal refusal)
{
    switch (refusal) {
    case TARGET_RING_ACCEPTED:
        return "accepted";
    case TARGET_RING_NO_MEMFD:
        return "no memfd came with it";
    case TARGET_RING_NOT_SEALED:
        return "the memory is not sealed against shrinking, growing and further seals";
    case TARGET_RING_WRONG_SIZE:
        return "the memory has another size than version 1 says";
    case TARGET_RING_WRONG_MAGIC:
        return "the memory does not begin as a ring of spans does";
    case TARGET_RING_WRONG_VERSION:
        return "the memory is of another version";
    case TARGET_RING_WRONG_LAYOUT:
        return "the memory says other sizes or offsets than version 1 has";
    case TARGET_RING_NOT_MAPPED:
    case TARGET_RING_REFUSAL_N:
        break;
    }
    return "the memory could not be mapped";
}

struct target_ring_identity target_ring_reader_identity(const struct target_ring_reader *reader)
{
    return reader->identity;
}

uint32_t target_ring_reader_pid(const struct target_ring_reader *reader)
{
    return __atomic_load_n(&state_of(reader)->pid, __ATOMIC_RELAXED);
}

static void load_counts(const struct target_ring_reader *reader,
                        struct target_ring_counts *ret_counts)
{
    const struct target_ring_state *state = state_of(reader);
    *ret_counts = (struct target_ring_counts){
        .n_dropped_full = __atomic_load_n(&state->n_dropped_full, __ATOMIC_RELAXED),
        .n_dropped_no_server = __atomic_load_n(&state->n_dropped_no_server, __ATOMIC_RELAXED),
        .n_names_refused = __atomic_load_n(&state->n_names_refused, __ATOMIC_RELAXED),
        .n_lanes_refused = __atomic_load_n(&state->n_lanes_refused, __ATOMIC_RELAXED),
        .n_details_refused = __atomic_load_n(&state->n_details_refused, __ATOMIC_RELAXED),
    };
}

void target_ring_reader_detach(struct target_ring_reader *reader)
{
    pthread_mutex_lock(&reader->control_lock);
    if (!reader->is_detached) {
        reader->detached_at = load_head(reader);
        load_counts(reader, &reader->detached_counts);
        __atomic_store_n(&reader->is_detached, true, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&reader->control_lock);
}

/* What comes next is somebody else's. */
static bool is_at_end(const struct target_ring_reader *reader)
{
    return __atomic_load_n(&reader->is_detached, __ATOMIC_ACQUIRE) &&
           (int64_t)(reader->tail - reader->detached_at) >= 0;
}

void target_ring_reader_set_active(struct target_ring_reader *reader, bool is_active)
{
    pthread_mutex_lock(&reader->control_lock);
    if (!reader->is_detached) {
        __atomic_store_n(&reader->control->active, is_active ? 1 : 0, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&reader->control_lock);
}

void target_ring_reader_skip(struct target_ring_reader *reader)
{
    reader->tail = load_head(reader);
    reader->hasty_until = reader->tail;
    reader->stuck_since_ns = 0;
    /* Another reader of the same memory may have counted until just now. */
    reader->n_taken = __atomic_load_n(&reader->control->n_taken, __ATOMIC_RELAXED);
    target_ring_reader_release(reader);
}

void target_ring_reader_release(struct target_ring_reader *reader)
{
    pthread_mutex_lock(&reader->control_lock);
    if (!reader->is_detached) {
        __atomic_store_n(&reader->control->n_taken, reader->n_taken, __ATOMIC_RELAXED);
        __atomic_store_n(&reader->control->tail, reader->tail, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&reader->control_lock);
}

bool target_ring_reader_is_waiting(const struct target_ring_reader *reader)
{
    return reader->stuck_since_ns != 0;
}

/* The first published slot behind the tail; 0: none (the tail itself is not). */
static uint64_t distance_to_published(const struct target_ring_reader *reader, uint64_t n_reserved)
{
    for (uint64_t distance = 1; distance < n_reserved; distance++) {
        if (is_published(reader, reader->tail + distance)) {
            return distance;
        }
    }
    return 0;
}

/*
 * The slot at the tail, or one of those that belong to it, is not published.
 * Returns how many to pass over, n_whole at least; 0: wait.
 */
static uint64_t give_up(struct target_ring_reader *reader, const struct target_ring_poll *poll,
                        uint64_t n_whole)
{
    uint64_t n_reserved = load_head(reader) - reader->tail;
    if (n_reserved == 0) {
        reader->stuck_since_ns = 0;
        return 0;
    }
    bool is_hasty = poll->is_last || (int64_t)(reader->hasty_until - reader->tail) > 0;
    if (!is_hasty && reader->stuck_since_ns == 0) {
        reader->stuck_since_ns = poll->now_ns;
        return 0;
    }
    if (!is_hasty && poll->now_ns - reader->stuck_since_ns < TARGET_RING_PATIENCE_NS) {
        return 0;
    }
    /* A head that lies is no reason to look further than the ring reaches. */
    if (n_reserved > TARGET_RING_SLOTS) {
        n_reserved = TARGET_RING_SLOTS;
    }
    reader->stuck_since_ns = poll->now_ns;
    uint64_t distance = distance_to_published(reader, n_reserved);
    if (distance == 0) {
        reader->hasty_until = reader->tail;
    }
    return distance > 0 && distance < n_whole ? n_whole : distance;
}

static void pass_over(struct target_ring_reader *reader, uint64_t n_slots)
{
    reader->tail += n_slots;
    reader->n_malformed += n_slots;
    reader->stuck_since_ns = 0;
    /* Whoever has left one slot of a span has left its other ones, too. */
    reader->hasty_until = reader->tail + TARGET_RING_DETAILS;
}

static bool is_detail(const struct target_ring_slot *slot)
{
    return slot->kind >= TARGET_RING_IDS && slot->kind <= TARGET_RING_ATTACHMENT;
}

/* The details of record->span; false: some are not published. */
static bool take_details(struct target_ring_reader *reader, struct target_ring_record *record)
{
    uint32_t n_slots = record->span.n_details;
    uint64_t n_malformed = 0;
    record->n_details = 0;
    for (uint32_t i = 1; i <= n_slots; i++) {
        struct target_ring_slot *detail = &record->details[record->n_details];
        if (!copy_slot(reader, reader->tail + i, detail)) {
            return false;
        }
        if (is_detail(detail)) {
            record->n_details++;
        } else {
            n_malformed += detail->kind != TARGET_RING_PADDING;
        }
    }
    reader->n_malformed += n_malformed;
    return true;
}

bool target_ring_reader_take(struct target_ring_reader *reader, struct target_ring_poll *poll,
                             struct target_ring_record *ret_record)
{
    while (poll->n_slots > 0 && !is_at_end(reader)) {
        struct target_ring_slot *slot = &ret_record->span;
        bool is_there = copy_slot(reader, reader->tail, slot);
        bool is_span =
            is_there && slot->kind == TARGET_RING_SPAN && slot->n_details <= TARGET_RING_DETAILS;
        uint32_t n_slots = is_span ? 1u + slot->n_details : 1;
        if (!is_there || (is_span && !take_details(reader, ret_record))) {
            uint64_t n_passed = give_up(reader, poll, n_slots);
            if (n_passed == 0) {
                return false;
            }
            /* Each of them was looked at. */
            poll->n_slots -= n_passed < poll->n_slots ? (uint32_t)n_passed : poll->n_slots;
            pass_over(reader, n_passed);
            continue;
        }
        poll->n_slots -= n_slots < poll->n_slots ? n_slots : poll->n_slots;
        reader->tail += n_slots;
        reader->stuck_since_ns = 0;
        if (is_span) {
            reader->n_taken++;
            return true;
        }
        reader->n_malformed += slot->kind != TARGET_RING_PADDING;
    }
    return false;
}

uint64_t target_ring_reader_count_left(const struct target_ring_reader *reader)
{
    uint64_t n_spans = 0, n_slots = load_head(reader) - reader->tail;
    if (n_slots > TARGET_RING_SLOTS) {
        n_slots = TARGET_RING_SLOTS;
    }
    for (uint64_t i = 0; i < n_slots && !__atomic_load_n(&reader->is_detached, __ATOMIC_RELAXED);
         i++) {
        uint64_t position = reader->tail + i;
        n_spans +=
            is_published(reader, position) &&
            __atomic_load_n(&slot_at(reader, position)->kind, __ATOMIC_RELAXED) == TARGET_RING_SPAN;
    }
    return n_spans;
}

uint64_t target_ring_reader_malformed(const struct target_ring_reader *reader)
{
    return reader->n_malformed;
}

void target_ring_reader_counts(const struct target_ring_reader *reader,
                               struct target_ring_counts *ret_counts)
{
    if (__atomic_load_n(&reader->is_detached, __ATOMIC_ACQUIRE)) {
        *ret_counts = reader->detached_counts;
    } else {
        load_counts(reader, ret_counts);
    }
}

/* How many bytes at `at` make up one character that may be shown; 0: they do not. */
static size_t character_bytes(const unsigned char *at, size_t n_left)
{
    unsigned char lead = at[0];
    if (lead < 0x80) {
        return lead >= 0x20 && lead != 0x7f;
    }
    size_t n_bytes = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (n_bytes == 0 || n_bytes > n_left) {
        return 0;
    }
    /* No long forms of short characters, no surrogates, nothing past U+10FFFF, no C1 controls. */
    unsigned char lowest = lead == 0xe0 || lead == 0xc2 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char highest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < lowest || at[1] > highest) {
        return 0;
    }
    for (size_t i = 2; i < n_bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n_bytes;
}

static void make_harmless(char *text, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes;) {
        size_t n = character_bytes((const unsigned char *)text + i, n_bytes - i);
        if (n == 0) {
            text[i] = '?';
            n = 1;
        }
        i += n;
    }
}

/* NULL: there is none with this number, or not yet. */
static const struct target_ring_name *name_at(const struct target_ring_reader *reader, uint32_t id)
{
    if (id == TARGET_RING_NAME_NONE || id >= TARGET_RING_NAMES) {
        return NULL;
    }
    const struct target_ring_name *names =
        (const void *)(reader->memory + TARGET_RING_NAMES_OFFSET);
    return __atomic_load_n(&names[id].is_set, __ATOMIC_ACQUIRE) == 1 ? &names[id] : NULL;
}

bool target_ring_reader_name(const struct target_ring_reader *reader, uint32_t id,
                             struct target_ring_text *ret_text)
{
    const struct target_ring_name *name = name_at(reader, id);
    if (!name) {
        return false;
    }
    uint32_t parent = __atomic_load_n(&name->parent, __ATOMIC_RELAXED);
    uint32_t offset = __atomic_load_n(&name->text_offset, __ATOMIC_RELAXED);
    uint32_t n_bytes = __atomic_load_n(&name->n_bytes, __ATOMIC_RELAXED);
    if (parent >= id || offset > TARGET_RING_TEXT_BYTES ||
        n_bytes > TARGET_RING_TEXT_BYTES - offset) {
        return false;
    }
    if (n_bytes > TARGET_RING_NAME_BYTES) {
        n_bytes = TARGET_RING_NAME_BYTES;
    }
    const char *from = (const char *)reader->memory + TARGET_RING_TEXT_OFFSET + offset;
    for (uint32_t i = 0; i < n_bytes; i++) {
        ret_text->text[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    }
    ret_text->text[n_bytes] = '\0';
    ret_text->n_bytes = n_bytes;
    ret_text->parent = parent;
    ret_text->kind = 0;
    make_harmless(ret_text->text, n_bytes);
    return true;
}

bool target_ring_reader_parent(const struct target_ring_reader *reader, uint32_t id,
                               uint32_t *ret_parent)
{
    const struct target_ring_name *name = name_at(reader, id);
    if (!name) {
        return false;
    }
    *ret_parent = __atomic_load_n(&name->parent, __ATOMIC_RELAXED);
    return *ret_parent < id;
}

bool target_ring_reader_lane(const struct target_ring_reader *reader, uint32_t id,
                             struct target_ring_text *ret_text)
{
    if (id == TARGET_RING_LANE_NONE || id >= TARGET_RING_LANES) {
        return false;
    }
    const struct target_ring_lane *lanes =
        (const void *)(reader->memory + TARGET_RING_LANES_OFFSET);
    if (__atomic_load_n(&lanes[id].is_set, __ATOMIC_ACQUIRE) != 1) {
        return false;
    }
    uint32_t kind = __atomic_load_n(&lanes[id].kind, __ATOMIC_RELAXED);
    uint32_t name = __atomic_load_n(&lanes[id].name, __ATOMIC_RELAXED);
    if (!target_ring_reader_name(reader, name, ret_text)) {
        return false;
    }
    ret_text->kind = kind;
    return true;
}
