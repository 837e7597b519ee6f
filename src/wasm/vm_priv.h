/* What vm.c offers to the hostcalls alone. */
#ifndef WEIR_WASM_VM_PRIV_H
#define WEIR_WASM_VM_PRIV_H

#include "wasm/vm.h"

/** Runs the guest's allocator from inside a hostcall; the only nested guest call. False: it failed. */
bool weir_vm_call_allocator(struct weir_vm *vm, uint32_t size, uint32_t *ret_ptr);
/** The VM that a hostcall came from. */
static inline struct weir_vm *weir_vm_of(wasmtime_caller_t *caller)
{
    return wasmtime_context_get_data(wasmtime_caller_context(caller));
}

#endif
