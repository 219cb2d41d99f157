/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * banned - calls that have a safer form in base/
 *
 * Included in every file by the build. alloca() belongs here too, but headers of
 * others name it; tools/check-style looks for it.
 *
 * Threads, Owner: does not apply.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A macro in the C library's hardened headers, and a macro cannot be poisoned. */
#undef sprintf

#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok atoi atol atof
