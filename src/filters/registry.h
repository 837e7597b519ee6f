/* Every kind of filter that a configuration can name. */
#ifndef WEIR_FILTERS_REGISTRY_H
#define WEIR_FILTERS_REGISTRY_H

#include "proxy/access_log.h"
#include "proxy/filter.h"
#include "proxy/network_filter.h"

extern const struct weir_filter_registry weir_http_filters;
extern const struct weir_net_filter_registry weir_net_filters;
/** Access loggers that are plugins; those with sinks of their own are in accesslog/registry.h. */
extern const struct weir_access_logger_registry weir_plugin_access_loggers;

#endif
