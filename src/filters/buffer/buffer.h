/* envoy.filters.http.buffer: lets a request on only when it is complete. */
#ifndef WEIR_FILTERS_BUFFER_BUFFER_H
#define WEIR_FILTERS_BUFFER_BUFFER_H

#include "proxy/filter.h"

extern const struct weir_filter_ops weir_filter_buffer;

#endif
