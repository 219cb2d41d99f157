/* SPDX-License-Identifier: MIT */
#include "archive/archive_manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "archive/archive_file.h"
#include "archive/archive_name.h"
#include "jsonrpc/json_scan.h"

#define FORMAT "stax-archive"
#define BEGIN "{\n \"format\": \"" FORMAT "\",\n \"crc32\": \""
#define BEGIN_BYTES (sizeof(BEGIN) - 1)
#define CRC32_DIGITS 8u
#define NO_CRC32 "00000000"

#define NAMES_MAX_BYTES ((size_t)64 << 20)

/* Members ----------------------------------------------------------------------- */

void archive_members_init(struct archive_members *members)
{
    *members = (struct archive_members){.listed = NULL};
    hash_table_init(&members->by_name);
    arena_init(&members->names, NAMES_MAX_BYTES);
}

void archive_members_release(struct archive_members *members)
{
    free(members->listed);
    hash_table_release(&members->by_name);
    arena_release(&members->names);
    *members = (struct archive_members){.listed = NULL};
}

static bool is_named(uint32_t index, const void *wanted, const void *userdata)
{
    const struct archive_members *members = userdata;
    return strcmp(members->listed[index].name, wanted) == 0;
}

const struct archive_listed *archive_members_find(const struct archive_members *members,
                                                  const char *name)
{
    uint32_t index = hash_table_find_equal(&members->by_name, hash_bytes(name, strlen(name)),
                                           is_named, name, members);
    return index == HASH_TABLE_NONE ? NULL : &members->listed[index];
}

static int make_room(struct archive_members *members)
{
    if (members->n_members < members->n_allocated) {
        return 0;
    }
    size_t n_wanted = members->n_allocated == 0 ? 16 : members->n_allocated * 2;
    struct archive_listed *grown = realloc(members->listed, n_wanted * sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    members->listed = grown;
    members->n_allocated = n_wanted;
    return 0;
}

int archive_members_add(struct archive_members *members, const struct archive_listed *member)
{
    if (!archive_name_is_valid(member->name) || strcmp(member->name, ARCHIVE_MANIFEST_NAME) == 0) {
        return -EINVAL;
    }
    if (archive_members_find(members, member->name)) {
        return -EEXIST;
    }
    if (members->n_members >= ARCHIVE_MAX_MEMBERS) {
        return -E2BIG;
    }
    if (member->n_bytes > ARCHIVE_MAX_MEMBER_BYTES ||
        member->n_bytes > ARCHIVE_MAX_BYTES - members->n_bytes) {
        return -EFBIG;
    }
    const char *name = arena_strdup(&members->names, member->name);
    int r = name ? make_room(members) : -ENOMEM;
    r = r ? r
          : hash_table_add(&members->by_name, hash_bytes(name, strlen(name)),
                           (uint32_t)members->n_members);
    if (r < 0) {
        return r;
    }
    members->listed[members->n_members] = *member;
    members->listed[members->n_members++].name = name;
    members->n_bytes += member->n_bytes;
    return 0;
}

/* Writing ----------------------------------------------------------------------- */

/* What stands between the outer brackets of a JSON object. */
static bool find_inside(const char *object, const char **ret_inside, size_t *ret_n_bytes)
{
    struct json_scan scan = json_scan_of(object, strlen(object));
    const char *text;
    size_t n_bytes;
    if (json_scan_kind(&scan) != JSON_KIND_OBJECT || !json_scan_skip(&scan, &text, &n_bytes) ||
        !json_scan_end(&scan)) {
        return false;
    }
    text++;
    n_bytes -= 2;
    size_t n_blank = strspn(text, " \t\r\n");
    *ret_inside = text + n_blank;
    *ret_n_bytes = n_blank < n_bytes ? n_bytes - n_blank : 0;
    return true;
}

static uint32_t checksum_of(const char *text, size_t n_bytes)
{
    const size_t behind = BEGIN_BYTES + CRC32_DIGITS;
    const unsigned char *bytes = (const unsigned char *)text;
    unsigned long sum = crc32_z(0, bytes, BEGIN_BYTES);
    sum = crc32_z(sum, (const unsigned char *)NO_CRC32, CRC32_DIGITS);
    return (uint32_t)crc32_z(sum, bytes + behind, n_bytes - behind);
}

int archive_manifest_write(const struct archive_members *members, const char *facts,
                           struct text *ret_text)
{
    const char *inside;
    size_t n_inside;
    if (!find_inside(facts, &inside, &n_inside)) {
        return -EINVAL;
    }
    text_clear(ret_text);
    text_append(ret_text, BEGIN NO_CRC32 "\",\n");
    text_printf(ret_text, " \"version\": %u,\n \"minor_version\": %u,\n \"members\": [",
                ARCHIVE_MAJOR, ARCHIVE_MINOR);
    for (size_t i = 0; i < members->n_members; i++) {
        const struct archive_listed *member = &members->listed[i];
        text_printf(ret_text,
                    "%s\n  {\"name\": \"%s\", \"bytes\": %" PRIu64 ", \"crc32\": \"%08" PRIx32
                    "\"}",
                    i > 0 ? "," : "", member->name, member->n_bytes, member->crc32);
    }
    text_append(ret_text, "\n ]");
    if (n_inside > 0) {
        text_append(ret_text, ",\n ");
        text_append_bytes(ret_text, inside, n_inside);
    }
    text_append(ret_text, "\n}");
    if (ret_text->is_cut) {
        return ret_text->length_bytes + n_inside > ARCHIVE_MAX_MANIFEST_BYTES / 2 ? -EFBIG
                                                                                  : -ENOMEM;
    }
    char digits[CRC32_DIGITS + 1];
    (void)snprintf(digits, sizeof(digits), "%08" PRIx32,
                   checksum_of(ret_text->data, ret_text->length_bytes));
    memcpy(ret_text->data + BEGIN_BYTES, digits, CRC32_DIGITS);
    text_append_char(ret_text, '\n');
    return ret_text->is_cut ? -ENOMEM : 0;
}

/* Reading ----------------------------------------------------------------------- */

static bool read_crc32(const char *digits, uint32_t *ret_crc32)
{
    if (strlen(digits) != CRC32_DIGITS || strspn(digits, "0123456789abcdef") != CRC32_DIGITS) {
        return false;
    }
    *ret_crc32 = (uint32_t)strtoul(digits, NULL, 16);
    return true;
}

static bool read_number(struct json_scan *scan, uint64_t *ret_number)
{
    struct json_number number;
    if (!json_scan_number(scan, &number) || !number.is_integer || number.is_negative) {
        return false;
    }
    *ret_number = number.magnitude;
    return true;
}

/* `scratch` is where strings go that are looked at once. */
static bool read_member(struct json_scan *scan, struct arena *scratch,
                        struct archive_listed *ret_member)
{
    char key[16];
    bool has_bytes = false;
    *ret_member = (struct archive_listed){.name = NULL};
    if (!json_scan_enter(scan, '{')) {
        return false;
    }
    while (json_scan_next_member(scan, key, sizeof(key))) {
        char *string = NULL;
        if (strcmp(key, "name") == 0) {
            (void)json_scan_string(scan, scratch, &string);
            ret_member->name = string;
        } else if (strcmp(key, "bytes") == 0) {
            has_bytes = read_number(scan, &ret_member->n_bytes);
        } else if (strcmp(key, "crc32") == 0) {
            ret_member->has_crc32 =
                json_scan_string(scan, scratch, &string) && read_crc32(string, &ret_member->crc32);
        } else {
            (void)json_scan_skip(scan, NULL, NULL);
        }
    }
    return !scan->failure && ret_member->name && has_bytes && ret_member->has_crc32;
}

static int read_members(struct json_scan *scan, struct archive_members *members)
{
    if (!json_scan_enter(scan, '[')) {
        return -EBADMSG;
    }
    _cleanup_(arena_releasep) struct arena scratch;
    arena_init(&scratch, 0);
    while (json_scan_next_element(scan)) {
        struct archive_listed member;
        if (!read_member(scan, &scratch, &member)) {
            return -EBADMSG;
        }
        int r = archive_members_add(members, &member);
        if (r < 0) {
            return r == -ENOMEM ? r : -EBADMSG;
        }
    }
    return scan->failure ? -EBADMSG : 0;
}

static bool is_checksum_right(const char *text, size_t n_bytes)
{
    char digits[CRC32_DIGITS + 1] = {0};
    uint32_t expected;
    if (n_bytes < BEGIN_BYTES + CRC32_DIGITS || memcmp(text, BEGIN, BEGIN_BYTES) != 0) {
        return false;
    }
    memcpy(digits, text + BEGIN_BYTES, CRC32_DIGITS);
    return read_crc32(digits, &expected) && expected == checksum_of(text, n_bytes);
}

/* The first thing to know: a newer version may list its members otherwise. */
static int read_head(struct json_scan scan, struct archive_manifest *manifest)
{
    char key[16];
    if (!json_scan_enter(&scan, '{')) {
        return -EBADMSG;
    }
    while (json_scan_next_member(&scan, key, sizeof(key))) {
        enum json_kind kind = json_scan_kind(&scan);
        if (strcmp(key, "format") == 0 && kind == JSON_KIND_STRING) {
            _cleanup_(arena_releasep) struct arena scratch;
            char *format = NULL;
            arena_init(&scratch, 0);
            manifest->is_ours =
                json_scan_string(&scan, &scratch, &format) && strcmp(format, FORMAT) == 0;
        } else if (strcmp(key, "version") == 0 && kind == JSON_KIND_NUMBER) {
            (void)read_number(&scan, &manifest->version);
        } else {
            (void)json_scan_skip(&scan, NULL, NULL);
        }
    }
    if (!json_scan_end(&scan) || !manifest->is_ours || manifest->version == 0) {
        return -EBADMSG;
    }
    return manifest->version > ARCHIVE_MAJOR ? -ENOTSUP : 0;
}

static int read_list(struct json_scan scan, struct archive_members *members)
{
    char key[16];
    (void)json_scan_enter(&scan, '{');
    while (json_scan_next_member(&scan, key, sizeof(key))) {
        if (strcmp(key, "members") == 0) {
            return read_members(&scan, members);
        }
        (void)json_scan_skip(&scan, NULL, NULL);
    }
    return -EBADMSG;
}

int archive_manifest_read(const char *text, size_t n_bytes, struct archive_manifest *ret_manifest,
                          struct archive_members *ret_members)
{
    while (n_bytes > 0 && strchr(" \t\r\n", text[n_bytes - 1])) { /* NUL, too */
        n_bytes--;
    }
    *ret_manifest = (struct archive_manifest){
        .is_ours = n_bytes >= BEGIN_BYTES && memcmp(text, BEGIN, BEGIN_BYTES) == 0,
        .is_whole = is_checksum_right(text, n_bytes),
    };
    bool is_damaged = ret_manifest->is_ours && !ret_manifest->is_whole;
    struct json_scan scan = json_scan_of(text, n_bytes);
    int r = read_head(scan, ret_manifest);
    if (r == -ENOTSUP && is_damaged) {
        return -EBADMSG; /* nobody may have written that version */
    }
    return r ? r : read_list(scan, ret_members);
}
