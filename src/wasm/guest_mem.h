/* A running hostcall and its guest's memory. Guest memory is reached through these functions alone: every offset and length is
 * checked, in 64 bits, against the memory as it is now; the base is read anew after the guest's allocator has run. */
#ifndef WEIR_WASM_GUEST_MEM_H
#define WEIR_WASM_GUEST_MEM_H

#include "wasm/vm.h"

struct weir_hostcall;

struct weir_call {
    struct weir_vm *vm;
    struct weir_wasm_context *ctx; /* the effective context */
    const struct weir_wasm_host_ops *host;
    wasmtime_val_raw_t *args;
    const struct weir_hostcall *row;
    uint8_t *base;
    size_t size;
};

static inline uint32_t weir_arg(const struct weir_call *c, unsigned i)
{
    return (uint32_t)c->args[i].i32;
}
static inline int64_t weir_arg64(const struct weir_call *c, unsigned i)
{
    return c->args[i].i64;
}

/** Reads base and size of the memory as they are now. */
void weir_guest_refresh(struct weir_call *c);

static inline bool weir_guest_valid(const struct weir_call *c, uint32_t ptr, uint32_t len)
{
    return (uint64_t)ptr + len <= c->size;
}
/** The bytes at `ptr`; valid until the guest runs. An empty range at an address outside the memory is refused too, except
 *  at 0 (guests pass a null pointer for an empty string). */
static inline WEIR_MUST_CHECK bool weir_guest_slice(const struct weir_call *c, uint32_t ptr, uint32_t len, struct weir_slice *ret)
{
    if (WEIR_UNLIKELY(!weir_guest_valid(c, ptr, len))) return false;
    *ret = (struct weir_slice){(const char *)c->base + ptr, len};
    return true;
}
/** The slice given by the arguments `i` (address) and `i + 1` (length). */
static inline WEIR_MUST_CHECK bool weir_guest_arg_slice(const struct weir_call *c, unsigned i, struct weir_slice *ret)
{
    return weir_guest_slice(c, weir_arg(c, i), weir_arg(c, i + 1), ret);
}
static inline WEIR_MUST_CHECK bool weir_guest_put(struct weir_call *c, uint32_t ptr, const void *data, uint32_t len)
{
    if (WEIR_UNLIKELY(!weir_guest_valid(c, ptr, len))) return false;
    if (len > 0) memcpy(c->base + ptr, data, len);
    return true;
}
static inline WEIR_MUST_CHECK bool weir_guest_put_u32(struct weir_call *c, uint32_t ptr, uint32_t value)
{
    return weir_guest_put(c, ptr, &value, sizeof value); /* little-endian hosts only, see guest_mem.c */
}
static inline WEIR_MUST_CHECK bool weir_guest_put_u64(struct weir_call *c, uint32_t ptr, uint64_t value)
{
    return weir_guest_put(c, ptr, &value, sizeof value);
}

/** Memory in the guest, from its own allocator: `size` > 0 bytes that the guest will own. NULL when the guest gives none or
 *  fails (then the VM has failed). The one call of a hostcall that runs guest code: at most once each. */
uint8_t *weir_guest_alloc(struct weir_call *c, uint32_t size, uint32_t *ret_ptr);

/** Hands `data` to the guest: allocates there, copies, writes address and size to where the arguments `ptr_arg` and
 *  `ptr_arg + 1` point. Empty data allocates nothing and writes 0, 0. Returns the status to answer. */
uint32_t weir_guest_return(struct weir_call *c, struct weir_slice data, unsigned ptr_arg);
/** The same for `len` bytes of a buffer from `start`. */
uint32_t weir_guest_return_bytes(struct weir_call *c, const struct weir_wasm_bytes *bytes, size_t start, size_t len,
                                 unsigned ptr_arg);
/** The same for pairs in the ABI's wire format. */
uint32_t weir_guest_return_pairs(struct weir_call *c, const struct weir_wasm_pairs *pairs, unsigned ptr_arg);

/** Reads pairs in the wire format into the VM's scratch (valid until the next such read there; `first_free` of the scratch on
 *  for a second map of the same call). What is malformed or too large is logged and read as no pairs, as Envoy does: a
 *  status would make Rust guests panic. */
void weir_guest_read_pairs(struct weir_call *c, struct weir_slice data, struct weir_wasm_pairs *ret);
void weir_guest_read_pairs_after(struct weir_call *c, struct weir_slice data, uint32_t first_free, struct weir_wasm_pairs *ret);

#endif
