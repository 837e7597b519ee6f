/* The one error enum of functions that can fail, and the three levels of "this must not happen". */
#ifndef WEIR_BASE_ERR_H
#define WEIR_BASE_ERR_H

#include "base/attr.h"

/* code, text */
#define WEIR_ERRS(X)                                       \
    X(OK, "ok")                                            \
    X(NOMEM, "out of memory")                              \
    X(LIMIT, "a limit was reached")                        \
    X(SYNTAX, "malformed input")                           \
    X(INVALID, "invalid value")                            \
    X(NOT_FOUND, "not found")                              \
    X(EXISTS, "exists already")                            \
    X(UNSUPPORTED, "not supported")                        \
    X(AGAIN, "not ready yet")                              \
    X(CLOSED, "closed")                                    \
    X(RESET, "reset by peer")                              \
    X(TIMEOUT, "timed out")                                \
    X(IO, "input/output error")                            \
    X(DENIED, "denied")                                    \
    X(GUEST, "the guest failed")

enum weir_err {
#define X(code, text) WEIR_ERR_##code,
    WEIR_ERRS(X)
#undef X
};
#define WEIR_OK WEIR_ERR_OK

/** A short lower-case text for `err`; never NULL. */
const char *weir_err_text(enum weir_err err);

/** Ends the process with a message: out of memory, or a start that cannot go on. Never for what a peer, file or guest can cause. */
WEIR_NORETURN WEIR_PRINTF(3, 4) void weir_fatal_at(const char *file, int line, const char *fmt, ...);
#define WEIR_FATAL(...) weir_fatal_at(__FILE__, __LINE__, __VA_ARGS__)

/** An invariant of our own code. Checked in debug builds (WEIR_DEBUG), assumed in release builds. */
#ifdef WEIR_DEBUG
#define WEIR_ASSERT(cond)                                   \
    do {                                                    \
        if (!(cond)) WEIR_FATAL("assertion failed: " #cond); \
    } while (0)
#else
#define WEIR_ASSERT(cond) ((void)sizeof(!(cond)))
#endif

#endif
