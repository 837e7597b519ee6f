/* Loading a module: from bytes to code that is linked and checked. What can be known without running it is checked here, so that
 * a bad file is refused with one line when the configuration is read: not Wasm, no ABI marker, no memory, too much memory,
 * no allocator, imports that nobody gives. Wasm types are Wasmtime's; the shapes that the ABI wants are in abi.h. */
#include "wasm/module.h"

#include <openssl/evp.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "wasm/hostcalls.h"
#include "wasm/limits.h"

static const struct {
    const char *name;
    uint8_t least, most;
    bool answers;
} callbacks[WEIR_WASM_CB_COUNT] = {
#define X(id, name, least, most, answers) [WEIR_WASM_CB_##id] = {name, least, most, answers},
    WEIR_WASM_CALLBACKS(X)
#undef X
};

static const struct {
    struct weir_slice marker;
    const char *name;
} abis[] = {
    [WEIR_WASM_ABI_NONE] = {WEIR_S_INIT(""), "none"},
    [WEIR_WASM_ABI_0_1_0] = {WEIR_S_INIT("proxy_abi_version_0_1_0"), "0.1.0"},
    [WEIR_WASM_ABI_0_2_0] = {WEIR_S_INIT("proxy_abi_version_0_2_0"), "0.2.0"},
    [WEIR_WASM_ABI_0_2_1] = {WEIR_S_INIT("proxy_abi_version_0_2_1"), "0.2.1"},
};

const char *weir_wasm_cb_name(enum weir_wasm_cb cb)
{
    return (unsigned)cb < WEIR_WASM_CB_COUNT ? callbacks[cb].name : "wasm start";
}

const char *weir_wasm_abi_name(enum weir_wasm_abi abi)
{
    return (unsigned)abi < WEIR_COUNTOF(abis) ? abis[abi].name : "none";
}

void weir_wasm_sha256(struct weir_slice data, uint8_t out[32])
{
    unsigned len = 32;
    if (EVP_Digest(data.ptr, data.len, out, &len, EVP_sha256(), NULL) != 1) WEIR_FATAL("SHA-256 is not available");
}

void weir_wasm_hex(const uint8_t hash[32], char out[65])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[64] = '\0';
}

static uint64_t now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct weir_slice name_slice(const wasm_name_t *name)
{
    return weir_slice(name->data, name->size);
}

static const char *valtype_text(const wasm_valtype_t *type)
{
    switch (wasm_valtype_kind(type)) {
    case WASM_I32: return "i32";
    case WASM_I64: return "i64";
    case WASM_F32: return "f32";
    case WASM_F64: return "f64";
    default: return "ref";
    }
}

static void functype_text(const wasm_functype_t *type, struct weir_str *out)
{
    const wasm_valtype_vec_t *params = wasm_functype_params(type);
    const wasm_valtype_vec_t *results = wasm_functype_results(type);
    weir_str_addc(out, '(');
    for (size_t i = 0; i < params->size; i++) {
        if (i > 0) weir_str_adds(out, ", ");
        weir_str_adds(out, valtype_text(params->data[i]));
    }
    weir_str_addc(out, ')');
    for (size_t i = 0; i < results->size; i++) {
        weir_str_adds(out, i == 0 ? " -> " : ", ");
        weir_str_adds(out, valtype_text(results->data[i]));
    }
}

static void externtype_text(const wasm_externtype_t *type, struct weir_str *out)
{
    switch (wasm_externtype_kind(type)) {
    case WASM_EXTERN_FUNC: functype_text(wasm_externtype_as_functype_const(type), out); return;
    case WASM_EXTERN_MEMORY: {
        const wasm_memorytype_t *memory = wasm_externtype_as_memorytype_const(type);
        weir_str_printf(out, "memory of %llu pages", (unsigned long long)wasmtime_memorytype_minimum(memory));
        return;
    }
    case WASM_EXTERN_TABLE: weir_str_adds(out, "table"); return;
    case WASM_EXTERN_GLOBAL: weir_str_adds(out, "global"); return;
    default: weir_str_adds(out, "tag"); return;
    }
}

static bool all_i32(const wasm_valtype_vec_t *types)
{
    for (size_t i = 0; i < types->size; i++)
        if (wasm_valtype_kind(types->data[i]) != WASM_I32) return false;
    return true;
}

static void note_callback(struct weir_wasm_module *module, enum weir_wasm_cb cb, const wasm_functype_t *type,
                          struct weir_str *warnings)
{
    const wasm_valtype_vec_t *params = wasm_functype_params(type);
    const wasm_valtype_vec_t *results = wasm_functype_results(type);
    bool answers_right = callbacks[cb].answers ? results->size == 1 : results->size == 0;
    if (params->size >= callbacks[cb].least && params->size <= callbacks[cb].most && answers_right && all_i32(params) &&
        all_i32(results)) {
        module->has[cb] = true;
        module->n_params[cb] = (uint8_t)params->size;
        return;
    }
    /* As Envoy: a callback of another shape is as good as none. */
    weir_str_printf(warnings, "exports %s as ", callbacks[cb].name);
    functype_text(type, warnings);
    weir_str_adds(warnings, ", a shape that no version of the ABI has: never called\n");
}

static void note_export(struct weir_wasm_module *module, struct weir_slice name, const wasm_externtype_t *type,
                        bool *has_memory, struct weir_str *warnings)
{
    wasm_externkind_t kind = wasm_externtype_kind(type);
    if (kind == WASM_EXTERN_MEMORY && weir_slice_eq(name, WEIR_S("memory"))) {
        const wasm_memorytype_t *memory = wasm_externtype_as_memorytype_const(type);
        module->initial_memory = wasmtime_memorytype_minimum(memory) * wasmtime_memorytype_page_size(memory);
        *has_memory = true;
    }
    if (kind != WASM_EXTERN_FUNC) return;
    for (unsigned abi = WEIR_WASM_ABI_0_1_0; abi < WEIR_COUNTOF(abis); abi++)
        if (module->abi == WEIR_WASM_ABI_NONE && weir_slice_eq(name, abis[abi].marker)) module->abi = (enum weir_wasm_abi)abi;
    for (unsigned cb = 0; cb < WEIR_WASM_CB_COUNT; cb++)
        if (weir_slice_eq(name, weir_slice_str(callbacks[cb].name)))
            note_callback(module, (enum weir_wasm_cb)cb, wasm_externtype_as_functype_const(type), warnings);
}

static char *take_text(struct weir_str *text)
{
    char *copy = weir_xstrndup(text->ptr ? text->ptr : "", text->len);
    weir_str_clear(text);
    return copy;
}

static enum weir_err read_exports(struct weir_wasm_module *module, uint64_t memory_max, struct weir_str *err,
                                  struct weir_str *warnings)
{
    wasm_exporttype_vec_t exports;
    wasmtime_module_exports(module->module, &exports);
    module->exports = weir_zalloc((exports.size + 1) * sizeof *module->exports);
    bool has_memory = false;
    struct weir_str text;
    weir_str_init(&text, 65536);
    for (size_t i = 0; i < exports.size; i++) {
        struct weir_slice name = name_slice(wasm_exporttype_name(exports.data[i]));
        const wasm_externtype_t *type = wasm_exporttype_type(exports.data[i]);
        note_export(module, name, type, &has_memory, warnings);
        struct weir_wasm_extern *to = &module->exports[module->n_exports++];
        to->name = weir_xstrndup(name.ptr, name.len);
        externtype_text(type, &text);
        to->type = take_text(&text);
    }
    weir_str_fini(&text);
    wasm_exporttype_vec_delete(&exports);
    if (module->abi == WEIR_WASM_ABI_NONE) {
        weir_str_adds(err, "is no Proxy-Wasm filter: it exports none of proxy_abi_version_0_1_0, _0_2_0, _0_2_1");
    } else if (!has_memory) {
        weir_str_adds(err, "exports no memory named \"memory\"");
    } else if (module->initial_memory > memory_max) {
        weir_str_printf(err, "starts with %llu MiB of memory, the limit is %llu MiB",
                        (unsigned long long)(module->initial_memory >> 20), (unsigned long long)(memory_max >> 20));
    } else if (!module->has[WEIR_WASM_CB_MEMORY_ALLOCATE] && !module->has[WEIR_WASM_CB_MALLOC]) {
        weir_str_adds(err, "exports neither proxy_on_memory_allocate nor malloc, so nothing can be handed to it");
    } else {
        return WEIR_OK;
    }
    return WEIR_ERR_INVALID;
}

/* An import that weir does not have: a function of a known family gets a stub, all else is refused. */
static enum weir_err resolve_import(struct weir_wasm_module *module, wasmtime_linker_t **linker, const wasm_importtype_t *import,
                                    struct weir_str *err, struct weir_str *warnings, bool *ret_stub)
{
    struct weir_slice from = name_slice(wasm_importtype_module(import));
    struct weir_slice name = name_slice(wasm_importtype_name(import));
    const wasm_externtype_t *type = wasm_importtype_type(import);
    if (wasm_externtype_kind(type) != WASM_EXTERN_FUNC) {
        weir_str_printf(err, "imports %.*s.%.*s, a ", WEIR_SARG(from), WEIR_SARG(name));
        externtype_text(type, err);
        weir_str_adds(err, "; Proxy-Wasm gives functions only");
        return WEIR_ERR_INVALID;
    }
    const wasm_functype_t *func = wasm_externtype_as_functype_const(type);
    switch (weir_hostcalls_match(from, name, func)) {
    case WEIR_HOSTCALL_KNOWN: return WEIR_OK;
    case WEIR_HOSTCALL_UNKNOWN_MODULE:
        weir_str_printf(err, "imports %.*s.%.*s; only env, wasi_snapshot_preview1 and wasi_unstable exist here",
                        WEIR_SARG(from), WEIR_SARG(name));
        return WEIR_ERR_INVALID;
    case WEIR_HOSTCALL_UNKNOWN:
        weir_str_printf(warnings, "imports %.*s.%.*s, which is not known: it answers \"unimplemented\"\n", WEIR_SARG(from),
                        WEIR_SARG(name));
        break;
    case WEIR_HOSTCALL_OTHER_TYPE:
        weir_str_printf(warnings, "imports %.*s.%.*s with the type ", WEIR_SARG(from), WEIR_SARG(name));
        functype_text(func, warnings);
        weir_str_adds(warnings, ", not the ABI's: it answers \"unimplemented\"\n");
        break;
    }
    if (*linker == module->engine->linker) {
        *linker = wasmtime_linker_clone(*linker);
        wasmtime_linker_allow_shadowing(*linker, true);
    }
    *ret_stub = true;
    return weir_hostcalls_define_stub(*linker, from, name, func, err);
}

static enum weir_err link_imports(struct weir_wasm_module *module, struct weir_str *err, struct weir_str *warnings)
{
    wasm_importtype_vec_t imports;
    wasmtime_module_imports(module->module, &imports);
    module->imports = weir_zalloc((imports.size + 1) * sizeof *module->imports);
    wasmtime_linker_t *linker = module->engine->linker;
    enum weir_err result = WEIR_OK;
    struct weir_str text;
    weir_str_init(&text, 65536);
    for (size_t i = 0; i < imports.size && result == WEIR_OK; i++) {
        struct weir_wasm_extern *to = &module->imports[module->n_imports++];
        struct weir_slice from = name_slice(wasm_importtype_module(imports.data[i]));
        struct weir_slice name = name_slice(wasm_importtype_name(imports.data[i]));
        to->module = weir_xstrndup(from.ptr, from.len);
        to->name = weir_xstrndup(name.ptr, name.len);
        externtype_text(wasm_importtype_type(imports.data[i]), &text);
        to->type = take_text(&text);
        result = resolve_import(module, &linker, imports.data[i], err, warnings, &to->stub);
    }
    weir_str_fini(&text);
    wasm_importtype_vec_delete(&imports);
    if (result == WEIR_OK) {
        wasmtime_error_t *error = wasmtime_linker_instantiate_pre(linker, module->module, &module->pre);
        if (error) {
            weir_wasm_error_text(error, err);
            result = WEIR_ERR_INVALID;
        }
    }
    if (linker != module->engine->linker) wasmtime_linker_delete(linker);
    return result;
}

static enum weir_err compile(struct weir_wasm_module *module, struct weir_slice code, struct weir_str *err)
{
    module->module = weir_wasm_cache_get(module->engine, module->sha256);
    module->from_cache = module->module != NULL;
    if (module->module) return WEIR_OK;
    wasmtime_error_t *error =
        wasmtime_module_new(module->engine->engine, (const uint8_t *)code.ptr, code.len, &module->module);
    if (error) {
        weir_str_adds(err, "cannot be compiled: ");
        weir_wasm_error_text(error, err);
        return WEIR_ERR_INVALID;
    }
    return WEIR_OK;
}

static enum weir_err check_magic(struct weir_slice code, struct weir_str *err)
{
    static const char header[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    static const char component[8] = {0, 'a', 's', 'm', 13, 0, 1, 0};
    if (code.len == 0) {
        weir_str_adds(err, "is empty");
    } else if (code.len > WEIR_WASM_MODULE_MAX) {
        weir_str_printf(err, "has %zu MiB, the limit is %u MiB", code.len >> 20, WEIR_WASM_MODULE_MAX >> 20);
    } else if (code.len >= 8 && memcmp(code.ptr, component, 8) == 0) {
        weir_str_adds(err, "is a Wasm component; Proxy-Wasm filters are core modules (build for wasm32-wasip1)");
    } else if (code.len < 8 || memcmp(code.ptr, header, 8) != 0) {
        weir_str_adds(err, "is no Wasm module: it does not begin with \"\\0asm\" and version 1");
    } else {
        return WEIR_OK;
    }
    return WEIR_ERR_INVALID;
}

enum weir_err weir_wasm_module_load(struct weir_wasm_engine *engine, struct weir_slice code, uint64_t memory_max,
                                    struct weir_str *err, struct weir_str *warnings, struct weir_wasm_module **ret)
{
    enum weir_err result = check_magic(code, err);
    if (result != WEIR_OK) return result;
    struct weir_wasm_module *module = WEIR_NEW(struct weir_wasm_module);
    atomic_init(&module->refs, 1);
    module->engine = engine;
    uint64_t begin = now_ns();
    weir_wasm_sha256(code, module->sha256);
    result = compile(module, code, err);
    if (result == WEIR_OK) result = read_exports(module, memory_max, err, warnings);
    if (result == WEIR_OK) result = link_imports(module, err, warnings);
    if (result != WEIR_OK) {
        weir_wasm_module_unref(module);
        return result;
    }
    module->load_ns = now_ns() - begin;
    if (!module->from_cache) weir_wasm_cache_put(engine, module->sha256, module->module);
    *ret = module;
    return WEIR_OK;
}

static void free_externs(struct weir_wasm_extern *externs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        weir_free(externs[i].module);
        weir_free(externs[i].name);
        weir_free(externs[i].type);
    }
    weir_free(externs);
}

void weir_wasm_module_unref(struct weir_wasm_module *module)
{
    if (!module || atomic_fetch_sub_explicit(&module->refs, 1, memory_order_acq_rel) != 1) return;
    if (module->pre) wasmtime_instance_pre_delete(module->pre);
    if (module->module) wasmtime_module_delete(module->module);
    free_externs(module->imports, module->n_imports);
    free_externs(module->exports, module->n_exports);
    weir_free(module);
}
