/* From events to frames. Heads are handed to nghttp2, which compresses and copies them; body bytes stay in the stream's buffer until
 * both windows let them go, and are then moved into the connection's output behind a frame header. Serialising waits for the end
 * of the turn, and stops while the connection's output is above its mark: then nghttp2's own queue, which is limited, fills. */
#include "http/chars.h"
#include "http/h2_priv.h"

/* --- Heads. --- */

/* Fields that HTTP/2 does not have (RFC 9113 8.2.2), and host, which is :authority. */
static bool is_connection_field(const struct weir_header *f)
{
    switch ((int)f->id) {
    case WEIR_H_CONNECTION:
    case WEIR_H_KEEP_ALIVE:
    case WEIR_H_PROXY_CONNECTION:
    case WEIR_H_TRANSFER_ENCODING:
    case WEIR_H_UPGRADE:
    case WEIR_H_HTTP2_SETTINGS:
    case WEIR_H_HOST:
        return true;
    case WEIR_H_TE:
        return !weir_slice_eq_nocase(f->value, WEIR_S("trailers"));
    default:
        return false;
    }
}

static bool is_pseudo(const struct weir_header *f)
{
    return f->name.len > 0 && f->name.ptr[0] == ':';
}

static bool is_safe(const struct weir_h2 *h2, const struct weir_header *f)
{
    if (weir_value_clean(f->value) && weir_header_name_valid(f->name)) {
        return true;
    }
    h2_count(h2, WEIR_H2_STAT_INVALID_OUTPUT);
    return false;
}

static nghttp2_nv nv_of(struct weir_slice name, struct weir_slice value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.ptr, /* nghttp2 copies and does not write */
        .value = (uint8_t *)(uintptr_t)value.ptr,
        .namelen = name.len,
        .valuelen = value.len,
        .flags = NGHTTP2_NV_FLAG_NONE,
    };
}

struct nv_list {
    nghttp2_nv *v;
    size_t n;
};

/* The fields as nghttp2 wants them, pseudo-headers first; in the map's arena. */
static struct nv_list list_fields(const struct weir_h2 *h2, const struct weir_headers *h, bool trailers)
{
    struct nv_list list = {weir_arena_alloc(h->arena, (h->n + 3) * sizeof(nghttp2_nv)), 0};
    bool request = !trailers && !h2_is_server(h2);
    bool connect = weir_slice_eq(weir_headers_method(h), WEIR_S("CONNECT")) && !weir_headers_has(h, WEIR_H_PROTOCOL);
    if (request && !connect && !weir_headers_has(h, WEIR_H_SCHEME)) {
        list.v[list.n++] = nv_of(WEIR_S(":scheme"), WEIR_S("http"));
    }
    if (request && !connect && weir_headers_path(h).len == 0) {
        list.v[list.n++] = nv_of(WEIR_S(":path"), WEIR_S("/"));
    }
    if (request && !weir_headers_has(h, WEIR_H_AUTHORITY) && weir_headers_get(h, WEIR_H_HOST).len > 0) {
        list.v[list.n++] = nv_of(WEIR_S(":authority"), weir_headers_get(h, WEIR_H_HOST));
    }
    for (uint32_t i = 0; i < h->n; i++) {
        const struct weir_header *f = &h->v[i];
        bool wrong_pseudo = is_pseudo(f) && (trailers || (f->id == WEIR_H_STATUS) == request);
        bool of_connect = connect && (f->id == WEIR_H_SCHEME || f->id == WEIR_H_PATH);
        bool empty_path = f->id == WEIR_H_PATH && f->value.len == 0;
        if (!wrong_pseudo && !of_connect && !empty_path && !is_connection_field(f) && is_safe(h2, f)) {
            list.v[list.n++] = nv_of(f->name, f->value);
        }
    }
    return list;
}

/* --- Bodies. --- */

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    struct weir_h2 *h2 = user;
    struct h2_stream *st = source->ptr;
    (void)buf;
    size_t n = WEIR_MIN(len, st->tx.len);
    if (st->detached) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (n == 0 && !st->tx_end) {
        st->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == st->tx.len && st->tx_end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (st->tx_has_trailers) {
            struct nv_list list = list_fields(h2, &st->tx_trailers, true);
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (nghttp2_submit_trailer(session, id, list.v, list.n) != 0) {
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
            }
        }
    }
    return (ssize_t)n;
}

static int send_body(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
                     nghttp2_data_source *source, void *user)
{
    struct weir_h2 *h2 = user;
    struct h2_stream *st = source->ptr;
    (void)session, (void)frame; /* we never ask for padding */
    weir_buf_add(h2->base.out, weir_slice((const char *)head, 9));
    weir_buf_move_some(h2->base.out, &st->tx, len);
    h2->n_data_sent++;
    if (weir_watermark_check(&st->tx_mark, st->tx.len) != WEIR_WATERMARK_NONE) {
        h2_stream_mark(h2, st);
    }
    return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct weir_h2 *h2 = user;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        h2_count(h2, WEIR_H2_STAT_GOAWAY_SENT);
        h2->terminated = h2->terminated || frame->goaway.error_code != NGHTTP2_NO_ERROR;
    } else if (frame->hd.type == NGHTTP2_RST_STREAM) {
        h2_count(h2, WEIR_H2_STAT_TX_RESET);
    } else if (st && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
               (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS)) {
        st->tx_end_sent = true;
        if (h2_is_server(h2) && !st->rx_end) { /* RFC 9113 8.1: the client may stop sending */
            (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
        }
    }
    return 0;
}

void h2_send_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_body);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
}

void h2_pump(struct weir_h2 *h2)
{
    struct weir_buf *out = h2->base.out;
    size_t before = out->len;
    if (!h2->dead) {
        (void)h2_flood_outbound(h2); /* even then, what explains the end goes out */
    }
    while (!h2->dead && !h2->out_above && out->len < H2_OUT_MAX) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(h2->session, &bytes);
        if (n <= 0) {
            break;
        }
        weir_buf_add(out, weir_slice((const char *)bytes, (size_t)n));
    }
    if (out->len != before) {
        h2->base.conn_ops->on_output(&h2->base);
    }
}

/* --- The sending half of weir_codec_ops. --- */

static void check_mark(struct weir_h2 *h2, struct h2_stream *st)
{
    if (weir_watermark_check(&st->tx_mark, st->tx.len) != WEIR_WATERMARK_NONE) {
        h2_stream_mark(h2, st);
    }
}

/* Something new to send: wakes the data provider. */
static void wake(struct weir_h2 *h2, struct h2_stream *st)
{
    if (st->deferred) {
        st->deferred = false;
        (void)nghttp2_session_resume_data(h2->session, st->id);
    }
    h2_settle_later(h2);
}

static void submit_request(struct weir_h2 *h2, struct h2_stream *st, const struct nv_list *list,
                           const nghttp2_data_provider *provider)
{
    int32_t id = nghttp2_submit_request(h2->session, NULL, list->v, list->n, provider, st);
    if (id < 0) { /* identifiers used up, or going away: told at the end of the turn */
        st->detail = "http2.no_stream";
        h2_stream_mark(h2, st);
        return;
    }
    st->id = id;
    st->base.id = (uint64_t)id;
    h2->n_streams++;
}

void h2_send_headers(struct weir_codec_stream *cs, const struct weir_headers *h, bool end_stream)
{
    struct weir_h2 *h2 = h2_of_stream(cs);
    struct h2_stream *st = WEIR_CONTAINER_OF(cs, struct h2_stream, base);
    if (st->detached || st->closed || st->tx_head) {
        return;
    }
    struct nv_list list = list_fields(h2, h, false);
    const nghttp2_data_provider provider = {.source.ptr = st, .read_callback = read_body};
    st->tx_head = true;
    st->tx_end = end_stream;
    if (h2_is_server(h2)) {
        (void)nghttp2_submit_response(h2->session, st->id, list.v, list.n, end_stream ? NULL : &provider);
    } else {
        submit_request(h2, st, &list, end_stream ? NULL : &provider);
    }
    h2_settle_later(h2);
}

void h2_send_informational(struct weir_codec_stream *cs, const struct weir_headers *h)
{
    struct weir_h2 *h2 = h2_of_stream(cs);
    struct h2_stream *st = WEIR_CONTAINER_OF(cs, struct h2_stream, base);
    uint32_t status = weir_headers_status(h);
    if (st->detached || st->closed || st->tx_head || status < 100 || status > 199 || status == 101) {
        return;
    }
    struct nv_list list = list_fields(h2, h, false);
    (void)nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, st->id, NULL, list.v, list.n, NULL);
    h2_settle_later(h2);
}

void h2_send_data(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream)
{
    struct weir_h2 *h2 = h2_of_stream(cs);
    struct h2_stream *st = WEIR_CONTAINER_OF(cs, struct h2_stream, base);
    if (st->detached || st->closed || !st->tx_head || st->tx_end) {
        weir_buf_clear(data);
        return;
    }
    weir_buf_move(&st->tx, data);
    st->tx_end = end_stream;
    check_mark(h2, st);
    wake(h2, st);
}

void h2_send_trailers(struct weir_codec_stream *cs, const struct weir_headers *trailers)
{
    struct weir_h2 *h2 = h2_of_stream(cs);
    struct h2_stream *st = WEIR_CONTAINER_OF(cs, struct h2_stream, base);
    if (st->detached || st->closed || !st->tx_head || st->tx_end) {
        return;
    }
    if (h2->options->enable_trailers && trailers->n > 0) {
        weir_headers_init(&st->tx_trailers, st->head->arena);
        weir_headers_copy(&st->tx_trailers, trailers);
        st->tx_has_trailers = true;
    }
    st->tx_end = true;
    wake(h2, st);
}
