/* A filter that does in each callback what chance says, as far as the seed allows, and watches over its own life: callbacks between
 * init and done alone, one log, one done. And an access logger that counts. */
#include "run.h"

#include "filters/registry.h"
#include "proxy/hcm.h"
#include "proxy/http_call.h"
#include "proxy/stream.h"

struct run *chaos_run;

#define ALIVE 0x616c6976u
#define DEAD  0x64656164u

struct chaos {
    uint32_t life;
    struct weir_filter *f;
    struct exchange *ex;
    struct weir_timer timers[2]; /* by direction: goes on then */
    bool waits[2];               /* for the timer or the call */
    struct weir_timer press;
    struct weir_http_call *call;
    enum weir_direction call_for;
    struct weir_list link;
    bool logged, request_complete, pressed;
    bool marks[2]; /* adds to bodies of that direction */
    bool headers_seen[2], end_seen[2];
};

enum act { ACT_CONTINUE, ACT_STOP, ACT_STOP_BUFFER, ACT_STOP_WATERMARK, ACT_ANSWER };

static struct chaos *alive(struct weir_filter *f, const char *callback)
{
    struct chaos *c = f->state;
    if (c->life != ALIVE) run_fail(chaos_run, "%s on a filter that is %s", callback, c->life == DEAD ? "done" : "not made");
    if (f->stream->ended) run_fail(chaos_run, "%s on a stream that has ended", callback);
    return c;
}

static void excuse(struct chaos *c)
{
    if (c->ex) c->ex->excuse |= EX_FILTER;
}

static void go_on(struct chaos *c, enum weir_direction d)
{
    c->waits[d] = false;
    if (d == WEIR_REQUEST) weir_filter_continue_request(c->f);
    else weir_filter_continue_response(c->f);
}

static void local_reply(struct chaos *c)
{
    excuse(c);
    if (c->ex) c->ex->filter_replied = true;
    weir_filter_local_reply(c->f, &(struct weir_local_reply){.status = 403, .body = WEIR_S("chaos"), .details = WEIR_S("chaos_reply"), .grpc_status = -1,
                                                             .close = run_chance(chaos_run, 200)});
}

static void reset(struct chaos *c)
{
    excuse(c);
    weir_filter_reset(c->f, WEIR_S("chaos_reset"));
}

/* ---- later ---- */

static void later(struct chaos *c, enum weir_direction d)
{
    struct run *run = chaos_run;
    if (run_strikes(run, RUN_FILTER_FAULTS, 200)) {
        if (run_chance(run, 500)) local_reply(c);
        else reset(c);
        return;
    }
    go_on(c, d);
}

static void on_request_timer(struct weir_timer *timer)
{
    later(WEIR_CONTAINER_OF(timer, struct chaos, timers[WEIR_REQUEST]), WEIR_REQUEST);
}

static void on_response_timer(struct weir_timer *timer)
{
    later(WEIR_CONTAINER_OF(timer, struct chaos, timers[WEIR_RESPONSE]), WEIR_RESPONSE);
}

static void call_over(struct weir_http_call *call)
{
    struct chaos *c = weir_http_call_arg(call);
    if (c->life != ALIVE) run_fail(chaos_run, "a call's answer to a filter that is done");
    chaos_run->n_calls_ended++;
    c->call = NULL;
    weir_http_call_free(call);
    later(c, c->call_for);
}

static void on_call_done(struct weir_http_call *call, struct weir_headers *headers, struct weir_buf *body, struct weir_headers *trailers)
{
    (void)body, (void)trailers;
    weir_sim_note(chaos_run->sim, "call answered %u", weir_headers_status(headers));
    call_over(call);
}

static void on_call_failed(struct weir_http_call *call, enum weir_reset reason)
{
    weir_sim_note(chaos_run->sim, "call failed %u", (unsigned)reason);
    call_over(call);
}

static bool start_call(struct chaos *c, enum weir_direction d)
{
    static const struct weir_http_call_ops ops = {on_call_done, on_call_failed};
    struct run *run = chaos_run;
    struct weir_stream *s = c->f->stream;
    if (c->call) return false;
    struct exchange *ex = run_exchange_new(run);
    ex->path = PATH_CALL;
    ex->method = run_chance(run, 500) ? "GET" : "POST";
    ex->body_len = ex->method[0] == 'P' ? run_random(run, 300) : 0;
    ex->framing = ex->body_len ? FRAMING_LENGTH : FRAMING_NONE;
    run_plan_answer(run, ex);
    struct weir_headers h;
    weir_headers_init(&h, &s->arena);
    weir_headers_add(&h, WEIR_H_METHOD, weir_slice_str(ex->method));
    weir_headers_add(&h, WEIR_H_PATH, WEIR_S("/up"));
    weir_headers_add(&h, WEIR_H_AUTHORITY, WEIR_S("calls"));
    weir_headers_add_name(&h, WEIR_S("x-sim-id"), weir_arena_printf(&s->arena, "%u", (unsigned)ex->id));
    struct weir_str body;
    weir_str_init(&body, 1024);
    run_add_body(run, &body, ex->id, false, ex->body_len, ex->framing, false);
    enum weir_err err = weir_http_call_start(s->worker, WEIR_S("calls"), &h, weir_str_slice(&body), NULL, 1 + run_random(run, 800), &ops, c, &c->call);
    weir_str_fini(&body);
    if (err) run_fail(run, "a call could not be started: %s", weir_err_text(err));
    run->n_calls++;
    c->call_for = d;
    return true;
}

/* ---- now ---- */

static enum act stop(struct chaos *c, enum weir_direction d)
{
    struct run *run = chaos_run;
    if (run_strikes(run, RUN_FILTER_FAULTS, 60)) {
        excuse(c); // never goes on
    } else if (!run_chance(run, 250) || !start_call(c, d)) {
        weir_timer_set(c->f->stream->loop, &c->timers[d], run_random(run, run_chance(run, 800) ? 10 : 300));
    }
    c->waits[d] = true;
    if (run_chance(run, 100)) {
        weir_timer_stop(c->f->stream->loop, &c->timers[d]);
        if (!c->call) go_on(c, d); // from inside: overrides the verdict
    }
    switch (run_random(run, 3)) {
        case 0: excuse(c); return ACT_STOP_BUFFER; // over the limit: 413 or 500
        case 1: return ACT_STOP_WATERMARK;
        default: return ACT_STOP;
    }
}

/* Asks for less in both directions, until the timer. */
static void press(struct chaos *c, bool on)
{
    c->pressed = on;
    weir_filter_request_backpressure(c->f, on);
    weir_filter_response_backpressure(c->f, on);
}

static void on_press_timer(struct weir_timer *timer)
{
    press(WEIR_CONTAINER_OF(timer, struct chaos, press), false);
}

static enum act act(struct chaos *c, enum weir_direction d)
{
    struct run *run = chaos_run;
    if (run_strikes(run, RUN_FILTER_FAULTS, 30)) {
        if (run_chance(run, 600)) local_reply(c);
        else reset(c);
        return run_chance(run, 500) ? ACT_CONTINUE : ACT_STOP;
    }
    if (run_strikes(run, RUN_FILTER_PAUSES, 20)) {
        if (!c->pressed) press(c, true);
        weir_timer_set(c->f->stream->loop, &c->press, run_random(run, 200));
    }
    if (run_strikes(run, RUN_FILTER_PAUSES, 30)) weir_filter_clear_route_cache(c->f);
    if (c->waits[d]) { // still: what comes is held back too
        excuse(c);
        return ACT_STOP_BUFFER;
    }
    return run_strikes(run, RUN_FILTER_PAUSES, 250) ? stop(c, d) : ACT_CONTINUE;
}

static enum weir_headers_verdict headers_verdict(enum act a)
{
    static const enum weir_headers_verdict verdicts[] = {
        [ACT_CONTINUE] = WEIR_HEADERS_CONTINUE,
        [ACT_STOP] = WEIR_HEADERS_STOP,
        [ACT_STOP_BUFFER] = WEIR_HEADERS_STOP_ALL_BUFFER,
        [ACT_STOP_WATERMARK] = WEIR_HEADERS_STOP_ALL_WATERMARK,
    };
    return verdicts[a];
}

static enum weir_data_verdict data_verdict(struct chaos *c, enum act a)
{
    if (a == ACT_STOP) {
        excuse(c);
        a = ACT_STOP_BUFFER;
    }
    return a == ACT_CONTINUE ? WEIR_DATA_CONTINUE : a == ACT_STOP_BUFFER ? WEIR_DATA_STOP_BUFFER : WEIR_DATA_STOP_WATERMARK;
}

/* ---- changed bodies ---- */

static void add_mark(struct chaos *c, enum weir_direction d)
{
    static const char mark[] = {RUN_MARK};
    struct weir_buf data;
    weir_buf_init(&data, &c->f->stream->loop->bufs);
    weir_buf_add(&data, weir_slice(mark, 1));
    c->ex->marks[d]++;
    if (d == WEIR_REQUEST) weir_filter_add_request_data(c->f, &data);
    else weir_filter_add_response_data(c->f, &data);
}

/* The message's length is going to change. */
static void begin_marks(struct chaos *c, enum weir_direction d, struct weir_headers *h, bool end)
{
    if (!c->ex || c->ex->malformed || !run_strikes(chaos_run, RUN_FILTER_PAUSES, 100)) return;
    uint32_t status = d == WEIR_RESPONSE ? weir_headers_status(h) : 200;
    if (status == 204 || status == 304 || c->f->stream->is_head || c->f->stream->local_reply) return;
    if (end && run_chance(chaos_run, 500)) return;
    weir_headers_remove(h, WEIR_H_CONTENT_LENGTH);
    c->marks[d] = true;
    if (end) add_mark(c, d);
}

static void go_on_marking(struct chaos *c, enum weir_direction d)
{
    if (c->marks[d] && run_chance(chaos_run, 300)) add_mark(c, d);
}

/* ---- callbacks ---- */

static void init(struct weir_filter *f)
{
    struct chaos *c = f->state;
    if (c->life) run_fail(chaos_run, "a filter made twice");
    c->life = ALIVE;
    c->f = f;
    weir_timer_init(&c->timers[WEIR_REQUEST], on_request_timer);
    weir_timer_init(&c->timers[WEIR_RESPONSE], on_response_timer);
    weir_timer_init(&c->press, on_press_timer);
    weir_list_push_back(&chaos_run->filters, &c->link);
    chaos_run->n_init++;
}

static void headers_once(struct chaos *c, enum weir_direction d, bool end)
{
    if (c->headers_seen[d]) run_fail(chaos_run, "headers twice");
    c->headers_seen[d] = true;
    c->end_seen[d] = end;
}

static void part_after_headers(struct chaos *c, enum weir_direction d, bool end)
{
    if (!c->headers_seen[d]) run_fail(chaos_run, "data before headers");
    if (c->end_seen[d]) run_fail(chaos_run, "data after the end");
    c->end_seen[d] = end;
}

static enum weir_headers_verdict request_headers(struct weir_filter *f, struct weir_headers *h, bool end_stream)
{
    struct chaos *c = alive(f, "request headers");
    headers_once(c, WEIR_REQUEST, end_stream);
    const struct weir_header *field = weir_headers_find_name(h, WEIR_S("x-sim-id"));
    uint64_t id;
    if (field && weir_parse_u64(field->value, UINT32_MAX, &id) == WEIR_OK) c->ex = run_exchange(chaos_run, (uint32_t)id);
    begin_marks(c, WEIR_REQUEST, h, end_stream);
    return headers_verdict(act(c, WEIR_REQUEST));
}

static enum weir_data_verdict request_data(struct weir_filter *f, struct weir_buf *data, bool end_stream)
{
    struct chaos *c = alive(f, "request data");
    (void)data;
    part_after_headers(c, WEIR_REQUEST, end_stream);
    go_on_marking(c, WEIR_REQUEST);
    return data_verdict(c, act(c, WEIR_REQUEST));
}

static enum weir_trailers_verdict request_trailers(struct weir_filter *f, struct weir_headers *trailers)
{
    struct chaos *c = alive(f, "request trailers");
    (void)trailers;
    part_after_headers(c, WEIR_REQUEST, true);
    return act(c, WEIR_REQUEST) == ACT_CONTINUE ? WEIR_TRAILERS_CONTINUE : WEIR_TRAILERS_STOP;
}

static void request_complete(struct weir_filter *f)
{
    struct chaos *c = alive(f, "request complete");
    if (c->request_complete) run_fail(chaos_run, "a request complete twice");
    c->request_complete = true;
}

static enum weir_headers_verdict response_headers(struct weir_filter *f, struct weir_headers *h, bool end_stream)
{
    struct chaos *c = alive(f, "response headers");
    headers_once(c, WEIR_RESPONSE, end_stream);
    begin_marks(c, WEIR_RESPONSE, h, end_stream);
    return headers_verdict(act(c, WEIR_RESPONSE));
}

static enum weir_data_verdict response_data(struct weir_filter *f, struct weir_buf *data, bool end_stream)
{
    struct chaos *c = alive(f, "response data");
    (void)data;
    part_after_headers(c, WEIR_RESPONSE, end_stream);
    go_on_marking(c, WEIR_RESPONSE);
    return data_verdict(c, act(c, WEIR_RESPONSE));
}

static enum weir_trailers_verdict response_trailers(struct weir_filter *f, struct weir_headers *trailers)
{
    struct chaos *c = alive(f, "response trailers");
    (void)trailers;
    part_after_headers(c, WEIR_RESPONSE, true);
    return act(c, WEIR_RESPONSE) == ACT_CONTINUE ? WEIR_TRAILERS_CONTINUE : WEIR_TRAILERS_STOP;
}

static void on_local_reply(struct weir_filter *f, uint32_t status, struct weir_slice details)
{
    (void)alive(f, "a local reply");
    if (!status || !details.len) run_fail(chaos_run, "a local reply (%u) without a reason", (unsigned)status);
}

static void on_log(struct weir_filter *f, const struct weir_stream_info *info)
{
    struct chaos *c = f->state;
    if (c->life != ALIVE || c->logged) run_fail(chaos_run, "a filter's log came twice or late");
    if (!f->stream->ended) run_fail(chaos_run, "a filter's log before the end");
    if (!info->details.len) run_fail(chaos_run, "a stream ended without a reason (status %u)", (unsigned)info->status);
    c->logged = true;
    chaos_run->n_log++;
}

static void done(struct weir_filter *f)
{
    struct chaos *c = f->state;
    if (c->life != ALIVE || !c->logged) run_fail(chaos_run, "a filter's done twice or before its log");
    c->life = DEAD;
    weir_timer_stop(f->stream->loop, &c->timers[WEIR_REQUEST]);
    weir_timer_stop(f->stream->loop, &c->timers[WEIR_RESPONSE]);
    weir_timer_stop(f->stream->loop, &c->press);
    if (c->call) {
        chaos_run->n_calls_ended++;
        weir_http_call_free(WEIR_TAKE(c->call));
    }
    weir_list_unlink(&c->link);
    chaos_run->n_done++;
}

static enum weir_err parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret)
{
    (void)ctx, (void)msg;
    *ret = NULL;
    return WEIR_OK;
}

static const struct weir_filter_ops chaos_ops = {
    .name = "sim.chaos",
    .type = "google.protobuf.Empty",
    .stream_size = sizeof(struct chaos),
    .parse = parse,
    .init = init,
    .request_headers = request_headers,
    .request_data = request_data,
    .request_trailers = request_trailers,
    .request_complete = request_complete,
    .response_headers = response_headers,
    .response_data = response_data,
    .response_trailers = response_trailers,
    .local_reply = on_local_reply,
    .log = on_log,
    .done = done,
};

const struct weir_filter_registry *chaos_filters(void)
{
    static const struct weir_filter_ops *filters[32];
    static struct weir_filter_registry registry = {.v = filters};
    if (registry.n) return &registry;
    filters[registry.n++] = &chaos_ops;
    for (uint32_t i = 0; i < weir_http_filters.n && registry.n < WEIR_COUNTOF(filters); i++)
        filters[registry.n++] = weir_http_filters.v[i];
    return &registry;
}

/* ---- limits ---- */

static void check_held(struct run *run, const struct weir_filter *f, enum weir_direction d)
{
    const struct weir_filter_side *side = &f->side[d];
    const struct weir_stream *s = f->stream;
    size_t limit = d == WEIR_REQUEST ? s->request.buffer_limit : s->response.buffer_limit;
    bool dead = d == WEIR_REQUEST ? s->request.dead : s->response.dead; // what is held then goes nowhere, with the stream
    if (!limit || dead || side->held.len <= limit) return;
    // With back-pressure what was on its way still comes: what the connection had read, and what others hold back.
    size_t slack = 4 * limit + 8 * (size_t)WEIR_BLOCK_SIZE;
    if ((!side->streaming && !side->above) || side->held.len > limit + slack)
        run_fail(run, "a filter holds %zu bytes of a %s back, its limit is %zu", side->held.len, d == WEIR_REQUEST ? "request" : "response", limit);
}

void chaos_check(struct run *run)
{
    WEIR_LIST_EACH(&run->filters, it) {
        const struct chaos *c = WEIR_CONTAINER_OF(it, struct chaos, link);
        check_held(run, c->f, WEIR_REQUEST);
        check_held(run, c->f, WEIR_RESPONSE);
    }
}

/* ---- the access log ---- */

static void log_stream(const void *conf, const struct weir_log_context *context)
{
    (void)conf;
    const struct weir_stream_info *info = context->info;
    struct run *run = chaos_run;
    run->n_access++;
    if (info->status) run->n_access_answered++;
    if (!info->details.len) run_fail(run, "a stream ended without a reason (status %u)", (unsigned)info->status);
    weir_sim_note(run->sim, "log %u %.*s %llx", (unsigned)info->status, WEIR_SARG(info->details), (unsigned long long)info->flags);
}

static const struct weir_access_logger_ops logger_ops = {
    .name = "sim.log", .type = "google.protobuf.Empty", .parse = parse, .log = log_stream};
static const struct weir_access_logger_ops *const loggers[] = {&logger_ops};
const struct weir_access_logger_registry chaos_loggers = {loggers, WEIR_COUNTOF(loggers)};
