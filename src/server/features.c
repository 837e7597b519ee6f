/* What weir implements of Envoy's configuration, as a document and as a JSON Schema: read out of the tables
 * by which configurations are judged and the lists of extensions, so that neither can say anything else. */
#include "server/features.h"

#include "accesslog/registry.h"
#include "config/json_schema.h"
#include "config/supported.h"
#include "filters/registry.h"
#include "proxy/access_log.h"
#include "proxy/listener.h"
#include "proxy/route_fields.h"
#include "server/bootstrap_fields.h"
#include "upstream/cluster_fields.h"

#define LIST_MAX   256
#define SCHEMA_MAX (8u << 20)

struct features {
    const struct weir_supported_fields *tables[LIST_MAX];
    size_t n_tables;
    const char *types[LIST_MAX]; // of the messages that an Any may hold
    size_t n_types;
};

static void add(struct features *list, const struct weir_supported_fields *table, const char *type)
{
    if (table && list->n_tables < LIST_MAX) list->tables[list->n_tables++] = table;
    if (type && list->n_types < LIST_MAX) list->types[list->n_types++] = type;
}

static void collect(struct features *list)
{
    add(list, &weir_bootstrap_fields, NULL);
    add(list, &weir_listener_fields, NULL);
    add(list, &weir_route_configuration_fields, NULL);
    add(list, &weir_cluster_fields, NULL);
    add(list, &weir_http_protocol_options_fields, weir_http_protocol_options_fields.type->name);
    for (uint32_t i = 0; i < weir_net_filters.n; i++) add(list, weir_net_filters.v[i]->fields, weir_net_filters.v[i]->type);
    for (uint32_t i = 0; i < weir_http_filters.n; i++) {
        add(list, weir_http_filters.v[i]->fields, weir_http_filters.v[i]->type);
        const char *route_type = weir_http_filters.v[i]->route_type;
        bool own = route_type && (!weir_http_filters.v[i]->type || strcmp(route_type, weir_http_filters.v[i]->type) != 0);
        add(list, NULL, own ? route_type : NULL);
    }
    for (uint32_t i = 0; i < weir_access_loggers.n; i++) add(list, NULL, weir_access_loggers.v[i]->type);
    static const char *const others[] = {"envoy.config.route.v3.FilterConfig", "google.protobuf.StringValue", "google.protobuf.BytesValue",
                                         "google.protobuf.Struct", "xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"};
    for (size_t i = 0; i < WEIR_COUNTOF(others); i++) add(list, NULL, others[i]);
}

void weir_features_print(FILE *out)
{
    struct features list = {.n_tables = 0};
    collect(&list);
    fputs("# What weir implements of Envoy's configuration\n\nFilters and access loggers:\n\n", out);
    for (uint32_t i = 0; i < weir_net_filters.n; i++) fprintf(out, "- `%s`\n", weir_net_filters.v[i]->name);
    for (uint32_t i = 0; i < weir_http_filters.n; i++) fprintf(out, "- `%s`\n", weir_http_filters.v[i]->name);
    for (uint32_t i = 0; i < weir_access_loggers.n; i++) fprintf(out, "- `%s`\n", weir_access_loggers.v[i]->name);
    fputs("\nA field that is not implemented yet is refused by name when a file sets it.\n\n", out);
    weir_supported_print(out, list.tables, list.n_tables);
}

void weir_features_print_schema(FILE *out)
{
    struct features list = {.n_tables = 0};
    struct weir_str text;
    collect(&list);
    weir_str_init(&text, SCHEMA_MAX);
    weir_json_schema_print(&text, &(struct weir_json_schema){list.tables, list.n_tables, list.types, list.n_types});
    fwrite(text.ptr, 1, text.len, out);
    weir_str_fini(&text);
}
