/* Do the libraries that third_party/ makes link, side by side, and answer? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <llhttp.h>
#include <rure.h>
#ifdef WEIR_WASM
#include <wasmtime.h>
#endif

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
        0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f, 0x03, 0x02, 0x01, 0x00,
        0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00, 0x0a, 0x06, 0x01, 0x04, 0x00, 0x41, 0x2a, 0x0b,
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llhttp_parses_a_request),
        cmocka_unit_test(test_rure_matches),
#ifdef WEIR_WASM
        cmocka_unit_test(test_wasmtime_compiles_with_both_compilers),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
