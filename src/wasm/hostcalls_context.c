/* Contexts, timers, the host's own functions. */
#include "wasm/hostcalls.h"
#include "wasm/limits.h"

static uint32_t call_set_effective_context(struct weir_call *c)
{
    struct weir_wasm_context *ctx = weir_vm_context(c->vm, weir_arg(c, 0));
    if (!ctx) return WEIR_WASM_BAD_ARGUMENT;
    c->vm->effective = ctx; /* until the running callback returns */
    return WEIR_WASM_OK;
}

static uint32_t call_done(struct weir_call *c)
{
    return c->host->done(c->ctx);
}

static uint32_t call_set_tick_period(struct weir_call *c)
{
    return c->host->set_tick(c->ctx, weir_arg(c, 0));
}

static uint32_t call_get_status(struct weir_call *c)
{
    uint32_t code = 0;
    struct weir_slice message = WEIR_S_NONE;
    enum weir_wasm_status status = c->host->status(c->ctx, &code, &message);
    if (status != WEIR_WASM_OK) return status;
    if (!weir_guest_put_u32(c, weir_arg(c, 0), code)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    return weir_guest_return(c, message, 1);
}

static uint32_t call_foreign_function(struct weir_call *c)
{
    struct weir_slice name, args;
    if (!weir_guest_arg_slice(c, 0, &name) || !weir_guest_arg_slice(c, 2, &args)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    weir_str_clear(&c->vm->scratch);
    enum weir_wasm_status status = c->host->foreign(c->ctx, name, args, &c->vm->scratch);
    if (status != WEIR_WASM_OK) return status;
    if (c->vm->scratch.overflow) return WEIR_WASM_INTERNAL_FAILURE;
    /* A null result address: the guest does not want it (C++ SDK). */
    if (weir_arg(c, 4) == 0 && weir_arg(c, 5) == 0) return WEIR_WASM_OK;
    return weir_guest_return(c, weir_str_slice(&c->vm->scratch), 4);
}

/* Old emscripten's two imports of no consequence. */
static uint32_t call_pthread_equal(struct weir_call *c)
{
    return weir_arg(c, 0) == weir_arg(c, 1);
}

static uint32_t call_memory_growth(struct weir_call *c)
{
    (void)c;
    return 0;
}

#define ALWAYS (WEIR_HOSTCALL_IN_START | WEIR_HOSTCALL_IN_ALLOCATOR)
static const struct weir_hostcall rows[] = {
    {"proxy_set_effective_context", "i:i", call_set_effective_context, 0, WEIR_WASM_BAD_ARGUMENT},
    {"proxy_done", ":i", call_done, 0, WEIR_WASM_OK},
    {"proxy_set_tick_period_milliseconds", "i:i", call_set_tick_period, 0, WEIR_WASM_OK},
    {"proxy_get_status", "iii:i", call_get_status, 0, WEIR_WASM_OK},
    {"proxy_call_foreign_function", "iiiiii:i", call_foreign_function, 0, WEIR_WASM_INTERNAL_FAILURE},
    {"pthread_equal", "ii:i", call_pthread_equal, ALWAYS, 0},
    {"emscripten_notify_memory_growth", "i:", call_memory_growth, ALWAYS, 0},
};
const struct weir_hostcall_table weir_hostcalls_context = {rows, WEIR_COUNTOF(rows)};
