/* VMs: what a guest does wrong costs the VM and nothing else, with a reason that names it; loading, starting, the cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "wasm_fake_host.h"

#define HEAD "(module (memory (export \"memory\") 1) (func (export \"proxy_abi_version_0_2_0\"))" \
             "(func (export \"malloc\") (param i32) (result i32) (i32.const 1024))"
#define TICK(body) HEAD "(func $tick (export \"proxy_on_tick\") (param i32) " body "))"

static struct fake_host host;

static int setup(void **state)
{
    (void)state;
    fake_host_init(&host);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_host_fini(&host);
    return 0;
}

/* ---- failures ---- */

static const struct {
    const char *what;
    struct weir_slice wat;
    enum weir_wasm_failure_kind kind;
    const char *text;
} failures[] = {
    {"unreachable", WEIR_S_INIT(TICK("unreachable")), WEIR_WASM_FAILURE_UNREACHABLE, "; at tick"},
    {"endless loop", WEIR_S_INIT(TICK("(loop (br 0))")), WEIR_WASM_FAILURE_DEADLINE, "CPU deadline"},
    {"endless recursion", WEIR_S_INIT(TICK("(call $tick (i32.const 0))")), WEIR_WASM_FAILURE_STACK, "call stack exhausted"},
    {"read outside", WEIR_S_INIT(TICK("(drop (i32.load (i32.const 0x7fffffff)))")), WEIR_WASM_FAILURE_MEMORY, "out of bounds"},
    {"division by zero", WEIR_S_INIT(TICK("(drop (i32.div_u (i32.const 1) (i32.const 0)))")), WEIR_WASM_FAILURE_ARITHMETIC,
     "division by zero"},
    {"memory bomb",
     WEIR_S_INIT(TICK("(loop (br_if 0 (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable")),
     WEIR_WASM_FAILURE_UNREACHABLE, "its limit is 64 MiB"},
    {"empty table entry",
     WEIR_S_INIT(HEAD "(table 1 funcref) (type $t (func)) (func (export \"proxy_on_tick\") (param i32) "
                      "(call_indirect (type $t) (i32.const 0))))"),
     WEIR_WASM_FAILURE_INDIRECT_CALL, "empty table entry"},
    {"proc_exit",
     WEIR_S_INIT("(module (import \"wasi_unstable\" \"proc_exit\" (func $exit (param i32))) (memory (export \"memory\") 1)"
                 "(func (export \"proxy_abi_version_0_1_0\")) (func (export \"malloc\") (param i32) (result i32) (i32.const 8))"
                 "(func (export \"proxy_on_tick\") (param i32) (call $exit (i32.const 3))))"),
     WEIR_WASM_FAILURE_EXIT, "proc_exit"},
};

static void test_failures_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < WEIR_COUNTOF(failures); i++) {
        struct weir_vm *vm = fake_vm(&host, failures[i].wat);
        struct weir_wasm_context root = {0};
        weir_vm_add_context(vm, &root, NULL);
        bool good = weir_vm_call(vm, WEIR_WASM_CB_TICK, &root, (uint32_t[]){root.id}, NULL);
        if (good || vm->failure_kind != failures[i].kind || vm->failure_cb != WEIR_WASM_CB_TICK ||
            weir_slice_search(weir_str_slice(&vm->failure), weir_slice_str(failures[i].text)) == SIZE_MAX)
            fail_msg("%s: %s: %.*s", failures[i].what, weir_wasm_failure_name(vm->failure_kind),
                     WEIR_SARG(weir_str_slice(&vm->failure)));
        assert_false(weir_vm_call(vm, WEIR_WASM_CB_TICK, &root, (uint32_t[]){root.id}, NULL));
        weir_vm_free(vm);
    }
}

static double cpu_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void test_deadline_is_kept(void **state)
{
    (void)state;
    host.opts.deadline_ms = 20;
    struct weir_vm *vm = fake_vm(&host, WEIR_S(TICK("(loop (br 0))")));
    struct weir_wasm_context root = {0};
    weir_vm_add_context(vm, &root, NULL);
    double begin = cpu_ms();
    assert_false(weir_vm_call(vm, WEIR_WASM_CB_TICK, &root, (uint32_t[]){root.id}, NULL));
    double took = cpu_ms() - begin;
    if (took < 10 || took > 40) fail_msg("stopped after %.1f ms of CPU time, the deadline is 20", took);
    weir_vm_free(vm);
}

/* A loop through the host is stopped too. */
static void test_deadline_holds_through_hostcalls(void **state)
{
    (void)state;
    static const struct weir_slice wat =
        WEIR_S_INIT("(module (import \"env\" \"proxy_log\" (func $log (param i32 i32 i32) (result i32)))"
                    "(memory (export \"memory\") 1) (func (export \"proxy_abi_version_0_2_0\"))"
                    "(func (export \"malloc\") (param i32) (result i32) (i32.const 8))"
                    "(func (export \"proxy_on_tick\") (param i32)"
                    " (loop (drop (call $log (i32.const 0) (i32.const 0) (i32.const 10))) (br 0))))");
    struct weir_vm *vm = fake_vm(&host, wat);
    struct weir_wasm_context root = {0};
    weir_vm_add_context(vm, &root, NULL);
    assert_false(weir_vm_call(vm, WEIR_WASM_CB_TICK, &root, (uint32_t[]){root.id}, NULL));
    assert_int_equal(vm->failure_kind, WEIR_WASM_FAILURE_DEADLINE);
    weir_vm_free(vm);
}

/* ---- what is refused when loaded or started ---- */

#define ABI "(func (export \"proxy_abi_version_0_2_1\"))"
#define MEM "(memory (export \"memory\") 1)"
#define MALLOC "(func (export \"malloc\") (param i32) (result i32) (i32.const 8))"

static const struct {
    const char *what;
    struct weir_slice wat;
    const char *err;
} refused[] = {
    {"no ABI marker", WEIR_S_INIT("(module " MEM MALLOC ")"), "proxy_abi_version"},
    {"unknown ABI", WEIR_S_INIT("(module " MEM MALLOC "(func (export \"proxy_abi_version_0_9_0\")))"), "proxy_abi_version"},
    {"no memory", WEIR_S_INIT("(module " ABI MALLOC ")"), "exports no memory"},
    {"no allocator", WEIR_S_INIT("(module " ABI MEM ")"), "proxy_on_memory_allocate"},
    {"4 GiB at once", WEIR_S_INIT("(module " ABI MALLOC "(memory (export \"memory\") 65536))"), "the limit is 64 MiB"},
    {"imported memory", WEIR_S_INIT("(module (import \"env\" \"memory\" (memory 1)) (export \"memory\" (memory 0))" ABI MALLOC ")"),
     "functions only"},
    {"import of another module", WEIR_S_INIT("(module (import \"gojs\" \"run\" (func))" MEM ABI MALLOC ")"), "gojs.run"},
    {"start section that traps", WEIR_S_INIT("(module " MEM ABI MALLOC "(func $s unreachable) (start $s))"), "wasm start"},
    {"start section that loops", WEIR_S_INIT("(module " MEM ABI MALLOC "(func $s (loop (br 0))) (start $s))"), "CPU deadline"},
    {"_initialize that traps", WEIR_S_INIT("(module " MEM ABI MALLOC "(func (export \"_initialize\") unreachable))"), "_initialize"},
    {"table of 10 million", WEIR_S_INIT("(module " MEM ABI MALLOC "(table 10000000 funcref))"), "table"},
    {"_start that exits with 1",
     WEIR_S_INIT("(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $e (param i32)))" MEM ABI MALLOC
                 "(func (export \"_start\") (call $e (i32.const 1))))"),
     "proc_exit"},
};

static bool load_and_start(struct weir_slice code, struct weir_str *err)
{
    struct weir_str warnings;
    weir_str_init(&warnings, 4096);
    struct weir_wasm_module *module = NULL;
    struct weir_vm *vm = NULL;
    bool good = weir_wasm_module_load(fake_engine(), code, 64u << 20, err, &warnings, &module) == WEIR_OK &&
                weir_vm_new(module, &host.opts, err, &vm) == WEIR_OK;
    weir_vm_free(vm);
    weir_wasm_module_unref(module);
    weir_str_fini(&warnings);
    return good;
}

static void test_bad_modules_are_refused_with_a_reason(void **state)
{
    (void)state;
    host.opts.start_deadline_ms = 50;
    for (size_t i = 0; i < WEIR_COUNTOF(refused); i++) {
        struct weir_slice code = fake_assemble(refused[i].wat);
        if (!code.ptr) fail_msg("%s: no module", refused[i].what);
        struct weir_str err;
        weir_str_init(&err, 4096);
        bool good = load_and_start(code, &err);
        if (good || weir_slice_search(weir_str_slice(&err), weir_slice_str(refused[i].err)) == SIZE_MAX)
            fail_msg("%s: %.*s", refused[i].what, WEIR_SARG(weir_str_slice(&err)));
        weir_str_fini(&err);
        fake_free(code);
    }
}

static void test_what_is_no_module_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct weir_slice code;
        const char *err;
    } bytes[] = {
        {WEIR_S_INIT(""), "empty"},
        {WEIR_S_INIT("GIF89a.."), "no Wasm module"},
        {WEIR_S_INIT("\0asm\1\0\0"), "no Wasm module"},
        {WEIR_S_INIT("\0asm\15\0\1\0xxxx"), "component"},
        {WEIR_S_INIT("\0asm\1\0\0\0\1\377"), "cannot be compiled"},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(bytes); i++) {
        struct weir_str err;
        weir_str_init(&err, 4096);
        assert_false(load_and_start(bytes[i].code, &err));
        if (weir_slice_search(weir_str_slice(&err), weir_slice_str(bytes[i].err)) == SIZE_MAX)
            fail_msg("row %zu: %.*s", i, WEIR_SARG(weir_str_slice(&err)));
        weir_str_fini(&err);
    }
}

/* ---- starting ---- */

static void test_start_sequence(void **state)
{
    (void)state;
    static const struct weir_slice wat = WEIR_S_INIT(
        "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $e (param i32)))"
        "(import \"env\" \"proxy_log\" (func $log (param i32 i32 i32) (result i32)))"
        "(import \"env\" \"proxy_set_tick_period_milliseconds\" (func $tick (param i32) (result i32)))" MEM ABI MALLOC
        "(data (i32.const 0) \"start_init__main\")"
        "(func $say (param i32 i32) (drop (call $log (i32.const 2) (local.get 0) (local.get 1))))"
        "(func $s (call $say (i32.const 0) (i32.const 5))) (start $s)"
        "(func (export \"_initialize\") (call $say (i32.const 6) (i32.const 4)) (drop (call $tick (i32.const 5))))"
        "(func (export \"_start\") unreachable)" /* not called where _initialize is there */
        "(func (export \"main\") (param i32 i32) (result i32) (call $say (i32.const 12) (i32.const 4)) (i32.const 0)))");
    struct weir_vm *vm = fake_vm(&host, wat);
    assert_true(weir_slice_eq(weir_str_slice(&host.log), WEIR_S("2 start\n2 init\n2 main\n")));
    assert_int_equal(host.trace.len, 0); /* the tick was refused: too early */
    weir_vm_free(vm);
}

static void test_exit_0_in_start_is_a_normal_end(void **state)
{
    (void)state;
    struct weir_vm *vm =
        fake_vm(&host, WEIR_S("(module (import \"wasi_unstable\" \"proc_exit\" (func $e (param i32)))" MEM ABI MALLOC
                              "(func (export \"_start\") (call $e (i32.const 0))) (func (export \"proxy_on_tick\") (param i32)))"));
    assert_true(weir_vm_call(vm, WEIR_WASM_CB_TICK, NULL, (uint32_t[]){1}, NULL));
    weir_vm_free(vm);
}

/* The number of parameters is the export's, whatever version it declares; other shapes are as good as absent. */
static void test_call_shape_is_the_exports(void **state)
{
    (void)state;
    static const struct weir_slice wat = WEIR_S_INIT(
        "(module (func (export \"proxy_abi_version_0_1_0\"))" MEM MALLOC
        "(func (export \"proxy_on_request_headers\") (param i32 i32 i32) (result i32) (i32.add (local.get 1) (local.get 2)))"
        "(func (export \"proxy_on_response_headers\") (param i32 i32) (result i32) (local.get 1))"
        "(func (export \"proxy_on_request_body\") (param i64) (result i32) unreachable))");
    struct weir_vm *vm = fake_vm(&host, wat);
    uint32_t answer = 99;
    assert_true(weir_vm_call(vm, WEIR_WASM_CB_REQUEST_HEADERS, NULL, (uint32_t[]){1, 40, 2}, &answer));
    assert_int_equal(answer, 42);
    assert_true(weir_vm_call(vm, WEIR_WASM_CB_RESPONSE_HEADERS, NULL, (uint32_t[]){1, 7, 1}, &answer));
    assert_int_equal(answer, 7);
    answer = 0;
    assert_true(weir_vm_call(vm, WEIR_WASM_CB_REQUEST_BODY, NULL, (uint32_t[]){1, 7, 1}, &answer));
    assert_int_equal(answer, 0);
    weir_vm_free(vm);
}

static void test_unknown_imports_answer_unimplemented(void **state)
{
    (void)state;
    static const struct weir_slice wat = WEIR_S_INIT(
        "(module (import \"env\" \"proxy_new_thing\" (func $a (param i64) (result i32)))"
        "(import \"wasi_snapshot_preview1\" \"sock_dance\" (func $b (result i32)))"
        "(import \"env\" \"proxy_log\" (func $c (param i64) (result i32)))" MEM ABI MALLOC
        "(func (export \"proxy_on_request_headers\") (param i32 i32) (result i32)"
        " (i32.add (i32.mul (call $a (i64.const 1)) (i32.const 100)) (i32.add (call $b) (i32.mul (call $c (i64.const 1)) (i32.const 10000))))))");
    struct weir_vm *vm = fake_vm(&host, wat);
    uint32_t answer = 0;
    assert_true(weir_vm_call(vm, WEIR_WASM_CB_REQUEST_HEADERS, NULL, (uint32_t[]){1, 7, 1}, &answer));
    assert_int_equal(answer, 12 * 10000 + 12 * 100 + 52);
    weir_vm_free(vm);
}

/* Nothing of one VM's memory is seen by the next (CVE-2022-39393). */
static void test_memory_of_an_ended_vm_is_not_seen(void **state)
{
    (void)state;
    static const struct weir_slice wat = WEIR_S_INIT(HEAD "(func (export \"proxy_on_tick\") (param i32)))");
    struct weir_wasm_module *module = fake_load(wat);
    struct weir_str err;
    weir_str_init(&err, 4096);
    for (int round = 0; round < 50; round++) {
        struct weir_vm *vm = NULL;
        assert_int_equal(weir_vm_new(module, &host.opts, &err, &vm), WEIR_OK);
        size_t size;
        char *memory = fake_memory(vm, &size);
        for (size_t i = 0; i < size; i++) assert_int_equal(memory[i], 0);
        memset(memory, 0x5a, size);
        weir_vm_free(vm);
    }
    weir_str_fini(&err);
    weir_wasm_module_unref(module);
}

/* ---- the cache ---- */

static struct weir_wasm_module *load_with(struct weir_wasm_engine *engine, struct weir_slice code)
{
    struct weir_str err, warnings;
    weir_str_init(&err, 4096);
    weir_str_init(&warnings, 4096);
    struct weir_wasm_module *module = NULL;
    if (weir_wasm_module_load(engine, code, 64u << 20, &err, &warnings, &module) != WEIR_OK)
        fail_msg("%.*s", WEIR_SARG(weir_str_slice(&err)));
    weir_str_fini(&err);
    weir_str_fini(&warnings);
    return module;
}

/* Calls fn on every file of the cache whose name ends so. */
static void each_file(const char *dir, const char *suffix, void (*fn)(const char *path))
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    struct dirent *entry;
    while ((entry = readdir(d)) != NULL) {
        char path[600];
        if (!weir_slice_ends_with(weir_slice_str(entry->d_name), weir_slice_str(suffix))) continue;
        (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        fn(path);
    }
    (void)closedir(d);
}

static void flip_byte(const char *path)
{
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    (void)fseek(file, -100, SEEK_END);
    int c = fgetc(file);
    (void)fseek(file, -1, SEEK_CUR);
    (void)fputc(c ^ 0x40, file);
    (void)fclose(file);
}

static void cut_short(const char *path)
{
    assert_int_equal(truncate(path, 1000), 0);
}

static void open_to_all(const char *path)
{
    assert_int_equal(chmod(path, 0666), 0);
}

static void remove_file(const char *path)
{
    assert_int_equal(remove(path), 0);
}

static void test_cache_is_used_and_never_trusted_blindly(void **state)
{
    (void)state;
    char dir[] = "/tmp/weir_cache_XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct weir_str err;
    weir_str_init(&err, 4096);
    struct weir_wasm_engine_opts opts = {.cache_dir = dir, .no_signals = true};
    struct weir_wasm_engine *engine = weir_wasm_engine_new(&opts, &err);
    assert_non_null(engine);
    struct weir_slice code = fake_assemble(WEIR_S(TICK("")));
    static void (*const spoil[])(const char *path) = {NULL, flip_byte, cut_short, open_to_all, remove_file};
    static const char *const suffix[] = {"", ".code", ".code", ".code", ".sum"};
    for (size_t i = 0; i < WEIR_COUNTOF(spoil); i++) {
        weir_wasm_module_unref(load_with(engine, code)); /* fills or mends it */
        if (spoil[i]) each_file(dir, suffix[i], spoil[i]);
        struct weir_wasm_module *module = load_with(engine, code);
        if (module->from_cache != (spoil[i] == NULL)) fail_msg("row %zu: from cache: %d", i, module->from_cache);
        struct weir_vm *vm = NULL;
        assert_int_equal(weir_vm_new(module, &host.opts, &err, &vm), WEIR_OK);
        assert_true(weir_vm_call(vm, WEIR_WASM_CB_TICK, NULL, (uint32_t[]){1}, NULL));
        weir_vm_free(vm);
        weir_wasm_module_unref(module);
    }
    assert_int_equal(chmod(dir, 0777), 0); /* a folder that others can write is not used */
    struct weir_wasm_module *module = load_with(engine, code);
    assert_false(module->from_cache);
    weir_wasm_module_unref(module);
    assert_int_equal(chmod(dir, 0700), 0);
    each_file(dir, ".code", remove_file);
    each_file(dir, ".sum", remove_file);
    assert_int_equal(rmdir(dir), 0);
    fake_free(code);
    weir_str_fini(&err);
    weir_wasm_engine_free(engine);
}

static void test_contexts_by_the_thousand(void **state)
{
    (void)state;
    struct weir_vm *vm = fake_vm(&host, WEIR_S(TICK("")));
    static struct weir_wasm_context many[5000];
    memset(many, 0, sizeof many);
    for (size_t i = 0; i < WEIR_COUNTOF(many); i++) weir_vm_add_context(vm, &many[i], i ? &many[0] : NULL);
    for (size_t i = 0; i < WEIR_COUNTOF(many); i++) assert_ptr_equal(weir_vm_context(vm, many[i].id), &many[i]);
    for (size_t i = 0; i < WEIR_COUNTOF(many); i += 2) weir_vm_remove_context(vm, &many[i]);
    for (size_t i = 1; i < WEIR_COUNTOF(many); i += 2) assert_ptr_equal(weir_vm_context(vm, many[i].id), &many[i]);
    assert_null(weir_vm_context(vm, 1));
    vm->next_id = UINT32_MAX - 1; /* ids go round and never collide */
    struct weir_wasm_context more[6];
    memset(more, 0, sizeof more);
    for (size_t i = 0; i < WEIR_COUNTOF(more); i++) {
        weir_vm_add_context(vm, &more[i], NULL);
        assert_int_not_equal(more[i].id, 0);
        assert_ptr_equal(weir_vm_context(vm, more[i].id), &more[i]);
    }
    weir_vm_free(vm);
}

static int end(void **state)
{
    (void)state;
    fake_engine_end();
    return 0;
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_failures_are_named),
        TEST(test_deadline_is_kept),
        TEST(test_deadline_holds_through_hostcalls),
        TEST(test_bad_modules_are_refused_with_a_reason),
        TEST(test_what_is_no_module_is_refused),
        TEST(test_start_sequence),
        TEST(test_exit_0_in_start_is_a_normal_end),
        TEST(test_call_shape_is_the_exports),
        TEST(test_unknown_imports_answer_unimplemented),
        TEST(test_memory_of_an_ended_vm_is_not_seen),
        TEST(test_cache_is_used_and_never_trusted_blindly),
        TEST(test_contexts_by_the_thousand),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
