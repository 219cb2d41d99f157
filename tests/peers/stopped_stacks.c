/* SPDX-License-Identifier: MIT */
/*
 * Stops a process again and again and compares our stack of that moment with
 * the one of libdwfl, which interprets the DWARF of each frame and shares no
 * code with us.
 *
 * usage: stopped_stacks PID MOMENTS [STACK_BYTES]
 *
 * Only so many bytes of the stack are given to our side (default: 65528), as a
 * sample would bring; the rest is read from the process. Prints one line of
 * JSON: moments compared, how many of our stacks are complete, the same as the
 * peer's, cut but right as far as they go, and wrong.
 *
 * What is compared: frame by frame from the inside, as far as both go. A frame
 * where they differ is a wrong one. That one of them goes further is none.
 */
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "images/proc_maps.h"
#include "unwind/unwinder.h"

#define MAX_FRAMES 8192
#define MAX_MAPS_BYTES (16u << 20)
#define MAX_TOLD 5

struct peer_stack {
    size_t n_frames;
    uint64_t ips[MAX_FRAMES];
    bool is_exact[MAX_FRAMES];
};

struct tally {
    uint64_t compared, complete, same, ours_shorter, ours_longer, wrong, frames, wrong_frames;
};

static pid_t target;
static struct unwinder *unwinder;
static struct peer_stack theirs;

static ssize_t read_memory(void *userdata, int64_t pid, uint64_t address, void *buffer,
                           size_t n_bytes)
{
    (void)userdata;
    ssize_t n_read = -1;
    struct iovec local = {.iov_base = buffer, .iov_len = n_bytes};
    while (n_read < 0 && local.iov_len >= 8) {
        struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = local.iov_len};
        n_read = process_vm_readv((pid_t)pid, &local, 1, &remote, 1, 0);
        local.iov_len /= 2;
    }
    return n_read;
}

static void tell_mappings(void)
{
    char path[64];
    char *text = NULL;
    snprintf(path, sizeof(path), "/proc/%d/maps", target);
    if (fd_read_file(path, MAX_MAPS_BYTES, &text, NULL) < 0) {
        return;
    }
    struct proc_maps_line line;
    for (char *rest = text; proc_maps_next(&rest, &line);) {
        if (line.is_executable) {
            struct event event = {
                .kind = EVENT_IMAGE, .pid = target, .tid = target, .image = &line.image};
            (void)unwinder_apply(unwinder, &event, 1, clock_now_ns());
        }
    }
    free(text);
}

static int on_frame(Dwfl_Frame *frame, void *userdata)
{
    (void)userdata;
    Dwarf_Addr ip;
    bool is_activation;
    if (theirs.n_frames == MAX_FRAMES || !dwfl_frame_pc(frame, &ip, &is_activation)) {
        return DWARF_CB_ABORT;
    }
    theirs.ips[theirs.n_frames] = ip;
    theirs.is_exact[theirs.n_frames++] = is_activation;
    return DWARF_CB_OK;
}

/* Not one that asks servers for debug files. */
static int find_no_debug_file(Dwfl_Module *module, void **userdata, const char *name,
                              Dwarf_Addr base, const char *file, const char *link, GElf_Word crc,
                              char **path)
{
    (void)module, (void)userdata, (void)name, (void)base, (void)file, (void)link, (void)crc;
    (void)path;
    return -1;
}

static Dwfl *attach_peer(void)
{
    static const Dwfl_Callbacks callbacks = {
        .find_elf = dwfl_linux_proc_find_elf,
        .find_debuginfo = find_no_debug_file,
    };
    Dwfl *dwfl = dwfl_begin(&callbacks);
    if (!dwfl || dwfl_linux_proc_report(dwfl, target) != 0 ||
        dwfl_report_end(dwfl, NULL, NULL) != 0 || dwfl_linux_proc_attach(dwfl, target, true) != 0) {
        fprintf(stderr, "peer: %s\n", dwfl_errmsg(-1));
        dwfl_end(dwfl);
        return NULL;
    }
    return dwfl;
}

static bool stop_target(void)
{
    int status;
    return ptrace(PTRACE_INTERRUPT, target, NULL, NULL) == 0 &&
           waitpid(target, &status, __WALL) == target && WIFSTOPPED(status);
}

static bool is_return_address_of(uint64_t ours, uint64_t ip, bool is_exact, bool is_innermost)
{
    return ours == ip + (is_exact && !is_innermost ? 1 : 0);
}

static void compare(const struct event *event, struct tally *tally)
{
    const uint64_t *ips = event->stack.ips;
    size_t n_ours = event->stack.n_ips, i = 0;
    while (i < n_ours && i < theirs.n_frames &&
           is_return_address_of(ips[i], theirs.ips[i], theirs.is_exact[i], i == 0)) {
        i++;
    }
    tally->compared++;
    tally->frames += i;
    tally->complete += event->stack.end == EVENT_STACK_END_COMPLETE;
    tally->same += i == n_ours && i == theirs.n_frames;
    tally->ours_shorter += i == n_ours && i < theirs.n_frames;
    tally->ours_longer += i < n_ours && i == theirs.n_frames;
    if (i < n_ours && i < theirs.n_frames) {
        tally->wrong++;
        tally->wrong_frames += (n_ours < theirs.n_frames ? n_ours : theirs.n_frames) - i;
        if (tally->wrong <= MAX_TOLD) {
            fprintf(stderr, "frame %zu of %zu: ours %#" PRIx64 ", theirs %#" PRIx64 " of %zu\n", i,
                    n_ours, ips[i], theirs.ips[i], theirs.n_frames);
            for (size_t k = 0; k < n_ours && k < 40; k++) {
                fprintf(stderr, "  %#" PRIx64 " %#" PRIx64 "\n", ips[k],
                        k < theirs.n_frames ? theirs.ips[k] : 0);
            }
        }
    }
}

static bool take_moment(size_t stack_bytes, struct tally *tally)
{
    static uint8_t stack[LIMIT_STACK_COPY_BYTES];
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, target, NULL, &registers) != 0) {
        return false;
    }
    Dwfl *dwfl = attach_peer();
    if (!dwfl) {
        return false;
    }
    theirs.n_frames = 0;
    (void)dwfl_getthread_frames(dwfl, target, on_frame, NULL);
    dwfl_end(dwfl);
    ssize_t n_bytes = read_memory(NULL, target, registers.rsp, stack, stack_bytes);
    struct event_stack_copy copy = {
        .ip = registers.rip,
        .sp = registers.rsp,
        .fp = registers.rbp,
        .bytes = stack,
        .n_bytes = n_bytes > 0 ? (uint32_t)n_bytes : 0,
        .is_innermost = true,
        .is_after_syscall = (int64_t)registers.orig_rax >= 0,
    };
    struct event event = {.kind = EVENT_SAMPLE, .pid = target, .tid = target};
    event.time_ns = clock_now_ns();
    event.stack.copy = &copy;
    unwinder_begin(unwinder);
    while (unwinder_apply(unwinder, &event, 1, clock_now_ns()) == 0) {
        usleep(500);
    }
    compare(&event, tally);
    return true;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: stopped_stacks PID MOMENTS [STACK_BYTES]\n", stderr);
        return 2;
    }
    target = (pid_t)strtol(argv[1], NULL, 10);
    uint64_t n_moments = strtoul(argv[2], NULL, 10);
    size_t stack_bytes = argc > 3 ? strtoul(argv[3], NULL, 10) : LIMIT_STACK_COPY_BYTES;
    if (stack_bytes > LIMIT_STACK_COPY_BYTES) {
        stack_bytes = LIMIT_STACK_COPY_BYTES;
    }
    struct cfi_store *store;
    struct tally tally = {0};
    if (cfi_store_new(&store) != 0 ||
        unwinder_new(&(struct unwinder_config){.store = store, .read_memory = read_memory},
                     &unwinder) != 0 ||
        ptrace(PTRACE_SEIZE, target, NULL, NULL) != 0) {
        fprintf(stderr, "cannot begin: %s\n", strerror(errno));
        return 1;
    }
    for (uint64_t i = 0; i < n_moments; i++) {
        const struct timespec pause = {.tv_nsec = 200000 + (long)(i * 7919 % 900) * 1000};
        nanosleep(&pause, NULL);
        if (!stop_target()) {
            break;
        }
        if (i % 200 == 0) {
            tell_mappings();
        }
        bool was_taken = take_moment(stack_bytes, &tally);
        ptrace(PTRACE_CONT, target, NULL, NULL);
        if (!was_taken) {
            break;
        }
    }
    printf("{\"compared\": %" PRIu64 ", \"complete\": %" PRIu64 ", \"same\": %" PRIu64
           ", \"ours_shorter\": %" PRIu64 ", \"ours_longer\": %" PRIu64 ", \"wrong\": %" PRIu64
           ", \"frames\": %" PRIu64 ", \"wrong_frames\": %" PRIu64 "}\n",
           tally.compared, tally.complete, tally.same, tally.ours_shorter, tally.ours_longer,
           tally.wrong, tally.frames, tally.wrong_frames);
    unwinder_free(unwinder);
    cfi_store_free(store);
    return 0;
}
