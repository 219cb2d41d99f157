/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "model/requests.h"
#include "rpc/method.h"
#include "rpc/tables.h"

static void every_method_is_found(void **state)
{
    (void)state;
    assert_true(rpc_n_methods >= 16);
    for (size_t i = 0; i < rpc_n_methods; i++) {
        assert_ptr_equal(rpc_method_find(rpc_methods[i].name), &rpc_methods[i]);
        assert_int_equal(rpc_methods[i].params != NULL, rpc_methods[i].params_bytes > 0);
        assert_int_equal(rpc_methods[i].result != NULL, rpc_methods[i].result_bytes > 0);
    }
    assert_null(rpc_method_find(""));
    assert_null(rpc_method_find("profile"));
    assert_null(rpc_method_find("profile.topp"));
    assert_null(rpc_method_find("zzz"));
}

static void a_method_names_its_types(void **state)
{
    (void)state;
    const struct rpc_method *top = rpc_method_find("profile.top");
    assert_non_null(top);
    assert_ptr_equal(top->params, &rpc_type_top_request);
    assert_int_equal(top->params_bytes, sizeof(struct top_request));
    assert_ptr_equal(top->result, &rpc_type_top_result);
    assert_true(top->can_subscribe);
    assert_false(rpc_method_find("run.start")->can_subscribe);
    assert_null(rpc_method_find("server.shutdown")->params);
    assert_null(rpc_method_find("server.shutdown")->result);
}

static void the_description_lists_every_method(void **state)
{
    (void)state;
    assert_int_equal(strlen(rpc_discover_json), rpc_discover_json_bytes);
    assert_null(strchr(rpc_discover_json, '\n'));
    json_t *document = json_loads(rpc_discover_json, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    const json_t *methods = json_object_get(document, "methods");
    assert_int_equal(json_array_size(methods), rpc_n_methods);
    for (size_t i = 0; i < rpc_n_methods; i++) {
        const json_t *name = json_object_get(json_array_get(methods, i), "name");
        assert_string_equal(json_string_value(name), rpc_methods[i].name);
    }
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_is_found),
        cmocka_unit_test(a_method_names_its_types),
        cmocka_unit_test(the_description_lists_every_method),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
