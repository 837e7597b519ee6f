/* Properties: facts by path, and values that filters hand to each other. */
#include "wasm/hostcalls.h"
#include "wasm/limits.h"

static uint32_t call_get(struct weir_call *c)
{
    struct weir_slice path, value = WEIR_S_NONE;
    if (!weir_guest_arg_slice(c, 0, &path)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    if (path.len == 0) return WEIR_WASM_NOT_FOUND;
    weir_str_clear(&c->vm->scratch);
    enum weir_wasm_status status = c->host->property_get(c->ctx, path, &c->vm->scratch, &value);
    return status == WEIR_WASM_OK ? weir_guest_return(c, value, 2) : status;
}

static uint32_t call_set(struct weir_call *c)
{
    struct weir_slice path, value;
    if (!weir_guest_arg_slice(c, 0, &path) || !weir_guest_arg_slice(c, 2, &value)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    return c->host->property_set(c->ctx, path, value);
}

static const struct weir_hostcall rows[] = {
    {"proxy_get_property", "iiii:i", call_get, 0, WEIR_WASM_NOT_FOUND},
    {"proxy_set_property", "iiii:i", call_set, 0, WEIR_WASM_OK},
};
const struct weir_hostcall_table weir_hostcalls_property = {rows, WEIR_COUNTOF(rows)};
