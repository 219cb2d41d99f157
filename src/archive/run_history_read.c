/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/restore.h"
#include "archive/history_budget.h"
#include "archive/history_callees.h"
#include "archive/history_gaps.h"
#include "archive/history_members.h"
#include "archive/history_names.h"
#include "archive/history_run.h"
#include "archive/history_spans.h"
#include "archive/history_tables.h"
#include "archive/run_history.h"

/* No archive has as many rows of a kind. */
#define ROWS_MAX (UINT64_C(1) << 34)

struct sink {
    const struct history_members *members;
    const struct aggregate_config *config;
    struct restore *restore;
    struct restore_run run;
    uint64_t n_told[HISTORY_KIND_N]; /* rows that were written */
    struct history_budget budget;
    struct history_names names;
    struct history_callees callees;
    struct history_gaps gaps;
    struct history_spans_reading spans;
    uint32_t next_pair, first_next; /* of samples: see struct history_sample */
    bool has_lost_slices;           /* from here on gaps would be wrong */
    uint32_t n_stacks;              /* so far, without the root */
    uint32_t *stack_callers;        /* by stack: its frame + 1; of the root 0 */
    size_t stack_callers_capacity;
    struct run_history_damage *damage;
    void *rows; /* of one frame */
    enum history_kind kind;
};

/* 0, -EBADMSG, -ENOSPC or -ENOMEM, as of restore.h. */
typedef int (*take_row_cb)(struct sink *sink, const void *row);

/* Memory is going to be taken: 0 or -ENOSPC. */
static int spend(struct sink *sink, uint64_t n_bytes)
{
    return history_budget_spend(&sink->budget, sink->kind, n_bytes);
}

/* ---- the run as a whole, and the names ---- */

static int take_run(struct sink *sink, const void *row)
{
    history_run_take(row, &sink->run, sink->n_told);
    return 0;
}

/* Rows of names are bytes: a frame's are taken all at once. */
static int take_names(struct sink *sink, size_t n_bytes, uint64_t *ret_n_taken)
{
    _Static_assert(sizeof(struct history_name_byte) == 1, "rows that are text as they lie");
    size_t n_names = sink->names.n_names;
    int r = history_names_append(&sink->names, sink->rows, n_bytes);
    r = r ? r : spend(sink, n_bytes + 2 * sizeof(uint32_t) * (sink->names.n_names - n_names));
    *ret_n_taken += r == 0 ? n_bytes : 0;
    return r == -ENOSPC ? -EBADMSG : r;
}

static const char *name_of(const struct sink *sink, uint32_t number)
{
    return history_names_get(&sink->names, number);
}

/* ---- tables ---- */

static void put_part(struct image *image, size_t from, size_t n_bytes, uint64_t part)
{
    for (size_t i = 0; i < n_bytes; i++) {
        image->build_id[from + i] = (uint8_t)(part >> 8 * i);
    }
}

static int take_image(struct sink *sink, const void *row)
{
    const struct history_image *told = row;
    struct image image = {
        .kind = (enum image_kind)told->kind,
        .path = name_of(sink, told->path),
        .inode = told->inode,
        .device_major = told->device_major,
        .device_minor = told->device_minor,
        .build_id_bytes = told->build_id_bytes,
        .pid = (int64_t)told->pid,
        .start_ip = told->start_ip,
        .end_ip = told->end_ip,
        .start_offset = told->start_offset,
    };
    if (image.path[0] == '\0') {
        image.path = "[unknown]"; /* its name was lost */
    }
    put_part(&image, 0, 8, told->build_id_0);
    put_part(&image, 8, 8, told->build_id_8);
    put_part(&image, 16, 4, told->build_id_16);
    int r = spend(sink, strlen(image.path));
    return r ? r : restore_add_image(sink->restore, &image);
}

static int take_code_epoch(struct sink *sink, const void *row)
{
    const struct history_code_epoch *told = row;
    const struct epoch_span span = {
        .pid = (int64_t)told->pid, .from_ns = told->from_ns, .to_ns = told->to_ns};
    return restore_add_code_epoch(sink->restore, &span);
}

static int take_place(struct sink *sink, const void *row)
{
    const struct history_place *told = row;
    return restore_add_named_place(sink->restore, name_of(sink, told->name));
}

static int take_frame(struct sink *sink, const void *row)
{
    const struct history_frame *told = row;
    return restore_add_frame(sink->restore, (struct frame){.image = told->image,
                                                           .code_epoch = told->code_epoch,
                                                           .offset = told->offset});
}

static int take_stack(struct sink *sink, const void *row)
{
    const struct history_stack *told = row;
    uint32_t id = sink->n_stacks + 1, parent = id - told->back;
    if (parent >= id || told->rank > HISTORY_CALLEES_OTHER) {
        return -EBADMSG;
    }
    if (id >= sink->stack_callers_capacity) {
        size_t capacity = 2 * sink->stack_callers_capacity + 4096;
        uint32_t *callers = reallocarray(sink->stack_callers, capacity, sizeof(*callers));
        if (!callers) {
            return -ENOMEM;
        }
        callers[0] = 0;
        sink->stack_callers = callers;
        sink->stack_callers_capacity = capacity;
    }
    const struct history_callee callee = {.rank = told->rank, .away = told->away};
    struct stack_node node = {.parent = parent};
    int r = history_callees_find(&sink->callees, sink->stack_callers[parent], callee, &node.frame);
    r = r ? r : restore_add_stack(sink->restore, node);
    if (r == 0) {
        sink->stack_callers[id] = node.frame + 1;
        sink->n_stacks = id;
    }
    return r;
}

static int take_outsider(struct sink *sink, const void *row)
{
    const struct history_outsider *told = row;
    return restore_add_outsider(
        sink->restore,
        (struct outsider){.tid = (int64_t)told->tid, .name = name_of(sink, told->name)});
}

static int take_wait_object(struct sink *sink, const void *row)
{
    const struct history_wait_object *told = row;
    const struct wait_object object = {
        .pid = (int64_t)told->pid, .syscall = told->syscall, .argument = told->argument};
    return restore_add_wait_object(sink->restore, &object);
}

static int take_thread(struct sink *sink, const void *row)
{
    const struct history_thread *told = row;
    const struct thread_totals totals = {
        .pid = (int64_t)told->pid,
        .tid = (int64_t)told->tid,
        .name = name_of(sink, told->name),
        .phase = (enum thread_phase)told->phase,
        .start_ns = told->start_ns,
        .end_ns = told->end_ns,
        .phase_since_ns = told->phase_since_ns,
        .waited_since_ns = told->phase_since_ns - told->waited_ns,
        .cpu_ns = told->cpu_ns,
        .blocked_ns = told->blocked_ns,
        .runnable_ns = told->runnable_ns,
        .n_samples = told->n_samples,
        .n_voluntary = told->n_voluntary,
        .n_involuntary = told->n_involuntary,
        .period_ns = told->period_ns,
        .creator_tid = (int64_t)told->creator_tid,
        .wait_stack = told->wait_stack,
        .wait_object = told->wait_object,
        .wait_flags = told->wait_flags,
    };
    int r = history_gaps_add_thread(&sink->gaps, told->start_ns);
    return r ? r : restore_add_thread(sink->restore, &totals);
}

/* ---- sums ---- */

static int take_pair(struct sink *sink, const void *row)
{
    const struct history_pair *told = row;
    const struct sample_pair pair = {
        .thread = told->thread,
        .stack = told->highest - told->back,
        .slice_class = told->slice_class,
    };
    return restore_add_pair(sink->restore, pair, told->count);
}

static int take_class(struct sink *sink, const void *row)
{
    const struct history_class *told = row;
    return restore_add_class(sink->restore, told->slice_class,
                             (struct restore_class){.ns = told->ns,
                                                    .n_slices = told->n_slices,
                                                    .n_samples = told->n_samples,
                                                    .met_ns = told->met_ns});
}

static int take_wait_sums(struct sink *sink, const void *row)
{
    const struct history_wait_sums *told = row;
    const struct wait_sums sums = {
        .thread = told->thread,
        .stack = told->stack,
        .flags = told->flags,
        .n_waits = told->n_waits,
        .blocked_ns = told->blocked_ns,
        .runnable_ns = told->runnable_ns,
        .max_blocked_ns = told->max_blocked_ns,
    };
    return restore_add_wait_sums(sink->restore, &sums);
}

static int take_wake_sums(struct sink *sink, const void *row)
{
    const struct history_wake_sums *told = row;
    const struct wake_sums sums = {
        .waker = history_waker_id(told->waker),
        .wakee = told->wakee,
        .waker_stack = told->waker_stack,
        .n_wakeups = told->n_wakeups,
        .blocked_ns = told->blocked_ns,
        .runnable_ns = told->runnable_ns,
    };
    return restore_add_wake_sums(sink->restore, &sums);
}

static int take_counter_sums(struct sink *sink, const void *row)
{
    const struct history_counter_sums *told = row;
    const struct counter_sums sums = {
        .thread = told->thread,
        .stack = told->stack,
        .n_readings = told->n_readings,
        .values = {told->value_0, told->value_1, told->value_2, told->value_3},
    };
    return restore_add_counter_sums(sink->restore, &sums);
}

static int take_counter_time(struct sink *sink, const void *row)
{
    const struct history_counter_time *told = row;
    const struct counter_time time = {
        .enabled_ns = told->enabled_ns,
        .running_ns = told->running_ns,
        .tail_ns = told->tail_ns,
        .longest_ns = told->longest_ns,
    };
    return restore_add_counter_time(sink->restore, &time);
}

/* ---- records ---- */

static int take_sample(struct sink *sink, const void *row)
{
    const struct history_sample *told = row;
    struct sample_pair pair;
    if (told->first_next != sink->first_next) { /* a frame begins, behind others or what is lost */
        sink->first_next = sink->next_pair = told->first_next;
    }
    uint32_t number = sink->next_pair - told->back;
    if (!restore_get_pair(sink->restore, number, &pair)) {
        return -EBADMSG;
    }
    sink->next_pair = number >= sink->next_pair ? number + 1 : sink->next_pair;
    const struct stored_sample sample = {
        .time_ns = told->time_ns,
        .stack = pair.stack,
        .thread = pair.thread,
        .cpu = told->cpu,
        .slice_class = pair.slice_class,
        .period_ns = told->period_ns,
    };
    return restore_add_sample(sink->restore, &sample);
}

static int take_slice(struct sink *sink, const void *row)
{
    const struct history_slice *told = row;
    const struct stored_slice slice = {
        .start_ns = told->end_ns - told->length_ns,
        .end_ns = told->end_ns,
        .thread = told->thread,
        .cpu = told->cpu,
        .before = told->gaps & 15,
        .after = told->gaps >> 4,
    };
    int r = sink->has_lost_slices ? 0 : history_gaps_add_slice(&sink->gaps, &slice);
    return r ? r : restore_add_slice(sink->restore, &slice);
}

static int take_wait(struct sink *sink, const void *row)
{
    const struct history_wait *told = row;
    struct history_gap gap = {.end_ns = told->end_ns};
    gap.start_ns = told->end_ns - told->runnable_ns - told->blocked_ns;
    if (told->gap != 0 && !history_gaps_take(&sink->gaps, told->thread, told->gap, &gap)) {
        return -EBADMSG; /* the slices that tell its times are lost */
    }
    const struct stored_wait wait = {
        .start_ns = gap.start_ns,
        .wake_ns = gap.end_ns - told->runnable_ns,
        .end_ns = gap.end_ns,
        .thread = told->thread,
        .stack = told->stack,
        .waker = history_waker_id(told->waker),
        .waker_stack = told->waker_stack,
        .object = told->object,
        .flags = told->flags,
    };
    return restore_add_wait(sink->restore, &wait);
}

static int take_reading(struct sink *sink, const void *row)
{
    const struct history_reading *told = row;
    const struct stored_reading reading = {
        .time_ns = told->time_ns,
        .thread = told->thread,
        .stack = told->stack,
        .enabled_ns = told->enabled_ns,
        .running_ns = told->running_ns,
        .values = {told->value_0, told->value_1, told->value_2, told->value_3},
    };
    return restore_add_reading(sink->restore, &reading);
}

static int take_of_spans(struct sink *sink, const void *row)
{
    int r = spend(sink, history_spans_row_bytes(sink->kind));
    return r ? r : history_spans_take(&sink->spans, sink->restore, &sink->names, sink->kind, row);
}

/* ---- members ---- */

struct kind_of_rows {
    take_row_cb take;
    bool is_needed;   /* without it nothing can be shown */
    bool has_numbers; /* a row that is not there makes the numbers of those behind it wrong */
};

static const struct kind_of_rows kinds[HISTORY_KIND_N] = {
    [HISTORY_RUN] = {take_run, .is_needed = true},
    [HISTORY_NAMES] = {.has_numbers = true},
    [HISTORY_IMAGES] = {take_image, .is_needed = true, .has_numbers = true},
    [HISTORY_CODE_EPOCHS] = {take_code_epoch, .has_numbers = true},
    [HISTORY_PLACES] = {take_place, .has_numbers = true},
    [HISTORY_FRAMES] = {take_frame, .is_needed = true, .has_numbers = true},
    [HISTORY_STACKS] = {take_stack, .is_needed = true, .has_numbers = true},
    [HISTORY_OUTSIDERS] = {take_outsider, .has_numbers = true},
    [HISTORY_WAIT_OBJECTS] = {take_wait_object, .has_numbers = true},
    [HISTORY_THREADS] = {take_thread, .is_needed = true, .has_numbers = true},
    [HISTORY_PAIRS] = {take_pair, .has_numbers = true},
    [HISTORY_CLASSES] = {take_class},
    [HISTORY_WAIT_SUMS] = {take_wait_sums},
    [HISTORY_WAKE_SUMS] = {take_wake_sums},
    [HISTORY_COUNTER_SUMS] = {take_counter_sums},
    [HISTORY_COUNTER_TIMES] = {take_counter_time, .has_numbers = true},
    [HISTORY_SPAN_NAMES] = {take_of_spans, .has_numbers = true},
    [HISTORY_LANES] = {take_of_spans, .has_numbers = true},
    [HISTORY_SPAN_SUMS] = {take_of_spans, .has_numbers = true},
    [HISTORY_SPAN_BUCKETS] = {take_of_spans},
    [HISTORY_ORIGIN_SUMS] = {take_of_spans},
    [HISTORY_SPAN_WAIT_SUMS] = {take_of_spans},
    [HISTORY_SAMPLES] = {take_sample},
    [HISTORY_SLICES] = {take_slice},
    [HISTORY_WAITS] = {take_wait, .has_numbers = true}, /* each takes the next of the gaps */
    [HISTORY_READINGS] = {take_reading},
    [HISTORY_SPAN_COUNTERS] = {take_of_spans, .has_numbers = true},
    [HISTORY_SPAN_ATTACHMENTS] = {take_of_spans, .has_numbers = true},
    [HISTORY_SPAN_DETAILS] = {take_of_spans, .has_numbers = true},
    [HISTORY_LONGEST_SPANS] = {take_of_spans},
    [HISTORY_SPANS] = {take_of_spans},
};

static void note_loss(struct sink *sink, const struct run_history_loss *loss)
{
    struct run_history_damage *damage = sink->damage;
    bool is_lost = loss->is_missing || loss->n_rows > 0 || loss->n_bytes > 0;
    if (is_lost && damage->n_losses < RUN_HISTORY_MEMBERS_MAX) {
        damage->losses[damage->n_losses++] = *loss;
    }
}

/* The rows of one frame; *ret_n_taken grows. -EBADMSG: no more of them can be taken. */
static int take_rows(struct sink *sink, size_t n_rows, uint64_t *ret_n_taken)
{
    const struct kind_of_rows *kind = &kinds[sink->kind];
    size_t row_bytes = history_table(sink->kind)->columns.row_bytes;
    uint64_t n_left = sink->n_told[sink->kind] - *ret_n_taken;
    if (sink->kind != HISTORY_RUN && n_rows > n_left) {
        sink->damage->n_rows_refused += n_rows - n_left; /* more than there ever were */
        n_rows = (size_t)n_left;
    }
    if (sink->kind == HISTORY_NAMES) {
        return take_names(sink, n_rows, ret_n_taken);
    }
    for (size_t i = 0; i < n_rows; i++) {
        int r = spend(sink, 2 * row_bytes); /* of what they become */
        r = r ? r : kind->take(sink, (const uint8_t *)sink->rows + i * row_bytes);
        if (r == -ENOMEM) {
            return r;
        }
        if (r == 0) {
            (*ret_n_taken)++;
            continue;
        }
        sink->damage->n_rows_refused++;
        if (kind->has_numbers || r == -ENOSPC) {
            return -EBADMSG;
        }
    }
    if (sink->restore) {
        restore_fold(sink->restore);
    }
    return 0;
}

static int take_frames(struct sink *sink, const struct archive_bytes *bytes,
                       struct run_history_loss *loss, uint64_t *ret_n_taken)
{
    const struct history_table *table = history_table(sink->kind);
    struct column_reader reader = column_reader_begin(bytes->bytes, bytes->n_bytes);
    int r;
    size_t n_rows;
    while ((r = column_reader_next(&reader, &table->columns, sink->rows, &n_rows)) > 0) {
        bool has_gap = reader.damage != COLUMN_WHOLE || reader.n_rows_skipped > 0;
        sink->has_lost_slices = sink->has_lost_slices || (has_gap && sink->kind == HISTORY_SLICES);
        if (kinds[sink->kind].has_numbers && has_gap) {
            loss->n_bytes += reader.n_bytes - reader.at; /* whole, but numbered wrong */
            break;
        }
        r = take_rows(sink, n_rows, ret_n_taken);
        if (r != 0 || (sink->kind != HISTORY_RUN && *ret_n_taken >= sink->n_told[sink->kind])) {
            break;
        }
    }
    loss->n_bytes += reader.n_bytes_skipped;
    return r == -ENOMEM ? r : 0;
}

static int refuse(const struct sink *sink, struct error *reterr_error, const char *why)
{
    error_set(reterr_error, "archive_invalid",
              "the archive's %s %s, and nothing can be shown without",
              history_table(sink->kind)->member, why);
    return -EBADMSG;
}

static int read_kind(struct sink *sink, struct error *reterr_error)
{
    const struct history_table *table = history_table(sink->kind);
    struct run_history_loss loss = {.member = table->member};
    struct archive_bytes bytes;
    uint64_t n_taken = 0;
    int r = sink->members->read(sink->members->userdata, table->member, &bytes);
    if (r != 0) {
        error_set_errno(reterr_error, r, "reading the archive's records");
        return r;
    }
    sink->budget.n_member_bytes += bytes.n_bytes;
    bool has_any = sink->kind == HISTORY_RUN || sink->n_told[sink->kind] > 0;
    loss.is_missing = !bytes.bytes && has_any;
    r = !bytes.bytes ? 0 : take_frames(sink, &bytes, &loss, &n_taken);
    free(bytes.bytes);
    if (r != 0) {
        error_set_errno(reterr_error, r, "reading the archive's records");
        return r;
    }
    if (kinds[sink->kind].is_needed && has_any && n_taken == 0) {
        return refuse(sink, reterr_error, loss.is_missing ? "is missing" : "is damaged");
    }
    uint64_t n_told = sink->n_told[sink->kind];
    if (n_told > ROWS_MAX) {
        sink->damage->n_rows_refused++; /* nobody knows how many there were */
    } else {
        loss.n_rows = n_told > n_taken ? n_told - n_taken : 0;
    }
    note_loss(sink, &loss);
    return 0;
}

static int read_run(struct sink *sink, struct error *reterr_error)
{
    sink->kind = HISTORY_RUN;
    int r = read_kind(sink, reterr_error);
    if (r != 0) {
        return r;
    }
    r = restore_begin(sink->config, &sink->run, &sink->restore);
    if (r == -EBADMSG) {
        return refuse(sink, reterr_error, "is damaged");
    }
    if (r != 0) {
        error_set_errno(reterr_error, r, "reading the archive's records");
    }
    return r;
}

static void sink_release(struct sink *sink)
{
    restore_free(sink->restore);
    history_names_release(&sink->names);
    history_callees_release(&sink->callees);
    history_gaps_release(&sink->gaps);
    history_spans_reading_release(&sink->spans);
    free(sink->stack_callers);
    free(sink->rows);
}
DEFINE_RELEASEP(sink);

int history_members_read(const struct history_members *members,
                         const struct aggregate_config *config, struct aggregate **ret_aggregate,
                         struct run_history_damage *ret_damage, struct error *reterr_error)
{
    *ret_damage = (struct run_history_damage){0};
    _cleanup_(sink_releasep) struct sink sink = {
        .members = members,
        .config = config,
        .damage = ret_damage,
        .rows = malloc((size_t)COLUMN_FRAME_ROWS * HISTORY_ROW_BYTES),
        .budget = history_budget_begin(),
    };
    if (!sink.rows) {
        error_set_errno(reterr_error, -ENOMEM, "reading the archive's records");
        return -ENOMEM;
    }
    int r = read_run(&sink, reterr_error);
    for (int kind = HISTORY_RUN + 1; kind < HISTORY_KIND_N && r == 0; kind++) {
        sink.kind = (enum history_kind)kind;
        r = read_kind(&sink, reterr_error);
    }
    if (r != 0) {
        return r;
    }
    ret_damage->n_rows_mended = restore_n_mended(sink.restore);
    *ret_aggregate = restore_end(sink.restore);
    return 0;
}

static int read_of_archive(void *userdata, const char *name, struct archive_bytes *ret_bytes)
{
    return archive_reader_read(userdata, name, ret_bytes);
}

int run_history_read(struct archive_reader *reader, const struct aggregate_config *config,
                     struct aggregate **ret_aggregate, struct run_history_damage *ret_damage,
                     struct error *reterr_error)
{
    const struct history_members members = {.read = read_of_archive, .userdata = reader};
    return history_members_read(&members, config, ret_aggregate, ret_damage, reterr_error);
}
