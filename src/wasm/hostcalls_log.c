/* Log and clock. */
#include "wasm/hostcalls.h"
#include "wasm/limits.h"

#define ALWAYS (WEIR_HOSTCALL_IN_START | WEIR_HOSTCALL_IN_ALLOCATOR)

static uint32_t call_log(struct weir_call *c)
{
    uint32_t level = weir_arg(c, 0);
    struct weir_slice message;
    if (level >= WEIR_WASM_LOG_COUNT) return WEIR_WASM_BAD_ARGUMENT;
    if (!weir_guest_arg_slice(c, 1, &message)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    c->host->log(c->vm, c->ctx, (enum weir_wasm_log_level)level, weir_slice_first(message, WEIR_WASM_LOG_LINE_MAX));
    return WEIR_WASM_OK;
}

static uint32_t call_get_log_level(struct weir_call *c)
{
    uint32_t level = (uint32_t)c->host->log_level(c->vm);
    return weir_guest_put_u32(c, weir_arg(c, 0), level) ? WEIR_WASM_OK : WEIR_WASM_INVALID_MEMORY_ACCESS;
}

static uint32_t call_get_time(struct weir_call *c)
{
    uint64_t now = (uint64_t)c->host->wall_ns(c->vm);
    return weir_guest_put_u64(c, weir_arg(c, 0), now) ? WEIR_WASM_OK : WEIR_WASM_INVALID_MEMORY_ACCESS;
}

static const struct weir_hostcall rows[] = {
    {"proxy_log", "iii:i", call_log, ALWAYS, WEIR_WASM_OK},
    {"proxy_get_log_level", "i:i", call_get_log_level, ALWAYS, WEIR_WASM_OK},
    {"proxy_get_current_time_nanoseconds", "i:i", call_get_time, ALWAYS, WEIR_WASM_OK},
};
const struct weir_hostcall_table weir_hostcalls_log = {rows, WEIR_COUNTOF(rows)};
