/* How a guest's import becomes a row of the tables, and the one function through which every hostcall enters: it finds the VM,
 * reads the memory, refuses what is not allowed now, and calls the row. */
#include "wasm/hostcalls.h"

#include "base/log.h"
#include "base/mem.h"
#include "wasm/limits.h"
#include "wasm/vm_priv.h"

static const struct weir_hostcall_table *const tables[] = {
    &weir_hostcalls_log,       &weir_hostcalls_headers, &weir_hostcalls_buffer,  &weir_hostcalls_property,
    &weir_hostcalls_stream,    &weir_hostcalls_context, &weir_hostcalls_http_call, &weir_hostcalls_grpc,
    &weir_hostcalls_metrics,   &weir_hostcalls_shared,  &weir_hostcalls_wasi,
};

#define ERRNO_NOTCAPABLE 76u
#define ERRNO_NOSYS 52u
#define TYPE_MAX 16 /* letters of the longest type */

static const char *const wasi_modules[] = {"wasi_snapshot_preview1", "wasi_unstable"};

size_t weir_hostcalls_count(void)
{
    size_t n = 0;
    for (size_t t = 0; t < WEIR_COUNTOF(tables); t++) n += tables[t]->n;
    return n;
}

static const struct weir_hostcall *find_row(struct weir_slice name, size_t *ret_index)
{
    size_t index = 0;
    for (size_t t = 0; t < WEIR_COUNTOF(tables); t++)
        for (size_t i = 0; i < tables[t]->n; i++, index++)
            if (weir_slice_eq(name, weir_slice_str(tables[t]->rows[i].name))) {
                if (ret_index) *ret_index = index;
                return &tables[t]->rows[i];
            }
    return NULL;
}

size_t weir_hostcalls_index(struct weir_slice name)
{
    size_t index = SIZE_MAX;
    (void)find_row(name, &index);
    return index;
}

/* ---- entry ---- */

static uint32_t index_of(const struct weir_hostcall *row)
{
    uint32_t index = 0;
    for (size_t t = 0; t < WEIR_COUNTOF(tables); t++) {
        if (row >= tables[t]->rows && row < tables[t]->rows + tables[t]->n) return index + (uint32_t)(row - tables[t]->rows);
        index += (uint32_t)tables[t]->n;
    }
    return 0;
}

/* Restricted, starting or in the allocator: is this call legal there? */
static WEIR_COLD bool allowed(const struct weir_vm *vm, const struct weir_hostcall *row)
{
    if (vm->in_allocator && !(row->flags & WEIR_HOSTCALL_IN_ALLOCATOR)) return false;
    if (vm->starting && !(row->flags & WEIR_HOSTCALL_IN_START)) return false;
    if (!vm->opts->allowed) return true;
    uint32_t index = index_of(row);
    return vm->opts->allowed[index / 64] >> (index % 64) & 1;
}

/* During the module's start section its exports are not known to vm.c yet. */
static WEIR_COLD void memory_of_caller(struct weir_call *c, wasmtime_caller_t *caller)
{
    wasmtime_extern_t item;
    if (!wasmtime_caller_export_get(caller, "memory", 6, &item) || item.kind != WASMTIME_EXTERN_MEMORY) return;
    c->base = wasmtime_memory_data(c->vm->context, &item.of.memory);
    c->size = wasmtime_memory_data_size(c->vm->context, &item.of.memory);
}

static wasm_trap_t *enter(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *args, size_t n_args)
{
    (void)n_args;
    const struct weir_hostcall *row = env;
    struct weir_vm *vm = weir_vm_of(caller);
    struct weir_call c = {.vm = vm, .ctx = vm->effective, .host = vm->opts->host, .args = args, .row = row};
    weir_guest_refresh(&c);
    if (WEIR_UNLIKELY(!vm->has_memory)) memory_of_caller(&c, caller);
    if (WEIR_UNLIKELY((vm->starting || vm->in_allocator || vm->opts->allowed) && !allowed(vm, row))) {
        args[0].i64 = row->flags & WEIR_HOSTCALL_WASI ? ERRNO_NOTCAPABLE : row->refused;
        return NULL;
    }
    uint32_t result = row->fn(&c);
    args[0].i64 = (int64_t)result;
    if (WEIR_UNLIKELY(vm->failed || vm->exited)) return wasmtime_trap_new("ended by the host", 17);
    return NULL;
}

/* ---- the linker ---- */

static wasm_valtype_t *valtype_of(char letter)
{
    return wasm_valtype_new(letter == 'I' ? WASM_I64 : WASM_I32);
}

static wasm_functype_t *functype_of(const char *type)
{
    wasm_valtype_t *params[TYPE_MAX], *results[1];
    size_t n_params = 0, n_results = 0;
    for (; *type && *type != ':' && n_params < TYPE_MAX; type++) params[n_params++] = valtype_of(*type);
    if (*type == ':' && type[1]) results[n_results++] = valtype_of(type[1]);
    wasm_valtype_vec_t param_vec, result_vec;
    wasm_valtype_vec_new(&param_vec, n_params, params);
    wasm_valtype_vec_new(&result_vec, n_results, results);
    return wasm_functype_new(&param_vec, &result_vec);
}

static enum weir_err define_row(wasmtime_linker_t *linker, const char *module, const struct weir_hostcall *row,
                                struct weir_str *err)
{
    wasm_functype_t *type = functype_of(row->type);
    union {
        const void *in;
        void *out;
    } env = {.in = row}; /* never written through */
    wasmtime_error_t *error = wasmtime_linker_define_func_unchecked(linker, module, strlen(module), row->name,
                                                                    strlen(row->name), type, enter, env.out, NULL);
    wasm_functype_delete(type);
    if (!error) return WEIR_OK;
    weir_wasm_error_text(error, err);
    return WEIR_ERR_EXISTS;
}

enum weir_err weir_hostcalls_define(wasmtime_linker_t *linker, struct weir_str *err)
{
    for (size_t t = 0; t < WEIR_COUNTOF(tables); t++)
        for (size_t i = 0; i < tables[t]->n; i++) {
            const struct weir_hostcall *row = &tables[t]->rows[i];
            enum weir_err result = WEIR_OK;
            if (!(row->flags & WEIR_HOSTCALL_WASI)) result = define_row(linker, "env", row, err);
            for (size_t m = 0; m < WEIR_COUNTOF(wasi_modules) && row->flags & WEIR_HOSTCALL_WASI && result == WEIR_OK; m++)
                result = define_row(linker, wasi_modules[m], row, err);
            if (result != WEIR_OK) return result;
        }
    return WEIR_OK;
}

static bool is_wasi(struct weir_slice module)
{
    for (size_t m = 0; m < WEIR_COUNTOF(wasi_modules); m++)
        if (weir_slice_eq(module, weir_slice_str(wasi_modules[m]))) return true;
    return false;
}

static bool vec_is(const wasm_valtype_vec_t *vec, const char *letters, size_t n)
{
    if (vec->size != n) return false;
    for (size_t i = 0; i < n; i++)
        if (wasm_valtype_kind(vec->data[i]) != (letters[i] == 'I' ? WASM_I64 : WASM_I32)) return false;
    return true;
}

enum weir_hostcall_match weir_hostcalls_match(struct weir_slice module, struct weir_slice name, const wasm_functype_t *type)
{
    bool wasi = is_wasi(module);
    if (!wasi && !weir_slice_eq(module, WEIR_S("env"))) return WEIR_HOSTCALL_UNKNOWN_MODULE;
    const struct weir_hostcall *row = find_row(name, NULL);
    if (!row || wasi != ((row->flags & WEIR_HOSTCALL_WASI) != 0)) return WEIR_HOSTCALL_UNKNOWN;
    const char *colon = strchr(row->type, ':');
    bool same = vec_is(wasm_functype_params(type), row->type, (size_t)(colon - row->type)) &&
                vec_is(wasm_functype_results(type), colon + 1, strlen(colon + 1));
    return same ? WEIR_HOSTCALL_KNOWN : WEIR_HOSTCALL_OTHER_TYPE;
}

/* ---- stubs ---- */

static wasm_trap_t *enter_stub(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t n_args,
                               wasmtime_val_t *results, size_t n_results)
{
    (void)caller;
    (void)args;
    (void)n_args;
    const wasm_functype_t *type = env;
    const wasm_valtype_vec_t *kinds = wasm_functype_results(type);
    for (size_t i = 0; i < n_results && i < kinds->size; i++) {
        memset(&results[i], 0, sizeof results[i]);
        switch (wasm_valtype_kind(kinds->data[i])) {
        case WASM_I32: results[i].kind = WASMTIME_I32; break;
        case WASM_I64: results[i].kind = WASMTIME_I64; break;
        case WASM_F32: results[i].kind = WASMTIME_F32; break;
        case WASM_F64: results[i].kind = WASMTIME_F64; break;
        default: return wasmtime_trap_new("a stub cannot answer a reference", 32);
        }
    }
    return NULL;
}

static wasm_trap_t *enter_env_stub(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t n_args,
                                   wasmtime_val_t *results, size_t n_results)
{
    wasm_trap_t *trap = enter_stub(env, caller, args, n_args, results, n_results);
    if (!trap && n_results == 1 && results[0].kind == WASMTIME_I32) results[0].of.i32 = WEIR_WASM_UNIMPLEMENTED;
    return trap;
}

static wasm_trap_t *enter_wasi_stub(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t n_args,
                                    wasmtime_val_t *results, size_t n_results)
{
    wasm_trap_t *trap = enter_stub(env, caller, args, n_args, results, n_results);
    if (!trap && n_results == 1 && results[0].kind == WASMTIME_I32) results[0].of.i32 = ERRNO_NOSYS;
    return trap;
}

static void delete_functype(void *type)
{
    wasm_functype_delete(type);
}

enum weir_err weir_hostcalls_define_stub(wasmtime_linker_t *linker, struct weir_slice module, struct weir_slice name,
                                         const wasm_functype_t *type, struct weir_str *err)
{
    wasm_functype_t *copy = wasm_functype_copy(type);
    wasmtime_error_t *error =
        wasmtime_linker_define_func(linker, module.ptr, module.len, name.ptr, name.len, copy,
                                    is_wasi(module) ? enter_wasi_stub : enter_env_stub, copy, delete_functype);
    if (!error) return WEIR_OK;
    weir_wasm_error_text(error, err);
    return WEIR_ERR_INVALID;
}
