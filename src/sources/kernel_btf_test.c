/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "sources/kernel_btf.h"

#define KERNEL_BTF_PATH "/sys/kernel/btf/vmlinux"

/* A BTF blob in the making: types and strings grow apart, blob_finish() joins them. */
struct blob {
    uint8_t types[4096];
    char strings[1024];
    size_t types_bytes, strings_bytes;
    uint32_t n_types;
    uint8_t data[8192];
    size_t n_bytes;
};

static uint32_t name(struct blob *blob, const char *text)
{
    uint32_t offset = (uint32_t)blob->strings_bytes;
    size_t n_bytes = strlen(text) + 1;
    assert_true(offset + n_bytes <= sizeof(blob->strings));
    memcpy(blob->strings + offset, text, n_bytes);
    blob->strings_bytes += n_bytes;
    return offset;
}

static void put_u32(struct blob *blob, uint32_t value)
{
    assert_true(blob->types_bytes + 4 <= sizeof(blob->types));
    memcpy(blob->types + blob->types_bytes, &value, 4);
    blob->types_bytes += 4;
}

/* Returns the type's id. The caller adds the words that follow the three. */
static uint32_t type(struct blob *blob, const char *text, uint32_t kind, uint32_t n_members,
                     bool has_bitfields)
{
    put_u32(blob, text ? name(blob, text) : 0);
    put_u32(blob, (uint32_t)has_bitfields << 31 | kind << 24 | n_members);
    put_u32(blob, 0);
    return ++blob->n_types;
}

static void member(struct blob *blob, const char *text, uint32_t offset_bits)
{
    put_u32(blob, name(blob, text));
    put_u32(blob, 1);
    put_u32(blob, offset_bits);
}

static void nameless(struct blob *blob, uint32_t type_id, uint32_t offset_bits)
{
    put_u32(blob, 0);
    put_u32(blob, type_id);
    put_u32(blob, offset_bits);
}

static void words(struct blob *blob, size_t n_words)
{
    for (size_t i = 0; i < n_words; i++) {
        put_u32(blob, 0);
    }
}

static void finish(struct blob *blob)
{
    const struct btf_header header = {
        .magic = BTF_MAGIC,
        .version = 1,
        .hdr_len = sizeof(header),
        .type_len = (uint32_t)blob->types_bytes,
        .str_off = (uint32_t)blob->types_bytes,
        .str_len = (uint32_t)blob->strings_bytes,
    };
    memcpy(blob->data, &header, sizeof(header));
    memcpy(blob->data + sizeof(header), blob->types, blob->types_bytes);
    memcpy(blob->data + sizeof(header) + blob->types_bytes, blob->strings, blob->strings_bytes);
    blob->n_bytes = sizeof(header) + blob->types_bytes + blob->strings_bytes;
}

#define WITHOUT_TASK 1u
#define WITHOUT_ENTITY 2u
#define WITHOUT_TYPEDEF 4u
#define WITHOUT_TGID 8u
#define WITHOUT_COUNT 16u /* a member of another variable instead */

struct ids {
    uint32_t switched, waking, fork, freed;
};

/* One type of every kind, so that each one's length is passed over rightly, then what is wanted. */
static void make(struct blob *blob, unsigned int without, struct ids *ret_ids)
{
    *ret_ids = (struct ids){0};
    *blob = (struct blob){0};
    name(blob, ""); /* offset 0: no name */
    type(blob, "int", BTF_KIND_INT, 0, false);
    words(blob, 1);
    type(blob, NULL, BTF_KIND_PTR, 0, false);
    type(blob, NULL, BTF_KIND_ARRAY, 0, false);
    words(blob, 3);
    type(blob, "colour", BTF_KIND_ENUM, 3, false);
    words(blob, 6);
    type(blob, "wide", BTF_KIND_ENUM64, 2, true);
    words(blob, 6);
    type(blob, NULL, BTF_KIND_FUNC_PROTO, 2, false);
    words(blob, 4);
    type(blob, "f", BTF_KIND_FUNC, 1, false); /* vlen is its linkage: nothing follows */
    type(blob, "v", BTF_KIND_VAR, 0, false);
    words(blob, 1);
    type(blob, ".data", BTF_KIND_DATASEC, 2, false);
    words(blob, 6);
    type(blob, "tag", BTF_KIND_DECL_TAG, 0, false);
    words(blob, 1);
    type(blob, "float", BTF_KIND_FLOAT, 0, false);
    type(blob, "task_struct", BTF_KIND_FWD, 0, false); /* of this name, but no struct */
    type(blob, "u", BTF_KIND_UNION, 1, false);
    member(blob, "pid", 8);
    type(blob, "task_struct_x", BTF_KIND_STRUCT, 1, false); /* longer name */
    member(blob, "pid", 16);
    if (!(without & WITHOUT_ENTITY)) {
        type(blob, "sched_entity", BTF_KIND_STRUCT, 3,
             true); /* with bitfields: offset is 24 bits */
        member(blob, "on_rq", 1u << 24 | 0);
        member(blob, "sum_exec_runtime", 0u << 24 | 112 * 8);
        member(blob, "cfs_rq", 0u << 24 | 128 * 8);
    }
    if (!(without & WITHOUT_TASK)) {
        type(blob, "task_struct", BTF_KIND_STRUCT, 9, false);
        member(blob, "pid_x", 1);
        member(blob, "pid", 1256 * 8);
        member(blob, without & WITHOUT_TGID ? "tgid_x" : "tgid", 1260 * 8);
        member(blob, "se", 192 * 8);
        member(blob, "start_boottime", 1400 * 8);
        member(blob, "group_leader", 1300 * 8);
        member(blob, "mm", 1200 * 8);
        member(blob, "real_cred", 1500 * 8);
        member(blob, "thread", 3000 * 8);
        type(blob, "task_struct", BTF_KIND_STRUCT, 1, false); /* a second one does not count */
        member(blob, "pid", 8);
    }
    type(blob, "thread_struct", BTF_KIND_STRUCT, 2, false);
    member(blob, "sp", 24 * 8);
    member(blob, "fsbase", 56 * 8);
    /* The members of mm_struct are those of a struct without a name inside it. */
    uint32_t inner = type(blob, NULL, BTF_KIND_STRUCT, 3, false);
    member(blob, "pgd", 0);
    member(blob, "start_stack", 72 * 8);
    member(blob, "flags", 88 * 8);
    type(blob, "mm_struct", BTF_KIND_STRUCT, 1, false);
    nameless(blob, inner, 8 * 8);
    uint32_t count;
    if (without & WITHOUT_COUNT) {
        type(blob, "pcpu_hot", BTF_KIND_STRUCT, 1, false);
        member(blob, "preempt_count", 24 * 8);
        count = type(blob, "pcpu_hot", BTF_KIND_VAR, 0, false);
    } else {
        count = type(blob, "__preempt_count", BTF_KIND_VAR, 0, false);
    }
    words(blob, 1);
    uint32_t queues = type(blob, "runqueues", BTF_KIND_VAR, 0, false);
    words(blob, 1);
    type(blob, ".data..percpu", BTF_KIND_DATASEC, 2, false);
    const uint32_t variables[] = {queues, 5000, 64, count, 300, 4};
    for (size_t i = 0; i < 6; i++) {
        put_u32(blob, variables[i]);
    }
    type(blob, "cred", BTF_KIND_STRUCT, 3, false);
    member(blob, "uid", 8 * 8);
    member(blob, "suid", 16 * 8);
    member(blob, "euid", 24 * 8);
    type(blob, "cfs_rq", BTF_KIND_STRUCT, 1, false);
    member(blob, "rq", 320 * 8);
    type(blob, "btf_trace_sched_switch_x", BTF_KIND_TYPEDEF, 0, false);
    ret_ids->waking = type(blob, "btf_trace_sched_waking", BTF_KIND_TYPEDEF, 0, false);
    ret_ids->fork = type(blob, "btf_trace_sched_process_fork", BTF_KIND_TYPEDEF, 0, false);
    ret_ids->freed = type(blob, "btf_trace_sched_process_free", BTF_KIND_TYPEDEF, 0, false);
    if (!(without & WITHOUT_TYPEDEF)) {
        ret_ids->switched = type(blob, "btf_trace_sched_switch", BTF_KIND_TYPEDEF, 0, false);
    }
    type(blob, "const", BTF_KIND_CONST, 0, false);
    finish(blob);
}

static void members_are_found(void **state)
{
    (void)state;
    struct blob blob;
    struct ids ids;
    make(&blob, 0, &ids);
    struct kernel_btf btf;
    assert_int_equal(kernel_btf_parse(blob.data, blob.n_bytes, &btf), 0);
    assert_int_equal(btf.members[KERNEL_TASK_PID], 1256);
    assert_int_equal(btf.members[KERNEL_TASK_TGID], 1260);
    assert_int_equal(btf.members[KERNEL_TASK_CPU_TIME], 192 + 112);
    assert_int_equal(btf.members[KERNEL_TASK_START], 1400);
    assert_int_equal(btf.members[KERNEL_TASK_LEADER], 1300);
    assert_int_equal(btf.members[KERNEL_TASK_MM], 1200);
    assert_int_equal(btf.members[KERNEL_MM_FLAGS], 8 + 88);
    assert_int_equal(btf.members[KERNEL_TASK_CFS_RQ], 192 + 128);
    assert_int_equal(btf.members[KERNEL_CFS_RQ_RQ], 320);
    assert_int_equal(btf.members[KERNEL_TASK_CREDENTIALS], 1500);
    assert_int_equal(btf.members[KERNEL_CREDENTIALS_EUID], 24);
    assert_int_equal(btf.members[KERNEL_TASK_TLS], 3000 + 56);
    assert_int_equal(btf.members[KERNEL_MM_STACK], 8 + 72);
    assert_int_equal(btf.sched_switch_type, ids.switched);
    assert_int_equal(btf.sched_waking_type, ids.waking);
    assert_int_equal(btf.sched_fork_type, ids.fork);
    assert_int_equal(btf.sched_free_type, ids.freed);
    assert_int_equal(btf.preempt_count_from_rq, 300 - 5000);
}

static void the_count_can_be_a_member(void **state)
{
    (void)state;
    struct blob blob;
    struct ids ids;
    struct kernel_btf btf;
    make(&blob, WITHOUT_COUNT, &ids);
    assert_int_equal(kernel_btf_parse(blob.data, blob.n_bytes, &btf), 0);
    assert_int_equal(btf.preempt_count_from_rq, 300 + 24 - 5000);
}

static void what_is_missing_is_told(void **state)
{
    (void)state;
    const unsigned int cases[] = {WITHOUT_TASK, WITHOUT_ENTITY, WITHOUT_TYPEDEF, WITHOUT_TGID};
    for (size_t i = 0; i < 4; i++) {
        struct blob blob;
        struct ids ids;
        make(&blob, cases[i], &ids);
        struct kernel_btf btf = {.sched_switch_type = 99};
        assert_int_equal(kernel_btf_parse(blob.data, blob.n_bytes, &btf), -ENOENT);
        assert_int_equal(btf.sched_switch_type, 99);
    }
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct blob blob;
    struct ids ids;
    make(&blob, 0, &ids);
    for (size_t n_bytes = 0; n_bytes < blob.n_bytes; n_bytes++) {
        uint8_t *data = malloc(n_bytes ? n_bytes : 1);
        assert_non_null(data);
        memcpy(data, blob.data, n_bytes);
        struct kernel_btf btf;
        assert_int_equal(kernel_btf_parse(data, n_bytes, &btf), -EBADMSG);
        free(data);
    }
}

/* Also where header and types claim something else than what is there. */
static void every_byte_may_lie(void **state)
{
    (void)state;
    struct blob blob;
    struct ids ids;
    make(&blob, 0, &ids);
    uint8_t *data = malloc(blob.n_bytes);
    assert_non_null(data);
    const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    for (size_t at = 0; at < blob.n_bytes; at++) {
        for (size_t i = 0; i < sizeof(values); i++) {
            memcpy(data, blob.data, blob.n_bytes);
            data[at] = values[i];
            struct kernel_btf btf;
            int r = kernel_btf_parse(data, blob.n_bytes, &btf);
            assert_true(r == 0 || r == -EBADMSG || r == -ENOENT);
        }
        if (at < 2) {
            data[at] ^= 0x5a;
            struct kernel_btf btf;
            assert_int_equal(kernel_btf_parse(data, blob.n_bytes, &btf), -EBADMSG);
        }
    }
    free(data);
}

static void strings_end_within_their_section(void **state)
{
    (void)state;
    struct blob blob;
    struct ids ids;
    make(&blob, 0, &ids);
    /* The last string loses its end: it must not be compared beyond it. */
    struct btf_header header;
    memcpy(&header, blob.data, sizeof(header));
    const char wanted[] = "const";
    assert_memory_equal(blob.data + blob.n_bytes - sizeof(wanted), wanted, sizeof(wanted));
    header.str_len -= 1;
    memcpy(blob.data, &header, sizeof(header));
    uint8_t *data = malloc(blob.n_bytes - 1);
    assert_non_null(data);
    memcpy(data, blob.data, blob.n_bytes - 1);
    struct kernel_btf btf;
    assert_int_equal(kernel_btf_parse(data, blob.n_bytes - 1, &btf), 0);
    free(data);
}

static void this_kernel_is_understood(void **state)
{
    (void)state;
    if (access(KERNEL_BTF_PATH, R_OK) != 0) {
        skip(); /* this kernel tells nothing about its types */
    }
    struct kernel_btf btf;
    assert_int_equal(kernel_btf_load(&btf), 0);
    /* What is known of any kernel: pid and tgid are neighbours, all lie inside the struct. */
    assert_int_equal(btf.members[KERNEL_TASK_TGID], btf.members[KERNEL_TASK_PID] + 4);
    assert_true(btf.members[KERNEL_TASK_PID] > 100);
    for (size_t i = 0; i < KERNEL_MEMBER_N; i++) {
        assert_true(btf.members[i] < 16384);
    }
    assert_int_equal(btf.members[KERNEL_TASK_CPU_TIME] % 8, 0);
    assert_true(btf.members[KERNEL_MM_FLAGS] > 0);
    assert_true(btf.sched_waking_type > 0 && btf.preempt_count_from_rq != 0);
    assert_true(btf.sched_switch_type > 0);

    /* Asked again it is the same, and cut anywhere it is refused. */
    struct kernel_btf again;
    assert_int_equal(kernel_btf_load(&again), 0);
    assert_memory_equal(&again, &btf, sizeof(btf));
    _cleanup_(freep) char *data = NULL;
    size_t n_bytes;
    assert_int_equal(fd_read_file(KERNEL_BTF_PATH, 64u << 20, &data, &n_bytes), 0);
    for (size_t cut_bytes = 0; cut_bytes < n_bytes; cut_bytes += 1 + n_bytes / 20) {
        assert_int_equal(kernel_btf_parse(data, cut_bytes, &again), -EBADMSG);
    }
    assert_int_equal(kernel_btf_parse(data, n_bytes - 1, &again), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found),
        cmocka_unit_test(the_count_can_be_a_member),
        cmocka_unit_test(what_is_missing_is_told),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_byte_may_lie),
        cmocka_unit_test(strings_end_within_their_section),
        cmocka_unit_test(this_kernel_is_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
