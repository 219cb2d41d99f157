/* SPDX-License-Identifier: MIT */
#include "interchange/import_test.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "images/elf_file.h"
#include "interchange/import_reader.h"

#include <fcntl.h>

#define META                                                                                       \
    "\"meta\":{\"interval\":2,\"startTime\":1700000000000,\"product\":\"prog\","                   \
    "\"sampleUnits\":{\"threadCPUDelta\":\"ns\"},"                                                 \
    "\"categories\":[{\"name\":\"User\"},{\"name\":\"Kernel\"}]},"
#define TABLES                                                                                     \
    "\"stackTable\":{\"frame\":[0,1,2,0],\"prefix\":[null,0,1,3]},"                                \
    "\"frameTable\":{\"address\":[-1,-1,64],\"func\":[0,1,2],\"line\":[10,null,null],"             \
    "\"category\":[0,0,1]},"                                                                       \
    "\"funcTable\":{\"name\":[0,1,2],\"resource\":[0,-1,0],\"isJS\":[false,true,false],"           \
    "\"fileName\":[3,null,null]},"                                                                 \
    "\"resourceTable\":{\"lib\":[0]},"                                                             \
    "\"stringArray\":[\"main\",\"made\",\"sys_read\",\"main.c\"]"
#define LIBS "\"libs\":[{\"name\":\"prog\",\"path\":\"/usr/bin/prog\",\"codeId\":\"zz\"}],"

static void see_json(const char *json, struct seen *seen)
{
    char path[] = "/tmp/stax-import-XXXXXX";
    write_bytes(path, json, strlen(json));
    assert_int_equal(import_detect(path), IMPORT_FIREFOX);
    see_file(path, seen);
    unlink(path);
}

static void test_own_tables(void **state)
{
    (void)state;
    struct seen seen;
    see_json("{" META LIBS "\"threads\":[{\"name\":\"main\",\"pid\":\"100\",\"tid\":100,"
             "\"samples\":{\"stack\":[2,1,0,99],\"time\":[5,1,7,9],"
             "\"threadCPUDelta\":[300,200,0,100],\"weight\":null}," TABLES "}]}",
             &seen);
    assert_int_equal(seen.n_samples, 3); /* one did not run */
    assert_int_equal(seen.periods_ns, 600);
    assert_int_equal(seen.n_kernel_ips, 1);
    assert_int_equal(seen.n_ips, 5);
    assert_string_equal(seen.names, "main;");
    assert_int_equal(seen.latest_ns - seen.first_ns, 9 * NS_PER_MS);
    assert_true(has_note(&seen, "1 samples of threads that did not run"));
    assert_true(has_note(&seen, "1 samples have stacks that the profile does not describe"));
}

/* What newer versions do: tables for all threads, and times as differences. */
static void test_shared_tables(void **state)
{
    (void)state;
    struct seen seen;
    see_json("{" META LIBS "\"shared\":{" TABLES "},\"threads\":["
             "{\"name\":\"a\",\"pid\":\"100\",\"tid\":\"100\",\"samples\":{\"stack\":[1,1],"
             "\"timeDeltas\":[1,2],\"weight\":[3,1],\"weightType\":\"samples\"}},"
             "{\"name\":\"b\",\"pid\":\"100\",\"tid\":\"100.1\",\"samples\":{\"stack\":[0],"
             "\"timeDeltas\":[2]}},"
             "{\"name\":\"c\",\"pid\":\"100\",\"tid\":7,\"samples\":{\"stack\":[0],"
             "\"timeDeltas\":[2],\"weight\":[4096],\"weightType\":\"bytes\"}}]}",
             &seen);
    assert_int_equal(seen.n_samples, 3);
    assert_int_equal(seen.periods_ns, (3 + 1 + 1) * 2 * NS_PER_MS);
    assert_int_equal(seen.n_threads, 3);
    assert_true(has_note(&seen, "1 samples of memory are left out"));
}

/* Addresses without names, as samply leaves them: the file that has the build-id has the names. */
static void test_files_of_this_machine(void **state)
{
    (void)state;
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    char digits[2 * LIMIT_BUILD_ID_BYTES + 1] = "", program[200], json[2000];
    _cleanup_(fd_closep) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    assert_int_equal(elf_file_open_descriptor(fd, &elf, NULL), 0);
    size_t n_bytes = elf_file_build_id(elf, build_id);
    if (n_bytes == 0) {
        skip();
    }
    for (size_t i = 0; i < n_bytes; i++) {
        snprintf(digits + 2 * i, 3, "%02x", build_id[i]);
    }
    ssize_t n_path = readlink("/proc/self/exe", program, sizeof(program) - 1);
    assert_true(n_path > 0);
    program[n_path] = '\0';
    const struct elf_segment *code = &elf_file_layout(elf)->segments[0];
    snprintf(json, sizeof(json),
             "{" META "\"libs\":[{\"name\":\"prog\",\"path\":\"%s\",\"codeId\":\"%s\"}],"
             "\"threads\":[{\"name\":\"main\",\"pid\":1,\"tid\":1,\"samples\":{\"stack\":[0],"
             "\"time\":[1]},\"stackTable\":{\"frame\":[0],\"prefix\":[null]},"
             "\"frameTable\":{\"address\":[%llu],\"func\":[0]},"
             "\"funcTable\":{\"name\":[0],\"resource\":[0]},\"resourceTable\":{\"lib\":[0]},"
             "\"stringArray\":[\"0x1234\"]}]}",
             program, digits, (unsigned long long)code->image_addr);
    struct seen seen;
    char path[] = "/tmp/stax-import-XXXXXX";
    write_bytes(path, json, strlen(json));
    see_file(path, &seen);
    assert_int_equal(seen.n_samples, 1);
    assert_int_equal(seen.n_images, 1);
    assert_non_null(strstr(seen.paths, program));
    struct import *import = NULL;
    assert_int_equal(import_open(path, &import, NULL), 0);
    struct kept_run kept = import_kept_run(import);
    struct image image = {.kind = IMAGE_KIND_FILE, .path = program, .build_id_bytes = 20};
    assert_true(kept.may_look_at_files);
    assert_null(kept.find_symbols(kept.userdata, &image));
    import_free(import);
    unlink(path);
}

static void refuse(const char *json)
{
    struct import *import = NULL;
    struct error error = {0};
    char path[] = "/tmp/stax-import-XXXXXX";
    write_bytes(path, json, strlen(json));
    assert_true(import_open(path, &import, &error) < 0);
    assert_string_equal(error.code, "archive_invalid");
    assert_null(import);
    unlink(path);
}

static void test_refused(void **state)
{
    (void)state;
    refuse("{");
    refuse("{}");
    refuse("{\"meta\":{},\"threads\":7}");
    refuse("{\"meta\":{},\"threads\":[]}");
    refuse("{\"meta\":{},\"threads\":[1,null,{\"samples\":{\"stack\":[]}}]}");
}

/* Nested arrays cost memory out of all proportion. */
static void test_limits(void **state)
{
    (void)state;
    struct import *import = NULL;
    struct error error = {0};
    size_t n_bytes = 4u << 20;
    char *json = malloc(n_bytes);
    char path[] = "/tmp/stax-import-XXXXXX";
    assert_non_null(json);
    json[0] = '{';
    for (size_t i = 1; i < n_bytes; i++) {
        json[i] = "[],"[i % 3];
    }
    write_bytes(path, json, n_bytes);
    assert_true(import_open(path, &import, &error) < 0);
    assert_string_equal(error.code, "limit");
    free(json);
    unlink(path);
}

static size_t append(char *json, size_t at, const char *text)
{
    while (*text != '\0') {
        json[at++] = *text++;
    }
    return at;
}

/* Brackets in texts are none, and what is not read costs nothing. */
static void test_markers_are_not_read(void **state)
{
    (void)state;
    struct seen seen;
    size_t n_room = 16u << 20, n = 0;
    char *json = malloc(n_room);
    assert_non_null(json);
    n += (size_t)snprintf(json, n_room,
                          "{" META "\"threads\":[{\"name\":\"x\",\"pid\":1,\"tid\":1,"
                          "\"markers\" : {\"length\":2,\"data\":[\"a]\\\"}\"");
    for (int i = 0; i < 1200000; i++) {
        n = append(json, n, ",{}");
    }
    n += (size_t)snprintf(json + n, n_room - n,
                          "]},\"samples\":{\"stack\":[0],\"time\":[1]},"
                          "\"note\":\"");
    for (int i = 0; i < 1200000; i++) {
        n = append(json, n, "[{\\\"");
    }
    snprintf(json + n, n_room - n, "\"," TABLES "}]}");
    see_json(json, &seen);
    assert_int_equal(seen.n_samples, 1);
    assert_int_equal(seen.n_ips, 1);
    free(json);
}

/* Firefox tells cycles, or no unit: a thread that used none did not run. */
static void test_cpu_without_a_unit(void **state)
{
    (void)state;
    struct seen seen;
    see_json("{\"meta\":{\"interval\":1e-300,\"sampleUnits\":{\"threadCPUDelta\":"
             "\"variable CPU cycles\"}},\"threads\":[{\"name\":\"x\",\"pid\":1,\"tid\":1,"
             "\"samples\":{\"stack\":[0,0,0],\"time\":[1,2,3],"
             "\"threadCPUDelta\":[0,700,0],\"weight\":[1e300,1e300,1e300]}," TABLES "}]}",
             &seen);
    assert_int_equal(seen.n_samples, 1);
    assert_true(has_note(&seen, "2 samples of threads that did not run"));
}

/* An event tells of 4.29 s at most. */
static void test_long_samples(void **state)
{
    (void)state;
    struct seen seen;
    see_json("{" META "\"threads\":[{\"name\":\"x\",\"pid\":1,\"tid\":1,"
             "\"samples\":{\"stack\":[0,1],\"time\":[1,2],\"weight\":[5000,12.5],"
             "\"weightType\":\"tracing-ms\"}," TABLES "}]}",
             &seen);
    assert_int_equal(seen.periods_ns, 5012500 * NS_PER_US);
    assert_int_equal(seen.n_samples, 3);
}

static void refuse_as(const char *json, const char *code, const char *part)
{
    struct import *import = NULL;
    struct error error = {0};
    char path[] = "/tmp/stax-import-XXXXXX";
    write_bytes(path, json, strlen(json));
    assert_true(import_open(path, &import, &error) < 0);
    assert_string_equal(error.code, code);
    assert_non_null(strstr(error.message, part));
    unlink(path);
}

static void test_raw_format(void **state)
{
    (void)state;
    refuse_as("{" META "\"threads\":[{\"name\":\"x\",\"pid\":1,\"tid\":1,\"samples\":{"
              "\"schema\":{\"stack\":0,\"time\":1},\"data\":[[0,1]]}}]}",
              "archive_invalid", "Gecko");
}

/* Tables that all threads share are there once, and not for each of them. */
static void test_shared_frames_are_made_once(void **state)
{
    (void)state;
    struct seen seen;
    const size_t n_frames = 300000, n_threads = 300, n_room = 8u << 20;
    char *json = malloc(n_room);
    assert_non_null(json);
    size_t n = (size_t)snprintf(json, n_room,
                                "{" META "\"shared\":{\"funcTable\":{\"name\":[0]},"
                                "\"stringArray\":[\"main\"],\"frameTable\":{\"func\":[0");
    for (size_t i = 1; i < n_frames; i++) {
        n = append(json, n, ",0");
    }
    n += (size_t)snprintf(json + n, n_room - n, "]}},\"threads\":[");
    for (size_t i = 0; i < n_threads; i++) {
        n += (size_t)snprintf(json + n, n_room - n,
                              "%s{\"name\":\"x\",\"pid\":1,\"tid\":%zu,\"stackTable\":{"
                              "\"frame\":[0],\"prefix\":[null]},\"samples\":{\"stack\":[0],"
                              "\"time\":[1]}}",
                              i ? "," : "", i + 1);
    }
    snprintf(json + n, n_room - n, "]}");
    see_json(json, &seen);
    assert_int_equal(seen.n_samples, n_threads);
    assert_int_equal(seen.n_ips, n_threads);
    free(json);
}

static void test_too_many_mappings(void **state)
{
    (void)state;
    const size_t n_each = 1100, n_room = 4u << 20;
    char *json = malloc(n_room);
    assert_non_null(json);
    size_t n = (size_t)snprintf(json, n_room, "{" META "\"libs\":[{\"name\":\"l\"}");
    for (size_t i = 1; i < n_each; i++) {
        n += (size_t)snprintf(json + n, n_room - n, ",{\"name\":\"l%zu\"}", i);
    }
    n += (size_t)snprintf(json + n, n_room - n, "],\"shared\":{\"stringArray\":[\"f\"]");
    static const char *const columns[] = {
        "\"stackTable\":{\"frame\":[0", "\"frameTable\":{\"func\":[0",
        "\"funcTable\":{\"name\":[0],\"resource\":[0", "\"resourceTable\":{\"lib\":[0"};
    for (size_t column = 0; column < 4; column++) {
        n += (size_t)snprintf(json + n, n_room - n, ",%s", columns[column]);
        for (size_t i = 1; i < n_each; i++) {
            n += (size_t)snprintf(json + n, n_room - n, ",%zu", i);
        }
        n += (size_t)snprintf(json + n, n_room - n, "]}");
    }
    n += (size_t)snprintf(json + n, n_room - n, "},\"threads\":[");
    for (size_t i = 1; i <= n_each; i++) {
        n += (size_t)snprintf(json + n, n_room - n,
                              "%s{\"name\":\"x\",\"pid\":%zu,\"tid\":%zu,\"samples\":{"
                              "\"stack\":[0],\"time\":[1]}}",
                              i > 1 ? "," : "", i, i);
    }
    snprintf(json + n, n_room - n, "]}");
    refuse_as(json, "limit", "libraries of processes");
    free(json);
}

/* A stack whose caller comes later, or is itself, ends there. */
static void test_no_circles(void **state)
{
    (void)state;
    struct seen seen;
    see_json("{" META "\"threads\":[{\"name\":\"x\",\"pid\":1,\"tid\":1,"
             "\"samples\":{\"stack\":[0,1],\"time\":[1e300,-5]},"
             "\"stackTable\":{\"frame\":[0,0],\"prefix\":[1,1]},"
             "\"frameTable\":{\"func\":[0]},\"funcTable\":{\"name\":[-4]}}]}",
             &seen);
    assert_int_equal(seen.n_samples, 2);
    assert_int_equal(seen.n_ips, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_tables),
        cmocka_unit_test(test_shared_tables),
        cmocka_unit_test(test_files_of_this_machine),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_circles),
        cmocka_unit_test(test_markers_are_not_read),
        cmocka_unit_test(test_cpu_without_a_unit),
        cmocka_unit_test(test_long_samples),
        cmocka_unit_test(test_raw_format),
        cmocka_unit_test(test_shared_frames_are_made_once),
        cmocka_unit_test(test_too_many_mappings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
