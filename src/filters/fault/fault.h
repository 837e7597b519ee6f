/* envoy.filters.http.fault: delays and aborts requests on purpose. */
#ifndef WEIR_FILTERS_FAULT_FAULT_H
#define WEIR_FILTERS_FAULT_FAULT_H

#include "proxy/filter.h"

extern const struct weir_filter_ops weir_filter_fault;

#endif
