/* SPDX-License-Identifier: MIT */
#include "capture/fake/fake_script.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "model/limits.h"

#define MAX_NAME_BYTES 16

struct field {
    const char *name;
    size_t offset;
    bool is_flag;
    uint64_t least, most;
};

#define NUMBER(member, least_, most_)                                                              \
    {                                                                                              \
        .name = #member, .offset = offsetof(struct fake_script, member), .least = (least_),        \
        .most = (most_)                                                                            \
    }
#define FLAG(member)                                                                               \
    {                                                                                              \
        .name = #member, .offset = offsetof(struct fake_script, member), .is_flag = true,          \
        .most = 1                                                                                  \
    }

static const struct field fields[] = {
    NUMBER(samples, 0, UINT64_C(100000000000)),
    NUMBER(threads, 1, FAKE_SCRIPT_MAX_THREADS),
    NUMBER(cpus, 1, 4096),
    NUMBER(stacks, 1, UINT64_C(1) << 32),
    NUMBER(depth, 1, LIMIT_STACK_IPS / 2),
    NUMBER(functions, 1, UINT64_C(1) << 24),
    NUMBER(kernel_depth, 0, LIMIT_STACK_IPS / 2),
    NUMBER(images, 1, FAKE_SCRIPT_MAX_IMAGES),
    NUMBER(switches, 0, UINT64_C(100000000000)),
    NUMBER(duration_ns, 0, UINT64_C(1) << 60),
    NUMBER(frequency_hz, 1, 1000000),
    NUMBER(rate, 0, UINT64_C(1000000000)),
    NUMBER(seed, 0, UINT64_MAX),
    FLAG(block),
    FLAG(hold),
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static uint64_t suffix_factor(char suffix)
{
    switch (suffix) {
    case 'k':
        return 1000;
    case 'M':
        return 1000000;
    case 'G':
        return 1000000000;
    default:
        return 0;
    }
}

/* Digits and at most one suffix, up to a comma or the end. NULL where it is none. */
static const char *parse_number(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
            return NULL;
        }
    }
    if (at == text) {
        return NULL;
    }
    if (suffix_factor(*at) != 0) {
        if (__builtin_mul_overflow(value, suffix_factor(*at), &value)) {
            return NULL;
        }
        at++;
    }
    if (*at != '\0' && *at != ',') {
        return NULL;
    }
    *ret_value = value;
    return at;
}

static const struct field *find_field(const char *name, size_t n_bytes)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (strlen(fields[i].name) == n_bytes && memcmp(fields[i].name, name, n_bytes) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

static void store(struct fake_script *script, const struct field *field, uint64_t value)
{
    char *member = (char *)script + field->offset;
    if (field->is_flag) {
        bool flag = value != 0;
        memcpy(member, &flag, sizeof(flag));
    } else {
        memcpy(member, &value, sizeof(value));
    }
}

/* What follows from other members where the text did not say. */
static void fill_in(struct fake_script *script, bool has_switches)
{
    if (script->cpus > script->threads) {
        script->cpus = script->threads;
    }
    if (!has_switches) {
        script->switches = script->samples / 10;
    }
    if (script->duration_ns == 0) {
        uint64_t step_ns = NS_PER_S / (script->frequency_hz * script->cpus);
        script->duration_ns = script->samples * (step_ns ? step_ns : 1);
    }
}

int fake_script_parse(const char *text, struct fake_script *ret_script, struct error *reterr_error)
{
    struct fake_script script = {
        .samples = 100000,
        .threads = 8,
        .cpus = 4,
        .stacks = 1000,
        .depth = 20,
        .functions = 4000,
        .images = 3,
        .frequency_hz = LIMIT_FREQUENCY_DEFAULT_HZ,
        .seed = 1,
    };
    bool is_set[N_FIELDS] = {false};
    const char *at = text ? text : "";
    bool has_switches = false;
    while (*at != '\0') {
        size_t name_bytes = strcspn(at, "=,");
        const struct field *field = find_field(at, name_bytes);
        if (!field || at[name_bytes] != '=') {
            int shown = name_bytes < MAX_NAME_BYTES ? (int)name_bytes : MAX_NAME_BYTES;
            error_set(reterr_error, "invalid_params", "replay: there is no member \"%.*s\"", shown,
                      at);
            return -EINVAL;
        }
        uint64_t value = 0;
        const char *end = parse_number(at + name_bytes + 1, &value);
        if (!end || value < field->least || value > field->most || is_set[field - fields]) {
            error_set(reterr_error, "invalid_params",
                      "replay: %s wants one number from %llu to %llu", field->name,
                      (unsigned long long)field->least, (unsigned long long)field->most);
            return -EINVAL;
        }
        is_set[field - fields] = true;
        has_switches = has_switches || field->offset == offsetof(struct fake_script, switches);
        store(&script, field, value);
        at = *end == ',' ? end + 1 : end;
    }
    fill_in(&script, has_switches);
    *ret_script = script;
    return 0;
}
