/* SPDX-License-Identifier: MIT */
#include "inject/itt_functions.h"

#include <string.h>

#include "inject/dialect.h"

#define FUNCTIONS_MAX 4096 /* of a program's list; there are some 130 */
#define PREFIX "__itt_"

struct own_function {
    const char *name; /* behind PREFIX */
    void (*function)(void);
};

#define OWN(called)                                                                                \
    {                                                                                              \
        .name = #called, .function = (void (*)(void))itt_##called                                  \
    }

static const struct own_function own_functions[] = {
    OWN(domain_create),
    OWN(string_handle_create),
    OWN(api_version),
    OWN(pause),
    OWN(resume),
    OWN(detach),
    OWN(thread_set_name),
    OWN(thr_name_set),
    OWN(thread_ignore),
    OWN(id_create),
    OWN(id_destroy),
    OWN(get_timestamp),
    OWN(event_create),
    OWN(event_start),
    OWN(event_end),
    OWN(counter_create),
    OWN(counter_create_typed),
    OWN(counter_destroy),
    OWN(counter_inc),
    OWN(counter_inc_delta),
    OWN(counter_dec),
    OWN(counter_dec_delta),
    OWN(counter_set_value),
    OWN(counter_set_value_ex),
    OWN(counter_inc_v3),
    OWN(counter_inc_delta_v3),
    OWN(counter_dec_v3),
    OWN(counter_dec_delta_v3),
    OWN(task_begin),
    OWN(task_begin_fn),
    OWN(task_end),
    OWN(task_begin_ex),
    OWN(task_begin_fn_ex),
    OWN(task_end_ex),
    OWN(task_group),
    OWN(task_begin_overlapped),
    OWN(task_end_overlapped),
    OWN(task_begin_overlapped_ex),
    OWN(task_end_overlapped_ex),
    OWN(region_begin),
    OWN(region_end),
    OWN(marker),
    OWN(marker_ex),
    OWN(metadata_add),
    OWN(metadata_str_add),
    OWN(frame_begin_v3),
    OWN(frame_end_v3),
    OWN(frame_submit_v3),
    OWN(frame_create),
    OWN(frame_begin),
    OWN(frame_end),
};

static const struct own_function *find_own(const char *name)
{
    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0) {
        return NULL;
    }
    const char *rest = name + strlen(PREFIX);
    for (size_t i = 0; i < sizeof(own_functions) / sizeof(own_functions[0]); i++) {
        if (strcmp(own_functions[i].name, rest) == 0) {
            return &own_functions[i];
        }
    }
    return NULL;
}

static void fill(const struct itt_function *function)
{
    const struct own_function *own = find_own(function->name);
    if (own) {
        /* A place holds a function's address as data. */
        memcpy(function->place, &own->function, sizeof(own->function));
    } else {
        *function->place = function->none;
    }
}

/*
 * Called with the program's lock held, before any other function but those that
 * create objects: what these have made without a library is of the same layout.
 * All places must be written: the others would ask for a library again.
 */
void itt_api_init(struct itt_global *global, int groups)
{
    (void)groups; /* what nobody calls costs nothing */
    static const unsigned char magic[] = ITT_MAGIC;
    if (!global || memcmp(global->magic, magic, sizeof(magic)) != 0 ||
        global->version_major != ITT_VERSION_MAJOR || global->version_build < ITT_BUILD_MIN ||
        !global->functions) {
        return; /* of a layout that is not known: nothing is touched */
    }
    dialect_start(ITT_DEFAULT_DOMAIN);
    for (size_t i = 0; i < FUNCTIONS_MAX && global->functions[i].name; i++) {
        if (global->functions[i].place) {
            fill(&global->functions[i]);
        }
    }
}

const char *itt_api_version(void)
{
    return "3.0 stax " STAX_VERSION;
}

/* What is recorded is told by `stax record`, not by the program. */
void itt_pause(void)
{
}

void itt_resume(void)
{
}

void itt_detach(void)
{
}
