/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/authorize.h"

#define ALICE 1000u
#define BOB 1001u
#define ALL_CAPABILITIES UINT64_C(0x1ffffffffff)

#define IDS(real, effective, saved, of_files)                                                      \
    {                                                                                              \
        real, effective, saved, of_files                                                           \
    }

/* Each row says what is different from her own. */
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Woverride-init"
#pragma GCC diagnostic ignored "-Winitializer-overrides"

static const struct {
    const char *what;
    struct caller caller;
    struct target_facts facts;
    enum broker_refusal expected;
} rows[] = {
#define OWN                                                                                        \
    .uids = IDS(ALICE, ALICE, ALICE, ALICE), .gids = IDS(ALICE, ALICE, ALICE, ALICE),              \
    .is_dumpable = true, .kernel_agrees = true
#define AS_ALICE                                                                                   \
    {                                                                                              \
        .uid = ALICE, .gid = ALICE                                                                 \
    }
    {"her own", AS_ALICE, {OWN}, BROKER_GRANTED},
    {"another's", AS_ALICE, {OWN, .uids = IDS(BOB, BOB, BOB, BOB)}, BROKER_REFUSED_UID},
    {"root's", AS_ALICE, {OWN, .uids = IDS(0, 0, 0, 0)}, BROKER_REFUSED_UID},
    {"setuid", AS_ALICE, {OWN, .uids = IDS(ALICE, 0, 0, 0)}, BROKER_REFUSED_UID},
    {"setuid of bob's", AS_ALICE, {OWN, .uids = IDS(ALICE, BOB, BOB, BOB)}, BROKER_REFUSED_UID},
    {"may go back to root",
     AS_ALICE,
     {OWN, .uids = IDS(ALICE, ALICE, 0, ALICE)},
     BROKER_REFUSED_UID},
    {"is hers for a while", AS_ALICE, {OWN, .uids = IDS(0, ALICE, 0, ALICE)}, BROKER_REFUSED_UID},
    {"opens files as root",
     AS_ALICE,
     {OWN, .uids = IDS(ALICE, ALICE, ALICE, 0)},
     BROKER_REFUSED_UID},
    {"setgid", AS_ALICE, {OWN, .gids = IDS(ALICE, 42, 42, 42)}, BROKER_REFUSED_GID},
    {"saved group", AS_ALICE, {OWN, .gids = IDS(ALICE, ALICE, 42, ALICE)}, BROKER_REFUSED_GID},
    {"other group", AS_ALICE, {OWN, .gids = IDS(42, 42, 42, 42)}, BROKER_REFUSED_GID},
    {"one capability", AS_ALICE, {OWN, .permitted = 1u << 13}, BROKER_REFUSED_CAPABILITIES},
    {"all of them", AS_ALICE, {OWN, .permitted = ALL_CAPABILITIES}, BROKER_REFUSED_CAPABILITIES},
    {"not dumpable", AS_ALICE, {OWN, .is_dumpable = false}, BROKER_REFUSED_NOT_DUMPABLE},
    {"the kernel knows better", AS_ALICE, {OWN, .kernel_agrees = false}, BROKER_REFUSED_BY_KERNEL},
    {"nothing is known of it", AS_ALICE, {.is_dumpable = false}, BROKER_REFUSED_UID},
    /* Root is anybody, unless it may observe all. */
    {"root without the capability", {.uid = 0, .gid = 0}, {OWN}, BROKER_REFUSED_UID},
    {"root of a container",
     {.uid = 0, .gid = 0},
     {.uids = IDS(0, 0, 0, 0),
      .gids = IDS(0, 0, 0, 0),
      .permitted = ALL_CAPABILITIES,
      .is_dumpable = true,
      .kernel_agrees = true},
     BROKER_REFUSED_CAPABILITIES},
    {"root",
     {.uid = 0, .gid = 0, .may_observe_all = true},
     {.uids = IDS(BOB, BOB, BOB, BOB), .permitted = ALL_CAPABILITIES},
     BROKER_GRANTED},
};

static void the_ptrace_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum broker_refusal found = authorize(&rows[i].caller, &rows[i].facts);
        if (found != rows[i].expected) {
            fail_msg("%s: %s, not %s", rows[i].what, broker_refusal_name(found),
                     broker_refusal_name(rows[i].expected));
        }
        assert_int_equal(found, rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ptrace_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
