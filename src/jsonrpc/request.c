/* SPDX-License-Identifier: MIT */

#include "jsonrpc/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#define ID_MAX_CHARACTERS                                                                          \
    64 /* six bytes each when escaped, and two quotes: fits JSONRPC_ID_BYTES */

static void set_id(struct jsonrpc_request *request, const char *json)
{
    snprintf(request->id, sizeof(request->id), "%s", json);
}

/* Whether `id` is one that an answer can repeat; if so it is kept as JSON text. */
static bool take_id(struct jsonrpc_request *request, const json_t *id)
{
    if (json_is_null(id)) {
        return true;
    }
    bool is_short_string = json_is_string(id) && json_string_length(id) <= ID_MAX_CHARACTERS;
    if (!json_is_integer(id) && !is_short_string) {
        return false;
    }
    char *json = json_dumps(id, JSON_ENCODE_ANY);
    if (!json) {
        return false;
    }
    set_id(request, json);
    free(json);
    return true;
}

/* What is wrong with the document as a request, or NULL. */
static const char *check(struct jsonrpc_request *request)
{
    const json_t *document = request->document;
    if (json_is_array(document)) {
        return "batches are not served: send one request per line";
    }
    if (!json_is_object(document)) {
        return "a request is a JSON object";
    }

    const json_t *id = json_object_get(document, "id");
    request->is_notification = !id;
    if (id && !take_id(request, id)) {
        return "id must be an integer, a string of at most 64 bytes, or null";
    }
    const json_t *version = json_object_get(document, "jsonrpc");
    if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0) {
        return "jsonrpc must be \"2.0\"";
    }
    const json_t *method = json_object_get(document, "method");
    if (!json_is_string(method)) {
        return "method must be a string";
    }
    if (json_string_length(method) > JSONRPC_METHOD_BYTES) {
        return "the method's name is too long";
    }
    const json_t *params = json_object_get(document, "params");
    if (params && !json_is_object(params)) {
        return "params must be an object: parameters go by name";
    }
    request->method = json_string_value(method);
    request->params = params;
    return NULL;
}

int jsonrpc_request_parse(const char *bytes, size_t n_bytes, const struct json_limits *limits,
                          struct jsonrpc_request *ret_request, struct error *reterr_error)
{
    *ret_request = (struct jsonrpc_request){.document = NULL};
    set_id(ret_request, "null");

    int r = json_read(bytes, n_bytes, limits, &ret_request->document, reterr_error);
    if (r < 0) {
        return r;
    }
    const char *wrong = check(ret_request);
    if (wrong) {
        error_set(reterr_error, "invalid_request", "%s", wrong);
        /* Who sends nonsense is told so even where the id is missing: it may not mean a
         * notification. */
        ret_request->is_notification = false;
        jsonrpc_request_release(ret_request);
        return -EINVAL;
    }
    return 0;
}

void jsonrpc_request_release(struct jsonrpc_request *request)
{
    request->document = json_tree_free(request->document);
    request->method = NULL;
    request->params = NULL;
}
