/* See codec_trace.h. */
#include "codec_trace.h"

#include "base/list.h"

#define TEXT_MAX (4u << 20)

static struct trace *trace_of(struct weir_codec *codec)
{
    return codec->owner;
}

static void close_body(struct trace_text *text)
{
    if (text->body_open) {
        weir_str_addc(&text->s, '"');
        text->body_open = false;
    }
}

static struct trace_text *text_of(struct trace *t, const struct weir_codec_stream *cs)
{
    if (t->codec->ops->protocol != WEIR_HTTP_2 || cs->id == 0 || cs->id / 2 >= TRACE_STREAMS) {
        return &t->text;
    }
    return &t->by_stream[cs->id / 2];
}

static void put_fields(struct weir_str *text, const struct weir_headers *h, bool skip_pseudo)
{
    bool first = true;
    weir_str_addc(text, '{');
    for (uint32_t i = 0; i < h->n; i++) {
        if (skip_pseudo && h->v[i].name.ptr[0] == ':' && h->v[i].id != WEIR_H_SCHEME) {
            continue;
        }
        weir_str_printf(text, "%s%.*s: %.*s", first ? "" : "; ", WEIR_SARG(h->v[i].name), WEIR_SARG(h->v[i].value));
        first = false;
    }
    weir_str_addc(text, '}');
}

static void put_or_dash(struct weir_str *text, struct weir_slice s)
{
    weir_str_add(text, s.ptr ? s : WEIR_S("-"));
}

static void connection_gone(struct trace *t)
{
    weir_buf_clear(&t->in);
    t->codec->ops->conn_gone(t->codec, WEIR_RESET_CONN_TERMINATION);
}

static void reply(struct trace *t, struct weir_codec_stream *cs, uint32_t status, const char *body)
{
    struct weir_headers h;
    weir_headers_init(&h, &t->arena);
    weir_headers_set_status(&h, status);
    if (!body) {
        t->codec->ops->send_headers(cs, &h, true);
        return;
    }
    struct weir_buf data;
    weir_buf_init(&data, &t->loop.bufs);
    weir_buf_add(&data, weir_slice_str(body));
    weir_headers_set_u64(&h, WEIR_H_CONTENT_LENGTH, data.len);
    t->codec->ops->send_headers(cs, &h, false);
    t->codec->ops->send_data(cs, &data, true);
}

static void switch_protocols(struct trace *t, struct weir_codec_stream *cs, const struct weir_headers *request)
{
    struct weir_headers h;
    bool connect = weir_slice_eq(weir_headers_method(request), WEIR_S("CONNECT"));
    t->switched = connect || weir_headers_has(request, WEIR_H_UPGRADE);
    if (t->switched) {
        weir_headers_init(&h, &t->arena);
        weir_headers_set_status(&h, connect ? 200 : 101);
        weir_headers_add(&h, WEIR_H_CONNECTION, WEIR_S("upgrade"));
        weir_headers_add(&h, WEIR_H_UPGRADE, WEIR_S("websocket"));
        t->codec->ops->send_headers(cs, &h, false);
    }
}

static void message_end(struct trace *t, struct weir_codec_stream *cs)
{
    close_body(text_of(t, cs));
    weir_str_addc(&text_of(t, cs)->s, '.');
    t->n_complete++;
    if (t->codec->role == WEIR_CODEC_SERVER && (t->reply == TRACE_REPLY_AT_END || (t->reply == TRACE_REPLY_SWITCH && !t->switched))) {
        reply(t, cs, 200, NULL);
    }
}

static void on_headers(struct weir_codec_stream *cs, struct weir_headers *h, bool end_stream)
{
    struct trace *t = trace_of(cs->codec);
    if (cs->codec->role == WEIR_CODEC_SERVER) {
        weir_str_addc(&text_of(t, cs)->s, '>');
        put_or_dash(&text_of(t, cs)->s, weir_headers_method(h));
        weir_str_addc(&text_of(t, cs)->s, ' ');
        put_or_dash(&text_of(t, cs)->s, weir_headers_path(h));
        weir_str_addc(&text_of(t, cs)->s, ' ');
        put_or_dash(&text_of(t, cs)->s, weir_headers_authority(h));
    } else {
        weir_str_printf(&text_of(t, cs)->s, "<%u", weir_headers_status(h));
    }
    put_fields(&text_of(t, cs)->s, h, true);
    if (t->gone_at_head) {
        connection_gone(t);
        return;
    }
    if (t->reset_at_head) {
        cs->codec->ops->reset(cs, WEIR_RESET_LOCAL_RESET);
        return;
    }
    if (cs->codec->role == WEIR_CODEC_SERVER && t->reply == TRACE_REPLY_AT_HEAD) {
        reply(t, cs, 200, "early");
    }
    if (t->reply == TRACE_REPLY_ECHO) {
        struct weir_headers answer;
        weir_headers_init(&answer, &t->arena);
        weir_headers_set_status(&answer, 200);
        cs->codec->ops->send_headers(cs, &answer, end_stream);
    }
    if (cs->codec->role == WEIR_CODEC_SERVER && t->reply == TRACE_REPLY_SWITCH && !end_stream) {
        switch_protocols(t, cs, h);
    }
    if (end_stream) {
        message_end(t, cs);
    }
}

static void on_informational(struct weir_codec_stream *cs, struct weir_headers *h)
{
    struct trace *t = trace_of(cs->codec);
    weir_str_printf(&text_of(t, cs)->s, "i%u", weir_headers_status(h));
    put_fields(&text_of(t, cs)->s, h, true);
}

static void on_data(struct weir_codec_stream *cs, struct weir_buf *data, bool end_stream)
{
    struct trace *t = trace_of(cs->codec);
    if (data->len > 0 && !text_of(t, cs)->body_open) {
        weir_str_addc(&text_of(t, cs)->s, '"');
        text_of(t, cs)->body_open = true;
    }
    for (const struct weir_seg *seg = data->head; seg; seg = seg->next) {
        weir_str_add(&text_of(t, cs)->s, weir_slice(seg->ptr, seg->len));
    }
    if (t->switched || t->reply == TRACE_REPLY_ECHO) {
        cs->codec->ops->send_data(cs, data, end_stream);
    }
    if (t->gone_at_data) {
        connection_gone(t);
        return;
    }
    if (t->reset_at_data) {
        close_body(text_of(t, cs));
        cs->codec->ops->reset(cs, WEIR_RESET_LOCAL_RESET);
        return;
    }
    if (end_stream) {
        message_end(t, cs);
    }
}

static void on_trailers(struct weir_codec_stream *cs, struct weir_headers *trailers)
{
    struct trace *t = trace_of(cs->codec);
    close_body(text_of(t, cs));
    weir_str_addc(&text_of(t, cs)->s, 'T');
    put_fields(&text_of(t, cs)->s, trailers, false);
    if (t->reply == TRACE_REPLY_ECHO) {
        cs->codec->ops->send_trailers(cs, trailers);
    }
    message_end(t, cs);
}

static void on_reset(struct weir_codec_stream *cs, enum weir_reset reason, const char *detail)
{
    struct trace *t = trace_of(cs->codec);
    close_body(text_of(t, cs));
    weir_str_printf(&text_of(t, cs)->s, "x %s (%s)", weir_reset_text(reason), detail);
    t->cs = NULL;
    t->ended = true;
}

static void on_error(struct weir_codec_stream *cs, uint32_t status, const char *body, const char *detail)
{
    struct trace *t = trace_of(cs->codec);
    close_body(text_of(t, cs));
    weir_str_printf(&text_of(t, cs)->s, "!%u %s", status, detail);
    reply(t, cs, status, body);
}

static void on_watermark(struct weir_codec_stream *cs, bool above)
{
    weir_str_adds(&text_of(trace_of(cs->codec), cs)->s, above ? "^" : "v");
}

static const struct weir_codec_stream_ops stream_ops = {
    .on_headers = on_headers,
    .on_informational = on_informational,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_reset = on_reset,
    .on_error = on_error,
    .on_watermark = on_watermark,
};

static struct weir_headers *on_stream(struct weir_codec *codec, struct weir_codec_stream *cs)
{
    struct trace *t = trace_of(codec);
    t->n_streams++;
    t->cs = cs;
    cs->ops = &stream_ops;
    cs->owner = t;
    t->head = WEIR_ARENA_NEW(&t->arena, struct weir_headers);
    weir_headers_init(t->head, &t->arena);
    return t->head;
}

static void on_stream_done(struct weir_codec *codec, struct weir_codec_stream *cs)
{
    struct trace *t = trace_of(codec);
    close_body(text_of(t, cs));
    weir_str_adds(&text_of(t, cs)->s, t->quiet_end ? "" : ";");
    t->cs = NULL;
    t->ended = true;
}

static void on_goaway(struct weir_codec *codec)
{
    struct trace *t = trace_of(codec);
    close_body(&t->text);
    t->n_goaway++;
    if (t->gone_at_goaway) {
        connection_gone(t);
    }
    weir_str_adds(&t->text.s, t->quiet_end ? "" : "G");
}

static void on_output(struct weir_codec *codec)
{
    (void)codec;
}

static void on_fatal(struct weir_codec *codec, const char *detail)
{
    struct trace *t = trace_of(codec);
    close_body(&t->text);
    t->n_fatal++;
    if (!t->quiet_end) {
        weir_str_printf(&t->text.s, "F %s", detail);
    }
}

static void on_resume(struct weir_codec *codec)
{
    trace_of(codec)->resumed = true;
}

static const struct weir_codec_conn_ops conn_ops = {
    .on_stream = on_stream,
    .on_stream_done = on_stream_done,
    .on_goaway = on_goaway,
    .on_output = on_output,
    .on_fatal = on_fatal,
    .on_resume = on_resume,
};

static void init(struct trace *t)
{
    *t = (struct trace){0};
    weir_buf_pool_init(&t->loop.bufs, 16);
    weir_list_init(&t->loop.end_of_turn);
    weir_arena_init(&t->arena, &t->loop.arenas);
    weir_buf_init(&t->in, &t->loop.bufs);
    weir_buf_init(&t->out, &t->loop.bufs);
    weir_str_init(&t->text.s, TEXT_MAX);
    weir_str_init(&t->all, TEXT_MAX);
    for (size_t i = 0; i < TRACE_STREAMS; i++) {
        weir_str_init(&t->by_stream[i].s, TEXT_MAX);
    }
    weir_str_init(&t->wrote, TEXT_MAX);
}

void trace_init_h2(struct trace *t, enum weir_codec_role role, const struct weir_h2_options *options)
{
    init(t);
    t->codec = weir_h2_codec_new(role, &t->loop, &t->out, &conn_ops, t, options ? options : &weir_h2_options_default);
}

void trace_init_h1(struct trace *t, enum weir_codec_role role, const struct weir_h1_options *options)
{
    init(t);
    t->codec = weir_h1_codec_new(role, &t->loop, &t->out, &conn_ops, t,
                                 options ? options : &weir_h1_options_default[role]);
}

void trace_fini(struct trace *t)
{
    t->codec->ops->free(t->codec);
    weir_buf_clear(&t->in);
    weir_buf_clear(&t->out);
    weir_arena_fini(&t->arena);
    weir_arena_pool_fini(&t->loop.arenas);
    weir_buf_pool_fini(&t->loop.bufs);
    weir_str_fini(&t->text.s);
    weir_str_fini(&t->all);
    for (size_t i = 0; i < TRACE_STREAMS; i++) {
        weir_str_fini(&t->by_stream[i].s);
    }
    weir_str_fini(&t->wrote);
}

void trace_turn(struct trace *t)
{
    for (bool again = true; again;) {
        while (!weir_list_empty(&t->loop.end_of_turn)) {
            struct weir_list *first = weir_list_first(&t->loop.end_of_turn);
            struct weir_task *task = WEIR_CONTAINER_OF(first, struct weir_task, link);
            weir_list_unlink(first);
            task->fn(task);
        }
        again = t->resumed;
        if (again) {
            t->resumed = false;
            t->codec->ops->recv(t->codec, &t->in, false);
        }
    }
    for (const struct weir_seg *seg = t->out.head; seg; seg = seg->next) {
        weir_str_add(&t->wrote, weir_slice(seg->ptr, seg->len));
    }
    weir_buf_clear(&t->out);
}

/* A block of its own for every packet, as after a read. */
static void add_packet(struct trace *t, struct weir_slice bytes)
{
    while (bytes.len > 0) {
        struct weir_slice part = weir_slice_first(bytes, WEIR_BLOCK_SIZE);
        struct weir_block *block = weir_block_get(&t->loop.bufs);
        memcpy(block->data, part.ptr, part.len);
        weir_buf_add_block(&t->in, block, weir_slice(block->data, part.len));
        weir_block_unref(&t->loop.bufs, block);
        bytes = weir_slice_from(bytes, part.len);
    }
}

void trace_feed(struct trace *t, struct weir_slice bytes, bool eof)
{
    add_packet(t, bytes);
    t->codec->ops->recv(t->codec, &t->in, eof);
    trace_turn(t);
}

void trace_feed_segments(struct trace *t, struct weir_slice bytes, size_t step, bool eof)
{
    for (size_t at = 0; at < bytes.len; at += step) {
        add_packet(t, weir_slice_first(weir_slice_from(bytes, at), step));
    }
    t->codec->ops->recv(t->codec, &t->in, eof);
    trace_turn(t);
}

void trace_open(struct trace *t)
{
    t->cs = t->codec->ops->open(t->codec, &stream_ops, t, &t->arena);
}

void trace_request(struct trace *t, const char *method, bool end_stream)
{
    struct weir_headers h;
    weir_headers_init(&h, &t->arena);
    weir_headers_add(&h, WEIR_H_AUTHORITY, WEIR_S("up"));
    weir_headers_add(&h, WEIR_H_PATH, WEIR_S("/p"));
    weir_headers_add(&h, WEIR_H_METHOD, weir_slice_str(method));
    trace_open(t);
    if (!t->cs) {
        weir_str_adds(&t->text.s, "no stream");
        return;
    }
    t->codec->ops->send_headers(t->cs, &h, end_stream);
    trace_turn(t);
}

void trace_send(struct trace *t, const char *body, bool end_stream)
{
    struct weir_buf data;
    weir_buf_init(&data, &t->loop.bufs);
    weir_buf_add(&data, weir_slice_str(body));
    t->codec->ops->send_data(t->cs, &data, end_stream);
    trace_turn(t);
}

const char *trace_text(struct trace *t)
{
    weir_str_clear(&t->all);
    for (size_t i = 0; i < TRACE_STREAMS; i++) {
        close_body(&t->by_stream[i]);
        weir_str_add(&t->all, weir_str_slice(&t->by_stream[i].s));
    }
    close_body(&t->text);
    weir_str_add(&t->all, weir_str_slice(&t->text.s));
    return t->all.ptr ? t->all.ptr : "";
}

const char *trace_wrote(struct trace *t)
{
    return t->wrote.ptr ? t->wrote.ptr : "";
}
