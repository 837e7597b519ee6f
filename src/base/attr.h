/* Compiler attributes and the few macros that everything uses. */
#ifndef WEIR_BASE_ATTR_H
#define WEIR_BASE_ATTR_H

#include <stddef.h>

#define WEIR_MUST_CHECK __attribute__((warn_unused_result))
#define WEIR_FALLTHROUGH __attribute__((fallthrough))
#define WEIR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define WEIR_NORETURN __attribute__((noreturn))
#define WEIR_NONNULL_RET __attribute__((returns_nonnull))
#define WEIR_CLEANUP(fn) __attribute__((cleanup(fn)))
#define WEIR_UNUSED __attribute__((unused))
#define WEIR_COLD __attribute__((cold, noinline))
#define WEIR_ALWAYS_INLINE inline __attribute__((always_inline))
#define WEIR_LIKELY(x) __builtin_expect(!!(x), 1)
#define WEIR_UNLIKELY(x) __builtin_expect(!!(x), 0)

#if defined(__GNUC__) && !defined(__clang__)
#define WEIR_DEALLOC(fn) __attribute__((malloc, malloc(fn, 1)))
#else
#define WEIR_DEALLOC(fn) __attribute__((malloc))
#endif

#define WEIR_COUNTOF(a) (sizeof(a) / sizeof((a)[0]))
#define WEIR_MIN(a, b) ((a) < (b) ? (a) : (b))
#define WEIR_MAX(a, b) ((a) > (b) ? (a) : (b))

/** The object of type `type` whose member `member` is at `ptr`. */
#define WEIR_CONTAINER_OF(ptr, type, member) \
    ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/** Hands a pointer over: the value of `p`, with `p` set to NULL. */
#define WEIR_TAKE(p)                     \
    __extension__({                      \
        __typeof__(p) *weir_p_ = &(p);   \
        __typeof__(p) weir_v_ = *weir_p_; \
        *weir_p_ = NULL;                 \
        weir_v_;                         \
    })

#endif
