/* Hosts and host sets: their life. What they hold is written once, before they are shared; only flags and counts change. */
#include "upstream/host.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct weir_host_slots {
    _Atomic uint32_t refs;
    pthread_mutex_t lock; /* taken when a host is made or dies */
    uint64_t *used;       /* bit per index */
    uint32_t n_words;
};

struct weir_host_slots *weir_host_slots_new(void)
{
    struct weir_host_slots *slots = WEIR_NEW(struct weir_host_slots);
    atomic_init(&slots->refs, 1);
    pthread_mutex_init(&slots->lock, NULL);
    return slots;
}

void weir_host_slots_unref(struct weir_host_slots *slots)
{
    if (!slots || atomic_fetch_sub_explicit(&slots->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&slots->lock);
    weir_free(slots->used);
    weir_free(slots);
}

static uint32_t take_slot(struct weir_host_slots *slots)
{
    pthread_mutex_lock(&slots->lock);
    uint32_t word = 0;
    while (word < slots->n_words && slots->used[word] == UINT64_MAX)
        word++;
    if (word == slots->n_words) {
        uint32_t n = slots->n_words ? slots->n_words * 2 : 1;
        slots->used = weir_xrealloc(slots->used, n * sizeof(uint64_t));
        memset(slots->used + slots->n_words, 0, (n - slots->n_words) * sizeof(uint64_t));
        slots->n_words = n;
    }
    uint32_t bit = (uint32_t)__builtin_ctzll(~slots->used[word]);
    slots->used[word] |= UINT64_C(1) << bit;
    pthread_mutex_unlock(&slots->lock);
    atomic_fetch_add_explicit(&slots->refs, 1, memory_order_relaxed);
    return word * 64 + bit;
}

static void give_slot(struct weir_host_slots *slots, uint32_t index)
{
    pthread_mutex_lock(&slots->lock);
    slots->used[index / 64] &= ~(UINT64_C(1) << (index % 64));
    pthread_mutex_unlock(&slots->lock);
    weir_host_slots_unref(slots);
}

struct weir_host *weir_host_new(struct weir_host_slots *slots, struct weir_stats *stats,
                                const struct weir_addr *addr)
{
    struct weir_host *host = WEIR_NEW(struct weir_host);
    atomic_init(&host->refs, 1);
    weir_arena_init(&host->arena, NULL);
    host->slots = slots;
    host->index = take_slot(slots);
    host->addr = *addr;
    char text[WEIR_ADDR_TEXT_MAX];
    host->address_text = weir_arena_dup(&host->arena, weir_addr_print(addr, text));
    host->weight = 1;
    host->registry = stats;
    host->stats = weir_stats_register_hidden(stats, WEIR_HOST_STAT_COUNT);
    return host;
}

struct weir_host *weir_host_ref(struct weir_host *host)
{
    atomic_fetch_add_explicit(&host->refs, 1, memory_order_relaxed);
    return host;
}

void weir_host_unref(struct weir_host *host)
{
    if (!host || atomic_fetch_sub_explicit(&host->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (host->stats)
        weir_stats_release_hidden(host->registry, host->stats, WEIR_HOST_STAT_COUNT);
    give_slot(host->slots, host->index);
    weir_arena_fini(&host->arena);
    weir_free(host);
}

static int by_priority(const void *a, const void *b)
{
    const struct weir_host *x = *(struct weir_host *const *)a, *y = *(struct weir_host *const *)b;
    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

struct weir_host_set *weir_host_set_new(struct weir_host *const *hosts, uint32_t n, uint32_t overprovisioning)
{
    struct weir_host_set *set = WEIR_NEW(struct weir_host_set);
    atomic_init(&set->refs, 1);
    weir_arena_init(&set->arena, NULL);
    set->n = n;
    set->overprovisioning = overprovisioning;
    set->hosts = WEIR_ARENA_ARRAY(&set->arena, struct weir_host *, n ? n : 1);
    for (uint32_t i = 0; i < n; i++)
        set->hosts[i] = weir_host_ref(hosts[i]);
    qsort(set->hosts, n, sizeof(*set->hosts), by_priority);
    set->n_priorities = n ? set->hosts[n - 1]->priority + 1 : 0;
    return set;
}

struct weir_host_set *weir_host_set_ref(struct weir_host_set *set)
{
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void weir_host_set_unref(struct weir_host_set *set)
{
    if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < set->n; i++)
        weir_host_unref(set->hosts[i]);
    weir_arena_fini(&set->arena);
    weir_free(set);
}
