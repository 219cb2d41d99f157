/* SPDX-License-Identifier: MIT */
#include "unwind/cfi_rules.h"

const struct cfi_registers *cfi_registers_of(enum cfi_machine machine)
{
    static const struct cfi_registers registers_of[] = {
        [CFI_MACHINE_X86_64] = {.fp = 6, .sp = 7, .ra = 16},
        [CFI_MACHINE_AARCH64] = {.fp = 29, .sp = 31, .ra = 30},
    };
    return &registers_of[machine];
}

static bool encode_cfa(const struct cfi_registers *registers, const struct cfi_rules *rules,
                       struct cfi_row *row)
{
    int64_t words = rules->cfa.offset_bytes / 8;
    bool is_sp = rules->cfa.register_number == registers->sp;
    if (rules->cfa.kind == CFI_CFA_PLT) {
        row->kind = CFI_PLT;
        row->cfa = (int16_t)rules->cfa.offset_bytes;
        return is_sp;
    }
    if ((!is_sp && rules->cfa.register_number != registers->fp) ||
        rules->cfa.offset_bytes % 8 != 0 || words < INT16_MIN || words > INT16_MAX) {
        return false;
    }
    row->cfa = (int16_t)words;
    switch (rules->cfa.kind) {
    case CFI_CFA_REGISTER:
        row->kind = is_sp ? CFI_SP : CFI_FP;
        return true;
    case CFI_CFA_DEREF:
        row->kind = is_sp ? CFI_SP_DEREF : CFI_FP_DEREF;
        return true;
    case CFI_CFA_DEREF_8:
        row->kind = CFI_SP_DEREF_8;
        return is_sp;
    default:
        return false;
    }
}

/* Where a register is saved, as cfi_row.fp tells it; false: it has no word for that. */
static bool encode_slot(const struct cfi_rules *rules, const struct cfi_rule *rule, int8_t *ret_fp)
{
    bool is_register = rules->cfa.kind == CFI_CFA_REGISTER;
    bool is_deref = rules->cfa.kind == CFI_CFA_DEREF || rules->cfa.kind == CFI_CFA_DEREF_8;
    /* From the CFA, and from the register that it counts from; one of them may be unknown. */
    int64_t from_cfa = CFI_FAR_AWAY;
    int64_t from_base = CFI_FAR_AWAY;
    if (rule->kind == CFI_RULE_AT_CFA) {
        from_cfa = rule->offset_bytes;
        from_base = is_register ? rule->offset_bytes + rules->cfa.offset_bytes : CFI_FAR_AWAY;
    } else if (rule->kind == CFI_RULE_AT_REGISTER &&
               rule->register_number == rules->cfa.register_number && (is_register || is_deref)) {
        from_base = rule->offset_bytes;
        from_cfa = is_register ? rule->offset_bytes - rules->cfa.offset_bytes : CFI_FAR_AWAY;
    }
    if (from_cfa < 0 && from_cfa >= INT64_C(8) * INT8_MIN && from_cfa % 8 == 0) {
        *ret_fp = (int8_t)(from_cfa / 8);
        return true;
    }
    if (from_base >= 0 && from_base < INT64_C(8) * INT8_MAX && from_base % 8 == 0) {
        *ret_fp = (int8_t)(from_base / 8 + 1);
        return true;
    }
    return false;
}

static bool is_kept(const struct cfi_rule *rule)
{
    /* An undefined frame pointer is one that the caller does not use. */
    return rule->kind == CFI_RULE_SAME || rule->kind == CFI_RULE_UNDEFINED;
}

static bool encode_x86_64(const struct cfi_rules *rules, struct cfi_row *row)
{
    return rules->ra.kind == CFI_RULE_AT_CFA && rules->ra.offset_bytes == -8 &&
           (is_kept(&rules->fp) || encode_slot(rules, &rules->fp, &row->fp));
}

static bool encode_aarch64(const struct cfi_rules *rules, struct cfi_row *row)
{
    struct cfi_rule behind_fp = rules->fp;
    behind_fp.offset_bytes += 8;
    if (rules->is_ra_signed) {
        row->kind |= CFI_RA_SIGNED;
    }
    if (rules->ra.kind == CFI_RULE_SAME) {
        row->kind |= CFI_RA_LR;
        return is_kept(&rules->fp) || encode_slot(rules, &rules->fp, &row->fp);
    }
    if (is_kept(&rules->fp)) {
        row->kind |= CFI_RA_AT_FP;
        return encode_slot(rules, &rules->ra, &row->fp);
    }
    return rules->ra.kind == behind_fp.kind &&
           rules->ra.register_number == behind_fp.register_number &&
           rules->ra.offset_bytes == behind_fp.offset_bytes &&
           encode_slot(rules, &rules->fp, &row->fp);
}

struct cfi_row cfi_rules_to_row(enum cfi_machine machine, const struct cfi_rules *rules,
                                bool is_signal_frame)
{
    struct cfi_row row = {0};
    if (rules->ra.kind == CFI_RULE_UNDEFINED) {
        return (struct cfi_row){.kind = CFI_END};
    }
    if (is_signal_frame) {
        return (struct cfi_row){.kind = CFI_SIGNAL};
    }
    if (rules->is_sp_odd || !encode_cfa(cfi_registers_of(machine), rules, &row) ||
        !(machine == CFI_MACHINE_X86_64 ? encode_x86_64(rules, &row)
                                        : encode_aarch64(rules, &row))) {
        return (struct cfi_row){.kind = CFI_UNSUPPORTED};
    }
    return row;
}
