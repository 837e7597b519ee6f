/* The process's own log (Envoy: application log): levels a component, Envoy's format operators, one line a write.
 * A message that a peer causes is rate-limited by its call site (WEIR_LOG_LIMITED) and always paired with a counter. */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum weir_log_level {
    WEIR_LOG_TRACE, WEIR_LOG_DEBUG, WEIR_LOG_INFO, WEIR_LOG_WARN, WEIR_LOG_ERROR, WEIR_LOG_CRITICAL, WEIR_LOG_OFF,
};

/* Envoy's logger names where one exists. */
#define WEIR_LOG_COMPONENTS(X)                                                                        \
    X(MAIN, "main") X(CONFIG, "config") X(SERVER, "server") X(ADMIN, "admin") X(CONNECTION, "connection") \
    X(HTTP, "http") X(HTTP1, "http1") X(HTTP2, "http2") X(ROUTER, "router") X(FILTER, "filter")         \
    X(UPSTREAM, "upstream") X(POOL, "pool") X(WASM, "wasm") X(STATS, "stats") X(DNS, "dns")           \
    X(TLS, "tls") X(HC, "hc") X(GRPC, "grpc") X(JWT, "jwt") X(RBAC, "rbac") X(FILE, "file") X(RUNTIME, "runtime")

enum weir_log_component {
#define X(id, name) WEIR_LOGC_##id,
    WEIR_LOG_COMPONENTS(X)
#undef X
    WEIR_LOGC_COUNT
};

/** Level of each component; written on the main thread (start, admin /logging), read relaxed everywhere. */
extern _Atomic uint8_t weir_log_levels[WEIR_LOGC_COUNT];

/** Sets every component's level. */
void weir_log_set_level(enum weir_log_level level);
/** Sets one component's level by Envoy's logger name; WEIR_ERR_NOT_FOUND. */
WEIR_MUST_CHECK enum weir_err weir_log_set_component(struct weir_slice name, enum weir_log_level level);
/** "trace", "debug", "info", "warning" or "warn", "error", "critical", "off". */
WEIR_MUST_CHECK enum weir_err weir_log_level_parse(struct weir_slice text, enum weir_log_level *ret);
const char *weir_log_level_name(enum weir_log_level level);
const char *weir_log_component_name(enum weir_log_component component);
/** Where lines go: a path (opened for append, reopened by weir_log_reopen) or NULL for stderr. The path is
 * borrowed for the life of the process. Main thread, before workers start. WEIR_ERR_DENIED, WEIR_ERR_IO. */
WEIR_MUST_CHECK enum weir_err weir_log_open(const char *path);
void weir_log_reopen(void);
/** Lines that could not be written (disk full, reader gone or not reading). */
uint64_t weir_log_dropped(void);
/** Envoy's --log-format: %Y-%m-%d %T.%e %t %l %n %v %g %# … ; borrowed for the life of the process; NULL = Envoy's
 * default. An unknown operator stays as text. Before other threads start. */
void weir_log_set_format(const char *format);

static inline bool weir_log_on(enum weir_log_component component, enum weir_log_level level)
{
    return (uint8_t)level >= atomic_load_explicit(&weir_log_levels[component], memory_order_relaxed);
}
WEIR_PRINTF(5, 6) WEIR_COLD void weir_log_write(enum weir_log_component component, enum weir_log_level level, const char *file,
                                     int line, const char *fmt, ...);

/** WEIR_LOG(INFO, CONFIG, "loaded %s", path): arguments are not evaluated when the level is off. */
#define WEIR_LOG(level, component, ...)                                                              \
    do {                                                                                             \
        if (WEIR_UNLIKELY(weir_log_on(WEIR_LOGC_##component, WEIR_LOG_##level)))                     \
            weir_log_write(WEIR_LOGC_##component, WEIR_LOG_##level, __FILE__, __LINE__, __VA_ARGS__); \
    } while (0)

/** True at most `per_second` times a second per limiter; counts the rest into `suppressed`. */
struct weir_log_limit {
    uint64_t window_s;
    uint32_t n;
    uint32_t suppressed;
};
bool weir_log_limit_ok(struct weir_log_limit *limit, uint32_t per_second);
#define WEIR_LOG_LIMITED(level, component, ...)                                          \
    do {                                                                                 \
        static _Thread_local struct weir_log_limit weir_limit_;                          \
        if (weir_log_on(WEIR_LOGC_##component, WEIR_LOG_##level) &&                      \
            weir_log_limit_ok(&weir_limit_, 5))                                          \
            WEIR_LOG(level, component, __VA_ARGS__);                                     \
    } while (0)

#endif
