/* Do the libraries that third_party/ makes link, side by side, and answer? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <envoy/config/bootstrap/v3/bootstrap.pb-c.h>
#include <llhttp.h>
#include <rure.h>
#ifdef WEIR_WASM
#include <wasmtime.h>
#endif

#include "config/api_rules.h"

static void test_llhttp_parses_a_request(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    llhttp_settings_t settings;
    llhttp_t parser;

    (void)state;
    llhttp_settings_init(&settings);
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    assert_int_equal(llhttp_execute(&parser, request, strlen(request)), HPE_OK);
    assert_int_equal(llhttp_get_method(&parser), HTTP_GET);
}

static void test_rure_matches(void **state)
{
    rure *re = rure_compile((const uint8_t *)"^/api/v[0-9]+$", 14, RURE_FLAG_UNICODE, NULL, NULL);

    (void)state;
    assert_non_null(re);
    assert_true(rure_is_match(re, (const uint8_t *)"/api/v12", 8, 0));
    assert_false(rure_is_match(re, (const uint8_t *)"/api/v", 6, 0));
    rure_free(re);
}

#ifdef WEIR_WASM
static void test_wasmtime_compiles_with_both_compilers(void **state)
{
    /* (module (func (export "f") (result i32) i32.const 42)) */
    static const uint8_t module_bytes[] = {
        0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f, 0x03, 0x02,
        0x01, 0x00, 0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00, 0x0a, 0x06, 0x01, 0x04, 0x00, 0x41, 0x2a, 0x0b,
    };
    static const wasmtime_strategy_t strategies[] = {WASMTIME_STRATEGY_CRANELIFT, WASMTIME_STRATEGY_WINCH};

    (void)state;
    for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++) {
        wasm_config_t *config = wasm_config_new();
        wasmtime_config_strategy_set(config, strategies[i]);
        wasm_engine_t *engine = wasm_engine_new_with_config(config);
        assert_non_null(engine);

        wasmtime_module_t *module = NULL;
        assert_null(wasmtime_module_new(engine, module_bytes, sizeof module_bytes, &module));
        wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
        wasmtime_context_t *context = wasmtime_store_context(store);
        wasmtime_instance_t instance;
        wasm_trap_t *trap = NULL;
        assert_null(wasmtime_instance_new(context, module, NULL, 0, &instance, &trap));
        assert_null(trap);

        wasmtime_extern_t item;
        wasmtime_val_t result;
        assert_true(wasmtime_instance_export_get(context, &instance, "f", 1, &item));
        assert_null(wasmtime_func_call(context, &item.of.func, NULL, 0, &result, 1, &trap));
        assert_int_equal(result.of.i32, 42);

        wasmtime_module_delete(module);
        wasmtime_store_delete(store);
        wasm_engine_delete(engine);
    }
}
#endif

static const struct weir_message_rules *find_rules(const char *name)
{
    for (size_t i = 0; i < weir_api_n_rules; i++)
        if (strcmp(weir_api_rules[i].name, name) == 0)
            return &weir_api_rules[i];
    return NULL;
}

static const struct weir_rule *find_rule(const struct weir_message_rules *rules, unsigned field, unsigned op)
{
    for (size_t i = 0; i < rules->n_rules; i++)
        if (rules->rules[i].field == field && rules->rules[i].op == op)
            return &rules->rules[i];
    return NULL;
}

static void test_envoy_messages_survive_the_wire(void **state)
{
    Envoy__Config__Bootstrap__V3__RuntimeLayer layer;
    uint8_t bytes[64];
    char name[] = "static";

    (void)state;
    envoy__config__bootstrap__v3__runtime_layer__init(&layer);
    layer.name = name;
    size_t len = envoy__config__bootstrap__v3__runtime_layer__pack(&layer, bytes);
    Envoy__Config__Bootstrap__V3__RuntimeLayer *copy =
        envoy__config__bootstrap__v3__runtime_layer__unpack(NULL, len, bytes);
    assert_non_null(copy);
    assert_string_equal(copy->name, "static");
    envoy__config__bootstrap__v3__runtime_layer__free_unpacked(copy, NULL);
}

static void test_envoy_api_tables_are_sorted(void **state)
{
    (void)state;
    assert_true(weir_api_n_messages > 1500);
    for (size_t i = 1; i < weir_api_n_messages; i++)
        assert_true(strcmp(weir_api_messages[i - 1]->name, weir_api_messages[i]->name) < 0);
    for (size_t i = 1; i < weir_api_n_rules; i++)
        assert_true(strcmp(weir_api_rules[i - 1].name, weir_api_rules[i].name) < 0);
    for (size_t i = 1; i < weir_api_n_former_names; i++)
        assert_true(strcmp(weir_api_former_names[i - 1].name, weir_api_former_names[i].name) < 0);
    assert_true(weir_api_n_deprecated_values > 0);
}

static void test_envoy_api_rules_are_those_of_the_proto_files(void **state)
{
    const struct weir_message_rules *rules = find_rules("envoy.config.cluster.v3.Cluster");

    (void)state;
    assert_non_null(rules);
    assert_int_equal(find_rule(rules, 1, WEIR_RULE_MIN_LEN)->i, 1);   /* name */
    assert_non_null(find_rule(rules, 2, WEIR_RULE_DEFINED_ONLY));     /* type */
    assert_int_equal(find_rule(rules, 4, WEIR_RULE_GT)->i, 0);        /* connect_timeout */
    assert_int_equal(find_rule(rules, 16, WEIR_RULE_GT)->i, 1000000); /* dns_refresh_rate: over 1 ms */
    rules = find_rules("envoy.config.route.v3.HeaderMatcher");
    assert_int_equal(find_rule(rules, 1, WEIR_RULE_HEADER_NAME)->i, 0); /* name: strict false */
    rules = find_rules("envoy.config.route.v3.RouteAction");
    assert_string_equal(find_rule(rules, 1, WEIR_RULE_ONEOF)->s, "cluster_specifier");
    rules = find_rules("envoy.config.route.v3.VirtualHost");
    const struct weir_rule *rule = find_rule(rules, 2, WEIR_RULE_HEADER_VALUE); /* domains: of each item */
    assert_int_equal(rule->scope, WEIR_RULE_ITEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llhttp_parses_a_request),
        cmocka_unit_test(test_rure_matches),
        cmocka_unit_test(test_envoy_messages_survive_the_wire),
        cmocka_unit_test(test_envoy_api_tables_are_sorted),
        cmocka_unit_test(test_envoy_api_rules_are_those_of_the_proto_files),
#ifdef WEIR_WASM
        cmocka_unit_test(test_wasmtime_compiles_with_both_compilers),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
