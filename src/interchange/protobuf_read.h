/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * protobuf_read - the fields of a message of Protocol Buffers, one by one
 *
 * Owner:   borrows the bytes.
 * Threads: values.
 * Source:  protobuf.dev, "Encoding"
 * Tests:   protobuf_read_test.c, tests/fuzz/fuzz_import_pprof.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum protobuf_wire {
    PROTOBUF_VARINT = 0,
    PROTOBUF_FIXED64 = 1,
    PROTOBUF_BYTES = 2,
    PROTOBUF_FIXED32 = 5,
};

struct protobuf_field {
    uint32_t number;
    enum protobuf_wire wire;
    uint64_t value;     /* of numbers */
    struct bytes bytes; /* PROTOBUF_BYTES: a text, a message, or packed numbers */
};

/* The next field; false at the end, and where the bytes make no sense (bytes_has_failed()). */
bool protobuf_next(struct bytes *message, struct protobuf_field *ret_field);

/* The next of repeated numbers, which come packed, or as one field each; `packed` starts as the
 * field and is used up. */
bool protobuf_next_number(struct protobuf_field *packed, uint64_t *ret_value);
