/* One VM: instantiation, start sequence, calls, deadlines, failure.
 *
 *   new --_initialize/_start--> ready --call--> running --return--> ready
 *                                  \                \--trap, deadline, bad allocator--> failed (for good)
 *
 * A call runs on the caller's thread until the guest returns. While it runs the guest may call hostcalls (hostcalls.c), and a
 * hostcall may call the guest's allocator (depth 2); nothing else enters the VM then.
 *
 * Deadlines: the engine's ticker raises the epoch; guest code that sees it raised calls on_epoch, which charges the callback
 * with the CPU time of this thread since the first tick that it saw. So a callback pays for what it ran, not for what the
 * machine gave to others, and one that is over before a tick costs one store. */
#include "wasm/vm.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "wasm/limits.h"
#include "wasm/shared.h"
#include "wasm/vm_priv.h"

#define FAILURE_TEXT_MAX 4096
#define FRAMES_MAX 20

static const char *const failure_names[WEIR_WASM_FAILURE_COUNT] = {
#define X(id, name) [WEIR_WASM_FAILURE_##id] = name,
    WEIR_WASM_FAILURES(X)
#undef X
};

const char *weir_wasm_failure_name(enum weir_wasm_failure_kind kind)
{
    return (unsigned)kind < WEIR_WASM_FAILURE_COUNT ? failure_names[kind] : "other";
}

/* ---- failure ---- */

static const struct {
    enum weir_wasm_failure_kind kind;
    const char *text;
} trap_kinds[] = {
    [WASMTIME_TRAP_CODE_STACK_OVERFLOW] = {WEIR_WASM_FAILURE_STACK, "call stack exhausted"},
    [WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS] = {WEIR_WASM_FAILURE_MEMORY, "memory access out of bounds"},
    [WASMTIME_TRAP_CODE_HEAP_MISALIGNED] = {WEIR_WASM_FAILURE_MEMORY, "misaligned memory access"},
    [WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS] = {WEIR_WASM_FAILURE_INDIRECT_CALL, "table access out of bounds"},
    [WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL] = {WEIR_WASM_FAILURE_INDIRECT_CALL, "call through an empty table entry"},
    [WASMTIME_TRAP_CODE_BAD_SIGNATURE] = {WEIR_WASM_FAILURE_INDIRECT_CALL, "indirect call with another signature"},
    [WASMTIME_TRAP_CODE_INTEGER_OVERFLOW] = {WEIR_WASM_FAILURE_ARITHMETIC, "integer overflow"},
    [WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO] = {WEIR_WASM_FAILURE_ARITHMETIC, "integer division by zero"},
    [WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER] = {WEIR_WASM_FAILURE_ARITHMETIC, "invalid conversion to integer"},
    [WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED] = {WEIR_WASM_FAILURE_UNREACHABLE, "unreachable code reached (panic or abort)"},
    [WASMTIME_TRAP_CODE_INTERRUPT] = {WEIR_WASM_FAILURE_DEADLINE, "deadline missed"},
};

/* "  3:  0x1f2e - module!name" and "  at file.c:3:4" become "name (file.c:3:4)", joined with " < ". */
static void add_frames(struct weir_slice message, struct weir_str *out)
{
    struct weir_slice line;
    unsigned n = 0;
    while (weir_slice_next(&message, '\n', &line)) {
        line = weir_slice_trim(line);
        if (weir_slice_starts_with(line, WEIR_S("Caused by"))) break;
        if (n > 0 && n <= FRAMES_MAX && weir_slice_starts_with(line, WEIR_S("at "))) {
            weir_str_printf(out, " (%.*s)", WEIR_SARG(weir_slice_from(line, 3)));
            continue;
        }
        size_t dash = weir_slice_search(line, WEIR_S(" - "));
        if (line.len == 0 || line.ptr[0] < '0' || line.ptr[0] > '9' || dash == SIZE_MAX) continue;
        struct weir_slice name = weir_slice_from(line, dash + 3);
        size_t module_end = weir_slice_find(name, '!');
        if (module_end < name.len) name = weir_slice_from(name, module_end + 1);
        if (++n <= FRAMES_MAX) weir_str_printf(out, "%s%.*s", n == 1 ? "; at " : " < ", WEIR_SARG(name));
    }
    if (n > FRAMES_MAX) weir_str_printf(out, " < %u more", n - FRAMES_MAX);
}

static void add_memory_hint(struct weir_vm *vm, struct weir_str *out)
{
    uint64_t bytes = weir_vm_memory_bytes(vm);
    if (bytes + bytes / 8 >= vm->opts->memory_max)
        weir_str_printf(out, " (it holds %llu MiB of memory, its limit is %llu MiB)", (unsigned long long)(bytes >> 20),
                        (unsigned long long)(vm->opts->memory_max >> 20));
}

void weir_vm_fail(struct weir_vm *vm, enum weir_wasm_failure_kind kind, enum weir_wasm_cb cb, const char *fmt, ...)
{
    if (vm->failed) return;
    vm->failed = true;
    vm->failure_kind = kind;
    vm->failure_cb = cb;
    char text[1024];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    weir_str_clear(&vm->failure);
    if (n > 0) weir_str_add(&vm->failure, weir_slice(text, WEIR_MIN((size_t)n, sizeof text - 1)));
}

static void fail_with_message(struct weir_vm *vm, enum weir_wasm_failure_kind kind, enum weir_wasm_cb cb, const char *what,
                              struct weir_slice message)
{
    weir_vm_fail(vm, kind, cb, "%s", what);
    if (vm->failure_kind == kind) {
        add_memory_hint(vm, &vm->failure);
        add_frames(message, &vm->failure);
    }
}

/* What happened, as far as this side knows it. */
static bool known_failure(const struct weir_vm *vm, enum weir_wasm_failure_kind *ret_kind, const char **ret_what)
{
    if (vm->deadline_hit) {
        *ret_kind = WEIR_WASM_FAILURE_DEADLINE;
        *ret_what = "ran longer than its CPU deadline";
    } else if (vm->exited) {
        *ret_kind = WEIR_WASM_FAILURE_EXIT;
        *ret_what = "ended itself with proc_exit";
    } else {
        return false;
    }
    return true;
}

static void fail_by_trap(struct weir_vm *vm, enum weir_wasm_cb cb, const wasm_trap_t *trap)
{
    wasm_message_t message;
    wasm_trap_message(trap, &message);
    struct weir_slice text = {message.data, message.size > 0 ? message.size - 1 : 0};
    enum weir_wasm_failure_kind kind = WEIR_WASM_FAILURE_OTHER;
    const char *what = "trapped";
    wasmtime_trap_code_t code;
    if (!known_failure(vm, &kind, &what) && wasmtime_trap_code(trap, &code) && code < WEIR_COUNTOF(trap_kinds) &&
        trap_kinds[code].text) {
        kind = trap_kinds[code].kind;
        what = trap_kinds[code].text;
    }
    fail_with_message(vm, kind, cb, what, text);
    wasm_byte_vec_delete(&message);
}

static void fail_by_error(struct weir_vm *vm, enum weir_wasm_cb cb, const wasmtime_error_t *error)
{
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    enum weir_wasm_failure_kind kind = WEIR_WASM_FAILURE_OTHER;
    const char *what = "failed";
    (void)known_failure(vm, &kind, &what);
    fail_with_message(vm, kind, cb, what, weir_slice(message.data, message.size));
    wasm_byte_vec_delete(&message);
}

/* Takes what a call left behind; true when all went well. */
static bool settle(struct weir_vm *vm, enum weir_wasm_cb cb, wasmtime_error_t *error, wasm_trap_t *trap)
{
    if (WEIR_LIKELY(!error && !trap)) return !vm->failed;
    if (vm->starting && vm->exited && vm->exit_code == 0 && !vm->failed) {
        /* _start of a command module that ended with exit(0): a normal end. */
        vm->exited = false;
        if (trap) wasm_trap_delete(trap);
        if (error) wasmtime_error_delete(error);
        return true;
    }
    if (trap) {
        fail_by_trap(vm, cb, trap);
        wasm_trap_delete(trap);
    }
    if (error) {
        fail_by_error(vm, cb, error);
        wasmtime_error_delete(error);
    }
    return false;
}

/* ---- deadlines ---- */

static uint64_t thread_cpu_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static wasmtime_error_t *on_epoch(wasmtime_context_t *context, void *data, uint64_t *delta,
                                  wasmtime_update_deadline_kind_t *kind)
{
    (void)context;
    struct weir_vm *vm = data;
    uint64_t now = thread_cpu_ns();
    weir_wasm_ticker_need(vm->module->engine); /* not before this callback is over, however long the machine keeps it waiting */
    *delta = 1;
    *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
    if (vm->cpu_base_ns == 0) {
        vm->cpu_base_ns = now;
        return NULL;
    }
    if (now - vm->cpu_base_ns < vm->cpu_limit_ns) return NULL;
    vm->deadline_hit = true;
    return wasmtime_error_new("deadline");
}

static void arm_deadline(struct weir_vm *vm, uint32_t limit_ms)
{
    /* Up to one tick has passed when on_epoch begins to count. */
    uint32_t counted = limit_ms > WEIR_WASM_EPOCH_MS ? limit_ms - WEIR_WASM_EPOCH_MS : 1;
    vm->cpu_limit_ns = (uint64_t)counted * 1000000u;
    vm->cpu_base_ns = 0;
    weir_wasm_ticker_need(vm->module->engine);
    wasmtime_context_set_epoch_deadline(vm->context, 1);
}

static uint32_t deadline_of(const struct weir_vm *vm, enum weir_wasm_cb cb)
{
    bool start = vm->starting || cb == WEIR_WASM_CB_VM_START || cb == WEIR_WASM_CB_CONFIGURE || cb == WEIR_WASM_CB_VALIDATE;
    return start ? vm->opts->start_deadline_ms : vm->opts->deadline_ms;
}

/* ---- calls ---- */

/* The longest argument list of a callback. */
#define ARGS_MAX 5

bool weir_vm_call(struct weir_vm *vm, enum weir_wasm_cb cb, struct weir_wasm_context *ctx, const uint32_t *args, uint32_t *ret)
{
    if (WEIR_UNLIKELY(vm->failed)) return false;
    uint8_t n = vm->n_params[cb];
    if (n == UINT8_MAX) return true;
    WEIR_ASSERT(vm->depth == 0);
    wasmtime_val_raw_t raw[ARGS_MAX];
    raw[0].i64 = 0;
    for (uint8_t i = 0; i < n; i++) raw[i].i64 = (int64_t)args[i];
    vm->natural = vm->effective = ctx;
    vm->running = cb;
    vm->calls++;
    arm_deadline(vm, deadline_of(vm, cb));
    vm->depth = 1;
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error =
        wasmtime_func_call_unchecked(vm->context, &vm->funcs[cb], raw, n > 0 ? n : 1, &trap);
    vm->depth = 0;
    vm->natural = vm->effective = NULL;
    if (!settle(vm, cb, error, trap)) return false;
    if (ret) *ret = (uint32_t)raw[0].i32;
    return true;
}

bool weir_vm_call_allocator(struct weir_vm *vm, uint32_t size, uint32_t *ret_ptr)
{
    /* proxy_on_memory_allocate first: TinyGo's malloc leaks what it gives (tinygo#4704). */
    enum weir_wasm_cb cb =
        weir_vm_has(vm, WEIR_WASM_CB_MEMORY_ALLOCATE) ? WEIR_WASM_CB_MEMORY_ALLOCATE : WEIR_WASM_CB_MALLOC;
    if (vm->failed || vm->in_allocator || !weir_vm_has(vm, cb)) return false;
    wasmtime_val_raw_t raw[1];
    raw[0].i64 = (int64_t)size;
    vm->in_allocator = true;
    vm->depth++;
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = wasmtime_func_call_unchecked(vm->context, &vm->funcs[cb], raw, 1, &trap);
    vm->depth--;
    vm->in_allocator = false;
    if (!settle(vm, cb, error, trap)) return false;
    *ret_ptr = (uint32_t)raw[0].i32;
    return true;
}

uint32_t weir_vm_new_token(struct weir_vm *vm)
{
    /* As Envoy counts them: steps of 4 from 4 on; 0 is never a token. */
    vm->next_token += 4;
    if (vm->next_token == 0) vm->next_token = 4;
    return vm->next_token;
}

uint64_t weir_vm_memory_bytes(const struct weir_vm *vm)
{
    return vm->has_memory ? wasmtime_memory_data_size(vm->context, &vm->memory) : 0;
}

/* ---- contexts ---- */

static void grow_contexts(struct weir_vm *vm)
{
    uint32_t cap = vm->cap_contexts ? vm->cap_contexts * 2 : 64;
    struct weir_wasm_context **table = weir_zalloc(cap * sizeof *table);
    for (uint32_t i = 0; i < vm->cap_contexts; i++) {
        struct weir_wasm_context *ctx = vm->contexts[i];
        while (ctx) {
            struct weir_wasm_context *next = ctx->next;
            ctx->next = table[ctx->id & (cap - 1)];
            table[ctx->id & (cap - 1)] = ctx;
            ctx = next;
        }
    }
    weir_free(vm->contexts);
    vm->contexts = table;
    vm->cap_contexts = cap;
}

struct weir_wasm_context *weir_vm_context(const struct weir_vm *vm, uint32_t id)
{
    if (vm->cap_contexts == 0) return NULL;
    struct weir_wasm_context *ctx = vm->contexts[id & (vm->cap_contexts - 1)];
    while (ctx && ctx->id != id) ctx = ctx->next;
    return ctx;
}

void weir_vm_add_context(struct weir_vm *vm, struct weir_wasm_context *ctx, struct weir_wasm_context *root)
{
    if (vm->n_contexts >= vm->cap_contexts) grow_contexts(vm);
    do {
        vm->next_id++; /* ids are not used again while they live, also after 2^32 streams */
    } while (vm->next_id == 0 || weir_vm_context(vm, vm->next_id));
    ctx->id = vm->next_id;
    ctx->root = root ? root : ctx;
    ctx->vm = vm;
    struct weir_wasm_context **slot = &vm->contexts[ctx->id & (vm->cap_contexts - 1)];
    ctx->next = *slot;
    *slot = ctx;
    vm->n_contexts++;
}

void weir_vm_remove_context(struct weir_vm *vm, struct weir_wasm_context *ctx)
{
    if (ctx->id == 0 || vm->cap_contexts == 0) return;
    struct weir_wasm_context **slot = &vm->contexts[ctx->id & (vm->cap_contexts - 1)];
    while (*slot && *slot != ctx) slot = &(*slot)->next;
    if (!*slot) return;
    *slot = ctx->next;
    vm->n_contexts--;
    if (vm->effective == ctx) vm->effective = vm->natural != ctx ? vm->natural : NULL;
    ctx->id = 0;
    ctx->vm = NULL;
}

/* ---- making and ending ---- */

static bool export_allowed(const struct weir_vm *vm, unsigned cb)
{
    return !vm->opts->allowed_exports || (vm->opts->allowed_exports[cb / 64] >> (cb % 64) & 1);
}

static void find_exports(struct weir_vm *vm, const wasmtime_instance_t *instance)
{
    wasmtime_extern_t item;
    if (wasmtime_instance_export_get(vm->context, instance, "memory", 6, &item) && item.kind == WASMTIME_EXTERN_MEMORY) {
        vm->memory = item.of.memory;
        vm->has_memory = true;
    }
    for (unsigned cb = 0; cb < WEIR_WASM_CB_COUNT; cb++) {
        const char *name = weir_wasm_cb_name((enum weir_wasm_cb)cb);
        if (!vm->module->has[cb] || !export_allowed(vm, cb) ||
            !wasmtime_instance_export_get(vm->context, instance, name, strlen(name), &item) ||
            item.kind != WASMTIME_EXTERN_FUNC)
            continue;
        vm->funcs[cb] = item.of.func;
        vm->n_params[cb] = vm->module->n_params[cb];
    }
}

static bool run_start(struct weir_vm *vm)
{
    static const uint32_t no_args[2] = {0, 0};
    if (!weir_vm_has(vm, WEIR_WASM_CB_INITIALIZE)) return weir_vm_call(vm, WEIR_WASM_CB_START, NULL, no_args, NULL);
    if (!weir_vm_call(vm, WEIR_WASM_CB_INITIALIZE, NULL, no_args, NULL)) return false;
    enum weir_wasm_cb main_cb = weir_vm_has(vm, WEIR_WASM_CB_MAIN) ? WEIR_WASM_CB_MAIN : WEIR_WASM_CB_MAIN_VOID;
    return weir_vm_call(vm, main_cb, NULL, no_args, NULL);
}

static bool instantiate(struct weir_vm *vm)
{
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    arm_deadline(vm, vm->opts->start_deadline_ms);
    vm->running = WEIR_WASM_CB_COUNT;
    vm->depth = 1;
    wasmtime_error_t *error = wasmtime_instance_pre_instantiate(vm->module->pre, vm->context, &instance, &trap);
    vm->depth = 0;
    if (error && !vm->deadline_hit) {
        struct weir_str text;
        weir_str_init(&text, FAILURE_TEXT_MAX);
        weir_wasm_error_text(error, &text);
        weir_vm_fail(vm, WEIR_WASM_FAILURE_INSTANTIATE, WEIR_WASM_CB_COUNT, "cannot be instantiated: %.*s",
                     WEIR_SARG(weir_str_slice(&text)));
        weir_str_fini(&text);
        return false;
    }
    if (!settle(vm, WEIR_WASM_CB_COUNT, error, trap)) return false;
    find_exports(vm, &instance);
    return true;
}

enum weir_err weir_vm_new(struct weir_wasm_module *module, const struct weir_vm_opts *opts, struct weir_str *err,
                          struct weir_vm **ret)
{
    static _Atomic uint64_t serials;
    struct weir_vm *vm = WEIR_NEW(struct weir_vm);
    vm->module = weir_wasm_module_ref(module);
    vm->opts = opts;
    vm->user = opts->host_arg;
    vm->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed) + 1;
    memset(vm->n_params, UINT8_MAX, sizeof vm->n_params);
    weir_str_init(&vm->scratch, WEIR_WASM_CALL_BODY_MAX);
    weir_str_init(&vm->failure, FAILURE_TEXT_MAX);
    vm->store = wasmtime_store_new(module->engine->engine, vm, NULL);
    vm->context = wasmtime_store_context(vm->store);
    wasmtime_store_limiter(vm->store, (int64_t)opts->memory_max, WEIR_WASM_TABLE_MAX, 1, -1, 1);
    wasmtime_store_epoch_deadline_callback(vm->store, on_epoch, vm, NULL);
    if (opts->shared) weir_wasm_shared_vm_begin(opts->shared, opts->vm_id);
    vm->starting = true;
    if (!instantiate(vm) || !run_start(vm)) {
        weir_str_printf(err, "%s: %.*s", weir_wasm_cb_name(vm->failure_cb), WEIR_SARG(weir_str_slice(&vm->failure)));
        weir_vm_free(vm);
        return WEIR_ERR_GUEST;
    }
    vm->starting = false;
    *ret = vm;
    return WEIR_OK;
}

void weir_vm_free(struct weir_vm *vm)
{
    if (!vm) return;
    WEIR_ASSERT(vm->depth == 0);
    if (vm->opts->shared) weir_wasm_shared_vm_end(vm->opts->shared, vm->opts->vm_id, vm->serial);
    wasmtime_store_delete(vm->store);
    weir_wasm_module_unref(vm->module);
    weir_str_fini(&vm->scratch);
    weir_str_fini(&vm->failure);
    weir_free(vm->contexts);
    weir_free(vm->metrics);
    weir_free(vm->pairs);
    weir_free(vm);
}
