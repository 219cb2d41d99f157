/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * log - one line per event of a program's life, on stderr or in a file
 *
 * Programs log; libraries (every room but server/, cli/ and broker/) use
 * log_debug() only. The level comes from STAX_LOG: `error`, `warn`, `info`
 * (default), `debug`, `trace`, or per module as in `info,capture=debug`; the
 * module is the folder of the source file.
 *
 * Owner:   process-wide state, set once by log_open().
 * Threads: any; a line is written with one write(2).
 */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE, LOG_LEVEL_N };

/* `program` is borrowed for the life of the process; a bad `spec` (may be NULL) keeps `info`. */
void log_open(const char *program, const char *spec);

void log_write(enum log_level level, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define log_error(...) log_write(LOG_ERROR, __FILE__, __LINE__, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __FILE__, __LINE__, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __FILE__, __LINE__, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __FILE__, __LINE__, __VA_ARGS__)

/* Notes at debug level where a negative errno was born, and returns it. */
#define error_origin(negative_errno) log_error_origin((negative_errno), __FILE__, __LINE__)
int log_error_origin(int negative_errno, const char *file, int line);
