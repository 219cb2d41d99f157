/* SPDX-License-Identifier: MIT */
#include "interchange/import_test.h"

#include <errno.h>
#include <zlib.h>

#include "interchange/import_reader.h"

static const struct capture_ops *const ops = &capture_import_ops;

static void test_unknown_files(void **state)
{
    (void)state;
    static const char *const contents[] = {"", "\177ELF\002\001\001", "hello world\n", "[1, 2]\n",
                                           "\x1f\x8b\x08"};
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        struct import *import = NULL;
        struct error error = {0};
        char path[] = "/tmp/stax-import-XXXXXX";
        write_bytes(path, contents[i], strlen(contents[i]));
        assert_int_equal(import_detect(path), IMPORT_NONE);
        assert_int_equal(import_open(path, &import, &error), -EBADMSG);
        assert_string_equal(error.code, "archive_invalid");
        assert_non_null(strstr(error.hint, "perf.data"));
        unlink(path);
    }
    assert_int_equal(import_detect("/nonexistent/file"), IMPORT_NONE);
    assert_string_equal(import_format_name(IMPORT_PPROF), "pprof");
}

/* Several members behind each other are one file; what is cut off is as long as it is. */
static void test_gzip(void **state)
{
    (void)state;
    uint8_t *bytes = NULL;
    size_t n_bytes;
    bool is_cut;
    char path[] = "/tmp/stax-import-XXXXXX";
    close(mkstemp(path));
    for (int i = 0; i < 2; i++) {
        gzFile packed = gzopen(path, "ab");
        for (int k = 0; k < 20000; k++) {
            assert_int_equal(gzputs(packed, "main;work 1\n"), 12);
        }
        assert_int_equal(gzclose(packed), Z_OK);
    }
    assert_int_equal(import_read_whole(path, &bytes, &n_bytes, &is_cut, NULL), 0);
    assert_int_equal(n_bytes, 480000);
    assert_false(is_cut);
    assert_memory_equal(bytes + n_bytes - 12, "main;work 1\n", 13); /* with a NUL behind */
    free(bytes);
    struct seen seen;
    see_file(path, &seen);
    assert_int_equal(seen.n_samples, 40000);
    assert_false(has_note(&seen, "cut off"));
    assert_int_equal(truncate(path, 300), 0);
    bytes = NULL;
    assert_int_equal(import_read_whole(path, &bytes, &n_bytes, &is_cut, NULL), 0);
    assert_true(n_bytes < 480000);
    assert_true(is_cut);
    free(bytes);
    unlink(path);
}

static void write_packed(char *path, const char *text, size_t n_lines)
{
    close(mkstemp(path));
    gzFile packed = gzopen(path, "wb1");
    for (size_t i = 0; i < n_lines; i++) {
        assert_true(gzprintf(packed, "%s;f%zu 12345\n", text, i * 2654435761u % 1000003) > 0);
    }
    assert_int_equal(gzclose(packed), Z_OK);
}

/* The count of the last line may lack digits; a byte that is wrong damages what follows it. */
static void test_damaged_gzip(void **state)
{
    (void)state;
    struct seen seen;
    size_t n_whole = 0;
    for (off_t n_bytes = 12000; n_bytes < 12040; n_bytes++) {
        char path[] = "/tmp/stax-import-XXXXXX";
        write_packed(path, "main", 4000);
        assert_int_equal(truncate(path, n_bytes), 0);
        see_file(path, &seen);
        assert_true(has_note(&seen, "cut off or damaged"));
        assert_false(has_note(&seen, "do not end with a number"));
        assert_int_equal(seen.periods_ns % 12345, 0);
        n_whole += seen.periods_ns > 0;
        unlink(path);
    }
    assert_int_equal(n_whole, 40);
}

static void test_too_large(void **state)
{
    (void)state;
    static uint8_t zeros[1u << 20];
    uint8_t *bytes = NULL;
    size_t n_bytes;
    bool is_cut;
    struct error error = {0};
    char path[] = "/tmp/stax-import-XXXXXX";
    close(mkstemp(path));
    gzFile packed = gzopen(path, "wb1");
    for (uint64_t n = 0; n < IMPORT_MAX_BYTES; n += sizeof(zeros)) {
        assert_int_equal(gzwrite(packed, zeros, sizeof(zeros)), sizeof(zeros));
    }
    assert_int_equal(gzputc(packed, 0), 0);
    assert_int_equal(gzclose(packed), Z_OK);
    assert_int_equal(import_read_whole(path, &bytes, &n_bytes, &is_cut, &error), -EFBIG);
    assert_string_equal(error.code, "limit");
    assert_null(bytes);
    unlink(path);
}

/* Stacks that begin like the fields of a pprof profile are stacks. */
static void test_text_is_no_pprof(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "main;my_func;foo 3\n", "main;malloc;free 3\n",   "make;main;all 1\n",
        "php-fpm;main 2\n",     "[main tid=12];work 4\n", "[unknown] 5\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char path[] = "/tmp/stax-import-XXXXXX";
        write_bytes(path, texts[i], strlen(texts[i]));
        assert_int_equal(import_detect(path), IMPORT_FOLDED);
        unlink(path);
    }
    static const char words[] = "main;my_func;foo\nno stacks at all\n";
    char path[] = "/tmp/stax-import-XXXXXX";
    write_bytes(path, words, strlen(words));
    assert_int_equal(import_detect(path), IMPORT_NONE);
    unlink(path);
}

static int refuse_events(void *userdata, const struct event *events, size_t n_events)
{
    (void)userdata;
    (void)events;
    (void)n_events;
    return -ECANCELED;
}

static void test_stops(void **state)
{
    (void)state;
    char path[] = "/tmp/stax-import-XXXXXX";
    write_bytes(path, "main;work 3000000\n", 18);
    const struct capture_config config = {.pidfd = -1, .script = path};
    struct event_sink sink = {.on_events = refuse_events};
    struct capture *capture = NULL;
    enum capture_state now = CAPTURE_RUNNING;
    assert_int_equal(ops->open(&config, sink, &capture, NULL), 0);
    assert_int_equal(ops->start(capture), 0);
    assert_int_equal(ops->drain(capture, 20, &now), -ECANCELED);
    assert_null(ops->free(capture));

    /* One call does not play a large file to its end, so that a stop is noticed. */
    struct seen seen = {0};
    sink = (struct event_sink){.userdata = &seen, .on_events = see_events};
    assert_int_equal(ops->open(&config, sink, &capture, NULL), 0);
    assert_int_equal(ops->drain(capture, 20, &now), 0);
    assert_int_equal(now, CAPTURE_RUNNING);
    assert_in_range(seen.n_samples, 1, 2999999);
    uint64_t n_before = seen.n_samples;
    assert_int_equal(ops->stop(capture), 0);
    assert_int_equal(ops->drain(capture, 20, &now), 0);
    assert_int_equal(now, CAPTURE_TARGET_GONE);
    assert_int_equal(seen.n_samples, n_before);
    assert_null(ops->free(capture));
    unlink(path);
}

static void test_probe(void **state)
{
    (void)state;
    struct capability_set abilities;
    ops->probe(&abilities);
    assert_true(abilities.items[CAPABILITY_ON_CPU].is_available);
    assert_true(abilities.items[CAPABILITY_COUNTERS].reason[0] != '\0');
    assert_true(ops->is_recorded);
    assert_null(ops->free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_files),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_damaged_gzip),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_text_is_no_pprof),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
