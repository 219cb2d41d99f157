/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "doctor/doctor.h"

#define IMAGE_LEAST_PCT 2.0 /* of the run's samples: rarer images are not worth a line */
#define SAMPLES_LEAST 20u   /* fewer tell nothing about quality */
#define COMPLETE_WARN_PCT 99.0
#define COMPLETE_BROKEN_PCT 50.0
#define NAMED_WARN_PCT 95.0
#define CUT_LEAST_PCT 0.5 /* of the stacks, that one image cuts */
#define UNWINDING "unwinding"

static double pct(uint64_t part, uint64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static const char *fix_of_loss(const char *cause)
{
    if (strcmp(cause, "ring full") == 0) {
        return "stax record -F 400 … (a lower rate), or sudo sysctl "
               "kernel.perf_event_mlock_kb=8192";
    }
    if (strcmp(cause, "queue full") == 0) {
        return "stax record -F 400 … (a lower rate), or leave stax-server a core";
    }
    if (strcmp(cause, "throttled") == 0) {
        return "stax record -F 400 … (a lower rate), or sudo sysctl "
               "kernel.perf_cpu_time_max_percent=0";
    }
    return "stax diagnose --json (and report it)";
}

static void examine_losses(struct doctor_list *list, const struct diagnose_result *diagnose)
{
    bool has_lost = false;
    for (size_t i = 0; i < diagnose->n_lost; i++) {
        const struct diagnose_lost *lost = &diagnose->lost[i];
        if (lost->count > 0) {
            has_lost = true;
            doctor_add(list, "run", "losses", DOCTOR_STATE_WARN, fix_of_loss(lost->cause),
                       "%" PRIu64 " events were lost (%s)", lost->count, lost->cause);
        }
    }
    if (!has_lost) {
        doctor_add(list, "run", "losses", DOCTOR_STATE_OK, NULL, "no event was lost");
    }
}

/* What to do about stacks that end for this reason; causes are told by server.diagnostics. */
static const char *fix_of_cut(const char *cause)
{
    if (strstr(cause, "copied bytes") || strstr(cause, "could not be read")) {
        return "stax record … without --stack-bytes, or with --stack-bytes 64K";
    }
    if (strstr(cause, "without unwind information")) {
        return "build that code with -fasynchronous-unwind-tables or -fno-omit-frame-pointer; "
               "code that is made at run time: node --perf-prof, java with its perf agent";
    }
    if (strstr(cause, "form that is not followed")) {
        return "LD_BIND_NOW=1 stax record … where that is the dynamic linker; else stax diagnose "
               "--json (and report it)";
    }
    if (strstr(cause, "had just taken the place")) {
        return "nothing to type: it was seen 20 ms after it was mapped; later stacks are whole";
    }
    if (strstr(cause, "deeper than the limit")) {
        return "nothing to type: the outermost callers of so deep a recursion are left out";
    }
    return "stax diagnose --json (and report it)";
}

static void examine_frame_pointers(struct doctor_list *list, const struct diagnose_stacks *stacks)
{
    doctor_add(list, UNWINDING, "stacks", DOCTOR_STATE_WARN,
               "stax record … without --no-dwarf-unwind and STAX_DWARF_UNWIND=0",
               "callers were found by frame pointers only: most libraries have none, their "
               "callers are missing (%" PRIu64 " stacks, %" PRIu64 " cut, %" PRIu64 " empty)",
               stacks->total, stacks->truncated, stacks->empty);
}

/* Of all stacks whose end is known. */
static void examine_stacks(struct doctor_list *list, const struct diagnose_result *diagnose)
{
    const struct diagnose_unwind *unwind = &diagnose->unwind;
    const struct diagnose_stack_end *worst = NULL;
    uint64_t n_complete = 0, n_known = 0;
    for (size_t i = 0; i < unwind->n_ends; i++) {
        const struct diagnose_stack_end *end = &unwind->ends[i];
        bool is_complete = strcmp(end->cause, "complete") == 0;
        if (strcmp(end->cause, "not looked at") == 0) {
            continue;
        }
        n_known += end->stacks;
        n_complete += is_complete ? end->stacks : 0;
        worst = !is_complete && (!worst || end->stacks > worst->stacks) ? end : worst;
    }
    if (n_known == 0) {
        n_known = diagnose->stacks.total;
        n_complete = diagnose->stacks.complete;
    }
    double complete_pct = pct(n_complete, n_known);
    enum doctor_state state = complete_pct < COMPLETE_BROKEN_PCT ? DOCTOR_STATE_BROKEN
                              : complete_pct < COMPLETE_WARN_PCT ? DOCTOR_STATE_WARN
                                                                 : DOCTOR_STATE_OK;
    const char *fix = worst ? fix_of_cut(worst->cause) : NULL;
    fix = fix ? fix : "stax diagnose --json (and report it)";
    doctor_add(list, UNWINDING, "stacks", state, state == DOCTOR_STATE_OK ? NULL : fix,
               "%.1f %% of %" PRIu64 " stacks reach the start of their thread%s%s", complete_pct,
               n_known, worst ? "; most of the others end at: " : "", worst ? worst->cause : "");
}

/* Is it where a fair share of the run's samples fell? */
static bool is_busy(const struct diagnose_result *diagnose, uint64_t n_samples, const char *path)
{
    for (size_t i = 0; i < diagnose->n_images; i++) {
        const struct diagnose_image *image = &diagnose->images[i];
        if (image->path && strcmp(image->path, path) == 0) {
            return image->samples >= SAMPLES_LEAST &&
                   pct(image->samples, n_samples) >= IMAGE_LEAST_PCT;
        }
    }
    return false;
}

/* Those of waits and wakeups are no samples, but are cut like them. */
static uint64_t count_walked(const struct diagnose_result *diagnose)
{
    const struct diagnose_unwind *unwind = &diagnose->unwind;
    uint64_t n_walked = 0;
    for (size_t i = 0; i < unwind->n_ends; i++) {
        n_walked += unwind->ends[i].stacks;
    }
    return n_walked > diagnose->stacks.total ? n_walked : diagnose->stacks.total;
}

/* The images that matter, and those in which stacks come to their end too early. */
static void examine_tables(struct doctor_list *list, const struct diagnose_result *diagnose,
                           uint64_t n_samples)
{
    const struct diagnose_unwind *unwind = &diagnose->unwind;
    uint64_t n_walked = count_walked(diagnose);
    for (size_t i = 0; i < unwind->n_tables; i++) {
        const struct diagnose_table *table = &unwind->tables[i];
        double cut_pct = pct(table->cut_stacks, n_walked);
        bool is_fine = cut_pct < CUT_LEAST_PCT;
        if (!table->path || (is_fine && !is_busy(diagnose, n_samples, table->path))) {
            continue;
        }
        const char *cause = table->cut_cause ? table->cut_cause : "not known why";
        const char *origin = table->origin ? table->origin : "nowhere";
        const char *colon = table->failure ? ": " : "";
        const char *failure = table->failure ? table->failure : "";
        if (table->cut_stacks == 0) {
            doctor_add(list, UNWINDING, table->path, DOCTOR_STATE_OK, NULL,
                       "no stack is cut in it; %" PRIu64 " rows from %s%s%s", table->rows, origin,
                       colon, failure);
            continue;
        }
        doctor_add(list, UNWINDING, table->path, is_fine ? DOCTOR_STATE_OK : DOCTOR_STATE_WARN,
                   is_fine ? NULL : fix_of_cut(cause),
                   "%" PRIu64 " stacks (%.1f %%) end in it: %s; %" PRIu64 " rows from %s%s%s",
                   table->cut_stacks, cut_pct, cause, table->rows, origin, colon, failure);
    }
}

static bool is_file(const struct diagnose_image *image)
{
    return image->path[0] == '/' && image->path[1] != '/';
}

/* Does it lie where distributions put what they built? */
static bool is_packaged(const char *path)
{
    static const char *const folders[] = {"/usr/bin/",   "/usr/sbin/", "/usr/lib", "/usr/games/",
                                          "/usr/share/", "/bin/",      "/sbin/",   "/lib"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        if (strncmp(path, folders[i], strlen(folders[i])) == 0) {
            return true;
        }
    }
    return false;
}

static const char *fix_of_names(const struct doctor_list *list, const struct diagnose_image *image)
{
    if (strcmp(image->path, "[kernel]") == 0) {
        return "sudo sysctl kernel.kptr_restrict=0";
    }
    if (is_file(image) && is_packaged(image->path)) {
        return arena_printf(list->arena,
                            "install its debug symbols (Debian: find-dbgsym-packages %s, of "
                            "debian-goodies, names them), or set DEBUGINFOD_URLS before "
                            "stax-server starts",
                            image->path);
    }
    if (is_file(image)) {
        return "leave its symbols in (no strip, no -s), put its debug file below /usr/lib/debug, "
               "or set DEBUGINFOD_URLS before stax-server starts";
    }
    return "start the program with its option for profilers: node --perf-prof, java with its "
           "perf agent, python3 -X perf";
}

static void examine_names(struct doctor_list *list, const struct diagnose_image *image)
{
    bool has_failed = strncmp(image->state, "failed", strlen("failed")) == 0;
    double named_pct = pct(image->samples_named, image->samples);
    bool is_fine = named_pct >= NAMED_WARN_PCT && !has_failed;
    if (!is_fine && !is_file(image) && strcmp(image->path, "[kernel]") != 0) {
        doctor_add(list, "symbols", image->path, DOCTOR_STATE_WARN, fix_of_names(list, image),
                   "%.1f %% of %" PRIu64 " samples have names: the program made this code, and "
                   "tells too little of it",
                   named_pct, image->samples);
        return;
    }
    doctor_add(list, "symbols", image->path, is_fine ? DOCTOR_STATE_OK : DOCTOR_STATE_WARN,
               is_fine ? NULL : fix_of_names(list, image),
               "%.1f %% of %" PRIu64 " samples have names, from %s (%s)", named_pct, image->samples,
               image->symbols ? image->symbols : "nowhere", image->state);
}

void doctor_examine_run(struct doctor_list *list, const struct diagnose_result *diagnose)
{
    list->result.run = diagnose->run.id;
    examine_losses(list, diagnose);
    if (diagnose->stacks.total == 0) {
        doctor_add(list, "run", "samples", DOCTOR_STATE_WARN, "stax record -l 10 -- COMMAND",
                   "none: the target used no CPU, or too little");
        return;
    }
    uint64_t n_samples = 0;
    for (size_t i = 0; i < diagnose->n_images; i++) {
        n_samples += diagnose->images[i].samples;
    }
    doctor_add(list, "run", "samples", DOCTOR_STATE_OK, NULL, "%" PRIu64, diagnose->stacks.total);
    if (diagnose->unwind.enabled) {
        examine_stacks(list, diagnose);
        examine_tables(list, diagnose, n_samples);
    } else {
        examine_frame_pointers(list, &diagnose->stacks);
    }
    for (size_t i = 0; i < diagnose->n_images; i++) {
        const struct diagnose_image *image = &diagnose->images[i];
        if (image->path && image->samples > 0 && is_busy(diagnose, n_samples, image->path)) {
            examine_names(list, image);
        }
    }
}
