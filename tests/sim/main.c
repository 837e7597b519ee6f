/* Runs seeds: in a few processes, so that a seed that kills one is named and the others still run.
 *   WEIR_SIM_SEEDS=N or A-B: which seeds (1-2000). WEIR_SEED=N: that one alone, here, with its trace on stderr. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "run.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
static bool leaks(void)
{
    return __lsan_do_recoverable_leak_check() != 0;
}
#else
static bool leaks(void)
{
    return false;
}
#endif

#define WORKERS_MAX   16
#define FAILURES_MAX  10
#define LEAKS_EACH    100 /* seeds between looks for leaks */
#define TWICE_EACH    50  /* seeds of which one is run twice */
#define SEED_SECONDS  60

/* A process: what it is at, for its parent to read. */
struct lane {
    uint64_t at; /* the seed under way; 0 = none */
    uint64_t next, n_done;
};

static const char *program;

static void run_twice(uint64_t seed)
{
    uint64_t first = run_seed(seed, false), second = run_seed(seed, false);
    if (first == second) return;
    fprintf(stderr, "seed %llu: two runs differ (%llx, %llx)\n", (unsigned long long)seed, (unsigned long long)first, (unsigned long long)second);
    _exit(3);
}

static void run_lane(struct lane *lane, uint64_t last, uint64_t stride)
{
    for (; lane->next <= last; lane->next += stride) {
        lane->at = lane->next;
        alarm(SEED_SECONDS);
        if (lane->at % TWICE_EACH == 1) run_twice(lane->at);
        else (void)run_seed(lane->at, false);
        if (lane->n_done % LEAKS_EACH == 0 && leaks()) {
            fprintf(stderr, "seed %llu or one before it in its lane leaks\n", (unsigned long long)lane->at);
            _exit(3);
        }
        lane->n_done++;
    }
    lane->at = 0;
}

static pid_t start_lane(struct lane *lane, uint64_t last, uint64_t stride)
{
    pid_t pid = fork();
    if (pid) return pid;
    run_lane(lane, last, stride);
    if (leaks()) _exit(3);
    _exit(0);
}

static void report(const struct lane *lane, int status)
{
    if (WIFSIGNALED(status))
        fprintf(stderr, "seed %llu: killed by signal %d%s\n", (unsigned long long)lane->at, WTERMSIG(status),
                WTERMSIG(status) == SIGALRM ? ": it takes too long" : "");
    fprintf(stderr, "    replay: WEIR_SEED=%llu %s\n", (unsigned long long)lane->at, program);
}

static uint64_t run_lanes(uint64_t first, uint64_t last, struct lane *lanes, uint32_t n)
{
    pid_t pids[WORKERS_MAX];
    uint64_t failed = 0;
    for (uint32_t i = 0; i < n; i++) {
        lanes[i].next = first + i;
        pids[i] = start_lane(&lanes[i], last, n);
    }
    for (uint32_t running = n; running;) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        uint32_t i = 0;
        while (i < n && pids[i] != pid) i++;
        if (i == n) continue;
        running--;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        report(&lanes[i], status);
        failed++;
        lanes[i].next += n;
        if (failed >= FAILURES_MAX || lanes[i].at == 0) continue;
        pids[i] = start_lane(&lanes[i], last, n);
        running++;
    }
    return failed;
}

static void read_seeds(uint64_t *first, uint64_t *last)
{
    const char *text = getenv("WEIR_SIM_SEEDS");
    if (!text) return;
    struct weir_slice s = weir_slice_str(text);
    size_t dash = weir_slice_find(s, '-');
    bool range = dash < s.len;
    if ((range && weir_parse_u64(weir_slice_first(s, dash), UINT64_MAX, first)) ||
        weir_parse_u64(range ? weir_slice_from(s, dash + 1) : s, UINT64_MAX, last)) {
        fprintf(stderr, "WEIR_SIM_SEEDS takes N or A-B, not \"%s\"\n", text);
        exit(2);
    }
}

static int run_one(const char *text)
{
    uint64_t seed;
    if (weir_parse_u64(weir_slice_str(text), UINT64_MAX, &seed)) {
        fprintf(stderr, "WEIR_SEED takes a number, not \"%s\"\n", text);
        return 2;
    }
    uint64_t digest = run_seed(seed, true);
    printf("seed %llu: digest %016llx\n", (unsigned long long)seed, (unsigned long long)digest);
    return leaks();
}

int main(int argc, char **argv)
{
    (void)argc;
    program = argv[0];
    weir_log_set_level(WEIR_LOG_OFF);
    const char *one = getenv("WEIR_SEED");
    if (one) return run_one(one);
    uint64_t first = 1, last = 2000;
    read_seeds(&first, &last);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t n = (uint32_t)WEIR_MIN(WEIR_MAX(cpus, 1l), (long)WORKERS_MAX);
    struct lane *lanes = mmap(NULL, sizeof *lanes * WORKERS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (lanes == MAP_FAILED) return 2;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    uint64_t failed = run_lanes(first, last, lanes, n), done = 0;
    clock_gettime(CLOCK_MONOTONIC, &end);
    for (uint32_t i = 0; i < n; i++) done += lanes[i].n_done;
    printf("seeds %llu to %llu in %ld s\n%llu passed, %llu failed\n", (unsigned long long)first, (unsigned long long)last,
           (long)(end.tv_sec - begin.tv_sec), (unsigned long long)done, (unsigned long long)failed);
    return failed > 0;
}
