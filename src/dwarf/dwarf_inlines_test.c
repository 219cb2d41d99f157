/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dwarf/dwarf_inlines.h"

static uint32_t call_at(const struct dwarf_inline_row *rows, size_t n_rows, uint64_t address)
{
    uint32_t call = DWARF_INLINE_NONE;
    for (size_t i = 0; i < n_rows && rows[i].start_addr <= address; i++) {
        call = rows[i].call;
    }
    return call;
}

/* What flattening must give at each address: the span with the highest order. */
static uint32_t expected_at(const struct dwarf_inline_span *spans, size_t n_spans, uint64_t address)
{
    uint32_t call = DWARF_INLINE_NONE;
    int64_t best = -1;
    for (size_t i = 0; i < n_spans; i++) {
        if (address >= spans[i].start_addr && address < spans[i].end_addr &&
            (int64_t)spans[i].order > best) {
            best = spans[i].order;
            call = spans[i].call;
        }
    }
    return call;
}

/* At each multiple of `step` below `limit`. */
static void check(struct dwarf_inline_span *spans, size_t n_spans, uint64_t limit, uint64_t step)
{
    struct dwarf_inline_row *rows = NULL;
    size_t n_rows = 0;
    assert_int_equal(dwarf_inlines_flatten(spans, n_spans, &rows, &n_rows), 0);
    for (size_t i = 1; i < n_rows; i++) {
        assert_true(rows[i - 1].start_addr < rows[i].start_addr);
        assert_int_not_equal(rows[i - 1].call, rows[i].call);
    }
    for (uint64_t address = 0; address < limit; address += step) {
        assert_int_equal(call_at(rows, n_rows, address), expected_at(spans, n_spans, address));
    }
    free(rows);
}

static void test_nested(void **state)
{
    (void)state;
    struct dwarf_inline_span spans[] = {
        {10, 50, DWARF_INLINE_NONE, 0}, {10, 30, 0, 1}, {15, 20, 1, 2}, {30, 40, 2, 3},
        {60, 70, DWARF_INLINE_NONE, 4}, {60, 70, 3, 5},
    };
    check(spans, sizeof(spans) / sizeof(spans[0]), 80, 1);
    check(NULL, 0, 80, 1);
}

static void test_anything(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (int round = 0; round < 300; round++) {
        struct dwarf_inline_span spans[40];
        size_t n_spans = (size_t)rand_r(&seed) % 40;
        for (size_t i = 0; i < n_spans; i++) {
            uint64_t start = (uint64_t)rand_r(&seed) % 100;
            spans[i] = (struct dwarf_inline_span){
                .start_addr = start,
                .end_addr = start + 1 + (uint64_t)rand_r(&seed) % 40,
                .call = (uint32_t)rand_r(&seed) % 8,
                .order = (uint32_t)i,
            };
        }
        check(spans, n_spans, 150, 1);
    }
}

/* As many as real units have, over as much code, and over more than any has. */
static void test_many(void **state)
{
    (void)state;
    enum { N_SPANS = 1500 };
    static struct dwarf_inline_span spans[N_SPANS];
    static const uint64_t scales[] = {1, UINT64_C(1) << 14, UINT64_C(1) << 40};
    unsigned seed = 2;
    for (size_t scale = 0; scale < sizeof(scales) / sizeof(scales[0]); scale++) {
        for (size_t i = 0; i < N_SPANS; i++) {
            uint64_t start = (uint64_t)rand_r(&seed) % 3000;
            spans[i] = (struct dwarf_inline_span){
                .start_addr = start * scales[scale],
                .end_addr = (start + 1 + (uint64_t)rand_r(&seed) % 40) * scales[scale],
                .call = (uint32_t)rand_r(&seed) % 8,
                .order = (uint32_t)i,
            };
        }
        check(spans, N_SPANS, 3050 * scales[scale], scales[scale]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_anything),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
