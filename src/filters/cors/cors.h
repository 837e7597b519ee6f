/* envoy.filters.http.cors: cross-origin requests by policies on routes and virtual hosts. */
#ifndef WEIR_FILTERS_CORS_CORS_H
#define WEIR_FILTERS_CORS_CORS_H

#include "proxy/filter.h"

extern const struct weir_filter_ops weir_filter_cors;

#endif
