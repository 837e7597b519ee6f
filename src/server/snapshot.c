/* Building a snapshot: read the file, make clusters and listeners, keep what did not change. All mistakes are reported in one run:
 * a part that is wrong does not keep the others from being looked at. */
#include "server/snapshot.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "config/supported.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"
#include "server/bootstrap_fields.h"
#include "upstream/cluster_config.h"

typedef Envoy__Config__Bootstrap__V3__Bootstrap Bootstrap;
typedef Envoy__Config__Cluster__V3__Cluster Cluster;
typedef Envoy__Config__Listener__V3__Listener Listener;
typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager Hcm;

static struct weir_source *source_new(void)
{
    struct weir_source *source = WEIR_NEW(struct weir_source);
    atomic_init(&source->refs, 1);
    weir_diag_init(&source->diag);
    source->config = weir_config_new(&source->diag);
    return source;
}

static struct weir_source *source_ref(struct weir_source *source)
{
    atomic_fetch_add_explicit(&source->refs, 1, memory_order_relaxed);
    return source;
}

void weir_source_unref(struct weir_source *source)
{
    if (!source || atomic_fetch_sub_explicit(&source->refs, 1, memory_order_acq_rel) != 1) return;
    weir_config_free(source->config);
    weir_diag_fini(&source->diag);
    weir_free(source);
}

static void release_source(void *arg)
{
    weir_source_unref(arg);
}

struct weir_snapshot *weir_snapshot_ref(struct weir_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void weir_snapshot_unref(struct weir_snapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) != 1) return;
    for (uint32_t i = 0; i < snapshot->n_listeners; i++) weir_listener_unref(snapshot->listeners[i]);
    weir_free(snapshot->listeners);
    for (uint32_t i = 0; i < snapshot->n_services; i++) snapshot->services[i].release(snapshot->services[i].arg);
    weir_free(snapshot->services);
    weir_listener_unref(snapshot->admin);
    weir_clusters_unref(snapshot->clusters);
    weir_source_unref(snapshot->source);
    weir_free(snapshot);
}

struct build {
    const struct weir_snapshot_deps *deps;
    const struct weir_snapshot *previous;
    struct weir_source *source;
    struct weir_snapshot *snapshot;
    struct weir_map cluster_names;
};

static struct weir_conf_ctx context(const struct build *b, const struct weir_filter_registry *http_filters)
{
    const struct weir_snapshot_deps *d = b->deps;
    return (struct weir_conf_ctx){
        .config = b->source->config,
        .diag = &b->source->diag,
        .stats = d->stats,
        .http_filters = http_filters,
        .net_filters = d->net_filters,
        .access_loggers = d->access_loggers,
        .cluster_names = &b->cluster_names,
        .wasm = d->wasm,
        .validate_only = d->validate_only,
        .n_workers = d->n_workers,
        .service_node = d->service_node,
        .service_cluster = d->service_cluster,
        .service_zone = d->service_zone,
    };
}

static struct weir_cluster *previous_cluster(const struct build *b, const struct weir_cluster *cluster)
{
    if (!b->previous) return NULL;
    struct weir_cluster *old = weir_map_get(&b->previous->clusters->by_name, cluster->name);
    return old && old->hash == cluster->hash ? old : NULL;
}

/* Names of all clusters first: routes of any listener may lead to any of them. */
static void name_clusters(struct build *b, const Bootstrap *bootstrap)
{
    for (size_t i = 0; i < bootstrap->static_resources->n_clusters; i++) {
        Cluster *cluster = bootstrap->static_resources->clusters[i];
        struct weir_slice name = weir_slice_str(cluster->name);
        if (name.len == 0) continue; /* reported by the schema's own rule */
        const Cluster *first = weir_map_get(&b->cluster_names, name);
        if (!first) {
            weir_map_set(&b->cluster_names, name, cluster);
            continue;
        }
        weir_config_error(b->source->config, cluster, "name", -1, "a second cluster named \"%s\" (the first is at line %u)",
                          cluster->name, (unsigned)weir_config_pos(b->source->config, first, "name", -1).line);
    }
}

static void build_clusters(struct build *b, const Bootstrap *bootstrap)
{
    size_t n = bootstrap->static_resources->n_clusters;
    struct weir_cluster **v = weir_zalloc((n + 1) * sizeof *v);
    uint32_t made = 0;
    for (size_t i = 0; i < n; i++) {
        const Cluster *proto = bootstrap->static_resources->clusters[i];
        if (proto->name && weir_map_get(&b->cluster_names, weir_slice_str(proto->name)) != proto) continue;
        struct weir_cluster *cluster = weir_cluster_new(b->source->config, proto, b->deps->stats);
        if (!cluster) continue;
        struct weir_cluster *old = previous_cluster(b, cluster);
        if (old) {
            weir_cluster_unref(cluster);
            v[made++] = weir_cluster_ref(old);
        } else {
            weir_arena_on_end(&cluster->arena, release_source, source_ref(b->source));
            v[made++] = cluster;
        }
    }
    b->snapshot->clusters = weir_clusters_new(v, made);
    for (uint32_t i = 0; i < made; i++) weir_cluster_unref(v[i]);
    weir_free(v);
}

static struct weir_listener *build_listener(struct build *b, const Listener *proto, const struct weir_filter_registry *filters)
{
    struct weir_conf_ctx ctx = context(b, filters);
    ctx.files = b->source->files;
    struct weir_listener *listener = weir_listener_new(&ctx, &proto->base);
    b->source->files = ctx.files;
    if (listener) weir_arena_on_end(&listener->arena, release_source, source_ref(b->source));
    return listener;
}

static struct weir_listener *previous_listener(const struct build *b, const struct weir_listener *listener)
{
    for (uint32_t i = 0; b->previous && i < b->previous->n_listeners; i++) {
        struct weir_listener *old = b->previous->listeners[i];
        if (weir_slice_eq(old->name, listener->name) && old->hash == listener->hash) return old;
    }
    return NULL;
}

static bool shares_address(const struct weir_listener *a, const struct weir_listener *b)
{
    for (uint32_t i = 0; i < a->n_addrs; i++)
        for (uint32_t j = 0; j < b->n_addrs; j++)
            if (weir_addr_eq(&a->addrs[i], &b->addrs[j]) && (weir_addr_port(&a->addrs[i]) || !weir_addr_is_ip(&a->addrs[i]))) return true;
    return false;
}

/* Two listeners may have neither a name nor an address in common. */
static void check_against_others(struct build *b, const struct weir_listener *listener, const Listener *proto)
{
    struct weir_snapshot *s = b->snapshot;
    for (uint32_t i = 0; i < s->n_listeners; i++) {
        if (weir_slice_eq(s->listeners[i]->name, listener->name))
            weir_config_error(b->source->config, proto, "name", -1, "a second listener named \"%.*s\"", WEIR_SARG(listener->name));
        else if (shares_address(s->listeners[i], listener))
            weir_config_error(b->source->config, proto, "address", -1, "the address is taken by listener \"%.*s\" already",
                              WEIR_SARG(s->listeners[i]->name));
    }
}

static void build_listeners(struct build *b, const Bootstrap *bootstrap)
{
    struct weir_snapshot *s = b->snapshot;
    size_t n = bootstrap->static_resources->n_listeners;
    s->listeners = weir_zalloc((n + 1) * sizeof *s->listeners);
    for (size_t i = 0; i < n; i++) {
        const Listener *proto = bootstrap->static_resources->listeners[i];
        struct weir_listener *listener = build_listener(b, proto, b->deps->http_filters);
        if (!listener) continue;
        check_against_others(b, listener, proto);
        struct weir_listener *old = previous_listener(b, listener);
        if (old) {
            weir_listener_unref(listener);
            listener = weir_listener_ref(old);
        }
        s->listeners[s->n_listeners++] = listener;
    }
}

static const struct weir_service_ops *find_service(struct weir_slice type)
{
    for (const struct weir_service_ops *const *ops = weir_services; *ops; ops++)
        if (weir_slice_eq(weir_slice_str((*ops)->type), type)) return *ops;
    return NULL;
}

static void build_services(struct build *b, const Bootstrap *bootstrap)
{
    struct weir_snapshot *s = b->snapshot;
    struct weir_config *config = b->source->config;
    s->services = weir_zalloc((bootstrap->n_bootstrap_extensions + 1) * sizeof *s->services);
    for (size_t i = 0; i < bootstrap->n_bootstrap_extensions; i++) {
        const Envoy__Config__Core__V3__TypedExtensionConfig *extension = bootstrap->bootstrap_extensions[i];
        struct weir_any any = weir_config_any(config, extension->typed_config);
        const struct weir_service_ops *ops = find_service(any.type);
        if (!ops || !any.msg) {
            weir_config_error(config, extension, "typed_config", -1, "no bootstrap extension \"%.*s\" in weir",
                              WEIR_SARG(any.type.len ? any.type : weir_slice_str(extension->name)));
            continue;
        }
        struct weir_conf_ctx ctx = context(b, b->deps->http_filters);
        ctx.arena = &config->arena;
        ctx.files = b->source->files;
        if (ops->parse(&ctx, any.msg, &s->services[s->n_services]) == WEIR_OK) s->n_services++;
        b->source->files = ctx.files;
    }
}

/* The admin is an ordinary listener with one filter of its own; this is its configuration, completed with the address and the
 * access logs that the bootstrap gives it. */
static const char admin_text[] =
    "name: admin\n"
    "stat_prefix: admin\n"
    "address: {socket_address: {address: 127.0.0.1, port_value: 0}}\n"
    "filter_chains:\n"
    "- filters:\n"
    "  - name: envoy.filters.network.http_connection_manager\n"
    "    typed_config:\n"
    "      '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n"
    "      stat_prefix: admin\n"
    "      generate_request_id: false\n"
    "      route_config: {name: admin, virtual_hosts: []}\n"
    "      http_filters: [{name: weir.admin, typed_config: {'@type': type.googleapis.com/google.protobuf.Empty}}]\n";

static void build_admin(struct build *b, const Bootstrap *bootstrap)
{
    const Envoy__Config__Bootstrap__V3__Admin *admin = bootstrap->admin;
    if (!admin || !admin->address) return;
    ProtobufCMessage *msg = NULL;
    struct weir_slice text = weir_slice(admin_text, sizeof admin_text - 1);
    if (weir_config_read_text(b->source->config, WEIR_S("admin"), text, &envoy__config__listener__v3__listener__descriptor, &msg))
        return;
    Listener *listener = (Listener *)(void *)msg;
    listener->address = admin->address;
    const Envoy__Config__Listener__V3__Filter *filter = listener->filter_chains[0]->filters[0];
    Hcm *hcm = (Hcm *)(uintptr_t)weir_config_any(b->source->config, filter->typed_config).msg;
    if (!hcm) return;
    hcm->access_log = admin->access_log;
    hcm->n_access_log = admin->n_access_log;
    if (admin->access_log_path && admin->access_log_path[0] && admin->n_access_log == 0)
        weir_bootstrap_admin_log(b->source->config, admin, hcm);
    struct weir_listener *built = build_listener(b, listener, b->deps->admin_filters);
    struct weir_listener *old = b->previous ? b->previous->admin : NULL;
    if (built && old && old->hash == built->hash) {
        weir_listener_unref(built);
        built = weir_listener_ref(old);
    }
    b->snapshot->admin = built;
}

struct weir_snapshot *weir_snapshot_build(const struct weir_snapshot_deps *deps, const struct weir_snapshot *previous,
                                          struct weir_source **ret_source)
{
    struct build b = {.deps = deps, .previous = previous, .source = source_new()};
    *ret_source = b.source;
    b.source->config->lenient = deps->allow_unknown_fields;
    enum weir_err err = weir_config_load(b.source->config, deps->path, deps->overlay);
    Bootstrap *bootstrap = b.source->config->bootstrap;
    if (!bootstrap) return NULL;
    weir_config_check_supported(b.source->config, bootstrap, &weir_bootstrap_fields);
    b.snapshot = WEIR_NEW(struct weir_snapshot);
    atomic_init(&b.snapshot->refs, 1);
    b.snapshot->source = source_ref(b.source);
    weir_map_init(&b.cluster_names);
    Envoy__Config__Bootstrap__V3__Bootstrap__StaticResources none =
        ENVOY__CONFIG__BOOTSTRAP__V3__BOOTSTRAP__STATIC_RESOURCES__INIT;
    if (!bootstrap->static_resources) bootstrap->static_resources = &none;
    name_clusters(&b, bootstrap);
    build_clusters(&b, bootstrap);
    build_listeners(&b, bootstrap);
    build_services(&b, bootstrap);
    build_admin(&b, bootstrap);
    if (bootstrap->static_resources == &none) bootstrap->static_resources = NULL;
    weir_map_fini(&b.cluster_names);
    if (err == WEIR_OK && b.source->diag.n_errors == 0) return b.snapshot;
    weir_snapshot_unref(b.snapshot);
    return NULL;
}
