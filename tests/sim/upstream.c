/* Servers: each connection reads requests strictly and answers as the exchange's plan says. */
#include "run.h"

#include <string.h>

#include "base/mem.h"

struct up {
    struct run *run;
    struct weir_sim_peer *peer;
    struct wire wire;
    struct exchange *ex; /* under way */
    size_t body_seen;
    uint32_t attempt; /* the how-manieth request of the exchange this is */
    bool request_done, answering, answer_done;
    bool dead;           /* gives no sign of life any more */
    struct weir_str out;
    size_t sent, limit;
    struct up *next;
};

static void send_some(void *arg);

static void end_peer(struct up *u, bool reset)
{
    u->dead = true;
    if (reset) weir_sim_peer_reset(u->peer);
    else weir_sim_peer_close(u->peer);
}

/* ---- the answer ---- */

static void compose(struct up *u)
{
    static const char garbage[] = "HTTP/1.1 two hundred\r\n\r\n";
    const struct exchange *ex = u->ex;
    struct run *run = u->run;
    bool body = strcmp(ex->method, "HEAD") != 0 && ex->status != 204 && ex->status != 304;
    weir_str_clear(&u->out);
    u->sent = 0;
    if (ex->fault == FAULT_GARBAGE) {
        weir_str_adds(&u->out, garbage);
        u->limit = u->out.len;
        return;
    }
    if (ex->informational) weir_str_adds(&u->out, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n");
    weir_str_printf(&u->out, "HTTP/1.1 %u Simulated\r\nx-sim-id: %u\r\n", (unsigned)ex->status, (unsigned)ex->id);
    if (ex->answer_close || ex->answer_framing == FRAMING_CLOSE) weir_str_adds(&u->out, "Connection: close\r\n");
    bool bodyless_status = ex->status == 204;
    if (ex->answer_framing == FRAMING_LENGTH && !bodyless_status) weir_str_printf(&u->out, "Content-Length: %zu\r\n", ex->answer_len);
    if (ex->answer_framing == FRAMING_CHUNKED && !bodyless_status) weir_str_adds(&u->out, "Transfer-Encoding: chunked\r\n");
    weir_str_adds(&u->out, "\r\n");
    if (body) run_add_body(run, &u->out, ex->id, true, ex->answer_len, ex->answer_framing, ex->answer_trailers);
    if (ex->fault == FAULT_BAD_CHUNK && body && ex->answer_framing == FRAMING_CHUNKED) {
        weir_str_clear(&u->out);
        weir_str_printf(&u->out, "HTTP/1.1 %u Simulated\r\nx-sim-id: %u\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
                        (unsigned)ex->status, (unsigned)ex->id);
    }
    u->limit = u->out.len;
    if (ex->fault == FAULT_CUT_CLOSE || ex->fault == FAULT_CUT_RESET || ex->fault == FAULT_STALL)
        u->limit = run_random(run, u->out.len);
}

static bool is_cut(const struct exchange *ex)
{
    return ex->fault == FAULT_CUT_CLOSE || ex->fault == FAULT_CUT_RESET || ex->fault == FAULT_STALL;
}

static void next_request(struct up *u)
{
    if (u->request_done && u->answer_done) u->ex = NULL;
}

static void answer_over(struct up *u)
{
    struct exchange *ex = u->ex;
    u->answering = false;
    if (ex->fault == FAULT_STALL) {
        u->dead = true;
        return;
    }
    if (is_cut(ex) || ex->fault == FAULT_GARBAGE || ex->fault == FAULT_BAD_CHUNK) {
        u->run->idle_closed = true; // what was sent may have been a whole answer
        end_peer(u, ex->fault == FAULT_CUT_RESET);
        return;
    }
    u->answer_done = true;
    if (ex->fault == FAULT_EXTRA) {
        u->run->idle_closed = u->run->unasked = true;
        weir_sim_peer_send(u->peer, WEIR_S("HTTP/1.1 200 Unasked\r\ncontent-length: 3\r\n\r\nbad"));
    }
    bool closes = ex->answer_close || ex->answer_framing == FRAMING_CLOSE || ex->fault == FAULT_CLOSE_AFTER;
    if (ex->fault == FAULT_CLOSE_AFTER) u->run->idle_closed = true;
    if (closes) {
        end_peer(u, false);
        return;
    }
    next_request(u);
}

static void send_some(void *arg)
{
    struct up *u = arg;
    struct run *run = u->run;
    if (u->dead || !u->answering || weir_sim_peer_ended(u->peer)) return;
    static const size_t sizes[] = {1, 50, 1000, 20000, 1000000};
    size_t n = 1 + run_random(run, sizes[run_random(run, WEIR_COUNTOF(sizes))]);
    if (u->limit > 5000) n = WEIR_MAX(n, u->limit / 8);
    n = WEIR_MIN(n, u->limit - u->sent);
    u->sent += n;
    if (u->sent == u->out.len && !is_cut(u->ex) && u->attempt == u->ex->n_heads) u->ex->answer_sent = true; // before the bytes: they may arrive in this call
    if (n) weir_sim_peer_send(u->peer, weir_slice(u->out.ptr + u->sent - n, n));
    if (u->dead || !u->answering) return;
    if (u->sent == u->limit) {
        answer_over(u);
        return;
    }
    uint64_t wait_us = run_random(run, run_chance(run, 100) ? 20000 : 300);
    if (run_strikes(run, RUN_TIMEOUTS, 30)) wait_us = run_random(run, 1500000);
    weir_sim_after(run->sim, wait_us, send_some, u);
}

static void answer(void *arg)
{
    struct up *u = arg;
    struct exchange *ex = u->ex;
    if (u->dead || u->answering || u->answer_done || !ex || weir_sim_peer_ended(u->peer)) return;
    bool reset = ex->fault == FAULT_RESET_AT_HEAD || ex->fault == FAULT_RESET_AT_END;
    if (reset || ex->fault == FAULT_CLOSE_AT_HEAD || ex->fault == FAULT_CLOSE_AT_END) {
        end_peer(u, reset);
        return;
    }
    if (ex->fault == FAULT_NEVER) {
        u->dead = true;
        return;
    }
    u->answering = true;
    compose(u);
    send_some(u);
}

static void answer_soon(struct up *u)
{
    weir_sim_after(u->run->sim, u->ex->delay_us, answer, u);
}

/* ---- the request ---- */

static void go_on_reading(void *arg)
{
    struct up *u = arg;
    if (!weir_sim_peer_ended(u->peer)) weir_sim_peer_pause(u->peer, false);
}

static bool on_head(struct wire *w)
{
    struct up *u = w->arg;
    struct run *run = u->run;
    if (u->ex && !u->dead) run_fail(run, "a server got a request before it had answered exchange %u", u->ex->id);
    struct exchange *ex = run_exchange(run, w->id);
    if (!ex) run_fail(run, "a server got a request that nobody sent (%u)", w->id);
    if (!ex->malformed && strcmp(w->method, ex->method) != 0) run_fail(run, "exchange %u became a %s", ex->id, w->method);
    if (!ex->malformed && ex->path != PATH_UP && ex->path != PATH_CALL) run_fail(run, "exchange %u came to a server", ex->id);
    u->attempt = ++ex->n_heads;
    ex->marks_seen[0] = 0;
    ex->answer_sent = false;
    if (ex->n_heads > 1 && run_chance(run, 500)) ex->fault = FAULT_NONE;
    weir_sim_note(run->sim, "server has %u", ex->id);
    u->ex = ex;
    u->body_seen = 0;
    u->request_done = u->answering = u->answer_done = false;
    bool at_once = ex->early || ex->fault == FAULT_CLOSE_AT_HEAD || ex->fault == FAULT_RESET_AT_HEAD;
    if (at_once) answer_soon(u);
    if (ex->pauses) {
        weir_sim_peer_pause(u->peer, true);
        weir_sim_after(run->sim, run_random(run, (run->may & RUN_TIMEOUTS) ? 1500000 : 100000), go_on_reading, u);
    }
    return false;
}

static void on_body(struct wire *w, struct weir_slice bytes)
{
    struct up *u = w->arg;
    if (!u->ex || u->ex->malformed) return;
    if (u->attempt == u->ex->n_heads) run_check_body(u->run, u->ex, false, &u->body_seen, bytes);
}

static void on_end(struct wire *w)
{
    struct up *u = w->arg;
    struct exchange *ex = u->ex;
    (void)w;
    if (!ex) return;
    if (ex->malformed) run_fail(u->run, "exchange %u: a request that is wrong was made right", ex->id);
    if (u->attempt == ex->n_heads) run_check_end(u->run, ex, false, u->body_seen, ex->body_len);
    if (!ex->sent && ex->path != PATH_CALL) run_fail(u->run, "exchange %u: a request cut short was made whole", ex->id);
    ex->n_complete++;
    u->request_done = true;
    bool early = ex->early || ex->fault == FAULT_CLOSE_AT_HEAD || ex->fault == FAULT_RESET_AT_HEAD;
    if (!early) answer_soon(u);
    next_request(u);
}

static void on_bad(struct wire *w, const char *why)
{
    struct up *u = w->arg;
    run_fail(u->run, "a server got, after exchange %u: %s", u->ex ? u->ex->id : 0, why);
}

static const struct wire_ops wire_server_ops = {on_head, on_body, on_end, on_bad};

/* ---- connections ---- */

static void on_data(struct weir_sim_peer *peer, struct weir_slice bytes)
{
    struct up *u = weir_sim_peer_arg(peer);
    if (!u->dead) wire_feed(&u->wire, bytes);
}

static void on_eof(struct weir_sim_peer *peer)
{
    struct up *u = weir_sim_peer_arg(peer);
    u->dead = true;
    weir_sim_peer_close(peer);
}

static void on_reset(struct weir_sim_peer *peer)
{
    struct up *u = weir_sim_peer_arg(peer);
    u->dead = true;
}

static const struct weir_sim_peer_ops peer_ops = {NULL, on_data, on_eof, on_reset};

static void on_accept(struct weir_sim_peer *peer, void *arg)
{
    struct run *run = arg;
    struct up *u = WEIR_NEW(struct up);
    u->run = run;
    u->peer = peer;
    wire_init(&u->wire, false, &wire_server_ops, u);
    weir_str_init(&u->out, SIZE_MAX / 2);
    u->next = run->ups;
    run->ups = u;
    weir_sim_peer_set_arg(peer, u);
}

static void serve(struct run *run, uint32_t i, enum weir_sim_server_mode mode)
{
    if (mode != WEIR_SIM_ACCEPT) run->host_down = true;
    weir_sim_serve(run->sim, &run->hosts[i].sa, run->hosts[i].len,
                   &(struct weir_sim_server){.mode = mode, .ops = &peer_ops, .on_accept = on_accept, .arg = run});
}

static void change_hosts(void *arg)
{
    struct run *run = arg;
    if (clients_done(run)) return;
    serve(run, (uint32_t)run_random(run, N_HOSTS), (enum weir_sim_server_mode)run_random(run, 4));
    weir_sim_after(run->sim, run_random(run, 500000), change_hosts, run);
}

void upstreams_start(struct run *run)
{
    for (uint32_t i = 0; i < N_HOSTS; i++) {
        bool down = run_strikes(run, RUN_NET_FAULTS, 300);
        serve(run, i, down ? (enum weir_sim_server_mode)run_random(run, 4) : WEIR_SIM_ACCEPT);
    }
    if (run->may & RUN_NET_FAULTS) weir_sim_after(run->sim, run_random(run, 500000), change_hosts, run);
}

void upstreams_free(struct run *run)
{
    for (struct up *u = run->ups, *next; u; u = next) {
        next = u->next;
        wire_fini(&u->wire);
        weir_str_fini(&u->out);
        weir_free(u);
    }
}
