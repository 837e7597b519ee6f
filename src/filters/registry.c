/* Every kind of filter that a configuration can name. A new one is a folder and a row here. */
#include "filters/registry.h"

#include "filters/buffer/buffer.h"
#include "filters/cors/cors.h"
#include "filters/fault/fault.h"
#include "filters/header_mutation/header_mutation.h"
#include "filters/health_check/health_check.h"
#include "filters/local_ratelimit/local_ratelimit.h"
#include "filters/router/router.h"
#include "filters/services.h"
#include "proxy/hcm.h"
#ifdef WEIR_WASM
#include "filters/wasm/service.h"
#include "filters/wasm/wasm.h"
#endif

static const struct weir_filter_ops *const http_filters[] = {
    &weir_filter_buffer,
    &weir_filter_cors,
    &weir_filter_fault,
    &weir_filter_header_mutation,
    &weir_filter_health_check,
    &weir_filter_local_ratelimit,
#ifdef WEIR_WASM
    &weir_filter_wasm,
#endif
    &weir_filter_router,
};
const struct weir_filter_registry weir_http_filters = {.v = http_filters, .n = WEIR_COUNTOF(http_filters)};

static const struct weir_net_filter_ops *const net_filters[] = {
#ifdef WEIR_WASM
    &weir_net_filter_wasm,
#endif
    &weir_hcm_ops,
};
const struct weir_net_filter_registry weir_net_filters = {.v = net_filters, .n = WEIR_COUNTOF(net_filters)};

static const struct weir_access_logger_ops *const access_loggers[] = {
#ifdef WEIR_WASM
    &weir_access_logger_wasm,
#endif
    NULL,
};
const struct weir_access_logger_registry weir_plugin_access_loggers = {.v = access_loggers, .n = WEIR_COUNTOF(access_loggers) - 1};

const struct weir_service_ops *const weir_services[] = {
#ifdef WEIR_WASM
    &weir_service_wasm,
#endif
    NULL,
};
