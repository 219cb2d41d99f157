/* SPDX-License-Identifier: MIT */
/*
 * A flamegraph as a picture: the outermost functions on top, where the picture
 * begins however deep it is, what they called below them, as wide as their
 * share of the time that the view's mode asks for. It has no script; browsers
 * show what a box stands for when the pointer rests on it (<title>).
 */
#include <string.h>

#include "interchange/export_format.h"

#define WIDTH_PX 1200.0
#define MARGIN_PX 10.0
#define ROW_PX 17.0
#define HEAD_PX 54.0
#define FOOT_PX 26.0
#define CHARACTER_PX 6.7 /* of the font below */
#define BOX_MIN_PX 0.2
#define THRESHOLD_PCT 0.02 /* about BOX_MIN_PX */

struct drawing {
    struct export_sink *sink;
    enum view_mode mode;
    double px_per_ns;
    uint64_t whole_ns;
};

static uint64_t weight_of(enum view_mode mode, const struct flame_node *node)
{
    switch (mode) {
    case VIEW_MODE_OFF_CPU:
        return node->off_cpu_ns;
    case VIEW_MODE_WALL:
        return node->active_ns + node->off_cpu_ns + node->runq_ns;
    case VIEW_MODE_ACTIVE:
    case VIEW_MODE_CPU:
    case VIEW_MODE_TARGET:
        break;
    }
    return node->active_ns;
}

static size_t depth_of(const struct drawing *drawing, const struct flame_node *node)
{
    size_t deepest = 0;
    for (size_t i = 0; i < node->n_children; i++) {
        double width_px = (double)weight_of(drawing->mode, &node->children[i]) * drawing->px_per_ns;
        size_t depth = width_px >= BOX_MIN_PX ? depth_of(drawing, &node->children[i]) : 0;
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

/* Warm for the program, by its name so that a function keeps its colour; other hues for the rest.
 */
static void put_colour(struct export_sink *sink, const struct flame_node *node, bool is_root)
{
    uint32_t hash = 2166136261u; /* FNV-1a, 32 bits */
    for (const char *at = node->name; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    }
    unsigned int hue = 18 + hash % 30, light = 58 + (hash >> 8) % 12;
    if (is_root || node->image[0] == '\0') {
        export_sink_text(sink, "hsl(220,8%,72%)");
        return;
    }
    switch (node->kind) {
    case FRAME_KIND_KERNEL:
        hue = 205 + hash % 20;
        break;
    case FRAME_KIND_JIT:
        hue = 100 + hash % 30;
        break;
    case FRAME_KIND_VDSO:
    case FRAME_KIND_TARGET:
        hue = 280 + hash % 20;
        break;
    case FRAME_KIND_USER:
        break;
    }
    export_sink_printf(sink, "hsl(%u,%u%%,%u%%)", hue, node->inlined ? 55u : 82u,
                       node->inlined ? light + 12 : light);
}

/* As much of the name as fits; a character of several bytes is not torn. */
static void put_label(struct export_sink *sink, const char *name, double width_px)
{
    char text[256];
    size_t n_fit = (size_t)((width_px - 6.0) / CHARACTER_PX);
    size_t n_bytes = 0, n_characters = 0, cut_at = 0;
    for (; name[n_bytes] != '\0' && n_bytes < sizeof(text) - 8; n_bytes++) {
        bool is_start = ((unsigned char)name[n_bytes] & 0xc0) != 0x80;
        if (is_start && n_characters == n_fit) {
            break;
        }
        if (is_start && n_characters + 2 <= n_fit) {
            cut_at = n_bytes;
        }
        n_characters += is_start;
    }
    bool is_cut = name[n_bytes] != '\0';
    size_t n_shown = is_cut ? cut_at : n_bytes;
    memcpy(text, name, n_shown);
    text[n_shown] = '\0';
    export_sink_xml(sink, text);
    export_sink_text(sink, is_cut ? ".." : "");
}

static void put_title(const struct drawing *drawing, const struct flame_node *node)
{
    struct export_sink *sink = drawing->sink;
    uint64_t weight_ns = weight_of(drawing->mode, node);
    export_sink_text(sink, "<title>");
    export_sink_xml(sink, node->name);
    if (node->image[0] != '\0') {
        export_sink_text(sink, " (");
        export_sink_xml(sink, node->image);
        export_sink_text(sink, node->inlined ? ", inlined)" : ")");
    }
    export_sink_text(sink, ": ");
    export_sink_ms(sink, weight_ns);
    export_sink_printf(sink, " ms, %.2f %%",
                       drawing->whole_ns ? 100.0 * (double)weight_ns / (double)drawing->whole_ns
                                         : 0.0);
    if (node->samples > 0 && drawing->mode != VIEW_MODE_OFF_CPU) {
        export_sink_text(sink, ", ");
        export_sink_u64(sink, node->samples);
        export_sink_text(sink, node->samples == 1 ? " sample" : " samples");
    }
    export_sink_text(sink, "</title>");
}

static void put_node(const struct drawing *drawing, const struct flame_node *node, double left_px,
                     size_t depth)
{
    struct export_sink *sink = drawing->sink;
    double width_px = (double)weight_of(drawing->mode, node) * drawing->px_per_ns;
    double top_px = HEAD_PX + (double)depth * ROW_PX;
    export_sink_text(sink, "<g>");
    put_title(drawing, node);
    export_sink_printf(sink,
                       "<rect x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"16\" rx=\"1\" "
                       "fill=\"",
                       left_px, top_px, width_px);
    put_colour(sink, node, depth == 0);
    export_sink_text(sink, "\"/>");
    if (width_px > 3 * CHARACTER_PX + 6) {
        export_sink_printf(sink, "<text x=\"%.1f\" y=\"%.0f\">", left_px + 3, top_px + 12);
        put_label(sink, node->name, width_px);
        export_sink_text(sink, "</text>");
    }
    export_sink_text(sink, "</g>\n");
    for (size_t i = 0; i < node->n_children; i++) {
        double child_px = (double)weight_of(drawing->mode, &node->children[i]) * drawing->px_per_ns;
        if (child_px >= BOX_MIN_PX) {
            put_node(drawing, &node->children[i], left_px, depth + 1);
        }
        left_px += child_px;
    }
}

static const char *title_of(enum view_mode mode, bool has_spans)
{
    switch (mode) {
    case VIEW_MODE_OFF_CPU:
        return "Off-CPU time";
    case VIEW_MODE_WALL:
        return has_spans ? "CPU time, spans and waits" : "CPU time and waits";
    case VIEW_MODE_TARGET:
        return "Time in spans";
    case VIEW_MODE_ACTIVE:
        return has_spans ? "CPU time and spans" : "CPU time";
    case VIEW_MODE_CPU:
        break;
    }
    return "CPU time";
}

static void put_head(const struct drawing *drawing, const struct export_job *job,
                     const struct flame_result *flame, double height_px)
{
    struct export_sink *sink = drawing->sink;
    export_sink_printf(sink,
                       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                       "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                       "viewBox=\"0 0 %.0f %.0f\">\n<title>",
                       WIDTH_PX, height_px, WIDTH_PX, height_px);
    export_sink_xml(sink, job->command);
    export_sink_text(
        sink, "</title>\n<style>text{font:11px ui-monospace,\"DejaVu Sans Mono\",monospace;"
              "fill:#1b1b1f;pointer-events:none}.head{font:600 15px system-ui,sans-serif}"
              ".sub{font:12px system-ui,sans-serif;fill:#5b5b66}rect{stroke:#fff;stroke-width:.4}"
              "g:hover rect{stroke:#1b1b1f;stroke-width:1}.back{fill:#fcfcfd;stroke:none}"
              "</style>\n<rect class=\"back\" width=\"100%\" height=\"100%\"/>\n"
              "<text class=\"head\" x=\"10\" y=\"22\">");
    put_label(sink, job->command, WIDTH_PX - 300);
    export_sink_text(sink, "</text>\n<text class=\"sub\" x=\"10\" y=\"41\">");
    export_sink_printf(sink, "%s of %.3f s recorded: %.3f s on CPUs in %llu samples",
                       title_of(drawing->mode, flame->totals.spans > 0),
                       (double)flame->run.duration_ns / 1e9, (double)flame->totals.cpu_ns / 1e9,
                       (unsigned long long)flame->totals.samples);
    if (flame->totals.spans > 0) {
        export_sink_printf(sink, ", %.3f s in %llu spans", (double)flame->totals.target_ns / 1e9,
                           (unsigned long long)flame->totals.spans);
    }
    if (flame->totals.off_cpu_ns > 0) {
        export_sink_printf(sink, ", %.3f s off-CPU", (double)flame->totals.off_cpu_ns / 1e9);
    }
    export_sink_text(sink, "</text>\n");
    export_sink_printf(sink, "<text class=\"sub\" x=\"10\" y=\"%.0f\">", height_px - 9);
    export_sink_text(sink, "orange: program, blue: kernel, green: JIT code, pale: inlined, grey: "
                           "no code");
    export_sink_text(sink, flame->totals.spans > 0 ? ", violet: lanes and spans" : "");
    export_sink_text(sink, ". Width is time; stax " STAX_VERSION "</text>\n");
}

int export_svg_write(struct export_job *job)
{
    const struct query_flame_options options = {.threshold_pct = THRESHOLD_PCT};
    struct flame_result flame;
    int r = query_flame(job->context, &options, &flame, job->reterr_error);
    if (r != 0) {
        return r;
    }
    struct drawing drawing = {
        .sink = &job->sink,
        .mode = flame.mode,
        .whole_ns = weight_of(flame.mode, &flame.root),
    };
    drawing.px_per_ns =
        drawing.whole_ns > 0 ? (WIDTH_PX - 2 * MARGIN_PX) / (double)drawing.whole_ns : 0;
    double rows_px = (double)depth_of(&drawing, &flame.root) * ROW_PX;
    double height_px = HEAD_PX + rows_px + FOOT_PX;
    put_head(&drawing, job, &flame, height_px);
    if (flame.hint && drawing.whole_ns == 0) {
        export_sink_printf(&job->sink, "<text class=\"sub\" x=\"10\" y=\"%.0f\">", HEAD_PX + 12);
        export_sink_xml(&job->sink, flame.hint);
        export_sink_text(&job->sink, "</text>\n");
    } else {
        put_node(&drawing, &flame.root, MARGIN_PX, 0);
    }
    export_sink_text(&job->sink, "</svg>\n");
    return 0;
}
