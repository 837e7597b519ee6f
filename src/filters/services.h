/* Extensions that run beside the listeners (bootstrap_extensions): started on each worker, or once on the main thread. */
#ifndef WEIR_FILTERS_SERVICES_H
#define WEIR_FILTERS_SERVICES_H

#include "proxy/conf_ctx.h"

struct weir_service {
    void (*start)(struct weir_worker *worker, void *arg);
    void (*stop)(struct weir_worker *worker, void *arg);
    void (*release)(void *arg); /* with the configuration; any thread */
    void *arg;
    bool singleton; /* on the main thread alone */
};

struct weir_service_ops {
    const char *name, *type;
    /** Faults go to ctx->diag. On success `*ret` is the caller's, to be given to ret->release in the end. */
    enum weir_err (*parse)(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, struct weir_service *ret);
};

/** Every kind, in registry.c; NULL at the end. */
extern const struct weir_service_ops *const weir_services[];

#endif
