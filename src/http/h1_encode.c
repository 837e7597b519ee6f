/* The sending half of the HTTP/1 codec. A head is written in one pass into the free end of the connection's output (its size is
 * known beforehand from the map's byte count); body segments are moved, not copied. Framing is decided here and nowhere else:
 * transfer-encoding, content-length: 0 and connection are never taken from the map. */
#include "http/chars.h"
#include "http/h1_priv.h"
#include "http/status.h"

/* Room for the first line's fixed parts and the framing fields that are added. */
#define HEAD_EXTRA 192u

struct writer {
    char *p;
    struct weir_h1 *h1;
    const struct weir_header_spelling *spellings;
};

static inline void put(struct writer *w, struct weir_slice s)
{
    if (s.len) {
        memcpy(w->p, s.ptr, s.len);
    }
    w->p += s.len;
}
#define PUT(w, lit)                             \
    do {                                        \
        memcpy((w)->p, "" lit, sizeof(lit) - 1); \
        (w)->p += sizeof(lit) - 1;              \
    } while (0)

/* header_key_format proper_case_words: a letter at the start and behind everything that is no letter or digit. */
static void put_proper_case(struct writer *w, struct weir_slice name)
{
    bool capital = true;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        *w->p++ = capital && c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
        capital = !weir_char_is(c, WEIR_CHAR_ALPHA | WEIR_CHAR_DIGIT);
    }
}

static void put_name(struct writer *w, struct weir_slice name)
{
    for (const struct weir_header_spelling *s = w->spellings; s; s = s->next) {
        if (weir_slice_eq_nocase(s->name, name)) {
            put(w, s->name);
            return;
        }
    }
    if (w->h1->options->proper_case) {
        put_proper_case(w, name);
    } else {
        put(w, name);
    }
}

/* Nobody should have put these into a map; written out they would make a message into another one. */
static bool is_safe(const struct writer *w, const struct weir_header *f)
{
    if (WEIR_LIKELY(weir_value_clean(f->value) &&
                    (f->id != WEIR_H_OTHER || (f->name.len > 0 && weir_slice_all(f->name, WEIR_CHAR_TOKEN))))) {
        return true;
    }
    h1_count(w->h1, WEIR_H1_STAT_INVALID_OUTPUT);
    return false;
}

static void put_field(struct writer *w, struct weir_slice name, struct weir_slice value)
{
    put_name(w, name);
    PUT(w, ": ");
    put(w, value);
    PUT(w, "\r\n");
}

/* What becomes of a field on the wire. */
enum fate { WRITE, SKIP, AS_HOST, IF_UPGRADE, IF_LENGTH };
static enum fate fate_of(unsigned id)
{
    static const uint8_t fates[WEIR_H_COUNT] = {
        [WEIR_H_METHOD] = SKIP,
        [WEIR_H_SCHEME] = SKIP,
        [WEIR_H_AUTHORITY] = AS_HOST,
        [WEIR_H_HOST] = AS_HOST,
        [WEIR_H_PATH] = SKIP,
        [WEIR_H_STATUS] = SKIP,
        [WEIR_H_PROTOCOL] = SKIP,
        [WEIR_H_CONTENT_LENGTH] = IF_LENGTH,
        [WEIR_H_TRANSFER_ENCODING] = SKIP,
        [WEIR_H_CONNECTION] = SKIP,
        [WEIR_H_KEEP_ALIVE] = SKIP,
        [WEIR_H_PROXY_CONNECTION] = SKIP,
        [WEIR_H_HTTP2_SETTINGS] = SKIP,
        [WEIR_H_UPGRADE] = IF_UPGRADE,
    };
    return (enum fate)fates[id];
}

struct head_plan {
    bool request;
    bool write_length; /* content-length of the map */
    bool zero_length;  /* add content-length: 0 */
    bool chunked;
    bool upgrade;
    bool close, keep_alive;
};

static void put_fields(struct writer *w, const struct weir_headers *h, const struct head_plan *plan)
{
    bool host_written = false;
    for (uint32_t i = 0; i < h->n; i++) {
        const struct weir_header *f = &h->v[i];
        enum fate fate = fate_of(f->id);
        if (fate == SKIP || (fate == IF_LENGTH && !plan->write_length) || (fate == IF_UPGRADE && !plan->upgrade) ||
            (fate == AS_HOST && (!plan->request || host_written)) || !is_safe(w, f)) {
            continue;
        }
        host_written = host_written || fate == AS_HOST;
        put_field(w, f->id == WEIR_H_AUTHORITY ? WEIR_S("host") : f->name, f->value);
    }
    if (plan->upgrade) {
        put_field(w, WEIR_S("connection"), WEIR_S("upgrade"));
    } else if (plan->close) {
        put_field(w, WEIR_S("connection"), WEIR_S("close"));
    } else if (plan->keep_alive) {
        put_field(w, WEIR_S("connection"), WEIR_S("keep-alive"));
    }
    if (plan->chunked) {
        put_field(w, WEIR_S("transfer-encoding"), WEIR_S("chunked"));
    }
    if (plan->zero_length) {
        put_field(w, WEIR_S("content-length"), WEIR_S("0"));
    }
    PUT(w, "\r\n");
}

static void put_status_line(struct writer *w, uint32_t status, bool http_10)
{
    if (status == 200 && !http_10) {
        PUT(w, "HTTP/1.1 200 OK\r\n");
        return;
    }
    if (http_10) {
        PUT(w, "HTTP/1.0 ");
    } else {
        PUT(w, "HTTP/1.1 ");
    }
    *w->p++ = (char)('0' + status / 100 % 10);
    *w->p++ = (char)('0' + status / 10 % 10);
    *w->p++ = (char)('0' + status % 10);
    *w->p++ = ' ';
    put(w, weir_status_reason(status));
    PUT(w, "\r\n");
}

/* Bytes that may not stand in a request line are escaped: a path made by a filter must not end the line. Three bytes each. */
static void put_target(struct writer *w, struct weir_slice target)
{
    static const char hex[] = "0123456789ABCDEF";
    if (WEIR_LIKELY(weir_slice_all(target, WEIR_CHAR_TARGET))) {
        put(w, target);
        return;
    }
    h1_count(w->h1, WEIR_H1_STAT_INVALID_OUTPUT);
    for (size_t i = 0; i < target.len; i++) {
        uint8_t c = (uint8_t)target.ptr[i];
        if (weir_char_is((char)c, WEIR_CHAR_TARGET)) {
            *w->p++ = (char)c;
        } else {
            *w->p++ = '%';
            *w->p++ = hex[c >> 4];
            *w->p++ = hex[c & 15];
        }
    }
}

static void put_request_line(struct writer *w, const struct weir_headers *h)
{
    struct weir_slice method = weir_headers_method(h);
    struct weir_slice path = weir_headers_path(h);
    struct weir_slice authority = weir_headers_authority(h);
    put(w, method);
    PUT(w, " ");
    if (w->h1->st.is_connect) {
        put_target(w, authority);
    } else {
        if (w->h1->options->send_fully_qualified_url) {
            struct weir_slice scheme = weir_headers_get(h, WEIR_H_SCHEME);
            put_target(w, scheme.len ? scheme : WEIR_S("http"));
            PUT(w, "://");
            put_target(w, authority);
        }
        put_target(w, path.len ? path : WEIR_S("/"));
    }
    PUT(w, " HTTP/1.1\r\n");
}

/* Upper bound of a head's bytes. */
static size_t head_bound(const struct weir_headers *h)
{
    size_t line = weir_headers_path(h).len + weir_headers_authority(h).len + weir_headers_get(h, WEIR_H_SCHEME).len;
    return h->bytes + (size_t)h->n * 4 + line * 3 + HEAD_EXTRA;
}

static void begin_head(struct writer *w, struct weir_h1 *h1, const struct weir_headers *h, bool *ret_direct)
{
    size_t bound = head_bound(h);
    *ret_direct = bound <= WEIR_BLOCK_SIZE;
    w->h1 = h1;
    w->p = *ret_direct ? weir_buf_reserve(h1->base.out, bound) : weir_arena_alloc(h1->st.head->arena, bound);
    w->spellings = h1->options->preserve_case ? h->spellings : NULL;
}

static void end_head(struct writer *w, const char *begin, bool direct)
{
    struct weir_h1 *h1 = w->h1;
    size_t len = (size_t)(w->p - begin);
    if (direct) {
        weir_buf_commit(h1->base.out, len);
    } else {
        weir_buf_add(h1->base.out, weir_slice(begin, len));
    }
    h1->base.conn_ops->on_output(&h1->base);
}

static void write_head(struct weir_h1 *h1, const struct weir_headers *h, const struct head_plan *plan,
                       uint32_t status)
{
    struct writer w;
    bool direct;
    begin_head(&w, h1, h, &direct);
    const char *begin = w.p;
    if (plan->request) {
        put_request_line(&w, h);
    } else {
        put_status_line(&w, status, h1->st.base.protocol == WEIR_HTTP_10 && h1->options->accept_http_10);
    }
    put_fields(&w, h, plan);
    end_head(&w, begin, direct);
}

static void finish(struct weir_h1 *h1)
{
    h1->tx = H1_TX_DONE;
    h1->swallow_left = WEIR_H1_SWALLOW_MAX;
    h1_settle_later(h1);
}

/* After the head: what body may follow. */
static void begin_body(struct weir_h1 *h1, enum h1_tx tx, uint64_t left, bool end_stream)
{
    h1->tx = tx;
    h1->tx_left = left;
    if (end_stream) {
        finish(h1);
    }
}

/* The map's content-length, if it is a number. */
static bool length_of(const struct weir_headers *h, uint64_t *ret)
{
    *ret = 0;
    return weir_headers_content_length(h, ret);
}

/* Input is waiting in the connection: more requests, perhaps. */
static bool more_input(const struct weir_h1 *h1)
{
    return h1->in_recv ? h1->in->len > 0 : h1->input_held;
}

static bool has_upgrade(const struct weir_headers *h)
{
    return weir_headers_has(h, WEIR_H_UPGRADE) &&
           weir_headers_list_has(weir_headers_get(h, WEIR_H_CONNECTION), WEIR_S("upgrade"));
}

static bool wants_close(const struct weir_headers *h)
{
    return weir_headers_has(h, WEIR_H_CONNECTION) &&
           weir_headers_list_has(weir_headers_get(h, WEIR_H_CONNECTION), WEIR_S("close"));
}

/* --- Requests. --- */

/* Methods whose requests have no body unless they say so (Envoy: requestShouldHaveNoBody). */
static bool is_bodiless_method(struct weir_slice method)
{
    return weir_slice_eq(method, WEIR_S("GET")) || weir_slice_eq(method, WEIR_S("HEAD")) ||
           weir_slice_eq(method, WEIR_S("DELETE")) || weir_slice_eq(method, WEIR_S("TRACE")) ||
           weir_slice_eq(method, WEIR_S("CONNECT"));
}

static void send_request(struct weir_h1 *h1, const struct weir_headers *h, bool end_stream)
{
    struct weir_slice method = weir_headers_method(h);
    struct head_plan plan = {.request = true};
    uint64_t length;
    bool has_length = length_of(h, &length) && !(end_stream && length > 0); /* announced, never to come */
    if (method.len == 0 || !weir_slice_all(method, WEIR_CHAR_TOKEN)) {
        h1_count(h1, WEIR_H1_STAT_INVALID_OUTPUT);
        h1_break(h1, "http1.invalid_method");
        return;
    }
    h1->st.is_head = weir_slice_eq(method, WEIR_S("HEAD"));
    h1->st.is_connect = weir_slice_eq(method, WEIR_S("CONNECT"));
    h1->st.upgrade_asked = plan.upgrade = !h1->st.is_connect && has_upgrade(h);
    plan.close = !plan.upgrade && wants_close(h);
    if (plan.close) {
        h1->keep_alive = false;
    }
    bool tunnel = h1->st.is_connect || plan.upgrade;
    plan.write_length = has_length && !tunnel;
    plan.chunked = !end_stream && !has_length && !tunnel;
    plan.zero_length = end_stream && !has_length && !tunnel && !is_bodiless_method(method);
    write_head(h1, h, &plan, 0);
    begin_body(h1, tunnel ? H1_TX_RAW : plan.chunked ? H1_TX_CHUNKED : H1_TX_LENGTH, has_length ? length : 0,
               end_stream);
}

/* --- Responses. --- */

/* The rest of the request is not worth waiting for: more than we swallow, of unknown length, or held back by the client until a
 * 100 that never came. */
static bool request_not_worth_awaiting(const struct weir_h1 *h1)
{
    switch (h1->rx) {
    case H1_RX_LENGTH:
        return h1->st.expects_continue || h1->rx_left > WEIR_H1_SWALLOW_MAX;
    case H1_RX_CHUNKED:
    case H1_RX_TRAILERS:
        return true;
    case H1_RX_START:
    case H1_RX_LINE:
    case H1_RX_FIELDS:
    case H1_RX_UNTIL_EOF:
    case H1_RX_HELD:
    case H1_RX_TUNNEL:
    case H1_RX_DEAD:
        return true;
    case H1_RX_DONE:
        return false;
    }
    return true;
}

static void open_tunnel(struct weir_h1 *h1)
{
    if (h1->rx == H1_RX_HELD) {
        h1->rx = H1_RX_TUNNEL;
    }
    if ((h1->input_held || h1->eof) && !h1->in_recv) {
        h1->base.conn_ops->on_resume(&h1->base);
    }
}

static enum h1_tx plan_response_body(const struct weir_h1 *h1, uint32_t status, bool has_length, bool end_stream,
                                     struct head_plan *plan)
{
    const struct h1_stream *st = &h1->st;
    if (h1->rx == H1_RX_HELD && (st->is_connect ? status / 100 == 2 : status == 101)) {
        plan->upgrade = !st->is_connect;
        return H1_TX_RAW;
    }
    if (st->is_head || status == 304) { /* the length is that of the body it would have */
        plan->write_length = has_length;
        return H1_TX_NO_BODY;
    }
    if (weir_status_bodiless(status)) {
        return H1_TX_NO_BODY;
    }
    if (end_stream) { /* whatever length the map announces: nothing comes */
        plan->zero_length = true;
        return H1_TX_LENGTH;
    }
    plan->write_length = has_length;
    if (has_length) {
        return H1_TX_LENGTH;
    }
    plan->chunked = st->base.protocol != WEIR_HTTP_10;
    return plan->chunked ? H1_TX_CHUNKED : H1_TX_RAW;
}

static void send_response(struct weir_h1 *h1, const struct weir_headers *h, bool end_stream)
{
    struct h1_stream *st = &h1->st;
    struct head_plan plan = {0};
    uint64_t length;
    uint32_t status = weir_headers_status(h);
    bool has_length = length_of(h, &length);
    if (status < 100 || (status < 200 && (status != 101 || h1->rx != H1_RX_HELD))) {
        h1_count(h1, WEIR_H1_STAT_INVALID_OUTPUT); /* no final status: nothing sensible can be written */
        h1_break(h1, "http1.invalid_status");
        return;
    }
    enum h1_tx tx = plan_response_body(h1, status, has_length, end_stream, &plan);
    bool tunnel = tx == H1_TX_RAW && h1->rx == H1_RX_HELD && (plan.upgrade || st->is_connect);
    if (tunnel) {
        open_tunnel(h1);
    } else {
        if (h1->draining || (h1->eof && !more_input(h1)) || tx == H1_TX_RAW || wants_close(h) || request_not_worth_awaiting(h1)) {
            h1->keep_alive = false;
        }
        plan.close = !h1->keep_alive;
        plan.keep_alive = st->base.protocol == WEIR_HTTP_10 && h1->keep_alive;
    }
    write_head(h1, h, &plan, status);
    begin_body(h1, tx, tx == H1_TX_LENGTH ? length : 0, end_stream);
}

void h1_send_headers(struct weir_codec_stream *cs, const struct weir_headers *h, bool end_stream)
{
    struct weir_h1 *h1 = h1_of_stream(cs);
    if (h1->tx != H1_TX_HEAD || !h1->st.active) {
        return;
    }
    if (h1_is_server(h1)) {
        send_response(h1, h, end_stream);
    } else {
        send_request(h1, h, end_stream);
    }
}

void h1_send_informational(struct weir_codec_stream *cs, const struct weir_headers *h)
{
    struct weir_h1 *h1 = h1_of_stream(cs);
    uint32_t status = weir_headers_status(h);
    if (h1->tx != H1_TX_HEAD || !h1->st.active || status < 100 || status > 199 || status == 101 ||
        cs->protocol == WEIR_HTTP_10) { /* RFC 9110 15.2: never to HTTP/1.0 */
        return;
    }
    if (status == 100) {
        h1->st.expects_continue = false;
    }
    const struct head_plan plan = {0};
    write_head(h1, h, &plan, status);
}

/* --- Bodies. --- */

static void put_chunk_size(struct weir_buf *out, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    char text[18];
    char *p = text + sizeof(text);
    *--p = '\n';
    *--p = '\r';
    do {
        *--p = hex[len & 15];
        len >>= 4;
    } while (len > 0);
    weir_buf_add(out, weir_slice(p, (size_t)(text + sizeof(text) - p)));
}

/* Body pieces this small are copied behind what is there: cheaper than a segment, and one more step towards a single write. */
#define COPY_MAX 1024u

static void put_body(struct weir_buf *out, struct weir_buf *data)
{
    if (data->len > COPY_MAX) {
        weir_buf_move(out, data);
        return;
    }
    for (const struct weir_seg *seg = data->head; seg; seg = seg->next) {
        weir_buf_add(out, weir_slice(seg->ptr, seg->len));
    }
    weir_buf_clear(data);
}

/* No more than was announced; the difference would be taken for the next message. */
static void put_body_of_length(struct weir_h1 *h1, struct weir_buf *data, bool end_stream)
{
    if (data->len > h1->tx_left) {
        struct weir_buf fits;
        weir_buf_init(&fits, data->pool);
        weir_buf_move_some(&fits, data, (size_t)h1->tx_left);
        weir_buf_clear(data);
        weir_buf_move(data, &fits);
        h1->keep_alive = false;
        h1_count(h1, WEIR_H1_STAT_INVALID_OUTPUT);
    }
    h1->tx_left -= data->len;
    put_body(h1->base.out, data);
    if (end_stream && h1->tx_left > 0) { /* cut short: only closing tells the peer */
        h1->keep_alive = false;
    }
}

void h1_send_data(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream)
{
    struct weir_h1 *h1 = h1_of_stream(cs);
    struct weir_buf *out = h1->base.out;
    if (!h1->st.active || h1->tx == H1_TX_HEAD || h1->tx == H1_TX_DONE || h1->tx == H1_TX_NO_BODY) {
        weir_buf_clear(data);
    } else if (h1->tx == H1_TX_LENGTH) {
        put_body_of_length(h1, data, end_stream);
    } else if (h1->tx == H1_TX_RAW) {
        put_body(out, data);
    } else {
        if (data->len > 0) {
            put_chunk_size(out, data->len);
            put_body(out, data);
            weir_buf_add(out, end_stream ? WEIR_S("\r\n0\r\n\r\n") : WEIR_S("\r\n"));
        } else if (end_stream) {
            weir_buf_add(out, WEIR_S("0\r\n\r\n"));
        }
    }
    if (!h1->st.active || h1->tx == H1_TX_HEAD || h1->tx == H1_TX_DONE) {
        return;
    }
    h1->base.conn_ops->on_output(&h1->base);
    if (end_stream) {
        finish(h1);
    }
}

void h1_send_trailers(struct weir_codec_stream *cs, const struct weir_headers *trailers)
{
    struct weir_h1 *h1 = h1_of_stream(cs);
    if (h1->tx != H1_TX_CHUNKED || !h1->options->enable_trailers || trailers->n == 0) {
        struct weir_buf none;
        weir_buf_init(&none, h1->base.out->pool);
        h1_send_data(cs, &none, true);
        return;
    }
    weir_buf_add(h1->base.out, WEIR_S("0\r\n"));
    struct writer w;
    bool direct;
    begin_head(&w, h1, trailers, &direct);
    const char *begin = w.p;
    put_fields(&w, trailers, &(struct head_plan){0});
    end_head(&w, begin, direct);
    finish(h1);
}
