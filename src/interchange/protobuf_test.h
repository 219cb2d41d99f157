/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * protobuf_test - reads messages of protocol buffers, for the tests of what writes them
 *
 * Owner:   fields borrow the bytes. Threads: one.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

struct protobuf_field {
    uint32_t number;
    uint64_t value;     /* of a varint */
    struct bytes bytes; /* else */
    bool is_bytes;
};

/* The next field; false at the end. What makes no sense fails the test. */
static inline bool protobuf_next(struct bytes *message, struct protobuf_field *ret_field)
{
    if (bytes_left(message) == 0) {
        return false;
    }
    uint64_t tag = bytes_take_uleb128(message);
    *ret_field = (struct protobuf_field){.number = (uint32_t)(tag >> 3)};
    ret_field->is_bytes = (tag & 7) == 2;
    assert_true((tag & 7) == 0 || ret_field->is_bytes);
    if (ret_field->is_bytes) {
        uint64_t n_bytes = bytes_take_uleb128(message);
        assert_true(n_bytes <= bytes_left(message));
        const uint8_t *at = bytes_take(message, (size_t)n_bytes);
        ret_field->bytes = bytes_of(at, (size_t)n_bytes);
    } else {
        ret_field->value = bytes_take_uleb128(message);
    }
    assert_false(message->failed);
    return true;
}

/* The last value of a field; 0 where there is none. */
static inline uint64_t protobuf_value(struct bytes message, uint32_t number)
{
    struct protobuf_field field;
    uint64_t value = 0;
    while (protobuf_next(&message, &field)) {
        value = field.number == number ? field.value : value;
    }
    return value;
}
