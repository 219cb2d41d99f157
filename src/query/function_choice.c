/* SPDX-License-Identifier: MIT */
#include "query/function_choice.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define N_OFFERED 5u /* hottest names where nothing fits */
#define N_OTHERS 4u  /* named besides the chosen one */
#define NOTE_MAX_BYTES 2000u
#define NAME_MAX_BYTES 60u /* of one name in a list: templates can fill a screen */

enum fit { FIT_NONE, FIT_PART, FIT_WITHOUT_PARAMETERS, FIT_WITHOUT_CASE, FIT_EXACT };

_Static_assert(FIT_NONE == 0 && FIT_PART == FUNCTION_CHOICE_PART, "function_choice_fit()");

bool function_choice_is_address(const char *wanted, uint64_t *ret_address)
{
    if (wanted[0] != '0' || (wanted[1] != 'x' && wanted[1] != 'X') ||
        !isxdigit((unsigned char)wanted[2])) {
        return false;
    }
    char *end;
    errno = 0;
    *ret_address = strtoull(wanted, &end, 16);
    return errno == 0 && *end == '\0';
}

static bool holds(const struct function_candidate *candidate, uint64_t address)
{
    const struct symbol *symbol = candidate->symbol;
    uint64_t size_bytes = symbol->size_bytes ? symbol->size_bytes : 1;
    return !candidate->is_inlined && address >= symbol->start_address &&
           address - symbol->start_address < size_bytes;
}

/* A part that ends within a number is another number: the place 0x12f4 is not in "x+0x12f40". */
static bool is_part(const char *wanted, const char *name)
{
    const char *at = wanted[0] != '\0' ? strcasestr(name, wanted) : NULL;
    const char *number = at ? strrchr(wanted, '+') : NULL;
    uint64_t address;
    return at && !(number && function_choice_is_address(number + 1, &address) &&
                   isxdigit((unsigned char)at[strlen(wanted)]));
}

static enum fit fit_of(const char *wanted, const char *name)
{
    size_t n_wanted = strlen(wanted);
    if (strcmp(wanted, name) == 0) {
        return FIT_EXACT;
    }
    if (strcasecmp(wanted, name) == 0) {
        return FIT_WITHOUT_CASE;
    }
    /* "ns::parse" means "ns::parse(char const*)", and "parse" "parse<int>(int)". */
    if (strncasecmp(wanted, name, n_wanted) == 0 &&
        (name[n_wanted] == '(' || name[n_wanted] == '<')) {
        return FIT_WITHOUT_PARAMETERS;
    }
    return is_part(wanted, name) ? FIT_PART : FIT_NONE;
}

static bool is_heavier(const struct function_candidate *a, const struct function_candidate *b)
{
    if (a->weight_ns != b->weight_ns) {
        return a->weight_ns > b->weight_ns;
    }
    if (a->total_ns != b->total_ns) {
        return a->total_ns > b->total_ns;
    }
    /* Code of its own before a copy of it in a caller; then anything that is always the same. */
    if (a->is_inlined != b->is_inlined) {
        return !a->is_inlined;
    }
    int order = strcmp(a->symbol->name, b->symbol->name);
    return order != 0 ? order < 0 : a->symbol->start_address < b->symbol->start_address;
}

/* The next one in order of weight after `last` (SIZE_MAX: the heaviest) of those that fit. */
static size_t next_heaviest(const struct function_candidate *candidates, size_t n_candidates,
                            const uint8_t *fits, uint8_t fit, size_t last)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < n_candidates; i++) {
        bool is_after = last == SIZE_MAX || is_heavier(&candidates[last], &candidates[i]);
        if (i != last && fits[i] == fit && is_after &&
            (best == SIZE_MAX || is_heavier(&candidates[i], &candidates[best]))) {
            best = i;
        }
    }
    return best;
}

static void append_name(struct text *text, const char *name)
{
    size_t n_bytes = strlen(name);
    if (n_bytes <= NAME_MAX_BYTES) {
        text_append(text, name);
        return;
    }
    n_bytes = NAME_MAX_BYTES;
    while (n_bytes > 0 && ((unsigned char)name[n_bytes] & 0xc0) == 0x80) {
        n_bytes--; /* not in the middle of a character */
    }
    text_append_bytes(text, name, n_bytes);
    text_append(text, "…");
}

static void append_function(struct text *text, const struct function_candidate *candidate,
                            bool has_address)
{
    append_name(text, candidate->symbol->name);
    if (has_address && !candidate->is_inlined) {
        text_printf(text, " at 0x%" PRIx64, candidate->symbol->start_address);
    }
    text_printf(text, " (%s)%s", candidate->symbol->image,
                candidate->is_inlined ? " (inlined)" : "");
}

/* Is there something to say: another name than was typed, or several that fit as well? */
static int write_note(const char *wanted, const struct function_candidate *candidates,
                      size_t n_candidates, const uint8_t *fits, struct arena *arena,
                      struct function_choice *choice)
{
    const struct function_candidate *chosen = &candidates[choice->index];
    uint8_t fit = fits[choice->index];
    size_t n_fitting = 0;
    for (size_t i = 0; i < n_candidates; i++) {
        n_fitting += fits[i] == fit;
    }
    uint64_t address;
    if (n_fitting == 1 && (fit == FIT_EXACT && !function_choice_is_address(wanted, &address))) {
        return 0;
    }
    _cleanup_(text_releasep) struct text note;
    text_init(&note, NOTE_MAX_BYTES);
    bool has_address = fit == FIT_EXACT;
    text_append(&note, wanted);
    text_append(&note, " is taken as ");
    append_function(&note, chosen, has_address);
    if (n_fitting > 1) {
        text_printf(&note, ", the hottest of %zu that fit; others: ", n_fitting);
    }
    size_t at = choice->index;
    for (size_t n = 1; n < n_fitting && n <= N_OTHERS; n++) {
        at = next_heaviest(candidates, n_candidates, fits, fit, at);
        if (at == SIZE_MAX) {
            break;
        }
        text_append(&note, n > 1 ? ", " : "");
        append_function(&note, &candidates[at], has_address);
    }
    if (n_fitting > N_OTHERS + 1) {
        text_append(&note, ", …");
    }
    choice->note = arena_strdup(arena, note.data);
    return choice->note ? 0 : -ENOMEM;
}

static bool has_name(const char *const *names, size_t n_names, const char *name)
{
    for (size_t i = 0; i < n_names; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static int refuse(const char *wanted, const struct function_candidate *candidates,
                  size_t n_candidates, uint8_t *fits, struct error *reterr_error)
{
    error_set(reterr_error, "no_such_function", "no function that was sampled fits '%s'", wanted);
    if (n_candidates == 0) {
        error_hint(reterr_error, "nothing was sampled in this view; `stax top` says what there is");
        return -ENOENT;
    }
    for (size_t i = 0; i < n_candidates; i++) {
        fits[i] = FIT_NONE;
    }
    _cleanup_(text_releasep) struct text offer;
    text_init(&offer, NOTE_MAX_BYTES);
    const char *offered[N_OFFERED];
    size_t n_offered = 0;
    for (size_t at = SIZE_MAX; n_offered < N_OFFERED;) {
        at = next_heaviest(candidates, n_candidates, fits, FIT_NONE, at);
        if (at == SIZE_MAX) {
            break;
        }
        const char *name = candidates[at].symbol->name;
        if (!has_name(offered, n_offered, name)) {
            text_append(&offer, n_offered > 0 ? ", " : "");
            append_name(&offer, name);
            offered[n_offered++] = name;
        }
    }
    error_hint(reterr_error, "the hottest ones: %s", offer.data);
    return -ENOENT;
}

int function_choice_make(const char *wanted, const struct function_candidate *candidates,
                         size_t n_candidates, struct arena *arena,
                         struct function_choice *ret_choice, struct error *reterr_error)
{
    uint8_t *fits = arena_alloc(arena, n_candidates);
    if (!fits) {
        return -ENOMEM;
    }
    uint64_t address = 0;
    bool is_address = function_choice_is_address(wanted, &address);
    uint8_t best = FIT_NONE;
    for (size_t i = 0; i < n_candidates; i++) {
        if (is_address && holds(&candidates[i], address)) {
            fits[i] = FIT_EXACT;
        } else if (!is_address) {
            fits[i] = (uint8_t)fit_of(wanted, candidates[i].symbol->name);
        }
        best = fits[i] > best ? fits[i] : best;
    }
    if (best == FIT_NONE) {
        return refuse(wanted, candidates, n_candidates, fits, reterr_error);
    }
    *ret_choice = (struct function_choice){
        .index = next_heaviest(candidates, n_candidates, fits, best, SIZE_MAX),
    };
    return write_note(wanted, candidates, n_candidates, fits, arena, ret_choice);
}

unsigned int function_choice_fit(const char *wanted, const struct function_candidate *candidate)
{
    uint64_t address;
    if (function_choice_is_address(wanted, &address)) {
        return holds(candidate, address) ? FIT_EXACT : FIT_NONE;
    }
    return fit_of(wanted, candidate->symbol->name);
}
