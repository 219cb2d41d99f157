/* SPDX-License-Identifier: MIT */
#include "interchange/import_test.h"

#include <zlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "interchange/import_reader.h"
#include "interchange/pprof_tables.h"
#include "interchange/protobuf_write.h"

static const char *const texts[] = {
    "",        "samples", "count",         "cpu",  "nanoseconds",       "main",        "work",
    "inlined", "main.c",  "/usr/bin/prog", "read", "[kernel.kallsyms]", "inuse_space", "bytes",
    "thread",  "tid",     "pid",           "io",   "alloc_objects",     "ms"};

static const struct symbol *find(const struct kept_symbols *kept, uint64_t offset)
{
    uint64_t address;
    return kept_symbols_find(kept, offset, &address);
}

static void put_pair(struct text *profile, uint32_t field, uint64_t first, uint64_t second)
{
    struct text inner;
    text_init(&inner, 1000);
    protobuf_uint(&inner, 1, first);
    protobuf_uint(&inner, 2, second);
    protobuf_message(profile, field, &inner);
    text_release(&inner);
}

static void put_location(struct text *profile, uint64_t id, uint64_t mapping,
                         const uint64_t (*lines)[2], size_t n_lines)
{
    struct text location;
    text_init(&location, 1000);
    protobuf_uint(&location, 1, id);
    protobuf_uint(&location, 2, mapping);
    protobuf_uint(&location, 3, 0x400000 + id);
    for (size_t i = 0; i < n_lines; i++) {
        put_pair(&location, 4, lines[i][0], lines[i][1]);
    }
    protobuf_message(profile, PPROF_LOCATION, &location);
    text_release(&location);
}

static void put_sample(struct text *profile, const uint64_t *places, size_t n_places,
                       const int64_t *values, size_t n_values)
{
    struct text sample, packed;
    text_init(&sample, 1000);
    text_init(&packed, 1000);
    for (size_t i = 0; i < n_places; i++) {
        protobuf_varint(&packed, places[i]);
    }
    protobuf_bytes(&sample, 1, packed.data, packed.length_bytes);
    for (size_t i = 0; i < n_values; i++) { /* these are not packed */
        protobuf_uint_always(&sample, 2, (uint64_t)values[i]);
    }
    protobuf_message(profile, PPROF_SAMPLE, &sample);
    text_release(&sample);
    text_release(&packed);
}

static void put_tables(struct text *profile)
{
    struct text inner;
    text_init(&inner, 1000);
    for (uint64_t id = 1; id <= 2; id++) {
        text_clear(&inner);
        protobuf_uint(&inner, 1, id);
        protobuf_uint(&inner, 5, id == 1 ? 9 : 11);
        protobuf_message(profile, PPROF_MAPPING, &inner);
    }
    for (uint64_t id = 1; id <= 4; id++) {
        text_clear(&inner);
        protobuf_uint(&inner, 1, id);
        protobuf_uint(&inner, 2, id < 4 ? 4 + id : 10);
        protobuf_uint(&inner, 4, 8);
        protobuf_message(profile, PPROF_FUNCTION, &inner);
    }
    text_release(&inner);
    put_location(profile, 1, 1, (const uint64_t[][2]){{1, 10}}, 1);
    put_location(profile, 2, 1, (const uint64_t[][2]){{3, 30}, {2, 20}}, 2);
    put_location(profile, 3, 2, (const uint64_t[][2]){{4, 0}}, 1);
    put_location(profile, 4, 1, NULL, 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        protobuf_string(profile, PPROF_STRING, texts[i]);
    }
    protobuf_uint(profile, PPROF_TIME_NS, UINT64_C(1700000000) * NS_PER_S);
    protobuf_uint(profile, PPROF_DURATION_NS, 2 * NS_PER_S);
}

static void make_profile(struct text *profile)
{
    text_init(profile, 100000);
    put_pair(profile, PPROF_SAMPLE_TYPE, 1, 2);
    put_pair(profile, PPROF_SAMPLE_TYPE, 3, 4);
    put_sample(profile, (const uint64_t[]){2, 1}, 2, (const int64_t[]){10, 100000007}, 2);
    put_sample(profile, (const uint64_t[]){3, 1}, 2, (const int64_t[]){4, 40000000}, 2);
    put_sample(profile, (const uint64_t[]){4, 99, 1}, 3, (const int64_t[]){1, 10000000}, 2);
    put_sample(profile, (const uint64_t[]){1}, 1, (const int64_t[]){-1, -10000000}, 2);
    put_tables(profile);
}

static void expect_profile(const struct seen *seen)
{
    assert_int_equal(seen->n_samples, 15);
    assert_int_equal(seen->periods_ns, 150000007);
    assert_int_equal(seen->n_kernel_ips, 4);
    assert_int_equal(seen->n_ips, 30);
    assert_string_equal(seen->paths, "/usr/bin/prog;");
    assert_int_equal(seen->latest_ns, 3 * NS_PER_S);
    assert_true(has_note(seen, "1 samples with negative values"));
    assert_true(has_note(seen, "1 frames are at places that the profile does not describe"));
}

static void test_plain(void **state)
{
    (void)state;
    struct text profile;
    struct seen seen;
    char path[] = "/tmp/stax-import-XXXXXX";
    make_profile(&profile);
    write_bytes(path, profile.data, profile.length_bytes);
    assert_int_equal(import_detect(path), IMPORT_PPROF);
    see_file(path, &seen);
    expect_profile(&seen);

    struct import *import = NULL;
    assert_int_equal(import_open(path, &import, NULL), 0);
    assert_true(import_get_facts(import)->started_at_unix_ns == UINT64_C(1700000000) * NS_PER_S);
    struct kept_run kept = import_kept_run(import);
    const struct image image = {.kind = IMAGE_KIND_FILE, .path = "/usr/bin/prog"};
    struct kept_symbols *symbols = kept.find_symbols(kept.userdata, &image);
    struct symbol_chain_entry chain[4];
    uint64_t address;
    const struct symbol *symbol = kept_symbols_find(symbols, 16, &address);
    assert_string_equal(symbol->name, "work");
    assert_int_equal(kept_symbols_chain(symbols, address, symbol, chain, 4), 2);
    assert_string_equal(chain[0].symbol->name, "inlined");
    assert_int_equal(chain[0].line, 30);
    assert_int_equal(chain[1].line, 20);
    assert_string_equal(chain[1].file, "main.c");
    assert_string_equal(find(symbols, 48)->name, "0x400004");
    import_free(import);
    unlink(path);
    text_release(&profile);
}

static void test_gzip(void **state)
{
    (void)state;
    struct text profile;
    struct seen seen;
    char path[] = "/tmp/stax-import-XXXXXX";
    make_profile(&profile);
    close(mkstemp(path));
    gzFile packed = gzopen(path, "wb");
    assert_int_equal(gzwrite(packed, profile.data, (unsigned int)profile.length_bytes),
                     profile.length_bytes);
    assert_int_equal(gzclose(packed), Z_OK);
    assert_int_equal(import_detect(path), IMPORT_PPROF);
    see_file(path, &seen);
    expect_profile(&seen);
    unlink(path);
    text_release(&profile);
}

/* A profile of memory: shown all the same, and it says what for. */
static void test_no_times(void **state)
{
    (void)state;
    struct text profile;
    struct seen seen;
    char path[] = "/tmp/stax-import-XXXXXX";
    text_init(&profile, 100000);
    put_pair(&profile, PPROF_SAMPLE_TYPE, 12, 13);
    put_sample(&profile, (const uint64_t[]){1}, 1, (const int64_t[]){4096}, 1);
    put_tables(&profile);
    write_bytes(path, profile.data, profile.length_bytes);
    see_file(path, &seen);
    assert_int_equal(seen.periods_ns, 4096);
    assert_true(has_note(&seen, "the profile tells inuse_space in bytes"));
    unlink(path);
    text_release(&profile);
}

/* As the profiles of Go's heap are: numbers beside sizes, and the default is a size. */
static void test_the_default_value_is_shown(void **state)
{
    (void)state;
    struct text profile;
    struct seen seen;
    char path[] = "/tmp/stax-import-XXXXXX";
    text_init(&profile, 100000);
    put_pair(&profile, PPROF_SAMPLE_TYPE, 18, 2);
    put_pair(&profile, PPROF_SAMPLE_TYPE, 12, 13);
    put_sample(&profile, (const uint64_t[]){1}, 1, (const int64_t[]){1000, 4096}, 2);
    put_sample(&profile, (const uint64_t[]){2}, 1, (const int64_t[]){500, 0}, 2);
    put_tables(&profile);
    protobuf_uint(&profile, PPROF_DEFAULT_TYPE, 12);
    write_bytes(path, profile.data, profile.length_bytes);
    see_file(path, &seen);
    assert_int_equal(seen.periods_ns, 4096);
    assert_int_equal(seen.n_samples, 1);
    assert_true(has_note(&seen, "the profile tells inuse_space in bytes"));
    unlink(path);
    text_release(&profile);
}

static void put_label(struct text *sample, uint64_t key, uint64_t text, uint64_t number)
{
    struct text label;
    text_init(&label, 100);
    protobuf_uint(&label, 1, key);
    protobuf_uint(&label, 2, text);
    protobuf_uint(&label, 3, number);
    protobuf_message(sample, 3, &label);
    text_release(&label);
}

/* The labels that an export writes say whose samples they are. */
static void test_threads(void **state)
{
    (void)state;
    struct text profile, sample;
    struct seen seen;
    char path[] = "/tmp/stax-import-XXXXXX";
    text_init(&profile, 100000);
    text_init(&sample, 1000);
    put_pair(&profile, PPROF_SAMPLE_TYPE, 3, 19); /* in ms */
    for (uint64_t tid = 0; tid < 3; tid++) {
        text_clear(&sample);
        protobuf_uint(&sample, 1, 1);
        protobuf_uint(&sample, 2, 10 * (tid + 1));
        put_label(&sample, 16, 0, 4000);
        put_label(&sample, 14, tid == 0 ? 5 : 17, 0);
        put_label(&sample, 15, 0, tid < 2 ? 4000 + tid : UINT64_MAX);
        protobuf_message(&profile, PPROF_SAMPLE, &sample);
    }
    put_tables(&profile);
    write_bytes(path, profile.data, profile.length_bytes);
    see_file(path, &seen);
    assert_int_equal(seen.n_threads, 3);
    assert_string_equal(seen.names, "main;io;io;");
    assert_int_equal(seen.periods_ns, 60 * NS_PER_MS);
    struct import *import = NULL;
    assert_int_equal(import_open(path, &import, NULL), 0);
    assert_int_equal(import_get_facts(import)->pid, 4000);
    import_free(import);
    unlink(path);
    text_release(&profile);
    text_release(&sample);
}

static void test_cut_off(void **state)
{
    (void)state;
    struct text profile;
    make_profile(&profile);
    for (size_t n_bytes = 40; n_bytes < profile.length_bytes; n_bytes += 5) {
        struct import_reader *reader = NULL;
        struct error error = {0};
        char path[] = "/tmp/stax-import-XXXXXX";
        write_bytes(path, profile.data, n_bytes);
        if (import_pprof_ops.open(path, &reader, &error) == 0) {
            assert_true(import_pprof_ops.notes(reader)->n_notes > 0);
            import_pprof_ops.free(reader);
        } else {
            assert_true(error_is_set(&error));
        }
        unlink(path);
    }
    text_release(&profile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_no_times),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_the_default_value_is_shown),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
