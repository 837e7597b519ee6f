/* Signals: one thread waits for them (sigwait), so that no code ever runs in a signal handler, and posts to the main loop. */
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "server/server_priv.h"

struct weir_signals {
    struct weir_server *server;
    pthread_t thread;
};

static sigset_t handled(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2); /* only to end the waiting thread */
    return set;
}

void weir_signals_block(void)
{
    sigset_t set = handled();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void on_quit(void *arg)
{
    weir_server_quit(arg);
}

static void on_hangup(void *arg)
{
    weir_server_reload(arg);
}

static void on_reopen(void *arg)
{
    weir_server_reopen_logs(arg);
}

static void *wait_for_signals(void *arg)
{
    struct weir_signals *signals = arg;
    struct weir_loop *loop = signals->server->main->loop;
    sigset_t set = handled();
    for (int number; sigwait(&set, &number) == 0;) {
        if (number == SIGUSR2) return NULL;
        if (number == SIGHUP) weir_loop_post(loop, on_hangup, signals->server);
        else if (number == SIGUSR1) weir_loop_post(loop, on_reopen, signals->server);
        else weir_loop_post(loop, on_quit, signals->server);
    }
    return NULL;
}

struct weir_signals *weir_signals_start(struct weir_server *server)
{
    struct weir_signals *signals = WEIR_NEW(struct weir_signals);
    signals->server = server;
    int err = pthread_create(&signals->thread, NULL, wait_for_signals, signals);
    if (err) WEIR_FATAL("cannot start the signal thread: %s", strerror(err));
    return signals;
}

void weir_signals_stop(struct weir_signals *signals)
{
    if (!signals) return;
    pthread_kill(signals->thread, SIGUSR2);
    pthread_join(signals->thread, NULL);
    weir_free(signals);
}
