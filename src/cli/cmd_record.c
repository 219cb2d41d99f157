/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdint.h>

#include "cli/complain.h"
#include "cli/record.h"
#include "model/limits.h"
#include "rpc/socket_path.h"

#define PID_LIMIT (1 << 22) /* PID_MAX_LIMIT of a 64-bit kernel */

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
    };
    int code =
        has_command ? record_launch(&recording, invocation->operands) : record_attach(&recording);
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
                "  stax record --pid 4711 -l 2.5\n",
    .run = run_record,
};
