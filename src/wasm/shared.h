/* Shared data and shared queues: of the process, by vm_id. Everything is behind one lock and copied in and out; nothing of
 * it is reached by pointer from two threads. */
#ifndef WEIR_WASM_SHARED_H
#define WEIR_WASM_SHARED_H

#include "base/str.h"
#include "wasm/abi.h"

struct weir_wasm_shared;

/** Who hears of a queue's items: called with the lock held, from any thread; must only post. */
struct weir_wasm_queue_owner {
    void (*notify)(void *arg, uint64_t vm_serial, uint32_t root_id, uint32_t queue);
    void *arg;
    uint64_t vm_serial;
    uint32_t root_id;
};

struct weir_wasm_shared *weir_wasm_shared_new(void);
void weir_wasm_shared_free(struct weir_wasm_shared *shared);

/** A VM with that vm_id begins or ends; with the last one the data of the vm_id goes. */
void weir_wasm_shared_vm_begin(struct weir_wasm_shared *shared, struct weir_slice vm_id);
void weir_wasm_shared_vm_end(struct weir_wasm_shared *shared, struct weir_slice vm_id, uint64_t vm_serial);

/** NOT_FOUND, or the value appended to `ret` and its CAS number. */
enum weir_wasm_status weir_wasm_shared_get(struct weir_wasm_shared *shared, struct weir_slice vm_id, struct weir_slice key,
                                           struct weir_str *ret, uint32_t *ret_cas);
/** `cas` 0 = whatever was there. CAS_MISMATCH; INTERNAL_FAILURE at a limit. */
enum weir_wasm_status weir_wasm_shared_set(struct weir_wasm_shared *shared, struct weir_slice vm_id, struct weir_slice key,
                                           struct weir_slice value, uint32_t cas);
/** NOT_FOUND. An extension: reached by the foreign function "delete_shared_data". */
enum weir_wasm_status weir_wasm_shared_delete(struct weir_wasm_shared *shared, struct weir_slice vm_id, struct weir_slice key);

/** Makes the queue or takes it over: the last registrar is its owner. INTERNAL_FAILURE at a limit. */
enum weir_wasm_status weir_wasm_queue_register(struct weir_wasm_shared *shared, struct weir_slice vm_id, struct weir_slice name,
                                               const struct weir_wasm_queue_owner *owner, uint32_t *ret_id);
enum weir_wasm_status weir_wasm_queue_resolve(struct weir_wasm_shared *shared, struct weir_slice vm_id, struct weir_slice name,
                                              uint32_t *ret_id);
/** NOT_FOUND; INTERNAL_FAILURE when the queue is full. */
enum weir_wasm_status weir_wasm_queue_push(struct weir_wasm_shared *shared, uint32_t id, struct weir_slice item);
/** NOT_FOUND, EMPTY, or the item appended to `ret`. */
enum weir_wasm_status weir_wasm_queue_pop(struct weir_wasm_shared *shared, uint32_t id, struct weir_str *ret);

#endif
