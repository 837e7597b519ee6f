/* The terminal filter of the admin's connection manager: gathers a request, hands it to the table, sends the answer. */
#include "admin/admin_priv.h"
#include "http/headers.h"
#include "proxy/stream.h"

/* A form is small; more is refused. */
#define BODY_MAX (64u << 10)

struct state {
    struct weir_str body;
    bool answered;
};

static void init(struct weir_filter *f)
{
    struct state *state = f->state;
    weir_str_init(&state->body, BODY_MAX);
}

static void send_answer(struct weir_filter *f, struct weir_admin_response *response)
{
    struct weir_arena *arena = &f->stream->arena;
    struct weir_headers *h = WEIR_ARENA_NEW(arena, struct weir_headers);
    weir_headers_init(h, arena);
    weir_headers_set_status(h, response->status);
    weir_headers_add(h, WEIR_H_CONTENT_TYPE, weir_slice_str(response->content_type));
    weir_headers_add(h, WEIR_H_CACHE_CONTROL, WEIR_S("no-cache, max-age=0"));
    weir_headers_add_name(h, WEIR_S("x-content-type-options"), WEIR_S("nosniff"));
    bool head = weir_slice_eq(weir_headers_method(f->stream->request.headers), WEIR_S("HEAD"));
    if (head || response->body.len == 0) {
        weir_filter_respond_headers(f, h, true);
        return;
    }
    struct weir_buf body;
    weir_buf_init(&body, &f->stream->loop->bufs);
    weir_buf_add(&body, weir_str_slice(&response->body));
    weir_filter_respond_headers(f, h, false);
    weir_filter_respond_data(f, &body, true);
    weir_buf_clear(&body);
}

static void answer(struct weir_filter *f)
{
    struct state *state = f->state;
    struct weir_admin *admin = weir_admin_current();
    const struct weir_headers *h = f->stream->request.headers;
    if (state->answered)
        return;
    state->answered = true;
    if (!admin || state->body.overflow) {
        weir_filter_local_reply(f, &(struct weir_local_reply){.status = admin ? 413 : 503,
                                                              .details = WEIR_S("admin_refused"),
                                                              .grpc_status = -1});
        return;
    }
    struct weir_admin_response response;
    weir_admin_handle(admin, weir_headers_method(h), weir_headers_path(h),
                      state->body.ptr ? weir_str_slice(&state->body) : WEIR_S_NONE, &response);
    send_answer(f, &response);
    weir_str_fini(&response.body);
}

static enum weir_headers_verdict request_headers(struct weir_filter *f, struct weir_headers *h,
                                                 bool end_stream)
{
    (void)h;
    if (end_stream)
        answer(f);
    return WEIR_HEADERS_STOP;
}

static enum weir_data_verdict request_data(struct weir_filter *f, struct weir_buf *data, bool end_stream)
{
    struct state *state = f->state;
    for (const struct weir_seg *seg = data->head; seg; seg = seg->next)
        weir_str_add(&state->body, weir_slice(seg->ptr, seg->len));
    weir_buf_clear(data);
    if (end_stream || state->body.overflow)
        answer(f);
    return WEIR_DATA_STOP_NO_BUFFER;
}

static enum weir_trailers_verdict request_trailers(struct weir_filter *f, struct weir_headers *trailers)
{
    (void)trailers;
    answer(f);
    return WEIR_TRAILERS_STOP;
}

static void done(struct weir_filter *f)
{
    struct state *state = f->state;
    weir_str_fini(&state->body);
}

static enum weir_err parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    (void)ctx;
    (void)msg;
    *ret_conf = NULL;
    return WEIR_OK;
}

static const struct weir_filter_ops admin_filter = {
    .name = "weir.admin",
    .type = "google.protobuf.Empty",
    .terminal = true,
    .stream_size = sizeof(struct state),
    .parse = parse,
    .init = init,
    .request_headers = request_headers,
    .request_data = request_data,
    .request_trailers = request_trailers,
    .done = done,
};
static const struct weir_filter_ops *const filters[] = {&admin_filter};
const struct weir_filter_registry weir_admin_filters = {filters, WEIR_COUNTOF(filters)};
