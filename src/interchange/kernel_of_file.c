/* SPDX-License-Identifier: MIT */
#include "interchange/kernel_of_file.h"

#include <elf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "symbols/kallsyms.h"

#define NOTES_PATH "/sys/kernel/notes"
#define MAX_NOTES_BYTES (1u << 20)

size_t kernel_notes_build_id(const void *notes, size_t n_bytes,
                             uint8_t ret_build_id[LIMIT_BUILD_ID_BYTES])
{
    struct bytes at = bytes_of(notes, n_bytes);
    while (bytes_left(&at) > 0 && !bytes_has_failed(&at)) {
        size_t name_bytes = bytes_take_u32(&at);
        size_t data_bytes = bytes_take_u32(&at);
        uint32_t type = bytes_take_u32(&at);
        const uint8_t *name = bytes_take(&at, (name_bytes + 3) & ~(size_t)3);
        const uint8_t *data = bytes_take(&at, (data_bytes + 3) & ~(size_t)3);
        if (name && data && type == NT_GNU_BUILD_ID && name_bytes == sizeof("GNU") &&
            memcmp(name, "GNU", sizeof("GNU")) == 0 && data_bytes <= LIMIT_BUILD_ID_BYTES) {
            memcpy(ret_build_id, data, data_bytes);
            return data_bytes;
        }
    }
    return 0;
}

static bool is_same_build(const struct kernel_of_file *kernel)
{
    _cleanup_(freep) char *notes = NULL;
    size_t n_bytes;
    uint8_t here[LIMIT_BUILD_ID_BYTES];
    if (kernel->build_id_bytes == 0 ||
        fd_read_file(NOTES_PATH, MAX_NOTES_BYTES, &notes, &n_bytes) < 0) {
        return true; /* nothing speaks against it */
    }
    size_t here_bytes = kernel_notes_build_id(notes, n_bytes, here);
    return here_bytes == 0 || (here_bytes == kernel->build_id_bytes &&
                               memcmp(here, kernel->build_id, here_bytes) == 0);
}

static uint64_t booted_at_unix_ns(void)
{
    struct timespec since_boot;
    if (clock_gettime(CLOCK_BOOTTIME, &since_boot) < 0) {
        return 0;
    }
    return clock_now_unix_ns() -
           ((uint64_t)since_boot.tv_sec * NS_PER_S + (uint64_t)since_boot.tv_nsec);
}

/* The symbols by which perf says where the kernel begins, and where they are here; 0: hidden from
 * us. They stay there while the kernel runs. */
static struct {
    const char *name;
    uint64_t ip;
} beginnings[] = {{.name = "_text"}, {.name = "_stext"}};
static pthread_once_t beginnings_once = PTHREAD_ONCE_INIT;

static void read_beginnings(void)
{
    _cleanup_(freep) char *text = NULL;
    size_t n_bytes;
    if (kallsyms_read(&text, &n_bytes, NULL) < 0) {
        return;
    }
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        char wanted[32];
        snprintf(wanted, sizeof(wanted), " %s\n", beginnings[i].name);
        const char *found = strstr(text, wanted);
        while (found && found > text && found[-1] != '\n') {
            found--;
        }
        beginnings[i].ip = found ? strtoull(found, NULL, 16) : 0;
    }
}

/* 0: not known. */
static uint64_t address_here(const char *symbol)
{
    pthread_once(&beginnings_once, read_beginnings);
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        if (strcmp(symbol, beginnings[i].name) == 0) {
            return beginnings[i].ip;
        }
    }
    return 0;
}

bool kernel_of_file_is_here(const struct kernel_of_file *kernel, const char **ret_why)
{
    struct utsname here;
    *ret_why = NULL;
    if (uname(&here) < 0) {
        return true;
    }
    if (kernel->release[0] != '\0' && strcmp(kernel->release, here.release) != 0) {
        *ret_why = "another kernel runs here";
    } else if (!is_same_build(kernel)) {
        *ret_why = "another build of the kernel runs here";
    } else if (kernel->host[0] != '\0' && strcmp(kernel->host, here.nodename) != 0) {
        *ret_why = "it is of another machine";
    } else if (kernel->written_at_unix_ns != 0 &&
               kernel->written_at_unix_ns < booted_at_unix_ns()) {
        *ret_why = "the machine has been booted since";
    } else if (kernel->symbol_ip != 0) {
        uint64_t ip = address_here(kernel->symbol);
        if (ip != 0 && ip != kernel->symbol_ip) {
            *ret_why = "the kernel lies at other addresses here";
        }
    }
    return *ret_why == NULL;
}
