/* DataSource: the four places that a configuration may take text from. */
#include "proxy/data_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <envoy/config/core/v3/base.pb-c.h>

#include "config/config.h"

typedef Envoy__Config__Core__V3__DataSource source;

static enum weir_err refuse(struct weir_conf_ctx *ctx, const source *s, const char *field, const char *what,
                            const char *why)
{
    weir_config_error(ctx->config, s, field, -1, "%s: %s", what, why);
    return WEIR_ERR_INVALID;
}

static enum weir_err read_file(struct weir_conf_ctx *ctx, const source *s, size_t max, struct weir_slice *ret)
{
    struct stat st;
    FILE *file = fopen(s->filename, "rbe");
    if (!file || fstat(fileno(file), &st) != 0) {
        enum weir_err result = refuse(ctx, s, "filename", s->filename, strerror(errno));
        if (file)
            (void)fclose(file);
        return result;
    }
    const char *fault = NULL;
    char *text = NULL;
    size_t len = 0;
    if (!S_ISREG(st.st_mode)) {
        fault = "not a regular file";
    } else if ((uint64_t)st.st_size > max) {
        fault = "the file is too large";
    } else {
        text = weir_arena_alloc(ctx->arena, (size_t)st.st_size + 1);
        len = fread(text, 1, (size_t)st.st_size, file);
        text[len] = '\0';
        if (ferror(file))
            fault = "the file cannot be read";
    }
    (void)fclose(file);
    if (fault)
        return refuse(ctx, s, "filename", s->filename, fault);
    *ret = weir_slice(text, len);
    weir_conf_note_file(ctx, weir_slice_str(s->filename), *ret);
    return WEIR_OK;
}

enum weir_err weir_data_source_read(struct weir_conf_ctx *ctx, const void *data_source, size_t max,
                                    struct weir_slice *ret)
{
    const source *s = data_source;
    switch (s->specifier_case) {
    case ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_FILENAME:
        return read_file(ctx, s, max, ret);
    case ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_INLINE_BYTES:
        *ret = weir_slice((const char *)s->inline_bytes.data, s->inline_bytes.len);
        break;
    case ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_INLINE_STRING:
        *ret = weir_slice_str(s->inline_string);
        break;
    case ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_ENVIRONMENT_VARIABLE: {
        const char *value = getenv(s->environment_variable);
        if (!value)
            return refuse(ctx, s, "environment_variable", s->environment_variable,
                          "no such environment variable");
        *ret = weir_arena_dup(ctx->arena, weir_slice_str(value));
        break;
    }
    case ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER__NOT_SET:
    default:
        weir_config_error(ctx->config, s, NULL, -1,
                          "one of filename, inline_string, inline_bytes or environment_variable is needed");
        return WEIR_ERR_INVALID;
    }
    if (ret->len > max)
        return refuse(ctx, s, NULL, "the text", "longer than is allowed here");
    return WEIR_OK;
}
