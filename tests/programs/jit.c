/* SPDX-License-Identifier: MIT */

/*
 * jit - writes machine code while it runs, and burns 70 and 30 % of its time in it
 *
 * Two functions, jit_work_70 and jit_work_30, each called by a made function
 * of its own (jit_call_70, jit_call_30). --reuse: half-way other functions,
 * jit_later_70 and jit_later_30, are written over them. --move: half-way
 * jit_work_70 goes elsewhere, and jit_squatter burns half of the 30 % in the
 * memory that it left. --no-frame-pointers: the code uses rbp for numbers, and
 * --unwind tells how to leave it all the same.
 *
 * Truth: CPU time by the thread's own clock, per function. --seconds are of CPU
 * time, so that a busy machine changes no share; PATIENCE times as long at most.
 */

#include <getopt.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "burn.h"
#include "jit_write.h"
#include "truth.h"

#ifndef __x86_64__
int main(void)
{
    fputs("jit: the code that it writes is for x86-64\n", stderr);
    return 77;
}
#else

#define AREA_BYTES ((size_t)65536)
#define SLOT_BYTES 256u
#define TURN_NS (2 * NS_PER_MS)
#define PATIENCE 8

enum function { WORK_70, WORK_30, LATER_70, LATER_30, SQUATTER, FUNCTION_N };

static const char *const names[FUNCTION_N] = {"jit_work_70", "jit_work_30", "jit_later_70",
                                              "jit_later_30", "jit_squatter"};

static struct {
    double seconds;
    const char *out, *folder;
    bool has_dump, has_map, is_buffered, no_marker, reuses, moves, no_frame_pointers, has_unwind,
        has_lines, keeps_files;
} options = {.seconds = 4, .folder = "."};

static const char usage[] =
    "jit [--seconds S] [--dump] [--map] [--folder DIR] [--buffered] [--no-marker] [--reuse] "
    "[--move] [--no-frame-pointers] [--unwind] [--lines] [--keep-files] [--out FILE]";

/* A worker and the function that calls it. */
struct pair {
    uint8_t *work, *call;
    struct jit_told work_told, call_told;
    uint8_t work_eh_frame[128], call_eh_frame[128];
};

static struct jit_writer writer;
static uint64_t next_index;
static uint64_t cpu_ns[FUNCTION_N];
static double iterations_per_ns;

struct assembly {
    uint8_t *at;
};

static void emit(struct assembly *code, const void *bytes, size_t n_bytes)
{
    memcpy(code->at, bytes, n_bytes);
    code->at += n_bytes;
}

#define EMIT(code, ...)                                                                            \
    emit((code), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Offsets at which the stack pointer or rbp changes, for the unwind records. */
struct shape {
    uint8_t pushed, reserved, released, popped;
};

static void emit_prologue(struct assembly *code, const uint8_t *start, struct shape *shape)
{
    EMIT(code, 0x55); /* push rbp */
    shape->pushed = (uint8_t)(code->at - start);
    if (options.no_frame_pointers) {
        EMIT(code, 0x48, 0x83, 0xec, 0x20); /* sub rsp, 32 */
        shape->reserved = (uint8_t)(code->at - start);
        EMIT(code, 0xbd, 0x11, 0, 0, 0); /* mov ebp, 17 */
    } else {
        EMIT(code, 0x48, 0x89, 0xe5); /* mov rbp, rsp */
        shape->reserved = (uint8_t)(code->at - start);
    }
}

static void emit_epilogue(struct assembly *code, const uint8_t *start, struct shape *shape)
{
    if (options.no_frame_pointers) {
        EMIT(code, 0x48, 0x83, 0xc4, 0x20); /* add rsp, 32 */
    }
    shape->released = (uint8_t)(code->at - start);
    EMIT(code, 0x5d); /* pop rbp */
    shape->popped = (uint8_t)(code->at - start);
    EMIT(code, 0xc3); /* ret */
}

static size_t emit_work(uint8_t *start, uint32_t factor, struct shape *shape, uint32_t *offsets)
{
    struct assembly code = {start};
    offsets[0] = 0;
    emit_prologue(&code, start, shape);
    EMIT(&code, 0xb8, 7, 0, 0, 0); /* mov eax, 7 */
    offsets[1] = (uint32_t)(code.at - start);
    const uint8_t *loop = code.at;
    EMIT(&code, 0x48, 0x69, 0xc0); /* imul rax, rax, factor */
    emit(&code, &factor, sizeof factor);
    EMIT(&code, 0x48, 0x83, 0xc0, 0x01);                /* add rax, 1 */
    EMIT(&code, 0x48, 0xff, 0xcf);                      /* dec rdi */
    EMIT(&code, 0x75, (uint8_t)(loop - (code.at + 2))); /* jne loop */
    offsets[2] = (uint32_t)(code.at - start);
    emit_epilogue(&code, start, shape);
    return (size_t)(code.at - start);
}

static size_t emit_call(uint8_t *start, const uint8_t *target, struct shape *shape)
{
    struct assembly code = {start};
    const uint64_t address = (uintptr_t)target;
    emit_prologue(&code, start, shape);
    EMIT(&code, 0x48, 0xb8); /* mov rax, target */
    emit(&code, &address, sizeof address);
    EMIT(&code, 0xff, 0xd0); /* call rax */
    emit_epilogue(&code, start, shape);
    return (size_t)(code.at - start);
}

/* Call frame information in the form of .eh_frame, as if it stood right behind the code. */
static size_t write_eh_frame(uint8_t *start, size_t n_code_bytes, const struct shape *shape)
{
    static const uint8_t common[] = {
        0x14, 0, 0, 0,    0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, /* version … encoding */
        0x0c, 7, 8, 0x90, 1, 0, 0}; /* CFA = rsp + 8, ip at CFA - 8 */
    struct assembly code = {start};
    emit(&code, common, sizeof common);
    const size_t fde = (size_t)(code.at - start);
    const int32_t to_code = -(int32_t)(((n_code_bytes + 7) & ~(size_t)7) + fde + 8);
    const uint32_t n_bytes = (uint32_t)n_code_bytes, to_common = (uint32_t)fde + 4;
    EMIT(&code, 0, 0, 0, 0); /* its length, below */
    emit(&code, &to_common, 4);
    emit(&code, &to_code, 4);
    emit(&code, &n_bytes, 4);
    EMIT(&code, 0);                                                  /* no augmentation */
    EMIT(&code, (uint8_t)(0x40 | shape->pushed), 0x0e, 16, 0x86, 2); /* CFA +16, rbp at CFA - 16 */
    if (options.no_frame_pointers) {
        EMIT(&code, (uint8_t)(0x40 | (shape->reserved - shape->pushed)), 0x0e, 48);
        EMIT(&code, 0x02, (uint8_t)(shape->released - shape->reserved), 0x0e, 16);
    } else {
        EMIT(&code, (uint8_t)(0x40 | (shape->reserved - shape->pushed)), 0x0d, 6); /* by rbp */
        EMIT(&code, 0x02, (uint8_t)(shape->released - shape->reserved));
    }
    EMIT(&code, 0x41, 0x0c, 7, 8, 0xc6); /* after the pop: CFA = rsp + 8, rbp restored */
    while ((size_t)(code.at - start - fde) % 8 != 4) {
        EMIT(&code, 0);
    }
    const uint32_t length = (uint32_t)((size_t)(code.at - start) - fde - 4);
    memcpy(start + fde, &length, 4);
    EMIT(&code, 0, 0, 0, 0);
    return (size_t)(code.at - start);
}

static void tell(struct jit_told *told, const char *name, const uint8_t *code, size_t n_bytes,
                 uint8_t *eh_frame, const struct shape *shape)
{
    *told =
        (struct jit_told){.name = name, .code = code, .n_bytes = n_bytes, .index = ++next_index};
    if (options.has_unwind) {
        told->eh_frame = eh_frame;
        told->n_eh_frame_bytes = write_eh_frame(eh_frame, n_bytes, shape);
    }
}

/* Writes both functions at `area`, and tells of them. */
static void make(struct pair *pair, enum function function, uint8_t *area)
{
    static const char *const callers[FUNCTION_N] = {"jit_call_70", "jit_call_30", "jit_call_70",
                                                    "jit_call_30", "jit_call_squatter"};
    static const uint32_t lines[] = {10, 20, 30};
    static uint32_t offsets[FUNCTION_N][3];
    struct shape shape;
    pair->work = area;
    size_t n_bytes = emit_work(area, 0x10dcd + 2 * function, &shape, offsets[function]);
    tell(&pair->work_told, names[function], area, n_bytes, pair->work_eh_frame, &shape);
    if (options.has_lines) {
        pair->work_told.file = "made_70_30.src";
        pair->work_told.lines = lines;
        pair->work_told.line_offsets = offsets[function];
        pair->work_told.n_lines = 3;
    }
    pair->call = area + SLOT_BYTES;
    n_bytes = emit_call(pair->call, pair->work, &shape);
    tell(&pair->call_told, callers[function], pair->call, n_bytes, pair->call_eh_frame, &shape);
    jit_write_code(&writer, &pair->work_told);
    jit_write_code(&writer, &pair->call_told);
}

__attribute__((noinline)) static uint64_t run(const struct pair *pair, uint64_t wanted_ns)
{
    void (*call)(uint64_t n_iterations);
    const uint64_t n = (uint64_t)((double)wanted_ns * iterations_per_ns) + 1;
    const uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    memcpy(&call, &pair->call, sizeof call);
    call(n);
    const uint64_t used_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
    iterations_per_ns += 0.1 * ((double)n / (double)used_ns - iterations_per_ns);
    return used_ns;
}

/* How much CPU time, and of the time that may pass a part. */
static uint64_t time_used_ns(void)
{
    static uint64_t start_ns;
    const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    start_ns = start_ns ? start_ns : now_ns;
    const uint64_t waited_ns = (now_ns - start_ns) / PATIENCE;
    const uint64_t cpu_used_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    return cpu_used_ns > waited_ns ? cpu_used_ns : waited_ns;
}

/* Turns of random length, whose sums keep to the shares. */
static void deal(const struct pair *pairs, const enum function *functions, const double *shares,
                 size_t n_pairs, uint64_t until_ns)
{
    static uint64_t seed = 88172645463325252u;
    uint64_t used_ns[3] = {0}, all_ns = 1;
    while (time_used_ns() < until_ns) {
        size_t behind = 0;
        double most = -1e18;
        for (size_t i = 0; i < n_pairs; i++) {
            const double debt = shares[i] * (double)all_ns - (double)used_ns[i];
            behind = debt > most ? i : behind;
            most = debt > most ? debt : most;
        }
        const uint64_t turn_ns = TURN_NS / 2 + random_next(&seed) % TURN_NS;
        const uint64_t took_ns = run(&pairs[behind], turn_ns);
        used_ns[behind] += took_ns;
        all_ns += took_ns;
        cpu_ns[functions[behind]] += took_ns;
    }
}

static void move_work(struct pair *pair, uint8_t *to)
{
    struct shape shape;
    memcpy(to, pair->work, pair->work_told.n_bytes);
    jit_write_move(&writer, &pair->work_told, to);
    pair->work = to;
    /* Its caller calls the new place from now on. */
    emit_call(pair->call, pair->work, &shape);
}

static void burn(uint8_t *area)
{
    struct pair pairs[3];
    enum function functions[3] = {WORK_70, WORK_30, SQUATTER};
    double shares[3] = {0.7, 0.3, 0};
    size_t n_pairs = 2;
    const uint64_t start_ns = time_used_ns();
    const uint64_t run_ns = (uint64_t)(options.seconds * 1e9);
    iterations_per_ns = (double)burn_calibrate() / 1e6 / 2;
    make(&pairs[0], WORK_70, area);
    make(&pairs[1], WORK_30, area + 2 * SLOT_BYTES);
    deal(pairs, functions, shares, n_pairs, start_ns + run_ns / 2);
    if (options.reuses) {
        functions[0] = LATER_70;
        functions[1] = LATER_30;
        make(&pairs[0], LATER_70, area);
        make(&pairs[1], LATER_30, area + 2 * SLOT_BYTES);
    }
    if (options.moves) {
        move_work(&pairs[0], area + 16 * SLOT_BYTES);
        /* Only its worker stands where jit_work_70 stood. */
        struct shape shape;
        uint32_t offsets[3];
        const size_t n_bytes = emit_work(area, 0x10dff, &shape, offsets);
        pairs[2].work = area;
        tell(&pairs[2].work_told, names[SQUATTER], area, n_bytes, pairs[2].work_eh_frame, &shape);
        pairs[2].call = area + 20 * SLOT_BYTES;
        const size_t n_call_bytes = emit_call(pairs[2].call, area, &shape);
        tell(&pairs[2].call_told, "jit_call_squatter", pairs[2].call, n_call_bytes,
             pairs[2].call_eh_frame, &shape);
        jit_write_code(&writer, &pairs[2].work_told);
        jit_write_code(&writer, &pairs[2].call_told);
        shares[1] = shares[2] = 0.15;
        n_pairs = 3;
    }
    deal(pairs, functions, shares, n_pairs, start_ns + run_ns);
}

static void tell_truth(void)
{
    uint64_t all_ns = 1;
    for (int i = 0; i < FUNCTION_N; i++) {
        all_ns += cpu_ns[i];
    }
    FILE *truth = truth_open(options.out);
    fprintf(truth, "{\"program\": \"jit\", \"pid\": %d, \"process_cpu_ns\": %lu, \"functions\": {",
            getpid(), clock_ns(CLOCK_PROCESS_CPUTIME_ID));
    for (int i = 0; i < FUNCTION_N; i++) {
        fprintf(truth, "%s\"%s\": {\"cpu_ns\": %lu, \"pct\": %.4f}", i == 0 ? "" : ", ", names[i],
                cpu_ns[i], 100.0 * (double)cpu_ns[i] / (double)all_ns);
    }
    fprintf(truth, "}}");
    truth_close(truth);
}

static void parse_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"seconds", required_argument, NULL, 's'}, {"out", required_argument, NULL, 'o'},
        {"folder", required_argument, NULL, 'f'},  {"dump", no_argument, NULL, 'd'},
        {"map", no_argument, NULL, 'm'},           {"buffered", no_argument, NULL, 'b'},
        {"no-marker", no_argument, NULL, 'k'},     {"reuse", no_argument, NULL, 'r'},
        {"move", no_argument, NULL, 'v'},          {"no-frame-pointers", no_argument, NULL, 'n'},
        {"unwind", no_argument, NULL, 'u'},        {"lines", no_argument, NULL, 'l'},
        {"keep-files", no_argument, NULL, 'K'},    {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 's':
            options.seconds = option_number(optarg, "--seconds");
            break;
        case 'o':
            options.out = optarg;
            break;
        case 'f':
            options.folder = optarg;
            break;
        case '?':
            option_usage(usage);
        }
        options.has_dump |= c == 'd';
        options.has_map |= c == 'm';
        options.is_buffered |= c == 'b';
        options.no_marker |= c == 'k';
        options.reuses |= c == 'r';
        options.moves |= c == 'v';
        options.no_frame_pointers |= c == 'n';
        options.has_unwind |= c == 'u';
        options.has_lines |= c == 'l';
        options.keeps_files |= c == 'K';
    }
    if (optind != argc) {
        option_usage(usage);
    }
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    uint8_t *area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) {
        perror("jit: memory that can be written and run");
        return 1;
    }
    if (jit_write_open(&writer, options.has_dump ? options.folder : NULL, options.has_map,
                       options.is_buffered, !options.no_marker) < 0) {
        perror("jit: a file to tell of the code in");
        return 1;
    }
    burn(area);
    jit_write_close(&writer);
    tell_truth();
    if (!options.keeps_files) {
        sleep(1); /* a profiler that looks once a second sees it all */
        if (options.has_dump) {
            unlink(writer.dump_path);
        }
        if (options.has_map) {
            unlink(writer.map_path);
        }
    }
    return 0;
}
#endif
