/* Log files written off the request path. A worker formats a record straight into its own buffer of the file; full buffers, and all of
 * them every flush interval, go to one thread that writes. Whatever the file does (a full disk, a pipe that nobody reads) a worker
 * never waits: beyond WEIR_LOG_FILE_PENDING_MAX records are dropped and counted. */
#ifndef WEIR_ACCESSLOG_WRITER_H
#define WEIR_ACCESSLOG_WRITER_H

#include "base/str.h"
#include "stats/stats.h"

/** Bytes of one file that may wait for the disk before records are dropped: a burst at full speed for a second or so. Envoy has no
 * limit and grows until it is killed. */
#define WEIR_LOG_FILE_PENDING_MAX (16u << 20)
/** A record longer than this is dropped. */
#define WEIR_LOG_RECORD_MAX (1u << 20)

#define WEIR_LOG_FILE_STATS(X)                                                     \
    X(write_buffered, COUNTER)                                                     \
    X(write_completed, COUNTER) X(write_failed, COUNTER) X(write_dropped, COUNTER) \
        X(flushed_by_timer, COUNTER) X(reopen_failed, COUNTER) X(write_total_buffered, GAUGE)

struct weir_log_file;

/** Opens `path` for appending ("/dev/stdout" and "/dev/stderr" are the process's own), or finds it open already; starts the writer's
 *  thread on first use. `n_threads`: how many buffers (see weir_log_file_begin).
 *  Errors: WEIR_ERR_IO with errno set. A named pipe without a reader is no error: it is tried again. */
WEIR_MUST_CHECK enum weir_err weir_log_file_open(struct weir_stats *stats, struct weir_slice path,
                                                 uint32_t n_threads, struct weir_log_file **ret);
/** Gives a reference back; with the last one what is buffered is written and the file closed. Accepts NULL. */
void weir_log_file_unref(struct weir_log_file *file);

/** The buffer of thread `thread` (numbers beyond n_threads share one), locked: append one record, then weir_log_file_end.
 *  NULL: the record is dropped (counted). */
struct weir_str *weir_log_file_begin(struct weir_log_file *file, uint32_t thread,
                                     struct weir_stats_worker *sw);
/** A record that did not fit is taken back and counted as dropped. */
void weir_log_file_end(struct weir_log_file *file, uint32_t thread, struct weir_stats_worker *sw);

/** See accesslog/registry.h. */
void weir_log_files_set_flush(uint64_t min_size_kb, uint64_t interval_ms);
void weir_log_files_reopen(void);
void weir_log_files_stop(void);

#endif
