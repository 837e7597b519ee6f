/* Peers of the simulated world: the other ends of a loop's connections. A peer queues what it has to send and sends it as room appears; its script is a
 * list of steps, run until one has to wait. */
#include "event/sim_priv.h"

#include "base/mem.h"

#define BYTES_MAX (SIZE_MAX / 2)

struct weir_sim_peer {
    struct sim_end *end;
    const struct weir_sim_peer_ops *ops;
    void *arg;
    struct weir_str out;
    size_t out_start;
    bool shutdown_wanted, close_wanted;
    bool paused;
    bool connected, eof_told, saw_reset;
    struct weir_str received;
    size_t matched; /* what EXPECT steps have used up */
    const struct weir_sim_step_of *steps;
    size_t n_steps, at;
    size_t slow_at; /* next byte of a SEND_SLOWLY */
    bool sleeping;
};

static const struct weir_sim_peer_ops NO_OPS;

static void run_script(struct weir_sim_peer *peer);

struct weir_sim_peer *sim_peer_new(struct sim_end *end, const struct weir_sim_peer_ops *ops, void *arg)
{
    struct weir_sim_peer *peer = WEIR_NEW(struct weir_sim_peer);
    peer->end = end;
    peer->ops = ops ? ops : &NO_OPS;
    peer->arg = arg;
    weir_str_init(&peer->out, BYTES_MAX);
    weir_str_init(&peer->received, BYTES_MAX);
    end->peer = peer;
    return peer;
}

void sim_peer_free(struct weir_sim_peer *peer)
{
    weir_str_fini(&peer->out);
    weir_str_fini(&peer->received);
    weir_free(peer);
}

struct weir_sim_peer *weir_sim_dial(struct weir_sim *sim, const struct sockaddr *addr, socklen_t addr_len,
                                    const struct weir_sim_peer_ops *ops, void *arg)
{
    struct sim_end *end = sim_end_new(sim, NULL);
    struct weir_sim_peer *peer = sim_peer_new(end, ops, arg);
    sim_trace(sim, "dial", end, 0);
    sim_connect(end, addr, addr_len);
    return peer;
}

/* ---- sending ---- */

void sim_peer_pump(struct weir_sim_peer *peer)
{
    struct sim_end *end = peer->end;
    size_t room;
    while (peer->out_start < peer->out.len && (room = sim_send_room(end)) > 0) {
        size_t n = WEIR_MIN(room, peer->out.len - peer->out_start);
        sim_send(end, weir_slice(peer->out.ptr + peer->out_start, n));
        peer->out_start += n;
    }
    if (peer->out_start < peer->out.len || !peer->connected) {
        return;
    }
    weir_str_clear(&peer->out);
    peer->out_start = 0;
    if (peer->close_wanted) {
        sim_close(end, false);
    } else if (peer->shutdown_wanted) {
        sim_shutdown(end);
    }
}

void weir_sim_peer_send(struct weir_sim_peer *peer, struct weir_slice bytes)
{
    if (peer->end->closed || peer->close_wanted || peer->shutdown_wanted || peer->saw_reset) {
        return;
    }
    weir_str_add(&peer->out, bytes);
    sim_peer_pump(peer);
}

void weir_sim_peer_shutdown(struct weir_sim_peer *peer)
{
    peer->shutdown_wanted = true;
    sim_peer_pump(peer);
}

void weir_sim_peer_close(struct weir_sim_peer *peer)
{
    peer->close_wanted = true;
    if (peer->saw_reset || !peer->connected) {
        sim_close(peer->end, false);
    } else {
        sim_peer_pump(peer);
    }
}

void weir_sim_peer_reset(struct weir_sim_peer *peer)
{
    sim_close(peer->end, true);
}

/* ---- what the network tells ---- */

void sim_peer_connected(struct weir_sim_peer *peer)
{
    peer->connected = true;
    sim_peer_pump(peer);
    if (peer->ops->on_connected) {
        peer->ops->on_connected(peer);
    }
    run_script(peer);
}

void sim_peer_refused(struct weir_sim_peer *peer)
{
    sim_peer_reset(peer);
}

void sim_peer_reset(struct weir_sim_peer *peer)
{
    if (peer->end->closed) {
        return;
    }
    peer->saw_reset = true;
    if (peer->ops->on_reset) {
        peer->ops->on_reset(peer);
    }
    sim_close(peer->end, false);
}

static void tell_eof(struct weir_sim_peer *peer)
{
    if (!peer->end->fin_seen || peer->eof_told || sim_unread(peer->end).len > 0) {
        return;
    }
    peer->eof_told = true;
    if (peer->ops->on_eof) {
        peer->ops->on_eof(peer);
    } else if (weir_sim_peer_script_done(peer)) {
        weir_sim_peer_close(peer);
    }
    run_script(peer);
}

void sim_peer_data(struct weir_sim_peer *peer)
{
    struct sim_end *end = peer->end;
    struct weir_slice unread = sim_unread(end);
    if (peer->paused || unread.len == 0) {
        return;
    }
    if (!peer->ops->on_data) {
        weir_str_add(&peer->received, unread);
        sim_consume(end, unread.len);
        run_script(peer);
    } else {
        char *copy = weir_xstrndup(unread.ptr, unread.len); /* the callback may close the peer */
        sim_consume(end, unread.len);
        peer->ops->on_data(peer, weir_slice(copy, unread.len));
        weir_free(copy);
    }
    if (!end->closed) {
        tell_eof(peer);
    }
}

void sim_peer_eof(struct weir_sim_peer *peer)
{
    tell_eof(peer);
}

static void on_resumed(struct weir_sim *sim WEIR_UNUSED, void *arg)
{
    struct weir_sim_peer *peer = arg;
    if (!peer->paused && !peer->end->closed) {
        sim_peer_data(peer);
        if (!peer->end->closed) {
            tell_eof(peer);
        }
    }
}

void weir_sim_peer_pause(struct weir_sim_peer *peer, bool paused)
{
    struct weir_sim *sim = peer->end->sim;
    peer->paused = paused;
    if (!paused) {
        sim_at(sim, sim->now_ns, on_resumed, peer);
    }
}

/* ---- questions ---- */

void weir_sim_peer_set_arg(struct weir_sim_peer *peer, void *arg)
{
    peer->arg = arg;
}

void *weir_sim_peer_arg(const struct weir_sim_peer *peer)
{
    return peer->arg;
}

struct weir_sim *weir_sim_peer_sim(const struct weir_sim_peer *peer)
{
    return peer->end->sim;
}

struct weir_slice weir_sim_peer_received(const struct weir_sim_peer *peer)
{
    return weir_slice(peer->received.ptr, peer->received.len);
}

void weir_sim_peer_forget_received(struct weir_sim_peer *peer)
{
    weir_str_clear(&peer->received);
    peer->matched = 0;
}

bool weir_sim_peer_connected(const struct weir_sim_peer *peer)
{
    return peer->connected;
}

bool weir_sim_peer_saw_eof(const struct weir_sim_peer *peer)
{
    return peer->eof_told;
}

bool weir_sim_peer_saw_reset(const struct weir_sim_peer *peer)
{
    return peer->saw_reset;
}

bool weir_sim_peer_ended(const struct weir_sim_peer *peer)
{
    return peer->end->closed;
}

/* ---- scripts ---- */

static void on_wake(struct weir_sim *sim WEIR_UNUSED, void *arg)
{
    struct weir_sim_peer *peer = arg;
    peer->sleeping = false;
    run_script(peer);
}

static void sleep_us(struct weir_sim_peer *peer, uint64_t us)
{
    struct weir_sim *sim = peer->end->sim;
    peer->sleeping = true;
    sim_at(sim, sim->now_ns + us * 1000, on_wake, peer);
}

/* Sends one byte of the text and sleeps; true when all are sent. */
static bool send_slowly(struct weir_sim_peer *peer, const struct weir_sim_step_of *step)
{
    if (step->text[peer->slow_at] == '\0') {
        peer->slow_at = 0;
        return true;
    }
    weir_sim_peer_send(peer, weir_slice(step->text + peer->slow_at++, 1));
    sleep_us(peer, step->n);
    return false;
}

static bool expect(struct weir_sim_peer *peer, const char *text)
{
    struct weir_slice rest = weir_slice_from(weir_sim_peer_received(peer), peer->matched);
    size_t at = rest.len > 0 ? weir_slice_search(rest, weir_slice_str(text)) : SIZE_MAX;
    if (at == SIZE_MAX) {
        return false;
    }
    peer->matched += at + strlen(text);
    return true;
}

/* Does one step; false when it has to wait. */
static bool do_step(struct weir_sim_peer *peer, const struct weir_sim_step_of *step)
{
    switch (step->what) {
    case WEIR_SIM_SEND:
        weir_sim_peer_send(peer, weir_slice_str(step->text));
        return true;
    case WEIR_SIM_SEND_SLOWLY:
        return send_slowly(peer, step);
    case WEIR_SIM_EXPECT:
        return expect(peer, step->text);
    case WEIR_SIM_EXPECT_EOF:
        return peer->eof_told;
    case WEIR_SIM_SLEEP:
        peer->at++; /* waking goes on behind it */
        sleep_us(peer, step->n);
        return false;
    case WEIR_SIM_PAUSE:
    case WEIR_SIM_RESUME:
        weir_sim_peer_pause(peer, step->what == WEIR_SIM_PAUSE);
        return true;
    case WEIR_SIM_SHUTDOWN:
        weir_sim_peer_shutdown(peer);
        return true;
    case WEIR_SIM_CLOSE:
        weir_sim_peer_close(peer);
        return true;
    case WEIR_SIM_RESET:
        weir_sim_peer_reset(peer);
        return true;
    case WEIR_SIM_REPEAT:
        peer->at = SIZE_MAX; /* + 1 = the first */
        return true;
    }
    return true;
}

static void run_script(struct weir_sim_peer *peer)
{
    while (peer->at < peer->n_steps && peer->connected && !peer->sleeping && !peer->end->closed) {
        if (!do_step(peer, &peer->steps[peer->at])) {
            return;
        }
        peer->at++;
    }
    if (weir_sim_peer_script_done(peer) && peer->n_steps > 0 && peer->eof_told && !peer->ops->on_eof) {
        weir_sim_peer_close(peer);
    }
}

void weir_sim_peer_script(struct weir_sim_peer *peer, const struct weir_sim_step_of *steps, size_t n_steps)
{
    peer->steps = steps;
    peer->n_steps = n_steps;
    peer->at = 0;
    run_script(peer);
}

bool weir_sim_peer_script_done(const struct weir_sim_peer *peer)
{
    return peer->at >= peer->n_steps && !peer->sleeping;
}
