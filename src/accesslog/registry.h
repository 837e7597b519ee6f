/* Every kind of access logger, and what the process does with all of them together. */
#ifndef WEIR_ACCESSLOG_REGISTRY_H
#define WEIR_ACCESSLOG_REGISTRY_H

#include "proxy/access_log.h"
#include "stats/stats.h"

/** envoy.access_loggers.file, .stdout, .stderr. */
extern const struct weir_access_logger_registry weir_access_loggers;

/** Bytes a buffer gathers, and how long, before they are written (--file-flush-min-size-kb, --file-flush-interval-msec); 0 keeps Envoy's
 * 64 KiB and 10 s. Before configuration is read. */
void weir_accesslog_set_flush(uint64_t min_size_kb, uint64_t interval_ms);
/** Opens every log file again by its path (SIGUSR1, POST /reopen_logs). Any thread; done by the writer's thread soon. */
void weir_accesslog_reopen(void);
/** Writes what is buffered and ends the writer's thread. When no worker logs any more; before the stats are freed. Harmless if nothing
 * was ever logged. */
void weir_accesslog_stop(void);

#endif
