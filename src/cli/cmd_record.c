/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/archive_path.h"
#include "cli/complain.h"
#include "cli/record.h"
#include "model/limits.h"
#include "rpc/socket_path.h"

#define PID_LIMIT (1 << 22) /* PID_MAX_LIMIT of a 64-bit kernel */
#define RING_MIN_NS INT64_C(100000000)
#define REPEAT_MAX 100 /* runs of a side that stax compare takes */
#define RUNS_MAX_BYTES (REPEAT_MAX * sizeof(" 4294967295"))

static const struct option_spec what_specs[] = {
    {
        .name = "frequency",
        .letter = 'F',
        .alias = 'r',
        .kind = OPTION_INTEGER,
        .value_name = "HZ",
        .fallback = "900",
        .summary = "samples per second of each running thread",
        .min = 1,
        .max = LIMIT_FREQUENCY_HZ,
        .offset = offsetof(struct record_options, frequency_hz),
    },
    {
        .name = "time-limit",
        .letter = 'l',
        .alias = 'd',
        .kind = OPTION_DURATION,
        .value_name = "SECONDS",
        .summary = "stop then; the target goes on",
        .offset = offsetof(struct record_options, time_limit_ns),
    },
    {
        .name = "pid",
        .letter = 'p',
        .kind = OPTION_INTEGER,
        .value_name = "PID",
        .summary = "attach to this process instead of launching one",
        .min = 1,
        .max = PID_LIMIT,
        .offset = offsetof(struct record_options, pid),
    },
    {
        .name = "children",
        .kind = OPTION_FLAG,
        .summary = "also processes that the target forks",
        .offset = offsetof(struct record_options, follow_children),
    },
    {
        .name = "no-dwarf-unwind",
        .kind = OPTION_FLAG,
        .summary = "stacks by frame pointers only; so does STAX_DWARF_UNWIND=0",
        .offset = offsetof(struct record_options, no_dwarf_unwind),
    },
    {
        .name = "stack-bytes",
        .kind = OPTION_BYTES,
        .value_name = "N",
        .summary = "stack bytes copied per sample, 64 to 64K (default: as many as needed)",
        .offset = offsetof(struct record_options, stack_bytes),
    },
    {
        .name = "counters",
        .kind = OPTION_FLAG,
        .summary = "also the processor's counters: see stax counters",
        .offset = offsetof(struct record_options, counters),
    },
    {
        .name = "no-off-cpu",
        .kind = OPTION_FLAG,
        .summary = "no scheduler events",
        .offset = offsetof(struct record_options, no_off_cpu),
    },
    {
        .name = "no-kernel",
        .kind = OPTION_FLAG,
        .summary = "no kernel frames",
        .offset = offsetof(struct record_options, no_kernel),
    },
    {
        .name = "spans",
        .kind = OPTION_TEXT,
        .value_name = "LIST",
        .summary = "also the ranges that COMMAND tells by: nvtx,itt",
        .offset = offsetof(struct record_options, spans),
    },
    {
        .name = "max-memory",
        .kind = OPTION_BYTES,
        .value_name = "BYTES",
        .fallback = "2G",
        .summary = "bound on what the server keeps of this run",
        .offset = offsetof(struct record_options, max_memory_bytes),
    },
};

static const struct option_spec how_specs[] = {
    {
        .name = "ring",
        .kind = OPTION_DURATION,
        .value_name = "SECONDS",
        .summary = "flight recorder: keep only the last SECONDS, for hours",
        .offset = offsetof(struct record_options, ring_ns),
    },
    {
        .name = "on",
        .kind = OPTION_TEXT_LIST,
        .value_name = "TRIGGER",
        .summary = "freeze them on 'off-cpu>100ms', 'lock>5ms', SIGUSR2",
        .offset = offsetof(struct record_options, on),
    },
    {
        .name = "repeat",
        .kind = OPTION_INTEGER,
        .value_name = "N",
        .fallback = "1",
        .summary = "launch N times, one run each, for stax compare",
        .min = 1,
        .max = REPEAT_MAX,
        .offset = offsetof(struct record_options, repeat),
    },
    {
        .name = "save",
        .kind = OPTION_TEXT,
        .value_name = "PATH",
        .summary = "save the run when it ends; %p pid, %t time, %n program's name",
        .offset = offsetof(struct record_options, save),
    },
    {
        .name = "quiet",
        .letter = 'q',
        .kind = OPTION_FLAG,
        .summary = "no live line, no notes, no summary",
        .offset = offsetof(struct record_options, quiet),
    },
    {
        .name = "no-autostart",
        .kind = OPTION_FLAG,
        .summary = "fail where no stax-server runs; so does STAX_AUTOSTART=0",
        .offset = offsetof(struct record_options, no_autostart),
    },
    {
        .name = "daemon-socket",
        .kind = OPTION_TEXT,
        .value_name = "PATH",
        .summary = "the socket of staxd, where it is not /run/staxd.sock",
        .offset = offsetof(struct record_options, daemon_socket),
    },
};

/* What was recorded so far of several launches. */
struct recorded {
    size_t n_runs;
    run_id runs[REPEAT_MAX];
};

static void note_run(struct recorded *recorded, run_id run)
{
    bool is_new = run != 0 && (recorded->n_runs == 0 || recorded->runs[recorded->n_runs - 1] < run);
    if (is_new && recorded->n_runs < REPEAT_MAX) {
        recorded->runs[recorded->n_runs++] = run;
    }
}

/* "2-6", or "2,3,5" where somebody else's lie between them: as stax compare takes them. */
static void say_runs(const struct recorded *recorded)
{
    size_t n_runs = recorded->n_runs;
    run_id first = recorded->runs[0], last = recorded->runs[n_runs - 1];
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RUNS_MAX_BYTES);
    if (last - first + 1 == n_runs) {
        text_printf(&text, "%" PRIu32 "-%" PRIu32, first, last);
    } else {
        for (size_t i = 0; i < n_runs; i++) {
            text_printf(&text, "%s%" PRIu32, i > 0 ? "," : "", recorded->runs[i]);
        }
    }
    fprintf(stderr, "stax: runs %s; against others: stax compare BASE %s\n", text.data, text.data);
}

static bool is_worth_another(const struct recording *recording, int code)
{
    return !recording->is_told_to_end && code != EXIT_CODE_LAUNCH_FAILED &&
           code != EXIT_CODE_NOT_FOUND && code != EXIT_CODE_NOT_EXECUTABLE &&
           code != EXIT_CODE_SIGNAL_BASE + SIGINT;
}

/*
 * One launch after the other. What one of them returned that was no success is
 * returned; an interrupted one is the last, and one that was told to end.
 */
static int launch_repeatedly(struct recording *recording, char **argv)
{
    int64_t n_runs = recording->options->repeat.value;
    struct recorded recorded = {.n_runs = 0};
    int code = EXIT_CODE_DONE, one = EXIT_CODE_DONE;
    for (int64_t i = 0; i < n_runs && is_worth_another(recording, one); i++) {
        one = record_launch(recording, argv);
        note_run(&recorded, recording->run.id);
        code = one != EXIT_CODE_DONE ? one : code;
    }
    if (recorded.n_runs > 1 && !recording->options->quiet) {
        say_runs(&recorded);
    }
    return code;
}

static int check_save(const struct invocation *invocation, const struct record_options *options)
{
    const struct archive_path_facts one = {.pid = 1, .command = ""},
                                    other = {.pid = 2, .command = ""};
    const char *of_one = archive_path_expand(invocation->arena, options->save, &one);
    const char *of_other = archive_path_expand(invocation->arena, options->save, &other);
    if (!of_one || !of_other) {
        return complain_usage(invocation->command, "--save %s: %%p, %%t, %%n and %%%% are known",
                              options->save);
    }
    if (options->repeat.value > 1 && strcmp(of_one, of_other) == 0) {
        return complain_usage(invocation->command,
                              "--save %s: with --repeat the name needs a %%p, or each run would "
                              "replace the one before",
                              options->save);
    }
    return EXIT_CODE_DONE;
}

static int check_ring(const struct invocation *invocation, const struct record_options *options,
                      struct ring_options *ret_ring)
{
    struct error error = {0};
    if (ring_options_parse(&options->on, invocation->arena, ret_ring, &error) < 0) {
        return complain_usage(invocation->command, "%s", error.message);
    }
    if (options->ring_ns.is_given && options->ring_ns.value < RING_MIN_NS) {
        return complain_usage(invocation->command, "--ring: at least %d ms",
                              (int)(RING_MIN_NS / 1000000));
    }
    if (options->on.n_items > 0 && !options->ring_ns.is_given) {
        return complain_usage(invocation->command,
                              "--on freezes what --ring keeps: how much? --ring 30 --on %s",
                              options->on.items[0]);
    }
    if (ret_ring->n_triggers > 0 && options->no_off_cpu) {
        return complain_usage(invocation->command,
                              "with --no-off-cpu no wait is recorded that --on could look at");
    }
    if (options->ring_ns.is_given && options->repeat.value > 1) {
        return complain_usage(invocation->command, "specify either --ring or --repeat");
    }
    return EXIT_CODE_DONE;
}

static int check_spans(const struct invocation *invocation, const struct record_options *options,
                       struct span_dialects *ret_dialects)
{
    struct error error = {0};
    if (options->pid.is_given) {
        return complain_usage(invocation->command,
                              "--spans needs a command to launch: a program that runs has looked "
                              "for its libraries already");
    }
    int r = span_dialects_parse(options->spans, ret_dialects);
    if (r < 0) {
        return complain_usage(invocation->command, "--spans %s: nvtx and itt are known, as in %s",
                              options->spans, "--spans nvtx,itt");
    }
    if (span_dialects_find(ret_dialects, !options->quiet, &error) < 0) {
        complain_error(&error);
        return EXIT_CODE_LAUNCH_FAILED;
    }
    return EXIT_CODE_DONE;
}

static int run_record(const struct invocation *invocation)
{
    const struct record_options *options = invocation->values;
    bool has_command = invocation->n_operands > 0;
    if (options->pid.is_given && has_command) {
        return complain_usage(invocation->command,
                              "specify either --pid or a command to launch, not both");
    }
    if (!options->pid.is_given && !has_command) {
        return complain_usage(invocation->command, "specify --pid PID or a command to launch");
    }
    if (options->stack_bytes.is_given &&
        (options->stack_bytes.value < LIMIT_STACK_COPY_WISH_MIN_BYTES ||
         options->stack_bytes.value > LIMIT_STACK_COPY_WISH_MAX_BYTES)) {
        return complain_usage(invocation->command, "--stack-bytes: from %d to %dK",
                              LIMIT_STACK_COPY_WISH_MIN_BYTES,
                              LIMIT_STACK_COPY_WISH_MAX_BYTES / 1024);
    }
    if (options->stack_bytes.is_given && options->no_dwarf_unwind) {
        return complain_usage(invocation->command, "with --no-dwarf-unwind no stack is copied: "
                                                   "specify either that or --stack-bytes");
    }
    if (options->repeat.value > 1 && !has_command) {
        return complain_usage(invocation->command, "--repeat launches a command several times");
    }
    int usage = options->save ? check_save(invocation, options) : EXIT_CODE_DONE;
    struct ring_options ring = {0};
    usage = usage != EXIT_CODE_DONE ? usage : check_ring(invocation, options, &ring);
    struct span_dialects dialects = {.n_variables = 0};
    if (options->spans && usage == EXIT_CODE_DONE) {
        usage = check_spans(invocation, options, &dialects);
    }
    if (usage != EXIT_CODE_DONE) {
        return usage;
    }
    char socket_path[PATH_MAX];
    struct error error = {0};
    if (rpc_socket_path(options->server.socket, socket_path, sizeof(socket_path), &error) < 0) {
        complain_error(&error);
        return has_command ? EXIT_CODE_LAUNCH_FAILED : EXIT_CODE_FAILED;
    }
    struct recording recording = {
        .options = options,
        .arena = invocation->arena,
        .socket_path = socket_path,
        .ring = ring,
        .dialects = &dialects,
    };
    int code = has_command ? launch_repeatedly(&recording, invocation->operands)
                           : record_attach(&recording);
    ring_ear_free(recording.ear);
    rpc_client_free(recording.client);
    return code;
}

const struct command command_record = {
    .name = "record",
    .summary = "record a program: launch it, or attach to it",
    .description =
        "Launches COMMAND, or attaches to a process, and records it until it ends, the time limit\n"
        "is over or somebody says stop. Meanwhile all other commands answer.\n\n"
        "A launched target keeps terminal, environment and working directory; stax passes its\n"
        "exit status on (128+N after signal N) and has 125 for its own failure, 126 and 127 for a\n"
        "command that cannot be executed or found. The first Ctrl-C is the target's own, the\n"
        "second stops the recording. Detaching leaves a target unharmed.",
    .operands = "-- COMMAND [ARGUMENT…]  |  --pid PID",
    .max_operands = -1,
    .options =
        {
            .groups =
                {
                    {.title = "What to record", OPTION_SPECS(what_specs)},
                    {.title = "How to go about it", OPTION_SPECS(how_specs)},
                    SERVER_OPTION_GROUP(struct record_options),
                },
            .values_bytes = sizeof(struct record_options),
            .stops_at_operand = true,
        },
    .examples = "  stax record -- ./bench --iterations 100\n"
                "  stax record -F 4000 --time-limit 10 -- python3 slow.py\n"
                "  stax record --pid 4711 -l 2.5\n"
                "  stax record --ring 30 --on 'lock>100ms' --pid 4711\n"
                "  stax record --save %n-%t.stax -- ./bench\n"
                "  stax record --repeat 5 -- ./bench          # then stax compare 1-5 6-10\n"
                "  stax record --spans nvtx,itt -- python3 train.py\n",
    .run = run_record,
};
