/* SPDX-License-Identifier: MIT */
#include <zlib.h>

#include "interchange/export_test.h"
#include "interchange/protobuf_test.h"

#define STRINGS_MAX 4096

/* What profile.proto says, as far as it is checked. */
struct profile {
    struct bytes bytes;
    size_t n_strings;
    struct bytes strings[STRINGS_MAX];
    uint64_t sums[4];
    uint64_t n_locations, n_functions, n_samples;
};

static void *inflate_all(const char *packed, size_t n_packed, size_t *ret_n_bytes)
{
    size_t n_room = (size_t)1 << 26;
    unsigned char *bytes = malloc(n_room);
    z_stream stream = {.next_in = (unsigned char *)packed, .avail_in = (uInt)n_packed};
    assert_non_null(bytes);
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    stream.next_out = bytes;
    stream.avail_out = (uInt)n_room;
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    *ret_n_bytes = n_room - stream.avail_out;
    inflateEnd(&stream);
    return bytes;
}

static bool is_string(const struct profile *profile, uint64_t number, const char *text)
{
    assert_true(number < profile->n_strings);
    const struct bytes *string = &profile->strings[number];
    return bytes_left(string) == strlen(text) && memcmp(string->at, text, strlen(text)) == 0;
}

/* Is the id that of a message of this kind? */
static bool has_id(const struct profile *profile, uint32_t kind, uint64_t id)
{
    struct bytes rest = profile->bytes;
    struct protobuf_field field;
    while (protobuf_next(&rest, &field)) {
        if (field.number == kind && protobuf_value(field.bytes, 1) == id) {
            return true;
        }
    }
    return false;
}

static void read_sample(struct profile *profile, struct bytes sample)
{
    struct protobuf_field field;
    size_t n_values = 0;
    profile->n_samples++;
    while (protobuf_next(&sample, &field)) {
        if (field.number == 2) {
            while (bytes_left(&field.bytes) > 0) {
                assert_true(n_values < 4);
                profile->sums[n_values++] += bytes_take_uleb128(&field.bytes);
            }
        }
    }
    assert_int_equal(n_values, 4);
}

static void read_profile(struct profile *profile)
{
    struct bytes rest = profile->bytes;
    struct protobuf_field field;
    while (protobuf_next(&rest, &field)) {
        if (field.number == 6) {
            assert_true(profile->n_strings < STRINGS_MAX);
            profile->strings[profile->n_strings++] = field.bytes;
        }
        profile->n_locations += field.number == 4;
        profile->n_functions += field.number == 5;
        if (field.number == 2) {
            read_sample(profile, field.bytes);
        }
    }
    assert_true(is_string(profile, 0, ""));
}

static void begin(struct scene *scene, struct profile *ret_profile, void **ret_memory)
{
    size_t n_packed, n_bytes;
    _cleanup_(freep) char *packed = export_read(scene, EXPORT_FORMAT_PPROF, &n_packed);
    *ret_profile = (struct profile){0};
    *ret_memory = inflate_all(packed, n_packed, &n_bytes);
    ret_profile->bytes = bytes_of(*ret_memory, n_bytes);
    read_profile(ret_profile);
}

static void values_sum_to_the_totals(void **state)
{
    (void)state;
    struct scene scene;
    struct attribution attribution;
    static struct profile profile;
    void *memory;
    export_scene_random(&scene, 20000);
    export_attribution(&scene, &attribution);
    begin(&scene, &profile, &memory);
    assert_int_equal(profile.sums[0], attribution.totals.samples);
    assert_int_equal(profile.sums[1], attribution.totals.cpu_ns);
    assert_int_equal(profile.sums[3], attribution.totals.off_cpu_ns);
    assert_true(profile.sums[2] > 0);
    free(memory);
    scene_end(&scene);
}

/* All that a message names by number is there, and what it must not be, zero, is not. */
static void numbers_lead_somewhere(void **state)
{
    (void)state;
    struct scene scene;
    static struct profile profile;
    void *memory;
    struct protobuf_field field, inner;
    size_t n_types = 0;
    export_scene_small(&scene);
    begin(&scene, &profile, &memory);
    struct bytes rest = profile.bytes;
    while (protobuf_next(&rest, &field)) {
        struct bytes message = field.bytes;
        if (field.number == 1) {
            static const char *const types[] = {"samples", "cpu", "waits", "off-cpu"};
            assert_true(is_string(&profile, protobuf_value(message, 1), types[n_types]));
            assert_true(is_string(&profile, protobuf_value(message, 2),
                                  n_types % 2 ? "nanoseconds" : "count"));
            n_types++;
        }
        if (field.number == 4) {
            assert_true(protobuf_value(message, 1) != 0);
            uint64_t mapping = protobuf_value(message, 2);
            assert_true(mapping == 0 || has_id(&profile, 3, mapping));
            while (protobuf_next(&message, &inner)) {
                if (inner.number == 4) {
                    assert_true(has_id(&profile, 5, protobuf_value(inner.bytes, 1)));
                }
            }
        }
        if (field.number == 2) {
            while (protobuf_next(&message, &inner)) {
                while (inner.number == 1 && bytes_left(&inner.bytes) > 0) {
                    assert_true(has_id(&profile, 4, bytes_take_uleb128(&inner.bytes)));
                }
            }
        }
    }
    assert_int_equal(n_types, 4);
    assert_int_equal(profile.n_samples, 5);
    assert_true(is_string(&profile, protobuf_value(profile.bytes, 14), "cpu"));
    assert_int_equal(protobuf_value(profile.bytes, 9), export_test_run.started_at_unix_ns);
    assert_int_equal(protobuf_value(profile.bytes, 12), 1000000);
    free(memory);
    scene_end(&scene);
}

static void labels_name_threads_and_reasons(void **state)
{
    (void)state;
    struct scene scene;
    static struct profile profile;
    void *memory;
    struct protobuf_field field, inner;
    size_t n_main = 0, n_ready = 0, n_tids = 0;
    export_scene_small(&scene);
    begin(&scene, &profile, &memory);
    struct bytes rest = profile.bytes;
    while (protobuf_next(&rest, &field)) {
        while (field.number == 2 && protobuf_next(&field.bytes, &inner)) {
            if (inner.number == 3) {
                uint64_t key = protobuf_value(inner.bytes, 1);
                uint64_t text = protobuf_value(inner.bytes, 2);
                n_main += is_string(&profile, key, "thread") && is_string(&profile, text, "main");
                n_ready += is_string(&profile, key, "reason") && is_string(&profile, text, "ready");
                n_tids += is_string(&profile, key, "tid") &&
                          protobuf_value(inner.bytes, 3) == TEST_PID + 1;
            }
        }
    }
    assert_int_equal(n_main, 3);
    assert_int_equal(n_ready, 1);
    assert_int_equal(n_tids, 2);
    free(memory);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_sum_to_the_totals),
        cmocka_unit_test(numbers_lead_somewhere),
        cmocka_unit_test(labels_name_threads_and_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
