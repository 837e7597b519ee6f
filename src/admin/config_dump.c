/* /config_dump. What is in service is printed from the messages as they were read, secrets redacted. A dump is a list of sections
 * (Envoy's *ConfigDump messages), each with fields, each field a list of elements; resource=, mask= and name_regex= pick from it.
 * Rule: Envoy 1.39 config_dump_handler.cc. */
#include <envoy/config/bootstrap/v3/bootstrap.pb-c.h>
#include <envoy/config/cluster/v3/cluster.pb-c.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h>

#include "admin/admin_priv.h"
#include "admin/json_parts.h"
#include "config/node.h"
#include "config/proto_json.h"

typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager hcm_message;
typedef Envoy__Config__Bootstrap__V3__Bootstrap bootstrap_message;

struct dump {
    struct weir_admin_call *call;
    struct weir_config *config;
    const bootstrap_message *bootstrap;
    const struct weir_regex *names;
    struct weir_slice mask;   // comma-separated paths; absent: everything
    struct weir_str elements; // of the field being printed
    uint32_t n_elements;
    uint32_t n_masked; // elements of which the mask left something
};

/* ---- masks ---- */

/* Does a path of the mask begin with `path`, or is `path` inside one of them? */
static bool masked_in(struct weir_slice mask, struct weir_slice path, bool *ret_whole)
{
    struct weir_slice one;
    bool inside = false;
    *ret_whole = false;
    while (weir_slice_next(&mask, ',', &one)) {
        one = weir_slice_trim(one);
        if (weir_slice_eq(one, path))
            *ret_whole = true;
        if (one.len > path.len && weir_slice_starts_with(one, path) && one.ptr[path.len] == '.')
            inside = true;
    }
    return inside || *ret_whole;
}

static void print_node(struct weir_str *out, const struct weir_node *node)
{
    switch (node->kind) {
    case WEIR_NODE_MAP:
        weir_str_addc(out, '{');
        for (size_t i = 0; i < node->map.n; i++) {
            weir_str_adds(out, i ? ",\"" : "\"");
            weir_str_add_json(out, node->map.pairs[i].key);
            weir_str_adds(out, "\":");
            print_node(out, node->map.pairs[i].value);
        }
        weir_str_addc(out, '}');
        break;
    case WEIR_NODE_LIST:
        weir_str_addc(out, '[');
        for (size_t i = 0; i < node->list.n; i++) {
            if (i)
                weir_str_addc(out, ',');
            print_node(out, node->list.items[i]);
        }
        weir_str_addc(out, ']');
        break;
    case WEIR_NODE_STRING:
        weir_str_addc(out, '"');
        weir_str_add_json(out, node->scalar.text);
        weir_str_addc(out, '"');
        break;
    case WEIR_NODE_NULL:
    case WEIR_NODE_BOOL:
    case WEIR_NODE_INT:
    case WEIR_NODE_FLOAT:
        weir_str_add(out, node->scalar.text);
        break;
    }
}

/* Prints what the mask leaves of a map; "@type" stays. Returns how many members other than that were kept. */
static uint32_t print_masked(struct dump *d, struct weir_str *out, const struct weir_node *node,
                             struct weir_slice path)
{
    uint32_t kept = 0;
    weir_str_addc(out, '{');
    for (size_t i = 0; i < node->map.n; i++) {
        const struct weir_pair *pair = &node->map.pairs[i];
        bool whole = false, type = weir_slice_eq(pair->key, WEIR_S("@type"));
        struct weir_slice inner =
            path.len ? weir_arena_printf(d->call->arena, "%.*s.%.*s", WEIR_SARG(path), WEIR_SARG(pair->key))
                     : pair->key;
        if (!type && !masked_in(d->mask, inner, &whole))
            continue;
        char last = out->ptr[out->len - 1];
        weir_str_adds(out, last == '{' ? "\"" : ",\"");
        weir_str_add_json(out, pair->key);
        weir_str_adds(out, "\":");
        if (whole || type || pair->value->kind != WEIR_NODE_MAP)
            print_node(out, pair->value);
        else
            (void)print_masked(d, out, pair->value, inner);
        kept += !type;
    }
    weir_str_addc(out, '}');
    return kept;
}

/* Appends a JSON object, through the mask if there is one. */
static void add_masked(struct dump *d, struct weir_str *out, struct weir_slice json)
{
    if (!d->mask.ptr) {
        weir_str_add(out, json);
        return;
    }
    struct weir_diag diag;
    const struct weir_node *node = NULL;
    weir_diag_init(&diag);
    uint16_t source = weir_diag_add_source(&diag, WEIR_S("dump"), json);
    if (weir_node_read_json(d->call->arena, &diag, source, json, &node) == WEIR_OK &&
        node->kind == WEIR_NODE_MAP)
        d->n_masked += print_masked(d, out, node, WEIR_S("")) > 0;
    else
        weir_str_adds(out, "{}");
    weir_diag_fini(&diag);
}

/* ---- elements ---- */

/* A message with its type in front, as an Any prints. */
static void add_any(struct weir_str *out, struct dump *d, const ProtobufCMessage *msg)
{
    struct weir_str body;
    weir_str_init(&body, out->max);
    weir_proto_json(&body, d->config, msg, &(struct weir_proto_json_style){.compact = true, .redact = true});
    weir_str_printf(out, "{\"@type\":\"type.googleapis.com/%s\"", msg->descriptor->name);
    if (body.len > 2) {
        weir_str_addc(out, ',');
        weir_str_add(out, weir_slice_from(weir_str_slice(&body), 1));
    } else {
        weir_str_addc(out, '}');
    }
    weir_str_fini(&body);
}

static bool name_wanted(const struct dump *d, const char *name)
{
    return !d->names || weir_regex_full_match(d->names, weir_slice_str(name));
}

/* One element: {"<member>": message, "last_updated": ...}. `type` is set when elements stand on their own (resource=). */
static void add_element(struct dump *d, const char *type, const char *member, const void *msg, bool dated)
{
    const struct weir_admin_sources *s = d->call->sources;
    struct weir_str json;
    weir_str_init(&json, d->elements.max);
    weir_str_addc(&json, '{');
    if (type) {
        weir_admin_json_member(&json, "@type");
        weir_str_printf(&json, "\"type.googleapis.com/envoy.admin.v3.%s\"", type);
    }
    weir_admin_json_member(&json, member);
    add_any(&json, d, msg);
    if (dated && s->loaded_wall_ns) {
        weir_admin_json_member(&json, "last_updated");
        weir_admin_json_time(&json, s->loaded_wall_ns(s->arg));
    }
    weir_str_addc(&json, '}');
    if (d->n_elements++)
        weir_str_addc(&d->elements, ',');
    if (type)
        add_masked(d, &d->elements, weir_str_slice(&json));
    else
        weir_str_add(&d->elements, weir_str_slice(&json));
    weir_str_fini(&json);
}

static void clusters(struct dump *d, const char *type)
{
    const struct weir_admin_sources *s = d->call->sources;
    const struct weir_clusters *all = s->clusters ? s->clusters(s->arg) : NULL;
    for (uint32_t i = 0; all && i < all->n; i++) {
        const Envoy__Config__Cluster__V3__Cluster *proto = all->v[i]->proto;
        if (proto && name_wanted(d, proto->name))
            add_element(d, type, "cluster", proto, true);
    }
}

static void endpoints_of_clusters(struct dump *d, const char *type)
{
    const struct weir_admin_sources *s = d->call->sources;
    const struct weir_clusters *all = s->clusters ? s->clusters(s->arg) : NULL;
    for (uint32_t i = 0; all && i < all->n; i++) {
        const Envoy__Config__Cluster__V3__Cluster *proto = all->v[i]->proto;
        if (proto && proto->load_assignment && name_wanted(d, proto->name))
            add_element(d, type, "endpoint_config", proto->load_assignment, false);
    }
}

static void listeners(struct dump *d, const char *type)
{
    const struct weir_admin_sources *s = d->call->sources;
    uint32_t n = 0;
    struct weir_listener *const *all = s->listeners ? s->listeners(s->arg, &n) : NULL;
    for (uint32_t i = 0; i < n; i++) {
        const Envoy__Config__Listener__V3__Listener *proto = all[i]->proto;
        if (proto && name_wanted(d, proto->name))
            add_element(d, type, "listener", proto, true);
    }
}

static void routes_of_chain(struct dump *d, const char *type,
                            const Envoy__Config__Listener__V3__FilterChain *chain)
{
    for (size_t i = 0; chain && i < chain->n_filters; i++) {
        if (chain->filters[i]->config_type_case !=
            ENVOY__CONFIG__LISTENER__V3__FILTER__CONFIG_TYPE_TYPED_CONFIG)
            continue;
        const hcm_message *hcm = (const hcm_message *)weir_config_any_as(
            d->config, chain->filters[i]->typed_config,
            &envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__descriptor);
        if (!hcm ||
            hcm->route_specifier_case !=
                ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__ROUTE_SPECIFIER_ROUTE_CONFIG)
            continue;
        if (name_wanted(d, hcm->route_config->name))
            add_element(d, type, "route_config", hcm->route_config, true);
    }
}

static void routes(struct dump *d, const char *type)
{
    const struct weir_admin_sources *s = d->call->sources;
    uint32_t n = 0;
    struct weir_listener *const *all = s->listeners ? s->listeners(s->arg, &n) : NULL;
    for (uint32_t i = 0; i < n; i++) {
        const Envoy__Config__Listener__V3__Listener *proto = all[i]->proto;
        for (size_t k = 0; proto && k < proto->n_filter_chains; k++)
            routes_of_chain(d, type, proto->filter_chains[k]);
        if (proto)
            routes_of_chain(d, type, proto->default_filter_chain);
    }
}

/* ---- sections ---- */

static const struct field {
    const char *section, *name;
    const char *element;                           // type of its elements
    void (*add)(struct dump *d, const char *type); // NULL: there never are any here
    bool eds;                                      // only with include_eds
} fields[] = {
    {"ClustersConfigDump", "static_clusters", "ClustersConfigDump.StaticCluster", clusters, false},
    {"ClustersConfigDump", "dynamic_active_clusters", NULL, NULL, false},
    {"ClustersConfigDump", "dynamic_warming_clusters", NULL, NULL, false},
    {"EndpointsConfigDump", "static_endpoint_configs", "EndpointsConfigDump.StaticEndpointConfig",
     endpoints_of_clusters, true},
    {"EndpointsConfigDump", "dynamic_endpoint_configs", NULL, NULL, true},
    {"ListenersConfigDump", "static_listeners", "ListenersConfigDump.StaticListener", listeners, false},
    {"ListenersConfigDump", "dynamic_listeners", NULL, NULL, false},
    {"ScopedRoutesConfigDump", "inline_scoped_route_configs", NULL, NULL, false},
    {"ScopedRoutesConfigDump", "dynamic_scoped_route_configs", NULL, NULL, false},
    {"RoutesConfigDump", "static_route_configs", "RoutesConfigDump.StaticRouteConfig", routes, false},
    {"RoutesConfigDump", "dynamic_route_configs", NULL, NULL, false},
    {"SecretsConfigDump", "static_secrets", NULL, NULL, false},
    {"SecretsConfigDump", "dynamic_active_secrets", NULL, NULL, false},
    {"SecretsConfigDump", "dynamic_warming_secrets", NULL, NULL, false},
};

/* Fields that are no lists cannot be asked for as a resource. */
static const char *const single_fields[] = {"bootstrap", "last_updated", "version_info"};

static void gather(struct dump *d, const struct field *f, const char *type)
{
    weir_str_clear(&d->elements);
    d->n_elements = 0;
    if (f->add)
        f->add(d, type);
}

/* Appends a finished section to the body, unless the mask left nothing of it. */
static void add_section(struct dump *d, struct weir_str *section)
{
    struct weir_str masked;
    uint32_t before = d->n_masked;
    weir_str_addc(section, '}');
    weir_str_init(&masked, section->max);
    add_masked(d, &masked, weir_str_slice(section));
    if (!d->mask.ptr || d->n_masked > before) {
        struct weir_str *out = d->call->body;
        if (out->ptr[out->len - 1] != '[')
            weir_str_addc(out, ',');
        weir_str_add(out, weir_str_slice(&masked));
    }
    weir_str_fini(&masked);
    weir_str_clear(section);
}

static void add_bootstrap(struct dump *d, struct weir_str *section)
{
    const struct weir_admin_sources *s = d->call->sources;
    weir_str_adds(section,
                  "{\"@type\":\"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump\",\"bootstrap\":");
    weir_proto_json(section, d->config, d->bootstrap,
                    &(struct weir_proto_json_style){.compact = true, .redact = true});
    if (s->loaded_wall_ns) {
        weir_admin_json_member(section, "last_updated");
        weir_admin_json_time(section, s->loaded_wall_ns(s->arg));
    }
    add_section(d, section);
}

static void print_all(struct dump *d, bool eds)
{
    struct weir_str section;
    weir_str_init(&section, WEIR_ADMIN_BODY_MAX);
    weir_str_adds(d->call->body, "{\"configs\":[");
    add_bootstrap(d, &section);
    for (size_t i = 0; i < WEIR_COUNTOF(fields); i++) {
        if (fields[i].eds && !eds)
            continue;
        if (section.len == 0)
            weir_str_printf(&section, "{\"@type\":\"type.googleapis.com/envoy.admin.v3.%s\"",
                            fields[i].section);
        gather(d, &fields[i], NULL);
        if (d->n_elements) {
            weir_admin_json_member(&section, fields[i].name);
            weir_str_addc(&section, '[');
            weir_str_add(&section, weir_str_slice(&d->elements));
            weir_str_addc(&section, ']');
        }
        if (i + 1 == WEIR_COUNTOF(fields) || strcmp(fields[i].section, fields[i + 1].section) != 0)
            add_section(d, &section);
    }
    weir_str_adds(d->call->body, "]}");
    weir_str_fini(&section);
}

static const struct field *find_resource(struct weir_slice name)
{
    for (size_t i = 0; i < WEIR_COUNTOF(fields); i++)
        if (weir_slice_eq(name, weir_slice_str(fields[i].name)))
            return &fields[i];
    return NULL;
}

/* Why a name is no resource. */
static void refuse_resource(struct dump *d, struct weir_slice name)
{
    for (size_t i = 0; i < WEIR_COUNTOF(single_fields); i++) {
        if (!weir_slice_eq(name, weir_slice_str(single_fields[i])))
            continue;
        weir_admin_fail(d->call, 400, "%s is not a repeated field. Use ?mask=%s to get only this field",
                        single_fields[i], single_fields[i]);
        return;
    }
    weir_admin_fail(d->call, 404, "%.*s not found in config dump", (int)WEIR_MIN(name.len, 256), name.ptr);
}

static void print_resource(struct dump *d, const struct field *f)
{
    gather(d, f, f->element);
    if (d->mask.ptr && d->n_elements && !d->n_masked) {
        weir_admin_fail(d->call, 400, "FieldMask %.*s could not be successfully used.",
                        (int)WEIR_MIN(d->mask.len, 256), d->mask.ptr);
        return;
    }
    if (d->n_elements == 0) {
        weir_str_adds(d->call->body, "{}");
    } else {
        weir_str_adds(d->call->body, "{\"configs\":[");
        weir_str_add(d->call->body, weir_str_slice(&d->elements));
        weir_str_adds(d->call->body, "]}");
    }
    weir_admin_reply_json(d->call);
}

static void config_dump(struct weir_admin_call *call)
{
    const struct weir_admin_sources *s = call->sources;
    struct weir_slice resource = weir_admin_param_of(call, "resource");
    call->response->content_type = "text/plain"; // of faults, as Envoy has it here
    struct dump d = {.call = call,
                     .config = s->config ? s->config(s->arg) : NULL,
                     .mask = weir_admin_param_of(call, "mask")};
    d.bootstrap = d.config ? d.config->bootstrap : NULL;
    if (!d.bootstrap) {
        weir_admin_fail(call, 503, "no configuration is in service\n");
        return;
    }
    if (d.mask.len == 0)
        d.mask = WEIR_S_NONE;
    if (!weir_admin_regex_of(call, "name_regex", &d.names))
        return;
    weir_str_init(&d.elements, WEIR_ADMIN_BODY_MAX);
    const struct field *field = resource.len ? find_resource(resource) : NULL;
    if (field) {
        print_resource(&d, field);
    } else if (resource.len) {
        refuse_resource(&d, resource);
    } else {
        print_all(&d, weir_admin_param_of(call, "include_eds").ptr != NULL);
        if (d.mask.ptr && !d.n_masked)
            weir_admin_fail(call, 400, "FieldMask %.*s could not be successfully applied to any configs.",
                            (int)WEIR_MIN(d.mask.len, 256), d.mask.ptr);
        else
            weir_admin_reply_json(call);
    }
    weir_str_fini(&d.elements);
}

static const struct weir_admin_param_doc params[] = {
    {"resource", "The resource to dump", NULL},
    {"mask",
     "The mask to apply. When both resource and mask are specified, the mask is applied to every element in "
     "the desired repeated "
     "field so that only a subset of fields are returned. The mask is parsed as a Protobuf::FieldMask",
     NULL},
    {"name_regex",
     "Dump only the currently loaded configurations whose names match the specified regex. Can be used with "
     "both resource and mask "
     "query parameters.",
     NULL},
    {"include_eds",
     "Dump currently loaded configuration including EDS. See the response definition for more information",
     NULL},
    {NULL, NULL, NULL},
};
static const struct weir_admin_endpoint endpoints[] = {
    {"/config_dump", "dump current configs", false, config_dump, params},
};
const struct weir_admin_group weir_admin_config_group = {endpoints, WEIR_COUNTOF(endpoints)};
