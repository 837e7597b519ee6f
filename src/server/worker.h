/* A worker: the thread (or, in the simulation, the loop alone) and its taking up of snapshots. */
#ifndef WEIR_SERVER_WORKER_H
#define WEIR_SERVER_WORKER_H

#include "proxy/worker.h"
#include "server/snapshot.h"

/** Makes a worker over a world (`ops`, `world_arg`: see event/loop.h). It runs nothing yet. `id` UINT32_MAX = the main thread's. */
struct weir_worker *weir_worker_new(struct weir_server *server, struct weir_stats *stats, const struct weir_world_ops *ops,
                                    void *world_arg, uint32_t id);
/** Takes up `snapshot` (a reference of its own): clusters, then extensions of new listeners, then listeners; extensions of
 * listeners that are gone stop last. `drain_ms`: how long connections of changed listeners may finish. On the worker's thread, or
 * before it runs. WEIR_ERR_…: a listener could not be bound; `reterr` says which and why. */
WEIR_MUST_CHECK enum weir_err weir_worker_adopt(struct weir_worker *worker, struct weir_snapshot *snapshot, uint64_t drain_ms,
                                                struct weir_str *reterr);
/** The main thread's: clusters (for call-outs of services) and the admin listener. */
WEIR_MUST_CHECK enum weir_err weir_worker_adopt_main(struct weir_worker *worker, struct weir_snapshot *snapshot,
                                                     struct weir_str *reterr);
/** Frees it with all that it holds. Its loop does not run any more. */
void weir_worker_free(struct weir_worker *worker);

#endif
