/* SPDX-License-Identifier: MIT */
#include "archive/archive_manifest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "archive/archive_file.h"

static void add(struct archive_members *members, const char *name, uint64_t n_bytes)
{
    const struct archive_listed member = {.name = name, .n_bytes = n_bytes, .crc32 = 0xabc};
    assert_int_equal(archive_members_add(members, &member), 0);
}

static int write_facts(const char *facts, struct text *text)
{
    _cleanup_(archive_members_releasep) struct archive_members members;
    archive_members_init(&members);
    add(&members, "run.json", 90);
    add(&members, "records/samples", ARCHIVE_MAX_MEMBER_BYTES);
    return archive_manifest_write(&members, facts, text);
}

static int read_text(const char *text, struct archive_manifest *manifest)
{
    _cleanup_(archive_members_releasep) struct archive_members members;
    archive_members_init(&members);
    int r = archive_manifest_read(text, strlen(text), manifest, &members);
    if (r == 0) {
        assert_int_equal(members.n_members, 2);
        const struct archive_listed *member = archive_members_find(&members, "records/samples");
        assert_non_null(member);
        assert_int_equal(member->n_bytes, ARCHIVE_MAX_MEMBER_BYTES);
        assert_int_equal(member->crc32, 0xabc);
        assert_string_equal(members.listed[0].name, "run.json");
        assert_null(archive_members_find(&members, "records"));
    }
    return r;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const char *const facts[] = {
        "{}",
        " {  }\n",
        "{\"run\": {\"id\": 18446744073709551615}, \"host\": [1.5, \"}\"]}",
    };
    for (size_t i = 0; i < 3; i++) {
        _cleanup_(text_releasep) struct text text;
        struct archive_manifest manifest;
        text_init(&text, ARCHIVE_MAX_MANIFEST_BYTES);
        assert_int_equal(write_facts(facts[i], &text), 0);
        assert_int_equal(read_text(text.data, &manifest), 0);
        assert_true(manifest.is_ours);
        assert_true(manifest.is_whole);
        assert_int_equal(manifest.version, ARCHIVE_MAJOR);
        text_append(&text, "   \n\n ");
        assert_int_equal(read_text(text.data, &manifest), 0);
        assert_true(manifest.is_whole);
    }
    _cleanup_(text_releasep) struct text text;
    text_init(&text, ARCHIVE_MAX_MANIFEST_BYTES);
    assert_int_equal(write_facts(facts[2], &text), 0);
    assert_non_null(strstr(text.data, "\"run\": {\"id\": 18446744073709551615}"));
}

static void facts_that_are_no_object_are_refused(void **state)
{
    (void)state;
    static const char *const facts[] = {"", "[]", "{", "{} {}", "{\"a\"}", "null", "}{"};
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        _cleanup_(text_releasep) struct text text;
        text_init(&text, ARCHIVE_MAX_MANIFEST_BYTES);
        assert_int_equal(write_facts(facts[i], &text), -EINVAL);
    }
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100);
    assert_int_equal(write_facts("{}", &text), -ENOMEM);
}

/* Whatever bit is flipped, it is not taken for whole; cut anywhere, it is none. */
static void damage_is_noticed(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    struct archive_manifest manifest;
    text_init(&text, ARCHIVE_MAX_MANIFEST_BYTES);
    assert_int_equal(write_facts("{\"run\": {\"id\": 7}}", &text), 0);
    size_t n_bytes = text.length_bytes - 1; /* but for the newline */
    for (size_t bit = 0; bit < n_bytes * 8; bit++) {
        _cleanup_(archive_members_releasep) struct archive_members members;
        archive_members_init(&members);
        text.data[bit / 8] ^= (char)(1u << (bit % 8));
        (void)archive_manifest_read(text.data, n_bytes, &manifest, &members);
        assert_false(manifest.is_whole);
        text.data[bit / 8] ^= (char)(1u << (bit % 8));
    }
    for (size_t cut = 0; cut < n_bytes; cut++) {
        _cleanup_(archive_members_releasep) struct archive_members members;
        archive_members_init(&members);
        assert_int_equal(archive_manifest_read(text.data, cut, &manifest, &members), -EBADMSG);
        assert_false(manifest.is_whole);
        assert_int_equal(manifest.is_ours, cut >= strlen("{\n \"format\": \"stax-archive\""));
    }
}

static void newer_versions_are_told_whatever_they_list(void **state)
{
    (void)state;
    struct archive_manifest manifest;
    assert_int_equal(read_text("{\"format\": \"stax-archive\", \"version\": 3}", &manifest),
                     -ENOTSUP);
    assert_int_equal(manifest.version, 3);
    assert_true(manifest.is_ours);
    assert_int_equal(read_text("{\"members\": [{\"key\": 1}], \"version\": 18446744073709551615, "
                               "\"format\": \"stax-archive\"}",
                               &manifest),
                     -ENOTSUP);
    assert_int_equal(manifest.version, UINT64_MAX);
}

#define HEAD "{\"format\": \"stax-archive\", \"version\": 2, "
#define MEMBER(name, bytes)                                                                        \
    "{\"name\": \"" name "\", \"bytes\": " bytes ", \"crc32\": \"00000000\"}"

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"format\": \"stax-archive\"}",
        "{\"format\": \"other\", \"version\": 2, \"members\": []}",
        "{\"format\": \"stax-archive\", \"version\": 0, \"members\": []}",
        "{\"format\": \"stax-archive\", \"version\": -2, \"members\": []}",
        "{\"format\": \"stax-archive\", \"version\": \"2\", \"members\": []}",
        HEAD "\"members\": {}}",
        HEAD "\"members\": []} x",
        HEAD "\"members\": [1]}",
        HEAD "\"members\": [{}]}",
        HEAD "\"members\": [" MEMBER("../a", "1") "]}",
        HEAD "\"members\": [" MEMBER("manifest.json", "1") "]}",
        HEAD "\"members\": [" MEMBER("a", "-1") "]}",
        HEAD "\"members\": [" MEMBER("a", "1.5") "]}",
        HEAD "\"members\": [" MEMBER("a", "1e3") "]}",
        HEAD "\"members\": [" MEMBER("a", "1000000000000") "]}",
        HEAD "\"members\": [" MEMBER("a", "1") ", " MEMBER("a", "1") "]}",
        HEAD "\"members\": [{\"name\": \"a\", \"bytes\": 1, \"crc32\": \"0000000g\"}]}",
        HEAD "\"members\": [{\"name\": \"a\", \"bytes\": 1, \"crc32\": \"-0000000\"}]}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        _cleanup_(archive_members_releasep) struct archive_members members;
        struct archive_manifest manifest;
        archive_members_init(&members);
        assert_int_equal(archive_manifest_read(texts[i], strlen(texts[i]), &manifest, &members),
                         -EBADMSG);
        assert_false(manifest.is_whole);
    }
}

/* What another tool has written anew can be read, but nobody vouches for it. */
static void a_manifest_of_another_form_is_read_unchecked(void **state)
{
    (void)state;
    struct archive_manifest manifest;
    assert_int_equal(
        read_text(
            "{\"version\":2,\"members\":[" MEMBER(
                "run.json", "90") ",{\"crc32\":\"00000abc\","
                                  "\"new\":[{}],\"name\":\"records/samples\",\"bytes\":943718400}],"
                                  "\"format\":\"stax-archive\"}",
            &manifest),
        0);
    assert_true(manifest.is_ours);
    assert_false(manifest.is_whole);
}

static void limits_hold(void **state)
{
    (void)state;
    _cleanup_(archive_members_releasep) struct archive_members members;
    archive_members_init(&members);
    for (uint32_t i = 0; i < ARCHIVE_MAX_MEMBERS; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "m/%u", i);
        add(&members, name, 1000);
    }
    const struct archive_listed more = {.name = "more"};
    assert_int_equal(archive_members_add(&members, &more), -E2BIG);
    _cleanup_(archive_members_releasep) struct archive_members large;
    archive_members_init(&large);
    uint64_t n_left = ARCHIVE_MAX_BYTES;
    for (uint32_t i = 0; n_left >= ARCHIVE_MAX_MEMBER_BYTES; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "m/%u", i);
        add(&large, name, ARCHIVE_MAX_MEMBER_BYTES);
        n_left -= ARCHIVE_MAX_MEMBER_BYTES;
    }
    const struct archive_listed too_large = {.name = "a", .n_bytes = n_left + 1};
    const struct archive_listed huge = {.name = "b", .n_bytes = UINT64_MAX};
    assert_int_equal(archive_members_add(&large, &too_large), -EFBIG);
    assert_int_equal(archive_members_add(&large, &huge), -EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(facts_that_are_no_object_are_refused),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(newer_versions_are_told_whatever_they_list),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_manifest_of_another_form_is_read_unchecked),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
