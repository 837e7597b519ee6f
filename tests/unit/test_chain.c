/* The filter chain with filters that do as a script says: traces of chosen cases, and a matrix of every answer in every callback of
 * both directions, of which the invariants must hold: done and log once, nothing after the end, one end at the source, no memory
 * left. The chain's own log is a line of short words:
 *   0h  filter 0 saw request headers ("." = end of stream)    0H  response headers
 *   0d3 three bytes of data                                   0t, 0T trailers
 *   =H200 =D3 =T  at the source, =X reset at the source       + - back-pressure on and off at the source, ^ v at the terminal filter
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "event/world_uv.h"
#include "proxy/hcm.h"
#include "proxy/stream.h"
#include "proxy/worker.h"

#define N_FILTERS 3 /* 0, 1 and the terminal filter 2 */
enum { RQ_HEADERS, RQ_DATA, RQ_TRAILERS, RS_HEADERS, RS_DATA, RS_TRAILERS, N_CALLBACKS };

static struct world {
    struct weir_loop *loop;
    struct weir_stats *stats;
    struct weir_worker worker;
    struct weir_hcm hcm;
    struct weir_hcm_filter filters[N_FILTERS];
    struct weir_filter_ops ops[N_FILTERS];
    struct weir_str trace;
    char script[N_FILTERS][N_CALLBACKS + 1]; /* what each callback does, see act() */
    struct weir_filter *made[N_FILTERS];
    int n_done[N_FILTERS], n_log[N_FILTERS], n_init[N_FILTERS];
    bool ended;      /* the source was told */
    int n_ended, n_heads, n_ends, n_resets;
    struct weir_stream *s;
    struct weir_headers response, response_trailers, request_trailers;
} w;

/* ---- what the library wants from folders above ---- */

const struct weir_route *weir_route_match(const struct weir_route_table *table, const struct weir_headers *request,
                                          const struct weir_stream_info *info, uint64_t random,
                                          const struct weir_route_target **ret_target)
{
    (void)table, (void)request, (void)info, (void)random, (void)ret_target;
    return NULL;
}
void weir_route_finalize_response(const struct weir_route *route, const struct weir_route_target *target, struct weir_stream *s,
                                  struct weir_headers *response)
{
    (void)route, (void)target, (void)s, (void)response;
}

const void *weir_route_filter_conf(const struct weir_route *route, const struct weir_route_target *target, struct weir_slice name,
                                   bool *ret_disabled)
{
    (void)route, (void)target, (void)name;
    *ret_disabled = false;
    return NULL;
}
void weir_access_logs_write(const struct weir_access_logs *logs, const struct weir_log_context *context)
{
    (void)logs, (void)context;
}

/* What must hold at a moment; says what led there if it does not. */
static void check(bool holds, const char *what)
{
    if (!holds) fail_msg("%s: scripts %s %s %s: %s", what, w.script[0], w.script[1], w.script[2], w.trace.ptr);
}

/* ---- filters ---- */

static void buf_of(struct weir_buf *buf, size_t n)
{
    static const char bytes[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    weir_buf_init(buf, &w.loop->bufs);
    for (; n > 0; n -= WEIR_MIN(n, sizeof bytes - 1)) weir_buf_add(buf, weir_slice(bytes, WEIR_MIN(n, sizeof bytes - 1)));
}

static void local_reply(struct weir_filter *f)
{
    weir_filter_local_reply(f, &(struct weir_local_reply){
                                   .status = 403, .body = WEIR_S("no"), .details = WEIR_S("test"), .grpc_status = -1});
}

static void respond(struct weir_filter *f, bool end)
{
    weir_headers_init(&w.response, &w.s->arena);
    weir_headers_set_status(&w.response, 200);
    weir_filter_respond_headers(f, &w.response, end);
}

/* C continue; S, B, W stop, stop all (or its data), with a limit, with back-pressure; N stop without buffer; L, l local reply and
 * continue or stop; X reset; A add data; T add trailers; K stop and continue at once; R respond; Y reply twice. */
static char act(struct weir_filter *f, int callback)
{
    check(!w.ended && w.n_done[f->index] == 0, "a callback after the end");
    char action = w.script[f->index][callback];
    bool request = callback < RS_HEADERS;
    struct weir_buf added;
    switch (action) {
        case 'Y': local_reply(f); WEIR_FALLTHROUGH;
        case 'L':
        case 'l': local_reply(f); break;
        case 'X': weir_filter_reset(f, WEIR_S("test_reset")); break;
        case 'A':
            buf_of(&added, 2);
            if (request) weir_filter_add_request_data(f, &added);
            else weir_filter_add_response_data(f, &added);
            break;
        case 'T':
            weir_headers_add_name(request ? weir_filter_add_request_trailers(f) : weir_filter_add_response_trailers(f), WEIR_S("x"),
                                  WEIR_S("y"));
            break;
        case 'K':
            if (request) weir_filter_continue_request(f);
            else weir_filter_continue_response(f);
            break;
        case 'R': respond(f, true); break;
        default: break;
    }
    return action;
}

static enum weir_headers_verdict headers_verdict(char action)
{
    switch (action) {
        case 'S':
        case 'N':
        case 'l':
        case 'K': return WEIR_HEADERS_STOP;
        case 'B': return WEIR_HEADERS_STOP_ALL_BUFFER;
        case 'W': return WEIR_HEADERS_STOP_ALL_WATERMARK;
        default: return WEIR_HEADERS_CONTINUE;
    }
}

static enum weir_data_verdict data_verdict(char action)
{
    switch (action) {
        case 'S':
        case 'B':
        case 'l':
        case 'K': return WEIR_DATA_STOP_BUFFER;
        case 'W': return WEIR_DATA_STOP_WATERMARK;
        case 'N': return WEIR_DATA_STOP_NO_BUFFER;
        default: return WEIR_DATA_CONTINUE;
    }
}

static enum weir_headers_verdict on_headers(struct weir_filter *f, bool end, int callback)
{
    weir_str_printf(&w.trace, "%u%c%s ", f->index, callback == RQ_HEADERS ? 'h' : 'H', end ? "." : "");
    return headers_verdict(act(f, callback));
}
static enum weir_data_verdict on_data(struct weir_filter *f, struct weir_buf *data, bool end, int callback)
{
    weir_str_printf(&w.trace, "%u%c%zu%s ", f->index, callback == RQ_DATA ? 'd' : 'D', data->len, end ? "." : "");
    return data_verdict(act(f, callback));
}
static enum weir_trailers_verdict on_trailers(struct weir_filter *f, int callback)
{
    weir_str_printf(&w.trace, "%u%c ", f->index, callback == RQ_TRAILERS ? 't' : 'T');
    return headers_verdict(act(f, callback)) == WEIR_HEADERS_CONTINUE ? WEIR_TRAILERS_CONTINUE : WEIR_TRAILERS_STOP;
}

static void init(struct weir_filter *f)
{
    w.made[f->index] = f;
    w.n_init[f->index]++;
}
static enum weir_headers_verdict rq_headers(struct weir_filter *f, struct weir_headers *h, bool end)
{
    assert_ptr_equal(h, &w.s->request_headers);
    return on_headers(f, end, RQ_HEADERS);
}
static enum weir_data_verdict rq_data(struct weir_filter *f, struct weir_buf *data, bool end)
{
    return on_data(f, data, end, RQ_DATA);
}
static enum weir_trailers_verdict rq_trailers(struct weir_filter *f, struct weir_headers *t)
{
    (void)t;
    return on_trailers(f, RQ_TRAILERS);
}
static enum weir_headers_verdict rs_headers(struct weir_filter *f, struct weir_headers *h, bool end)
{
    assert_ptr_equal(h, w.s->response.headers);
    return on_headers(f, end, RS_HEADERS);
}
static enum weir_data_verdict rs_data(struct weir_filter *f, struct weir_buf *data, bool end)
{
    return on_data(f, data, end, RS_DATA);
}
static enum weir_trailers_verdict rs_trailers(struct weir_filter *f, struct weir_headers *t)
{
    (void)t;
    return on_trailers(f, RS_TRAILERS);
}
static void down_watermark(struct weir_filter *f, bool above)
{
    (void)f;
    weir_str_adds(&w.trace, above ? "^ " : "v ");
}
static void on_log(struct weir_filter *f, const struct weir_stream_info *info)
{
    (void)info;
    assert_true(w.ended);
    assert_int_equal(w.n_done[f->index], 0);
    w.n_log[f->index]++;
}
static void on_done(struct weir_filter *f)
{
    assert_int_equal(w.n_log[f->index], 1);
    w.n_done[f->index]++;
}

/* ---- the source ---- */

static void send_informational(struct weir_stream *s, struct weir_headers *h)
{
    (void)s, (void)h;
}
static void finish_send(bool end)
{
    check(!w.ended && w.n_ends == 0, "sent after the end");
    if (end) w.n_ends++;
}
static void send_headers(struct weir_stream *s, struct weir_headers *h, bool end)
{
    (void)s;
    weir_str_printf(&w.trace, "=H%u%s ", weir_headers_status(h), end ? "." : "");
    check(w.n_heads++ == 0, "two heads");
    finish_send(end);
}
static void send_data(struct weir_stream *s, struct weir_buf *data, bool end)
{
    (void)s;
    check(w.n_heads == 1, "data without a head");
    finish_send(end);
    weir_str_printf(&w.trace, "=D%zu%s ", data->len, end ? "." : "");
    weir_buf_clear(data);
}
static void send_trailers(struct weir_stream *s, struct weir_headers *trailers)
{
    (void)s, (void)trailers;
    check(w.n_heads == 1, "trailers without a head");
    finish_send(true);
    weir_str_adds(&w.trace, "=T ");
}
static void source_reset(struct weir_stream *s, enum weir_reset reason)
{
    (void)s, (void)reason;
    w.n_resets++;
    weir_str_adds(&w.trace, "=X ");
}
static void read_disable(struct weir_stream *s, bool disable)
{
    (void)s;
    weir_str_adds(&w.trace, disable ? "+ " : "- ");
}
static void source_ended(struct weir_stream *s)
{
    (void)s;
    w.ended = true;
    w.n_ended++;
}
static const struct weir_stream_source_ops source_ops = {
    .send_informational = send_informational,
    .send_headers = send_headers,
    .send_data = send_data,
    .send_trailers = send_trailers,
    .reset = source_reset,
    .read_disable = read_disable,
    .ended = source_ended,
};

/* ---- driving ---- */

#define LIMIT 10

static void begin(const char *const *scripts)
{
    w.hcm = (struct weir_hcm){.filters = w.filters, .n_filters = N_FILTERS, .buffer_limit = LIMIT};
    for (int i = 0; i < N_FILTERS; i++) {
        w.ops[i] = (struct weir_filter_ops){
            .name = "test", .terminal = i == N_FILTERS - 1, .init = init,
            .request_headers = rq_headers, .request_data = rq_data, .request_trailers = rq_trailers,
            .response_headers = rs_headers, .response_data = rs_data, .response_trailers = rs_trailers,
            .down_watermark = down_watermark, .log = on_log, .done = on_done,
        };
        w.filters[i] = (struct weir_hcm_filter){.ops = &w.ops[i], .name = WEIR_S("test")};
        memset(w.script[i], 'C', N_CALLBACKS);
        if (scripts[i]) memcpy(w.script[i], scripts[i], strlen(scripts[i]));
        w.made[i] = NULL;
        w.n_done[i] = w.n_log[i] = w.n_init[i] = 0;
    }
    weir_str_clear(&w.trace);
    w.ended = false;
    w.n_ended = w.n_heads = w.n_ends = w.n_resets = 0;
    w.s = weir_stream_new(&w.worker, &w.hcm, &source_ops, NULL);
    weir_headers_set_borrow(&w.s->request_headers, WEIR_H_METHOD, WEIR_S("POST"));
}

static void data_step(const char *step, bool request)
{
    struct weir_buf data;
    bool end = step[strlen(step) - 1] == '.';
    buf_of(&data, (size_t)strtoul(step + 1, NULL, 10));
    if (request) weir_stream_request_data(w.s, &data, end);
    else if (w.made[2]) weir_filter_respond_data(w.made[2], &data, end);
    weir_buf_clear(&data);
}

static void trailers_step(bool request)
{
    struct weir_headers *t = request ? &w.request_trailers : &w.response_trailers;
    weir_headers_init(t, &w.s->arena);
    if (request) weir_stream_request_trailers(w.s, t);
    else if (w.made[2]) weir_filter_respond_trailers(w.made[2], t);
}

/* One step: h[.] request headers, d<n>[.] data, t trailers; H, D, T the response; c<i>, C<i> continue; r<i> local reply from outside;
 * x<i> reset; X the peer is gone; p<c><i>=<a> changes the script; e end of turn. */
static bool step(const char *text)
{
    struct weir_filter *f = text[1] >= '0' && text[1] < '0' + N_FILTERS ? w.made[text[1] - '0'] : NULL;
    switch (text[0]) {
        case 'h': weir_stream_request_headers(w.s, text[1] == '.'); break;
        case 'd': data_step(text, true); break;
        case 't': trailers_step(true); break;
        case 'H':
            if (w.made[2]) respond(w.made[2], text[1] == '.');
            break;
        case 'D': data_step(text, false); break;
        case 'T': trailers_step(false); break;
        case 'c':
            if (f) weir_filter_continue_request(f);
            break;
        case 'C':
            if (f) weir_filter_continue_response(f);
            break;
        case 'r':
            if (f) local_reply(f);
            break;
        case 'x':
            if (f) weir_filter_reset(f, WEIR_S("outside"));
            break;
        case 'X': weir_stream_source_reset(w.s, WEIR_RESET_CONN_TERMINATION, "gone"); break;
        case 'p': w.script[text[1] - '0'][text[2] - '0'] = text[4]; break;
        default: return false;
    }
    return true;
}

static void run_steps(const char *steps)
{
    struct weir_slice rest = weir_slice_str(steps), token;
    while (weir_slice_next(&rest, ' ', &token)) {
        char text[16] = {0};
        if (!token.len) continue;
        memcpy(text, token.ptr, WEIR_MIN(token.len, sizeof text - 1));
        assert_true(step(text));
    }
}

/* The stream comes to its end, whatever it was doing; then what must hold of every stream. */
static void finish_stream(void)
{
    weir_stream_source_reset(w.s, WEIR_RESET_CONN_TERMINATION, "test_over");
    weir_loop_turn_end(w.loop);
    check(w.n_ended == 1, "the source is told once");
    check(w.n_ends + w.n_resets <= 1, "one end");
    for (int i = 0; i < N_FILTERS; i++) check(w.n_done[i] == w.n_init[i] && w.n_log[i] == w.n_init[i], "log and done once");
    check(w.worker.streams.n_live == 0, "a stream is left");
    check(w.loop->bufs.n_blocks_live == 0, "a block is left");
}

struct row {
    const char *name;
    const char *scripts[N_FILTERS];
    const char *steps;
    const char *want;
};

static const struct row rows[] = {
    {"a request without a body", {0}, "h. H.", "0h. 1h. 2h. 1H. 0H. =H200. "},
    {"bodies and trailers both ways", {0}, "h d3 t H D4 T",
     "0h 1h 2h 0d3 1d3 2d3 0t 1t 2t 1H 0H =H200 1D4 0D4 =D4 1T 0T =T "},
    {"stop holds later filters, not the body", {"S"}, "h d3 c0 d2. H.", "0h 0d3 1h 2h 1d3 2d3 0d2. 1d2. 2d2. 1H. 0H. =H200. "},
    {"continue with later data resumes", {"SS"}, "h d3 p01=C d2. H.",
     "0h 0d3 0d2. 1h 2h 1d5. 2d5. 1H. 0H. =H200. "},
    {"stop at the end, continue later", {"S"}, "h. c0 H.", "0h. 1h. 2h. 1H. 0H. =H200. "},
    {"stop all hides the body from the filter", {"B"}, "h d3 d2. c0 H.", "0h 1h 2h 0d5. 1d5. 2d5. 1H. 0H. =H200. "},
    {"stop all, body, trailers", {"B"}, "h d3 t c0 H.", "0h 1h 2h 0d3 1d3 2d3 0t 1t 2t 1H. 0H. =H200. "},
    {"stop all and stop again", {"BB"}, "h d3 d2. c0 c0 H.", "0h 1h 2h 0d5. 1d5. 2d5. 1H. 0H. =H200. "},
    {"buffer the body", {"CB"}, "h d3 d2 p01=C d1. H.",
     "0h 1h 2h 0d3 0d2 0d1. 1d6. 2d6. 1H. 0H. =H200. "},
    {"buffer, trailers release", {"CB"}, "h d3 t H.", "0h 1h 2h 0d3 0t 1d3 2d3 1t 2t 1H. 0H. =H200. "},
    {"trailers stop, continue", {"CBS"}, "h d3 t c0 H.", "0h 1h 2h 0d3 0t 1d3 2d3 1t 2t 1H. 0H. =H200. "},
    {"stop without buffer takes the body", {"CN"}, "h d3 d2. c0 H.", "0h 1h 2h 0d3 0d2. 1d0. 2d0. 1H. 0H. =H200. "},
    {"two filters hold at once and do not mix", {"CB", "CB"}, "h d3 c0 d2 c1 c0 p01=C p11=C d1. H.",
     "0h 1h 2h 0d3 1d3 0d2 2d3 1d2 0d1. 1d1. 2d3. 1H. 0H. =H200. "},
    {"over the limit", {"CB"}, "h d11", "0h 1h 2h 0d11 1H 0H =H413 1D17. 0D17. =D17. "},
    {"back-pressure over the limit", {"CW"}, "h d11 d3 c0 p01=C d1. H.",
     "0h 1h 2h 0d11 + 0d3 1d14 2d14 - 0d1. 1d1. 2d1. 1H. 0H. =H200. "},
    {"stop all with back-pressure", {"W"}, "h d11 c0 d1. H.", "0h + 1h 2h 0d11 1d11 2d11 - 0d1. 1d1. 2d1. 1H. 0H. =H200. "},
    {"a response over the limit", {0, "CCCCB"}, "h. H D11", "0h. 1h. 2h. 1H 0H =H200 1D11 =X "},
    {"a held response over the limit", {0, "CCCSB"}, "h. H D11", "0h. 1h. 2h. 1H 1D11 =H500 =D21. "},
    {"response back-pressure", {0, "CCCCW"}, "h. H D11 C1 p14=C D1.",
     "0h. 1h. 2h. 1H 0H =H200 1D11 ^ 0D11 =D11 v 1D1. 0D1. =D1. "},
    {"a body for a message without one", {"A"}, "h. H.", "0h. 1h 2h 1d2. 2d2. 1H. 0H. =H200. "},
    {"two filters add", {"A", "A"}, "h. H.", "0h. 1h 2h 2d2 1d2. 2d2. 1H. 0H. =H200. "},
    {"added body, a later filter stops", {"A", "B"}, "h. c1 H.", "0h. 1h 2h 1d2. 2d2. 1H. 0H. =H200. "},
    {"a response body added", {0, "CCCA"}, "h. H.", "0h. 1h. 2h. 1H. 0H =H200 0D2. =D2. "},
    {"data added ahead of data", {"CA"}, "h d3. H.", "0h 1h 2h 0d3. 1d5. 2d5. 1H. 0H. =H200. "},
    {"data added before trailers", {"CCA"}, "h d3 t H.", "0h 1h 2h 0d3 1d3 2d3 0t 1d2 2d2 1t 2t 1H. 0H. =H200. "},
    {"trailers added", {"CT"}, "h d3. H.", "0h 1h 2h 0d3. 1d3 2d3 1t 2t 1H. 0H. =H200. "},
    {"response trailers added", {0, "CCCCT"}, "h. H D3.", "0h. 1h. 2h. 1H 0H =H200 1D3. 0D3 =D3 0T =T "},
    {"local reply stops the request", {0, "L"}, "h d3 d1.", "0h 1h 1H 0H =H403 1D2. 0D2. =D2. "},
    {"local reply, first filter", {"l"}, "h.", "0h. 0H =H403 0D2. =D2. "},
    {"local reply from outside", {"S"}, "h r0", "0h 0H =H403 0D2. =D2. "},
    {"two local replies", {"Y"}, "h.", "0h. 0H =H403 0D2. =D2. "},
    {"local reply in response headers goes out as it is", {0, "CCCL"}, "h. H D1.", "0h. 1h. 2h. 1H =H403 =D2. "},
    {"local reply after the head was sent", {0, "CCCCL"}, "h. H D1 D1.", "0h. 1h. 2h. 1H 0H =H200 1D1 =X "},
    {"a filter pauses a local reply", {"LCCS"}, "h. C0", "0h. 0H 0D2. =H403 =D2. "},
    {"reset in a callback", {0, "X"}, "h d3.", "0h 1h =X "},
    {"reset from outside", {"S"}, "h x0 d3. c0", "0h =X "},
    {"the peer goes while a filter waits", {"S"}, "h X c0 d3. H.", "0h "},
    {"continue from inside overrides stop", {"K"}, "h. H.", "0h. 1h. 2h. 1H. 0H. =H200. "},
    {"continue without stop", {0}, "h. c0 c1 c0 H. C0", "0h. 1h. 2h. 1H. 0H. =H200. "},
    {"an answer from inside the request callback", {0, 0, "R"}, "h.", "0h. 1h. 2h. 1H. 0H. =H200. "},
    {"an early response", {0}, "h d3 H D4.", "0h 1h 2h 0d3 1d3 2d3 1H 0H =H200 1D4. 0D4. =D4. "},
    {"response stop and continue", {0, "CCCS"}, "h. H D3 C1 D2.", "0h. 1h. 2h. 1H 1D3 0H =H200 0D3 =D3 1D2. 0D2. =D2. "},
    {"response stop all", {0, "CCCB"}, "h. H D3 T C1", "0h. 1h. 2h. 1H 0H =H200 1D3 0D3 =D3 1T 0T =T "},
};

/* Known answers of the response chain skip the terminal filter, which made the response itself; local replies pass it as well. */
static void drop_terminal_callbacks(bool yes)
{
    for (int i = 0; yes && i < N_FILTERS; i++) {
        if (!w.ops[i].terminal) continue;
        w.ops[i].response_headers = NULL;
        w.ops[i].response_data = NULL;
        w.ops[i].response_trailers = NULL;
    }
}

static void test_traces(void **state)
{
    (void)state;
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        begin(rows[i].scripts);
        drop_terminal_callbacks(true);
        run_steps(rows[i].steps);
        finish_stream();
        const char *got = w.trace.ptr ? w.trace.ptr : "";
        if (strcmp(got, rows[i].want) != 0) fail_msg("%s:\n  got  %s\n  want %s", rows[i].name, got, rows[i].want);
    }
}

/* ---- the matrix ---- */

static const char *const sequences[] = {
    "h. H.",
    "h. H D3 D0.",
    "h d3 d2. H D3 T",
    "h d3 t H D3 D20.",
    "h d20 d2. c0 c1 H D20 D1. C1 C0",
    "h c0 d3 c1 d2. c0 c1 H C1 D3 C0 D2. C1 C0",
    "h d3 H D4. d2.",
    "h d3 r0 d2. H.",
    "h d3 x1 d2. H.",
    "h d3 X c0 c1 H.",
    "h. H X C1 D3 C0",
    "h. H D3 r1 D2. C1 C0",
    "h. H D3 x0 D2. C1 C0",
    "h. c1 c0 H D3 t T C0 C1",
};

static void test_matrix(void **state)
{
    (void)state;
    static const char actions[] = "CSBWNLlXATKY";
    char first[N_CALLBACKS + 1], second[N_CALLBACKS + 1];
    for (int a = 0; a < N_CALLBACKS; a++) {
        for (int b = 0; b < N_CALLBACKS; b++) {
            for (size_t i = 0; i < (sizeof actions - 1) * (sizeof actions - 1); i++) {
                memset(first, 'C', sizeof first - 1);
                memset(second, 'C', sizeof second - 1);
                first[N_CALLBACKS] = second[N_CALLBACKS] = 0;
                first[a] = actions[i % (sizeof actions - 1)];
                second[b] = actions[i / (sizeof actions - 1)];
                for (size_t q = 0; q < WEIR_COUNTOF(sequences); q++) {
                    const char *scripts[N_FILTERS] = {first, second, NULL};
                    begin(scripts);
                    run_steps(sequences[q]);
                    finish_stream();
                }
            }
        }
    }
}

/* Verdicts, steps and moments at random, from a fixed seed. */
static void test_random(void **state)
{
    (void)state;
    static const char actions[] = "CCCCCSBWNLlXATKYR";
    static const char *const steps[] = {"h",  "h.", "d0", "d3", "d20", "d2.", "t",  "H",  "H.", "D3", "D20", "D0.",
                                        "T",  "c0", "c1", "c2", "C0",  "C1",  "C2", "r0", "r1", "x0", "X"};
    uint64_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        char script[N_FILTERS][N_CALLBACKS + 1] = {0};
        for (int f = 0; f < N_FILTERS; f++)
            for (int c = 0; c < N_CALLBACKS; c++) {
                seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                script[f][c] = actions[(seed >> 33) % (f == 2 && c < RS_HEADERS ? sizeof actions - 1 : sizeof actions - 2)];
            }
        begin((const char *const[]){script[0], script[1], script[2]});
        step("h");
        for (int i = 0; i < 12; i++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            step(steps[(seed >> 33) % WEIR_COUNTOF(steps)]);
        }
        finish_stream();
    }
}

static int setup(void **state)
{
    (void)state;
    w.loop = weir_loop_new(&weir_world_uv, NULL, "test", 1);
    w.stats = weir_stats_new();
    weir_str_init(&w.trace, 1 << 20);
    w.worker.loop = w.loop;
    w.worker.stats = weir_stats_add_worker(w.stats);
    weir_worker_init_streams(&w.worker);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir_worker_fini_streams(&w.worker);
    weir_loop_free(w.loop);
    weir_stats_free(w.stats);
    weir_str_fini(&w.trace);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traces),
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
