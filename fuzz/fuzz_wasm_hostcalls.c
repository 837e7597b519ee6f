/* Sequences of hostcalls with arguments of the input's choice, made by a guest that makes any call (tests/unit/wasm_fake_host.c). Nothing that
 * a guest passes may crash the host or trap; only its own allocator may fail the VM. An input: for each call one byte the row,
 * then a byte for each argument (an index into what is interesting, or the next four bytes as they are). */
#include "fuzz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/log.h"
#include "wasm_fake_host.h"

#define CALLS_MAX 64

static struct weir_wasm_module *driver;
static struct fake_host host;

struct input {
    const uint8_t *at, *end;
};

static uint8_t take(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static uint64_t take_argument(struct input *in)
{
    static const uint64_t known[] = {0,         1,          2,          3,          4,          8,          16,        255,
                                     FAKE_TEXT, FAKE_ARGS,  FAKE_HEAP,  4096,       131068,     131071,     131072,    131073,
                                     65535,     0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffffc, 0xffffffff, 1u << 20,  UINT64_MAX};
    uint8_t choice = take(in);
    if (choice < 192) return known[choice % WEIR_COUNTOF(known)];
    uint64_t value = 0;
    for (int i = 0; i < 4; i++) value = value << 8 | take(in);
    return value;
}

static void set_up(void)
{
    struct weir_str wat;
    weir_log_set_level(WEIR_LOG_OFF);
    weir_str_init(&wat, 1 << 20);
    fake_driver_wat(&wat);
    driver = fake_load(weir_str_slice(&wat));
    weir_str_fini(&wat);
}

static void fill_host(void)
{
    static const struct weir_wasm_env env[] = {{WEIR_S_INIT("NAME"), WEIR_S_INIT("value")}};
    fake_host_init(&host);
    host.opts.shared = weir_wasm_shared_new();
    host.opts.env = env;
    host.opts.n_env = 1;
    for (int m = 0; m < WEIR_WASM_MAP_COUNT; m += 2) {
        host.maps[m].present = true;
        host.maps[m].n = 1;
        host.maps[m].pairs[0] = (struct weir_wasm_pair){WEIR_S(":path"), WEIR_S("/")};
    }
    for (int b = 0; b < WEIR_WASM_BUFFER_COUNT; b += 2) {
        host.has_buffer[b] = true;
        weir_buf_add(&host.buffers[b], WEIR_S("some bytes of a body"));
    }
}

static bool make_call(struct weir_vm *vm, struct weir_wasm_context *ctx, struct input *in)
{
    uint32_t op = (uint32_t)(take(in) % weir_hostcalls_count());
    if (op == weir_hostcalls_index(WEIR_S("proc_exit"))) return true;
    uint64_t args[12];
    size_t size;
    for (size_t i = 0; i < WEIR_COUNTOF(args); i++) args[i] = take_argument(in);
    char *memory = fake_memory(vm, &size);
    uint32_t allocator = take(in) % 8; /* 0 to 5; what writes there may say anything anyway */
    memcpy(memory + FAKE_ALLOCATOR, &allocator, 4);
    memcpy(memory + FAKE_OP, &op, 4);
    memcpy(memory + FAKE_ARGS, args, sizeof args);
    for (int i = 0; i < 64; i++) memory[FAKE_TEXT + i] = (char)take(in);
    bool good = weir_vm_call(vm, WEIR_WASM_CB_TICK, ctx, (uint32_t[]){ctx->id}, NULL);
    if (!good && allocator != FAKE_ALLOC_OUTSIDE && allocator != FAKE_ALLOC_TRAP && vm->failure_kind != WEIR_WASM_FAILURE_ALLOCATOR)
        abort();
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (!driver) set_up();
    fill_host();
    struct weir_str err;
    weir_str_init(&err, 4096);
    struct weir_vm *vm = NULL;
    if (weir_vm_new(driver, &host.opts, &err, &vm) != WEIR_OK) abort();
    struct weir_wasm_context root = {0}, stream = {0};
    weir_vm_add_context(vm, &root, NULL);
    weir_vm_add_context(vm, &stream, &root);
    struct input in = {data, data + len};
    for (int i = 0; i < CALLS_MAX && in.at < in.end; i++)
        if (!make_call(vm, take(&in) & 1 ? &stream : &root, &in)) break;
    weir_vm_free(vm);
    weir_wasm_shared_free(host.opts.shared);
    fake_host_fini(&host);
    weir_str_fini(&err);
    return 0;
}
