/* A module looked at without being run. It is compiled by the quick compiler, since only its types are of interest. */
#include "wasm/inspect.h"

#include <errno.h>

#include "base/mem.h"
#include "wasm/limits.h"
#include "wasm/module.h"

static bool read_file(const char *path, struct weir_str *out, FILE *err)
{
    static char chunk[65536];
    FILE *in = fopen(path, "rb");
    if (!in) {
        (void)fprintf(err, "%s: %s\n", path, strerror(errno));
        return false;
    }
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, in)) > 0) weir_str_add(out, weir_slice(chunk, n));
    (void)fclose(in);
    return true;
}

static bool has_export(const struct weir_wasm_module *module, const char *start)
{
    for (size_t i = 0; i < module->n_exports; i++)
        if (weir_slice_starts_with(weir_slice_str(module->exports[i].name), weir_slice_str(start))) return true;
    return false;
}

static void print_module(const struct weir_wasm_module *module, size_t bytes, FILE *out)
{
    char hex[65];
    weir_wasm_hex(module->sha256, hex);
    (void)fprintf(out, "abi       %s\n", weir_wasm_abi_name(module->abi));
    (void)fprintf(out, "size      %zu bytes, sha256 %s\n", bytes, hex);
    (void)fprintf(out, "memory    starts with %llu KiB\n", (unsigned long long)(module->initial_memory >> 10));
    (void)fprintf(out, "starts by %s\n", has_export(module, "_initialize") ? "_initialize" : has_export(module, "_start") ? "_start" : "nothing of its own");
    (void)fprintf(out, "allocator %s\n", weir_wasm_cb_name(module->has[WEIR_WASM_CB_MEMORY_ALLOCATE] ? WEIR_WASM_CB_MEMORY_ALLOCATE : WEIR_WASM_CB_MALLOC));
    (void)fprintf(out, "callbacks\n");
    for (unsigned cb = 0; cb < WEIR_WASM_CB_INITIALIZE; cb++)
        if (module->has[cb]) (void)fprintf(out, "  %s\n", weir_wasm_cb_name((enum weir_wasm_cb)cb));
    (void)fprintf(out, "imports\n");
    for (size_t i = 0; i < module->n_imports; i++) {
        const struct weir_wasm_extern *import = &module->imports[i];
        (void)fprintf(out, "  %s.%s %s%s\n", import->module, import->name, import->type, import->stub ? "  NOT KNOWN: answers \"unimplemented\"" : "");
    }
}

int weir_wasm_inspect(const char *path, FILE *out, FILE *err)
{
    struct weir_str code, why, warnings;
    weir_str_init(&code, WEIR_WASM_MODULE_MAX);
    weir_str_init(&why, 8192);
    weir_str_init(&warnings, 65536);
    struct weir_wasm_module *module = NULL;
    struct weir_wasm_engine *engine = NULL;
    bool good = read_file(path, &code, err);
    if (good) {
        const struct weir_wasm_engine_opts opts = {.quick_compile = true};
        engine = weir_wasm_engine_new(&opts, &why);
        good = engine && weir_wasm_module_load(engine, weir_str_slice(&code), UINT32_MAX, &why, &warnings, &module) == WEIR_OK;
        if (good) print_module(module, code.len, out);
        (void)fprintf(err, "%.*s", WEIR_SARG(weir_str_slice(&warnings)));
        if (!good) (void)fprintf(err, "%s: %.*s\n", path, WEIR_SARG(weir_str_slice(&why)));
    }
    weir_wasm_module_unref(module);
    weir_wasm_engine_free(engine);
    weir_str_fini(&code);
    weir_str_fini(&why);
    weir_str_fini(&warnings);
    return good ? 0 : 1;
}
