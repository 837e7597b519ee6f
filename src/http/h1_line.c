/* First lines of HTTP/1 messages (RFC 9112 3 and 4). A line is judged as soon as it is complete, and as one piece, so the verdict
 * cannot depend on how it was cut into packets; only what no completion could save (a byte that no method can hold, bytes that are
 * no "HTTP/1.") is refused earlier. llhttp takes over at the header fields: its own request line knows neither custom methods nor
 * a lone LF. */
#include "http/chars.h"
#include "http/h1_priv.h"

/* Envoy's methods (its HTTP/1 parser's list; M-SEARCH is spelt as there). */
static bool is_known_method(struct weir_slice method)
{
    static const struct weir_slice methods[] = {
        WEIR_S_INIT("GET"),       WEIR_S_INIT("POST"),       WEIR_S_INIT("PUT"),       WEIR_S_INIT("HEAD"),
        WEIR_S_INIT("DELETE"),    WEIR_S_INIT("OPTIONS"),    WEIR_S_INIT("PATCH"),     WEIR_S_INIT("CONNECT"),
        WEIR_S_INIT("TRACE"),     WEIR_S_INIT("ACL"),        WEIR_S_INIT("BIND"),      WEIR_S_INIT("CHECKOUT"),
        WEIR_S_INIT("COPY"),      WEIR_S_INIT("LINK"),       WEIR_S_INIT("LOCK"),      WEIR_S_INIT("MERGE"),
        WEIR_S_INIT("MKACTIVITY"), WEIR_S_INIT("MKCALENDAR"), WEIR_S_INIT("MKCOL"),    WEIR_S_INIT("MOVE"),
        WEIR_S_INIT("MSEARCH"),   WEIR_S_INIT("NOTIFY"),     WEIR_S_INIT("PROPFIND"),  WEIR_S_INIT("PROPPATCH"),
        WEIR_S_INIT("PURGE"),     WEIR_S_INIT("REBIND"),     WEIR_S_INIT("REPORT"),    WEIR_S_INIT("SEARCH"),
        WEIR_S_INIT("SOURCE"),    WEIR_S_INIT("SUBSCRIBE"),  WEIR_S_INIT("UNBIND"),    WEIR_S_INIT("UNLINK"),
        WEIR_S_INIT("UNLOCK"),    WEIR_S_INIT("UNSUBSCRIBE"),
    };
    for (size_t i = 0; i < WEIR_COUNTOF(methods); i++) {
        if (weir_slice_eq(method, methods[i])) {
            return true;
        }
    }
    return false;
}

static enum h1_refusal judge_method(const struct weir_h1 *h1, struct weir_slice method)
{
    if (method.len == 0 || method.len > H1_METHOD_MAX || !weir_slice_all(method, WEIR_CHAR_TOKEN)) {
        return H1_REFUSED_METHOD;
    }
    return h1->options->allow_custom_methods || is_known_method(method) ? H1_ACCEPTED : H1_REFUSED_METHOD;
}

/* "HTTP/1.1" and "HTTP/1.0" are served; other digits are a version that we do not speak (judged when the head is complete, so that
 * syntax comes first); anything else is no HTTP. */
static enum h1_refusal judge_version(struct weir_h1 *h1, struct weir_slice version)
{
    if (weir_slice_eq(version, WEIR_S("HTTP/1.1"))) {
        h1->version_minor = 1;
        return H1_ACCEPTED;
    }
    if (version.len == 0) { /* HTTP/0.9 has none */
        h1->bad_version = true;
        return H1_ACCEPTED;
    }
    if (version.len != 8 || memcmp(version.ptr, "HTTP/", 5) != 0 || version.ptr[6] != '.' ||
        !weir_char_is(version.ptr[5], WEIR_CHAR_DIGIT) || !weir_char_is(version.ptr[7], WEIR_CHAR_DIGIT)) {
        return H1_REFUSED_CODEC_ERROR;
    }
    h1->bad_version = version.ptr[5] != '1' || version.ptr[7] != '0';
    return H1_ACCEPTED;
}

static struct weir_slice skip_spaces(struct weir_slice s)
{
    while (s.len > 0 && s.ptr[0] == ' ') {
        s = weir_slice_from(s, 1);
    }
    return s;
}

/* method SP target SP version, where Envoy takes more than one SP. */
static enum h1_refusal parse_request_line(struct weir_h1 *h1, struct weir_slice line)
{
    struct weir_slice method = weir_slice_first(line, weir_slice_find(line, ' '));
    enum h1_refusal refusal = judge_method(h1, method);
    if (refusal != H1_ACCEPTED) {
        return refusal;
    }
    struct weir_slice rest = skip_spaces(weir_slice_from(line, method.len));
    struct weir_slice target = weir_slice_first(rest, weir_slice_find(rest, ' '));
    if (target.len == 0 || !weir_slice_all(target, WEIR_CHAR_TARGET)) {
        return H1_REFUSED_TARGET;
    }
    refusal = judge_version(h1, skip_spaces(weir_slice_from(rest, target.len)));
    if (refusal != H1_ACCEPTED) {
        return refusal;
    }
    if (target.len > h1->options->max_headers_bytes) {
        return H1_REFUSED_HEADERS_TOO_LARGE;
    }
    h1->field_bytes = target.len;
    struct weir_arena *arena = h1->st.head->arena;
    h1->st.method = weir_arena_dup(arena, method);
    h1->st.target = weir_arena_dup(arena, target);
    return H1_ACCEPTED;
}

/* "HTTP/1." DIGIT SP 3DIGIT [ SP reason ]. */
static enum h1_refusal parse_status_line(struct weir_h1 *h1, struct weir_slice line)
{
    if (line.len < 12 || line.ptr[8] != ' ' || memcmp(line.ptr, "HTTP/1.", 7) != 0) {
        return H1_REFUSED_CODEC_ERROR;
    }
    enum h1_refusal refusal = judge_version(h1, weir_slice_first(line, 8));
    if (refusal != H1_ACCEPTED) {
        return refusal;
    }
    struct weir_slice code = weir_slice(line.ptr + 9, 3);
    struct weir_slice rest = weir_slice_from(line, 12);
    if (!weir_slice_all(code, WEIR_CHAR_DIGIT) || code.ptr[0] == '0' || (rest.len > 0 && rest.ptr[0] != ' ') ||
        !weir_value_clean(rest)) {
        return H1_REFUSED_CODEC_ERROR;
    }
    h1->st.status = (uint32_t)(code.ptr[0] - '0') * 100 + (uint32_t)(code.ptr[1] - '0') * 10 +
                    (uint32_t)(code.ptr[2] - '0');
    return H1_ACCEPTED;
}

/* What of an incomplete line can be judged already. */
static enum h1_refusal judge_prefix(const struct weir_h1 *h1, const struct weir_buf *in)
{
    char begin[H1_METHOD_MAX + 1];
    struct weir_slice s = weir_slice(begin, weir_buf_peek(in, 0, begin, sizeof(begin)));
    if (!h1_is_server(h1)) {
        static const char http[] = "HTTP/1.";
        size_t n = WEIR_MIN(s.len, sizeof(http) - 1);
        return memcmp(begin, http, n) == 0 ? H1_ACCEPTED : H1_REFUSED_CODEC_ERROR;
    }
    size_t method_len = weir_slice_find(s, ' ');
    struct weir_slice method = weir_slice_first(s, method_len);
    if (method_len == s.len) { /* not complete: only its bytes count */
        return s.len <= H1_METHOD_MAX && weir_slice_all(s, WEIR_CHAR_TOKEN) ? H1_ACCEPTED : H1_REFUSED_METHOD;
    }
    return judge_method(h1, method);
}

/* Length of the first line including its LF, 0 if it is not complete. Looks at every byte once. */
static size_t find_line(struct weir_h1 *h1, const struct weir_buf *in)
{
    size_t at = 0;
    for (const struct weir_seg *seg = in->head; seg; at += seg->len, seg = seg->next) {
        if (at + seg->len <= h1->scanned) {
            continue;
        }
        size_t start = h1->scanned > at ? h1->scanned - at : 0;
        const char *lf = memchr(seg->ptr + start, '\n', seg->len - start);
        if (lf) {
            return at + (size_t)(lf - seg->ptr) + 1;
        }
    }
    h1->scanned = in->len;
    return 0;
}

enum h1_line h1_take_line(struct weir_h1 *h1, struct weir_buf *in)
{
    size_t len = find_line(h1, in);
    if (len == 0 || len > h1->budget) {
        h1->refusal = judge_prefix(h1, in);
        if (h1->refusal == H1_ACCEPTED && (len > 0 || in->len > h1->budget)) {
            h1->refusal = H1_REFUSED_HEADERS_TOO_LARGE;
        }
        return h1->refusal == H1_ACCEPTED ? H1_LINE_MORE : H1_LINE_REFUSED;
    }
    struct weir_slice line = weir_slice_first(weir_buf_pullup(in, len), len - 1);
    if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
        line.len--;
    }
    h1->refusal = h1_is_server(h1) ? parse_request_line(h1, line) : parse_status_line(h1, line);
    weir_buf_drain(in, len);
    h1->budget -= len;
    h1->scanned = 0;
    return h1->refusal == H1_ACCEPTED ? H1_LINE_OK : H1_LINE_REFUSED;
}
