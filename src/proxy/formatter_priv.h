/* Inside of the formatter: operators (formatter_ops.c) and times (formatter_time.c), used by formatter.c. */
#ifndef WEIR_PROXY_FORMATTER_PRIV_H
#define WEIR_PROXY_FORMATTER_PRIV_H

#include "proxy/formatter.h"
#include "proxy/value.h"

/** What an operator gives. */
enum weir_format_kind { WEIR_FORMAT_NONE, WEIR_FORMAT_TEXT, WEIR_FORMAT_NUMBER, WEIR_FORMAT_VALUE };
struct weir_format_value {
    enum weir_format_kind kind;
    uint64_t number;
    struct weir_slice text; /* may point into buf, the request's data or the arena */
    const struct weir_value *value;
    char buf[256];
};

struct weir_format_op;
typedef void (*weir_format_op_fn)(const struct weir_format_op *op, const struct weir_log_context *c,
                                  struct weir_format_value *v);
/** Fills in op->arg and so on from what stands in parentheses (absent: none were written). */
typedef enum weir_err (*weir_format_parse_fn)(struct weir_arena *arena, struct weir_slice args,
                                              struct weir_format_op *op, struct weir_format_error *reterr);

/** A row of the operators' table. */
struct weir_format_operator {
    const char *name;
    weir_format_op_fn fn;       /* NULL: Envoy's, but nothing here has such data: prints as missing */
    weir_format_parse_fn parse; /* NULL: takes no parentheses */
    unsigned which;             /* a parameter of fn */
};

#define WEIR_FORMAT_ARGS_MAX 8u
/** An operator in a format. */
struct weir_format_op {
    const struct weir_format_operator *def;
    size_t max_len; /* :Z, SIZE_MAX = no limit */
    struct weir_slice arg[WEIR_FORMAT_ARGS_MAX];
    uint32_t n_args;
    uint16_t id[2]; /* header names: enum weir_header_id */
    unsigned which;
    const void *data; /* formatter_time.c's program, COALESCE's list */
};

const struct weir_format_operator *weir_format_operator_find(struct weir_slice name);
/** The operator whose name is nearest to `name`; NULL if none is near. */
const char *weir_format_operator_near(struct weir_slice name);
/** Makes an operator by its name and parentheses. */
WEIR_MUST_CHECK enum weir_err weir_format_op_new(struct weir_arena *arena, struct weir_slice name,
                                                 struct weir_slice args, struct weir_format_op *ret,
                                                 struct weir_format_error *reterr);
/** Runs it: `v` is complete afterwards, truncated too. */
void weir_format_op_run(const struct weir_format_op *op, const struct weir_log_context *c,
                        struct weir_format_value *v);

/** COALESCE({"operators": [...]}): the first that is not missing. */
enum weir_err weir_format_parse_coalesce(struct weir_arena *arena, struct weir_slice args,
                                         struct weir_format_op *op, struct weir_format_error *err);
void weir_format_print_coalesce(const struct weir_format_op *op, const struct weir_log_context *c,
                                struct weir_format_value *v);

WEIR_PRINTF(2, 3) enum weir_err weir_format_fail(struct weir_format_error *err, const char *fmt, ...);

/** Time formats: strftime's letters, %s, %f, %1f to %9f, %E#S. */
struct weir_format_time;
WEIR_MUST_CHECK enum weir_err weir_format_time_new(struct weir_arena *arena, struct weir_slice format,
                                                   const struct weir_format_time **ret,
                                                   struct weir_format_error *reterr);
/** `format` NULL = Envoy's default in UTC. Writes into v->buf. */
void weir_format_time_print(const struct weir_format_time *format, int64_t wall_ns, bool local,
                            struct weir_format_value *v);

#endif
