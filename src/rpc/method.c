/* SPDX-License-Identifier: MIT */

#include "rpc/method.h"

#include <string.h>

const struct rpc_method *rpc_method_find(const char *name)
{
    size_t first = 0;
    size_t past = rpc_n_methods;
    while (first < past) {
        size_t middle = first + (past - first) / 2;
        int order = strcmp(name, rpc_methods[middle].name);
        if (order == 0) {
            return &rpc_methods[middle];
        }
        if (order < 0) {
            past = middle;
        } else {
            first = middle + 1;
        }
    }
    return NULL;
}
