/* Shared data and queues. Without a store (a canary VM) there is nothing to read and nothing is kept. */
#include "wasm/hostcalls.h"
#include "wasm/limits.h"
#include "wasm/shared.h"

static uint32_t call_get_data(struct weir_call *c)
{
    struct weir_vm *vm = c->vm;
    struct weir_slice key;
    uint32_t cas = 0;
    if (!weir_guest_arg_slice(c, 0, &key) || !weir_guest_valid(c, weir_arg(c, 4), 4)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    if (!vm->opts->shared) return WEIR_WASM_NOT_FOUND;
    weir_str_clear(&vm->scratch);
    enum weir_wasm_status status = weir_wasm_shared_get(vm->opts->shared, vm->opts->vm_id, key, &vm->scratch, &cas);
    if (status != WEIR_WASM_OK) return status;
    if (!weir_guest_put_u32(c, weir_arg(c, 4), cas)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    return weir_guest_return(c, weir_str_slice(&vm->scratch), 2);
}

static uint32_t call_set_data(struct weir_call *c)
{
    struct weir_slice key, value;
    if (!weir_guest_arg_slice(c, 0, &key) || !weir_guest_arg_slice(c, 2, &value)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    if (!c->vm->opts->shared) return WEIR_WASM_OK;
    if (value.len > WEIR_WASM_CALL_BODY_MAX) return WEIR_WASM_INTERNAL_FAILURE;
    return weir_wasm_shared_set(c->vm->opts->shared, c->vm->opts->vm_id, key, value, weir_arg(c, 4));
}

static uint32_t call_register_queue(struct weir_call *c)
{
    struct weir_slice name;
    uint32_t id = 1;
    if (!weir_guest_arg_slice(c, 0, &name) || !weir_guest_valid(c, weir_arg(c, 2), 4)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    struct weir_wasm_queue_owner owner;
    bool owned = c->host->queue_owner(c->ctx, &owner);
    if (c->vm->opts->shared) {
        enum weir_wasm_status status =
            weir_wasm_queue_register(c->vm->opts->shared, c->vm->opts->vm_id, name, owned ? &owner : NULL, &id);
        if (status != WEIR_WASM_OK) return status;
    }
    return weir_guest_put_u32(c, weir_arg(c, 2), id) ? WEIR_WASM_OK : WEIR_WASM_INVALID_MEMORY_ACCESS;
}

static uint32_t call_resolve_queue(struct weir_call *c)
{
    struct weir_slice vm_id, name;
    uint32_t id = 0;
    if (!weir_guest_arg_slice(c, 0, &vm_id) || !weir_guest_arg_slice(c, 2, &name)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    if (!c->vm->opts->shared) return WEIR_WASM_NOT_FOUND;
    if (vm_id.len == 0) vm_id = c->vm->opts->vm_id;
    enum weir_wasm_status status = weir_wasm_queue_resolve(c->vm->opts->shared, vm_id, name, &id);
    if (status != WEIR_WASM_OK) return status;
    return weir_guest_put_u32(c, weir_arg(c, 4), id) ? WEIR_WASM_OK : WEIR_WASM_INVALID_MEMORY_ACCESS;
}

static uint32_t call_dequeue(struct weir_call *c)
{
    if (!weir_guest_valid(c, weir_arg(c, 1), 4) || !weir_guest_valid(c, weir_arg(c, 2), 4))
        return WEIR_WASM_INVALID_MEMORY_ACCESS; /* before an item is taken */
    if (!c->vm->opts->shared) return WEIR_WASM_EMPTY;
    weir_str_clear(&c->vm->scratch);
    enum weir_wasm_status status = weir_wasm_queue_pop(c->vm->opts->shared, weir_arg(c, 0), &c->vm->scratch);
    return status == WEIR_WASM_OK ? weir_guest_return(c, weir_str_slice(&c->vm->scratch), 1) : status;
}

static uint32_t call_enqueue(struct weir_call *c)
{
    struct weir_slice item;
    if (!weir_guest_arg_slice(c, 1, &item)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    if (!c->vm->opts->shared) return WEIR_WASM_OK;
    return weir_wasm_queue_push(c->vm->opts->shared, weir_arg(c, 0), item);
}

static const struct weir_hostcall rows[] = {
    {"proxy_get_shared_data", "iiiii:i", call_get_data, 0, WEIR_WASM_NOT_FOUND},
    {"proxy_set_shared_data", "iiiii:i", call_set_data, 0, WEIR_WASM_OK},
    {"proxy_register_shared_queue", "iii:i", call_register_queue, 0, WEIR_WASM_OK},
    {"proxy_resolve_shared_queue", "iiiii:i", call_resolve_queue, 0, WEIR_WASM_NOT_FOUND},
    {"proxy_dequeue_shared_queue", "iii:i", call_dequeue, 0, WEIR_WASM_EMPTY},
    {"proxy_enqueue_shared_queue", "iii:i", call_enqueue, 0, WEIR_WASM_NOT_FOUND},
};
const struct weir_hostcall_table weir_hostcalls_shared = {rows, WEIR_COUNTOF(rows)};
