/* Handing data to a guest. The order is fixed: check where the answer's address goes, ask the guest's allocator, read the
 * memory's base anew (it may have grown), copy. Guests' integers are little-endian, and so must the host's be. */
#include "wasm/guest_mem.h"

#include "base/log.h"
#include "base/mem.h"
#include "wasm/limits.h"
#include "wasm/pairs.h"
#include "wasm/vm_priv.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "guests' memory is little-endian");

void weir_guest_refresh(struct weir_call *c)
{
    struct weir_vm *vm = c->vm;
    if (WEIR_UNLIKELY(!vm->has_memory)) { /* the module's start section runs before its exports are known */
        c->base = NULL;
        c->size = 0;
        return;
    }
    c->base = wasmtime_memory_data(vm->context, &vm->memory);
    c->size = wasmtime_memory_data_size(vm->context, &vm->memory);
}

uint8_t *weir_guest_alloc(struct weir_call *c, uint32_t size, uint32_t *ret_ptr)
{
    uint32_t ptr = 0;
    if (!weir_vm_call_allocator(c->vm, size, &ptr)) return NULL;
    weir_guest_refresh(c);
    if (ptr == 0) return NULL; /* out of memory, by its own account */
    if (!weir_guest_valid(c, ptr, size)) {
        weir_vm_fail(c->vm, WEIR_WASM_FAILURE_ALLOCATOR, WEIR_WASM_CB_MEMORY_ALLOCATE,
                     "its allocator gave %u bytes at %u, outside its memory of %zu bytes", size, ptr, c->size);
        return NULL;
    }
    *ret_ptr = ptr;
    return c->base + ptr;
}

/* Writes address and size; room for `len` bytes at the result, or NULL with the status to answer. */
static uint8_t *make_room(struct weir_call *c, size_t len, unsigned ptr_arg, uint32_t *ret_status)
{
    uint32_t ptr_at = weir_arg(c, ptr_arg), size_at = weir_arg(c, ptr_arg + 1);
    *ret_status = WEIR_WASM_INVALID_MEMORY_ACCESS;
    if (!weir_guest_valid(c, ptr_at, 4) || !weir_guest_valid(c, size_at, 4) || len > UINT32_MAX) return NULL;
    uint32_t ptr = 0;
    uint8_t *room = len > 0 ? weir_guest_alloc(c, (uint32_t)len, &ptr) : c->base;
    if (!room || !weir_guest_put_u32(c, ptr_at, ptr) || !weir_guest_put_u32(c, size_at, (uint32_t)len)) return NULL;
    *ret_status = WEIR_WASM_OK;
    return room;
}

uint32_t weir_guest_return(struct weir_call *c, struct weir_slice data, unsigned ptr_arg)
{
    uint32_t status;
    uint8_t *room = make_room(c, data.len, ptr_arg, &status);
    if (room && data.len > 0) memcpy(room, data.ptr, data.len);
    return status;
}

uint32_t weir_guest_return_bytes(struct weir_call *c, const struct weir_wasm_bytes *bytes, size_t start, size_t len,
                                 unsigned ptr_arg)
{
    uint32_t status;
    char *room = (char *)make_room(c, len, ptr_arg, &status);
    if (!room || len == 0) return status;
    if (!bytes->head && !bytes->tail) {
        memcpy(room, bytes->bytes.ptr + start, len);
        return status;
    }
    size_t head_len = bytes->head ? bytes->head->len : 0;
    size_t done = 0;
    if (start < head_len) done = weir_buf_peek(bytes->head, start, room, len);
    if (done < len) (void)weir_buf_peek(bytes->tail, start + done - head_len, room + done, len - done);
    return status;
}

uint32_t weir_guest_return_pairs(struct weir_call *c, const struct weir_wasm_pairs *pairs, unsigned ptr_arg)
{
    uint32_t status;
    size_t size = weir_pairs_size(pairs);
    char *room = (char *)make_room(c, size, ptr_arg, &status);
    if (room && size > 0) weir_pairs_write(pairs, room);
    return status;
}

void weir_guest_read_pairs_after(struct weir_call *c, struct weir_slice data, uint32_t first_free, struct weir_wasm_pairs *ret)
{
    struct weir_vm *vm = c->vm;
    /* Two maps at most in one call: headers and trailers. */
    if (!vm->pairs) vm->pairs = weir_zalloc(2 * WEIR_WASM_PAIRS_MAX * sizeof *vm->pairs);
    struct weir_wasm_pair *out = vm->pairs + WEIR_MIN(first_free, WEIR_WASM_PAIRS_MAX);
    uint32_t n = 0;
    enum weir_err err = weir_pairs_read(data, out, WEIR_WASM_PAIRS_MAX, &n);
    if (err != WEIR_OK)
        WEIR_LOG_LIMITED(WARN, WASM, "a guest's header map of %zu bytes is %s: taken as empty", data.len,
                         err == WEIR_ERR_LIMIT ? "too large" : "malformed");
    *ret = (struct weir_wasm_pairs){out, sizeof *out, n};
}

void weir_guest_read_pairs(struct weir_call *c, struct weir_slice data, struct weir_wasm_pairs *ret)
{
    weir_guest_read_pairs_after(c, data, 0, ret);
}
