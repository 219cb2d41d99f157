/* SPDX-License-Identifier: MIT */
#include "reasons/wait_name.h"

#include <stdint.h>
#include <string.h>

#include "reasons/wait_cause.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The length of 'name', or 0 where there is nothing in it that a rule could know. */
static size_t known_length(const char *name)
{
    if (name == NULL) {
        return 0;
    }
    size_t length_bytes = strnlen(name, WAIT_NAME_MAX_BYTES);
    if (length_bytes == WAIT_NAME_MAX_BYTES || name[0] == '[' ||
        (name[0] >= '0' && name[0] <= '9') || strstr(name, "+0x") != NULL) {
        return 0;
    }
    return length_bytes;
}

static bool keep(struct wait_name *name, const char *bytes, size_t n_bytes)
{
    if (n_bytes == 0 || n_bytes >= sizeof(name->text)) {
        return false;
    }
    memmove(name->text, bytes, n_bytes);
    name->text[n_bytes] = '\0';
    name->length_bytes = n_bytes;
    return true;
}

bool wait_name_of_kernel(const char *name, struct wait_name *ret_name)
{
    if (known_length(name) == 0) {
        return false;
    }
    /* What follows a blank is the module; a dot begins what the compiler or the linker added. */
    return keep(ret_name, name, strcspn(name, ". \t"));
}

static bool ends_with(const struct wait_name *name, const char *ending)
{
    size_t n_bytes = strlen(ending);
    return name->length_bytes > n_bytes &&
           memcmp(name->text + name->length_bytes - n_bytes, ending, n_bytes) == 0;
}

static void drop_endings(struct wait_name *name, const char *const *endings, size_t n_endings)
{
    for (size_t i = 0; i < n_endings; i++) {
        if (ends_with(name, endings[i])) {
            name->length_bytes -= strlen(endings[i]);
            name->text[name->length_bytes] = '\0';
        }
    }
}

bool wait_name_of_call(const struct wait_name *kernel, struct wait_name *ret_call)
{
    /* A prefix stands before the shorter one that it begins with. */
    static const char *const prefixes[] = {
        "__x64_sys_",
        "__ia32_compat_sys_",
        "__ia32_sys_",
        "__x32_compat_sys_",
        "__arm64_compat_sys_",
        "__arm64_sys_",
        "__riscv_sys_",
        "__s390x_sys_",
        "__se_compat_sys_",
        "__se_sys_",
        "__do_compat_sys_",
        "__do_sys_",
        "do_compat_sys_",
        "do_sys_",
        "compat_ksys_",
        "ksys_",
        "compat_sys_",
        "__sys_",
        "sys_",
    };
    static const char *const endings[] = {"_time32", "_time64", "64"};
    for (size_t i = 0; i < N_OF(prefixes); i++) {
        size_t n_bytes = strlen(prefixes[i]);
        if (strncmp(kernel->text, prefixes[i], n_bytes) == 0) {
            if (!keep(ret_call, kernel->text + n_bytes, kernel->length_bytes - n_bytes)) {
                return false;
            }
            drop_endings(ret_call, endings, N_OF(endings));
            return true;
        }
    }
    return false;
}

bool wait_name_of_wrapper(const struct wait_name *user, struct wait_name *ret_call)
{
    static const char *const endings[] = {"_nocancel", "_cancel", "_chk", "_time64", "64"};
    const char *text = user->text;
    if (strstr(text, "::") != NULL) {
        return false;
    }
    if (strncmp(text, "libc_", 5) == 0) {
        text += 5;
    }
    if (!keep(ret_call, text, strlen(text))) {
        return false;
    }
    drop_endings(ret_call, endings, N_OF(endings));
    return true;
}

/* User names ------------------------------------------------------------------------------- */

struct scan {
    const char *at;
    const char *end;
    struct wait_name *name;
    size_t component; /* where in the text the current component begins */
    bool is_too_long;
};

static bool is_hash(const char *text)
{
    return text[0] == 'h' && strlen(text) == 17 && strspn(text + 1, "0123456789abcdef") == 16;
}

/* Closures, implementations and hashes stand in names as components, and say nothing. */
static void drop_empty_component(struct scan *scan)
{
    const char *text = scan->name->text + scan->component;
    if (text[0] == '{' || is_hash(text)) {
        scan->name->length_bytes = scan->component;
        scan->name->text[scan->component] = '\0';
    }
}

static void put(struct scan *scan, char byte)
{
    struct wait_name *name = scan->name;
    if (name->length_bytes + 1 >= sizeof(name->text)) {
        scan->is_too_long = true;
        return;
    }
    name->text[name->length_bytes++] = byte;
    name->text[name->length_bytes] = '\0';
}

static void restart(struct scan *scan)
{
    scan->name->length_bytes = 0;
    scan->name->text[0] = '\0';
    scan->component = 0;
}

static void begin_component(struct scan *scan)
{
    drop_empty_component(scan);
    struct wait_name *name = scan->name;
    if (name->length_bytes > 0 && !ends_with(name, "::")) {
        put(scan, ':');
        put(scan, ':');
    }
    scan->component = name->length_bytes;
}

/* To behind the bracket that closes the one at 'at'; to the end where none does. */
static const char *behind_bracket(const char *at, const char *end, char open, char close)
{
    size_t depth = 0;
    for (; at < end; at++) {
        if (*at == open) {
            depth++;
        } else if (*at == close && at[-1] != '-' && --depth == 0) {
            return at + 1;
        }
    }
    return end;
}

static bool is_clone_suffix(const char *at)
{
    static const char *const words[] = {".constprop", ".isra",     ".part",       ".cold",
                                        ".llvm.",     ".lto_priv", ".localalias", ".clone"};
    for (size_t i = 0; i < N_OF(words); i++) {
        if (strncmp(at, words[i], strlen(words[i])) == 0) {
            return true;
        }
    }
    return at[1] >= '0' && at[1] <= '9';
}

/* "<T as Trait>::f" and "<T>::f" of Rust are functions of T. */
static void enter_type(struct scan *scan)
{
    const char *behind = behind_bracket(scan->at, scan->end, '<', '>');
    const char *as = memmem(scan->at, (size_t)(behind - scan->at), " as ", 4);
    const char *type = scan->at + 1;
    scan->at = behind;
    for (const char *at = type; at < (as == NULL ? behind - 1 : as); at++) {
        if (*at == '<') {
            at = behind_bracket(at, behind, '<', '>') - 1;
        } else if (*at == ' ') {
            restart(scan);
        } else if (*at == ':') {
            begin_component(scan);
        } else {
            put(scan, *at);
        }
    }
}

/* False at the end of the name proper. */
static bool scan_step(struct scan *scan)
{
    static const char anonymous[] = "(anonymous namespace)";
    const char *at = scan->at;
    switch (*at) {
    case '<':
        if (scan->name->length_bytes == 0) {
            enter_type(scan);
        } else {
            scan->at = behind_bracket(at, scan->end, '<', '>');
        }
        return true;
    case '(':
        if (strncmp(at, anonymous, sizeof(anonymous) - 1) == 0) {
            scan->at += sizeof(anonymous) - 1;
            return true;
        }
        if (at[1] == '*') { /* The receiver of a method of Go. */
            scan->at = behind_bracket(at, scan->end, '(', ')');
            return true;
        }
        return false;
    case '@':
    case '[':
        return false;
    case ' ': /* What stood before it was the type that the function returns. */
        restart(scan);
        break;
    case ':':
        if (at[1] != ':') { /* The file of a Python function. */
            return false;
        }
        begin_component(scan);
        scan->at++;
        break;
    case '.':
        if (is_clone_suffix(at)) {
            return false;
        }
        begin_component(scan);
        break;
    case '/':
        begin_component(scan);
        break;
    case ';':
        break;
    default:
        put(scan, *at);
        break;
    }
    scan->at++;
    return true;
}

/* The C library's names for one function: __GI___f, ___f, __f, f. */
static void undecorate(struct wait_name *name)
{
    const char *text = name->text;
    if (strncmp(text, "__GI_", 5) == 0) {
        text += 5;
    }
    text += strspn(text, "_");
    (void)keep(name, text, strlen(text));
}

bool wait_name_of_user(const char *name, struct wait_name *ret_name)
{
    size_t length_bytes = known_length(name);
    *ret_name = (struct wait_name){.length_bytes = 0};
    struct scan scan = {.at = name, .end = name + length_bytes, .name = ret_name};
    while (scan.at < scan.end && !scan.is_too_long && scan_step(&scan)) {
    }
    if (scan.is_too_long) {
        return false;
    }
    drop_empty_component(&scan);
    while (ends_with(ret_name, "::")) {
        ret_name->length_bytes -= 2;
        ret_name->text[ret_name->length_bytes] = '\0';
    }
    if (ret_name->length_bytes > 0 && strstr(ret_name->text, "::") == NULL) {
        undecorate(ret_name);
    }
    return ret_name->length_bytes > 0;
}

const char *wait_name_tail(const struct wait_name *name, size_t n_components)
{
    size_t at = name->length_bytes;
    while (at >= 2) {
        if (name->text[at - 1] == ':' && name->text[at - 2] == ':') {
            n_components--;
            if (n_components == 0) {
                return name->text + at;
            }
            at--;
        }
        at--;
    }
    return NULL;
}
