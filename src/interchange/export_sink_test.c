/* SPDX-License-Identifier: MIT */
#include "interchange/export_sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fd.h"

static char *read_back(int fd, size_t *ret_n_bytes)
{
    char *bytes = NULL;
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(fd_read_all(fd, (size_t)1 << 24, &bytes, ret_n_bytes), 0);
    return bytes;
}

static void numbers_and_names_are_text(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = memfd_create("sink", MFD_CLOEXEC);
    struct export_sink sink;
    size_t n_bytes;
    assert_int_equal(export_sink_init(&sink, fd, false), 0);
    export_sink_u64(&sink, UINT64_MAX);
    export_sink_char(&sink, '|');
    export_sink_u64(&sink, 0);
    export_sink_char(&sink, '|');
    export_sink_ms(&sink, 1500000);
    export_sink_char(&sink, '|');
    export_sink_ms(&sink, 2000001);
    export_sink_char(&sink, '|');
    export_sink_ms(&sink, 7000000);
    export_sink_char(&sink, '|');
    /* A quote, a tag, a control character, two bytes of a character, one that belongs to none. */
    export_sink_json(&sink, "a\"\\<b>\n\xc3\xa9\xff");
    export_sink_char(&sink, '|');
    export_sink_xml(&sink, "a\"<b>&\x01\xc3\xa9\xe2\x82");
    export_sink_xml(&sink, "\xef\xbf\xbd\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbc");
    export_sink_char(&sink, '|');
    export_sink_line(&sink, "a;b\nc d", ";");
    export_sink_printf(&sink, "|%05.1f", 2.25);
    assert_int_equal(export_sink_finish(&sink), 0);
    _cleanup_(freep) char *text = read_back(fd, &n_bytes);
    assert_string_equal(text, "18446744073709551615|0|1.5|2.000001|7|"
                              "\"a\\\"\\\\\\u003cb>\\u000a\xc3\xa9\xef\xbf\xbd\"|"
                              "a&quot;&lt;b&gt;&amp;\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd"
                              "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbc|"
                              "a_b_c d|002.2");
    assert_int_equal(sink.n_bytes, n_bytes);
    export_sink_release(&sink);
}

static void what_is_no_utf8_is_replaced(void **state)
{
    (void)state;
    /* Overlong, a surrogate, past the last character, cut in the middle. */
    static const char *const wrong[] = {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                        "\xe2\x82", "\x80",         "\xf5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        _cleanup_(fd_closep) int fd = memfd_create("sink", MFD_CLOEXEC);
        struct export_sink sink;
        size_t n_bytes;
        assert_int_equal(export_sink_init(&sink, fd, false), 0);
        export_sink_line(&sink, wrong[i], "");
        assert_int_equal(export_sink_finish(&sink), 0);
        _cleanup_(freep) char *text = read_back(fd, &n_bytes);
        assert_int_equal(n_bytes, 3 * strlen(wrong[i]));
        assert_memory_equal(text, "\xef\xbf\xbd", 3);
        export_sink_release(&sink);
    }
}

static void long_output_passes_the_buffer(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = memfd_create("sink", MFD_CLOEXEC);
    struct export_sink sink;
    size_t n_bytes, n_lines = 0;
    assert_int_equal(export_sink_init(&sink, fd, false), 0);
    for (unsigned int i = 0; i < 50000; i++) {
        export_sink_printf(&sink, "%u\n", i);
    }
    assert_int_equal(export_sink_finish(&sink), 0);
    assert_true(sink.n_bytes > EXPORT_SINK_BUFFER_BYTES);
    _cleanup_(freep) char *text = read_back(fd, &n_bytes);
    for (char *at = text; (at = strchr(at, '\n')); at++) {
        n_lines++;
    }
    assert_int_equal(n_lines, 50000);
    assert_string_equal(text + n_bytes - 6, "49999\n");
    export_sink_release(&sink);
}

static void gzip_is_undone_by_zlib(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = memfd_create("sink", MFD_CLOEXEC);
    struct export_sink sink;
    char line[32];
    assert_int_equal(export_sink_init(&sink, fd, true), 0);
    for (unsigned int i = 0; i < 50000; i++) {
        export_sink_printf(&sink, "line %u\n", i);
    }
    assert_int_equal(export_sink_finish(&sink), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), (off_t)sink.n_bytes);
    assert_true(sink.n_bytes < 250000);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    gzFile file = gzdopen(dup(fd), "r");
    assert_non_null(file);
    for (unsigned int i = 0; i < 50000; i++) {
        char wanted[32];
        snprintf(wanted, sizeof(wanted), "line %u\n", i);
        assert_non_null(gzgets(file, line, sizeof(line)));
        assert_string_equal(line, wanted);
    }
    assert_null(gzgets(file, line, sizeof(line)));
    assert_int_equal(gzclose(file), Z_OK);
    export_sink_release(&sink);
}

static void the_first_failure_stays(void **state)
{
    (void)state;
    for (int is_gzip = 0; is_gzip < 2; is_gzip++) {
        _cleanup_(fd_closep) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        struct export_sink sink;
        assert_true(fd >= 0);
        assert_int_equal(export_sink_init(&sink, fd, is_gzip), 0);
        for (uint64_t i = 0; i < 100000; i++) {
            export_sink_u64(&sink, i * 2654435761u);
        }
        assert_int_equal(export_sink_finish(&sink), -ENOSPC);
        export_sink_release(&sink);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_names_are_text),
        cmocka_unit_test(what_is_no_utf8_is_replaced),
        cmocka_unit_test(long_output_passes_the_buffer),
        cmocka_unit_test(gzip_is_undone_by_zlib),
        cmocka_unit_test(the_first_failure_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
