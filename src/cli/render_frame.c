/* SPDX-License-Identifier: MIT */
#include "cli/label.h"
#include "cli/render.h"

void render_frame(const char *name, const char *image, bool inlined, struct text *text)
{
    label_append(text, name);
    if (image && image[0] != '\0') {
        text_append(text, " (");
        label_append(text, image);
        text_append_char(text, ')');
    }
    if (inlined) {
        text_append(text, " (inlined)");
    }
}
