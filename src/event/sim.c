/* The simulated world's steps. What can happen next is either a turn of a loop that has something to do, or the earliest event of the queue when its time has
 * come; chance picks among them, so every interleaving that real threads, network and kernel could produce is reached by some seed. When nothing can
 * happen the clock moves to what comes next. A turn takes a little time of the clock, as real ones do. */
#include "event/sim_priv.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define START_NS      (UINT64_C(3600) * 1000000000)      /* monotonic, at the beginning */
#define START_WALL_NS (INT64_C(1767225600) * 1000000000) /* 2026-01-01T00:00:00Z */
#define TURN_NS_MAX   20000
#define READY_MAX     4096 /* sockets looked after in one turn */

/* ---- chance: splitmix64 spreads the seed, xoshiro256++ runs ---- */

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static void seed_random(uint64_t state[4], uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        state[i] = splitmix(&seed);
    }
}

static uint64_t rotate_left(uint64_t v, int by)
{
    return v << by | v >> (64 - by);
}

uint64_t sim_random_of(uint64_t s[4])
{
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t weir_sim_random(struct weir_sim *sim, uint64_t n)
{
    WEIR_ASSERT(n > 0);
    return (uint64_t)(((unsigned __int128)sim_random_of(sim->random) * n) >> 64);
}

bool sim_chance(struct weir_sim *sim, int per_thousand)
{
    return per_thousand > 0 && (int)weir_sim_random(sim, 1000) < per_thousand;
}

static uint64_t between(struct weir_sim *sim, uint64_t low, uint64_t high)
{
    return low + weir_sim_random(sim, high - low + 1);
}

uint64_t sim_latency_ns(struct weir_sim *sim)
{
    return 1000 * between(sim, sim->opts.latency_us_min, sim->opts.latency_us_max);
}

/* ---- trace ---- */

static void mix(struct weir_sim *sim, uint64_t v)
{
    sim->digest = rotate_left((sim->digest ^ v) * 0x9fb21c651e98df25ULL, 29);
}

static void print_line(struct weir_sim *sim, const char *text)
{
    char line[320];
    (void)snprintf(line, sizeof(line), "%6llu %12.6f %s", (unsigned long long)sim->n_steps,
                   (double)(sim->now_ns - START_NS) / 1e9, text);
    sim->opts.trace(sim->opts.trace_arg, line);
}

void sim_trace(struct weir_sim *sim, const char *what, const struct sim_end *end, uint64_t n)
{
    mix(sim, sim->now_ns);
    mix(sim, (uint64_t)(unsigned char)what[0] << 32 | (end ? (uint64_t)end->sock : 0));
    mix(sim, n);
    if (sim->opts.trace) {
        char text[200];
        (void)snprintf(text, sizeof(text), "%-10s %s %d %llu",
                       end ? (end->loop ? end->loop->name : "peer") : "", what, end ? end->sock : 0,
                       (unsigned long long)n);
        print_line(sim, text);
    }
}

void weir_sim_note(struct weir_sim *sim, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (int i = 0; i < len && i < (int)sizeof(text) - 1; i++) {
        mix(sim, (unsigned char)text[i]);
    }
    if (sim->opts.trace) {
        print_line(sim, text);
    }
}

/* ---- events in time: a binary heap ---- */

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void sim_at(struct weir_sim *sim, uint64_t at_ns, void (*fn)(struct weir_sim *sim, void *arg), void *arg)
{
    if (sim->n_events == sim->cap_events) {
        sim->cap_events = sim->cap_events ? sim->cap_events * 2 : 64;
        sim->heap = weir_xrealloc(sim->heap, sim->cap_events * sizeof(*sim->heap));
    }
    struct sim_event event = {at_ns, sim->next_order++, fn, arg};
    size_t i = sim->n_events++;
    for (; i > 0 && earlier(&event, &sim->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        sim->heap[i] = sim->heap[(i - 1) / 2];
    }
    sim->heap[i] = event;
}

static struct sim_event pop_event(struct weir_sim *sim)
{
    struct sim_event first = sim->heap[0];
    struct sim_event last = sim->heap[--sim->n_events];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < sim->n_events; i = child) {
        if (child + 1 < sim->n_events && earlier(&sim->heap[child + 1], &sim->heap[child])) {
            child++;
        }
        if (!earlier(&sim->heap[child], &last)) {
            break;
        }
        sim->heap[i] = sim->heap[child];
    }
    sim->heap[i] = last;
    return first;
}

struct after {
    void (*fn)(void *arg);
    void *arg;
};

static void run_after(struct weir_sim *sim WEIR_UNUSED, void *arg)
{
    struct after after = *(struct after *)arg;
    weir_free(arg);
    after.fn(after.arg);
}

void weir_sim_after(struct weir_sim *sim, uint64_t us, void (*fn)(void *arg), void *arg)
{
    struct after *after = WEIR_NEW(struct after);
    *after = (struct after){fn, arg};
    sim_at(sim, sim->now_ns + us * 1000, run_after, after);
}

/* ---- a loop's turn ---- */

static bool loop_ready(const struct sim_loop *sl)
{
    if (sl->woken || sl->alarm_ms <= sl->sim->now_ns / 1000000 || weir_loop_has_work(sl->loop)) {
        return true;
    }
    WEIR_LIST_EACH(&sl->sim->ends, it)
    {
        const struct sim_end *end = WEIR_CONTAINER_OF(it, struct sim_end, link);
        if (end->loop == sl->loop && sim_readiness(end)) {
            return true;
        }
    }
    return false;
}

/* One thing that a turn does: a socket's event, the alarm or posts. */
struct doing {
    struct sim_end *end; /* NULL: `what` */
    uint32_t events;
    enum { DO_ALARM, DO_POSTS } what;
};

static size_t collect(struct sim_loop *sl, struct doing *doing)
{
    struct weir_sim *sim = sl->sim;
    size_t n = 0;
    if (sl->alarm_ms <= sim->now_ns / 1000000) {
        sl->alarm_ms = UINT64_MAX;
        doing[n++] = (struct doing){.what = DO_ALARM};
    }
    if (sl->woken) {
        sl->woken = false;
        doing[n++] = (struct doing){.what = DO_POSTS};
    }
    WEIR_LIST_EACH(&sim->ends, it)
    {
        struct sim_end *end = WEIR_CONTAINER_OF(it, struct sim_end, link);
        if (end->loop != sl->loop || !end->io || n == READY_MAX) {
            continue;
        }
        uint32_t events = sim_readiness(end);
        if (!events && end->connected && sim_chance(sim, sim->opts.spurious)) {
            events = end->io->events;
        }
        if (events && (n == 0 || !sim_chance(sim, sim->opts.late))) {
            doing[n++] = (struct doing){.end = end, .events = events};
        }
    }
    for (size_t i = n; i > 1; i--) { /* the kernel promises no order */
        size_t j = weir_sim_random(sim, i);
        struct doing swap = doing[i - 1];
        doing[i - 1] = doing[j];
        doing[j] = swap;
    }
    return n;
}

static void do_socket(struct sim_end *end, uint32_t events)
{
    struct weir_io *io = end->io;
    uint32_t watched =
        io ? io->events : 0; /* an earlier callback of this turn may have closed or changed it */
    uint32_t left = events & (watched | WEIR_IO_ERROR);
    if (watched == 0 || left == 0) {
        return;
    }
    if (left & WEIR_IO_ERROR) {
        left |= watched;
        io->events = 0;
    }
    sim_trace(end->sim, "event", end, left);
    io->fn(io, left);
}

static void run_turn(struct sim_loop *sl)
{
    struct doing *doing = weir_xalloc(READY_MAX * sizeof(*doing));
    struct weir_sim *sim = sl->sim;
    size_t n = collect(sl, doing);
    sim->now_ns += weir_sim_random(sim, TURN_NS_MAX);
    weir_loop_turn_begin(sl->loop);
    for (size_t i = 0; i < n; i++) {
        if (doing[i].end) {
            do_socket(doing[i].end, doing[i].events);
        } else if (doing[i].what == DO_ALARM) {
            sim_trace(sim, "alarm", NULL, sl->loop->id);
            weir_loop_on_alarm(sl->loop);
        } else {
            sim_trace(sim, "posts", NULL, sl->loop->id);
            weir_loop_on_posted(sl->loop);
        }
    }
    weir_loop_turn_end(sl->loop);
    weir_free(doing);
}

/* ---- steps ---- */

static uint64_t next_time(const struct weir_sim *sim)
{
    uint64_t next = sim->n_events > 0 ? sim->heap[0].at_ns : UINT64_MAX;
    WEIR_LIST_EACH(&sim->loops, it)
    {
        uint64_t alarm_ms = WEIR_CONTAINER_OF(it, struct sim_loop, link)->alarm_ms;
        if (alarm_ms != UINT64_MAX && alarm_ms * 1000000 < next) {
            next = alarm_ms * 1000000;
        }
    }
    return next;
}

bool weir_sim_step(struct weir_sim *sim)
{
    struct sim_loop *chosen = NULL;
    bool due = sim->n_events > 0 && sim->heap[0].at_ns <= sim->now_ns;
    uint64_t n = due;
    WEIR_LIST_EACH(&sim->loops, it)
    { /* each of n candidates with the same chance */
        struct sim_loop *sl = WEIR_CONTAINER_OF(it, struct sim_loop, link);
        if (loop_ready(sl) && weir_sim_random(sim, ++n) == 0) {
            chosen = sl;
        }
    }
    sim->n_steps++;
    if (chosen) {
        run_turn(chosen);
        return true;
    }
    if (due) {
        struct sim_event event = pop_event(sim);
        event.fn(sim, event.arg);
        return true;
    }
    uint64_t next = next_time(sim);
    if (next == UINT64_MAX) {
        return false;
    }
    sim->now_ns = WEIR_MAX(sim->now_ns, next);
    return true;
}

static bool only_timers_left(const struct weir_sim *sim)
{
    if (sim->n_events > 0) {
        return false;
    }
    WEIR_LIST_EACH(&sim->loops, it)
    {
        if (loop_ready(WEIR_CONTAINER_OF(it, struct sim_loop, link))) {
            return false;
        }
    }
    return true;
}

void weir_sim_settle(struct weir_sim *sim)
{
    while (!only_timers_left(sim) && weir_sim_step(sim)) {
    }
}

static bool never(void *arg WEIR_UNUSED)
{
    return false;
}

static void do_nothing(struct weir_sim *sim WEIR_UNUSED, void *arg WEIR_UNUSED)
{
}

void weir_sim_run_for(struct weir_sim *sim, uint64_t ms)
{
    (void)weir_sim_run_until(sim, never, NULL, ms);
}

bool weir_sim_run_until(struct weir_sim *sim, bool (*done)(void *arg), void *arg, uint64_t ms)
{
    uint64_t end_ns = sim->now_ns + ms * 1000000;
    sim_at(sim, end_ns, do_nothing, NULL); /* so that the clock stops there */
    while (!done(arg)) {
        if (sim->now_ns >= end_ns || !weir_sim_step(sim)) {
            return done(arg);
        }
    }
    return true;
}

uint64_t weir_sim_now_ns(const struct weir_sim *sim)
{
    return sim->now_ns;
}

uint64_t weir_sim_n_steps(const struct weir_sim *sim)
{
    return sim->n_steps;
}

uint64_t weir_sim_digest(const struct weir_sim *sim)
{
    return sim->digest;
}

void weir_sim_jump_wall(struct weir_sim *sim, int64_t ns)
{
    sim->wall_offset_ns += ns;
}

/* ---- the world's table ---- */

static struct sim_loop *loop_of(struct weir_loop *loop)
{
    return loop->world;
}

static void world_init(struct weir_loop *loop, void *arg)
{
    struct weir_sim *sim = arg;
    struct sim_loop *sl = WEIR_NEW(struct sim_loop);
    sl->sim = sim;
    sl->loop = loop;
    sl->alarm_ms = UINT64_MAX;
    seed_random(sl->random, sim->opts.seed ^ ((uint64_t)loop->id + 1) << 32);
    weir_list_push_back(&sim->loops, &sl->link);
    loop->world = sl;
}

static void world_fini(struct weir_loop *loop)
{
    struct sim_loop *sl = loop_of(loop);
    WEIR_LIST_EACH(&sl->sim->ends, it)
    {
        struct sim_end *end = WEIR_CONTAINER_OF(it, struct sim_end, link);
        if (end->loop == loop) {
            WEIR_FATAL("%s leaves socket %d open", loop->name, end->sock);
        }
    }
    sim_forget_lookups(loop);
    weir_list_unlink(&sl->link);
    weir_free(sl);
    loop->world = NULL;
}

static uint64_t world_now_ns(struct weir_loop *loop)
{
    return loop_of(loop)->sim->now_ns;
}

static int64_t world_wall_ns(struct weir_loop *loop)
{
    struct weir_sim *sim = loop_of(loop)->sim;
    return START_WALL_NS + (int64_t)(sim->now_ns - START_NS) + sim->wall_offset_ns;
}

static void world_random(struct weir_loop *loop, void *out, size_t len)
{
    for (size_t done = 0; done < len; done += sizeof(uint64_t)) {
        uint64_t word = sim_random_of(loop_of(loop)->random);
        memcpy((char *)out + done, &word, WEIR_MIN(sizeof(word), len - done));
    }
}

static void world_run(struct weir_loop *loop)
{
    struct sim_loop *sl = loop_of(loop);
    sl->stopped = false;
    while (!sl->stopped && weir_sim_step(sl->sim)) {
    }
}

static void world_stop(struct weir_loop *loop)
{
    loop_of(loop)->stopped = true;
}

static void world_alarm(struct weir_loop *loop, uint64_t at_ms)
{
    loop_of(loop)->alarm_ms = at_ms;
}

static void world_wake(struct weir_loop *loop)
{
    loop_of(loop)->woken = true;
}

const struct weir_world_ops weir_world_sim = {
    .init = world_init,
    .fini = world_fini,
    .now_ns = world_now_ns,
    .wall_ns = world_wall_ns,
    .random = world_random,
    .run = world_run,
    .stop = world_stop,
    .alarm = world_alarm,
    .wake = world_wake,
    .listen = sim_listen,
    .accept = sim_accept,
    .connect = sim_op_connect,
    .connect_result = sim_connect_result,
    .recv = sim_recv,
    .writev = sim_writev,
    .shutdown_write = sim_shutdown_write,
    .close = sim_op_close,
    .local_addr = sim_local_addr,
    .set_option = sim_set_option,
    .watch = sim_watch,
    .unwatch = sim_unwatch,
    .resolve = sim_resolve,
    .resolve_cancel = sim_resolve_cancel,
};

/* ---- making and ending ---- */

static void default_u32(uint32_t *value, uint32_t fallback)
{
    *value = *value ? *value : fallback;
}

static void default_chance(int *chance, int fallback)
{
    *chance = *chance ? *chance : fallback;
}

struct weir_sim *weir_sim_new(const struct weir_sim_opts *opts)
{
    struct weir_sim *sim = WEIR_NEW(struct weir_sim);
    sim->opts = *opts;
    default_u32(&sim->opts.latency_us_min, 20);
    default_u32(&sim->opts.latency_us_max, WEIR_MAX(200u, sim->opts.latency_us_min));
    default_u32(&sim->opts.buffer_min, 1024);
    default_u32(&sim->opts.buffer_max, WEIR_MAX(65536u, sim->opts.buffer_min));
    default_chance(&sim->opts.partial_write, 100);
    default_chance(&sim->opts.short_read, 100);
    default_chance(&sim->opts.split, 300);
    default_chance(&sim->opts.late, 100);
    default_chance(&sim->opts.spurious, 10);
    sim->now_ns = START_NS;
    sim->next_port = 40000;
    seed_random(sim->random, opts->seed);
    weir_list_init(&sim->loops);
    weir_list_init(&sim->ends);
    weir_list_init(&sim->closed);
    weir_list_init(&sim->lookups);
    weir_list_init(&sim->servers);
    weir_list_init(&sim->hosts);
    weir_hash_seed_set(opts->seed);
    return sim;
}

void weir_sim_free(struct weir_sim *sim)
{
    if (!sim) {
        return;
    }
    WEIR_ASSERT(weir_list_empty(&sim->loops));
    for (size_t i = 0; i < sim->n_events; i++) {
        if (sim->heap[i].fn == run_after) {
            weir_free(sim->heap[i].arg);
        }
    }
    sim_net_free(sim);
    weir_free(sim->heap);
    weir_free(sim);
}
