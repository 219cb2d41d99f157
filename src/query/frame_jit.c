/* SPDX-License-Identifier: MIT */
#include "query/frame_jit.h"

bool frame_jit_find(struct jit_code *code, const struct snapshot *snapshot, struct frame frame,
                    struct jit_place *ret_place)
{
    if (!code || frame.code_epoch == 0) {
        return false;
    }
    struct epoch_span span = snapshot_code_epoch(snapshot, frame.code_epoch);
    return jit_code_find(code, span.pid, frame.offset, span.from_ns, span.to_ns, ret_place);
}

bool frame_jit_entry(struct jit_code *code, const struct snapshot *snapshot, struct frame frame,
                     struct symbol_chain_entry *ret_entry)
{
    struct jit_place place;
    if (!frame_jit_find(code, snapshot, frame, &place)) {
        return false;
    }
    *ret_entry = (struct symbol_chain_entry){.symbol = place.symbol};
    (void)jit_code_line(&place, frame.offset, &ret_entry->file, &ret_entry->line);
    return true;
}
