/* The loggers that write lines: file, stdout, stderr. All are a format and a file. */
#include <errno.h>

#include <envoy/extensions/access_loggers/file/v3/file.pb-c.h>
#include <envoy/extensions/access_loggers/stream/v3/stream.pb-c.h>

#include "accesslog/registry.h"
#include "accesslog/writer.h"
#include "config/config.h"
#include "proxy/conf_ctx.h"
#include "proxy/formatter.h"
#include "proxy/worker.h"

typedef Envoy__Extensions__AccessLoggers__File__V3__FileAccessLog file_message;
typedef Envoy__Extensions__AccessLoggers__Stream__V3__StdoutAccessLog stdout_message;
typedef Envoy__Extensions__AccessLoggers__Stream__V3__StderrAccessLog stderr_message;

struct logger {
    struct weir_log_file *file; // NULL: nothing is written (validating, /dev/null)
    const struct weir_format *format;
};

/* A record stays one line whatever its values hold. */
static const struct weir_format_options line_options = {.escape = true};

static void give_file_back(void *arg)
{
    struct logger *logger = arg;
    weir_log_file_unref(WEIR_TAKE(logger->file));
}

static enum weir_err open_file(struct weir_conf_ctx *ctx, struct logger *logger, const char *path)
{
    if (ctx->validate_only || strcmp(path, "/dev/null") == 0)
        return WEIR_OK;
    /* One buffer a worker, the first for the main thread. */
    enum weir_err err =
        weir_log_file_open(ctx->stats, weir_slice_str(path), ctx->n_workers + 1, &logger->file);
    if (err == WEIR_OK)
        weir_arena_on_end(ctx->arena, give_file_back, logger);
    return err;
}

static enum weir_err parse_format(struct weir_conf_ctx *ctx,
                                  const Envoy__Config__Core__V3__SubstitutionFormatString *format,
                                  struct logger *logger)
{
    if (format)
        return weir_format_new_conf(ctx, format, true, line_options, &logger->format);
    struct weir_format_error err;
    return weir_format_new(ctx->arena, weir_format_default, line_options, &err, &logger->format);
}

static enum weir_err report(struct weir_conf_ctx *ctx, const void *msg, const char *field,
                            const struct weir_format_error *err)
{
    weir_config_error(ctx->config, msg, field, -1, "%s", err->message);
    if (err->hint[0])
        weir_config_hint(ctx->config, "%s", err->hint);
    return WEIR_ERR_INVALID;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
/* The formats that stand in the message itself: old files have them. */
static enum weir_err parse_old_format(struct weir_conf_ctx *ctx, const file_message *m, struct logger *logger)
{
    struct weir_format_error err;
    enum weir_err result = WEIR_OK;
    switch (m->access_log_format_case) {
    case ENVOY__EXTENSIONS__ACCESS_LOGGERS__FILE__V3__FILE_ACCESS_LOG__ACCESS_LOG_FORMAT_FORMAT:
        if (m->format[0] == '\0')
            return parse_format(ctx, NULL, logger);
        result = weir_format_new(ctx->arena, weir_slice_str(m->format), line_options, &err, &logger->format);
        return result == WEIR_OK ? WEIR_OK : report(ctx, m, "format", &err);
    case ENVOY__EXTENSIONS__ACCESS_LOGGERS__FILE__V3__FILE_ACCESS_LOG__ACCESS_LOG_FORMAT_JSON_FORMAT:
        result = weir_format_new_json(ctx->arena, m->json_format, true, line_options, &err, &logger->format);
        return result == WEIR_OK ? WEIR_OK : report(ctx, m, "json_format", &err);
    case ENVOY__EXTENSIONS__ACCESS_LOGGERS__FILE__V3__FILE_ACCESS_LOG__ACCESS_LOG_FORMAT_TYPED_JSON_FORMAT:
        result =
            weir_format_new_json(ctx->arena, m->typed_json_format, true, line_options, &err, &logger->format);
        return result == WEIR_OK ? WEIR_OK : report(ctx, m, "typed_json_format", &err);
    case ENVOY__EXTENSIONS__ACCESS_LOGGERS__FILE__V3__FILE_ACCESS_LOG__ACCESS_LOG_FORMAT_LOG_FORMAT:
        return parse_format(ctx, m->log_format, logger);
    case ENVOY__EXTENSIONS__ACCESS_LOGGERS__FILE__V3__FILE_ACCESS_LOG__ACCESS_LOG_FORMAT__NOT_SET:
    default:
        return parse_format(ctx, NULL, logger);
    }
}
#pragma GCC diagnostic pop

static enum weir_err parse_file(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    const file_message *m = (const file_message *)msg;
    struct logger *logger = WEIR_ARENA_NEW(ctx->arena, struct logger);
    enum weir_err result = parse_old_format(ctx, m, logger);
    if (m->path[0] == '\0')
        return WEIR_ERR_INVALID; // the reader has reported it: path is required
    if (result == WEIR_OK && open_file(ctx, logger, m->path) != WEIR_OK) {
        weir_config_error(ctx->config, m, "path", -1, "cannot open %s for writing: %s", m->path,
                          strerror(errno));
        result = WEIR_ERR_INVALID;
    }
    *ret_conf = logger;
    return result;
}

static enum weir_err parse_stream(struct weir_conf_ctx *ctx, const void *msg,
                                  const Envoy__Config__Core__V3__SubstitutionFormatString *format,
                                  const char *path, void **ret_conf)
{
    struct logger *logger = WEIR_ARENA_NEW(ctx->arena, struct logger);
    enum weir_err result = parse_format(ctx, format, logger);
    if (result == WEIR_OK && open_file(ctx, logger, path) != WEIR_OK) {
        weir_config_error(ctx->config, msg, NULL, -1, "cannot write to %s: %s", path, strerror(errno));
        result = WEIR_ERR_INVALID;
    }
    *ret_conf = logger;
    return result;
}

/* log_format is the only member of its oneof: absent means the default. */
static enum weir_err parse_stdout(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    const stdout_message *m = (const stdout_message *)msg;
    return parse_stream(ctx, m, m->access_log_format_case ? m->log_format : NULL, "/dev/stdout", ret_conf);
}
static enum weir_err parse_stderr(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    const stderr_message *m = (const stderr_message *)msg;
    return parse_stream(ctx, m, m->access_log_format_case ? m->log_format : NULL, "/dev/stderr", ret_conf);
}

static void log_line(const void *conf, const struct weir_log_context *context)
{
    const struct logger *logger = conf;
    if (!logger->file)
        return;
    uint32_t thread = context->worker ? context->worker->id + 1 : 0; // the main thread's id wraps to 0
    struct weir_stats_worker *cells = context->worker ? context->worker->stats : NULL;
    struct weir_str *out = weir_log_file_begin(logger->file, thread, cells);
    if (!out)
        return;
    weir_format_print(logger->format, context, out);
    weir_log_file_end(logger->file, thread, cells);
}

static const char *const file_aliases[] = {"envoy.file_access_log", NULL};
static const char *const stdout_aliases[] = {"envoy.stdout_access_log", NULL};
static const char *const stderr_aliases[] = {"envoy.stderr_access_log", NULL};

static const struct weir_access_logger_ops file_logger = {
    .name = "envoy.access_loggers.file",
    .aliases = file_aliases,
    .type = "envoy.extensions.access_loggers.file.v3.FileAccessLog",
    .parse = parse_file,
    .log = log_line,
};
static const struct weir_access_logger_ops stdout_logger = {
    .name = "envoy.access_loggers.stdout",
    .aliases = stdout_aliases,
    .type = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
    .parse = parse_stdout,
    .log = log_line,
};
static const struct weir_access_logger_ops stderr_logger = {
    .name = "envoy.access_loggers.stderr",
    .aliases = stderr_aliases,
    .type = "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
    .parse = parse_stderr,
    .log = log_line,
};

static const struct weir_access_logger_ops *const loggers[] = {&file_logger, &stdout_logger, &stderr_logger};
const struct weir_access_logger_registry weir_access_loggers = {loggers, WEIR_COUNTOF(loggers)};

void weir_accesslog_set_flush(uint64_t min_size_kb, uint64_t interval_ms)
{
    weir_log_files_set_flush(min_size_kb, interval_ms);
}

void weir_accesslog_reopen(void)
{
    weir_log_files_reopen();
}

void weir_accesslog_stop(void)
{
    weir_log_files_stop();
}
