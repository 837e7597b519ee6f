/* The process: main thread, workers, configuration in service, signals, end. */
#ifndef WEIR_SERVER_SERVER_H
#define WEIR_SERVER_SERVER_H

#include "server/options.h"
#include "server/snapshot.h"

enum weir_server_state { WEIR_SERVER_PRE_INITIALIZING, WEIR_SERVER_INITIALIZING, WEIR_SERVER_LIVE, WEIR_SERVER_DRAINING };

struct weir_server;

/** Does what the options ask and returns the exit status of the process: 0 done, 1 could not start. */
int weir_server_main(const struct weir_options *options);

/* For the admin, on the main thread. */
const struct weir_options *weir_server_options(const struct weir_server *server);
enum weir_server_state weir_server_state(const struct weir_server *server);
const struct weir_snapshot *weir_server_snapshot(const struct weir_server *server);
struct weir_stats *weir_server_stats(const struct weir_server *server);
uint64_t weir_server_uptime_s(const struct weir_server *server);
/** Ends the process gracefully, as SIGTERM does. */
void weir_server_quit(struct weir_server *server);
/** Stops accepting and asks connections to close; the process goes on. */
void weir_server_drain_listeners(struct weir_server *server);
/** What /healthcheck/fail and ok set: health_check filters and /ready look at it. Any thread may read it. */
void weir_server_set_health(struct weir_server *server, bool healthy);
bool weir_server_healthy(const struct weir_server *server);
/** Rereads the configuration, as SIGHUP does. */
void weir_server_reload(struct weir_server *server);
/** Why the last reload was refused; absent if it was not. */
struct weir_slice weir_server_reload_error(const struct weir_server *server);
void weir_server_reopen_logs(struct weir_server *server);

#endif
