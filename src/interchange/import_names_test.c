/* SPDX-License-Identifier: MIT */
#include "interchange/import_test.h"

#include <errno.h>

#include "interchange/import_names.h"

#define TEXT(text) .function = (text), .function_bytes = sizeof(text) - 1

static const struct symbol *find(const struct kept_symbols *kept, uint64_t offset)
{
    uint64_t address;
    return kept_symbols_find(kept, offset, &address);
}

static uint64_t add(struct import_names *names, uint32_t library, const struct import_frame *frames,
                    size_t n_frames)
{
    uint64_t ip = 0;
    assert_int_equal(import_names_add(names, library, frames, n_frames, &ip), 0);
    assert_true(ip != 0);
    return ip;
}

/* The first mapping that is told: of the only library. */
static struct event_image map_of(const struct import_names *names)
{
    struct event_batch *batch;
    assert_int_equal(event_batch_new(&(struct event_batch_limits){0}, &batch), 0);
    for (size_t i = 0; i < import_names_n_libraries(names); i++) {
        assert_true(import_names_map(names, i, 1, 100, batch));
    }
    assert_int_equal(event_batch_count(batch), 1);
    struct event_image image = *event_batch_get(batch, 0)->image;
    event_batch_free(batch);
    return image;
}

static void test_names_come_back(void **state)
{
    (void)state;
    struct import_names *names;
    uint32_t library, again;
    assert_int_equal(import_names_new(&names), 0);
    assert_int_equal(import_names_library(names, "libx.so", 7, &library), 0);
    assert_int_equal(import_names_library(names, "libx.so", 7, &again), 0);
    assert_int_equal(library, again);
    const struct import_frame plain = {TEXT("plain")};
    const struct import_frame inlined[] = {
        {TEXT("inner"), .file = "a.h", .file_bytes = 3, .line = 7},
        {TEXT("outer"), .file = "a.c", .file_bytes = 3, .line = 40},
    };
    const struct import_frame kernel = {TEXT("sys_read"), .is_kernel = true};
    uint64_t plain_ip = add(names, library, &plain, 1);
    uint64_t inlined_ip = add(names, library, inlined, 2);
    uint64_t kernel_ip = add(names, library, &kernel, 1);
    uint64_t plain_again_ip = add(names, library, &plain, 1);
    assert_true(import_names_is_kernel(kernel_ip) && !import_names_is_kernel(plain_ip));
    assert_true(plain_ip != plain_again_ip && plain_ip != inlined_ip);
    assert_int_equal(import_names_finish(names), 0);

    struct event_image mapping = map_of(names);
    const struct image image = {.kind = IMAGE_KIND_FILE, .path = "/libx.so"};
    struct kept_symbols *kept = import_names_find_symbols(names, &image);
    assert_non_null(kept);
    const struct symbol *symbol = find(kept, plain_ip - mapping.start_ip);
    assert_string_equal(symbol->name, "plain");
    assert_string_equal(symbol->image, "libx.so");
    assert_ptr_equal(symbol, find(kept, plain_again_ip - mapping.start_ip));
    assert_true(inlined_ip < mapping.end_ip);

    struct symbol_chain_entry chain[4];
    uint64_t address;
    symbol = kept_symbols_find(kept, inlined_ip - mapping.start_ip, &address);
    assert_string_equal(symbol->name, "outer");
    assert_int_equal(kept_symbols_chain(kept, address, symbol, chain, 4), 2);
    assert_string_equal(chain[0].symbol->name, "inner");
    assert_true(chain[0].is_inlined);
    assert_string_equal(chain[0].file, "a.h");
    assert_int_equal(chain[0].line, 7);
    assert_int_equal(chain[1].line, 40);

    const struct image vmlinux = {.kind = IMAGE_KIND_KERNEL, .path = "[kernel]"};
    symbol = find(import_names_find_symbols(names, &vmlinux), kernel_ip);
    assert_string_equal(symbol->name, "sys_read");
    assert_int_equal(symbol->kind, FRAME_KIND_KERNEL);
    const struct image other = {.kind = IMAGE_KIND_FILE, .path = "/liby.so"};
    assert_null(import_names_find_symbols(names, &other));
    assert_null(import_names_free(names));
}

/* Callers are where they return to, the innermost frames of kernel and program where they are. */
static void test_stacks(void **state)
{
    (void)state;
    uint64_t kernel = UINT64_C(1) << 63;
    uint64_t ips[] = {kernel + 16, kernel + 32, 0x100, 0x200};
    assert_int_equal(import_names_make_stack(ips, 4), 2);
    assert_true(ips[0] == kernel + 16 && ips[1] == kernel + 33);
    assert_true(ips[2] == 0x100 && ips[3] == 0x201);
    assert_int_equal(import_names_make_stack(ips, 0), 0);
}

static void test_odd_names(void **state)
{
    (void)state;
    struct import_names *names;
    uint32_t library;
    assert_int_equal(import_names_new(&names), 0);
    assert_int_equal(import_names_library(names, "", 0, &library), 0);
    const struct import_frame nameless = {.function = NULL};
    const struct import_frame with_nul = {.function = "a\0b", .function_bytes = 3};
    uint64_t nameless_ip = add(names, library, &nameless, 1);
    uint64_t nul_ip = add(names, library, &with_nul, 1);
    uint64_t ip;
    assert_int_equal(import_names_add(names, library, &nameless, 0, &ip), -EINVAL);
    assert_int_equal(import_names_finish(names), 0);
    const struct image image = {.kind = IMAGE_KIND_FILE, .path = "/"};
    struct kept_symbols *kept = import_names_find_symbols(names, &image);
    uint64_t start = map_of(names).start_ip;
    assert_string_equal(find(kept, nameless_ip - start)->name, "[unknown]");
    assert_string_equal(find(kept, nul_ip - start)->name, "a");
    import_names_free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_come_back),
        cmocka_unit_test(test_stacks),
        cmocka_unit_test(test_odd_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
