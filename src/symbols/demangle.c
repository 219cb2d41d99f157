/* SPDX-License-Identifier: MIT */
/*
 * libiberty hands out its text in pieces through a callback and keeps its own
 * state on the stack, so leaving it by longjmp() when the text grows past the
 * cap leaks nothing and costs nothing. Its D demangler has no callback: names
 * that could grow past a bound are not given to it at all.
 *
 * The scheme is decided by the prefix, since every Rust legacy name is also a
 * valid C++ one: first Rust, which insists on the hash, then C++.
 */
#include "symbols/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/*
 * libiberty refuses C++ names of more than half DEMANGLE_RECURSION_LIMIT bytes
 * because its state on the stack grows with them. Templates produce longer
 * ones; up to this length the worst nesting takes less than 1 MiB of stack.
 */
#define MAX_CXX_BYTES 4096u
#define LIBIBERTY_CXX_BYTES (DEMANGLE_RECURSION_LIMIT / 2)

#define MAX_RUST_BYTES (64u * 1024)

#define MAX_D_BYTES 4096u
/* What a D name may expand to by the bounds of its back references; it is held in memory once. */
#define MAX_D_EXPANDED_BYTES (8.0 * 1024 * 1024)
#define CUBE_ROOT_OF_3 1.4422495703

struct output {
    char *text; /* DEMANGLE_MAX_BYTES */
    size_t n_bytes;
    jmp_buf past_cap;
};

static void on_piece(const char *piece, size_t n_bytes, void *userdata)
{
    struct output *output = userdata;
    if (n_bytes >= DEMANGLE_MAX_BYTES - output->n_bytes) {
        longjmp(output->past_cap, 1);
    }
    if (n_bytes > 0) { /* libiberty passes NULL for an empty piece */
        memcpy(output->text + output->n_bytes, piece, n_bytes);
    }
    output->n_bytes += n_bytes;
}

typedef int (*demangle_cb)(const char *mangled, int options, demangle_callbackref on_text,
                           void *userdata);

/* Has no variable of its own that changes between setjmp() and longjmp(). */
static bool run(demangle_cb demangler, const char *mangled, int options, struct output *output)
{
    output->n_bytes = 0;
    if (setjmp(output->past_cap) != 0) {
        return false;
    }
    if (!demangler(mangled, options, on_piece, output) || output->n_bytes == 0) {
        return false;
    }
    output->text[output->n_bytes] = '\0';
    return true;
}

static int cxx_options(size_t n_bytes)
{
    /* Verbose: abbreviations of the standard library in full, as binutils print them. */
    int options = DMGL_PARAMS | DMGL_ANSI | DMGL_VERBOSE;
    return n_bytes < LIBIBERTY_CXX_BYTES ? options : options | DMGL_NO_RECURSE_LIMIT;
}

static char *demangle_with_callback(const char *mangled, size_t n_bytes)
{
    struct output output = {.text = malloc(DEMANGLE_MAX_BYTES)};
    if (!output.text) {
        return NULL;
    }
    bool is_done =
        n_bytes <= MAX_RUST_BYTES && run(rust_demangle_callback, mangled, DMGL_NO_OPTS, &output);
    if (!is_done && mangled[1] == 'Z' && n_bytes <= MAX_CXX_BYTES) {
        is_done = run(cplus_demangle_v3_callback, mangled, cxx_options(n_bytes), &output);
    }
    char *name = is_done ? strndup(output.text, output.n_bytes) : NULL;
    free(output.text);
    return name;
}

/* The distance that the back reference after the 'Q' at `at` goes back; 0 where there is none. */
static size_t read_back_reference(const char *at)
{
    size_t distance = 0;
    for (at++; *at >= 'A' && *at <= 'Z' && distance < MAX_D_BYTES; at++) {
        distance = distance * 26 + (size_t)(*at - 'A');
    }
    return *at >= 'a' && *at <= 'z' ? distance * 26 + (size_t)(*at - 'a') : 0;
}

/* The bytes of the identifier whose length stands at `at`. */
static size_t read_identifier_bytes(const char *at)
{
    size_t n_bytes = 0;
    for (; *at >= '0' && *at <= '9' && n_bytes < MAX_D_BYTES; at++) {
        n_bytes = n_bytes * 10 + (size_t)(*at - '0');
    }
    return n_bytes < MAX_D_BYTES ? n_bytes : MAX_D_BYTES;
}

/*
 * How much the name can grow. A reference to an identifier repeats it; one to
 * a type repeats what stands there, references included, and they go back
 * only: at most all between its target and itself. k of them, three to a
 * level, multiply the rest by 3^(k/3) at most, whichever is less.
 */
static bool is_bounded(const char *mangled, size_t n_bytes)
{
    _cleanup_(freep) double *grown = malloc((n_bytes + 1) * sizeof(*grown));
    if (!grown) {
        return false;
    }
    double plain = (double)n_bytes;
    double factor = 1;
    grown[0] = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        size_t distance = mangled[i] == 'Q' ? read_back_reference(mangled + i) : 0;
        double bytes = 1;
        if (distance > 0 && distance <= i) {
            const char *target = mangled + (i - distance);
            bool is_identifier = *target >= '0' && *target <= '9';
            bytes = is_identifier ? (double)read_identifier_bytes(target)
                                  : grown[i] - grown[i - distance];
            plain += is_identifier ? bytes : 0;
            factor *= is_identifier ? 1 : CUBE_ROOT_OF_3;
        }
        grown[i + 1] = grown[i] + bytes;
    }
    double limit = MAX_D_EXPANDED_BYTES;
    return grown[n_bytes] < limit || plain * factor < limit;
}

static char *demangle_d(const char *mangled, size_t n_bytes)
{
    if (n_bytes > MAX_D_BYTES || !is_bounded(mangled, n_bytes)) {
        return NULL;
    }
    _cleanup_(freep) char *name = dlang_demangle(mangled, DMGL_NO_OPTS);
    return name && strnlen(name, DEMANGLE_MAX_BYTES) < DEMANGLE_MAX_BYTES ? TAKE_PTR(name) : NULL;
}

char *demangle(const char *mangled)
{
    size_t n_bytes = strlen(mangled);
    if (n_bytes < 3 || mangled[0] != '_') {
        return NULL;
    }
    switch (mangled[1]) {
    case 'Z':
    case 'R':
        return demangle_with_callback(mangled, n_bytes);
    case 'D':
        return demangle_d(mangled, n_bytes);
    default:
        return NULL;
    }
}
