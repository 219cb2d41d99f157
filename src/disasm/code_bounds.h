/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * code_bounds - where the function around an address begins and ends, without a symbol
 *
 * Even a stripped file keeps, for unwinding, a sorted list of where its
 * functions begin.
 *
 * Shape:   addresses are image addresses.
 * Owner:   borrows the bytes. Threads: any.
 * Source:  Linux Standard Base Core 5.0, section 10.6.2 ".eh_frame_hdr"
 * Tests:   code_bounds_test.c, tests/fuzz/fuzz_disasm.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * The bytes of .eh_frame_hdr, which stand at header_addr. false where nothing
 * is told of the address. *ret_end is UINT64_MAX behind the last start.
 */
bool code_bounds_find(struct bytes header, uint64_t header_addr, uint64_t address,
                      uint64_t *ret_start, uint64_t *ret_end);
