/* The admin endpoints (Envoy's /stats, /clusters, /config_dump ...): a table of rows, one file a group. They run on the main thread
 * behind the ordinary HTTP stack: the terminal filter `weir.admin` hands each complete request to weir_admin_handle. */
#ifndef WEIR_ADMIN_ADMIN_H
#define WEIR_ADMIN_ADMIN_H

#include "config/config.h"
#include "proxy/filter.h"
#include "proxy/listener.h"
#include "upstream/cluster.h"

/** Envoy's ServerInfo.State, same order. */
enum weir_admin_state {
    WEIR_ADMIN_LIVE,
    WEIR_ADMIN_DRAINING,
    WEIR_ADMIN_PRE_INITIALIZING,
    WEIR_ADMIN_INITIALIZING
};

/** A command-line option, for /server_info. */
struct weir_admin_option {
    const char *name; /* field of Envoy's CommandLineOptions: "config_path" */
    enum {
        WEIR_ADMIN_OPTION_TEXT,
        WEIR_ADMIN_OPTION_NUMBER,
        WEIR_ADMIN_OPTION_BOOL,
        WEIR_ADMIN_OPTION_SECONDS
    } kind;
    const char *text;
    uint64_t number;
};

/** Where the endpoints get what they show and do. Filled in by src/server; every function is called on the main thread. Those that
 * the server has nothing for may be NULL. */
struct weir_admin_sources {
    void *arg; /* handed to all of them */
    struct weir_stats *stats;
    struct weir_stats_worker *cells; /* the main thread's */
    const char *version;             /* "0.1.0" */
    /** Brings gauges up to date; before stats are read. */
    void (*refresh)(void *arg);
    enum weir_admin_state (*state)(void *arg);
    bool (*healthy)(void *arg);
    uint64_t (*uptime_s)(void *arg);
    /** The configuration in service: everything borrowed until return to the loop. */
    const struct weir_clusters *(*clusters)(void *arg);
    struct weir_listener *const *(*listeners)(void *arg, uint32_t *ret_n);
    struct weir_config *(*config)(void *arg);
    int64_t (*loaded_wall_ns)(void *arg);
    /** Why the last reload was refused; absent if it was not. */
    struct weir_slice (*reload_error)(void *arg);
    const struct weir_admin_option *(*options)(void *arg, uint32_t *ret_n);
    void (*quit)(void *arg);
    void (*drain_listeners)(void *arg, bool graceful, bool skip_exit, bool inbound_only);
    void (*set_health)(void *arg, bool healthy);
    void (*reopen_logs)(void *arg);
};

struct weir_admin;
/** Copies `sources`. One a process: the filter `weir.admin` answers from the one that lives. */
struct weir_admin *weir_admin_new(const struct weir_admin_sources *sources);
/** Accepts NULL. Afterwards the filter answers 503. */
void weir_admin_free(struct weir_admin *admin);

/** Bodies beyond this are cut off with 500: /stats of some hundred thousand names is 30 MB. */
#define WEIR_ADMIN_BODY_MAX (256u << 20)

struct weir_admin_response {
    uint32_t status;
    const char *content_type;
    struct weir_str body;
};
/** Answers one request. `path` is :path with its query; `body` that of a POST (form parameters). Fills in `ret`, whose body the caller
 *  frees (weir_str_fini). */
void weir_admin_handle(struct weir_admin *admin, struct weir_slice method, struct weir_slice path,
                       struct weir_slice body, struct weir_admin_response *ret);

/** The filters of the admin's own connection manager: `weir.admin` alone. */
extern const struct weir_filter_registry weir_admin_filters;

#endif
