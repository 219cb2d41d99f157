/* SPDX-License-Identifier: MIT */
/*
 * The programs of a large library are millions of instructions, nearly all of
 * which move the location, save a register or change the CFA's offset: these
 * stand first, and a row is only made where something that rows tell changed.
 */
#include "unwind/cfi_program.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "unwind/cfi_expression.h"

/* Compilers nest them once or twice. */
#define REMEMBERED_MAX 16u

enum instruction {
    /* These three have an operand in their lower six bits. */
    CFA_ADVANCE_LOC = 0x40,
    CFA_OFFSET = 0x80,
    CFA_RESTORE = 0xc0,
    CFA_OPERAND_MASK = 0x3f,

    CFA_NOP = 0x00,
    CFA_SET_LOC = 0x01,
    CFA_ADVANCE_LOC1 = 0x02,
    CFA_ADVANCE_LOC2 = 0x03,
    CFA_ADVANCE_LOC4 = 0x04,
    CFA_OFFSET_EXTENDED = 0x05,
    CFA_RESTORE_EXTENDED = 0x06,
    CFA_UNDEFINED = 0x07,
    CFA_SAME_VALUE = 0x08,
    CFA_REGISTER = 0x09,
    CFA_REMEMBER_STATE = 0x0a,
    CFA_RESTORE_STATE = 0x0b,
    CFA_DEF_CFA = 0x0c,
    CFA_DEF_CFA_REGISTER = 0x0d,
    CFA_DEF_CFA_OFFSET = 0x0e,
    CFA_DEF_CFA_EXPRESSION = 0x0f,
    CFA_EXPRESSION = 0x10,
    CFA_OFFSET_EXTENDED_SF = 0x11,
    CFA_DEF_CFA_SF = 0x12,
    CFA_DEF_CFA_OFFSET_SF = 0x13,
    CFA_VAL_OFFSET = 0x14,
    CFA_VAL_OFFSET_SF = 0x15,
    CFA_VAL_EXPRESSION = 0x16,
    CFA_ADVANCE_LOC8 = 0x1d,
    CFA_AARCH64_NEGATE_RA_STATE_WITH_PC = 0x2c,
    CFA_AARCH64_NEGATE_RA_STATE = 0x2d,
    CFA_GNU_ARGS_SIZE = 0x2e,
    CFA_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f,
};

struct run {
    const struct cfi_registers *registers;
    const struct cfi_cie *cie;
    const struct cfi_rules *initial; /* NULL in the CIE's own program */
    struct cfi_rules rules;
    struct cfi_rules remembered[REMEMBERED_MAX];
    unsigned int n_remembered;
    bool has_changed; /* since the last row */
    /* Where the rows go; not in the CIE's own program: */
    const struct cfi_function *function;
    struct cfi_rows *rows;
    uint64_t pc;
};

void cfi_rows_release(struct cfi_rows *rows)
{
    free(rows->rows);
    *rows = (struct cfi_rows){0};
}

static bool grow(struct cfi_rows *rows)
{
    if (rows->failure < 0) {
        return false;
    }
    uint32_t capacity = rows->capacity + rows->capacity / 2 + 64;
    if (capacity > CFI_TABLE_MAX_ROWS) {
        capacity = CFI_TABLE_MAX_ROWS;
    }
    if (capacity == rows->capacity) {
        rows->failure = -EFBIG;
        return false;
    }
    struct cfi_row *grown = realloc(rows->rows, capacity * sizeof(*grown));
    if (!grown) {
        rows->failure = -ENOMEM;
        return false;
    }
    rows->rows = grown;
    rows->capacity = capacity;
    return true;
}

static bool is_equal(const struct cfi_row *a, const struct cfi_row *b)
{
    return a->cfa == b->cfa && a->kind == b->kind && a->fp == b->fp;
}

void cfi_rows_add(struct cfi_rows *rows, uint32_t pc, struct cfi_row row)
{
    if (rows->n_rows > 0 && rows->rows[rows->n_rows - 1].pc == pc) {
        rows->n_rows--;
    }
    if (rows->n_rows > 0 && is_equal(&rows->rows[rows->n_rows - 1], &row)) {
        return;
    }
    if (rows->n_rows == rows->capacity && !grow(rows)) {
        return;
    }
    row.pc = pc;
    rows->rows[rows->n_rows++] = row;
}

static void flush(struct run *run)
{
    if (run->has_changed && run->rows) {
        struct cfi_row row =
            cfi_rules_to_row(run->function->machine, &run->rules, run->cie->is_signal_frame);
        cfi_rows_add(run->rows, (uint32_t)run->pc, row);
    }
    run->has_changed = false;
}

/* What comes behind the end needs no rows. */
static bool is_at_end(const struct run *run)
{
    return run->rows && run->pc >= run->function->end_pc;
}

static void advance(struct run *run, uint64_t n_units)
{
    flush(run);
    uint64_t distance = n_units <= UINT32_MAX ? n_units * run->cie->code_factor : CFI_FAR_AWAY;
    run->pc += distance < CFI_FAR_AWAY ? distance : CFI_FAR_AWAY;
}

static int64_t factored(const struct run *run, uint64_t operand)
{
    return operand <= UINT32_MAX ? (int64_t)operand * run->cie->data_factor : CFI_FAR_AWAY;
}

static int64_t factored_signed(const struct run *run, int64_t operand)
{
    bool is_near = operand >= INT32_MIN && operand <= INT32_MAX;
    return is_near ? operand * run->cie->data_factor : CFI_FAR_AWAY;
}

static int64_t bounded(uint64_t offset_bytes)
{
    return offset_bytes < CFI_FAR_AWAY ? (int64_t)offset_bytes : CFI_FAR_AWAY;
}

static void set_rule(struct run *run, uint64_t register_number, struct cfi_rule rule)
{
    if (register_number == run->registers->fp) {
        run->rules.fp = rule;
    } else if (register_number == run->registers->ra) {
        run->rules.ra = rule;
    } else if (register_number == run->registers->sp) {
        run->rules.is_sp_odd = rule.kind != CFI_RULE_SAME;
    } else {
        return;
    }
    run->has_changed = true;
}

static void set_saved(struct run *run, uint64_t register_number, int64_t offset_bytes)
{
    set_rule(run, register_number,
             (struct cfi_rule){.kind = CFI_RULE_AT_CFA, .offset_bytes = offset_bytes});
}

static void restore(struct run *run, uint64_t register_number)
{
    if (register_number == run->registers->fp) {
        run->rules.fp = run->initial->fp;
    } else if (register_number == run->registers->ra) {
        run->rules.ra = run->initial->ra;
    } else if (register_number == run->registers->sp) {
        run->rules.is_sp_odd = run->initial->is_sp_odd;
    } else {
        return;
    }
    run->has_changed = true;
}

static void set_cfa(struct run *run, uint64_t register_number, int64_t offset_bytes)
{
    run->rules.cfa.kind = CFI_CFA_REGISTER;
    run->rules.cfa.register_number =
        register_number < UINT32_MAX ? (uint32_t)register_number : UINT32_MAX;
    run->rules.cfa.offset_bytes = offset_bytes;
    run->has_changed = true;
}

static void set_cfa_offset(struct run *run, int64_t offset_bytes)
{
    if (run->rules.cfa.kind != CFI_CFA_REGISTER) {
        run->rules.cfa.kind = CFI_CFA_ODD;
    }
    run->rules.cfa.offset_bytes = offset_bytes;
    run->has_changed = true;
}

static struct bytes take_block(struct bytes *instructions)
{
    uint64_t n_bytes = bytes_take_uleb128(instructions);
    if (n_bytes > bytes_left(instructions)) {
        instructions->failed = true;
        n_bytes = 0;
    }
    const uint8_t *start = bytes_take(instructions, (size_t)n_bytes);
    return bytes_of(start ? start : instructions->at, start ? (size_t)n_bytes : 0);
}

static bool is_near(int64_t offset_bytes)
{
    return offset_bytes > -CFI_FAR_AWAY && offset_bytes < CFI_FAR_AWAY;
}

static void set_cfa_expression(struct run *run, struct bytes operations)
{
    struct cfi_expression expression = cfi_expression_read(operations);
    run->has_changed = true;
    run->rules.cfa.kind = CFI_CFA_ODD;
    if (!is_near(expression.offset_bytes)) {
        return;
    }
    run->rules.cfa.register_number = expression.register_number;
    run->rules.cfa.offset_bytes = expression.offset_bytes;
    switch (expression.kind) {
    case CFI_EXPRESSION_REGISTER:
        run->rules.cfa.kind = CFI_CFA_REGISTER;
        break;
    case CFI_EXPRESSION_DEREF:
        if (expression.added_bytes == 0 || expression.added_bytes == 8) {
            run->rules.cfa.kind = expression.added_bytes == 0 ? CFI_CFA_DEREF : CFI_CFA_DEREF_8;
        }
        break;
    case CFI_EXPRESSION_PLT:
        run->rules.cfa.kind = CFI_CFA_PLT;
        break;
    default:
        break;
    }
}

static void set_rule_expression(struct run *run, uint64_t register_number, struct bytes operations)
{
    struct cfi_expression expression = cfi_expression_read(operations);
    struct cfi_rule rule = {.kind = CFI_RULE_ODD};
    if (expression.kind == CFI_EXPRESSION_REGISTER && is_near(expression.offset_bytes)) {
        rule = (struct cfi_rule){
            .kind = CFI_RULE_AT_REGISTER,
            .register_number = expression.register_number,
            .offset_bytes = expression.offset_bytes,
        };
    }
    set_rule(run, register_number, rule);
}

static void set_value(struct run *run, uint64_t register_number, int64_t offset_bytes)
{
    bool is_usual = register_number == run->registers->sp && offset_bytes == 0;
    set_rule(run, register_number,
             (struct cfi_rule){.kind = is_usual ? CFI_RULE_SAME : CFI_RULE_ODD});
}

static bool remember(struct run *run)
{
    if (run->n_remembered == REMEMBERED_MAX) {
        return false;
    }
    run->remembered[run->n_remembered++] = run->rules;
    return true;
}

static bool recall(struct run *run)
{
    if (run->n_remembered == 0) {
        return false;
    }
    run->rules = run->remembered[--run->n_remembered];
    run->has_changed = true;
    return true;
}

/* Only addresses that need no base: nobody has written others for decades. */
static bool set_location(struct run *run, struct bytes *instructions)
{
    if (!run->rows || run->cie->pointer_encoding != CFI_POINTER_ADDRESS) {
        return false;
    }
    uint64_t pc = bytes_take_u64(instructions) - run->function->base_addr;
    if (pc < run->pc) {
        return false;
    }
    flush(run);
    run->pc = pc;
    return true;
}

/* Those that say how one register is found. */
static bool run_register_rule(struct run *run, uint8_t instruction, struct bytes *instructions)
{
    uint64_t number = bytes_take_uleb128(instructions);
    switch (instruction) {
    case CFA_OFFSET_EXTENDED:
        set_saved(run, number, factored(run, bytes_take_uleb128(instructions)));
        return true;
    case CFA_OFFSET_EXTENDED_SF:
        set_saved(run, number, factored_signed(run, bytes_take_sleb128(instructions)));
        return true;
    case CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
        set_saved(run, number, -factored(run, bytes_take_uleb128(instructions)));
        return true;
    case CFA_RESTORE_EXTENDED:
        restore(run, number);
        return true;
    case CFA_UNDEFINED:
        set_rule(run, number, (struct cfi_rule){.kind = CFI_RULE_UNDEFINED});
        return true;
    case CFA_SAME_VALUE:
        set_rule(run, number, (struct cfi_rule){.kind = CFI_RULE_SAME});
        return true;
    case CFA_REGISTER:
        (void)bytes_take_uleb128(instructions);
        set_rule(run, number, (struct cfi_rule){.kind = CFI_RULE_ODD});
        return true;
    case CFA_VAL_OFFSET:
        set_value(run, number, factored(run, bytes_take_uleb128(instructions)));
        return true;
    case CFA_VAL_OFFSET_SF:
        set_value(run, number, factored_signed(run, bytes_take_sleb128(instructions)));
        return true;
    case CFA_EXPRESSION:
        set_rule_expression(run, number, take_block(instructions));
        return true;
    case CFA_VAL_EXPRESSION:
        (void)take_block(instructions);
        set_rule(run, number, (struct cfi_rule){.kind = CFI_RULE_ODD});
        return true;
    default:
        return false;
    }
}

static void def_cfa_register(struct run *run, uint64_t number)
{
    bool has_offset = run->rules.cfa.kind == CFI_CFA_REGISTER;
    set_cfa(run, number, run->rules.cfa.offset_bytes);
    if (!has_offset) {
        run->rules.cfa.kind = CFI_CFA_ODD;
    }
}

static bool run_instruction(struct run *run, uint8_t instruction, struct bytes *instructions)
{
    switch (instruction) {
    case CFA_NOP:
        return true;
    case CFA_ADVANCE_LOC1:
        advance(run, bytes_take_u8(instructions));
        return true;
    case CFA_ADVANCE_LOC2:
        advance(run, bytes_take_u16(instructions));
        return true;
    case CFA_ADVANCE_LOC4:
        advance(run, bytes_take_u32(instructions));
        return true;
    case CFA_ADVANCE_LOC8:
        advance(run, bytes_take_u64(instructions));
        return true;
    case CFA_SET_LOC:
        return set_location(run, instructions);
    case CFA_REMEMBER_STATE:
        return remember(run);
    case CFA_RESTORE_STATE:
        return recall(run);
    case CFA_DEF_CFA: {
        uint64_t number = bytes_take_uleb128(instructions);
        set_cfa(run, number, bounded(bytes_take_uleb128(instructions)));
        return true;
    }
    case CFA_DEF_CFA_SF: {
        uint64_t number = bytes_take_uleb128(instructions);
        set_cfa(run, number, factored_signed(run, bytes_take_sleb128(instructions)));
        return true;
    }
    case CFA_DEF_CFA_REGISTER:
        def_cfa_register(run, bytes_take_uleb128(instructions));
        return true;
    case CFA_DEF_CFA_OFFSET:
        set_cfa_offset(run, bounded(bytes_take_uleb128(instructions)));
        return true;
    case CFA_DEF_CFA_OFFSET_SF:
        set_cfa_offset(run, factored_signed(run, bytes_take_sleb128(instructions)));
        return true;
    case CFA_DEF_CFA_EXPRESSION:
        set_cfa_expression(run, take_block(instructions));
        return true;
    case CFA_AARCH64_NEGATE_RA_STATE:
    case CFA_AARCH64_NEGATE_RA_STATE_WITH_PC:
        run->rules.is_ra_signed = !run->rules.is_ra_signed;
        run->has_changed = true;
        return true;
    case CFA_GNU_ARGS_SIZE:
        (void)bytes_take_uleb128(instructions);
        return true;
    default:
        return run_register_rule(run, instruction, instructions);
    }
}

/* false: the program is wrong, and run->pc says where. */
static bool run_all(struct run *run, struct bytes instructions)
{
    while (bytes_left(&instructions) > 0 && !is_at_end(run)) {
        uint8_t instruction = bytes_take_u8(&instructions);
        uint8_t operand = instruction & CFA_OPERAND_MASK;
        bool is_known = true;
        switch (instruction & ~CFA_OPERAND_MASK & 0xff) {
        case CFA_ADVANCE_LOC:
            advance(run, operand);
            break;
        case CFA_OFFSET:
            set_saved(run, operand, factored(run, bytes_take_uleb128(&instructions)));
            break;
        case CFA_RESTORE:
            restore(run, operand);
            break;
        default:
            is_known = run_instruction(run, instruction, &instructions);
            break;
        }
        if (!is_known || bytes_has_failed(&instructions)) {
            return false;
        }
    }
    return true;
}

bool cfi_program_begin(enum cfi_machine machine, const struct cfi_cie *cie,
                       struct cfi_rules *ret_rules)
{
    static const struct cfi_rules wrong = {.cfa = {.kind = CFI_CFA_ODD}, .is_sp_odd = true};
    static const struct cfi_rules nothing = {
        .cfa = {.kind = CFI_CFA_ODD},
        .fp = {.kind = CFI_RULE_SAME},
        .ra = {.kind = CFI_RULE_SAME},
    };
    struct run run = {
        .registers = cfi_registers_of(machine),
        .cie = cie,
        .initial = &nothing,
        .rules = nothing,
    };
    if (!run_all(&run, cie->program)) {
        *ret_rules = wrong;
        return false;
    }
    *ret_rules = run.rules;
    /* Code that returns by another register: none of its rows can tell. */
    ret_rules->is_sp_odd |= cie->return_register != run.registers->ra;
    return true;
}

bool cfi_program_run(const struct cfi_function *function, struct bytes instructions,
                     struct cfi_rows *rows)
{
    struct run run;
    run.registers = cfi_registers_of(function->machine);
    run.cie = function->cie;
    run.initial = function->initial;
    run.rules = *function->initial;
    run.n_remembered = 0;
    run.has_changed = true;
    run.function = function;
    run.rows = rows;
    run.pc = function->start_pc;
    bool is_right = run_all(&run, instructions);
    if (is_at_end(&run)) {
        return true;
    }
    if (is_right) {
        flush(&run);
    } else {
        cfi_rows_add(rows, (uint32_t)run.pc, (struct cfi_row){.kind = CFI_UNSUPPORTED});
    }
    return is_right;
}
