/* SPDX-License-Identifier: MIT */
#include "inject/itt_functions.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inject/dialect.h"
#include "inject/kept_text.h"

#define EVENTS_MAX 1024u
#define KEY_EVENT 4 /* beside those of itt_tasks.c */

static const char *events[EVENTS_MAX];

struct dialect_domain *itt_domain_of(const struct itt_domain *domain)
{
    if (!domain || !domain->name) {
        return dialect_domain(ITT_DEFAULT_DOMAIN);
    }
    /* The structure is the program's, but this member is the collector's. */
    void **tool = (void **)(uintptr_t)&domain->tool;
    struct dialect_domain *own = __atomic_load_n(tool, __ATOMIC_ACQUIRE);
    if (!own) {
        own = dialect_domain(domain->name);
        __atomic_store_n(tool, own, __ATOMIC_RELEASE);
    }
    return own;
}

struct itt_domain *itt_domain_create(const char *name)
{
    static struct itt_domain *first;
    const char *kept = name ? kept_text(name) : NULL;
    if (!kept) {
        return NULL;
    }
    struct itt_domain *domain = calloc(1, sizeof(*domain));
    if (!domain) {
        return NULL;
    }
    domain->flags = 1;
    domain->name = kept;
    struct itt_domain *head = __atomic_load_n(&first, __ATOMIC_ACQUIRE);
    do {
        for (struct itt_domain *known = head; known; known = known->next) {
            if (known->name == kept) {
                free(domain);
                return known;
            }
        }
        domain->next = head;
    } while (!__atomic_compare_exchange_n(&first, &head, domain, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    return domain;
}

struct itt_string *itt_string_handle_create(const char *text)
{
    static struct itt_string *first;
    const char *kept = text ? kept_text(text) : NULL;
    struct itt_string *string = kept ? calloc(1, sizeof(*string)) : NULL;
    if (!string) {
        return NULL;
    }
    string->text = kept;
    struct itt_string *head = __atomic_load_n(&first, __ATOMIC_ACQUIRE);
    do {
        for (struct itt_string *known = head; known; known = known->next) {
            if (known->text == kept) {
                free(string);
                return known;
            }
        }
        string->next = head;
    } while (!__atomic_compare_exchange_n(&first, &head, string, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    return string;
}

void itt_thread_set_name(const char *name)
{
    if (name) {
        dialect_name_thread(0, name);
    }
}

/* A copy of the first n_bytes; all of it where that is none. */
static const char *keep_part(const char *name, int n_bytes)
{
    char part[KEPT_TEXT_BYTES];
    bool is_whole = n_bytes <= 0 || (size_t)n_bytes >= sizeof(part);
    snprintf(part, sizeof(part), "%.*s", is_whole ? (int)sizeof(part) - 1 : n_bytes, name);
    return kept_text(part);
}

int itt_thr_name_set(const char *name, int n_bytes)
{
    const char *kept = name ? keep_part(name, n_bytes) : NULL;
    itt_thread_set_name(kept);
    return 0;
}

void itt_thread_ignore(void)
{
}

void itt_id_create(const struct itt_domain *domain, struct itt_id id)
{
    (void)domain;
    (void)id;
}

void itt_id_destroy(const struct itt_domain *domain, struct itt_id id)
{
    (void)domain;
    (void)id;
}

unsigned long long itt_get_timestamp(void)
{
    return stax_now_ns();
}

int itt_event_create(const char *name, int n_bytes)
{
    const char *kept = name ? keep_part(name, n_bytes) : NULL;
    for (uint32_t i = 0; kept && i < EVENTS_MAX; i++) {
        const char *expected = NULL;
        if (__atomic_compare_exchange_n(&events[i], &expected, kept, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE) ||
            expected == kept) {
            return (int)i + 1;
        }
    }
    return 0;
}

/* Each thread can be in each event once. */
static struct open_key make_key(int event)
{
    uint64_t thread = (uint64_t)(uintptr_t)pthread_self();
    return (struct open_key){.words = {KEY_EVENT, (uint64_t)event, thread}};
}

int itt_event_start(int event)
{
    const char *name = event > 0 && (uint32_t)event <= EVENTS_MAX
                           ? __atomic_load_n(&events[event - 1], __ATOMIC_ACQUIRE)
                           : NULL;
    if (!name) {
        return -1;
    }
    struct open_key key = make_key(event);
    dialect_open(dialect_domain(ITT_DEFAULT_DOMAIN), &key, name, NULL);
    return 0;
}

int itt_event_end(int event)
{
    struct open_key key = make_key(event);
    dialect_close(&key);
    return 0;
}
