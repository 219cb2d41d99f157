/* SPDX-License-Identifier: MIT */
#include "sources/kernel_btf.h"

#include <errno.h>
#include <linux/btf.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/fd.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"
#define BTF_MAX_BYTES (64u << 20)

struct strings {
    const char *data;
    size_t n_bytes;
};

static bool is_named(const struct strings *strings, uint32_t offset, const char *name)
{
    size_t wanted_bytes = strlen(name) + 1;
    return offset < strings->n_bytes && strings->n_bytes - offset >= wanted_bytes &&
           memcmp(strings->data + offset, name, wanted_bytes) == 0;
}

/* Bytes that follow a type's three words, by kind. */
static size_t detail_bytes(uint32_t kind, uint32_t n_members)
{
    switch (kind) {
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG:
        return 4;
    case BTF_KIND_ARRAY:
        return 12;
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
    case BTF_KIND_DATASEC:
    case BTF_KIND_ENUM64:
        return (size_t)12 * n_members;
    case BTF_KIND_ENUM:
    case BTF_KIND_FUNC_PROTO:
        return (size_t)8 * n_members;
    default:
        return 0;
    }
}

struct btf_view {
    const uint8_t *types;
    size_t types_bytes;
    struct strings strings;
    uint32_t *offsets; /* of each type, by id; 0 is void */
    uint32_t n_types;
};

struct type_head {
    uint32_t id, kind, n_members, name_offset, type;
    bool has_bitfields;
    struct bytes members;
};

static struct type_head head_of(const struct btf_view *view, uint32_t id)
{
    uint32_t offset = view->offsets[id];
    struct bytes bytes = bytes_of(view->types + offset, view->types_bytes - offset);
    struct type_head head = {.id = id, .name_offset = bytes_take_u32(&bytes)};
    uint32_t info = bytes_take_u32(&bytes);
    head.type = bytes_take_u32(&bytes);
    head.kind = BTF_INFO_KIND(info);
    head.n_members = BTF_INFO_VLEN(info);
    head.has_bitfields = BTF_INFO_KFLAG(info);
    head.members = bytes;
    return head;
}

/* Notes where each type begins. */
static int index_types(struct btf_view *view)
{
    struct bytes types = bytes_of(view->types, view->types_bytes);
    view->offsets = malloc((view->types_bytes / 12 + 2) * sizeof(*view->offsets));
    if (!view->offsets) {
        return -ENOMEM;
    }
    view->offsets[0] = 0;
    view->n_types = 1;
    while (bytes_left(&types) > 0) {
        view->offsets[view->n_types++] = (uint32_t)(view->types_bytes - bytes_left(&types));
        bytes_skip(&types, 4);
        uint32_t info = bytes_take_u32(&types);
        bytes_skip(&types, 4);
        bytes_skip(&types, detail_bytes(BTF_INFO_KIND(info), BTF_INFO_VLEN(info)));
        if (bytes_has_failed(&types)) {
            return -EBADMSG;
        }
    }
    return 0;
}

/* The types that are looked for, all in one pass: there are a hundred thousand others. */
enum wanted {
    WANTED_TASK,
    WANTED_ENTITY,
    WANTED_THREAD,
    WANTED_MM,
    WANTED_CFS_RQ,
    WANTED_CREDENTIALS,
    WANTED_HOT_STRUCT,
    WANTED_HOT_VARIABLE,
    WANTED_COUNT_VARIABLE,
    WANTED_RQ_VARIABLE,
    WANTED_PER_CPU,
    WANTED_SWITCH,
    WANTED_WAKING,
    WANTED_FORK,
    WANTED_FREE,
    WANTED_N
};

static const struct {
    uint32_t kind;
    const char *name;
} wanted_types[WANTED_N] = {
    [WANTED_TASK] = {BTF_KIND_STRUCT, "task_struct"},
    [WANTED_ENTITY] = {BTF_KIND_STRUCT, "sched_entity"},
    [WANTED_THREAD] = {BTF_KIND_STRUCT, "thread_struct"},
    [WANTED_MM] = {BTF_KIND_STRUCT, "mm_struct"},
    [WANTED_CFS_RQ] = {BTF_KIND_STRUCT, "cfs_rq"},
    [WANTED_CREDENTIALS] = {BTF_KIND_STRUCT, "cred"},
    [WANTED_HOT_STRUCT] = {BTF_KIND_STRUCT, "pcpu_hot"},
    [WANTED_HOT_VARIABLE] = {BTF_KIND_VAR, "pcpu_hot"},
    [WANTED_COUNT_VARIABLE] = {BTF_KIND_VAR, "__preempt_count"},
    [WANTED_RQ_VARIABLE] = {BTF_KIND_VAR, "runqueues"},
    [WANTED_PER_CPU] = {BTF_KIND_DATASEC, ".data..percpu"},
    [WANTED_SWITCH] = {BTF_KIND_TYPEDEF, "btf_trace_sched_switch"},
    [WANTED_WAKING] = {BTF_KIND_TYPEDEF, "btf_trace_sched_waking"},
    [WANTED_FORK] = {BTF_KIND_TYPEDEF, "btf_trace_sched_process_fork"},
    [WANTED_FREE] = {BTF_KIND_TYPEDEF, "btf_trace_sched_process_free"},
};

/* The first of each; id 0 where there is none. */
static void find_types(const struct btf_view *view, struct type_head heads[WANTED_N])
{
    memset(heads, 0, WANTED_N * sizeof(*heads));
    for (uint32_t id = 1; id < view->n_types; id++) {
        struct type_head head = head_of(view, id);
        for (size_t i = 0; i < WANTED_N; i++) {
            if (heads[i].id == 0 && head.kind == wanted_types[i].kind &&
                is_named(&view->strings, head.name_offset, wanted_types[i].name)) {
                heads[i] = head;
            }
        }
    }
}

/* Members of members without a name are members as well, so many levels deep. */
#define ANONYMOUS_DEPTH 4

static bool find_member_in(const struct btf_view *view, struct type_head head, const char *name,
                           unsigned depth, uint32_t *ret_offset)
{
    for (uint32_t i = 0; i < head.n_members && !bytes_has_failed(&head.members); i++) {
        uint32_t name_offset = bytes_take_u32(&head.members);
        uint32_t type = bytes_take_u32(&head.members);
        uint32_t offset_bits = bytes_take_u32(&head.members);
        uint32_t offset =
            (head.has_bitfields ? BTF_MEMBER_BIT_OFFSET(offset_bits) : offset_bits) / 8;
        if (is_named(&view->strings, name_offset, name)) {
            *ret_offset = offset;
            return true;
        }
        if (depth == 0 || !is_named(&view->strings, name_offset, "") || type == 0 ||
            type >= view->n_types) {
            continue;
        }
        struct type_head inner = head_of(view, type);
        bool has_members = inner.kind == BTF_KIND_STRUCT || inner.kind == BTF_KIND_UNION;
        if (has_members && find_member_in(view, inner, name, depth - 1, ret_offset)) {
            *ret_offset += offset;
            return true;
        }
    }
    return false;
}

static bool find_member(const struct btf_view *view, const struct type_head *head, const char *name,
                        uint32_t *ret_offset)
{
    return head->id != 0 && find_member_in(view, *head, name, ANONYMOUS_DEPTH, ret_offset);
}

/* Where a variable lies among those that there is one of for each CPU. */
static bool find_per_cpu(const struct type_head *heads, enum wanted variable, uint32_t *ret_offset)
{
    struct bytes entries = heads[WANTED_PER_CPU].members;
    if (heads[WANTED_PER_CPU].id == 0 || heads[variable].id == 0) {
        return false;
    }
    for (uint32_t i = 0; i < heads[WANTED_PER_CPU].n_members; i++) {
        uint32_t type = bytes_take_u32(&entries);
        uint32_t offset = bytes_take_u32(&entries);
        bytes_skip(&entries, 4);
        if (bytes_has_failed(&entries)) {
            return false;
        }
        if (type == heads[variable].id) {
            *ret_offset = offset;
            return true;
        }
    }
    return false;
}

/* A variable of its own, or (Linux 6.2 to 6.13) a member of one. */
static bool find_preempt_count(const struct btf_view *view, const struct type_head *heads,
                               struct kernel_btf *btf)
{
    uint32_t rq_offset, count_offset, member_offset = 0;
    if (!find_per_cpu(heads, WANTED_RQ_VARIABLE, &rq_offset)) {
        return false;
    }
    if (!find_per_cpu(heads, WANTED_COUNT_VARIABLE, &count_offset) &&
        (!find_per_cpu(heads, WANTED_HOT_VARIABLE, &count_offset) ||
         !find_member(view, &heads[WANTED_HOT_STRUCT], "preempt_count", &member_offset))) {
        return false;
    }
    btf->preempt_count_from_rq = (int64_t)count_offset + member_offset - rq_offset;
    return true;
}

static int look_up(const struct btf_view *view, struct kernel_btf *btf)
{
    const struct {
        enum kernel_member member;
        enum wanted type;
        const char *name;
    } wanted[] = {
        {KERNEL_TASK_PID, WANTED_TASK, "pid"},
        {KERNEL_TASK_TGID, WANTED_TASK, "tgid"},
        {KERNEL_TASK_CPU_TIME, WANTED_TASK, "se"},
        {KERNEL_TASK_START, WANTED_TASK, "start_boottime"},
        {KERNEL_TASK_LEADER, WANTED_TASK, "group_leader"},
        {KERNEL_TASK_MM, WANTED_TASK, "mm"},
        {KERNEL_MM_FLAGS, WANTED_MM, "flags"},
        {KERNEL_TASK_CREDENTIALS, WANTED_TASK, "real_cred"},
        {KERNEL_CREDENTIALS_UID, WANTED_CREDENTIALS, "uid"},
        {KERNEL_CREDENTIALS_EUID, WANTED_CREDENTIALS, "euid"},
        {KERNEL_CREDENTIALS_SUID, WANTED_CREDENTIALS, "suid"},
        {KERNEL_TASK_CFS_RQ, WANTED_ENTITY, "cfs_rq"},
        {KERNEL_CFS_RQ_RQ, WANTED_CFS_RQ, "rq"},
        {KERNEL_TASK_TLS, WANTED_TASK, "thread"},
        {KERNEL_MM_STACK, WANTED_MM, "start_stack"},
    };
    struct type_head heads[WANTED_N];
    uint32_t runtime_offset, tls_offset;
    find_types(view, heads);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        if (!find_member(view, &heads[wanted[i].type], wanted[i].name,
                         &btf->members[wanted[i].member])) {
            return -ENOENT;
        }
    }
    if (!find_member(view, &heads[WANTED_ENTITY], "sum_exec_runtime", &runtime_offset) ||
        !find_member(view, &heads[WANTED_THREAD], "fsbase", &tls_offset) ||
        heads[WANTED_SWITCH].id == 0 || heads[WANTED_WAKING].id == 0 ||
        heads[WANTED_FORK].id == 0 || heads[WANTED_FREE].id == 0 ||
        !find_preempt_count(view, heads, btf)) {
        return -ENOENT;
    }
    btf->members[KERNEL_TASK_CFS_RQ] += btf->members[KERNEL_TASK_CPU_TIME];
    btf->members[KERNEL_TASK_CPU_TIME] += runtime_offset;
    btf->members[KERNEL_TASK_TLS] += tls_offset;
    btf->sched_switch_type = heads[WANTED_SWITCH].id;
    btf->sched_waking_type = heads[WANTED_WAKING].id;
    btf->sched_fork_type = heads[WANTED_FORK].id;
    btf->sched_free_type = heads[WANTED_FREE].id;
    return 0;
}

int kernel_btf_parse(const void *data, size_t n_bytes, struct kernel_btf *ret_btf)
{
    struct bytes header = bytes_of(data, n_bytes);
    uint16_t magic = bytes_take_u16(&header);
    bytes_skip(&header, 2);
    uint32_t header_bytes = bytes_take_u32(&header);
    uint32_t types_offset = bytes_take_u32(&header);
    uint32_t types_bytes = bytes_take_u32(&header);
    uint32_t strings_offset = bytes_take_u32(&header);
    uint32_t strings_bytes = bytes_take_u32(&header);
    if (bytes_has_failed(&header) || magic != BTF_MAGIC || header_bytes > n_bytes) {
        return -EBADMSG;
    }
    struct bytes body = bytes_of((const uint8_t *)data + header_bytes, n_bytes - header_bytes);
    struct bytes types = body;
    bytes_skip(&types, types_offset);
    const uint8_t *types_start = bytes_take(&types, types_bytes);
    bytes_skip(&body, strings_offset);
    const uint8_t *strings_start = bytes_take(&body, strings_bytes);
    if (!types_start || !strings_start) {
        return -EBADMSG;
    }
    struct btf_view view = {
        .types = types_start,
        .types_bytes = types_bytes,
        .strings = {(const char *)strings_start, strings_bytes},
    };
    struct kernel_btf btf = {0};
    int r = index_types(&view);
    r = r ? r : look_up(&view, &btf);
    free(view.offsets);
    if (r == 0) {
        *ret_btf = btf;
    }
    return r;
}

static struct kernel_btf loaded;
static int loaded_result;

static void load_once(void)
{
    _cleanup_(freep) char *data = NULL;
    size_t n_bytes = 0;
    loaded_result = fd_read_file(BTF_PATH, BTF_MAX_BYTES, &data, &n_bytes);
    if (loaded_result == 0) {
        loaded_result = kernel_btf_parse(data, n_bytes, &loaded);
    }
}

int kernel_btf_load(struct kernel_btf *ret_btf)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_once);
    if (loaded_result == 0) {
        *ret_btf = loaded;
    }
    return loaded_result;
}
