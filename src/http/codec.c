/* Texts of the codec interface, and the guess which protocol a client speaks. */
#include "http/codec.h"

const char *weir_http_protocol_text(enum weir_http_protocol protocol)
{
    static const char *const texts[WEIR_HTTP_PROTOCOLS] = {"HTTP/1.0", "HTTP/1.1", "HTTP/2"};
    return protocol < WEIR_HTTP_PROTOCOLS ? texts[protocol] : "";
}

const char *weir_reset_text(enum weir_reset reason)
{
    static const char *const texts[] = {
#define X(id, text) [WEIR_RESET_##id] = (text),
        WEIR_RESETS(X)
#undef X
    };
    return (size_t)reason < WEIR_COUNTOF(texts) ? texts[reason] : "";
}

enum weir_preface weir_h2_preface_check(const struct weir_buf *in)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    char begin[sizeof(preface) - 1];
    size_t n = weir_buf_peek(in, 0, begin, sizeof(begin));
    if (memcmp(begin, preface, n) != 0) {
        return WEIR_PREFACE_OTHER;
    }
    return n == sizeof(begin) ? WEIR_PREFACE_H2 : WEIR_PREFACE_MORE;
}
