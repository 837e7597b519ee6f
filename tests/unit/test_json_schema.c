/* The JSON Schema is JSON, refers only to what it defines, and has what the tables have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "config/json_schema.h"
#include "envoy/config/cluster/v3/cluster.pb-c.h"

#define DEFINITION_PREFIX "#/definitions/"

static const struct weir_supported_field cluster_fields[] = {{.name = "name"}, {.name = "type"}};
static const struct weir_supported_fields cluster_supported =
    WEIR_SUPPORTED(envoy__config__cluster__v3__cluster__descriptor, cluster_fields);

static void check_references(const json_t *definitions, json_t *value)
{
    const char *key;
    json_t *inner;
    size_t i;
    if (json_is_object(value)) {
        json_object_foreach(value, key, inner)
        {
            const char *target = strcmp(key, "$ref") == 0 ? json_string_value(inner) : NULL;
            if (target)
                assert_non_null(json_object_get(definitions, target + strlen(DEFINITION_PREFIX)));
            check_references(definitions, inner);
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, inner) check_references(definitions, inner);
    }
}

static void test_schema_is_complete(void **state)
{
    (void)state;
    const struct weir_supported_fields *tables[] = {NULL, &cluster_supported};
    const char *extensions[] = {"envoy.extensions.filters.http.router.v3.Router",
                                "google.protobuf.StringValue"};
    struct weir_str text;
    weir_str_init(&text, 16u << 20);
    weir_json_schema_print(&text, &(struct weir_json_schema){tables, 2, extensions, 2});
    assert_false(text.overflow);
    json_t *schema = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(schema);
    const json_t *definitions = json_object_get(schema, "definitions");
    check_references(definitions, schema);

    const json_t *cluster = json_object_get(definitions, "envoy.config.cluster.v3.Cluster");
    assert_int_equal(json_object_size(json_object_get(cluster, "properties")),
                     3); // the table's two and "@type"
    const json_t *router = json_object_get(definitions, "envoy.extensions.filters.http.router.v3.Router");
    assert_non_null(json_object_get(json_object_get(router, "properties"), "suppress_envoy_headers"));
    const json_t *any = json_object_get(definitions, "google.protobuf.Any");
    assert_int_equal(json_array_size(json_object_get(any, "allOf")), 1);
    json_decref(schema);
    weir_str_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_schema_is_complete)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
