/* SPDX-License-Identifier: MIT */
#include "interchange/export_strings.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 256u

void export_strings_init(struct export_strings *strings)
{
    *strings = (struct export_strings){0};
    hash_table_init(&strings->numbers);
    export_strings_number(strings, "");
}

void export_strings_release(struct export_strings *strings)
{
    hash_table_release(&strings->numbers);
    free(strings->strings);
    strings->strings = NULL;
}

static bool is_same(uint32_t number, const void *wanted, const void *userdata)
{
    const struct export_strings *strings = userdata;
    return strcmp(strings->strings[number], wanted) == 0;
}

uint32_t export_strings_number(struct export_strings *strings, const char *string)
{
    const char *wanted = string ? string : "";
    uint64_t hash = hash_bytes(wanted, strlen(wanted));
    uint32_t number = hash_table_find_equal(&strings->numbers, hash, is_same, wanted, strings);
    if (number != HASH_TABLE_NONE) {
        return number;
    }
    if (strings->n_strings == strings->n_room) {
        uint32_t n_room = strings->n_room ? 2 * strings->n_room : FIRST_ROOM;
        const char **grown = reallocarray(strings->strings, n_room, sizeof(*grown));
        if (!grown) {
            strings->is_cut = true;
            return 0;
        }
        strings->strings = grown;
        strings->n_room = n_room;
    }
    if (hash_table_add(&strings->numbers, hash, strings->n_strings) != 0) {
        strings->is_cut = true;
        return 0;
    }
    strings->strings[strings->n_strings] = wanted;
    return strings->n_strings++;
}
