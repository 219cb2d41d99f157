/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "symbols/kallsyms.h"

static struct function_table *parse(const char *text, int expected, struct error *reterr_error)
{
    _cleanup_(freep) char *copy = strdup(text);
    struct function_table *table = NULL;
    assert_int_equal(kallsyms_parse(copy, strlen(copy), &table, reterr_error), expected);
    return table;
}

static void assert_symbol(struct function_table *table, uint64_t ip, const char *name,
                          const char *image)
{
    const struct symbol *symbol = function_table_find(table, ip);
    assert_non_null(symbol);
    assert_string_equal(symbol->name, name);
    assert_string_equal(symbol->image, image);
    assert_int_equal(symbol->kind, FRAME_KIND_KERNEL);
}

static void test_kernel_and_modules(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table =
        parse("0000000000000000 A fixed_percpu_data\n"
              "ffffffff81000000 T _text\n"
              "ffffffff81000000 T startup_64\n"
              "ffffffff81000100 t local_one\n"
              "ffffffff81000200 W weak_one\n"
              "ffffffff81000300 D data_ends_it\n"
              "ffffffffc0001000 t init_it\t[nf_nat]\n"
              "ffffffffc0001100 t exit_it\t[nf_nat]\n"
              "ffffffffc0002000 t bpf_prog_1\t[bpf]\n",
              0, NULL);
    assert_int_equal(function_table_count(table), 6);
    assert_symbol(table, 0xffffffff81000000, "startup_64", "[kernel]");
    assert_symbol(table, 0xffffffff810000ff, "startup_64", "[kernel]");
    assert_symbol(table, 0xffffffff81000100, "local_one", "[kernel]");
    assert_symbol(table, 0xffffffff810002ff, "weak_one", "[kernel]");
    assert_null(function_table_find(table, 0xffffffff81000300));
    assert_symbol(table, 0xffffffffc0001080, "init_it", "[nf_nat]");
    assert_symbol(table, 0xffffffffc0001180, "exit_it", "[nf_nat]");
    assert_symbol(table, 0xffffffffc0002001, "bpf_prog_1", "[bpf]");
    assert_ptr_equal(function_table_find(table, 0xffffffffc0001080)->image,
                     function_table_find(table, 0xffffffffc0001180)->image);
    /* The last function does not reach for ever. */
    assert_null(function_table_find(table, 0xffffffffc0102000));
}

static void test_hidden_addresses(void **state)
{
    (void)state;
    struct error error = {0};
    assert_null(parse("0000000000000000 T _text\n0000000000000000 t x\t[m]\n", -EACCES, &error));
    assert_non_null(strstr(error.message, "hides kernel addresses"));
    assert_null(parse("", -EACCES, NULL));
}

static void test_nonsense_is_skipped(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table =
        parse("\n\n\t\n[odd]\n"
              "xyz T no_address\n"
              "fffffffffffffffff T too_many_digits\n"
              "ffffffffffffffff T at_the_very_end\n"
              "1000 T\n"
              "1000 T \n"
              "1000 TT two_letters\n"
              "1000\n"
              "2000 T good\t[module\n"
              "3000 T cut_off",
              0, NULL);
    assert_int_equal(function_table_count(table), 2);
    assert_symbol(table, 0x2000, "good", "[module");
    assert_symbol(table, 0x3000, "cut_off", "[kernel]");
}

static void assert_piece(const struct kallsyms_piece *piece, const char *text)
{
    assert_int_equal(piece->n_bytes, strlen(text));
    assert_string_equal(piece->text, text);
}

static void test_parts(void **state)
{
    (void)state;
    struct kallsyms_piece pieces[KALLSYMS_PART_N];
    char all[] = "1 T a\n2 T b\n3 t c\t[m]\n4 t d\t[n]\n5 t e\t[__builtin__ftrace]\n6 t f\t[bpf]\n";
    kallsyms_split(all, strlen(all), pieces);
    assert_piece(&pieces[KALLSYMS_PART_KERNEL], "1 T a\n2 T b");
    assert_piece(&pieces[KALLSYMS_PART_MODULES], "3 t c\t[m]\n4 t d\t[n]");
    assert_piece(&pieces[KALLSYMS_PART_PROGRAMS], "5 t e\t[__builtin__ftrace]\n6 t f\t[bpf]");

    char no_modules[] = "1 T a\n6 t f\t[bpf]";
    kallsyms_split(no_modules, strlen(no_modules), pieces);
    assert_piece(&pieces[KALLSYMS_PART_KERNEL], "1 T a");
    assert_int_equal(pieces[KALLSYMS_PART_MODULES].n_bytes, 0);
    assert_piece(&pieces[KALLSYMS_PART_PROGRAMS], "6 t f\t[bpf]");

    char kernel_only[] = "1 T a\n";
    kallsyms_split(kernel_only, strlen(kernel_only), pieces);
    assert_piece(&pieces[KALLSYMS_PART_KERNEL], "1 T a");
    assert_int_equal(pieces[KALLSYMS_PART_PROGRAMS].n_bytes, 0);

    char odd[] = "\t[bpf]";
    kallsyms_split(odd, strlen(odd), pieces);
    assert_int_equal(pieces[KALLSYMS_PART_KERNEL].n_bytes, 0);
    char empty[] = "";
    kallsyms_split(empty, 0, pieces);
    assert_int_equal(pieces[KALLSYMS_PART_KERNEL].n_bytes, 0);
}

static void test_this_host(void **state)
{
    (void)state;
    _cleanup_(freep) char *text = NULL;
    size_t n_bytes;
    struct error error = {0};
    if (kallsyms_read(&text, &n_bytes, &error) < 0) {
        skip();
    }
    _cleanup_(function_table_freep) struct function_table *table = NULL;
    int r = kallsyms_parse(text, n_bytes, &table, &error);
    if (r == -EACCES) {
        skip();
    }
    assert_int_equal(r, 0);
    assert_true(function_table_count(table) > 1000);
}

/* Where the kernel tells us addresses itself, nothing that was lent is read. */
static void test_lent(void **state)
{
    (void)state;
    static const char lent[] =
        "0000000000000000 A fixed_percpu_data\nffffffff81000000 T lent_one\n";
    _cleanup_(freep) char *own = NULL, *text = NULL;
    size_t n_own, n_bytes;
    assert_int_equal(kallsyms_read(&own, &n_own, NULL), 0);
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(lent, 1, sizeof(lent) - 1, file), sizeof(lent) - 1);
    assert_int_equal(fflush(file), 0);
    kallsyms_lend(dup(fileno(file)));
    (void)fclose(file);
    bool is_told = strstr(own, "\nffff") != NULL;
    for (int i = 0; i < 2; i++) { /* as often as it is asked for */
        assert_int_equal(kallsyms_read(&text, &n_bytes, NULL), 0);
        assert_true(is_told == (strstr(text, "lent_one") == NULL));
        free(TAKE_PTR(text));
    }
    kallsyms_lend(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel_and_modules),
        cmocka_unit_test(test_hidden_addresses),
        cmocka_unit_test(test_nonsense_is_skipped),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_lent),
        cmocka_unit_test(test_this_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
