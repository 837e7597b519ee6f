/* Reads heads, bodies by length, chunks or the connection's end, and trailers; says bad to everything that is not plainly right. */
#include "wire.h"

#include <string.h>

#define HEAD_MAX 65536

void wire_init(struct wire *w, bool responses, const struct wire_ops *ops, void *arg)
{
    *w = (struct wire){.ops = ops, .arg = arg, .responses = responses};
    weir_str_init(&w->in, SIZE_MAX / 2);
}

void wire_fini(struct wire *w)
{
    weir_str_fini(&w->in);
}

static void bad(struct wire *w, const char *why)
{
    w->state = WIRE_BAD;
    w->ops->on_bad(w, why);
}

static struct weir_slice rest(const struct wire *w)
{
    return weir_slice(w->in.ptr ? w->in.ptr + w->at : "", w->in.len - w->at);
}

/* The line that is next, without its end; false if it is not there yet. */
static bool take_line(struct wire *w, struct weir_slice *line)
{
    struct weir_slice r = rest(w);
    size_t n = weir_slice_search(r, WEIR_S("\r\n"));
    if (n == SIZE_MAX) {
        if (r.len > HEAD_MAX) bad(w, "a line without an end");
        return false;
    }
    *line = weir_slice_first(r, n);
    w->at += n + 2;
    return true;
}

static bool parse_start(struct wire *w, struct weir_slice line)
{
    uint64_t status;
    if (w->responses) {
        if (!weir_slice_starts_with(line, WEIR_S("HTTP/1.1 ")) || line.len < 12) return false;
        if (weir_parse_u64(weir_slice_first(weir_slice_from(line, 9), 3), 999, &status)) return false;
        w->status = (uint32_t)status;
        return status >= 100;
    }
    size_t space = weir_slice_find(line, ' ');
    if (space == 0 || space >= sizeof w->method || line.len < 9) return false;
    memcpy(w->method, line.ptr, space);
    w->method[space] = '\0';
    return weir_slice_eq(weir_slice_from(line, line.len - 9), WEIR_S(" HTTP/1.1"));
}

static bool parse_field(struct wire *w, struct weir_slice line)
{
    size_t colon = weir_slice_find(line, ':');
    if (colon == 0 || colon >= line.len) return false;
    struct weir_slice name = weir_slice_first(line, colon), value = weir_slice_trim(weir_slice_from(line, colon + 1));
    uint64_t number;
    if (weir_slice_eq_nocase(name, WEIR_S("content-length"))) {
        if (w->has_length || weir_parse_u64(value, UINT64_MAX, &w->length)) return false;
        w->has_length = true;
    } else if (weir_slice_eq_nocase(name, WEIR_S("transfer-encoding"))) {
        if (w->chunked || !weir_slice_eq_nocase(value, WEIR_S("chunked"))) return false;
        w->chunked = true;
    } else if (weir_slice_eq_nocase(name, WEIR_S("connection"))) {
        w->close |= weir_slice_eq_nocase(value, WEIR_S("close"));
    } else if (weir_slice_eq_nocase(name, WEIR_S("x-sim-id"))) {
        if (weir_parse_u64(value, UINT32_MAX, &number) || (w->id && w->id != number)) return false;
        w->id = (uint32_t)number;
    }
    return true;
}

static bool parse_head(struct wire *w, struct weir_slice head)
{
    w->status = 0;
    w->chunked = w->has_length = w->close = w->trailers = false;
    w->length = 0;
    w->id = 0;
    bool first = true;
    while (head.len) {
        size_t n = weir_slice_search(head, WEIR_S("\r\n"));
        struct weir_slice line = weir_slice_first(head, n);
        if (first ? !parse_start(w, line) : !parse_field(w, line)) return false;
        first = false;
        head = weir_slice_from(head, n + 2);
    }
    return !first && !(w->chunked && w->has_length);
}

static void end(struct wire *w)
{
    w->state = WIRE_HEAD;
    w->ops->on_end(w);
}

static bool read_head(struct wire *w)
{
    struct weir_slice r = rest(w);
    size_t n = weir_slice_search(r, WEIR_S("\r\n\r\n"));
    if (n == SIZE_MAX) {
        if (r.len > HEAD_MAX) bad(w, "a head without an end");
        return false;
    }
    w->at += n + 4;
    if (!parse_head(w, weir_slice_first(r, n + 2))) {
        bad(w, "a head that is wrong");
        return false;
    }
    bool bodyless = w->ops->on_head(w);
    if (w->state == WIRE_BAD) return false;
    if (w->responses && w->status < 200) return true;
    w->left = w->length;
    if (bodyless || (!w->chunked && (w->has_length ? w->length == 0 : !w->responses))) end(w);
    else w->state = w->chunked ? WIRE_CHUNK_SIZE : w->has_length ? WIRE_LENGTH : WIRE_UNTIL_CLOSE;
    return true;
}

static bool read_bytes(struct wire *w, enum wire_state next)
{
    struct weir_slice r = rest(w);
    size_t n = w->state == WIRE_UNTIL_CLOSE ? r.len : (size_t)WEIR_MIN((uint64_t)r.len, w->left);
    if (n == 0) return false;
    w->at += n;
    if (w->state != WIRE_UNTIL_CLOSE) w->left -= n;
    w->ops->on_body(w, weir_slice_first(r, n));
    if (w->state == WIRE_BAD) return false;
    if (w->state == WIRE_UNTIL_CLOSE || w->left) return true;
    if (next == WIRE_HEAD) end(w);
    else w->state = next;
    return true;
}

static bool read_chunk_size(struct wire *w)
{
    struct weir_slice line;
    if (!take_line(w, &line)) return false;
    uint64_t size = 0;
    if (line.len == 0 || line.len > 8) {
        bad(w, "a chunk size that is wrong");
        return false;
    }
    for (size_t i = 0; i < line.len; i++) {
        const char *digits = "0123456789abcdefABCDEF", *at = line.ptr[i] ? strchr(digits, line.ptr[i]) : NULL;
        if (!at) {
            bad(w, "a chunk size that is none");
            return false;
        }
        size_t value = (size_t)(at - digits);
        size = size * 16 + (value < 16 ? value : value - 6);
    }
    w->left = size;
    w->state = size ? WIRE_CHUNK : WIRE_TRAILERS;
    return true;
}

static bool read_line_end(struct wire *w)
{
    struct weir_slice line;
    if (!take_line(w, &line)) return false;
    if (line.len == 0) w->state = WIRE_CHUNK_SIZE;
    else bad(w, "a chunk longer than its size");
    return w->state != WIRE_BAD;
}

static bool read_trailer(struct wire *w)
{
    struct weir_slice line;
    if (!take_line(w, &line)) return false;
    if (line.len) w->trailers = true;
    else end(w);
    return w->state != WIRE_BAD;
}

static bool step(struct wire *w)
{
    switch (w->state) {
        case WIRE_HEAD: return rest(w).len && read_head(w);
        case WIRE_LENGTH: return read_bytes(w, WIRE_HEAD);
        case WIRE_CHUNK: return read_bytes(w, WIRE_CHUNK_END);
        case WIRE_UNTIL_CLOSE: return read_bytes(w, WIRE_UNTIL_CLOSE);
        case WIRE_CHUNK_SIZE: return read_chunk_size(w);
        case WIRE_CHUNK_END: return read_line_end(w);
        case WIRE_TRAILERS: return read_trailer(w);
        case WIRE_BAD: return false;
    }
    return false;
}

void wire_feed(struct wire *w, struct weir_slice bytes)
{
    if (w->state == WIRE_BAD) return;
    if (w->at == w->in.len) {
        weir_str_clear(&w->in);
        w->at = 0;
    }
    weir_str_add(&w->in, bytes);
    while (step(w)) {}
}

bool wire_idle(const struct wire *w)
{
    return w->state == WIRE_HEAD && w->at == w->in.len;
}

bool wire_eof(struct wire *w)
{
    if (w->state == WIRE_UNTIL_CLOSE) end(w);
    return wire_idle(w);
}
