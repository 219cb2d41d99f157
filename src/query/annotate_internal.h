/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * annotate - the parts of query_annotate.c
 *
 * annotate_choice says which function is meant, annotate_points where its
 * samples fell, annotate_code what stands there.
 *
 * Owner:   everything lies in the arena of the query.
 * Threads: any.
 * Tests:   query_annotate_test.c
 */

#include "disasm/code_reader.h"
#include "jit/jit_code.h"
#include "query/attribution.h"
#include "query/query_names.h"

/* A function of the run: code at one place, or what was inlined somewhere. */
struct annotate_function {
    const struct symbol *symbol;
    bool is_inlined;
    bool is_named; /* else a place without a symbol */
    image_id image;
    uint64_t self_ns, self_samples;
};

struct annotate_functions {
    size_t n_functions;
    struct annotate_function *functions;
    /* By frame_id: of samples whose innermost frame it is. */
    uint64_t *frame_ns, *frame_samples;
};

/* An address that was sampled. */
struct annotate_point {
    uint64_t address;
    uint64_t ns, samples;                 /* of the function itself */
    uint64_t inlined_ns, inlined_samples; /* of functions that were inlined there */
};

struct annotate_points {
    size_t n_points;
    struct annotate_point *points; /* by address, each once */
};

/*
 * Code of a function in one place. Compiled files have one; a function that a
 * program made itself can have been made several times.
 */
struct annotate_piece {
    uint64_t start_addr, end_addr;
    bool is_made;          /* by the program, while it ran */
    struct jit_place made; /* then: its record */
    /* Of code in memory without a file: in whose memory it was seen, and when; pid 0: nobody's. */
    int64_t pid;
    uint64_t seen_ns;
    struct annotate_points points;
    uint64_t ns;
};

/* Pieces that are shown with their code; further ones are only counted. */
#define ANNOTATE_PIECES_MAX 16u

/* The code that is shown. */
struct annotate_target {
    const struct symbol *symbol; /* NULL: nobody knows a name for it */
    const char *name;
    image_id image_id;
    const struct image *image;
    struct symbol_source *source; /* NULL: none */
    bool is_named;
    uint64_t place_addr; /* the address that was asked for; the start of a named function */
    size_t n_pieces;
    struct annotate_piece *pieces; /* hottest first */
};

/* annotate_points.c */
int annotate_functions_collect(const struct query_context *context,
                               const struct attribution *attribution,
                               struct annotate_functions *ret_functions);
/* Sampled addresses of a nameless place's image in [start_addr, end_addr) without a symbol, or of
 * the named function. */
int annotate_points_collect(const struct query_context *context,
                            const struct annotate_functions *functions,
                            const struct annotate_target *target, uint64_t start_addr,
                            uint64_t end_addr, struct annotate_points *ret_points);
/* annotate_made.c: the pieces of a function that the program made itself; none: it is none. */
int annotate_made_pieces(const struct query_context *context,
                         const struct annotate_functions *functions,
                         struct annotate_target *target);
/* The made function whose code stood at the run-time address; NULL: none that was sampled. */
const struct symbol *annotate_made_at(const struct query_context *context, uint64_t ip,
                                      image_id *ret_image);
void annotate_points_sort(struct annotate_points *points);
/* Of a nameless place in memory without a file: the process whose samples fell there most. Returns
 * how many other processes have samples there. */
size_t annotate_points_owner(const struct query_context *context,
                             const struct annotate_functions *functions,
                             const struct annotate_target *target, struct annotate_piece *piece);
/* Of a function that was inlined: where, hottest first. */
int annotate_inlined_into(const struct query_context *context,
                          const struct annotate_functions *functions, const struct symbol *inlined,
                          struct annotate_result *result);

/* query_annotate.c: `access` with what was kept of the image, where the run came with its code. */
struct code_access annotate_access(const struct query_context *context,
                                   const struct code_access *access, const struct image *image);

/* annotate_choice.c: 0, -ENOMEM, or -ENOENT with the hottest names. */
int annotate_choose(const struct query_context *context, const struct code_access *access,
                    const struct annotate_functions *functions, const char *wanted,
                    struct annotate_target *ret_target, struct annotate_result *result,
                    struct error *reterr_error);
const char *annotate_address(struct arena *arena, uint64_t address);

/* The lines of one piece. */
struct annotate_lines {
    size_t n_lines;
    struct annotate_line *lines;
    uint64_t *addresses;     /* of the lines */
    int64_t code_modified_s; /* 0: unknown */
};

/* annotate_code.c: fills lines, notes and what is known of the code. 0 or -ENOMEM. */
int annotate_code(const struct query_context *context, const struct query_annotate_options *options,
                  const struct annotate_target *target, const struct annotate_piece *piece,
                  uint64_t function_ns, struct annotate_result *result);
/* annotate_source.c: fills file, line, source, inlined of lines that have an address. */
int annotate_source(const struct query_context *context,
                    const struct query_annotate_options *options,
                    const struct annotate_target *target, const struct annotate_piece *piece,
                    const struct annotate_lines *lines, struct annotate_result *result);

/* Adds lines behind those that the result has. 0 or -ENOMEM. */
int annotate_append(const struct query_context *context, const struct annotate_lines *lines,
                    struct annotate_result *result);

#define ANNOTATE_NOTES_MAX 16u

/* Adds a sentence; past ANNOTATE_NOTES_MAX they are dropped. */
void annotate_note(const struct query_context *context, struct annotate_result *result,
                   const char *format, ...) __attribute__((format(printf, 3, 4)));
