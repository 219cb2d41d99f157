/* SPDX-License-Identifier: MIT */
#include "unwind/unwind.h"

#include <errno.h>
#include <string.h>

/* A frame that is left by `fp`, whose caller's fp and return address lie where fp points. */
static bool is_frame_pointer_row(const struct cfi_row *row)
{
    return row->kind == CFI_FP && row->cfa == 2 && row->fp == -2;
}

static bool is_left_by_frame_pointer(const struct cfi_row *row)
{
    return is_frame_pointer_row(row) || (row->kind & CFI_KIND_MASK) == CFI_NONE;
}

/* State of a walk that is no business of its caller. */
struct progress {
    size_t link;     /* registers.fp points at the record that holds chain[link + 1] */
    bool has_link;   /* … is known */
    bool has_stack;  /* sp and fp have values */
    bool is_outside; /* the copy ran out, and the target's memory is read */
    /* Where the copy ran out and the chain went on without sp and fp. */
    struct unwind_registers last_known;
    size_t last_known_places, last_known_link;
};

static struct unwind_code code_at(struct unwind_walk *walk)
{
    const struct unwind_registers *registers = &walk->registers;
    uint64_t ip = registers->ip;
    if (!registers->is_exact) {
        /* A return address can be the first byte behind a function that never returns. */
        return walk->find_code(walk->userdata, ip - 1);
    }
    struct unwind_code code = walk->find_code(walk->userdata, ip);
    if (walk->is_after_syscall && walk->n_places == 0) {
        struct unwind_code before = walk->find_code(walk->userdata, ip - 1);
        uint8_t kind = code.row.kind & CFI_KIND_MASK;
        if (before.state == UNWIND_CODE_KNOWN &&
            (kind == CFI_NONE || (before.row.kind & CFI_KIND_MASK) == CFI_SIGNAL)) {
            return before;
        }
    }
    return code;
}

static bool add_place(struct unwind_walk *walk, bool has_stack)
{
    if (walk->n_places == walk->max_places) {
        return false;
    }
    walk->places[walk->n_places++] = (struct unwind_place){
        .ip = walk->registers.ip,
        .sp = has_stack ? walk->registers.sp : 0,
        .is_exact = walk->registers.is_exact,
    };
    return true;
}

/* The innermost ip is no code: a call into nowhere has pushed its return address all the same. */
static bool leave_nowhere(struct unwind_walk *walk, enum cfi_machine machine)
{
    struct unwind_registers *registers = &walk->registers;
    uint64_t ip;
    if (machine != CFI_MACHINE_X86_64 || !unwind_read(&walk->reader, registers->sp, &ip)) {
        return false;
    }
    struct unwind_code caller = walk->find_code(walk->userdata, ip - 1);
    if (caller.state == UNWIND_CODE_UNMAPPED) {
        return false;
    }
    *registers = (struct unwind_registers){
        .ip = ip, .sp = registers->sp + 8, .fp = registers->fp, .has_frame = registers->has_frame};
    return true;
}

static bool copy_holds(const struct unwind_reader *reader, uint64_t address)
{
    return address >= reader->start && reader->n_bytes >= 16 &&
           address - reader->start <= reader->n_bytes - 16;
}

/* The record that fp points at, from the copy or, once that has run out, from outside. */
static bool read_record(struct unwind_walk *walk, const struct progress *progress,
                        uint64_t ret_record[2])
{
    struct unwind_reader *reader = &walk->reader;
    uint64_t fp = walk->registers.fp;
    if (!progress->has_stack) {
        return false;
    }
    if (copy_holds(reader, fp)) {
        memcpy(ret_record, reader->bytes + (fp - reader->start), 2 * sizeof(*ret_record));
        return true;
    }
    return progress->is_outside && unwind_read(reader, fp, &ret_record[0]) &&
           unwind_read(reader, fp + 8, &ret_record[1]);
}

/*
 * One step by the kernel's chain instead of stack memory. Where the copy holds
 * the record too, registers keep their values; it does not count as needed.
 */
static bool step_by_chain(struct unwind_walk *walk, struct progress *progress)
{
    struct unwind_registers *registers = &walk->registers;
    if (!progress->has_link || progress->link + 1 >= walk->n_chain) {
        return false;
    }
    uint64_t ip = walk->chain[progress->link + 1], record[2];
    bool has_record = read_record(walk, progress, record);
    if (has_record && record[1] == ip && registers->fp >= registers->sp) {
        *registers = (struct unwind_registers){
            .ip = ip, .sp = registers->fp + 16, .fp = record[0], .has_frame = true};
    } else if (has_record && !progress->is_outside) {
        return false;
    } else {
        /* Outside, what is not as the chain says has changed since. */
        if (progress->has_stack && !progress->is_outside) {
            progress->last_known = *registers;
            progress->last_known_places = walk->n_places;
            progress->last_known_link = progress->link;
        }
        progress->has_stack = false;
        *registers = (struct unwind_registers){.ip = ip};
    }
    progress->link++;
    return true;
}

/* The chain has led to code that keeps no frame pointer: back to where sp was known. */
static void go_back(struct unwind_walk *walk, struct progress *progress)
{
    walk->registers = progress->last_known;
    walk->n_places = progress->last_known_places;
    progress->link = progress->last_known_link;
    progress->has_stack = true;
}

static enum event_stack_end step(struct unwind_walk *walk, struct progress *progress,
                                 const struct unwind_code *code)
{
    const struct cfi_row *row = &code->row;
    uint8_t kind = row->kind & CFI_KIND_MASK;
    if (kind == CFI_END) {
        return EVENT_STACK_END_COMPLETE;
    }
    bool is_by_pointer = is_left_by_frame_pointer(row);
    if (is_by_pointer && step_by_chain(walk, progress)) {
        return EVENT_STACK_END_UNKNOWN;
    }
    if (!progress->has_stack) {
        return EVENT_STACK_END_COPY;
    }
    uint64_t fp = walk->registers.fp;
    enum event_stack_end end = unwind_step(code->machine, row, &walk->registers, &walk->reader);
    if (end != EVENT_STACK_END_UNKNOWN) {
        return end;
    }
    if (is_by_pointer) {
        progress->link++;
    } else if (walk->registers.fp != fp) {
        /* Another frame's: which record of the chain it points at is not known. A function that
         * has pushed the register and not set it yet leaves it as it is. */
        progress->has_link = false;
    }
    return end;
}

static bool recall(struct unwind_walk *walk, const struct progress *progress,
                   const struct unwind_code *code)
{
    if (!walk->recall || !progress->has_link) {
        return false;
    }
    size_t next = progress->link + 1;
    const struct unwind_chain_hint hint = {
        .keeps_frame_pointer = is_left_by_frame_pointer(&code->row),
        .next_ip = next < walk->n_chain ? walk->chain[next] : 0,
    };
    size_t n_places =
        walk->recall(walk->userdata, walk->places, walk->n_places, walk->max_places, &hint);
    if (n_places == 0) {
        return false;
    }
    walk->n_places = n_places;
    walk->was_recalled = true;
    return true;
}

static void note_if_known(struct unwind_walk *walk, const struct progress *progress)
{
    if (walk->is_known && walk->needed_until_known == UINT64_MAX && progress->has_stack &&
        walk->is_known(walk->userdata, walk->places, walk->n_places)) {
        walk->needed_until_known = walk->reader.end_needed - walk->reader.start;
    }
}

/*
 * Steps with what was copied; where that does not reach, by the target's memory
 * as it is now.
 */
static enum event_stack_end advance(struct unwind_walk *walk, struct progress *progress,
                                    const struct unwind_code *code, bool is_first)
{
    if (!is_first && recall(walk, progress, code)) {
        return EVENT_STACK_END_COMPLETE;
    }
    enum event_stack_end end = step(walk, progress, code);
    if (end != EVENT_STACK_END_COPY || progress->is_outside || !walk->read_outside) {
        return end;
    }
    progress->is_outside = true;
    walk->reader.read_outside = walk->read_outside;
    if (!progress->has_stack) {
        go_back(walk, progress);
    }
    walk->n_places_inside = walk->n_places;
    struct unwind_code code_there = code_at(walk);
    return step(walk, progress, &code_there);
}

static int end_walk(struct unwind_walk *walk, enum event_stack_end end)
{
    bool is_trusted = end != EVENT_STACK_END_COMPLETE || !walk->was_guessed;
    walk->end = is_trusted ? end : EVENT_STACK_END_NO_TABLE;
    walk->end_ip = walk->registers.ip;
    return 0;
}

int unwind_run(struct unwind_walk *walk)
{
    struct progress progress = {
        .has_link = walk->is_innermost && walk->n_chain > 0 && walk->chain[0] == walk->registers.ip,
        .has_stack = true,
    };
    walk->n_places = 0;
    walk->was_recalled = walk->was_guessed = false;
    walk->n_places_inside = walk->max_places;
    walk->reader.userdata = walk->userdata;
    walk->reader.read_outside = NULL;
    walk->reader.end_needed = walk->reader.start;
    walk->reader.went_outside = false;
    walk->needed_until_known = UINT64_MAX;
    for (;;) {
        struct unwind_code code = code_at(walk);
        if (code.state == UNWIND_CODE_PENDING) {
            return -EAGAIN;
        }
        walk->was_guessed = walk->was_guessed || code.is_guess;
        bool is_first = walk->n_places == 0 && walk->is_innermost;
        if (code.state == UNWIND_CODE_UNMAPPED && !is_first) {
            return end_walk(walk, EVENT_STACK_END_NO_CODE);
        }
        if (!add_place(walk, progress.has_stack)) {
            return end_walk(walk, EVENT_STACK_END_LIMIT);
        }
        note_if_known(walk, &progress);
        if (code.state == UNWIND_CODE_UNMAPPED) {
            if (!leave_nowhere(walk, code.machine)) {
                return end_walk(walk, EVENT_STACK_END_NO_CODE);
            }
            continue;
        }
        enum event_stack_end end = advance(walk, &progress, &code, is_first);
        if (end != EVENT_STACK_END_UNKNOWN) {
            return end_walk(walk, end);
        }
    }
}
