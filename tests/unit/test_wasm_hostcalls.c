/* Every hostcall with good arguments, bad arguments and bad addresses, made by a guest that makes any call (wasm_fake_host). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "wasm_fake_host.h"

#define ARGS_MAX 12

static struct weir_wasm_module *driver;
static struct fake_host host;
static struct weir_vm *vm;
static struct weir_wasm_context root, stream;

/* ---- making a call ---- */

static void poke(uint32_t at, const void *data, size_t len)
{
    memcpy(fake_memory(vm, NULL) + at, data, len);
}

static uint32_t peek32(uint32_t at)
{
    uint32_t value;
    memcpy(&value, fake_memory(vm, NULL) + at, 4);
    return value;
}

static void prepare(const char *name, const uint64_t *args)
{
    uint32_t op = (uint32_t)weir_hostcalls_index(weir_slice_str(name));
    poke(FAKE_OP, &op, 4);
    poke(FAKE_ARGS, args, ARGS_MAX * 8);
}

static uint32_t call_on(struct weir_wasm_context *ctx, const char *name, const uint64_t *args)
{
    prepare(name, args);
    assert_true(weir_vm_call(vm, WEIR_WASM_CB_TICK, ctx, (uint32_t[]){ctx->id}, NULL));
    return peek32(FAKE_RESULT);
}

static void set_allocator(uint32_t mode)
{
    poke(FAKE_ALLOCATOR, &mode, 4);
}

static int setup(void **state)
{
    (void)state;
    struct weir_str err;
    weir_str_init(&err, 4096);
    fake_host_init(&host);
    host.opts.shared = weir_wasm_shared_new();
    static const struct weir_wasm_env env[] = {{WEIR_S_INIT("A"), WEIR_S_INIT("1")}, {WEIR_S_INIT("LONG"), WEIR_S_INIT("xyz")}};
    host.opts.env = env;
    host.opts.n_env = WEIR_COUNTOF(env);
    if (weir_vm_new(driver, &host.opts, &err, &vm) != WEIR_OK) fail_msg("%.*s", WEIR_SARG(weir_str_slice(&err)));
    weir_str_fini(&err);
    fake_contexts(vm, &root, &stream);
    struct fake_map *map = &host.maps[WEIR_WASM_MAP_REQUEST_HEADERS];
    map->present = true;
    map->n = 2;
    map->pairs[0] = (struct weir_wasm_pair){WEIR_S(":path"), WEIR_S("/x")};
    map->pairs[1] = (struct weir_wasm_pair){WEIR_S("empty"), WEIR_S("")};
    host.has_buffer[WEIR_WASM_BUFFER_REQUEST_BODY] = true;
    weir_buf_add(&host.buffers[WEIR_WASM_BUFFER_REQUEST_BODY], WEIR_S("0123456789"));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir_vm_free(vm);
    weir_wasm_shared_free(host.opts.shared);
    fake_host_fini(&host);
    return 0;
}

/* ---- tables of calls ---- */

#define T FAKE_TEXT
#define OUT 4096

/* `text` stands at FAKE_TEXT. `want_out`: the bytes handed over, by the address and size at OUT and OUT + 4; NULL: not looked at. */
struct row {
    const char *what, *call, *text;
    size_t text_len;
    uint64_t args[ARGS_MAX];
    uint32_t want;
    const char *want_out;
};
#define TEXT(s) s, sizeof(s) - 1

static const struct row rows[] = {
    {"log", "proxy_log", TEXT("hello"), {2, T, 5}, WEIR_WASM_OK, NULL},
    {"log level 6", "proxy_log", TEXT("hello"), {6, T, 5}, WEIR_WASM_BAD_ARGUMENT, NULL},
    {"log of 4 GB", "proxy_log", TEXT(""), {2, 0, UINT32_MAX}, WEIR_WASM_INVALID_MEMORY_ACCESS, NULL},
    {"get value", "proxy_get_header_map_value", TEXT(":path"), {0, T, 5, OUT, OUT + 4}, WEIR_WASM_OK, "/x"},
    {"get empty value", "proxy_get_header_map_value", TEXT("empty"), {0, T, 5, OUT, OUT + 4}, WEIR_WASM_OK, ""},
    {"get missing value", "proxy_get_header_map_value", TEXT("none"), {0, T, 4, OUT, OUT + 4}, WEIR_WASM_NOT_FOUND, NULL},
    {"get from absent map", "proxy_get_header_map_value", TEXT("a"), {6, T, 1, OUT, OUT + 4}, WEIR_WASM_NOT_FOUND, NULL},
    {"get from map 8", "proxy_get_header_map_value", TEXT("a"), {8, T, 1, OUT, OUT + 4}, WEIR_WASM_BAD_ARGUMENT, NULL},
    {"get with result nowhere", "proxy_get_header_map_value", TEXT(":path"), {0, T, 5, UINT32_MAX, OUT},
     WEIR_WASM_INVALID_MEMORY_ACCESS, NULL},
    {"pairs of absent map", "proxy_get_header_map_pairs", TEXT(""), {3, OUT, OUT + 4}, WEIR_WASM_OK, ""},
    {"pairs of map 99", "proxy_get_header_map_pairs", TEXT(""), {99, OUT, OUT + 4}, WEIR_WASM_BAD_ARGUMENT, NULL},
    {"size of map", "proxy_get_header_map_size", TEXT(""), {0, OUT}, WEIR_WASM_OK, NULL},
    {"size of absent map", "proxy_get_header_map_size", TEXT(""), {2, OUT}, WEIR_WASM_BAD_ARGUMENT, NULL},
    {"add", "proxy_add_header_map_value", TEXT("nameval"), {0, T, 4, T + 4, 3}, WEIR_WASM_OK, NULL},
    {"add to absent map", "proxy_add_header_map_value", TEXT("nameval"), {2, T, 4, T + 4, 3}, WEIR_WASM_OK, NULL},
    {"remove missing", "proxy_remove_header_map_value", TEXT("name"), {0, T, 4}, WEIR_WASM_OK, NULL},
    {"set malformed pairs", "proxy_set_header_map_pairs", TEXT("\1\0\0\0"), {0, T, 4}, WEIR_WASM_OK, NULL},
    {"body", "proxy_get_buffer_bytes", TEXT(""), {0, 0, 10, OUT, OUT + 4}, WEIR_WASM_OK, "0123456789"},
    {"body, Rust's size", "proxy_get_buffer_bytes", TEXT(""), {0, 0, UINT32_MAX, OUT, OUT + 4}, WEIR_WASM_OK, "0123456789"},
    {"body from 3, Go's size", "proxy_get_buffer_bytes", TEXT(""), {0, 3, INT32_MAX, OUT, OUT + 4}, WEIR_WASM_OK, "3456789"},
    {"body, middle", "proxy_get_buffer_bytes", TEXT(""), {0, 2, 3, OUT, OUT + 4}, WEIR_WASM_OK, "234"},
    {"body from its end", "proxy_get_buffer_bytes", TEXT(""), {0, 10, 5, OUT, OUT + 4}, WEIR_WASM_OK, ""},
    {"body from behind", "proxy_get_buffer_bytes", TEXT(""), {0, UINT32_MAX, UINT32_MAX, OUT, OUT + 4}, WEIR_WASM_OK, ""},
    {"absent buffer", "proxy_get_buffer_bytes", TEXT(""), {1, 0, 10, OUT, OUT + 4}, WEIR_WASM_NOT_FOUND, NULL},
    {"buffer 9", "proxy_get_buffer_bytes", TEXT(""), {9, 0, 10, OUT, OUT + 4}, WEIR_WASM_BAD_ARGUMENT, NULL},
    {"buffer status", "proxy_get_buffer_status", TEXT(""), {0, OUT, OUT + 4}, WEIR_WASM_OK, NULL},
    {"set absent buffer", "proxy_set_buffer_bytes", TEXT("x"), {1, 0, 0, T, 1}, WEIR_WASM_BAD_ARGUMENT, NULL},
    {"property", "proxy_get_property", TEXT("a\0b"), {T, 3, OUT, OUT + 4}, WEIR_WASM_OK, "property of a.b"},
    {"empty property", "proxy_get_property", TEXT("empty"), {T, 5, OUT, OUT + 4}, WEIR_WASM_OK, ""},
    {"unknown property", "proxy_get_property", TEXT("zz"), {T, 2, OUT, OUT + 4}, WEIR_WASM_NOT_FOUND, NULL},
    {"property without path", "proxy_get_property", TEXT(""), {T, 0, OUT, OUT + 4}, WEIR_WASM_NOT_FOUND, NULL},
    {"local response", "proxy_send_local_response", TEXT("why"), {403, T, 3, T, 3, 0, 0, UINT32_MAX}, WEIR_WASM_OK, NULL},
    {"continue stream 4", "proxy_continue_stream", TEXT(""), {4}, WEIR_WASM_BAD_ARGUMENT, NULL},
    {"close stream -1", "proxy_close_stream", TEXT(""), {UINT32_MAX}, WEIR_WASM_BAD_ARGUMENT, NULL},
    {"effective context 77", "proxy_set_effective_context", TEXT(""), {77}, WEIR_WASM_BAD_ARGUMENT, NULL},
    {"effective context -1", "proxy_set_effective_context", TEXT(""), {UINT32_MAX}, WEIR_WASM_BAD_ARGUMENT, NULL},
    {"call", "proxy_http_call", TEXT("up"), {T, 2, 0, 0, 0, 0, 0, 0, 1000, OUT}, WEIR_WASM_OK, NULL},
    {"call, negative time", "proxy_http_call", TEXT("up"), {T, 2, 0, 0, 0, 0, 0, 0, UINT32_MAX, OUT}, WEIR_WASM_BAD_ARGUMENT, NULL},
    {"call, token nowhere", "proxy_http_call", TEXT("up"), {T, 2, 0, 0, 0, 0, 0, 0, 1, UINT32_MAX},
     WEIR_WASM_INVALID_MEMORY_ACCESS, NULL},
    {"metric of kind 3", "proxy_define_metric", TEXT("m"), {3, T, 1, OUT}, WEIR_WASM_BAD_ARGUMENT, NULL},
    {"metric", "proxy_define_metric", TEXT("m"), {0, T, 1, OUT}, WEIR_WASM_OK, NULL},
    {"increment unknown", "proxy_increment_metric", TEXT(""), {400, 1}, WEIR_WASM_NOT_FOUND, NULL},
    {"record unknown", "proxy_record_metric", TEXT(""), {UINT32_MAX, 1}, WEIR_WASM_NOT_FOUND, NULL},
    {"get unknown metric", "proxy_get_metric", TEXT(""), {0, OUT}, WEIR_WASM_NOT_FOUND, NULL},
    {"shared data missing", "proxy_get_shared_data", TEXT("k"), {T, 1, OUT, OUT + 4, OUT + 8}, WEIR_WASM_NOT_FOUND, NULL},
    {"resolve unknown queue", "proxy_resolve_shared_queue", TEXT("vmq"), {T, 2, T + 2, 1, OUT}, WEIR_WASM_NOT_FOUND, NULL},
    {"dequeue queue 9", "proxy_dequeue_shared_queue", TEXT(""), {9, OUT, OUT + 4}, WEIR_WASM_NOT_FOUND, NULL},
    {"enqueue queue 0", "proxy_enqueue_shared_queue", TEXT("x"), {0, T, 1}, WEIR_WASM_NOT_FOUND, NULL},
    {"foreign function", "proxy_call_foreign_function", TEXT("echoargs"), {T, 4, T + 4, 4, OUT, OUT + 4}, WEIR_WASM_OK, "args"},
    {"foreign without result", "proxy_call_foreign_function", TEXT("echo"), {T, 4, T, 4, 0, 0}, WEIR_WASM_OK, NULL},
    {"unknown foreign function", "proxy_call_foreign_function", TEXT("none"), {T, 4, T, 4, OUT, OUT + 4}, WEIR_WASM_NOT_FOUND, NULL},
    {"status", "proxy_get_status", TEXT(""), {OUT + 8, OUT, OUT + 4}, WEIR_WASM_OK, "reset"},
    {"fd_write to fd 3", "fd_write", TEXT(""), {3, T, 0, OUT}, 8, NULL},
    {"fd_write of wild parts", "fd_write", TEXT("\xff\xff\xff\xff\1\0\0\0"), {1, T, 1, OUT}, 21, NULL},
    {"fd_write of 2^29 parts", "fd_write", TEXT(""), {1, T, 1u << 29, OUT}, 21, NULL},
    {"fd_read", "fd_read", TEXT(""), {0, T, 1, OUT}, 52, NULL},
    {"fd_fdstat_get of stdin", "fd_fdstat_get", TEXT(""), {0, OUT}, 8, NULL},
    {"fd_prestat_get", "fd_prestat_get", TEXT(""), {3, OUT}, 8, NULL},
    {"path_open", "path_open", TEXT("x"), {3, 0, T, 1, 0, 0, 0, 0, OUT}, 44, NULL},
    {"clock 7", "clock_time_get", TEXT(""), {7, 0, OUT}, 58, NULL},
    {"random_get of 1 MB", "random_get", TEXT(""), {0, 1u << 20}, 28, NULL},
    {"random_get outside", "random_get", TEXT(""), {UINT32_MAX - 10, 100}, 21, NULL},
    {"poll_oneoff", "poll_oneoff", TEXT(""), {T, OUT, 1, OUT + 100}, 0, NULL},
};

static void check_row(const struct row *row)
{
    poke(T, row->text, row->text_len);
    uint32_t got = call_on(&stream, row->call, row->args);
    if (got != row->want) fail_msg("%s: answers %u, want %u", row->what, got, row->want);
    if (!row->want_out) return;
    uint32_t at = peek32(OUT), len = peek32(OUT + 4);
    if (len != strlen(row->want_out) || (len > 0 && memcmp(fake_memory(vm, NULL) + at, row->want_out, len) != 0))
        fail_msg("%s: hands over %u bytes at %u, want \"%s\"", row->what, len, at, row->want_out);
    if (len == 0 && at != 0) fail_msg("%s: hands over nothing at address %u", row->what, at);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) check_row(&rows[i]);
}

/* Every call, every argument: addresses and lengths that lie. No crash, no trap, and the VM lives. */
static void test_wild_arguments_never_trap(void **state)
{
    (void)state;
    static const uint64_t wild[] = {0,          1,          2,          131071,     131072,     131073,
                                    0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff, UINT64_MAX, 65536};
    for (size_t op = 0; op < weir_hostcalls_count(); op++) {
        const struct weir_hostcall *row = fake_row(op);
        if (weir_slice_eq(weir_slice_str(row->name), WEIR_S("proc_exit"))) continue;
        size_t n_args = (size_t)(strchr(row->type, ':') - row->type);
        uint64_t seed = 88172645463325252u + op;
        for (int round = 0; round < 200; round++) {
            uint64_t args[ARGS_MAX] = {0};
            for (size_t i = 0; i < n_args; i++) {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                args[i] = wild[seed % WEIR_COUNTOF(wild)];
            }
            prepare(row->name, args);
            bool good = weir_vm_call(vm, WEIR_WASM_CB_TICK, &stream, (uint32_t[]){stream.id}, NULL);
            if (!good) fail_msg("%s in round %d: %.*s", row->name, round, WEIR_SARG(weir_str_slice(&vm->failure)));
            set_allocator(FAKE_ALLOC_GOOD); /* calls may have written there */
        }
    }
}

static void test_pairs_go_over_and_come_back(void **state)
{
    (void)state;
    assert_int_equal(call_on(&stream, "proxy_get_header_map_pairs", (uint64_t[ARGS_MAX]){0, OUT, OUT + 4}), WEIR_WASM_OK);
    uint32_t at = peek32(OUT), len = peek32(OUT + 4);
    assert_int_equal(len, 4 + 16 + 6 + 3 + 6 + 1);
    assert_int_equal(call_on(&stream, "proxy_set_header_map_pairs", (uint64_t[ARGS_MAX]){0, at, len}), WEIR_WASM_OK);
    assert_int_equal(host.maps[0].n, 2);
    assert_true(weir_slice_eq(host.maps[0].pairs[0].name, WEIR_S(":path")));
    assert_true(weir_slice_eq(host.maps[0].pairs[1].value, WEIR_S("")));
    assert_int_equal(call_on(&stream, "proxy_set_header_map_pairs", (uint64_t[ARGS_MAX]){0, at, len - 1}), WEIR_WASM_OK);
    assert_int_equal(host.maps[0].n, 0); /* malformed: taken as empty, as Envoy */
}

static const struct {
    const char *what;
    uint32_t start, len;
    const char *data, *want;
} splices[] = {
    {"append at the end", 10, 0, "ab", "0123456789ab"},
    {"append from behind", 4000000000u, 7, "ab", "0123456789ab"},
    {"prepend", 0, 0, "ab", "ab0123456789"},
    {"replace the front", 0, 3, "ab", "ab3456789"},
    {"replace all", 0, UINT32_MAX, "ab", "ab"},
    {"drop all", 0, 10, "", ""},
    {"in the middle", 2, 3, "ab", "01ab56789"},
    {"insert in the middle", 5, 0, "ab", "01234ab56789"},
    {"cut the end", 8, UINT32_MAX, "", "01234567"},
};

static void test_bodies_are_spliced(void **state)
{
    (void)state;
    struct weir_buf *body = &host.buffers[WEIR_WASM_BUFFER_REQUEST_BODY];
    for (size_t i = 0; i < WEIR_COUNTOF(splices); i++) {
        weir_buf_clear(body);
        weir_buf_add(body, WEIR_S("0123456789"));
        poke(T, splices[i].data, strlen(splices[i].data));
        uint64_t args[ARGS_MAX] = {0, splices[i].start, splices[i].len, T, strlen(splices[i].data)};
        assert_int_equal(call_on(&stream, "proxy_set_buffer_bytes", args), WEIR_WASM_OK);
        char got[64] = {0};
        size_t n = weir_buf_peek(body, 0, got, sizeof got - 1);
        if (n != strlen(splices[i].want) || memcmp(got, splices[i].want, n) != 0)
            fail_msg("%s: \"%s\", want \"%s\"", splices[i].what, got, splices[i].want);
    }
}

static void test_allocators_that_fail(void **state)
{
    (void)state;
    static const uint64_t args[ARGS_MAX] = {0, T, 5, OUT, OUT + 4};
    poke(T, ":path", 5);
    set_allocator(FAKE_ALLOC_NONE);
    assert_int_equal(call_on(&stream, "proxy_get_header_map_value", args), WEIR_WASM_INVALID_MEMORY_ACCESS);
    set_allocator(FAKE_ALLOC_GROWS);
    assert_int_equal(call_on(&stream, "proxy_get_header_map_value", args), WEIR_WASM_OK);
    set_allocator(FAKE_ALLOC_CALLS); /* a hostcall from inside the allocator is refused, not entered */
    assert_int_equal(call_on(&stream, "proxy_get_header_map_value", args), WEIR_WASM_OK);
    assert_int_equal(peek32(992), WEIR_WASM_NOT_FOUND);
    set_allocator(FAKE_ALLOC_OUTSIDE);
    prepare("proxy_get_header_map_value", args);
    assert_false(weir_vm_call(vm, WEIR_WASM_CB_TICK, &stream, (uint32_t[]){stream.id}, NULL));
    assert_int_equal(vm->failure_kind, WEIR_WASM_FAILURE_ALLOCATOR);
}

static void test_trap_in_the_allocator_fails_the_vm(void **state)
{
    (void)state;
    poke(T, ":path", 5);
    set_allocator(FAKE_ALLOC_TRAP);
    prepare("proxy_get_header_map_value", (uint64_t[ARGS_MAX]){0, T, 5, OUT, OUT + 4});
    assert_false(weir_vm_call(vm, WEIR_WASM_CB_TICK, &stream, (uint32_t[]){stream.id}, NULL));
    assert_int_equal(vm->failure_kind, WEIR_WASM_FAILURE_UNREACHABLE);
    assert_false(weir_vm_call(vm, WEIR_WASM_CB_TICK, &stream, (uint32_t[]){stream.id}, NULL));
}

static void test_shared_data_compares_and_swaps(void **state)
{
    (void)state;
    uint64_t set[ARGS_MAX] = {T, 3, T + 3, 2, 0}, get[ARGS_MAX] = {T, 3, OUT, OUT + 4, OUT + 8};
    poke(T, "keyv1", 5);
    set[4] = 77; /* a number for a missing key is taken, as in Envoy */
    assert_int_equal(call_on(&stream, "proxy_set_shared_data", set), WEIR_WASM_OK);
    assert_int_equal(call_on(&stream, "proxy_get_shared_data", get), WEIR_WASM_OK);
    uint32_t cas = peek32(OUT + 8);
    assert_int_not_equal(cas, 0);
    set[4] = cas + 1;
    assert_int_equal(call_on(&stream, "proxy_set_shared_data", set), WEIR_WASM_CAS_MISMATCH);
    set[4] = cas;
    assert_int_equal(call_on(&stream, "proxy_set_shared_data", set), WEIR_WASM_OK);
    set[4] = cas;
    assert_int_equal(call_on(&stream, "proxy_set_shared_data", set), WEIR_WASM_CAS_MISMATCH);
    set[4] = 0;
    assert_int_equal(call_on(&stream, "proxy_set_shared_data", set), WEIR_WASM_OK);
}

static void test_queues_keep_order_and_tell_their_owner(void **state)
{
    (void)state;
    poke(T, "queueone", 8);
    assert_int_equal(call_on(&root, "proxy_register_shared_queue", (uint64_t[ARGS_MAX]){T, 5, OUT}), WEIR_WASM_OK);
    uint32_t id = peek32(OUT);
    assert_int_equal(call_on(&root, "proxy_register_shared_queue", (uint64_t[ARGS_MAX]){T, 5, OUT}), WEIR_WASM_OK);
    assert_int_equal(peek32(OUT), id);
    assert_int_equal(call_on(&root, "proxy_resolve_shared_queue", (uint64_t[ARGS_MAX]){0, 0, T, 5, OUT}), WEIR_WASM_OK);
    assert_int_equal(peek32(OUT), id);
    assert_int_equal(call_on(&stream, "proxy_enqueue_shared_queue", (uint64_t[ARGS_MAX]){id, T + 5, 3}), WEIR_WASM_OK);
    assert_int_equal(call_on(&stream, "proxy_enqueue_shared_queue", (uint64_t[ARGS_MAX]){id, T, 0}), WEIR_WASM_OK);
    assert_int_equal(host.notified, 2);
    assert_int_equal(call_on(&root, "proxy_dequeue_shared_queue", (uint64_t[ARGS_MAX]){id, OUT, OUT + 4}), WEIR_WASM_OK);
    assert_int_equal(peek32(OUT + 4), 3);
    assert_memory_equal(fake_memory(vm, NULL) + peek32(OUT), "one", 3);
    assert_int_equal(call_on(&root, "proxy_dequeue_shared_queue", (uint64_t[ARGS_MAX]){id, OUT, OUT + 4}), WEIR_WASM_OK);
    assert_int_equal(peek32(OUT + 4), 0);
    assert_int_equal(call_on(&root, "proxy_dequeue_shared_queue", (uint64_t[ARGS_MAX]){id, OUT, OUT + 4}), WEIR_WASM_EMPTY);
}

static void test_effective_context_is_of_one_callback(void **state)
{
    (void)state;
    assert_int_equal(call_on(&root, "proxy_set_effective_context", (uint64_t[ARGS_MAX]){stream.id}), WEIR_WASM_OK);
    assert_int_equal(call_on(&root, "proxy_continue_stream", (uint64_t[ARGS_MAX]){0}), WEIR_WASM_OK);
    assert_ptr_equal(host.last_ctx, &root); /* the next callback begins with its own */
}

static void test_environment_and_output(void **state)
{
    (void)state;
    assert_int_equal(call_on(&root, "environ_sizes_get", (uint64_t[ARGS_MAX]){OUT, OUT + 4}), 0);
    assert_int_equal(peek32(OUT), 2);
    assert_int_equal(peek32(OUT + 4), 4 + 9);
    assert_int_equal(call_on(&root, "environ_get", (uint64_t[ARGS_MAX]){OUT, OUT + 100}), 0);
    assert_memory_equal(fake_memory(vm, NULL) + peek32(OUT), "A=1\0LONG=xyz", 13);
    poke(T, (uint32_t[]){T + 100, 3, T + 200, 2}, 16);
    poke(T + 100, "abc", 3);
    poke(T + 200, "d\n", 2);
    weir_str_clear(&host.log);
    assert_int_equal(call_on(&root, "fd_write", (uint64_t[ARGS_MAX]){2, T, 2, OUT}), 0);
    assert_int_equal(peek32(OUT), 5);
    assert_true(weir_slice_eq(weir_str_slice(&host.log), WEIR_S("4 abcd\n")));
}

static int load_driver(void **state)
{
    (void)state;
    struct weir_str wat;
    weir_str_init(&wat, 1 << 20);
    fake_driver_wat(&wat);
    driver = fake_load(weir_str_slice(&wat));
    weir_str_fini(&wat);
    return 0;
}

static int end(void **state)
{
    (void)state;
    weir_wasm_module_unref(driver);
    fake_engine_end();
    return 0;
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_rows),
        TEST(test_wild_arguments_never_trap),
        TEST(test_pairs_go_over_and_come_back),
        TEST(test_bodies_are_spliced),
        TEST(test_allocators_that_fail),
        TEST(test_trap_in_the_allocator_fails_the_vm),
        TEST(test_shared_data_compares_and_swaps),
        TEST(test_queues_keep_order_and_tell_their_owner),
        TEST(test_effective_context_is_of_one_callback),
        TEST(test_environment_and_output),
    };
    return cmocka_run_group_tests(tests, load_driver, end);
}
