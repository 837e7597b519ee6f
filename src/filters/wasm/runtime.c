/* What all threads share: the engine, shared data, and the plugins by key. */
#include "filters/wasm/runtime.h"

#include <stdlib.h>

#include "base/mem.h"
#include "filters/wasm/plugin.h"

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value ? value : otherwise;
}

struct weir_wasm_runtime *weir_wasm_runtime_new(const struct weir_wasm_runtime_opts *opts, struct weir_stats *stats)
{
    struct weir_wasm_runtime *runtime = WEIR_NEW(struct weir_wasm_runtime);
    runtime->opts = *opts;
    runtime->opts.memory_max = or_default(opts->memory_max, WEIR_WASM_MEMORY_MAX);
    runtime->opts.deadline_ms = (uint32_t)or_default(opts->deadline_ms, WEIR_WASM_DEADLINE_MS);
    runtime->opts.start_deadline_ms = (uint32_t)or_default(opts->start_deadline_ms, WEIR_WASM_START_DEADLINE_MS);
    if (!opts->cache_dir)
        runtime->cache_dir = weir_wasm_default_cache_dir();
    else if (opts->cache_dir[0] != '\0')
        runtime->cache_dir = weir_xstrndup(opts->cache_dir, strlen(opts->cache_dir));
    runtime->stats = stats;
    runtime->shared = weir_wasm_shared_new();
    /* Backtraces with source lines where a module has DWARF: the C API has no setting for it. Before other threads start. */
    (void)setenv("WASMTIME_BACKTRACE_DETAILS", "1", 0);
    pthread_mutex_init(&runtime->mutex, NULL);
    weir_list_init(&runtime->specs);
    weir_list_init(&runtime->plugins);
    return runtime;
}

void weir_wasm_runtime_free(struct weir_wasm_runtime *runtime)
{
    if (!runtime) return;
    weir_wasm_shared_free(runtime->shared);
    weir_wasm_engine_free(runtime->engine);
    pthread_mutex_destroy(&runtime->mutex);
    weir_free(runtime->free_ids);
    weir_free(runtime->cache_dir);
    weir_free(runtime);
}

struct weir_wasm_engine *wasm_runtime_engine(struct weir_wasm_runtime *runtime, struct weir_str *err)
{
    if (!runtime->engine) {
        struct weir_wasm_engine_opts opts = {.cache_dir = runtime->cache_dir, .quick_compile = runtime->opts.quick_compile};
        runtime->engine = weir_wasm_engine_new(&opts, err);
    }
    return runtime->engine;
}

/* ---- the tables of plugins and specs ---- */

/* An object whose last reference is being given up is not to be found any more. */
static bool try_ref(_Atomic uint32_t *refs)
{
    uint32_t n = atomic_load_explicit(refs, memory_order_relaxed);
    while (n != 0)
        if (atomic_compare_exchange_weak_explicit(refs, &n, n + 1, memory_order_acq_rel, memory_order_relaxed)) return true;
    return false;
}

struct wasm_spec *wasm_spec_find(struct weir_wasm_runtime *runtime, const uint8_t key[32])
{
    struct wasm_spec *found = NULL;
    pthread_mutex_lock(&runtime->mutex);
    WEIR_LIST_EACH(&runtime->specs, it)
    {
        struct wasm_spec *spec = WEIR_CONTAINER_OF(it, struct wasm_spec, link);
        if (memcmp(spec->key, key, 32) != 0 || !try_ref(&spec->refs)) continue;
        found = spec;
        break;
    }
    pthread_mutex_unlock(&runtime->mutex);
    return found;
}

struct weir_wasm_plugin *wasm_plugin_find(struct weir_wasm_runtime *runtime, const uint8_t key[32])
{
    struct weir_wasm_plugin *found = NULL;
    pthread_mutex_lock(&runtime->mutex);
    WEIR_LIST_EACH(&runtime->plugins, it)
    {
        struct weir_wasm_plugin *plugin = WEIR_CONTAINER_OF(it, struct weir_wasm_plugin, link);
        if (memcmp(plugin->key, key, 32) != 0 || !try_ref(&plugin->refs)) continue;
        found = plugin;
        break;
    }
    pthread_mutex_unlock(&runtime->mutex);
    return found;
}

struct weir_wasm_module *wasm_module_find(struct weir_wasm_runtime *runtime, const uint8_t sha256[32])
{
    struct weir_wasm_module *found = NULL;
    pthread_mutex_lock(&runtime->mutex);
    WEIR_LIST_EACH(&runtime->specs, it)
    {
        struct wasm_spec *spec = WEIR_CONTAINER_OF(it, struct wasm_spec, link);
        if (memcmp(spec->module->sha256, sha256, 32) != 0) continue;
        found = weir_wasm_module_ref(spec->module); /* a listed spec still holds its module */
        break;
    }
    pthread_mutex_unlock(&runtime->mutex);
    return found;
}

void wasm_spec_add(struct weir_wasm_runtime *runtime, struct wasm_spec *spec)
{
    pthread_mutex_lock(&runtime->mutex);
    weir_list_push_back(&runtime->specs, &spec->link);
    pthread_mutex_unlock(&runtime->mutex);
}

void wasm_plugin_add(struct weir_wasm_runtime *runtime, struct weir_wasm_plugin *plugin)
{
    pthread_mutex_lock(&runtime->mutex);
    plugin->id = runtime->n_free_ids > 0 ? runtime->free_ids[--runtime->n_free_ids] : runtime->next_plugin_id++;
    weir_list_push_back(&runtime->plugins, &plugin->link);
    pthread_mutex_unlock(&runtime->mutex);
}

void wasm_spec_unref(struct wasm_spec *spec)
{
    if (!spec || atomic_fetch_sub_explicit(&spec->refs, 1, memory_order_acq_rel) != 1) return;
    pthread_mutex_lock(&spec->runtime->mutex);
    weir_list_unlink(&spec->link);
    pthread_mutex_unlock(&spec->runtime->mutex);
    weir_wasm_module_unref(spec->module);
    weir_arena_fini(&spec->arena);
    weir_free(spec);
}

void wasm_plugin_ref(struct weir_wasm_plugin *plugin)
{
    atomic_fetch_add_explicit(&plugin->refs, 1, memory_order_relaxed);
}

static void give_id_back(struct weir_wasm_runtime *runtime, uint32_t id)
{
    if (runtime->n_free_ids == runtime->cap_free_ids) {
        runtime->cap_free_ids = runtime->cap_free_ids ? runtime->cap_free_ids * 2 : 16;
        runtime->free_ids = weir_xrealloc(runtime->free_ids, runtime->cap_free_ids * sizeof *runtime->free_ids);
    }
    runtime->free_ids[runtime->n_free_ids++] = id;
}

void wasm_plugin_unref(struct weir_wasm_plugin *plugin)
{
    if (!plugin || atomic_fetch_sub_explicit(&plugin->refs, 1, memory_order_acq_rel) != 1) return;
    struct weir_wasm_runtime *runtime = plugin->runtime;
    pthread_mutex_lock(&runtime->mutex);
    if (weir_list_linked(&plugin->link)) {
        weir_list_unlink(&plugin->link);
        give_id_back(runtime, plugin->id);
    }
    pthread_mutex_unlock(&runtime->mutex);
    wasm_spec_unref(plugin->spec);
    weir_arena_fini(&plugin->arena);
    weir_free(plugin);
}
