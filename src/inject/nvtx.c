/* SPDX-License-Identifier: MIT */
#include "inject/nvtx_abi.h"

#include <stdbool.h>
#include <string.h>

#include "inject/dialect.h"
#include "inject/kept_text.h"

/*
 * A handle of a domain is the dialect's, of a string its kept text; NULL is the
 * domain that has no name, and a string that could not be kept. Functions that
 * this library has no use for keep the program's own empty ones.
 */

#define DEFAULT_DOMAIN "NVTX"
#define SLOTS(table) (sizeof(table) / sizeof((table)[0]))

static struct dialect_domain *default_domain;

static struct dialect_domain *domain_of(void *handle)
{
    return handle ? handle : default_domain;
}

/* What an event says of itself, as far as its size goes. */
struct event {
    const char *text; /* NULL: nothing */
    struct range_facts facts;
    char narrow[KEPT_TEXT_BYTES];
};

static void read_payload(const struct nvtx_attributes *attributes, struct range_facts *facts)
{
    double value;
    switch (attributes->payload_kind) {
    case NVTX_PAYLOAD_U64:
        value = (double)attributes->payload.u64;
        break;
    case NVTX_PAYLOAD_S64:
        value = (double)attributes->payload.s64;
        break;
    case NVTX_PAYLOAD_DOUBLE:
        value = attributes->payload.real;
        break;
    case NVTX_PAYLOAD_U32:
        value = attributes->payload.u32;
        break;
    case NVTX_PAYLOAD_S32:
        value = attributes->payload.s32;
        break;
    case NVTX_PAYLOAD_FLOAT:
        value = (double)attributes->payload.real32;
        break;
    default:
        return; /* none, or an extension's */
    }
    range_add_counter(facts, "payload", value);
}

static void read_message(const struct nvtx_attributes *attributes, struct event *event)
{
    if (!attributes->message.ascii) {
        return;
    }
    switch (attributes->message_kind) {
    case NVTX_MESSAGE_ASCII:
        event->text = attributes->message.ascii;
        break;
    case NVTX_MESSAGE_WIDE:
        kept_text_narrow(attributes->message.wide, event->narrow);
        event->text = event->narrow;
        break;
    case NVTX_MESSAGE_REGISTERED:
        event->text = attributes->message.registered;
        break;
    default:
        break;
    }
}

static void read_event(const struct nvtx_attributes *attributes, struct event *ret_event)
{
    ret_event->text = NULL;
    memset(&ret_event->facts, 0, sizeof(ret_event->facts));
    /* Nobody records: then only the nesting matters. */
    if (!attributes || attributes->bytes < sizeof(*attributes) || !stax_recording_active()) {
        return;
    }
    read_payload(attributes, &ret_event->facts);
    read_message(attributes, ret_event);
}

static const char *narrow(const wchar_t *text, char buffer[static KEPT_TEXT_BYTES])
{
    if (!text) {
        return NULL;
    }
    kept_text_narrow(text, buffer);
    return buffer;
}

static void domain_mark_ex(void *domain, const struct nvtx_attributes *attributes)
{
    struct event event;
    read_event(attributes, &event);
    dialect_mark(domain_of(domain), event.text, &event.facts);
}

static uint64_t open_range(void *domain, const char *text, const struct range_facts *facts)
{
    static uint64_t n_ranges;
    uint64_t id = __atomic_add_fetch(&n_ranges, 1, __ATOMIC_RELAXED);
    struct open_key key = {.words = {id}};
    dialect_open(domain_of(domain), &key, text, facts);
    return id;
}

static uint64_t domain_range_start_ex(void *domain, const struct nvtx_attributes *attributes)
{
    struct event event;
    read_event(attributes, &event);
    return open_range(domain, event.text, &event.facts);
}

static void range_end(uint64_t id)
{
    struct open_key key = {.words = {id}};
    dialect_close(&key);
}

static void domain_range_end(void *domain, uint64_t id)
{
    (void)domain; /* ids are the process's */
    range_end(id);
}

static int domain_range_push_ex(void *domain, const struct nvtx_attributes *attributes)
{
    struct event event;
    read_event(attributes, &event);
    return dialect_push(domain_of(domain), event.text, &event.facts);
}

static int domain_range_pop(void *domain)
{
    return dialect_pop(domain_of(domain));
}

static const void *domain_register_string_a(void *domain, const char *text)
{
    (void)domain;
    return text ? kept_text(text) : NULL;
}

static const void *domain_register_string_w(void *domain, const wchar_t *text)
{
    (void)domain;
    char buffer[KEPT_TEXT_BYTES];
    return text ? kept_text(narrow(text, buffer)) : NULL;
}

static void *domain_create_a(const char *name)
{
    return name && name[0] != '\0' ? dialect_domain(name) : default_domain;
}

static void *domain_create_w(const wchar_t *name)
{
    char buffer[KEPT_TEXT_BYTES];
    return domain_create_a(narrow(name, buffer));
}

static void mark_ex(const struct nvtx_attributes *attributes)
{
    domain_mark_ex(NULL, attributes);
}

static void mark_a(const char *text)
{
    dialect_mark(default_domain, text, NULL);
}

static void mark_w(const wchar_t *text)
{
    char buffer[KEPT_TEXT_BYTES];
    dialect_mark(default_domain, narrow(text, buffer), NULL);
}

static uint64_t range_start_ex(const struct nvtx_attributes *attributes)
{
    return domain_range_start_ex(NULL, attributes);
}

static uint64_t range_start_a(const char *text)
{
    return open_range(NULL, text, NULL);
}

static uint64_t range_start_w(const wchar_t *text)
{
    char buffer[KEPT_TEXT_BYTES];
    return open_range(NULL, narrow(text, buffer), NULL);
}

static int range_push_ex(const struct nvtx_attributes *attributes)
{
    return domain_range_push_ex(NULL, attributes);
}

static int range_push_a(const char *text)
{
    return dialect_push(default_domain, text, NULL);
}

static int range_push_w(const wchar_t *text)
{
    char buffer[KEPT_TEXT_BYTES];
    return dialect_push(default_domain, narrow(text, buffer), NULL);
}

static int range_pop(void)
{
    return dialect_pop(default_domain);
}

static void name_os_thread_a(uint32_t tid, const char *name)
{
    if (name) {
        dialect_name_thread(tid, name);
    }
}

static void name_os_thread_w(uint32_t tid, const wchar_t *name)
{
    char buffer[KEPT_TEXT_BYTES];
    name_os_thread_a(tid, narrow(name, buffer));
}

#define ENTRY(number, function) [number] = (nvtx_function)(function)

static const nvtx_function core_functions[] = {
    ENTRY(NVTX_CORE_MARK_EX, mark_ex),
    ENTRY(NVTX_CORE_MARK_A, mark_a),
    ENTRY(NVTX_CORE_MARK_W, mark_w),
    ENTRY(NVTX_CORE_RANGE_START_EX, range_start_ex),
    ENTRY(NVTX_CORE_RANGE_START_A, range_start_a),
    ENTRY(NVTX_CORE_RANGE_START_W, range_start_w),
    ENTRY(NVTX_CORE_RANGE_END, range_end),
    ENTRY(NVTX_CORE_RANGE_PUSH_EX, range_push_ex),
    ENTRY(NVTX_CORE_RANGE_PUSH_A, range_push_a),
    ENTRY(NVTX_CORE_RANGE_PUSH_W, range_push_w),
    ENTRY(NVTX_CORE_RANGE_POP, range_pop),
    ENTRY(NVTX_CORE_NAME_OS_THREAD_A, name_os_thread_a),
    ENTRY(NVTX_CORE_NAME_OS_THREAD_W, name_os_thread_w),
};

static const nvtx_function core2_functions[] = {
    ENTRY(NVTX_CORE2_DOMAIN_MARK_EX, domain_mark_ex),
    ENTRY(NVTX_CORE2_DOMAIN_RANGE_START_EX, domain_range_start_ex),
    ENTRY(NVTX_CORE2_DOMAIN_RANGE_END, domain_range_end),
    ENTRY(NVTX_CORE2_DOMAIN_RANGE_PUSH_EX, domain_range_push_ex),
    ENTRY(NVTX_CORE2_DOMAIN_RANGE_POP, domain_range_pop),
    ENTRY(NVTX_CORE2_DOMAIN_REGISTER_STRING_A, domain_register_string_a),
    ENTRY(NVTX_CORE2_DOMAIN_REGISTER_STRING_W, domain_register_string_w),
    ENTRY(NVTX_CORE2_DOMAIN_CREATE_A, domain_create_a),
    ENTRY(NVTX_CORE2_DOMAIN_CREATE_W, domain_create_w),
};

/* Writes what the program has places for; a shorter table is an older header's. */
static bool fill(const struct nvtx_callbacks_table *callbacks, int module,
                 const nvtx_function *functions, size_t n_functions)
{
    nvtx_function **places = NULL;
    unsigned int n_places = 0;
    if (callbacks->get_functions(module, &places, &n_places) != 1 || !places) {
        return false;
    }
    for (size_t i = 1; i < n_functions && i < n_places; i++) {
        if (functions[i] && places[i]) {
            *places[i] = functions[i];
        }
    }
    return true;
}

int InitializeInjectionNvtx2(nvtx_get_table get_table)
{
    const struct nvtx_callbacks_table *callbacks =
        get_table ? get_table(NVTX_TABLE_CALLBACKS) : NULL;
    if (!callbacks || callbacks->bytes < sizeof(*callbacks) || !callbacks->get_functions) {
        return 0;
    }
    const struct nvtx_version_table *version = get_table(NVTX_TABLE_VERSION);
    if (!version || version->bytes < sizeof(*version) || version->version < NVTX_VERSION_MIN ||
        version->version > NVTX_VERSION_MAX) {
        return 0;
    }
    if (version->set_tool_version) {
        version->set_tool_version(NVTX_VERSION_MAX);
    }
    /* Each library of a program may bring an NVTX of its own, and they may come at once. */
    dialect_start(DEFAULT_DOMAIN);
    default_domain = dialect_domain(DEFAULT_DOMAIN);
    bool has_core = fill(callbacks, NVTX_MODULE_CORE, core_functions, SLOTS(core_functions));
    bool has_core2 = fill(callbacks, NVTX_MODULE_CORE2, core2_functions, SLOTS(core2_functions));
    return has_core || has_core2 ? 1 : 0;
}
