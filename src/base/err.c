/* Texts of the error codes, and the end of the process. */
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

static const char *const ERR_TEXTS[] = {
#define X(code, text) [WEIR_ERR_##code] = text,
    WEIR_ERRS(X)
#undef X
};

const char *weir_err_text(enum weir_err err)
{
    size_t i = (size_t)err;
    return i < WEIR_COUNTOF(ERR_TEXTS) ? ERR_TEXTS[i] : "unknown error";
}

void weir_fatal_at(const char *file, int line, const char *fmt, ...)
{
    char message[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    weir_log_write(WEIR_LOGC_MAIN, WEIR_LOG_CRITICAL, file, line, "%s", message);
    abort();
}
