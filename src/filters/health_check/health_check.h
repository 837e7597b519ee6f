/* envoy.filters.http.health_check: answers the health checks of those in front of weir. */
#ifndef WEIR_FILTERS_HEALTH_CHECK_HEALTH_CHECK_H
#define WEIR_FILTERS_HEALTH_CHECK_HEALTH_CHECK_H

#include "proxy/filter.h"

extern const struct weir_filter_ops weir_filter_health_check;

#endif
