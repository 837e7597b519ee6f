/* What weir implements of Envoy's configuration, as a document: read out of the tables by which
 * configurations are judged, so that it cannot say anything else. */
#include "server/features.h"

#include "config/supported.h"
#include "filters/registry.h"
#include "proxy/listener.h"
#include "server/bootstrap_fields.h"
#include "upstream/cluster_fields.h"

#define TABLES_MAX 256

void weir_features_print(FILE *out)
{
    const struct weir_supported_fields *tables[TABLES_MAX] = {
        &weir_bootstrap_fields, &weir_listener_fields, &weir_cluster_fields, &weir_http_protocol_options_fields};
    size_t n = 4;
    fputs("# What weir implements of Envoy's configuration\n\nFilters: ", out);
    for (uint32_t i = 0; i < weir_net_filters.n && n < TABLES_MAX; i++) {
        fprintf(out, "`%s`, ", weir_net_filters.v[i]->name);
        tables[n++] = weir_net_filters.v[i]->fields;
    }
    for (uint32_t i = 0; i < weir_http_filters.n && n < TABLES_MAX; i++) {
        fprintf(out, "`%s`%s", weir_http_filters.v[i]->name, i + 1 < weir_http_filters.n ? ", " : "");
        tables[n++] = weir_http_filters.v[i]->fields;
    }
    fputs(".\nA field that is not implemented yet is refused by name when a file sets it.\n\n", out);
    weir_supported_print(out, tables, n);
}
