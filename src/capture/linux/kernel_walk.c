/* SPDX-License-Identifier: MIT */
#include "capture/linux/kernel_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "sources/bpf/walk_maps.h"
#include "sources/bpf_call.h"
#include "sources/kernel_programs.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof(*(array)))

/* Stands for a slot: it has been tried to send the table, in vain. */
#define NO_SLOT WALK_MAX_TABLES

_Static_assert(CFI_PAGE_BYTES == 1u << WALK_PAGE_SHIFT, "both sides count pages alike");

struct kernel_walk {
    int maps[WALK_MAP_N]; /* WALK_MAP_OUTPUTS is borrowed */
    int sample_fd;
    struct walk_control *control; /* the map's memory: the programs see each store */
    uint32_t bank;
    struct hash_table slots; /* address of a struct cfi_table → slot or NO_SLOT */
    uint32_t n_tables, n_tables_sent;
    struct {
        uint32_t fds[WALK_MAX_TABLES];
        const struct cfi_table *tables[WALK_MAX_TABLES];
    } unsent;
    struct walk_range *ranges; /* WALK_MAX_RANGES, being filled */
};

static int make_table(uint32_t n_words)
{
    return bpf_make_map("stax_rows", BPF_MAP_TYPE_ARRAY, 8, n_words,
                        BPF_F_INNER_MAP | BPF_F_MMAPABLE);
}

/* A map of maps is made from an example of what it will hold. */
static int make_map_of_tables(void)
{
    _cleanup_(fd_closep) int example = make_table(1);
    if (example < 0) {
        return example;
    }
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS;
    attr.key_size = sizeof(uint32_t);
    attr.value_size = sizeof(uint32_t);
    attr.max_entries = WALK_MAX_TABLES;
    attr.inner_map_fd = (uint32_t)example;
    return bpf_call(BPF_MAP_CREATE, &attr);
}

/* Values 0 … count-1 in one call. */
static int update_many(int map_fd, const void *values, uint32_t first, uint32_t count)
{
    if (count == 0) {
        return 0;
    }
    _cleanup_(freep) uint32_t *keys = malloc(count * sizeof(*keys));
    if (!keys) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = first + i;
    }
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.batch.map_fd = (uint32_t)map_fd;
    attr.batch.keys = (uint64_t)(uintptr_t)keys;
    attr.batch.values = (uint64_t)(uintptr_t)values;
    attr.batch.count = count;
    return bpf_call(BPF_MAP_UPDATE_BATCH, &attr);
}

static int make_maps(struct kernel_walk *walk, uint32_t n_cpus)
{
    const struct {
        enum walk_map map;
        const char *name;
        uint32_t value_bytes, count, flags;
    } shapes[] = {
        {WALK_MAP_CONTROL, "stax_control", sizeof(struct walk_control), 1, BPF_F_MMAPABLE},
        {WALK_MAP_RANGES, "stax_ranges", sizeof(struct walk_range), 2 * WALK_MAX_RANGES, 0},
        /* One per CPU; the kernel's own per-CPU maps hold no values of this size. */
        {WALK_MAP_SCRATCH, "stax_scratch", WALK_SCRATCH_BYTES, n_cpus, 0},
    };
    for (size_t i = 0; i < N_ELEMENTS(shapes); i++) {
        int fd = bpf_make_map(shapes[i].name, BPF_MAP_TYPE_ARRAY, shapes[i].value_bytes,
                              shapes[i].count, shapes[i].flags);
        if (fd < 0) {
            return fd;
        }
        walk->maps[shapes[i].map] = fd;
    }
    walk->maps[WALK_MAP_TABLES] = make_map_of_tables();
    return walk->maps[WALK_MAP_TABLES] < 0 ? walk->maps[WALK_MAP_TABLES] : 0;
}

static size_t control_bytes(void)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    return (sizeof(struct walk_control) + page_bytes - 1) / page_bytes * page_bytes;
}

void kernel_walk_aim(struct kernel_walk *walk, const struct kernel_walk_config *config)
{
    *walk->control = (struct walk_control){
        .pid = (uint32_t)config->pid,
        .no_kernel = config->no_kernel,
        .max_stack_bytes = config->max_stack_bytes,
    };
}

static int open_control(struct kernel_walk *walk, const struct kernel_walk_config *config)
{
    void *memory = mmap(NULL, control_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
                        walk->maps[WALK_MAP_CONTROL], 0);
    if (memory == MAP_FAILED) {
        return -errno;
    }
    walk->control = memory;
    kernel_walk_aim(walk, config);
    return 0;
}

int kernel_walk_new(const struct kernel_walk_config *config, struct kernel_walk **ret_walk,
                    const char **ret_step)
{
    *ret_step = "memory";
    _cleanup_(kernel_walk_freep) struct kernel_walk *walk = calloc(1, sizeof(*walk));
    if (!walk) {
        return -ENOMEM;
    }
    walk->sample_fd = -1;
    for (size_t i = 0; i < WALK_MAP_N; i++) {
        walk->maps[i] = -1;
    }
    hash_table_init(&walk->slots);
    walk->ranges = calloc(WALK_MAX_RANGES, sizeof(*walk->ranges));
    if (!walk->ranges) {
        return -ENOMEM;
    }
    walk->maps[WALK_MAP_OUTPUTS] = config->outputs_fd;
    *ret_step = "maps";
    int r = make_maps(walk, config->n_cpus);
    r = r < 0 ? r : open_control(walk, config);
    if (r < 0) {
        return r;
    }
    *ret_step = "program";
    walk->sample_fd = kernel_program_load(KERNEL_PROGRAM_SAMPLE, walk->maps, NULL);
    if (walk->sample_fd < 0) {
        return walk->sample_fd;
    }
    *ret_walk = TAKE_PTR(walk);
    return 0;
}

struct kernel_walk *kernel_walk_free(struct kernel_walk *walk)
{
    if (walk) {
        walk->maps[WALK_MAP_OUTPUTS] = -1;
        for (size_t i = 0; i < WALK_MAP_N; i++) {
            fd_close(walk->maps[i]);
        }
        fd_close(walk->sample_fd);
        if (walk->control) {
            munmap(walk->control, control_bytes());
        }
        hash_table_release(&walk->slots);
        free(walk->ranges);
        free(walk);
    }
    return NULL;
}

int kernel_walk_map(const struct kernel_walk *walk, enum walk_map map)
{
    return walk->maps[map];
}

int kernel_walk_program(const struct kernel_walk *walk)
{
    return walk->sample_fd;
}

/* Words of the page index: two row numbers each. */
static uint32_t index_words(const struct cfi_table *table)
{
    return (table->n_pages + 2) / 2;
}

/* Copies a table into a map of its own; a descriptor of that, or a negative errno. */
static int copy_table(const struct cfi_table *table)
{
    uint32_t n_index = index_words(table);
    _cleanup_(fd_closep) int fd = make_table(n_index + table->n_rows);
    if (fd < 0) {
        return fd;
    }
    size_t n_bytes = ((size_t)n_index + table->n_rows) * sizeof(uint64_t);
    uint64_t *words = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (words == MAP_FAILED) {
        return -errno;
    }
    memcpy(words, table->pages, ((size_t)table->n_pages + 1) * sizeof(*table->pages));
    memcpy(words + n_index, table->rows, table->n_rows * sizeof(*table->rows));
    munmap(words, n_bytes);
    return TAKE_FD(fd);
}

/* The kernel has not taken the table in this slot: its code is walked outside. */
static void give_up_table(struct kernel_walk *walk, uint32_t slot, uint32_t n_ranges)
{
    for (uint32_t i = 0; i < n_ranges; i++) {
        struct walk_range *range = &walk->ranges[i];
        if (range->state == WALK_RANGE_TABLE && range->table == slot) {
            range->state = WALK_RANGE_PENDING;
        }
    }
}

/*
 * The new tables go into the map of maps in one call: in each the kernel waits
 * until no program runs that began before it (10 to 20 ms).
 */
static void send_tables(struct kernel_walk *walk, uint32_t n_ranges)
{
    uint32_t first = walk->n_tables_sent, n_new = walk->n_tables - first;
    uint32_t *fds = walk->unsent.fds;
    bool are_sent = update_many(walk->maps[WALK_MAP_TABLES], fds, first, n_new) == 0;
    for (uint32_t i = 0; i < n_new; i++) {
        /* Older kernels take one at a time. */
        int r = are_sent ? 0 : bpf_update(walk->maps[WALK_MAP_TABLES], first + i, &fds[i]);
        if (r < 0) {
            log_debug("a table stays outside the kernel: %s", strerror(-r));
            (void)hash_table_set(&walk->slots, (uint64_t)(uintptr_t)walk->unsent.tables[i],
                                 NO_SLOT);
            give_up_table(walk, first + i, n_ranges);
        }
        close((int)fds[i]);
    }
    walk->n_tables_sent = walk->n_tables;
}

/*
 * The slot that a table has in the map of maps or will have when it is sent;
 * false where it cannot be there.
 */
static bool slot_of(struct kernel_walk *walk, const struct cfi_table *table, uint32_t *ret_slot)
{
    uint32_t slot = hash_table_find(&walk->slots, (uint64_t)(uintptr_t)table);
    if (slot != HASH_TABLE_NONE) {
        *ret_slot = slot;
        return slot != NO_SLOT;
    }
    slot = NO_SLOT;
    if (walk->n_tables < WALK_MAX_TABLES && table->machine == CFI_MACHINE_X86_64) {
        int fd = copy_table(table);
        if (fd >= 0) {
            uint32_t at = walk->n_tables - walk->n_tables_sent;
            walk->unsent.fds[at] = (uint32_t)fd;
            walk->unsent.tables[at] = table;
            slot = walk->n_tables++;
        } else {
            log_debug("a table of %u rows stays outside the kernel: %s", table->n_rows,
                      strerror(-fd));
        }
    }
    /* Tables stay as long as the recording, so an address is one table's. */
    (void)hash_table_set(&walk->slots, (uint64_t)(uintptr_t)table, slot);
    *ret_slot = slot;
    return slot != NO_SLOT;
}

static void fill_range(struct kernel_walk *walk, const struct code_range *code,
                       struct walk_range *range)
{
    *range = (struct walk_range){.start_ip = code->start_ip, .end_ip = code->end_ip};
    range->state = code->state == CODE_WITHOUT_TABLE ? WALK_RANGE_NO_TABLE : WALK_RANGE_PENDING;
    if (code->state == CODE_READY && slot_of(walk, code->table, &range->table)) {
        range->state = WALK_RANGE_TABLE;
        range->base_ip = code->bias + code->table->base_addr;
        range->n_pages = code->table->n_pages;
        range->first_row = index_words(code->table);
    }
}

void kernel_walk_set_code(struct kernel_walk *walk, const struct code_map *map)
{
    uint32_t n_ranges = 0;
    if (map->pid != (int64_t)walk->control->pid) {
        return;
    }
    for (size_t i = 0; i < map->n_ranges && n_ranges < WALK_MAX_RANGES; i++) {
        fill_range(walk, &map->ranges[i], &walk->ranges[n_ranges++]);
    }
    send_tables(walk, n_ranges);
    uint32_t bank = !walk->bank;
    int r =
        update_many(walk->maps[WALK_MAP_RANGES], walk->ranges, bank * WALK_MAX_RANGES, n_ranges);
    if (r < 0) {
        log_debug("mappings stay outside the kernel: %s", strerror(-r));
        return;
    }
    walk->bank = bank;
    __atomic_store_n(&walk->control->bank_and_count, (uint64_t)bank << 32 | n_ranges,
                     __ATOMIC_RELEASE);
    __atomic_store_n(&walk->control->generation, map->generation, __ATOMIC_RELEASE);
}
