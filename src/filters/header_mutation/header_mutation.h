/* envoy.filters.http.header_mutation: changes headers on their way through. */
#ifndef WEIR_FILTERS_HEADER_MUTATION_HEADER_MUTATION_H
#define WEIR_FILTERS_HEADER_MUTATION_HEADER_MUTATION_H

#include "proxy/filter.h"

extern const struct weir_filter_ops weir_filter_header_mutation;

#endif
