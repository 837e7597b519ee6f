/* The filter chain: one walk for each of the three parts of a message (headers, data, trailers), the same in both directions.
 * Filters never call each other. A filter that stops leaves its place in its weir_filter_side; what comes meanwhile waits there
 * (STOP: after it was shown to the filter; STOP_ALL: unseen) and weir_filter_continue_* is the only way back in.
 *
 *   RUNNING --STOP verdict--> STOPPED --continue, or CONTINUE for later data--> RUNNING
 *      \-----STOP_ALL verdict--> STOPPED_ALL --continue--> RUNNING (what waited is shown to the filter itself first)
 *
 * Places count along the direction: a request passes filters 0, 1 … n-1, a response n-1 … 0. The verdicts are those of Envoy's
 * filter manager; different is that each filter holds back its own body, so that two filters that hold at once do not mix.
 *
 * Calls into the chain nest (a filter answers from inside its callback, …); what would pull the chain away from under a running
 * callback (local reply, reset, end, continue) is noted in stream.pending and done by the outermost weir_chain_leave. Every walk
 * looks after each callback whether it may go on (alive). */
#include "proxy/chain.h"

#include "proxy/hcm.h"
#include "proxy/worker.h"

enum { RUNNING, STOPPED, STOPPED_ALL };

static inline struct weir_filter *at(struct weir_stream *s, enum weir_direction d, uint32_t place)
{
    return &s->filters[d == WEIR_REQUEST ? place : s->n_filters - 1 - place];
}

static inline uint32_t place_of(const struct weir_filter *f, enum weir_direction d)
{
    return d == WEIR_REQUEST ? f->index : (uint32_t)f->stream->n_filters - 1 - f->index;
}

/* May a walk of this direction go on? */
static inline bool alive(struct weir_stream *s, enum weir_direction d)
{
    return !(s->pending & (WEIR_PENDING_RESET | WEIR_PENDING_REPLY)) && !weir_chain_dir(s, d)->dead;
}

/* ---- the six callbacks ---- */

static enum weir_headers_verdict call_headers(struct weir_filter *f, enum weir_direction d, struct weir_headers *h, bool end)
{
    enum weir_headers_verdict (*fn)(struct weir_filter *, struct weir_headers *, bool) =
        d == WEIR_REQUEST ? f->ops->request_headers : f->ops->response_headers;
    if (!fn) return WEIR_HEADERS_CONTINUE;
    f->side[d].in_call = true;
    enum weir_headers_verdict verdict = fn(f, h, end);
    f->side[d].in_call = false;
    return verdict;
}

static enum weir_data_verdict call_data(struct weir_filter *f, enum weir_direction d, struct weir_buf *data, bool end)
{
    enum weir_data_verdict (*fn)(struct weir_filter *, struct weir_buf *, bool) =
        d == WEIR_REQUEST ? f->ops->request_data : f->ops->response_data;
    if (!fn) return WEIR_DATA_CONTINUE;
    f->side[d].in_call = true;
    enum weir_data_verdict verdict = fn(f, data, end);
    f->side[d].in_call = false;
    return verdict;
}

static enum weir_trailers_verdict call_trailers(struct weir_filter *f, enum weir_direction d, struct weir_headers *trailers)
{
    enum weir_trailers_verdict (*fn)(struct weir_filter *, struct weir_headers *) =
        d == WEIR_REQUEST ? f->ops->request_trailers : f->ops->response_trailers;
    if (!fn) return WEIR_TRAILERS_CONTINUE;
    f->side[d].in_call = true;
    enum weir_trailers_verdict verdict = fn(f, trailers);
    f->side[d].in_call = false;
    return verdict;
}

static void call_complete(struct weir_filter *f, enum weir_direction d)
{
    if (d == WEIR_REQUEST && f->ops->request_complete) f->ops->request_complete(f);
}

/* ---- making, leaving ---- */

void weir_chain_make(struct weir_stream *s)
{
    const struct weir_hcm *hcm = s->hcm;
    if (s->filters || hcm->n_filters == 0) return;
    char *states = hcm->state_bytes ? weir_arena_zalloc(&s->arena, hcm->state_bytes) : NULL;
    s->filters = WEIR_ARENA_ARRAY(&s->arena, struct weir_filter, hcm->n_filters);
    s->n_filters = (uint8_t)hcm->n_filters;
    for (uint32_t i = 0; i < hcm->n_filters; i++) {
        const struct weir_hcm_filter *conf = &hcm->filters[i];
        struct weir_filter *f = &s->filters[i];
        f->ops = conf->ops;
        f->conf = conf->conf;
        f->name = conf->name;
        f->stream = s;
        f->state = conf->ops->stream_size ? states + conf->state_offset : NULL;
        f->index = (uint8_t)i;
        f->disabled = conf->disabled;
        if (f->ops->init) f->ops->init(f);
    }
}

static void resume(struct weir_filter *f, enum weir_direction d);

static void resume_if_asked(struct weir_filter *f, enum weir_direction d)
{
    if (!f->side[d].resume) return;
    f->side[d].resume = false;
    resume(f, d);
}

static void resume_asked(struct weir_stream *s)
{
    for (uint32_t i = 0; i < s->n_filters; i++) {
        resume_if_asked(&s->filters[i], WEIR_REQUEST);
        resume_if_asked(&s->filters[i], WEIR_RESPONSE);
    }
}

void weir_chain_leave_last(struct weir_stream *s)
{
    while (s->pending && !s->ended) {
        if (s->pending & WEIR_PENDING_END) {
            weir_stream_end_now(s);
        } else if (s->pending & WEIR_PENDING_RESET) {
            weir_stream_reset_now(s);
        } else if (s->pending & WEIR_PENDING_REPLY) {
            s->pending &= (uint8_t)~WEIR_PENDING_REPLY;
            weir_local_reply_send(s, WEIR_TAKE(s->reply));
        } else {
            s->pending &= (uint8_t)~WEIR_PENDING_RESUME;
            resume_asked(s);
        }
    }
}

/* ---- back-pressure and holding back ---- */

void weir_chain_backpressure(struct weir_stream *s, enum weir_direction d, bool on)
{
    struct weir_chain_dir *dir = weir_chain_dir(s, d);
    if (!on && dir->backpressure == 0) return;
    dir->backpressure = (uint16_t)(on ? dir->backpressure + 1 : dir->backpressure - 1);
    if (dir->backpressure != (on ? 1 : 0) || s->ended) return;
    if (d == WEIR_REQUEST) {
        s->source->read_disable(s, on);
        return;
    }
    for (uint32_t i = s->n_filters; i-- > 0;) {
        struct weir_filter *f = &s->filters[i];
        if (!f->ops->terminal) continue;
        if (f->ops->down_watermark) f->ops->down_watermark(f, on);
        return;
    }
}

static void too_large(struct weir_stream *s, enum weir_direction d)
{
    struct weir_local_reply reply = {.grpc_status = -1};
    if (d == WEIR_REQUEST) {
        weir_hcm_count(s->hcm, s->worker, WEIR_HCM_STAT_downstream_rq_too_large);
        reply.status = 413;
        reply.body = WEIR_S("Payload Too Large");
        reply.details = WEIR_S("request_payload_too_large");
    } else {
        weir_hcm_count(s->hcm, s->worker, WEIR_HCM_STAT_rs_too_large);
        reply.status = 500;
        reply.body = WEIR_S("Internal Server Error");
        reply.details = WEIR_S("response_payload_too_large");
    }
    weir_stream_local_reply(s, &reply);
}

/* Moves `data` to what `f` holds back and applies the limit. */
static void hold(struct weir_filter *f, enum weir_direction d, struct weir_buf *data)
{
    struct weir_stream *s = f->stream;
    struct weir_filter_side *side = &f->side[d];
    uint32_t limit = weir_chain_dir(s, d)->buffer_limit;
    if (!side->has_held) {
        side->has_held = true;
        if (!side->held.pool) weir_buf_init(&side->held, &s->loop->bufs);
    }
    if (data->len) weir_buf_move(&side->held, data);
    if (limit == 0 || side->held.len <= limit || side->above) return;
    if (!side->streaming) {
        too_large(s, d);
        return;
    }
    side->above = true;
    weir_chain_backpressure(s, d, true);
}

static void release_pressure(struct weir_filter *f, enum weir_direction d)
{
    if (!f->side[d].above) return;
    f->side[d].above = false;
    weir_chain_backpressure(f->stream, d, false);
}

void weir_chain_drop(struct weir_stream *s)
{
    for (uint32_t i = 0; i < s->n_filters; i++)
        for (uint32_t d = 0; d < 2; d++)
            if (s->filters[i].side[d].held.len) weir_buf_clear(&s->filters[i].side[d].held);
}

/* ---- past the last filter ---- */

static void direction_complete(struct weir_stream *s, enum weir_direction d)
{
    weir_chain_dir(s, d)->complete = true;
    if (d == WEIR_RESPONSE) s->pending |= WEIR_PENDING_END;
}

static void sink_headers(struct weir_stream *s, enum weir_direction d, struct weir_headers *h, bool end)
{
    if (d == WEIR_RESPONSE) {
        s->response_started = true;
        s->info.status = weir_headers_status(h);
        s->info.first_tx_ns = weir_loop_now_ns(s->loop);
        s->source->send_headers(s, h, end);
    }
    if (end) direction_complete(s, d);
}

static void sink_data(struct weir_stream *s, enum weir_direction d, struct weir_buf *data, bool end)
{
    if (d == WEIR_RESPONSE) {
        s->info.bytes_sent += data->len;
        s->source->send_data(s, data, end);
    } else if (data->len) {
        weir_buf_clear(data);
    }
    if (end) direction_complete(s, d);
}

static void sink_trailers(struct weir_stream *s, enum weir_direction d)
{
    if (d == WEIR_RESPONSE) s->source->send_trailers(s, s->response.trailers);
    direction_complete(s, d);
}

/* ---- the three walks ---- */

static bool skips(const struct weir_filter *f, enum weir_direction d)
{
    return f->disabled || (d == WEIR_RESPONSE && f->stream->local_reply && !f->side[WEIR_REQUEST].headers_in &&
                           !f->ops->every_reply);
}

/* A CONTINUE verdict asked for while a STOP verdict was given counts. */
static bool overridden(struct weir_filter_side *side)
{
    bool asked = side->resume;
    side->resume = false;
    return asked;
}

/* Bodies that filters added in their headers callbacks, the last one's first: it precedes what the earlier ones send through it. */
static void pass_added(struct weir_stream *s, enum weir_direction d, uint32_t first, uint32_t last, bool end)
{
    for (uint32_t place = last + 1; place-- > first && alive(s, d);) {
        struct weir_filter *f = at(s, d, place);
        struct weir_filter_side *side = &f->side[d];
        if (!side->has_held || side->stop != RUNNING || !side->headers_out) continue;
        struct weir_buf data;
        weir_buf_init(&data, &s->loop->bufs);
        weir_buf_move(&data, &side->held);
        side->has_held = false;
        side->end_out = end && place == first;
        weir_chain_data(s, d, place + 1, &data, side->end_out);
        weir_buf_clear(&data);
        release_pressure(f, d);
    }
}

void weir_chain_headers(struct weir_stream *s, enum weir_direction d, uint32_t from, struct weir_headers *h, bool end_stream)
{
    bool end = end_stream;
    uint32_t first_added = UINT32_MAX, place = from;
    for (; place < s->n_filters; place++) {
        struct weir_filter *f = at(s, d, place);
        struct weir_filter_side *side = &f->side[d == WEIR_RESPONSE]; // gcc 12 sees a third direction in f->side[d]
        side->skip = skips(f, d);
        side->headers_in = !side->skip;
        side->end_in = end;
        enum weir_headers_verdict verdict = side->skip ? WEIR_HEADERS_CONTINUE : call_headers(f, d, h, end);
        if (!alive(s, d)) return;
        if (end && !side->skip) {
            call_complete(f, d);
            if (!alive(s, d)) return;
        }
        if (verdict != WEIR_HEADERS_CONTINUE && !overridden(side)) {
            side->stop = verdict == WEIR_HEADERS_STOP ? STOPPED : STOPPED_ALL;
            side->streaming = verdict == WEIR_HEADERS_STOP_ALL_WATERMARK;
            break;
        }
        side->resume = false;
        side->headers_out = true;
        if (side->has_held) {
            if (first_added == UINT32_MAX) first_added = place;
            end = false;
        }
        side->end_out = end;
    }
    if (place >= s->n_filters) sink_headers(s, d, h, end);
    if (first_added != UINT32_MAX)
        pass_added(s, d, first_added, WEIR_MIN(place, (uint32_t)s->n_filters - 1), end_stream);
}

/* After the verdict of `f` on data: true if what is left goes on to the next filter. */
static bool after_data(struct weir_filter *f, enum weir_direction d, enum weir_data_verdict verdict, struct weir_buf *data)
{
    struct weir_filter_side *side = &f->side[d];
    if (verdict != WEIR_DATA_CONTINUE && overridden(side)) verdict = WEIR_DATA_CONTINUE;
    if (verdict == WEIR_DATA_CONTINUE) {
        side->resume = false;
        if (side->stop == STOPPED) {
            hold(f, d, data);
            if (alive(f->stream, d)) resume(f, d);
            return false;
        }
        if (side->has_held) { // added inside the callback: goes first
            weir_buf_move(&side->held, data);
            weir_buf_move(data, &side->held);
            side->has_held = false;
            release_pressure(f, d);
        }
        return true;
    }
    side->stop = STOPPED;
    if (verdict == WEIR_DATA_STOP_NO_BUFFER) {
        weir_buf_clear(data);
        return false;
    }
    side->streaming = verdict == WEIR_DATA_STOP_WATERMARK;
    hold(f, d, data);
    return false;
}

void weir_chain_data(struct weir_stream *s, enum weir_direction d, uint32_t from, struct weir_buf *data, bool end_stream)
{
    struct weir_chain_dir *dir = weir_chain_dir(s, d);
    bool end = end_stream;
    uint32_t trailers_from = UINT32_MAX;
    for (uint32_t place = from; place < s->n_filters; place++) {
        struct weir_filter *f = at(s, d, place);
        struct weir_filter_side *side = &f->side[d];
        if (side->end_in) return; // the message was over for it
        if (side->stop == STOPPED_ALL) {
            side->end_held |= end;
            hold(f, d, data);
            goto trailers;
        }
        side->end_in = end;
        enum weir_data_verdict verdict = side->skip ? WEIR_DATA_CONTINUE : call_data(f, d, data, end);
        if (!alive(s, d)) return;
        if (end && !side->skip) {
            call_complete(f, d);
            if (!alive(s, d)) return;
        }
        if (end && !dir->trailers && s->added_trailers[d].n) { // by this filter
            dir->trailers = &s->added_trailers[d];
            end = false;
            side->trailers_in = true;
            trailers_from = place + 1;
        }
        if (!after_data(f, d, verdict, data)) {
            if (trailers_from == place + 1) return; // its trailers go on with the rest
            goto trailers;
        }
        side->end_out = end;
        if (trailers_from == place + 1) side->trailers_out = true;
    }
    sink_data(s, d, data, end);
trailers:
    if (trailers_from != UINT32_MAX && alive(s, d)) weir_chain_trailers(s, d, trailers_from);
}

void weir_chain_trailers(struct weir_stream *s, enum weir_direction d, uint32_t from)
{
    struct weir_headers *trailers = weir_chain_dir(s, d)->trailers;
    for (uint32_t place = from; place < s->n_filters; place++) {
        struct weir_filter *f = at(s, d, place);
        struct weir_filter_side *side = &f->side[d];
        side->trailers_in = true;
        if (side->stop == STOPPED_ALL) return;
        enum weir_trailers_verdict verdict = side->skip ? WEIR_TRAILERS_CONTINUE : call_trailers(f, d, trailers);
        if (!alive(s, d)) return;
        if (!side->skip) {
            call_complete(f, d);
            if (!alive(s, d)) return;
        }
        if (verdict != WEIR_TRAILERS_CONTINUE && !overridden(side)) {
            side->stop = STOPPED;
            return;
        }
        side->resume = false;
        if (side->stop == STOPPED) {
            resume(f, d);
            return;
        }
        if (side->has_held) { // added inside the callback
            struct weir_buf data;
            weir_buf_init(&data, &s->loop->bufs);
            weir_buf_move(&data, &side->held);
            side->has_held = false;
            weir_chain_data(s, d, place + 1, &data, false);
            weir_buf_clear(&data);
            release_pressure(f, d);
            if (!alive(s, d)) return;
        }
        side->trailers_out = true;
    }
    sink_trailers(s, d);
}

/* ---- continue ---- */

/* The body held at `f` and the end, after its headers have gone on. */
static void resume_data(struct weir_filter *f, enum weir_direction d, bool all)
{
    struct weir_stream *s = f->stream;
    struct weir_filter_side *side = &f->side[d];
    uint32_t place = place_of(f, d);
    bool end = all ? side->end_held : side->end_in && !side->end_out && !side->trailers_in;
    if (!side->has_held && !end) return;
    struct weir_buf data;
    weir_buf_init(&data, &s->loop->bufs);
    if (side->has_held) weir_buf_move(&data, &side->held);
    side->has_held = false;
    side->end_held = false;
    if (all && !side->end_in) {
        weir_chain_data(s, d, place, &data, end);
    } else {
        end |= side->end_in && !side->trailers_in;
        side->end_out = end;
        weir_chain_data(s, d, place + 1, &data, end);
    }
    weir_buf_clear(&data);
    if (!side->has_held || side->held.len <= weir_chain_dir(s, d)->buffer_limit) release_pressure(f, d);
}

/* Continues at `f` if something is stopped there: headers that did not go on, then the body, then trailers. */
static void resume(struct weir_filter *f, enum weir_direction d)
{
    struct weir_stream *s = f->stream;
    struct weir_filter_side *side = &f->side[d];
    struct weir_chain_dir *dir = weir_chain_dir(s, d);
    if (side->stop == RUNNING || !alive(s, d)) return;
    bool all = side->stop == STOPPED_ALL;
    uint32_t place = place_of(f, d);
    side->stop = RUNNING;
    if (!side->headers_out) {
        side->headers_out = true;
        side->end_out = side->end_in && !side->has_held && !side->trailers_in;
        weir_chain_headers(s, d, place + 1, dir->headers, side->end_out);
        if (!alive(s, d)) return;
    }
    bool had_trailers = side->trailers_in;
    resume_data(f, d, all);
    if (!had_trailers || side->trailers_out || !alive(s, d)) return;
    if (all) {
        weir_chain_trailers(s, d, place);
    } else if (side->stop == RUNNING) {
        side->trailers_out = true;
        weir_chain_trailers(s, d, place + 1);
    }
}

static void filter_continue(struct weir_filter *f, enum weir_direction d)
{
    struct weir_stream *s = f->stream;
    struct weir_filter_side *side = &f->side[d];
    if (s->ended || (side->stop == RUNNING && !side->in_call)) return;
    if (side->in_call) {
        side->resume = true; // looked at with the verdict
        return;
    }
    weir_chain_enter(s);
    side->resume = true;
    s->pending |= WEIR_PENDING_RESUME;
    weir_chain_leave(s);
}

void weir_filter_continue_request(struct weir_filter *f)
{
    filter_continue(f, WEIR_REQUEST);
}

void weir_filter_continue_response(struct weir_filter *f)
{
    filter_continue(f, WEIR_RESPONSE);
}

/* ---- what else filters may do ---- */

void weir_filter_local_reply(struct weir_filter *f, const struct weir_local_reply *reply)
{
    weir_stream_local_reply(f->stream, reply);
}

void weir_filter_reset(struct weir_filter *f, struct weir_slice details)
{
    weir_stream_reset(f->stream, WEIR_RESET_LOCAL_RESET, details);
}

struct weir_buf *weir_filter_request_buffer(struct weir_filter *f)
{
    return f->side[WEIR_REQUEST].has_held ? &f->side[WEIR_REQUEST].held : NULL;
}

struct weir_buf *weir_filter_response_buffer(struct weir_filter *f)
{
    return f->side[WEIR_RESPONSE].has_held ? &f->side[WEIR_RESPONSE].held : NULL;
}

static void add_data(struct weir_filter *f, enum weir_direction d, struct weir_buf *data)
{
    struct weir_stream *s = f->stream;
    if (s->ended || weir_chain_dir(s, d)->dead) {
        weir_buf_clear(data);
        return;
    }
    weir_chain_enter(s);
    hold(f, d, data);
    weir_chain_leave(s);
}

void weir_filter_add_request_data(struct weir_filter *f, struct weir_buf *data)
{
    add_data(f, WEIR_REQUEST, data);
}

void weir_filter_add_response_data(struct weir_filter *f, struct weir_buf *data)
{
    add_data(f, WEIR_RESPONSE, data);
}

static struct weir_headers *add_trailers(struct weir_filter *f, enum weir_direction d)
{
    struct weir_stream *s = f->stream;
    struct weir_headers *trailers = &s->added_trailers[d];
    if (!trailers->arena) weir_headers_init(trailers, &s->arena);
    return weir_chain_dir(s, d)->trailers ? weir_chain_dir(s, d)->trailers : trailers;
}

struct weir_headers *weir_filter_add_request_trailers(struct weir_filter *f)
{
    return add_trailers(f, WEIR_REQUEST);
}

struct weir_headers *weir_filter_add_response_trailers(struct weir_filter *f)
{
    return add_trailers(f, WEIR_RESPONSE);
}

void weir_filter_set_buffer_limit(struct weir_filter *f, uint32_t bytes)
{
    f->stream->request.buffer_limit = f->stream->response.buffer_limit = bytes;
}

void weir_filter_request_backpressure(struct weir_filter *f, bool on)
{
    weir_chain_backpressure(f->stream, WEIR_REQUEST, on);
}

void weir_filter_response_backpressure(struct weir_filter *f, bool on)
{
    weir_chain_backpressure(f->stream, WEIR_RESPONSE, on);
}

/* ---- the response, from a terminal filter ---- */

/* Nothing of the terminal filter's response is wanted after a local reply, its own end or the stream's. */
static bool wants_response(struct weir_stream *s)
{
    s->last_active_ms = weir_loop_now_ms(s->loop);
    return alive(s, WEIR_RESPONSE) && !s->local_reply && !s->response.peer_complete;
}

void weir_filter_respond_informational(struct weir_filter *f, struct weir_headers *h)
{
    struct weir_stream *s = f->stream;
    bool ours = weir_headers_status(h) == 100 && !s->hcm->proxy_100_continue; // the connection manager has answered that
    if (wants_response(s) && !s->response_started && !ours) s->source->send_informational(s, h);
}

void weir_filter_respond_headers(struct weir_filter *f, struct weir_headers *h, bool end_stream)
{
    struct weir_stream *s = f->stream;
    if (!wants_response(s) || s->response.begun) return;
    s->response.headers = h;
    s->response.begun = true;
    s->response.peer_complete = end_stream;
    weir_chain_enter(s);
    weir_chain_headers(s, WEIR_RESPONSE, place_of(f, WEIR_RESPONSE) + 1, h, end_stream);
    weir_chain_leave(s);
}

void weir_filter_respond_data(struct weir_filter *f, struct weir_buf *data, bool end_stream)
{
    struct weir_stream *s = f->stream;
    if (!wants_response(s) || !s->response.begun) {
        weir_buf_clear(data);
        return;
    }
    s->response.peer_complete = end_stream;
    weir_chain_enter(s);
    weir_chain_data(s, WEIR_RESPONSE, place_of(f, WEIR_RESPONSE) + 1, data, end_stream);
    weir_chain_leave(s);
    weir_buf_clear(data);
}

void weir_filter_respond_trailers(struct weir_filter *f, struct weir_headers *trailers)
{
    struct weir_stream *s = f->stream;
    if (!wants_response(s) || !s->response.begun) return;
    s->response.trailers = trailers;
    s->response.peer_complete = true;
    weir_chain_enter(s);
    weir_chain_trailers(s, WEIR_RESPONSE, place_of(f, WEIR_RESPONSE) + 1);
    weir_chain_leave(s);
}
