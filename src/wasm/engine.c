/* The engine: one Wasmtime engine, one linker, one ticker thread for the process.
 *
 * Deadlines work by epochs: guest code looks at a counter at each loop and function entry; the ticker raises it every
 * WEIR_WASM_EPOCH_MS while guests run, and vm.c decides then whether the running callback has used up its CPU time. When no
 * guest has been called for a while the ticker sleeps, so an idle process has no wake-ups.
 *
 * Everything in Wasm that a filter does not need is off (threads, GC, memory64, exceptions …): less to go wrong. */
#include "wasm/engine.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "wasm/hostcalls.h"
#include "wasm/limits.h"

/* Looks without a guest's call before the ticker rests: longer than any deadline that an ordinary guest has. */
#define TICKS_BEFORE_REST 400u

struct weir_wasm_ticker {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop;
};

static void sleep_one_tick(void)
{
    struct timespec left = {0, (long)WEIR_WASM_EPOCH_MS * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static void *ticker_main(void *arg)
{
    struct weir_wasm_engine *engine = arg;
    struct weir_wasm_ticker *ticker = engine->ticker;
    uint32_t idle_ticks = 0;
    for (;;) {
        pthread_mutex_lock(&ticker->mutex);
        while (!ticker->stop && atomic_load_explicit(&engine->asleep, memory_order_acquire))
            pthread_cond_wait(&ticker->wake, &ticker->mutex);
        bool stop = ticker->stop;
        pthread_mutex_unlock(&ticker->mutex);
        if (stop) return NULL;
        sleep_one_tick();
        wasmtime_engine_increment_epoch(engine->engine);
        idle_ticks = atomic_exchange_explicit(&engine->active, 0, memory_order_acq_rel) ? 0 : idle_ticks + 1;
        if (idle_ticks < TICKS_BEFORE_REST) continue;
        idle_ticks = 0;
        atomic_store_explicit(&engine->asleep, 1, memory_order_seq_cst);
        /* A guest that was called meanwhile and did not see `asleep` has left `active` behind. */
        if (atomic_load_explicit(&engine->active, memory_order_seq_cst))
            atomic_store_explicit(&engine->asleep, 0, memory_order_release);
    }
}

void weir_wasm_ticker_wake(struct weir_wasm_engine *engine)
{
    struct weir_wasm_ticker *ticker = engine->ticker;
    pthread_mutex_lock(&ticker->mutex);
    atomic_store_explicit(&engine->asleep, 0, memory_order_release);
    pthread_cond_signal(&ticker->wake);
    pthread_mutex_unlock(&ticker->mutex);
}

static struct weir_wasm_ticker *ticker_start(struct weir_wasm_engine *engine, struct weir_str *err)
{
    struct weir_wasm_ticker *ticker = WEIR_NEW(struct weir_wasm_ticker);
    engine->ticker = ticker;
    pthread_mutex_init(&ticker->mutex, NULL);
    pthread_cond_init(&ticker->wake, NULL);
    atomic_store(&engine->asleep, 1);
    int error = pthread_create(&ticker->thread, NULL, ticker_main, engine);
    if (error == 0) return ticker;
    weir_str_printf(err, "cannot start the thread that keeps deadlines: error %d", error);
    pthread_mutex_destroy(&ticker->mutex);
    pthread_cond_destroy(&ticker->wake);
    weir_free(ticker);
    return NULL;
}

static void ticker_stop(struct weir_wasm_ticker *ticker)
{
    pthread_mutex_lock(&ticker->mutex);
    ticker->stop = true;
    pthread_cond_signal(&ticker->wake);
    pthread_mutex_unlock(&ticker->mutex);
    pthread_join(ticker->thread, NULL);
    pthread_mutex_destroy(&ticker->mutex);
    pthread_cond_destroy(&ticker->wake);
    weir_free(ticker);
}

/* The sanitizers have handlers of their own for the signals of traps. */
static bool explicit_traps(const struct weir_wasm_engine_opts *opts)
{
#ifdef WEIR_SANITIZED
    (void)opts;
    return true;
#else
    return opts->no_signals;
#endif
}

static wasm_config_t *make_config(const struct weir_wasm_engine_opts *opts)
{
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_epoch_interruption_set(config, true);
    wasmtime_config_max_wasm_stack_set(config, WEIR_WASM_STACK_MAX);
    wasmtime_config_wasm_simd_set(config, true);
    wasmtime_config_wasm_bulk_memory_set(config, true);
    wasmtime_config_wasm_multi_value_set(config, true);
    wasmtime_config_wasm_relaxed_simd_set(config, false);
    wasmtime_config_wasm_tail_call_set(config, !opts->quick_compile);
    wasmtime_config_wasm_memory64_set(config, false);
    wasmtime_config_wasm_multi_memory_set(config, false);
    wasmtime_config_parallel_compilation_set(config, true);
    wasmtime_config_memory_init_cow_set(config, true);
    /* No unwinding through guest frames by the system's unwinder: saves memory, and backtraces do not need it. */
    wasmtime_config_native_unwind_info_set(config, false);
    wasmtime_config_strategy_set(config, opts->quick_compile ? WASMTIME_STRATEGY_WINCH : WASMTIME_STRATEGY_CRANELIFT);
    wasmtime_config_signals_based_traps_set(config, !explicit_traps(opts));
    return config;
}

struct weir_wasm_engine *weir_wasm_engine_new(const struct weir_wasm_engine_opts *opts, struct weir_str *err)
{
    struct weir_wasm_engine *engine = WEIR_NEW(struct weir_wasm_engine);
    engine->engine = wasm_engine_new_with_config(make_config(opts));
    if (!engine->engine) {
        weir_str_adds(err, "the Wasm engine does not support this machine");
        weir_free(engine);
        return NULL;
    }
    (void)snprintf(engine->settings, sizeof engine->settings, "wasmtime-%s-%s-%s-2", WASMTIME_VERSION,
                   explicit_traps(opts) ? "explicit-traps" : "signal-traps", opts->quick_compile ? "winch" : "cranelift");
    engine->linker = wasmtime_linker_new(engine->engine);
    if (weir_hostcalls_define(engine->linker, err) != WEIR_OK || !ticker_start(engine, err)) {
        wasmtime_linker_delete(engine->linker);
        wasm_engine_delete(engine->engine);
        weir_free(engine);
        return NULL;
    }
    if (opts->cache_dir) engine->cache_dir = weir_xstrndup(opts->cache_dir, strlen(opts->cache_dir));
    return engine;
}

void weir_wasm_engine_free(struct weir_wasm_engine *engine)
{
    if (!engine) return;
    ticker_stop(engine->ticker);
    wasmtime_linker_delete(engine->linker);
    wasm_engine_delete(engine->engine);
    weir_free(engine->cache_dir);
    weir_free(engine);
}

void weir_wasm_error_text(wasmtime_error_t *error, struct weir_str *out)
{
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    struct weir_slice text = {message.data, message.size};
    struct weir_slice line;
    bool first = true;
    while (weir_slice_next(&text, '\n', &line)) {
        line = weir_slice_trim(line);
        if (line.len == 0 || weir_slice_eq(line, WEIR_S("Caused by:"))) continue;
        if (!first) weir_str_adds(out, ": ");
        weir_str_add(out, line);
        first = false;
    }
    wasm_byte_vec_delete(&message);
    wasmtime_error_delete(error);
}
