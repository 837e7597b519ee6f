/* Filters in Wasm: the HTTP filter envoy.filters.http.wasm. */
#ifndef WEIR_FILTERS_WASM_WASM_H
#define WEIR_FILTERS_WASM_WASM_H

#include "proxy/filter.h"

extern const struct weir_filter_ops weir_filter_wasm;

#endif
