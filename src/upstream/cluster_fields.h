/* Which fields of Envoy's cluster messages weir implements; docs/ is printed from these. */
#ifndef WEIR_UPSTREAM_CLUSTER_FIELDS_H
#define WEIR_UPSTREAM_CLUSTER_FIELDS_H

#include "config/supported.h"

extern const struct weir_supported_fields weir_cluster_fields;
extern const struct weir_supported_fields weir_http_protocol_options_fields;
extern const struct weir_supported_fields weir_http1_options_fields;

#endif
