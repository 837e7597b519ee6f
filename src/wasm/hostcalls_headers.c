/* Header maps. A map that does not exist now reads as empty; writing to it changes nothing. Envoy answers BadArgument there,
 * on which guests of the Rust SDK panic (reference: context.cc getMap, addHeaderMapValue). */
#include "base/log.h"
#include "base/mem.h"
#include "wasm/hostcalls.h"
#include "wasm/limits.h"
#include "wasm/pairs.h"

static bool valid_map(uint32_t map)
{
    return map < WEIR_WASM_MAP_COUNT;
}

static uint32_t call_get_size(struct weir_call *c)
{
    uint32_t map = weir_arg(c, 0);
    struct weir_wasm_pairs pairs;
    if (!valid_map(map) || c->host->map_pairs(c->ctx, (enum weir_wasm_map)map, &pairs) != WEIR_WASM_OK)
        return WEIR_WASM_BAD_ARGUMENT;
    uint64_t bytes = 0; /* as Envoy: of names and values, not the number of pairs */
    for (uint32_t i = 0; i < pairs.n; i++) {
        const struct weir_wasm_pair *pair = weir_wasm_pair_at(&pairs, i);
        bytes += pair->name.len + pair->value.len;
    }
    return weir_guest_put_u32(c, weir_arg(c, 1), (uint32_t)bytes) ? WEIR_WASM_OK : WEIR_WASM_INVALID_MEMORY_ACCESS;
}

static uint32_t call_get_pairs(struct weir_call *c)
{
    uint32_t map = weir_arg(c, 0);
    struct weir_wasm_pairs pairs = {0};
    if (!valid_map(map)) return WEIR_WASM_BAD_ARGUMENT;
    (void)c->host->map_pairs(c->ctx, (enum weir_wasm_map)map, &pairs);
    return weir_guest_return_pairs(c, &pairs, 1);
}

static uint32_t call_set_pairs(struct weir_call *c)
{
    uint32_t map = weir_arg(c, 0);
    struct weir_slice data;
    if (!valid_map(map)) return WEIR_WASM_BAD_ARGUMENT;
    if (!weir_guest_arg_slice(c, 1, &data)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    struct weir_wasm_pairs pairs;
    weir_guest_read_pairs(c, data, &pairs);
    return c->host->map_set(c->ctx, (enum weir_wasm_map)map, &pairs);
}

static uint32_t call_get_value(struct weir_call *c)
{
    uint32_t map = weir_arg(c, 0);
    struct weir_slice name, value = WEIR_S_NONE;
    if (!valid_map(map)) return WEIR_WASM_BAD_ARGUMENT;
    if (!weir_guest_arg_slice(c, 1, &name)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    enum weir_wasm_status status = c->host->map_get(c->ctx, (enum weir_wasm_map)map, name, &value);
    /* 0.1.0 has no "not found": an empty value. */
    if (status == WEIR_WASM_NOT_FOUND && c->vm->module->abi == WEIR_WASM_ABI_0_1_0) status = WEIR_WASM_OK;
    return status == WEIR_WASM_OK ? weir_guest_return(c, value, 3) : status;
}

static uint32_t edit(struct weir_call *c, enum weir_wasm_edit how)
{
    uint32_t map = weir_arg(c, 0);
    struct weir_slice name, value = WEIR_S_NONE;
    if (!valid_map(map)) return WEIR_WASM_BAD_ARGUMENT;
    if (!weir_guest_arg_slice(c, 1, &name) || (how != WEIR_WASM_EDIT_REMOVE && !weir_guest_arg_slice(c, 3, &value)))
        return WEIR_WASM_INVALID_MEMORY_ACCESS;
    return c->host->map_edit(c->ctx, (enum weir_wasm_map)map, how, name, value);
}

static uint32_t call_add(struct weir_call *c)
{
    return edit(c, WEIR_WASM_EDIT_ADD);
}

static uint32_t call_replace(struct weir_call *c)
{
    return edit(c, WEIR_WASM_EDIT_REPLACE);
}

static uint32_t call_remove(struct weir_call *c)
{
    return edit(c, WEIR_WASM_EDIT_REMOVE);
}

static const struct weir_hostcall rows[] = {
    {"proxy_get_header_map_size", "ii:i", call_get_size, 0, WEIR_WASM_INTERNAL_FAILURE},
    {"proxy_get_header_map_pairs", "iii:i", call_get_pairs, 0, WEIR_WASM_OK},
    {"proxy_set_header_map_pairs", "iii:i", call_set_pairs, 0, WEIR_WASM_OK},
    {"proxy_get_header_map_value", "iiiii:i", call_get_value, 0, WEIR_WASM_NOT_FOUND},
    {"proxy_add_header_map_value", "iiiii:i", call_add, 0, WEIR_WASM_OK},
    {"proxy_replace_header_map_value", "iiiii:i", call_replace, 0, WEIR_WASM_OK},
    {"proxy_remove_header_map_value", "iii:i", call_remove, 0, WEIR_WASM_OK},
};
const struct weir_hostcall_table weir_hostcalls_headers = {rows, WEIR_COUNTOF(rows)};
