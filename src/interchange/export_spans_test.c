/* SPDX-License-Identifier: MIT */
/* The same lanes and spans in every format: all sum to what the queries say. */
#include <zlib.h>

#include "query/span_test.h"

#include "interchange/export_format.h"
#include "interchange/export_test.h"
#include "interchange/perfetto_fields.h"
#include "interchange/protobuf_test.h"

#define N_RANDOM 3000

/* 61 ms in 7 spans: see span_test.h. */
#define SCENE_TARGET_NS (61 * SPAN_MS)

/* Many by chance, some of which overlap, if `is_random`. Target time of the view and of each lane.
 */
static uint64_t begin(struct scene *scene, bool is_random)
{
    static struct span_told told[N_RANDOM];
    if (is_random) {
        span_test_begin_random(scene, told, N_RANDOM);
    } else {
        span_test_begin(scene);
    }
    const struct query_target_top_options all = {0};
    struct target_top_result result;
    assert_int_equal(query_target_top(&scene->context, &all, &result, &scene->error), 0);
    assert_true(is_random || result.target_ns == SCENE_TARGET_NS);
    return result.target_ns;
}

/* ---- folded ---- */

static void folded_lines_are_the_mode_s(void **state)
{
    (void)state;
    static const char spans[] = "GPU 0-4293918720;kernel 36000000\n"
                                "decoder-4293918721;frame 9000000\n"
                                "decoder-4293918721;frame;decode 8000000\n"
                                "decoder-4293918721;frame;filter 8000000\n";
    struct scene scene;
    size_t n_bytes;
    begin(&scene, false);
    scene_ask_anew(&scene);
    scene.view.mode = VIEW_MODE_TARGET;
    _cleanup_(freep) char *target = export_read(&scene, EXPORT_FORMAT_FOLDED, &n_bytes);
    assert_string_equal(target, spans);
    scene.view.mode = VIEW_MODE_CPU;
    _cleanup_(freep) char *cpu = export_read(&scene, EXPORT_FORMAT_FOLDED, &n_bytes);
    assert_null(strstr(cpu, "kernel"));
    assert_non_null(strstr(cpu, "worker-101;run_worker;copy_bytes "));
    scene.view.mode = VIEW_MODE_ACTIVE;
    _cleanup_(freep) char *active = export_read(&scene, EXPORT_FORMAT_FOLDED, &n_bytes);
    assert_int_equal(n_bytes, strlen(cpu) + strlen(spans));
    assert_non_null(strstr(active, spans));
    scene_end(&scene);
}

static uint64_t sum_of_lines(const char *text)
{
    uint64_t sum = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n');
        while (*end != ' ') {
            end--;
        }
        sum += strtoull(end + 1, NULL, 10);
    }
    return sum;
}

static void folded_lines_sum_to_the_target_time(void **state)
{
    (void)state;
    struct scene scene;
    size_t n_bytes;
    uint64_t target_ns = begin(&scene, true);
    scene.view.mode = VIEW_MODE_TARGET;
    _cleanup_(freep) char *text = export_read(&scene, EXPORT_FORMAT_FOLDED, &n_bytes);
    assert_int_equal(sum_of_lines(text), target_ns);
    scene_end(&scene);
}

/* ---- pprof ---- */

/* The values of all samples, by type. */
static size_t sum_values(struct bytes profile, uint64_t sums[8])
{
    struct protobuf_field field, inner;
    size_t n_types = 0;
    while (protobuf_next(&profile, &field)) {
        n_types += field.number == 1;
        while (field.number == 2 && protobuf_next(&field.bytes, &inner)) {
            for (size_t i = 0; inner.number == 2 && bytes_left(&inner.bytes) > 0; i++) {
                assert_true(i < 8);
                sums[i] += bytes_take_uleb128(&inner.bytes);
            }
        }
    }
    return n_types;
}

static void pprof_has_two_values_more(void **state)
{
    (void)state;
    for (unsigned int is_random = 0; is_random < 2; is_random++) {
        struct scene scene;
        uint64_t target_ns = begin(&scene, is_random), sums[8] = {0};
        size_t n_packed;
        _cleanup_(freep) char *packed = export_read(&scene, EXPORT_FORMAT_PPROF, &n_packed);
        _cleanup_(freep) uint8_t *bytes = malloc((size_t)1 << 24);
        assert_non_null(bytes);
        z_stream stream = {.next_in = (uint8_t *)packed, .avail_in = (uInt)n_packed};
        stream.next_out = bytes;
        stream.avail_out = 1u << 24;
        assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
        assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
        inflateEnd(&stream);
        assert_int_equal(sum_values(bytes_of(bytes, stream.total_out), sums), 6);
        assert_int_equal(sums[4], is_random ? N_RANDOM : 7);
        assert_int_equal(sums[5], target_ns);
        assert_true(sums[1] > 0);
        scene_end(&scene);
    }
}

/* ---- speedscope ---- */

static const json_t *profile_of(const json_t *file, const char *name)
{
    size_t i;
    json_t *profile;
    json_array_foreach(json_object_get(file, "profiles"), i, profile)
    {
        if (strcmp(json_string_value(json_object_get(profile, "name")), name) == 0) {
            return profile;
        }
    }
    return NULL;
}

/* How long something was open; each end is that of what began last. */
static uint64_t sum_events(const json_t *profile)
{
    uint64_t open_since_ns = 0, sum_ns = 0, last_ns = 0;
    long open[64] = {0};
    size_t n_open = 0, i;
    json_t *event;
    json_array_foreach(json_object_get(profile, "events"), i, event)
    {
        bool is_begin = json_string_value(json_object_get(event, "type"))[0] == 'O';
        uint64_t at_ns = (uint64_t)json_integer_value(json_object_get(event, "at"));
        long frame = (long)json_integer_value(json_object_get(event, "frame"));
        assert_true(at_ns >= last_ns);
        last_ns = at_ns;
        if (is_begin) {
            open_since_ns = n_open == 0 ? at_ns : open_since_ns;
            open[n_open++] = frame;
        } else {
            assert_true(n_open > 0);
            assert_int_equal(open[--n_open], frame);
            sum_ns += n_open == 0 ? at_ns - open_since_ns : 0;
        }
    }
    assert_int_equal(n_open, 0);
    assert_true(last_ns <= (uint64_t)json_integer_value(json_object_get(profile, "endValue")));
    return sum_ns;
}

static void speedscope_has_events_where_spans_are_as_calls(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, false);
    json_t *file = export_read_json(&scene, EXPORT_FORMAT_SPEEDSCOPE);
    const json_t *gpu = profile_of(file, "GPU 0 (4293918720) target");
    const json_t *decoder = profile_of(file, "decoder (4293918721) target");
    assert_non_null(gpu);
    assert_non_null(decoder);
    /* Kernels overlap. */
    assert_string_equal(json_string_value(json_object_get(gpu, "type")), "sampled");
    assert_int_equal(json_integer_value(json_object_get(gpu, "endValue")), 36 * SPAN_MS);
    assert_int_equal(json_array_size(json_object_get(gpu, "samples")), 1);
    assert_string_equal(json_string_value(json_object_get(decoder, "type")), "evented");
    assert_int_equal(json_array_size(json_object_get(decoder, "events")), 8);
    assert_int_equal(sum_events(decoder), 25 * SPAN_MS);
    json_decref(file);
    scene_end(&scene);
}

/* ---- Firefox ---- */

static uint64_t sum_weights(const json_t *thread)
{
    const json_t *weights = json_object_get(json_object_get(thread, "samples"), "weight");
    uint64_t sum_ns = 0;
    size_t i;
    json_t *weight;
    json_array_foreach(weights, i, weight)
    {
        sum_ns += (uint64_t)(json_number_value(weight) * 1e6 + 0.5);
    }
    return sum_ns;
}

static void firefox_has_lanes_as_threads(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, false);
    json_t *file = export_read_json(&scene, EXPORT_FORMAT_FIREFOX);
    const json_t *meta = json_object_get(file, "meta"), *threads = json_object_get(file, "threads");
    assert_int_equal(json_array_size(json_object_get(meta, "categories")), EXPORT_KIND_N);
    assert_int_equal(json_array_size(json_object_get(meta, "markerSchema")), 2);
    size_t n_threads = json_array_size(threads), n_lanes = 0;
    uint64_t sum_ns = 0;
    for (size_t i = 0; i < n_threads; i++) {
        const json_t *thread = json_array_get(threads, i);
        const json_t *markers = json_object_get(thread, "markers");
        if (json_integer_value(json_object_get(thread, "tid")) < LANE_TID_FIRST) {
            continue;
        }
        assert_string_equal(json_string_value(json_object_get(thread, "name")),
                            n_lanes == 0 ? "GPU 0" : "decoder");
        assert_int_equal(json_integer_value(json_object_get(markers, "length")),
                         n_lanes == 0 ? 3 : 4);
        const json_t *first = json_array_get(json_object_get(markers, "data"), 0);
        assert_string_equal(json_string_value(json_object_get(first, "origin")), "linked");
        assert_string_equal(json_string_value(json_object_get(first, "thread")),
                            n_lanes == 0 ? "main (100)" : "worker (101)");
        sum_ns += sum_weights(thread);
        n_lanes++;
    }
    assert_int_equal(n_lanes, 2);
    assert_int_equal(sum_ns, SCENE_TARGET_NS);
    json_decref(file);
    scene_end(&scene);
}

/* ---- Perfetto ---- */

#define TRACKS_MAX 600
#define OPEN_MAX 64

struct track {
    uint64_t uuid, open_ns[OPEN_MAX], last_ns;
    size_t n_open;
};

struct slices {
    struct track tracks[TRACKS_MAX];
    size_t n_tracks, n_slices;
    uint64_t sum_ns; /* of all slices */
};

static void read_track(struct slices *slices, struct bytes descriptor)
{
    struct protobuf_field field;
    bool has_name = false;
    struct bytes rest = descriptor;
    while (protobuf_next(&rest, &field)) {
        has_name = has_name || field.number == TRACK_NAME;
    }
    if (has_name) { /* of a lane */
        assert_true(slices->n_tracks < TRACKS_MAX);
        assert_true(protobuf_value(descriptor, TRACK_PARENT_UUID) != 0);
        slices->tracks[slices->n_tracks++] =
            (struct track){.uuid = protobuf_value(descriptor, TRACK_UUID)};
    }
}

static void read_event(struct slices *slices, uint64_t time_ns, struct bytes event)
{
    uint64_t uuid = protobuf_value(event, EVENT_TRACK_UUID);
    struct track *track = NULL;
    for (size_t i = 0; i < slices->n_tracks; i++) {
        track = slices->tracks[i].uuid == uuid ? &slices->tracks[i] : track;
    }
    if (!track) {
        return; /* a thread's */
    }
    assert_true(time_ns >= track->last_ns);
    track->last_ns = time_ns;
    if (protobuf_value(event, EVENT_TYPE) == EVENT_TYPE_SLICE_BEGIN) {
        assert_true(track->n_open < OPEN_MAX);
        assert_true(protobuf_value(event, EVENT_NAME_IID) > WAIT_REASON_N);
        track->open_ns[track->n_open++] = time_ns;
        slices->n_slices++;
    } else {
        assert_true(track->n_open > 0);
        slices->sum_ns += time_ns - track->open_ns[--track->n_open];
    }
}

static void perfetto_has_slices_that_fit_into_each_other(void **state)
{
    (void)state;
    static struct slices slices;
    for (unsigned int is_random = 0; is_random < 2; is_random++) {
        struct scene scene;
        size_t n_bytes;
        begin(&scene, is_random);
        const struct snapshot *snapshot = scene.snapshot;
        _cleanup_(freep) char *bytes = export_read(&scene, EXPORT_FORMAT_PERFETTO, &n_bytes);
        struct bytes rest = bytes_of(bytes, n_bytes);
        struct protobuf_field packet, field;
        uint64_t lengths_ns = 0;
        slices = (struct slices){0};
        while (protobuf_next(&rest, &packet)) {
            uint64_t time_ns = protobuf_value(packet.bytes, PACKET_TIMESTAMP);
            while (protobuf_next(&packet.bytes, &field)) {
                if (field.number == PACKET_TRACK_DESCRIPTOR) {
                    read_track(&slices, field.bytes);
                } else if (field.number == PACKET_TRACK_EVENT) {
                    read_event(&slices, time_ns, field.bytes);
                }
            }
        }
        for (uint64_t i = 0; i < snapshot->n_spans; i++) {
            const struct stored_span span = snapshot_span(snapshot, i);
            lengths_ns += span.end_ns - span.start_ns;
        }
        for (size_t i = 0; i < slices.n_tracks; i++) {
            assert_int_equal(slices.tracks[i].n_open, 0);
        }
        assert_int_equal(slices.n_slices, snapshot->n_spans);
        assert_int_equal(slices.sum_ns, lengths_ns);
        assert_true(is_random || slices.n_tracks == 3); /* kernels overlap once */
        scene_end(&scene);
    }
}

/* ---- the others ---- */

static void pictures_and_pages_show_lanes(void **state)
{
    (void)state;
    struct scene scene;
    size_t n_bytes;
    begin(&scene, false);
    _cleanup_(freep) char *svg = export_read(&scene, EXPORT_FORMAT_SVG, &n_bytes);
    assert_non_null(strstr(svg, "CPU time and spans of "));
    assert_non_null(strstr(svg, ", 0.061 s in 7 spans"));
    assert_non_null(strstr(svg, "<title>kernel ([GPU 0]): 36 ms"));
    _cleanup_(freep) char *html = export_read(&scene, EXPORT_FORMAT_HTML, &n_bytes);
    assert_non_null(strstr(html, "<dt>in target spans</dt><dd>0.061 s</dd>"));
    assert_non_null(strstr(html, "<td class=\"name\">frame › decode</td>"));
    _cleanup_(freep) char *calls = export_read(&scene, EXPORT_FORMAT_CALLGRIND, &n_bytes);
    assert_non_null(strstr(calls, "\n# spans that the program has reported are left out"));
    assert_null(strstr(calls, "kernel"));
    scene_end(&scene);
}

static void the_tally_says_what_went_in(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, false);
    for (int format = 0; format < EXPORT_FORMAT_N; format++) {
        _cleanup_(fd_closep) int fd = memfd_create("export", MFD_CLOEXEC);
        struct export_tally tally;
        bool has_spans = format != EXPORT_FORMAT_CALLGRIND;
        assert_int_equal(export_to(&scene, (enum export_format)format, fd, &tally), 0);
        assert_int_equal(tally.target_ns, has_spans ? SCENE_TARGET_NS : 0);
        assert_int_equal(tally.n_spans, has_spans ? 7 : 0);
    }
    scene_end(&scene);
}

/* Spans at the edges count with what is inside. */
static void a_range_cuts_spans(void **state)
{
    (void)state;
    struct scene scene;
    size_t n_bytes;
    begin(&scene, false);
    scene.view = (struct view){.mode = VIEW_MODE_TARGET,
                               .has_from = true,
                               .has_to = true,
                               .from_ns = 15 * (int64_t)SPAN_MS,
                               .to_ns = 25 * (int64_t)SPAN_MS};
    _cleanup_(freep) char *text = export_read(&scene, EXPORT_FORMAT_FOLDED, &n_bytes);
    assert_non_null(strstr(text, "GPU 0-4293918720;kernel 15000000\n"));
    assert_int_equal(sum_of_lines(text), 25 * SPAN_MS);
    json_t *file = export_read_json(&scene, EXPORT_FORMAT_SPEEDSCOPE);
    assert_int_equal(sum_events(profile_of(file, "decoder (4293918721) target")), 10 * SPAN_MS);
    json_decref(file);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded_lines_are_the_mode_s),
        cmocka_unit_test(folded_lines_sum_to_the_target_time),
        cmocka_unit_test(pprof_has_two_values_more),
        cmocka_unit_test(speedscope_has_events_where_spans_are_as_calls),
        cmocka_unit_test(firefox_has_lanes_as_threads),
        cmocka_unit_test(perfetto_has_slices_that_fit_into_each_other),
        cmocka_unit_test(pictures_and_pages_show_lanes),
        cmocka_unit_test(the_tally_says_what_went_in),
        cmocka_unit_test(a_range_cuts_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
