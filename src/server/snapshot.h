/* A configuration in service: clusters and listeners, each immutable and reference-counted, built on the main thread from one
 * file. Resources that did not change are the same objects as in the snapshot before, so a reload touches only what changed. */
#ifndef WEIR_SERVER_SNAPSHOT_H
#define WEIR_SERVER_SNAPSHOT_H

#include "config/config.h"
#include "filters/services.h"
#include "proxy/conf_ctx.h"
#include "proxy/listener.h"
#include "upstream/cluster.h"

/** The messages of one file. Listeners and clusters hold it: they point into it. */
struct weir_source {
    _Atomic uint32_t refs;
    struct weir_diag diag;
    struct weir_config *config;
    struct weir_conf_file *files; /* other files that were read (modules, certificates), for --watch */
};
void weir_source_unref(struct weir_source *source);

struct weir_snapshot {
    _Atomic uint32_t refs;
    struct weir_source *source;
    struct weir_clusters *clusters;
    struct weir_listener **listeners;
    uint32_t n_listeners;
    struct weir_listener *admin; /* NULL: the file asks for none */
    struct weir_service *services;
    uint32_t n_services;
    int64_t loaded_wall_ns;
};
struct weir_snapshot *weir_snapshot_ref(struct weir_snapshot *snapshot);
void weir_snapshot_unref(struct weir_snapshot *snapshot);

/** Everything that building needs and that outlives a snapshot. */
struct weir_snapshot_deps {
    const char *path, *overlay;
    struct weir_stats *stats;
    const struct weir_filter_registry *http_filters;
    const struct weir_filter_registry *admin_filters; /* of the admin's own listener */
    const struct weir_net_filter_registry *net_filters;
    const struct weir_access_logger_registry *access_loggers;
    void *wasm;
    bool validate_only;
    bool allow_unknown_fields; /* they are warnings */
    uint32_t n_workers;
    struct weir_slice service_node, service_cluster, service_zone;
};

/** Reads and builds. On faults NULL; `*ret_source` is set in either case (a reference of the caller's) and holds the diagnostics. */
struct weir_snapshot *weir_snapshot_build(const struct weir_snapshot_deps *deps, const struct weir_snapshot *previous,
                                          struct weir_source **ret_source);

#endif
