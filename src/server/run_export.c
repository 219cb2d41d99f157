/* SPDX-License-Identifier: MIT */
#include "server/run_export.h"

#include <errno.h>

#include "archive/archive_place.h"

int run_export(const struct export_source *source, enum export_format format, const char *path,
               struct export_tally *ret_tally, struct error *reterr_error)
{
    _cleanup_(archive_place_freep) struct archive_place *place = NULL;
    int r = archive_place_new(path, false, &place, reterr_error);
    if (r < 0) {
        return r;
    }
    r = export_write(source, format, archive_place_get_fd(place), ret_tally, reterr_error);
    if (r == 0) {
        return archive_place_publish(place, reterr_error);
    }
    return error_is_set(reterr_error) ? r : archive_place_explain(place, r, reterr_error);
}
