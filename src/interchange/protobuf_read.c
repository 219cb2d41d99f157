/* SPDX-License-Identifier: MIT */
#include "interchange/protobuf_read.h"

#define WIRE_MASK 7u
#define MAX_NUMBER ((UINT64_C(1) << 29) - 1)
#define USED_UP UINT32_MAX

bool protobuf_next(struct bytes *message, struct protobuf_field *ret_field)
{
    if (bytes_left(message) == 0 || bytes_has_failed(message)) {
        return false;
    }
    uint64_t tag = bytes_take_uleb128(message);
    *ret_field = (struct protobuf_field){.wire = (enum protobuf_wire)(tag & WIRE_MASK)};
    if (tag >> 3 == 0 || tag >> 3 > MAX_NUMBER) {
        message->failed = true;
        return false;
    }
    ret_field->number = (uint32_t)(tag >> 3);
    switch (tag & WIRE_MASK) {
    case PROTOBUF_VARINT:
        ret_field->value = bytes_take_uleb128(message);
        break;
    case PROTOBUF_FIXED64:
        ret_field->value = bytes_take_u64(message);
        break;
    case PROTOBUF_FIXED32:
        ret_field->value = bytes_take_u32(message);
        break;
    case PROTOBUF_BYTES: {
        uint64_t n_bytes = bytes_take_uleb128(message);
        if (n_bytes > bytes_left(message)) {
            message->failed = true;
            return false;
        }
        const uint8_t *bytes = bytes_take(message, (size_t)n_bytes);
        if (bytes) {
            ret_field->bytes = bytes_of(bytes, (size_t)n_bytes);
        }
        break;
    }
    default: /* groups, which nobody writes any more */
        message->failed = true;
        break;
    }
    return !bytes_has_failed(message);
}

bool protobuf_next_number(struct protobuf_field *packed, uint64_t *ret_value)
{
    if (packed->number == USED_UP) {
        return false;
    }
    if (packed->wire != PROTOBUF_BYTES) {
        *ret_value = packed->value;
        packed->number = USED_UP;
        return true;
    }
    if (!packed->bytes.at || bytes_left(&packed->bytes) == 0) {
        return false;
    }
    *ret_value = bytes_take_uleb128(&packed->bytes);
    return !bytes_has_failed(&packed->bytes);
}
