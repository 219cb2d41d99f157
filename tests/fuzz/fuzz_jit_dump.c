/* SPDX-License-Identifier: MIT */

/*
 * fuzz_jit_dump - a dump that grows, read as the server reads it
 *
 * The file gets the input in two pieces; what is then known of code is asked
 * for everywhere, with its bytes and lines.
 */

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "jit/jit_dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void ask(struct jit_code *code, uint64_t ip, uint64_t at_ns)
{
    struct jit_place place;
    uint8_t bytes[64];
    const char *file;
    uint32_t line;
    if (!jit_code_find(code, 1, ip, at_ns, at_ns, &place)) {
        return;
    }
    require(place.symbol && place.symbol->name[0] != '\0');
    require(place.start_ip <= ip && ip < place.end_ip);
    require(jit_code_read(&place, bytes, sizeof(bytes)) <= (ssize_t)sizeof(bytes));
    require(!jit_code_line(&place, ip, &file, &line) || file[0] != 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    struct jit_code *code;
    struct jit_dump *dump;
    if (fd < 0 || jit_code_new(&code) < 0) {
        abort();
    }
    require(write(fd, data, size / 2) == (ssize_t)(size / 2));
    if (jit_dump_open(code, 1, dup(fd), &dump) < 0) {
        abort();
    }
    struct jit_budget budget = jit_budget_begin(NULL, clock_now_ns());
    (void)jit_dump_read(dump, &budget);
    require(jit_code_publish(code) == 0);
    require(write(fd, data + size / 2, size - size / 2) == (ssize_t)(size - size / 2));
    (void)jit_dump_read(dump, &budget);
    require(jit_code_publish(code) == 0);
    for (uint64_t ip = 0x1000; ip < 0x20000; ip += 0x801) {
        ask(code, ip, 100);
        ask(code, ip, UINT64_MAX / 2);
    }
    jit_dump_free(dump);
    jit_code_free(code);
    close(fd);
    return 0;
}
