/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "jsonrpc/frame.h"

static void assert_line(struct frame_buffer *buffer, const char *expected)
{
    const char *line;
    size_t n_bytes;
    int r = frame_buffer_next(buffer, &line, &n_bytes);
    if (!expected) {
        assert_int_equal(r, 0);
        return;
    }
    assert_int_equal(r, 1);
    assert_int_equal(n_bytes, strlen(expected));
    assert_memory_equal(line, expected, n_bytes);
}

static void feed(struct frame_buffer *buffer, const char *bytes)
{
    assert_int_equal(frame_buffer_feed(buffer, bytes, strlen(bytes)), 0);
}

static void lines_come_out_whole(void **state)
{
    (void)state;
    struct frame_buffer buffer;
    frame_buffer_init(&buffer, 100);
    assert_line(&buffer, NULL);
    feed(&buffer, "{\"a\"");
    assert_line(&buffer, NULL);
    assert_true(frame_buffer_is_partial(&buffer));
    feed(&buffer, ":1}\n{}\r\n\n\r\nhal");
    assert_line(&buffer, "{\"a\":1}");
    assert_line(&buffer, "{}");
    assert_line(&buffer, NULL);
    assert_true(frame_buffer_is_partial(&buffer));
    feed(&buffer, "f\n");
    assert_line(&buffer, "half");
    assert_false(frame_buffer_is_partial(&buffer));
    feed(&buffer, "");
    assert_line(&buffer, NULL);
    frame_buffer_release(&buffer);
}

static void any_pieces_give_the_same_lines(void **state)
{
    (void)state;
    enum { N_LINES = 3000 };
    char *stream = calloc(1, 1 << 20);
    size_t n_stream = 0;
    for (int i = 0; i < N_LINES; i++) {
        n_stream += (size_t)snprintf(stream + n_stream, 64, "%d:%.*s\n", i, i % 30,
                                     "abcdefghijklmnopqrstuvwxyzabcdef");
    }
    srandom(7);
    struct frame_buffer buffer;
    frame_buffer_init(&buffer, 64);
    int next = 0;
    for (size_t at = 0; at < n_stream;) {
        size_t n = (size_t)random() % 5000 + 1;
        n = n < n_stream - at ? n : n_stream - at;
        assert_int_equal(frame_buffer_feed(&buffer, stream + at, n), 0);
        at += n;
        const char *line;
        size_t n_line;
        while (frame_buffer_next(&buffer, &line, &n_line) > 0) {
            assert_int_equal(strtol(line, NULL, 10), next);
            next++;
        }
    }
    assert_int_equal(next, N_LINES);
    frame_buffer_release(&buffer);
    free(stream);
}

static void a_line_at_the_limit_passes_and_one_past_it_does_not(void **state)
{
    (void)state;
    const char *line;
    size_t n_bytes;
    struct frame_buffer buffer;
    frame_buffer_init(&buffer, 4);
    feed(&buffer, "1234\n12345\n1\n");
    assert_line(&buffer, "1234");
    assert_int_equal(frame_buffer_next(&buffer, &line, &n_bytes), -EMSGSIZE);
    assert_int_equal(frame_buffer_next(&buffer, &line, &n_bytes), -EMSGSIZE);
    frame_buffer_release(&buffer);

    frame_buffer_init(&buffer, 4);
    feed(&buffer, "1234");
    assert_line(&buffer, NULL);
    feed(&buffer, "5");
    assert_int_equal(frame_buffer_next(&buffer, &line, &n_bytes), -EMSGSIZE);
    frame_buffer_release(&buffer);
}

static void what_nobody_takes_is_bounded(void **state)
{
    (void)state;
    struct frame_buffer buffer;
    char chunk[FRAME_SLACK_BYTES];
    memset(chunk, '\n', sizeof(chunk));
    chunk[0] = 'x';
    frame_buffer_init(&buffer, 10);
    assert_int_equal(frame_buffer_room(&buffer), sizeof(chunk) + 10);
    assert_int_equal(frame_buffer_feed(&buffer, chunk, sizeof(chunk)), 0);
    assert_int_equal(frame_buffer_room(&buffer), 10);
    assert_int_equal(frame_buffer_feed(&buffer, chunk, 11), -ENOBUFS);
    assert_line(&buffer, "x");
    assert_line(&buffer, NULL);
    assert_int_equal(frame_buffer_room(&buffer), sizeof(chunk) + 10);
    frame_buffer_release(&buffer);
    frame_buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_whole),
        cmocka_unit_test(any_pieces_give_the_same_lines),
        cmocka_unit_test(a_line_at_the_limit_passes_and_one_past_it_does_not),
        cmocka_unit_test(what_nobody_takes_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
