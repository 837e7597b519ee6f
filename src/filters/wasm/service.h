/* The Wasm service of the bootstrap. */
#ifndef WEIR_FILTERS_WASM_SERVICE_H
#define WEIR_FILTERS_WASM_SERVICE_H

#include "filters/services.h"

extern const struct weir_service_ops weir_service_wasm;

#endif
