/* The substitution language of access logs, header values and local replies: "%REQ(:METHOD)% took %DURATION% ms". A format is
 * compiled once, when configuration is read, into a list of literals and operators; evaluating it allocates nothing beyond its output.
 * Rule: Envoy 1.39 "Access log format strings"; docs/ENVOY_DIFFERENCES.md lists what differs. */
#ifndef WEIR_PROXY_FORMATTER_H
#define WEIR_PROXY_FORMATTER_H

#include "base/str.h"
#include "proxy/access_log.h"

struct weir_format; /* immutable, any thread may use it */

/** Why a format was refused. */
struct weir_format_error {
    size_t pos;        /* byte of the text (JSON: of the value named in the message) */
    char message[224]; /* one line, no full stop */
    char hint[128];    /* what to write instead; "" = nothing known */
};

struct weir_format_options {
    bool omit_empty; /* what is missing prints nothing instead of "-" */
    bool escape;     /* control characters in values print as \n, \x1b …: one record stays one line */
};

/** Compiles `text`; all is copied into `arena`, which must outlive the format.
 *  Errors: WEIR_ERR_SYNTAX, or WEIR_ERR_NOT_FOUND for an operator that does not exist, with `*reterr` filled in. */
WEIR_MUST_CHECK enum weir_err weir_format_new(struct weir_arena *arena, struct weir_slice text,
                                              struct weir_format_options options,
                                              struct weir_format_error *reterr,
                                              const struct weir_format **ret);
/** The same for a JSON object, a Google__Protobuf__Struct: members sorted; a string that is one operator keeps that operator's type
 *  (numbers stay numbers, what is missing is null). `line`: with a line break at the end. */
WEIR_MUST_CHECK enum weir_err weir_format_new_json(struct weir_arena *arena, const void *fields, bool line,
                                                   struct weir_format_options options,
                                                   struct weir_format_error *reterr,
                                                   const struct weir_format **ret);
/** Reads an Envoy__Config__Core__V3__SubstitutionFormatString: text, JSON, files. Faults go to ctx->config, at the message; then
 *  WEIR_ERR_INVALID. A line of JSON gets a line break when `line`. */
WEIR_MUST_CHECK enum weir_err weir_format_new_conf(struct weir_conf_ctx *ctx, const void *format_string,
                                                   bool line, struct weir_format_options options,
                                                   const struct weir_format **ret);

/** Appends the evaluated format. */
void weir_format_print(const struct weir_format *format, const struct weir_log_context *context,
                       struct weir_str *out);
/** Evaluates into context->arena (a single value or literal is not copied: valid as long as the request's data). */
struct weir_slice weir_format_eval(const struct weir_format *format, const struct weir_log_context *context);
/** A format without operators: its text. Lets callers skip evaluation. */
bool weir_format_literal(const struct weir_format *format, struct weir_slice *ret);

/** The gRPC status of a finished request: trailers, headers, else derived from the HTTP status; false if there is none at all. */
bool weir_format_grpc_status(const struct weir_log_context *context, uint64_t *ret);

/** Envoy's format when none is configured. */
extern const struct weir_slice weir_format_default;

#endif
