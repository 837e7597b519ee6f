/* Clients: each has a connection and some requests for it, sends them in pieces, reads answers strictly in order and judges in the
 * end what it got. */
#include "run.h"

#include <string.h>

#include "base/mem.h"

#define PATIENCE_US UINT64_C(60000000)

/** How a client's connection ends. */
enum ending {
    END_CLOSE,      // when it has all answers
    END_LINGER,     // leaves closing to the proxy as long as it is patient
    END_HALF_CLOSE, // says that it has sent all, and reads on: to the proxy it has left. From here on: faults
    END_RESET,      // at some time
    END_LEAVE,
    END_CUT_STALL,  // amid what it sends
    END_CUT_HALF,
    ENDINGS,
};

struct client {
    struct run *run;
    struct weir_sim_peer *peer;
    struct wire wire;
    struct exchange **ex;
    size_t *ends; /* where each request ends in `out` */
    uint32_t n, n_sent, n_answered;
    struct weir_str out;
    size_t sent, limit; /* nothing is sent beyond */
    bool pipelined, over, connected;
    enum ending ending;
    uint32_t excuse;
    uint32_t pauses;
};

static void send_some(void *arg);

/* ---- what it will send ---- */

static void add_malformed(struct run *run, struct weir_str *out, uint32_t id)
{
    static const char *const texts[] = {
        "GET /up HTTP/1.1\r\nhost: sim\r\nx-sim-id: %u\r\nbad header\r\n\r\n",
        "GET /up HTTP/1.1\r\nhost: sim\r\nx-sim-id: %u\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /up HTTP/1.1\r\nhost: sim\r\nx-sim-id: %u\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n",
        "POST /up HTTP/1.1\r\nhost: sim\r\nx-sim-id: %u\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloworld\r\n",
        "GET /up HTTP/1.1\r\nx-sim-id: %u\r\n\r\n",
        "PRI * HTTP/1.1\r\nhost: sim\r\nx-sim-id: %u\r\ncontent-length: -1\r\n\r\n",
    };
    char text[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int len = snprintf(text, sizeof text, texts[run_random(run, WEIR_COUNTOF(texts))], (unsigned)id);
#pragma GCC diagnostic pop
    weir_sim_note(run->sim, "wrong on purpose: %s", text);
    weir_str_add(out, weir_slice(text, (size_t)len));
}

static void add_request(struct run *run, struct weir_str *out, const struct exchange *ex)
{
    static const char *const paths[PATHS] = {"up", "direct", "redirect", "nowhere", "nocluster", "up"};
    if (ex->malformed) {
        add_malformed(run, out, ex->id);
        return;
    }
    weir_str_printf(out, "%s /%s/%u HTTP/1.1\r\nhost: sim\r\nx-sim-id: %u\r\n", ex->method, paths[ex->path], (unsigned)ex->id,
                    (unsigned)ex->id);
    if (ex->close) weir_str_adds(out, "Connection: close\r\n");
    if (ex->expect) weir_str_adds(out, "Expect: 100-continue\r\n");
    if (ex->framing == FRAMING_LENGTH) weir_str_printf(out, "Content-Length: %zu\r\n", ex->body_len);
    if (ex->framing == FRAMING_CHUNKED) weir_str_adds(out, "Transfer-Encoding: chunked\r\n");
    weir_str_adds(out, "\r\n");
    run_add_body(run, out, ex->id, false, ex->body_len, ex->framing, ex->trailers);
}

static size_t some_length(struct run *run)
{
    static const size_t at_most[] = {1, 10, 1000, 1000, 20000, 20000, 200000};
    return run_random(run, at_most[run_random(run, WEIR_COUNTOF(at_most))] + 1);
}

static void plan_request(struct run *run, struct exchange *ex)
{
    static const char *const methods[] = {"GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE"};
    static const enum ex_path paths[] = {PATH_UP, PATH_UP, PATH_UP, PATH_UP, PATH_UP, PATH_UP, PATH_UP, PATH_UP, PATH_DIRECT, PATH_REDIRECT, PATH_NO_ROUTE, PATH_NO_CLUSTER};
    ex->method = methods[run_random(run, WEIR_COUNTOF(methods))];
    ex->path = paths[run_random(run, WEIR_COUNTOF(paths))];
    bool body = ex->method[0] == 'P' || run_chance(run, 50);
    if (body) {
        ex->framing = run_chance(run, 500) ? FRAMING_LENGTH : FRAMING_CHUNKED;
        ex->body_len = some_length(run);
        ex->trailers = ex->framing == FRAMING_CHUNKED && run_chance(run, 200);
        ex->expect = ex->body_len > 0 && run_chance(run, 100);
    }
    ex->close = run_chance(run, 60);
    ex->malformed = run_strikes(run, RUN_CLIENT_FAULTS, 60);
    if (ex->malformed) ex->excuse |= EX_CLIENT;
    run_plan_answer(run, ex);
    ex->answer_len = ex->answer_len ? some_length(run) : 0;
}

static void plan(struct client *c)
{
    struct run *run = c->run;
    c->n = 1 + (uint32_t)run_random(run, 5);
    c->ex = weir_zalloc(c->n * sizeof *c->ex);
    c->ends = weir_zalloc(c->n * sizeof *c->ends);
    weir_str_init(&c->out, SIZE_MAX / 2);
    bool excused = false;
    for (uint32_t i = 0; i < c->n; i++) {
        c->ex[i] = run_exchange_new(run);
        plan_request(run, c->ex[i]);
        if (excused) c->ex[i]->excuse |= EX_CONN;
        excused |= c->ex[i]->malformed || c->ex[i]->close;
        add_request(run, &c->out, c->ex[i]);
        c->ends[i] = c->out.len;
    }
    c->pipelined = run_chance(run, 500);
    c->limit = c->out.len;
    c->ending = (enum ending)run_random(run, (run->may & RUN_CLIENT_FAULTS) ? ENDINGS : END_HALF_CLOSE);
    c->pauses = run_chance(run, 300) ? (uint32_t)run_random(run, 4) : 0;
    if (c->ending < END_HALF_CLOSE) return;
    c->excuse |= EX_CLIENT;
    if (c->ending >= END_CUT_STALL) c->limit = run_random(run, c->out.len);
}

/* ---- sending ---- */

static void over(struct client *c)
{
    if (c->over) return;
    c->over = true;
    c->run->n_clients_done++;
}

static void leave(struct client *c)
{
    over(c);
    weir_sim_peer_close(c->peer);
}

static size_t piece(struct client *c, size_t left)
{
    static const size_t sizes[] = {1, 7, 100, 1500, 20000, 1000000};
    size_t n = 1 + run_random(c->run, sizes[run_random(c->run, WEIR_COUNTOF(sizes))]);
    if (left > 5000) n = WEIR_MAX(n, left / 8);
    return WEIR_MIN(n, left);
}

static void all_sent(struct client *c)
{
    if (c->ending == END_HALF_CLOSE || c->ending == END_CUT_HALF) weir_sim_peer_shutdown(c->peer);
}

static size_t may_send_to(const struct client *c)
{
    size_t to = c->pipelined || c->n_answered >= c->n ? c->limit : WEIR_MIN(c->limit, c->ends[c->n_answered]);
    return to;
}

static void send_some(void *arg)
{
    struct client *c = arg;
    struct run *run = c->run;
    if (c->over || !c->connected) return;
    size_t to = may_send_to(c);
    if (c->sent >= to) return;
    size_t n = piece(c, to - c->sent);
    weir_sim_peer_send(c->peer, weir_slice(c->out.ptr + c->sent, n));
    c->sent += n;
    while (c->n_sent < c->n && c->sent >= c->ends[c->n_sent]) c->ex[c->n_sent++]->sent = true;
    if (c->sent == c->limit) {
        all_sent(c);
        return;
    }
    uint64_t wait_us = run_random(run, run_chance(run, 100) ? 30000 : 500);
    if (run_strikes(run, RUN_TIMEOUTS, 30)) wait_us = run_random(run, 2000000);
    weir_sim_after(run->sim, wait_us, send_some, c);
}

/* ---- answers ---- */

static struct exchange *current(struct client *c)
{
    return c->n_answered < c->n ? c->ex[c->n_answered] : NULL;
}

static bool may_fail(const struct client *c, const struct exchange *ex)
{
    return ex->excuse || c->excuse || (c->run->may & (RUN_TIMEOUTS | RUN_CUT)) || c->run->lossy;
}

static bool is_safe_to_repeat(const struct exchange *ex)
{
    return ex->body_len == 0 && ex->framing == FRAMING_NONE && strcmp(ex->method, "POST") != 0;
}

/* An answer of the proxy's own: is there a reason for it? */
static void check_local(struct client *c, const struct exchange *ex, uint32_t status)
{
    struct run *run = c->run;
    bool ok = may_fail(c, ex);
    switch (status) {
        case 200: ok = run->unasked; break;
        case 203: ok = ex->path == PATH_DIRECT; break;
        case 301: ok = ex->path == PATH_REDIRECT; break;
        case 404: ok = ex->path == PATH_NO_ROUTE; break;
        case 403: ok = ex->filter_replied; break;
        case 400: ok = ex->malformed; break;
        case 413:
        case 429: ok |= run->may & RUN_FILTERS; break;
        case 418: ok = run->may & RUN_FILTERS; break;
        case 500: ok |= ex->marks[1] > 0; break;
        case 504: ok |= run->may & RUN_RETRIES; break; // per_try_timeout
        case 503:
            ok |= ex->path == PATH_NO_CLUSTER || run->host_down || (run->may & RUN_SMALL_LIMITS) || run->drained || run->reloaded ||
                  (run->idle_closed && !is_safe_to_repeat(ex));
            break;
        default: break;
    }
    if (!ok) run_fail(run, "exchange %u got %u from the proxy without a reason", ex->id, status);
}

static bool on_head(struct wire *w)
{
    struct client *c = w->arg;
    struct run *run = c->run;
    struct exchange *ex = current(c);
    if (!ex) run_fail(run, "an answer (%u) to no request", w->status);
    weir_sim_note(run->sim, "answer %u: %u", ex->id, w->status);
    if (w->status < 200) {
        if (w->status == 100 ? !ex->expect : !ex->informational) run_fail(run, "exchange %u got %u unasked", ex->id, w->status);
        return true;
    }
    if (c->sent <= (c->n_answered ? c->ends[c->n_answered - 1] : 0)) {
        if (w->status != 408) run_fail(run, "exchange %u got %u before it began", ex->id, w->status);
    }
    ex->head_seen = true;
    ex->got_status = w->status;
    ex->got_len = 0;
    ex->local = w->id == 0;
    if (!ex->local && w->id != ex->id) run_fail(run, "exchange %u got the answer to %u", ex->id, w->id);
    if (ex->local) check_local(c, ex, w->status);
    else if (w->status != ex->status) run_fail(run, "exchange %u got %u for %u", ex->id, w->status, ex->status);
    bool head = strcmp(ex->method, "HEAD") == 0 && !ex->malformed;
    return head || w->status == 204 || w->status == 304;
}

static void on_body(struct wire *w, struct weir_slice bytes)
{
    struct client *c = w->arg;
    struct exchange *ex = current(c);
    if (ex->local) ex->got_len += bytes.len;
    else run_check_body(c->run, ex, true, &ex->got_len, bytes);
}

static bool has_answer_body(const struct exchange *ex)
{
    return strcmp(ex->method, "HEAD") != 0 && ex->status != 204 && ex->status != 304;
}

static void on_end(struct wire *w)
{
    struct client *c = w->arg;
    struct run *run = c->run;
    struct exchange *ex = current(c);
    weir_sim_note(run->sim, "answered %u with %zu bytes", ex->id, ex->got_len);
    ex->answered = true;
    if (!ex->local) {
        run_check_end(run, ex, true, ex->got_len, has_answer_body(ex) ? ex->answer_len : 0);
        if (!ex->answer_sent) run_fail(run, "exchange %u: an answer cut short was made whole", ex->id);
        if (w->trailers && !ex->answer_trailers) run_fail(run, "exchange %u: trailers that nobody sent", ex->id);
    }
    if (!ex->sent) ex->excuse |= EX_EARLY;
    c->n_answered++;
    if (w->close || !ex->sent)
        for (uint32_t i = c->n_answered; i < c->n; i++) c->ex[i]->excuse |= EX_CONN;
    if (c->n_answered == c->n && c->ending == END_CLOSE) leave(c);
    else weir_sim_after(run->sim, run_random(run, 3000), send_some, c);
}

static void on_bad(struct wire *w, const char *why)
{
    struct client *c = w->arg;
    struct exchange *ex = current(c);
    run_fail(c->run, "the answer to %u: %s", ex ? ex->id : 0, why);
}

static const struct wire_ops wire_client_ops = {on_head, on_body, on_end, on_bad};

/* ---- the connection ---- */

static void go_on_reading(void *arg)
{
    struct client *c = arg;
    if (!c->over) weir_sim_peer_pause(c->peer, false);
}

static void on_data(struct weir_sim_peer *peer, struct weir_slice bytes)
{
    struct client *c = weir_sim_peer_arg(peer);
    wire_feed(&c->wire, bytes);
    if (c->over || !c->pauses || !run_chance(c->run, 300)) return;
    c->pauses--;
    weir_sim_peer_pause(peer, true);
    weir_sim_after(c->run->sim, run_random(c->run, (c->run->may & RUN_TIMEOUTS) ? 3000000 : 200000), go_on_reading, c);
}

static void on_eof(struct weir_sim_peer *peer)
{
    struct client *c = weir_sim_peer_arg(peer);
    if (!wire_eof(&c->wire) && current(c)) weir_sim_note(c->run->sim, "cut %u", current(c)->id);
    leave(c);
}

static void on_reset(struct weir_sim_peer *peer)
{
    struct client *c = weir_sim_peer_arg(peer);
    over(c);
}

static void on_connected(struct weir_sim_peer *peer)
{
    struct client *c = weir_sim_peer_arg(peer);
    c->connected = true;
    send_some(c);
}

static const struct weir_sim_peer_ops peer_ops = {on_connected, on_data, on_eof, on_reset};

static void strike(void *arg)
{
    struct client *c = arg;
    if (c->over) return;
    if (c->ending == END_LEAVE) {
        leave(c);
        return;
    }
    over(c);
    weir_sim_peer_reset(c->peer);
}

static void lose_patience(void *arg)
{
    struct client *c = arg;
    if (c->over) return;
    weir_sim_note(c->run->sim, "client %u gives up", (unsigned)(c - c->run->clients));
    if (c->connected) leave(c);
    else over(c);
}

static void dial(void *arg)
{
    struct client *c = arg;
    struct run *run = c->run;
    c->peer = weir_sim_dial(run->sim, &run->listen.sa, run->listen.len, &peer_ops, c);
    if (c->over) return; // refused at once
    if (c->ending == END_RESET || c->ending == END_LEAVE)
        weir_sim_after(run->sim, run_random(run, run_chance(run, 500) ? 5000 : 1000000), strike, c);
    weir_sim_after(run->sim, PATIENCE_US, lose_patience, c);
}

void clients_start(struct run *run)
{
    run->n_clients = 1 + (uint32_t)run_random(run, 6);
    run->clients = weir_zalloc(run->n_clients * sizeof *run->clients);
    for (uint32_t i = 0; i < run->n_clients; i++) {
        struct client *c = &run->clients[i];
        c->run = run;
        wire_init(&c->wire, true, &wire_client_ops, c);
        plan(c);
        weir_sim_after(run->sim, run_random(run, run_chance(run, 500) ? 2000 : 800000), dial, c);
    }
}

bool clients_done(void *arg)
{
    const struct run *run = arg;
    return run->n_clients_done == run->n_clients;
}

/* Every request was answered, or there is a reason why not. False: the connection ended there. */
static bool judge(struct client *c, uint32_t i)
{
    struct run *run = c->run;
    struct exchange *ex = c->ex[i];
    bool idempotent = ex->body_len == 0 && strcmp(ex->method, "POST") != 0; // also with content-length: 0
    uint32_t repeats = (run->may & RUN_RETRIES) ? 6 : idempotent ? 2 : 1;
    if (ex->n_heads > repeats) run_fail(run, "exchange %u reached servers %u times", ex->id, ex->n_heads);
    if (ex->answered) return true;
    if (may_fail(c, ex) || run->drained || run->reloaded || run->cut) return false;
    run_fail(run, "exchange %u was not answered%s", ex->id, ex->head_seen ? " to the end" : "");
}

void clients_judge(struct run *run)
{
    for (uint32_t k = 0; k < run->n_clients; k++)
        for (uint32_t i = 0; i < run->clients[k].n && judge(&run->clients[k], i); i++) {}
}

void clients_free(struct run *run)
{
    for (uint32_t i = 0; i < run->n_clients; i++) {
        struct client *c = &run->clients[i];
        wire_fini(&c->wire);
        weir_str_fini(&c->out);
        weir_free(c->ex);
        weir_free(c->ends);
    }
    weir_free(run->clients);
}
