/* Which fields of Envoy's route messages weir implements; docs/ is printed from these. */
#ifndef WEIR_PROXY_ROUTE_FIELDS_H
#define WEIR_PROXY_ROUTE_FIELDS_H

#include "config/supported.h"

extern const struct weir_supported_fields weir_route_configuration_fields;

#endif
