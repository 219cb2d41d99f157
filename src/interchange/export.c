/* SPDX-License-Identifier: MIT */
#include "interchange/export.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "interchange/export_format.h"
#include "query/query_names.h"

#define NAMES_WAIT_MS 10000

struct export_writer {
    const char *name;
    int (*write)(struct export_job *job);
    bool is_gzip;
    bool has_no_spans;
};

static const struct export_writer writers[EXPORT_FORMAT_N] = {
    [EXPORT_FORMAT_FIREFOX] = {"firefox", export_firefox_write, false},
    [EXPORT_FORMAT_PPROF] = {"pprof", export_pprof_write, true},
    [EXPORT_FORMAT_SPEEDSCOPE] = {"speedscope", export_speedscope_write, false},
    [EXPORT_FORMAT_FOLDED] = {"folded", export_folded_write, false},
    [EXPORT_FORMAT_PERFETTO] = {"perfetto", export_perfetto_write, false},
    [EXPORT_FORMAT_CALLGRIND] = {"callgrind", export_callgrind_write, .has_no_spans = true},
    [EXPORT_FORMAT_SVG] = {"svg", export_svg_write, false},
    [EXPORT_FORMAT_HTML] = {"html", export_html_write, false},
};

/* The longest first where one ends in another. */
static const struct {
    const char *suffix;
    enum export_format format;
} suffixes[] = {
    {".speedscope.json", EXPORT_FORMAT_SPEEDSCOPE},
    {".json", EXPORT_FORMAT_FIREFOX},
    {".folded", EXPORT_FORMAT_FOLDED},
    {".collapsed", EXPORT_FORMAT_FOLDED},
    {".txt", EXPORT_FORMAT_FOLDED},
    {".pb.gz", EXPORT_FORMAT_PPROF},
    {".pprof.gz", EXPORT_FORMAT_PPROF},
    {".pprof", EXPORT_FORMAT_PPROF},
    {".perfetto-trace", EXPORT_FORMAT_PERFETTO},
    {".pftrace", EXPORT_FORMAT_PERFETTO},
    {".perfetto", EXPORT_FORMAT_PERFETTO},
    {".callgrind", EXPORT_FORMAT_CALLGRIND},
    {".svg", EXPORT_FORMAT_SVG},
    {".html", EXPORT_FORMAT_HTML},
    {".htm", EXPORT_FORMAT_HTML},
};

const char *export_format_name(enum export_format format)
{
    return format < EXPORT_FORMAT_N ? writers[format].name : "unknown";
}

const char *export_format_list(void)
{
    return "firefox, pprof, speedscope, folded, perfetto, callgrind, svg, html";
}

bool export_format_parse(const char *name, enum export_format *ret_format)
{
    for (size_t i = 0; name && i < EXPORT_FORMAT_N; i++) {
        if (strcasecmp(name, writers[i].name) == 0) {
            *ret_format = (enum export_format)i;
            return true;
        }
    }
    return false;
}

bool export_format_of(const char *path, enum export_format *ret_format)
{
    static const char callgrind[] = "callgrind.out";
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (strncmp(name, callgrind, sizeof(callgrind) - 1) == 0) {
        *ret_format = EXPORT_FORMAT_CALLGRIND;
        return true;
    }
    size_t n_name = strlen(name);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        size_t n_suffix = strlen(suffixes[i].suffix);
        if (n_name > n_suffix && strcasecmp(name + n_name - n_suffix, suffixes[i].suffix) == 0) {
            *ret_format = suffixes[i].format;
            return true;
        }
    }
    return false;
}

/* All functions are known before the first is written. */
static int load_frames(struct export_job *job)
{
    int r = export_frames_init(job->context, &job->frames);
    for (size_t i = 0; i < job->shares.n_rows && r == 0; i++) {
        r = export_frames_load(&job->frames, job->shares.rows[i].shown_stack);
    }
    if (r == 0) {
        r = export_spans_init(job->context, &job->shares.attribution, &job->frames, &job->spans);
    }
    return r;
}

static int write_job(struct export_job *job, const struct export_writer *writer)
{
    int r = writer->write(job);
    int failed = export_sink_finish(&job->sink);
    return failed ? failed : r;
}

static void count(const struct export_job *job, const struct export_writer *writer,
                  struct export_tally *ret_tally)
{
    const struct export_shares *shares = &job->shares;
    *ret_tally = (struct export_tally){
        .n_bytes = job->sink.n_bytes,
        .n_threads = shares->n_threads,
        .cpu_ns = shares->attribution.totals.cpu_ns,
        .off_cpu_ns = shares->attribution.totals.off_cpu_ns,
        .n_spans = writer->has_no_spans ? 0 : job->spans.n_spans,
        .target_ns = writer->has_no_spans ? 0 : job->spans.target_ns,
    };
    for (size_t i = 0; i < shares->n_threads; i++) {
        ret_tally->n_samples += shares->threads[i].n_samples;
        ret_tally->n_waits += shares->threads[i].n_waits;
    }
}

int export_write(const struct export_source *source, enum export_format format, int fd,
                 struct export_tally *ret_tally, struct error *reterr_error)
{
    const struct query_context *context = source->query;
    struct export_job job = {
        .source = source,
        .context = context,
        .command = source->run && source->run->command ? source->run->command : "(unknown)",
        .reterr_error = reterr_error,
    };
    if (format >= EXPORT_FORMAT_N) {
        return -EINVAL;
    }
    if (context->state != RUN_STATE_RECORDING) {
        query_names_settle_chains(context->names, context->snapshot, NAMES_WAIT_MS);
    }
    int r = export_shares_init(context, &job.shares, reterr_error);
    if (r != 0) {
        return r;
    }
    r = load_frames(&job);
    if (r == 0) {
        r = export_sink_init(&job.sink, fd, writers[format].is_gzip);
        r = r ? r : write_job(&job, &writers[format]);
        if (r == 0 && ret_tally) {
            count(&job, &writers[format], ret_tally);
        }
        export_sink_release(&job.sink);
    }
    export_frames_release(&job.frames);
    export_shares_release(&job.shares);
    return r;
}
