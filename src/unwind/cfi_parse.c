/* SPDX-License-Identifier: MIT */
#include "unwind/cfi_parse.h"

/* Factors of real code are 1 … 16 and -16 … 16. */
#define MAX_FACTOR 1024

#define LONG_LENGTH UINT32_C(0xffffffff)

bool cfi_entry_next(const struct cfi_section *section, struct bytes *rest,
                    struct cfi_entry *ret_entry)
{
    uint64_t n_bytes = 0;
    uint64_t offset = 0;
    bool is_64_bit = false;
    /* Lengths of zero are padding between what a linker joined, or the end. */
    while (n_bytes == 0) {
        if (bytes_left(rest) == 0 || bytes_has_failed(rest)) {
            return false;
        }
        offset = (uint64_t)(rest->at - section->bytes.at);
        n_bytes = bytes_take_u32(rest);
        if (n_bytes == 0 && section->ends_at_zero) {
            return false;
        }
        is_64_bit = n_bytes == LONG_LENGTH;
        if (is_64_bit) {
            n_bytes = bytes_take_u64(rest);
        }
    }
    if (n_bytes > bytes_left(rest)) {
        rest->failed = true;
        return false;
    }
    const uint8_t *start = bytes_take(rest, (size_t)n_bytes);
    if (!start) {
        return false;
    }
    struct bytes body = bytes_of(start, (size_t)n_bytes);
    uint64_t id;
    uint64_t cie_id;
    if (section->is_debug_frame) {
        id = is_64_bit ? bytes_take_u64(&body) : bytes_take_u32(&body);
        cie_id = is_64_bit ? UINT64_MAX : UINT32_MAX;
    } else {
        id = bytes_take_u32(&body);
        cie_id = 0;
    }
    uint64_t id_offset = (uint64_t)(start - section->bytes.at);
    *ret_entry = (struct cfi_entry){
        .offset = offset,
        .is_cie = id == cie_id,
        .cie_offset = section->is_debug_frame ? id : id_offset - id,
        .body = body,
    };
    return true;
}

/* The value before anything is added to it. */
static uint64_t take_formatted(struct bytes *bytes, uint8_t format)
{
    switch (format) {
    case CFI_POINTER_ADDRESS:
    case CFI_POINTER_U64:
    case CFI_POINTER_S64:
        return bytes_take_u64(bytes);
    case CFI_POINTER_ULEB128:
        return bytes_take_uleb128(bytes);
    case CFI_POINTER_SLEB128:
        return (uint64_t)bytes_take_sleb128(bytes);
    case CFI_POINTER_U16:
        return bytes_take_u16(bytes);
    case CFI_POINTER_S16:
        return (uint64_t)(int64_t)(int16_t)bytes_take_u16(bytes);
    case CFI_POINTER_U32:
        return bytes_take_u32(bytes);
    case CFI_POINTER_S32:
        return (uint64_t)(int64_t)(int32_t)bytes_take_u32(bytes);
    default:
        bytes->failed = true;
        return 0;
    }
}

uint64_t cfi_pointer_take(struct bytes *bytes, uint8_t encoding, const uint8_t *start,
                          uint64_t base_addr, uint64_t data_addr)
{
    uint64_t here_addr = base_addr + (uint64_t)(bytes->at - start);
    uint64_t value = take_formatted(bytes, encoding & CFI_POINTER_FORMAT_MASK);
    switch (encoding & (CFI_POINTER_BASE_MASK | CFI_POINTER_INDIRECT)) {
    case 0:
        return value;
    case CFI_POINTER_PC_RELATIVE:
        return here_addr + value;
    case CFI_POINTER_DATA_RELATIVE:
        return data_addr + value;
    default:
        bytes->failed = true;
        return 0;
    }
}

/* What the letters behind 'z' say; false: a letter that nobody has told us of. */
static bool read_augmentation(const char *letters, struct bytes data, struct cfi_cie *cie)
{
    for (; *letters; letters++) {
        uint8_t encoding;
        switch (*letters) {
        case 'R':
            cie->pointer_encoding = bytes_take_u8(&data);
            break;
        case 'P': /* a personality routine: skipped */
            encoding = bytes_take_u8(&data);
            if ((encoding & CFI_POINTER_BASE_MASK) == CFI_POINTER_ALIGNED) {
                return false;
            }
            (void)take_formatted(&data, encoding & CFI_POINTER_FORMAT_MASK);
            break;
        case 'L': /* how FDEs point to tables of exception handlers, which are skipped */
            bytes_skip(&data, 1);
            break;
        case 'S':
            cie->is_signal_frame = true;
            break;
        case 'B': /* aarch64: return addresses are signed with the B key */
        case 'G': /* aarch64: the stack carries memory tags */
            break;
        default:
            return false;
        }
    }
    return !bytes_has_failed(&data);
}

static bool take_factors(struct bytes *body, struct cfi_cie *cie)
{
    uint64_t code_factor = bytes_take_uleb128(body);
    int64_t data_factor = bytes_take_sleb128(body);
    if (code_factor > MAX_FACTOR || data_factor > MAX_FACTOR || data_factor < -MAX_FACTOR) {
        return false;
    }
    cie->code_factor = (uint32_t)code_factor;
    cie->data_factor = (int32_t)data_factor;
    return true;
}

bool cfi_cie_read(const struct cfi_entry *entry, struct cfi_cie *ret_cie)
{
    struct bytes body = entry->body;
    struct cfi_cie cie = {.pointer_encoding = CFI_POINTER_ADDRESS};
    uint8_t version = bytes_take_u8(&body);
    const char *augmentation = bytes_take_string(&body);
    bool is_known_version = version == 1 || version == 3 || version == 4;
    if (!augmentation || !is_known_version || (augmentation[0] && augmentation[0] != 'z')) {
        return false;
    }
    if (version == 4) {
        uint8_t address_bytes = bytes_take_u8(&body);
        uint8_t segment_bytes = bytes_take_u8(&body);
        if (address_bytes != 8 || segment_bytes != 0) {
            return false;
        }
    }
    if (!take_factors(&body, &cie)) {
        return false;
    }
    uint64_t return_register = version == 1 ? bytes_take_u8(&body) : bytes_take_uleb128(&body);
    cie.return_register = return_register < UINT32_MAX ? (uint32_t)return_register : UINT32_MAX;
    if (augmentation[0] == 'z') {
        uint64_t n_bytes = bytes_take_uleb128(&body);
        const uint8_t *data = n_bytes <= bytes_left(&body) ? bytes_take(&body, n_bytes) : NULL;
        cie.has_augmentation = true;
        if (!data || !read_augmentation(augmentation + 1, bytes_of(data, n_bytes), &cie)) {
            return false;
        }
    }
    cie.program = body;
    *ret_cie = cie;
    return !bytes_has_failed(&body);
}

bool cfi_fde_read(const struct cfi_section *section, const struct cfi_cie *cie,
                  const struct cfi_entry *entry, struct cfi_fde *ret_fde)
{
    struct bytes body = entry->body;
    uint64_t start_addr = cfi_pointer_take(&body, cie->pointer_encoding, section->bytes.at,
                                           section->addr, section->addr);
    uint64_t n_bytes = take_formatted(&body, cie->pointer_encoding & CFI_POINTER_FORMAT_MASK);
    if (cie->has_augmentation) {
        uint64_t n_skipped = bytes_take_uleb128(&body);
        if (n_skipped > bytes_left(&body)) {
            return false;
        }
        bytes_skip(&body, (size_t)n_skipped);
    }
    *ret_fde = (struct cfi_fde){.start_addr = start_addr, .n_bytes = n_bytes, .program = body};
    return !bytes_has_failed(&body);
}
