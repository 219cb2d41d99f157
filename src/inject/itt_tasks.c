/* SPDX-License-Identifier: MIT */
#include "inject/itt_functions.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "inject/dialect.h"
#include "inject/kept_text.h"

/*
 * Where a program tells a time of a clock of its own, the call's own time is
 * taken: what that clock counts is known to nobody here.
 */

#define FRAME_NAME "frame"
#define REGION_NAME "region"           /* of one that has none */
#define FUTURE_NS UINT64_C(1000000000) /* a frame that ends later is no frame */

/* Of the keys of open ranges; addresses of domains leave the low bits free. */
enum key_kind { KEY_TASK = 1, KEY_REGION, KEY_FRAME };

static struct open_key make_key(const struct dialect_domain *domain, enum key_kind kind,
                                const struct itt_id *id)
{
    struct open_key key = {.words = {(uint64_t)(uintptr_t)domain + kind}};
    if (id) {
        memcpy(&key.words[1], id->words, sizeof(id->words));
    }
    return key;
}

static const char *text_of(const struct itt_string *string)
{
    return string ? string->text : NULL;
}

static void push(const struct itt_domain *domain, struct itt_id id, const char *text)
{
    struct range_facts facts = {.id = {id.words[0], id.words[1], id.words[2]}};
    (void)dialect_push(itt_domain_of(domain), text, &facts);
}

void itt_task_begin(const struct itt_domain *domain, struct itt_id id, struct itt_id parent,
                    struct itt_string *name)
{
    (void)parent;
    push(domain, id, text_of(name));
}

/* "function", else "image+0x1f00", else the bare address. */
static void name_function(void *function, char *ret_name, size_t name_bytes)
{
    Dl_info info;
    if (dladdr(function, &info) == 0) {
        snprintf(ret_name, name_bytes, "%p", function);
    } else if (info.dli_sname && info.dli_saddr == function) {
        snprintf(ret_name, name_bytes, "%s", info.dli_sname);
    } else {
        const char *path = info.dli_fname ? info.dli_fname : "";
        const char *slash = strrchr(path, '/');
        snprintf(ret_name, name_bytes, "%s+0x%zx", slash ? slash + 1 : path,
                 (size_t)((const char *)function - (const char *)info.dli_fbase));
    }
}

void itt_task_begin_fn(const struct itt_domain *domain, struct itt_id id, struct itt_id parent,
                       void *function)
{
    (void)parent;
    char name[KEPT_TEXT_BYTES] = "";
    if (stax_recording_active()) {
        name_function(function, name, sizeof(name));
    }
    push(domain, id, name);
}

void itt_task_end(const struct itt_domain *domain)
{
    (void)dialect_pop(itt_domain_of(domain));
}

void itt_task_begin_ex(const struct itt_domain *domain, struct itt_clock *clock,
                       unsigned long long time, struct itt_id id, struct itt_id parent,
                       struct itt_string *name)
{
    (void)clock;
    (void)time;
    itt_task_begin(domain, id, parent, name);
}

void itt_task_begin_fn_ex(const struct itt_domain *domain, struct itt_clock *clock,
                          unsigned long long time, struct itt_id id, struct itt_id parent,
                          void *function)
{
    (void)clock;
    (void)time;
    itt_task_begin_fn(domain, id, parent, function);
}

void itt_task_end_ex(const struct itt_domain *domain, struct itt_clock *clock,
                     unsigned long long time)
{
    (void)clock;
    (void)time;
    itt_task_end(domain);
}

void itt_task_group(const struct itt_domain *domain, struct itt_id id, struct itt_id parent,
                    struct itt_string *name)
{
    (void)domain;
    (void)id;
    (void)parent;
    (void)name;
}

static void open_range(const struct itt_domain *domain, enum key_kind kind, const struct itt_id *id,
                       const char *text)
{
    struct dialect_domain *own = itt_domain_of(domain);
    struct open_key key = make_key(own, kind, id);
    dialect_open(own, &key, text, NULL);
}

static void close_range(const struct itt_domain *domain, enum key_kind kind,
                        const struct itt_id *id)
{
    struct open_key key = make_key(itt_domain_of(domain), kind, id);
    dialect_close(&key);
}

void itt_task_begin_overlapped(const struct itt_domain *domain, struct itt_id id,
                               struct itt_id parent, struct itt_string *name)
{
    (void)parent;
    open_range(domain, KEY_TASK, &id, text_of(name));
}

void itt_task_end_overlapped(const struct itt_domain *domain, struct itt_id id)
{
    close_range(domain, KEY_TASK, &id);
}

void itt_task_begin_overlapped_ex(const struct itt_domain *domain, struct itt_clock *clock,
                                  unsigned long long time, struct itt_id id, struct itt_id parent,
                                  struct itt_string *name)
{
    (void)clock;
    (void)time;
    itt_task_begin_overlapped(domain, id, parent, name);
}

void itt_task_end_overlapped_ex(const struct itt_domain *domain, struct itt_clock *clock,
                                unsigned long long time, struct itt_id id)
{
    (void)clock;
    (void)time;
    itt_task_end_overlapped(domain, id);
}

void itt_region_begin(const struct itt_domain *domain, struct itt_id id, struct itt_id parent,
                      struct itt_string *name)
{
    (void)parent;
    open_range(domain, KEY_REGION, &id, text_of(name) ? text_of(name) : REGION_NAME);
}

void itt_region_end(const struct itt_domain *domain, struct itt_id id)
{
    close_range(domain, KEY_REGION, &id);
}

void itt_marker(const struct itt_domain *domain, struct itt_id id, struct itt_string *name,
                int scope)
{
    (void)id;
    (void)scope;
    dialect_mark(itt_domain_of(domain), text_of(name), NULL);
}

void itt_marker_ex(const struct itt_domain *domain, struct itt_clock *clock,
                   unsigned long long time, struct itt_id id, struct itt_string *name, int scope)
{
    (void)clock;
    (void)time;
    itt_marker(domain, id, name, scope);
}

/* Of the innermost task, when it is meant: by its id, or by none. */
void itt_metadata_add(const struct itt_domain *domain, struct itt_id id, struct itt_string *key,
                      int kind, size_t n_values, void *values)
{
    struct range_facts *facts = dialect_innermost(itt_domain_of(domain));
    static const struct itt_id none;
    double value;
    if (!facts || n_values == 0 || !itt_read_number(kind, values, &value)) {
        return;
    }
    bool is_meant =
        memcmp(&id, &none, sizeof(id)) == 0 || memcmp(facts->id, id.words, sizeof(facts->id)) == 0;
    const char *name = is_meant && text_of(key) ? kept_text(key->text) : NULL;
    if (name) {
        range_add_counter(facts, name, value);
    }
}

/* What a text says is the program's contents, which nobody asked for. */
void itt_metadata_str_add(const struct itt_domain *domain, struct itt_id id, struct itt_string *key,
                          const char *text, size_t n_bytes)
{
    (void)domain;
    (void)id;
    (void)key;
    (void)text;
    (void)n_bytes;
}

void itt_frame_begin_v3(const struct itt_domain *domain, struct itt_id *id)
{
    open_range(domain, KEY_FRAME, id, FRAME_NAME);
}

void itt_frame_end_v3(const struct itt_domain *domain, struct itt_id *id)
{
    close_range(domain, KEY_FRAME, id);
}

/* Times are of itt_get_timestamp(), or none: then it is now. */
void itt_frame_submit_v3(const struct itt_domain *domain, struct itt_id *id,
                         unsigned long long begin, unsigned long long end)
{
    (void)id;
    uint64_t now_ns = stax_now_ns();
    uint64_t begin_ns = begin == ITT_TIMESTAMP_NONE ? now_ns : begin;
    uint64_t end_ns = end == ITT_TIMESTAMP_NONE ? now_ns : end;
    if (begin_ns != 0 && begin_ns <= end_ns && end_ns < now_ns + FUTURE_NS) {
        dialect_report(itt_domain_of(domain), FRAME_NAME, begin_ns, end_ns);
    }
}

void *itt_frame_create(const char *domain)
{
    return domain ? dialect_domain(domain) : NULL;
}

void itt_frame_begin(void *frame)
{
    if (frame) {
        struct open_key key = make_key(frame, KEY_FRAME, NULL);
        dialect_open(frame, &key, FRAME_NAME, NULL);
    }
}

void itt_frame_end(void *frame)
{
    if (frame) {
        struct open_key key = make_key(frame, KEY_FRAME, NULL);
        dialect_close(&key);
    }
}
