/* SPDX-License-Identifier: MIT */
/*
 * LLVM writes the text; where a branch goes is read from the instruction word
 * itself, since LLVM says it only as part of the text and relative to it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "disasm/disasm_internal.h"

#define WORD_BYTES 4

/*
 * An empty string leaves three in four of the instructions of the last ten
 * years unknown, and "+all" is refused: every extension has to be named. These
 * are known to every LLVM from 14 on.
 */
static const char features[] =
    "+neon,+fp-armv8,+crc,+aes,+sha2,+sha3,+sm4,+lse,+rdm,+ras,+fullfp16,+fp16fml,+dotprod,+rcpc,"
    "+rcpc-immo,+jsconv,+complxnum,+pauth,+flagm,+altnzcv,+bti,+mte,+predres,+specrestrict,+ssbs,"
    "+sb,+ccdp,+ccpp,+ccidx,+bf16,+i8mm,+f32mm,+f64mm,+sve,+sve2,+sve2-aes,+sve2-bitperm,"
    "+sve2-sha3,+sve2-sm4,+tme,+rand,+pan,+pan-rwv,+uaops,+dit,+lor,+vh,+perfmon,+spe,+ecv,+ls64,"
    "+am,+nv,+mpam,+tracev8.4,+sel2,+tlb-rmi,+ete,+brbe,+sme,+rme,+hbc,+mops,+xs,+wfxt,+el2vmsa,"
    "+el3";

/* The version that was measured first, then newer ones, then older ones. */
static const char *const sonames[] = {
    "libLLVM-14.so.1", "libLLVM.so.19.1", "libLLVM.so.18.1", "libLLVM-18.so.1",
    "libLLVM-17.so.1", "libLLVM-16.so.1", "libLLVM-15.so.1", "libLLVM.so.20.1",
    "libLLVM.so.21.1", "libLLVM-13.so.1", "libLLVM-11.so.1",
};

typedef void (*initialize_cb)(void);
typedef void *(*create_cb)(const char *triple, const char *cpu, const char *feature_names,
                           void *userdata, int tag_type, void *get_operand, void *get_symbol);
typedef void (*dispose_cb)(void *context);
typedef size_t (*disassemble_cb)(void *context, uint8_t *code, uint64_t n_bytes, uint64_t address,
                                 char *text, size_t text_bytes);

/* Loaded once and kept: it takes 0.2 s and 50 MB, and cannot be unloaded cleanly. */
static struct {
    pthread_mutex_t lock;
    bool is_tried;
    create_cb create;
    dispose_cb dispose;
    disassemble_cb disassemble;
} llvm = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A function of the library; ISO C has no cast from an object to a function. */
static void find(void *library, const char *name, void *ret_function, size_t n_bytes)
{
    void *found = dlsym(library, name);
    memcpy(ret_function, &found, n_bytes);
}

static void *open_library(void)
{
    for (size_t i = 0; i < sizeof(sonames) / sizeof(sonames[0]); i++) {
        void *library = dlopen(sonames[i], RTLD_NOW | RTLD_LOCAL);
        if (library) {
            return library;
        }
    }
    return NULL;
}

static bool initialize(void *library)
{
    static const char *const names[] = {
        "LLVMInitializeAArch64TargetInfo",
        "LLVMInitializeAArch64TargetMC",
        "LLVMInitializeAArch64Disassembler",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        initialize_cb function;
        find(library, names[i], &function, sizeof(function));
        if (!function) {
            return false;
        }
        function();
    }
    return true;
}

static bool load_llvm(void)
{
    pthread_mutex_lock(&llvm.lock);
    if (!llvm.is_tried) {
        llvm.is_tried = true;
        void *library = open_library();
        if (library && initialize(library)) {
            find(library, "LLVMDisasmDispose", &llvm.dispose, sizeof(llvm.dispose));
            find(library, "LLVMDisasmInstruction", &llvm.disassemble, sizeof(llvm.disassemble));
            find(library, "LLVMCreateDisasmCPUFeatures", &llvm.create, sizeof(llvm.create));
        }
    }
    bool is_loaded = llvm.create && llvm.dispose && llvm.disassemble;
    pthread_mutex_unlock(&llvm.lock);
    return is_loaded;
}

static int aarch64_open(void **ret_state, struct error *reterr_error)
{
    if (!load_llvm()) {
        error_set(reterr_error, "not_supported",
                  "aarch64 code cannot be shown: libLLVM is not installed");
        error_hint(reterr_error, "apt-get install libllvm14, then start stax-server anew");
        return -ENOTSUP;
    }
    *ret_state = llvm.create("aarch64-linux-gnu", "", features, NULL, 0, NULL, NULL);
    if (!*ret_state) {
        error_set(reterr_error, "not_supported", "this libLLVM cannot decode aarch64");
        return -ENOTSUP;
    }
    return 0;
}

static void aarch64_close(void *state)
{
    llvm.dispose(state);
}

/* The signed field of `n_bits` bits at `shift`, which counts words. */
static uint64_t displacement(uint32_t word, unsigned int shift, unsigned int n_bits)
{
    uint64_t field = word >> shift & ((1u << n_bits) - 1);
    uint64_t sign = UINT64_C(1) << (n_bits - 1);
    return ((field ^ sign) - sign) * WORD_BYTES;
}

/* Arm Architecture Reference Manual, C4.1.65 "Branches, Exception Generating and System". */
static void read_flow(uint32_t word, struct disasm_instruction *instruction)
{
    uint64_t distance = 0;
    if ((word & 0x7c000000) == 0x14000000) { /* B, BL */
        instruction->flow = word >> 31 ? DISASM_FLOW_CALL : DISASM_FLOW_JUMP;
        distance = displacement(word, 0, 26);
    } else if ((word & 0xff000000) == 0x54000000 || /* B.cond, BC.cond */
               (word & 0x7e000000) == 0x34000000) { /* CBZ, CBNZ */
        instruction->flow = DISASM_FLOW_BRANCH;
        distance = displacement(word, 5, 19);
    } else if ((word & 0x7e000000) == 0x36000000) { /* TBZ, TBNZ */
        instruction->flow = DISASM_FLOW_BRANCH;
        distance = displacement(word, 5, 14);
    } else if ((word & 0xfe000000) == 0xd6000000) { /* to a register, with and without PAC */
        static const enum disasm_flow flows[] = {DISASM_FLOW_JUMP, DISASM_FLOW_CALL,
                                                 DISASM_FLOW_RETURN, DISASM_FLOW_NEXT};
        instruction->flow = flows[word >> 21 & 3];
        return;
    } else {
        instruction->flow = DISASM_FLOW_NEXT;
        return;
    }
    instruction->has_target = true;
    instruction->target_address = instruction->address + distance;
}

/* "\tb.ne\t#-12" becomes "b.ne 0x…", as x86-64's branches are written. */
static void write_text(char *llvm_text, struct disasm_instruction *instruction)
{
    char *text = llvm_text;
    while (*text == '\t' || *text == ' ') {
        text++;
    }
    for (char *at = text; *at; at++) {
        if (*at == '\t') {
            *at = ' ';
        }
    }
    char *immediate = instruction->has_target ? strrchr(text, '#') : NULL;
    if (immediate) {
        *immediate = '\0';
        snprintf(instruction->text, sizeof(instruction->text), "%s0x%" PRIx64, text,
                 instruction->target_address);
    } else {
        snprintf(instruction->text, sizeof(instruction->text), "%s", text);
    }
}

static bool aarch64_decode(void *state, const uint8_t *code, size_t n_bytes, uint64_t address,
                           struct disasm_instruction *ret_instruction)
{
    uint8_t copy[WORD_BYTES];
    struct bytes bytes = bytes_of(code, n_bytes);
    bytes_take_into(&bytes, copy, sizeof(copy));
    struct bytes again = bytes_of(copy, sizeof(copy));
    uint32_t word = bytes_take_u32(&again);
    char text[DISASM_TEXT_BYTES / 2] = "";
    if (bytes_has_failed(&bytes) ||
        llvm.disassemble(state, copy, sizeof(copy), address, text, sizeof(text)) != WORD_BYTES) {
        return false;
    }
    ret_instruction->n_bytes = WORD_BYTES;
    read_flow(word, ret_instruction);
    write_text(text, ret_instruction);
    return true;
}

const struct disasm_ops disasm_aarch64_ops = {
    .unit_bytes = WORD_BYTES,
    .open = aarch64_open,
    .close = aarch64_close,
    .decode = aarch64_decode,
};
