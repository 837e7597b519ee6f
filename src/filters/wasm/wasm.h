/* Plugins in Wasm in their places: the HTTP filter, the network filter, the access logger. */
#ifndef WEIR_FILTERS_WASM_WASM_H
#define WEIR_FILTERS_WASM_WASM_H

#include "proxy/access_log.h"
#include "proxy/filter.h"
#include "proxy/network_filter.h"

extern const struct weir_filter_ops weir_filter_wasm;
extern const struct weir_net_filter_ops weir_net_filter_wasm;
extern const struct weir_access_logger_ops weir_access_logger_wasm;

#endif
