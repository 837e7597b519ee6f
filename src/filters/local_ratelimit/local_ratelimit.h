/* envoy.filters.http.local_ratelimit: a token bucket for the process. */
#ifndef WEIR_FILTERS_LOCAL_RATELIMIT_LOCAL_RATELIMIT_H
#define WEIR_FILTERS_LOCAL_RATELIMIT_LOCAL_RATELIMIT_H

#include "proxy/filter.h"

extern const struct weir_filter_ops weir_filter_local_ratelimit;

#endif
