/* SPDX-License-Identifier: MIT */
#include "interchange/protobuf_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "interchange/export_sink.h"

/* The examples of the encoding guide, and the ends of the range. */
static void fields_are_encoded(void **state)
{
    (void)state;
    static const char wanted[] = "\x08\x96\x01"                                  /* 1: 150 */
                                 "\x12\x07testing"                               /* 2: "testing" */
                                 "\x1a\x03\x08\x96\x01"                          /* 3: {1: 150} */
                                 "\x20\x00"                                      /* 4: 0 */
                                 "\x90\x03\x01"                                  /* 50: 1 */
                                 "\x30\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"; /* 6: -2 */
    struct text message, inner;
    text_init(&message, 1000);
    text_init(&inner, 1000);
    protobuf_uint(&inner, 1, 150);
    protobuf_uint(&message, 1, 150);
    protobuf_string(&message, 2, "testing");
    protobuf_message(&message, 3, &inner);
    protobuf_uint(&message, 4, 0); /* left out */
    protobuf_uint_always(&message, 4, 0);
    protobuf_uint(&message, 50, 1);
    protobuf_int(&message, 6, -2);
    assert_int_equal(message.length_bytes, sizeof(wanted) - 1);
    assert_memory_equal(message.data, wanted, sizeof(wanted) - 1);
    text_release(&message);
    text_release(&inner);
}

static void what_is_no_utf8_is_replaced(void **state)
{
    (void)state;
    struct text message;
    text_init(&message, 1000);
    protobuf_string(&message, 1, "a\xff\xc3\xa9");
    assert_int_equal(message.length_bytes, 8);
    assert_memory_equal(message.data,
                        "\x0a\x06"
                        "a\xef\xbf\xbd\xc3\xa9",
                        8);
    text_release(&message);
}

static void a_message_that_was_cut_fails_the_sink(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct export_sink sink;
    struct text message;
    assert_int_equal(export_sink_init(&sink, fd, false), 0);
    text_init(&message, 8);
    protobuf_uint(&message, 1, 5);
    protobuf_put(&sink, 1, &message);
    assert_int_equal(sink.failure, 0);
    assert_int_equal(message.length_bytes, 0);
    protobuf_string(&message, 2, "longer than eight bytes");
    protobuf_put(&sink, 1, &message);
    assert_int_equal(export_sink_finish(&sink), -ENOMEM);
    export_sink_release(&sink);
    /* What was cut inside is cut outside. */
    struct text outer;
    text_init(&outer, 1000);
    protobuf_string(&message, 2, "longer than eight bytes");
    protobuf_message(&outer, 1, &message);
    assert_true(outer.is_cut);
    text_release(&outer);
    text_release(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_encoded),
        cmocka_unit_test(what_is_no_utf8_is_replaced),
        cmocka_unit_test(a_message_that_was_cut_fails_the_sink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
