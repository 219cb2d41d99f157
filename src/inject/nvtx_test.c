/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inject/nvtx_abi.h"
#include "inject/test_target.h"

/* The program's side: places of functions, and tables that can be broken. */
#define CORE_PLACES 17
#define CORE2_PLACES 17

static nvtx_function core[CORE_PLACES], core2[CORE2_PLACES];
static nvtx_function *core_places[CORE_PLACES], *core2_places[CORE2_PLACES];
static unsigned int n_core_places, n_core2_places;
static uint32_t tool_version;

static int get_functions(int module, nvtx_function ***ret_places, unsigned int *ret_n_places)
{
    *ret_places = module == NVTX_MODULE_CORE ? core_places : core2_places;
    *ret_n_places = module == NVTX_MODULE_CORE ? n_core_places : n_core2_places;
    return (module == NVTX_MODULE_CORE || module == NVTX_MODULE_CORE2) && *ret_n_places > 0;
}

static void set_tool_version(uint32_t version)
{
    tool_version = version;
}

static struct nvtx_callbacks_table callbacks;
static struct nvtx_version_table version_table;
static bool has_version;

static const void *get_table(uint32_t table)
{
    return table == NVTX_TABLE_CALLBACKS                ? (const void *)&callbacks
           : table == NVTX_TABLE_VERSION && has_version ? &version_table
                                                        : NULL;
}

static int setup(void **state)
{
    (void)state;
    memset(core, 0, sizeof(core));
    memset(core2, 0, sizeof(core2));
    for (size_t i = 1; i < CORE_PLACES - 1; i++) {
        core_places[i] = &core[i];
        core2_places[i] = &core2[i];
    }
    n_core_places = n_core2_places = CORE_PLACES - 1;
    callbacks = (struct nvtx_callbacks_table){sizeof(callbacks), get_functions};
    version_table = (struct nvtx_version_table){sizeof(version_table), 3, 0, set_tool_version};
    has_version = true;
    tool_version = 0;
    test_target_record(true);
    return 0;
}

#define CALL(table, number, type, ...) ((type)(table)[number])(__VA_ARGS__)
#define PUSH(text) CALL(core, NVTX_CORE_RANGE_PUSH_A, int (*)(const char *), text)
#define POP() CALL(core, NVTX_CORE_RANGE_POP, int (*)(void))
#define DOMAIN(name) CALL(core2, NVTX_CORE2_DOMAIN_CREATE_A, void *(*)(const char *), name)
#define DOMAIN_PUSH(domain, attributes)                                                            \
    CALL(core2, NVTX_CORE2_DOMAIN_RANGE_PUSH_EX, int (*)(void *, const struct nvtx_attributes *),  \
         domain, attributes)
#define DOMAIN_POP(domain) CALL(core2, NVTX_CORE2_DOMAIN_RANGE_POP, int (*)(void *), domain)

static struct nvtx_attributes attributes_of(const char *text)
{
    return (struct nvtx_attributes){.version = 3,
                                    .bytes = sizeof(struct nvtx_attributes),
                                    .message_kind = NVTX_MESSAGE_ASCII,
                                    .message.ascii = text};
}

static const struct test_span *find(const char *path)
{
    size_t n;
    const struct test_span *span = test_target_find(path, &n);
    assert_int_equal(n, 1);
    return span;
}

static void what_is_not_known_is_refused_untouched(void **state)
{
    (void)state;
    assert_int_equal(InitializeInjectionNvtx2(NULL), 0);
    callbacks.bytes = sizeof(callbacks) - 1;
    assert_int_equal(InitializeInjectionNvtx2(get_table), 0);
    callbacks = (struct nvtx_callbacks_table){sizeof(callbacks), NULL};
    assert_int_equal(InitializeInjectionNvtx2(get_table), 0);
    setup(NULL);
    has_version = false;
    assert_int_equal(InitializeInjectionNvtx2(get_table), 0);
    setup(NULL);
    version_table.bytes = 8;
    assert_int_equal(InitializeInjectionNvtx2(get_table), 0);
    const uint32_t versions[] = {0, 1, 4, UINT32_MAX};
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        setup(NULL);
        version_table.version = versions[i];
        assert_int_equal(InitializeInjectionNvtx2(get_table), 0);
        assert_int_equal(tool_version, 0);
    }
    setup(NULL);
    n_core_places = n_core2_places = 0;
    assert_int_equal(InitializeInjectionNvtx2(get_table), 0);
    for (size_t i = 0; i < CORE_PLACES; i++) {
        assert_null(core[i]);
        assert_null(core2[i]);
    }
}

static void a_shorter_table_gets_what_it_has_places_for(void **state)
{
    (void)state;
    version_table.version = 2;
    n_core_places = NVTX_CORE_RANGE_PUSH_A + 1;
    n_core2_places = 0;
    core_places[NVTX_CORE_MARK_W] = NULL;
    assert_int_equal(InitializeInjectionNvtx2(get_table), 1);
    assert_int_equal(tool_version, 3);
    assert_non_null(core[NVTX_CORE_MARK_A]);
    assert_non_null(core[NVTX_CORE_RANGE_PUSH_A]);
    assert_null(core[NVTX_CORE_MARK_W]);
    assert_null(core[NVTX_CORE_RANGE_PUSH_W]);
    assert_null(core[NVTX_CORE_RANGE_POP]);
    assert_null(core2[NVTX_CORE2_DOMAIN_CREATE_A]);
}

static void ranges_nest_in_the_default_domain(void **state)
{
    (void)state;
    assert_int_equal(InitializeInjectionNvtx2(get_table), 1);
    char lane[64];
    snprintf(lane, sizeof(lane), "NVTX: thread %d", gettid());
    assert_int_equal(PUSH("step"), 0);
    assert_int_equal(CALL(core, NVTX_CORE_RANGE_PUSH_W, int (*)(const wchar_t *), L"w\u00e4rts"),
                     1);
    struct nvtx_attributes attributes = attributes_of("third");
    assert_int_equal(
        CALL(core, NVTX_CORE_RANGE_PUSH_EX, int (*)(const struct nvtx_attributes *), &attributes),
        2);
    CALL(core, NVTX_CORE_MARK_A, void (*)(const char *), "mark");
    CALL(core, NVTX_CORE_MARK_W, void (*)(const wchar_t *), L"wide mark");
    CALL(core, NVTX_CORE_MARK_EX, void (*)(const struct nvtx_attributes *), &attributes);
    assert_int_equal(POP(), 2);
    assert_int_equal(POP(), 1);
    assert_int_equal(POP(), 0);
    assert_true(POP() < 0);
    assert_string_equal(find("step")->lane, lane);
    find("step/w\xc3\xa4rts");
    find("step/w\xc3\xa4rts/third");
    find("step/w\xc3\xa4rts/third/mark");
    find("step/w\xc3\xa4rts/third/wide mark");
    find("step/w\xc3\xa4rts/third/third");
    assert_int_equal(test_target_n_spans(), 6);
}

static void domains_have_lanes_and_strings_of_their_own(void **state)
{
    (void)state;
    assert_int_equal(InitializeInjectionNvtx2(get_table), 1);
    void *domain = DOMAIN("nccl");
    assert_ptr_equal(CALL(core2, NVTX_CORE2_DOMAIN_CREATE_W, void *(*)(const wchar_t *), L"nccl"),
                     domain);
    const void *string = CALL(core2, NVTX_CORE2_DOMAIN_REGISTER_STRING_A,
                              const void *(*)(void *, const char *), domain, "all reduce");
    const void *wide = CALL(core2, NVTX_CORE2_DOMAIN_REGISTER_STRING_W,
                            const void *(*)(void *, const wchar_t *), domain, L"all reduce");
    assert_ptr_equal(wide, string);
    struct nvtx_attributes attributes = attributes_of(NULL);
    attributes.message_kind = NVTX_MESSAGE_REGISTERED;
    attributes.message.registered = string;
    assert_int_equal(DOMAIN_PUSH(domain, &attributes), 0);
    attributes.message.registered = NULL;
    assert_int_equal(DOMAIN_PUSH(NULL, &attributes), 0);
    assert_int_equal(DOMAIN_POP(NULL), 0);
    assert_int_equal(DOMAIN_POP(domain), 0);
    char lane[64];
    snprintf(lane, sizeof(lane), "nccl: thread %d", gettid());
    assert_string_equal(find("all reduce")->lane, lane);
    snprintf(lane, sizeof(lane), "NVTX: thread %d", gettid());
    assert_string_equal(find("(unnamed)")->lane, lane);
}

static void attributes_count_as_far_as_their_size_says(void **state)
{
    (void)state;
    assert_int_equal(InitializeInjectionNvtx2(get_table), 1);
    struct nvtx_attributes attributes = attributes_of("short");
    attributes.bytes = 40;
    DOMAIN_PUSH(NULL, &attributes);
    DOMAIN_POP(NULL);
    DOMAIN_PUSH(NULL, NULL);
    DOMAIN_POP(NULL);
    attributes = attributes_of("strange");
    attributes.message_kind = 99;
    attributes.payload_kind = 0x1000;
    DOMAIN_PUSH(NULL, &attributes);
    DOMAIN_POP(NULL);
    size_t n;
    const struct test_span *unnamed = test_target_find("(unnamed)", &n);
    assert_int_equal(n, 3);
    assert_int_equal(unnamed->n_counters, 0);
}

static void payloads_are_counters(void **state)
{
    (void)state;
    assert_int_equal(InitializeInjectionNvtx2(get_table), 1);
    static const struct nvtx_attributes payloads[] = {
        {.payload_kind = NVTX_PAYLOAD_U64, .payload.u64 = 42},
        {.payload_kind = NVTX_PAYLOAD_S64, .payload.s64 = -42},
        {.payload_kind = NVTX_PAYLOAD_DOUBLE, .payload.real = 0.5},
        {.payload_kind = NVTX_PAYLOAD_U32, .payload.u32 = 7},
        {.payload_kind = NVTX_PAYLOAD_S32, .payload.s32 = -7},
        {.payload_kind = NVTX_PAYLOAD_FLOAT, .payload.real32 = 0.25f},
    };
    static const double values[] = {42, -42, 0.5, 7, -7, 0.25};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct nvtx_attributes attributes = attributes_of("with payload");
        attributes.payload_kind = payloads[i].payload_kind;
        attributes.payload = payloads[i].payload;
        DOMAIN_PUSH(NULL, &attributes);
        DOMAIN_POP(NULL);
        const struct test_span *span = test_target_span(i);
        assert_int_equal(span->n_counters, 1);
        assert_string_equal(span->counter, "payload");
        assert_true(span->values[0] == values[i]);
    }
}

static void ranges_that_overlap_are_found_by_their_id(void **state)
{
    (void)state;
    assert_int_equal(InitializeInjectionNvtx2(get_table), 1);
    void *domain = DOMAIN("streams");
    struct nvtx_attributes attributes = attributes_of("second");
    uint64_t first = CALL(core, NVTX_CORE_RANGE_START_A, uint64_t(*)(const char *), "first");
    uint64_t second =
        CALL(core2, NVTX_CORE2_DOMAIN_RANGE_START_EX,
             uint64_t(*)(void *, const struct nvtx_attributes *), domain, &attributes);
    uint64_t third = CALL(core, NVTX_CORE_RANGE_START_W, uint64_t(*)(const wchar_t *), L"third");
    assert_true(first != second && second != third);
    CALL(core, NVTX_CORE_RANGE_END, void (*)(uint64_t), first);
    CALL(core2, NVTX_CORE2_DOMAIN_RANGE_END, void (*)(void *, uint64_t), domain, second);
    CALL(core, NVTX_CORE_RANGE_END, void (*)(uint64_t), third);
    CALL(core, NVTX_CORE_RANGE_END, void (*)(uint64_t), third);
    CALL(core, NVTX_CORE_RANGE_END, void (*)(uint64_t), 0);
    assert_string_equal(find("first")->lane, "NVTX ranges");
    assert_string_equal(find("second")->lane, "streams ranges");
    assert_true(find("second")->start_ns <= find("first")->end_ns);
    find("third");
}

static void threads_are_called_as_the_program_calls_them(void **state)
{
    (void)state;
    assert_int_equal(InitializeInjectionNvtx2(get_table), 1);
    CALL(core, NVTX_CORE_NAME_OS_THREAD_A, void (*)(uint32_t, const char *), (uint32_t)gettid(),
         "trainer");
    PUSH("one");
    POP();
    CALL(core, NVTX_CORE_NAME_OS_THREAD_W, void (*)(uint32_t, const wchar_t *), (uint32_t)gettid(),
         L"tester");
    PUSH("two");
    POP();
    CALL(core, NVTX_CORE_NAME_OS_THREAD_A, void (*)(uint32_t, const char *), (uint32_t)gettid(),
         "");
    CALL(core, NVTX_CORE_NAME_OS_THREAD_A, void (*)(uint32_t, const char *), 1, NULL);
    assert_string_equal(find("one")->lane, "NVTX: trainer");
    assert_string_equal(find("two")->lane, "NVTX: tester");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_not_known_is_refused_untouched, setup),
        cmocka_unit_test_setup(a_shorter_table_gets_what_it_has_places_for, setup),
        cmocka_unit_test_setup(ranges_nest_in_the_default_domain, setup),
        cmocka_unit_test_setup(domains_have_lanes_and_strings_of_their_own, setup),
        cmocka_unit_test_setup(attributes_count_as_far_as_their_size_says, setup),
        cmocka_unit_test_setup(payloads_are_counters, setup),
        cmocka_unit_test_setup(ranges_that_overlap_are_found_by_their_id, setup),
        cmocka_unit_test_setup(threads_are_called_as_the_program_calls_them, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
