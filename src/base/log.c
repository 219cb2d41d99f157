/* SPDX-License-Identifier: MIT */
/*
 * A line is put together on the stack and written with one write(2): no lock,
 * no allocation, and lines of different threads never mix.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

#define LINE_BYTES 1024
#define RULES_MAX 16
#define MODULE_BYTES 32

struct log_rule {
    char module[MODULE_BYTES]; /* "" is for all that no other rule names */
    enum log_level level;
};

static struct {
    const char *program;
    enum log_level level;
    enum log_level highest; /* of all rules: what is above is dropped at once */
    struct log_rule rules[RULES_MAX];
    size_t n_rules;
} log_state = {.program = "stax", .level = LOG_INFO, .highest = LOG_INFO};

static const char *const level_names[LOG_LEVEL_N] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn",   [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug", [LOG_TRACE] = "trace",
};

static bool parse_level(const char *word, size_t n_bytes, enum log_level *ret_level)
{
    for (int level = 0; level < LOG_LEVEL_N; level++) {
        if (strlen(level_names[level]) == n_bytes &&
            strncmp(level_names[level], word, n_bytes) == 0) {
            *ret_level = (enum log_level)level;
            return true;
        }
    }
    return false;
}

/* One item of the list: "debug" or "capture=debug". */
static bool parse_rule(const char *item, size_t n_bytes, struct log_rule *ret_rule)
{
    struct log_rule rule = {.module = ""};
    const char *equals = memchr(item, '=', n_bytes);
    if (equals) {
        size_t module_bytes = (size_t)(equals - item);
        if (module_bytes == 0 || module_bytes >= sizeof(rule.module)) {
            return false;
        }
        memcpy(rule.module, item, module_bytes);
        n_bytes -= module_bytes + 1;
        item = equals + 1;
    }
    if (!parse_level(item, n_bytes, &rule.level)) {
        return false;
    }
    *ret_rule = rule;
    return true;
}

void log_open(const char *program, const char *spec)
{
    log_state.program = program;
    log_state.level = LOG_INFO;
    log_state.highest = LOG_INFO;
    log_state.n_rules = 0;
    if (!spec || spec[0] == '\0') {
        return;
    }
    enum log_level level = LOG_INFO;
    size_t n_rules = 0;
    for (const char *item = spec;;) {
        const char *end = strchrnul(item, ',');
        struct log_rule rule;
        if (!parse_rule(item, (size_t)(end - item), &rule)) {
            return;
        }
        if (rule.module[0] == '\0') {
            level = rule.level;
        } else if (n_rules < RULES_MAX) {
            log_state.rules[n_rules++] = rule;
        } else {
            return;
        }
        if (*end == '\0') {
            break;
        }
        item = end + 1;
    }
    log_state.level = level;
    log_state.highest = level;
    log_state.n_rules = n_rules;
    for (size_t i = 0; i < n_rules; i++) {
        if (log_state.rules[i].level > log_state.highest) {
            log_state.highest = log_state.rules[i].level;
        }
    }
}

/* "../src/sources/perf_open.c" is of the module "capture/linux". */
static void find_module(const char *file, const char **ret_module, size_t *ret_n_bytes)
{
    const char *module = file;
    for (const char *at = strstr(file, "src/"); at; at = strstr(at + 1, "src/")) {
        module = at + 4;
    }
    const char *slash = strrchr(module, '/');
    if (slash) {
        *ret_module = module;
        *ret_n_bytes = (size_t)(slash - module);
    } else {
        *ret_module = "main";
        *ret_n_bytes = 4;
    }
}

/* The rule that names most of the module's path decides; "capture" also is for "capture/linux". */
static enum log_level level_of(const char *module, size_t n_bytes)
{
    enum log_level level = log_state.level;
    size_t best_bytes = 0;
    for (size_t i = 0; i < log_state.n_rules; i++) {
        const struct log_rule *rule = &log_state.rules[i];
        size_t rule_bytes = strlen(rule->module);
        bool is_prefix = rule_bytes <= n_bytes && memcmp(rule->module, module, rule_bytes) == 0 &&
                         (rule_bytes == n_bytes || module[rule_bytes] == '/');
        if (is_prefix && rule_bytes >= best_bytes) {
            level = rule->level;
            best_bytes = rule_bytes;
        }
    }
    return level;
}

static size_t add_length(size_t length_bytes, int n_added)
{
    if (n_added > 0) {
        length_bytes += (size_t)n_added;
    }
    return length_bytes < LINE_BYTES - 1 ? length_bytes : LINE_BYTES - 1;
}

static size_t write_head(char *line, enum log_level level, const char *module, size_t n_bytes)
{
    struct timespec now;
    struct tm broken_down;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &broken_down);
    size_t length_bytes = strftime(line, LINE_BYTES, "%Y-%m-%dT%H:%M:%S", &broken_down);
    int n_added = snprintf(line + length_bytes, LINE_BYTES - length_bytes,
                           ".%03ldZ %s %s %.*s: ", now.tv_nsec / 1000000, log_state.program,
                           level_names[level], (int)n_bytes, module);
    return add_length(length_bytes, n_added);
}

void log_write(enum log_level level, const char *file, int line, const char *format, ...)
{
    if (level > log_state.highest && log_state.n_rules == 0) {
        return;
    }
    const char *module;
    size_t n_bytes;
    find_module(file, &module, &n_bytes);
    if (level > level_of(module, n_bytes)) {
        return;
    }
    int saved_errno = errno;
    char text[LINE_BYTES];
    size_t head_bytes = write_head(text, level, module, n_bytes);
    va_list arguments;
    va_start(arguments, format);
    int n_added = vsnprintf(text + head_bytes, LINE_BYTES - head_bytes, format, arguments);
    va_end(arguments);
    size_t length_bytes = add_length(head_bytes, n_added);
    if (level >= LOG_DEBUG) {
        const char *slash = strrchr(file, '/');
        n_added = snprintf(text + length_bytes, LINE_BYTES - length_bytes, " [%s:%d]",
                           slash ? slash + 1 : file, line);
        length_bytes = add_length(length_bytes, n_added);
    }
    /* One line per event, whatever a name that we were given contains. */
    for (size_t i = head_bytes; i < length_bytes; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            text[i] = '?';
        }
    }
    text[length_bytes++] = '\n';
    (void)fd_write_all(STDERR_FILENO, text, length_bytes);
    errno = saved_errno;
}

int log_error_origin(int negative_errno, const char *file, int line)
{
    int saved_errno = errno;
    char buffer[128];
    log_write(LOG_DEBUG, file, line, "error %d: %s", -negative_errno,
              strerror_r(-negative_errno, buffer, sizeof(buffer)));
    errno = saved_errno;
    return negative_errno;
}
