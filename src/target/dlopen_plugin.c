/* SPDX-License-Identifier: MIT */

/* A plugin that the library is linked into: nothing but dlopen_test.c's calls hold it. */

int target_plugin_is_one(void);

int target_plugin_is_one(void)
{
    return 1;
}
