/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "cli/quantity.h"
#include "cli/render.h"

void render_save(const struct save_result *result, struct text *text)
{
    char size[QUANTITY_TEXT_BYTES], took[QUANTITY_TEXT_BYTES];
    quantity_format_bytes(result->archive_bytes, size);
    quantity_format_duration(result->took_ns, took);
    text_printf(text, "saved run %u: %" PRIu64 " sample%s, %s in %s, %s\n", result->run.id,
                result->samples, quantity_plural(result->samples), size, took, result->path);
    for (size_t i = 0; i < result->n_notes; i++) {
        text_printf(text, "  %s\n", result->notes[i]);
    }
}

void render_export(const struct export_result *result, struct text *text)
{
    char size[QUANTITY_TEXT_BYTES], cpu[QUANTITY_TEXT_BYTES], off_cpu[QUANTITY_TEXT_BYTES];
    quantity_format_bytes(result->file_bytes, size);
    quantity_format_duration(result->cpu_ns, cpu);
    quantity_format_duration(result->off_cpu_ns, off_cpu);
    text_printf(text, "exported run %u as %s: %s on CPU", result->run.id, result->format, cpu);
    if (result->off_cpu_ns > 0) {
        text_printf(text, ", %s off CPU", off_cpu);
    }
    if (result->spans > 0) {
        char target[QUANTITY_TEXT_BYTES];
        quantity_format_duration(result->target_ns, target);
        text_printf(text, ", %s in %" PRIu64 " span%s", target, result->spans,
                    quantity_plural(result->spans));
    }
    text_printf(text, ", %" PRIu64 " thread%s, %s, %s\n", result->threads,
                quantity_plural(result->threads), size, result->path);
}
