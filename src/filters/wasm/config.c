/* Reading a PluginConfig: code, configuration, environment, limits, policy. The module is compiled here, once for all workers, and
 * the plugin is tried in a canary VM whose effects are withheld: what does not start is refused with the configuration. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/supported.h"
#include "envoy/extensions/filters/http/wasm/v3/wasm.pb-c.h"
#include "envoy/extensions/wasm/v3/wasm.pb-c.h"
#include "filters/wasm/plugin.h"
#include "proxy/data_source.h"

typedef Envoy__Extensions__Wasm__V3__PluginConfig PluginConfig;
typedef Envoy__Extensions__Wasm__V3__VmConfig VmConfig;
typedef Envoy__Extensions__Wasm__V3__EnvironmentVariables EnvironmentVariables;
typedef Envoy__Extensions__Wasm__V3__CapabilityRestrictionConfig Capabilities;

/* Envoy: ReloadConfig.backoff, 1 s and ten times that. */
#define BACKOFF_BASE_MS 1000u
#define BACKOFF_MAX_TIMES 10u
#define ENV_MAX 1024u

/* ---- what is supported ---- */

static const struct weir_supported_field async_source_fields[] = {{.name = "local"}};
static const struct weir_supported_fields async_source_supported =
    WEIR_SUPPORTED(envoy__config__core__v3__async_data_source__descriptor, async_source_fields);

static const struct weir_supported_field vm_fields[] = {
    {.name = "vm_id"},
    {.name = "runtime", .note = "any: weir runs all modules on Wasmtime"},
    {.name = "code", .nested = &async_source_supported},
    {.name = "configuration"},
    {.name = "allow_precompiled", .state = WEIR_FIELD_HARMLESS, .note = "precompiled sections are not used; modules are compiled"},
    {.name = "nack_on_code_cache_miss", .state = WEIR_FIELD_HARMLESS, .note = "of remote code"},
    {.name = "environment_variables"},
    {.name = "capability_restriction_config"},
};
static const struct weir_supported_fields vm_supported =
    WEIR_SUPPORTED(envoy__extensions__wasm__v3__vm_config__descriptor, vm_fields);

static const struct weir_supported_field plugin_fields[] = {
    {.name = "name"},
    {.name = "root_id"},
    {.name = "vm_config", .nested = &vm_supported},
    {.name = "configuration"},
    {.name = "fail_open"},
    {.name = "failure_policy"},
    {.name = "reload_config"},
    {.name = "capability_restriction_config"},
    {.name = "allow_on_headers_stop_iteration"},
};
const struct weir_supported_fields wasm_plugin_fields =
    WEIR_SUPPORTED(envoy__extensions__wasm__v3__plugin_config__descriptor, plugin_fields);

static const struct weir_supported_field filter_fields[] = {{.name = "config", .nested = &wasm_plugin_fields}};
const struct weir_supported_fields weir_wasm_filter_fields =
    WEIR_SUPPORTED(envoy__extensions__filters__http__wasm__v3__wasm__descriptor, filter_fields);

/* ---- environment and limits ---- */

/* Variables that the host reads too: limits of this plugin's VM. */
static const struct {
    struct weir_slice name;
    size_t offset;
    bool wide;
    uint64_t unit, least, most;
} limit_vars[] = {
    {WEIR_S_INIT("WEIR_MEMORY_MAX_MIB"), offsetof(struct weir_vm_opts, memory_max), true, 1u << 20, 1, 4096},
    {WEIR_S_INIT("WEIR_DEADLINE_MS"), offsetof(struct weir_vm_opts, deadline_ms), false, 1, 1, 60000},
    {WEIR_S_INIT("WEIR_START_DEADLINE_MS"), offsetof(struct weir_vm_opts, start_deadline_ms), false, 1, 1, 600000},
};

static bool read_limit(struct weir_conf_ctx *ctx, const VmConfig *vm, struct weir_vm_opts *opts, const struct weir_wasm_env *env)
{
    for (size_t i = 0; i < WEIR_COUNTOF(limit_vars); i++) {
        if (!weir_slice_eq(env->name, limit_vars[i].name)) continue;
        uint64_t value;
        if (weir_parse_u64(env->value, limit_vars[i].most, &value) != WEIR_OK || value < limit_vars[i].least) {
            weir_config_error(ctx->config, vm->environment_variables, "key_values", -1, "%.*s must be a number from %llu to %llu",
                              WEIR_SARG(env->name), (unsigned long long)limit_vars[i].least,
                              (unsigned long long)limit_vars[i].most);
            return false;
        }
        char *field = (char *)opts + limit_vars[i].offset;
        uint64_t wide = value * limit_vars[i].unit;
        uint32_t narrow = (uint32_t)wide;
        if (limit_vars[i].wide)
            memcpy(field, &wide, sizeof wide);
        else
            memcpy(field, &narrow, sizeof narrow);
    }
    return true;
}

static bool has_env(const struct weir_wasm_env *env, size_t n, struct weir_slice name)
{
    for (size_t i = 0; i < n; i++)
        if (weir_slice_eq(env[i].name, name)) return true;
    return false;
}

/* Envoy: envoyproxy Plugin.h buildPluginWasm, a key given twice is refused, a host variable that is not set is left out. */
static enum weir_err read_environment(struct weir_conf_ctx *ctx, const VmConfig *vm, struct wasm_spec *spec)
{
    const EnvironmentVariables *vars = vm->environment_variables;
    if (!vars) return WEIR_OK;
    size_t most = vars->n_host_env_keys + vars->n_key_values, n = 0;
    if (most > ENV_MAX) {
        weir_config_error(ctx->config, vars, NULL, -1, "%zu environment variables, the limit is %u", most, ENV_MAX);
        return WEIR_ERR_INVALID;
    }
    struct weir_wasm_env *env = WEIR_ARENA_ARRAY(&spec->arena, struct weir_wasm_env, most + 1);
    for (size_t i = 0; i < most; i++) {
        bool host = i < vars->n_host_env_keys;
        size_t at = host ? i : i - vars->n_host_env_keys;
        const char *key = host ? vars->host_env_keys[at] : vars->key_values[at]->key;
        const char *value = host ? getenv(key) : vars->key_values[at]->value;
        struct weir_slice name = weir_slice_str(key);
        if (has_env(env, n, name)) {
            weir_config_error(ctx->config, vars, host ? "host_env_keys" : "key_values", -1,
                              "the environment variable \"%s\" is given twice", key);
            return WEIR_ERR_INVALID;
        }
        if (!value) continue;
        env[n++] = (struct weir_wasm_env){weir_arena_dup(&spec->arena, name), weir_arena_dup(&spec->arena, weir_slice_str(value))};
        if (!read_limit(ctx, vm, &spec->vm_opts, &env[n - 1])) return WEIR_ERR_INVALID;
    }
    spec->vm_opts.env = env;
    spec->vm_opts.n_env = n;
    return WEIR_OK;
}

/* ---- capabilities ---- */

static size_t export_index(struct weir_slice name)
{
    for (unsigned cb = 0; cb < WEIR_WASM_CB_COUNT; cb++)
        if (weir_slice_eq(name, weir_slice_str(weir_wasm_cb_name((enum weir_wasm_cb)cb)))) return cb;
    return SIZE_MAX;
}

static void set_bit(uint64_t *bits, size_t i)
{
    bits[i / 64] |= UINT64_C(1) << (i % 64);
}

/* An empty map restricts nothing (cpp-host: capabilityAllowed). */
static void read_capabilities(struct weir_conf_ctx *ctx, const Capabilities *conf, struct wasm_spec *spec)
{
    if (!conf || conf->n_allowed_capabilities == 0) return;
    uint64_t *calls = WEIR_ARENA_ARRAY(&spec->arena, uint64_t, weir_hostcalls_count() / 64 + 1);
    uint64_t *exports = WEIR_ARENA_ARRAY(&spec->arena, uint64_t, WEIR_WASM_CB_COUNT / 64 + 1);
    /* Without these a module cannot start or be given anything. */
    for (unsigned cb = WEIR_WASM_CB_INITIALIZE; cb < WEIR_WASM_CB_COUNT; cb++) set_bit(exports, cb);
    for (size_t i = 0; i < conf->n_allowed_capabilities; i++) {
        struct weir_slice name = weir_slice_str(conf->allowed_capabilities[i]->key);
        size_t call = weir_hostcalls_index(name), cb = export_index(name);
        if (call != SIZE_MAX) set_bit(calls, call);
        if (cb != SIZE_MAX) set_bit(exports, cb);
        if (call == SIZE_MAX && cb == SIZE_MAX)
            weir_config_warn(ctx->config, conf, "allowed_capabilities", -1, "no capability is named \"%.*s\"", WEIR_SARG(name));
    }
    spec->vm_opts.allowed = calls;
    spec->vm_opts.allowed_exports = exports;
}

/* ---- the VM ---- */

static enum weir_err read_code(struct weir_conf_ctx *ctx, const char *plugin, const VmConfig *vm, struct weir_slice *ret)
{
    const Envoy__Config__Core__V3__AsyncDataSource *code = vm->code;
    if (!code || code->specifier_case != ENVOY__CONFIG__CORE__V3__ASYNC_DATA_SOURCE__SPECIFIER_LOCAL) {
        if (!code || code->specifier_case != ENVOY__CONFIG__CORE__V3__ASYNC_DATA_SOURCE__SPECIFIER_REMOTE)
            weir_config_error(ctx->config, vm, "code", -1, "no code: give code.local.filename");
        return WEIR_ERR_INVALID; /* remote is reported by the table above */
    }
    enum weir_err err = weir_data_source_read(ctx, code->local, WEIR_WASM_MODULE_MAX, ret);
    if (err) weir_config_hint(ctx->config, "the module of plugin \"%s\"", plugin);
    return err;
}

static const char *code_name(const VmConfig *vm)
{
    const Envoy__Config__Core__V3__DataSource *local = vm->code->local;
    return local->specifier_case == ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_FILENAME ? local->filename : "the inline module";
}

static void warn_lines(struct weir_conf_ctx *ctx, const PluginConfig *conf, const VmConfig *vm, struct weir_slice warnings)
{
    struct weir_slice line;
    while (weir_slice_next(&warnings, '\n', &line))
        if (line.len > 0)
            weir_config_warn(ctx->config, vm, "code", -1, "plugin \"%s\": %s %.*s", conf->name, code_name(vm), WEIR_SARG(line));
}

static enum weir_err load_module(struct weir_conf_ctx *ctx, const PluginConfig *conf, const VmConfig *vm, struct weir_slice code,
                                 struct wasm_spec *spec)
{
    struct weir_wasm_runtime *runtime = ctx->wasm;
    uint8_t sha256[32];
    weir_wasm_sha256(code, sha256);
    spec->module = wasm_module_find(runtime, sha256);
    if (spec->module && spec->module->initial_memory <= spec->vm_opts.memory_max) return WEIR_OK;
    struct weir_str err, warnings;
    weir_str_init(&err, 8192);
    weir_str_init(&warnings, 65536);
    struct weir_wasm_engine *engine = wasm_runtime_engine(runtime, &err);
    enum weir_err result = engine ? WEIR_OK : WEIR_ERR_UNSUPPORTED;
    weir_wasm_module_unref(WEIR_TAKE(spec->module));
    if (engine)
        result = weir_wasm_module_load(engine, code, spec->vm_opts.memory_max, &err, &warnings, &spec->module);
    if (result == WEIR_OK) {
        WEIR_LOG(INFO, WASM, "plugin \"%s\": %s (ABI %s) %s in %.1f ms", conf->name, code_name(vm),
                 weir_wasm_abi_name(spec->module->abi), spec->module->from_cache ? "read compiled from the cache" : "compiled",
                 (double)spec->module->load_ns / 1e6);
    } else {
        weir_config_error(ctx->config, vm, "code", -1, "plugin \"%s\": %s %.*s", conf->name, code_name(vm),
                          WEIR_SARG(weir_str_slice(&err)));
    }
    if (spec->module && !spec->module->from_cache) weir_mem_trim(); /* compiling takes some 50 MB for a Go filter */
    warn_lines(ctx, conf, vm, weir_str_slice(&warnings));
    weir_str_fini(&err);
    weir_str_fini(&warnings);
    return result == WEIR_OK ? WEIR_OK : WEIR_ERR_INVALID;
}

/* Everything that the key stands for, in an order that never changes. */
static void add_part(struct weir_str *material, struct weir_slice part)
{
    weir_str_printf(material, "%zu:", part.len);
    weir_str_add(material, part);
}

static void spec_key(struct weir_conf_ctx *ctx, const PluginConfig *conf, const VmConfig *vm, struct weir_slice code,
                     const struct wasm_spec *spec, uint8_t key[32])
{
    struct weir_str material;
    weir_str_init(&material, 64u << 20);
    uint8_t sha256[32];
    weir_wasm_sha256(code, sha256);
    add_part(&material, weir_slice((const char *)sha256, 32));
    add_part(&material, spec->vm_id);
    add_part(&material, spec->conf);
    add_part(&material, weir_slice_str(vm->runtime));
    for (size_t i = 0; i < spec->vm_opts.n_env; i++) {
        add_part(&material, spec->vm_opts.env[i].name);
        add_part(&material, spec->vm_opts.env[i].value);
    }
    const Capabilities *capabilities[] = {conf->capability_restriction_config, vm->capability_restriction_config};
    for (size_t i = 0; i < WEIR_COUNTOF(capabilities); i++)
        if (capabilities[i]) add_part(&material, weir_config_pack(ctx->config, &capabilities[i]->base, ctx->arena));
    weir_wasm_sha256(weir_str_slice(&material), key);
    weir_str_fini(&material);
}

static void spec_drop(struct wasm_spec *spec)
{
    weir_wasm_module_unref(spec->module);
    weir_arena_fini(&spec->arena);
    weir_free(spec);
}

static enum weir_err spec_read(struct weir_conf_ctx *ctx, const PluginConfig *conf, struct wasm_spec **ret)
{
    struct weir_wasm_runtime *runtime = ctx->wasm;
    const VmConfig *vm = conf->vm_config;
    struct weir_slice code;
    enum weir_err err = read_code(ctx, conf->name ? conf->name : "", vm, &code);
    if (err != WEIR_OK) return err;
    struct wasm_spec *spec = WEIR_NEW(struct wasm_spec);
    atomic_init(&spec->refs, 1);
    spec->runtime = runtime;
    weir_arena_init(&spec->arena, NULL);
    spec->vm_id = weir_arena_dup(&spec->arena, weir_slice_str(vm->vm_id ? vm->vm_id : ""));
    spec->conf = weir_arena_dup(&spec->arena, weir_config_any_bytes(ctx->config, vm->configuration, ctx->arena));
    spec->vm_opts = (struct weir_vm_opts){
        .host = &wasm_host_ops,
        .vm_id = spec->vm_id,
        .memory_max = runtime->opts.memory_max,
        .deadline_ms = runtime->opts.deadline_ms,
        .start_deadline_ms = runtime->opts.start_deadline_ms,
    };
    err = read_environment(ctx, vm, spec);
    if (err == WEIR_OK) {
        read_capabilities(ctx, vm->capability_restriction_config ? vm->capability_restriction_config
                                                                 : conf->capability_restriction_config, spec);
        spec_key(ctx, conf, vm, code, spec, spec->key);
        struct wasm_spec *same = wasm_spec_find(runtime, spec->key);
        if (same) {
            spec_drop(spec);
            *ret = same;
            return WEIR_OK;
        }
        err = load_module(ctx, conf, vm, code, spec);
    }
    if (err != WEIR_OK) {
        spec_drop(spec);
        return err;
    }
    wasm_spec_add(runtime, spec);
    *ret = spec;
    return WEIR_OK;
}

/* ---- the plugin ---- */

static uint32_t duration_ms(const Google__Protobuf__Duration *duration, uint32_t otherwise)
{
    if (!duration) return otherwise;
    uint64_t ms = (uint64_t)duration->seconds * 1000 + (uint64_t)duration->nanos / 1000000;
    return ms == 0 ? 1 : (uint32_t)WEIR_MIN(ms, (uint64_t)UINT32_MAX);
}

static enum weir_err read_policy(struct weir_conf_ctx *ctx, const PluginConfig *conf, struct weir_wasm_plugin *plugin)
{
    plugin->fail_open =
        conf->fail_open || conf->failure_policy == ENVOY__EXTENSIONS__WASM__V3__FAILURE_POLICY__FAIL_OPEN;
    if (conf->fail_open && conf->failure_policy != ENVOY__EXTENSIONS__WASM__V3__FAILURE_POLICY__UNSPECIFIED) {
        weir_config_error(ctx->config, conf, "fail_open", -1, "given beside \"failure_policy\": only one of them may be");
        weir_config_hint(ctx->config, "leave fail_open out and write failure_policy: FAIL_OPEN");
        return WEIR_ERR_INVALID;
    }
    const Envoy__Config__Core__V3__BackoffStrategy *backoff = conf->reload_config ? conf->reload_config->backoff : NULL;
    plugin->backoff_base_ms = duration_ms(backoff ? backoff->base_interval : NULL, BACKOFF_BASE_MS);
    uint64_t most = (uint64_t)plugin->backoff_base_ms * BACKOFF_MAX_TIMES;
    plugin->backoff_max_ms = duration_ms(backoff ? backoff->max_interval : NULL, (uint32_t)WEIR_MIN(most, (uint64_t)UINT32_MAX));
    plugin->stop_iteration = conf->allow_on_headers_stop_iteration && conf->allow_on_headers_stop_iteration->value;
    return WEIR_OK;
}

static weir_stat register_stats(struct weir_conf_ctx *ctx, struct weir_slice name)
{
    static const char *const failure_rows[WEIR_WASM_FAILURE_COUNT] = {
#define X(id, text) [WEIR_WASM_FAILURE_##id] = "failed." text,
        WEIR_WASM_FAILURES(X)
#undef X
    };
    static const struct weir_stat_def fixed[] = {
#define X(name, kind) {#name, WEIR_STAT_##kind},
        WASM_STATS(X)
#undef X
    };
    struct weir_stat_def defs[WASM_STAT_ALL];
    memcpy(defs, fixed, sizeof fixed);
    for (int i = 0; i < WEIR_WASM_FAILURE_COUNT; i++)
        defs[WASM_STAT_TRAPS + i] = (struct weir_stat_def){failure_rows[i], WEIR_STAT_COUNTER};
    struct weir_tag tag = {WEIR_S("envoy_wasm_plugin"), name.len ? name : WEIR_S("unnamed")};
    struct weir_slice prefix = weir_arena_printf(ctx->arena, "wasm.%.*s.", WEIR_SARG(tag.value));
    struct weir_stats_scope scope = {prefix, WEIR_S("wasm."), &tag, 1};
    return weir_stats_register_group(ctx->stats, &scope, defs, WASM_STAT_ALL);
}

/* Envoy: PluginBase::makeLogPrefix. */
static struct weir_slice make_log_prefix(struct weir_wasm_plugin *plugin)
{
    struct weir_slice prefix = WEIR_S("wasm log");
    struct weir_slice parts[] = {plugin->name, plugin->root_id, plugin->spec->vm_id};
    for (size_t i = 0; i < WEIR_COUNTOF(parts); i++)
        if (parts[i].len > 0) prefix = weir_arena_printf(&plugin->arena, "%.*s %.*s", WEIR_SARG(prefix), WEIR_SARG(parts[i]));
    return prefix;
}

static void plugin_key(struct weir_conf_ctx *ctx, const PluginConfig *conf, const struct weir_wasm_plugin *plugin, uint8_t key[32])
{
    struct weir_str material;
    weir_str_init(&material, 256u << 20);
    add_part(&material, weir_slice((const char *)plugin->spec->key, 32));
    add_part(&material, plugin->conf);
    add_part(&material, weir_config_pack(ctx->config, &conf->base, ctx->arena));
    weir_wasm_sha256(weir_str_slice(&material), key);
    weir_str_fini(&material);
}

static enum weir_err try_canary(struct weir_conf_ctx *ctx, const PluginConfig *conf, struct weir_wasm_plugin *plugin)
{
    struct weir_str err;
    weir_str_init(&err, 8192);
    bool good = wasm_canary(plugin, &err);
    if (!good)
        weir_config_error(ctx->config, conf, "configuration", -1, "plugin \"%s\": %s does not start with this configuration: %.*s",
                          conf->name, code_name(conf->vm_config), WEIR_SARG(weir_str_slice(&err)));
    weir_str_fini(&err);
    return good ? WEIR_OK : WEIR_ERR_INVALID;
}

static enum weir_err check(struct weir_conf_ctx *ctx, const PluginConfig *conf)
{
    bool good = weir_config_check_supported(ctx->config, conf, &wasm_plugin_fields);
    if (!ctx->wasm) {
        weir_config_error(ctx->config, conf, NULL, -1, "Wasm plugins cannot be used in this place");
        return WEIR_ERR_INVALID;
    }
    if (conf->vm_case != ENVOY__EXTENSIONS__WASM__V3__PLUGIN_CONFIG__VM_VM_CONFIG || !conf->vm_config) {
        weir_config_error(ctx->config, conf, "vm_config", -1, "no vm_config: a Wasm plugin needs it with its code");
        return WEIR_ERR_INVALID;
    }
    return good ? WEIR_OK : WEIR_ERR_INVALID;
}

enum weir_err wasm_plugin_read(struct weir_conf_ctx *ctx, const void *plugin_config, struct weir_wasm_plugin **ret)
{
    const PluginConfig *conf = plugin_config;
    if (check(ctx, conf) != WEIR_OK) return WEIR_ERR_INVALID;
    struct weir_wasm_plugin *plugin = WEIR_NEW(struct weir_wasm_plugin);
    atomic_init(&plugin->refs, 1);
    plugin->runtime = ctx->wasm;
    weir_arena_init(&plugin->arena, NULL);
    enum weir_err err = spec_read(ctx, conf, &plugin->spec);
    if (err == WEIR_OK) err = read_policy(ctx, conf, plugin);
    if (err == WEIR_OK) {
        plugin->conf = weir_arena_dup(&plugin->arena, weir_config_any_bytes(ctx->config, conf->configuration, ctx->arena));
        plugin_key(ctx, conf, plugin, plugin->key);
        struct weir_wasm_plugin *same = wasm_plugin_find(plugin->runtime, plugin->key);
        if (same) {
            wasm_plugin_unref(plugin);
            *ret = same;
            return WEIR_OK;
        }
        plugin->name = weir_arena_dup(&plugin->arena, weir_slice_str(conf->name ? conf->name : ""));
        plugin->root_id = weir_arena_dup(&plugin->arena, weir_slice_str(conf->root_id ? conf->root_id : ""));
        plugin->log_prefix = make_log_prefix(plugin);
        plugin->stats = register_stats(ctx, plugin->name);
        wasm_plugin_add(plugin->runtime, plugin);
        err = try_canary(ctx, conf, plugin);
    }
    if (err != WEIR_OK) {
        wasm_plugin_unref(plugin);
        return err;
    }
    *ret = plugin;
    return WEIR_OK;
}
