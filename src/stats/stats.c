/* The registry: which stat has which name, and the merged values. Counting itself is inline in stats.h and touches nothing here.
 *
 * A stat is its scope and its own name; the full name is put together when somebody reads it. Entries are found by a hash of
 * the full name, and by the order of names for readers. Both tables, the entries and the chunks of cells grow under the lock;
 * entries never move.
 * `base` is what is added to the sum of all threads' cells: minus that sum after a reset, the difference after a set. */
#include "stats/stats.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"
#include "stats/histogram.h"
#include "stats/labels.h"

#define NAME_MAX_LEN 4096u /* of a full name; longer ones are refused */

/* A histogram's history, as of the last flush. */
struct history {
    struct weir_histogram total, interval;
};

struct entry {
    const struct weir_stats_scope *scope; // NULL: hidden
    const char *name;
    uint32_t name_len;
    uint8_t kind; // enum weir_stat_kind
    bool used;
    bool refused;        // by the matcher: counted, not shown
    uint32_t next_alias; // another cell of the same name; 0 = none
    uint64_t base;
    struct history *history;
};

struct thread {
    struct weir_stats_worker cells;
    struct thread *next;
};

struct free_range {
    weir_stat first;
    uint32_t n;
    struct free_range *next;
};

struct weir_stats {
    pthread_mutex_t lock;
    struct weir_arena arena;
    struct thread *threads;
    struct entry *chunks[WEIR_STATS_CHUNKS_MAX];
    uint32_t n; // entries; atomic
    struct weir_map scopes;
    struct weir_map names; // each once, however many groups have a row of that name
    uint32_t *index;       // open addressing: stat + 1 ... 0 = free
    uint32_t index_cap, n_indexed;
    uint32_t *order; // shown stats, by name
    uint32_t n_ordered, order_cap;
    uint32_t ordered_at; // value of `n` when `order` was made
    struct free_range *free_ranges;
    weir_stats_matcher_fn matcher;
    void *matcher_arg;
    struct weir_histogram_bins bins, interval_bins;
};

static struct entry *entry_of(const struct weir_stats *stats, weir_stat stat)
{
    return &stats->chunks[stat / WEIR_STATS_CHUNK][stat % WEIR_STATS_CHUNK];
}

/* ---- cells ---- */

static void give_chunk(struct thread *thread, uint32_t chunk)
{
    if (!thread->cells.chunks[chunk])
        thread->cells.chunks[chunk] = weir_zalloc(WEIR_STATS_CHUNK * sizeof(uint64_t));
}

/* Room for `n` more in a row; 0 when the registry is full. */
static weir_stat take(struct weir_stats *stats, uint32_t n)
{
    if (n > WEIR_STATS_CHUNK * WEIR_STATS_CHUNKS_MAX - stats->n)
        return 0;
    weir_stat first = stats->n;
    for (uint32_t chunk = first / WEIR_STATS_CHUNK; n > 0 && chunk <= (first + n - 1) / WEIR_STATS_CHUNK;
         chunk++) {
        if (stats->chunks[chunk])
            continue;
        stats->chunks[chunk] = weir_zalloc(WEIR_STATS_CHUNK * sizeof(struct entry));
        for (struct thread *t = stats->threads; t; t = t->next)
            give_chunk(t, chunk);
    }
    __atomic_store_n(&stats->n, first + n, __ATOMIC_RELEASE);
    return first;
}

struct weir_stats *weir_stats_new(void)
{
    struct weir_stats *stats = WEIR_NEW(struct weir_stats);
    pthread_mutex_init(&stats->lock, NULL);
    weir_arena_init(&stats->arena, NULL);
    weir_map_init(&stats->scopes);
    weir_map_init(&stats->names);
    (void)take(stats, 1); // the cell that nobody reads
    return stats;
}

static void free_thread(const struct weir_stats *stats, struct thread *thread)
{
    for (weir_stat i = 1; i < stats->n; i++) {
        if (!entry_of(stats, i)->scope || entry_of(stats, i)->kind != WEIR_STAT_HISTOGRAM)
            continue;
        struct weir_histogram *h = (struct weir_histogram *)(uintptr_t)*weir_stat_cell(&thread->cells, i);
        if (h)
            weir_histogram_fini(h);
        weir_free(h);
    }
    for (uint32_t c = 0; c < WEIR_STATS_CHUNKS_MAX; c++)
        weir_free(thread->cells.chunks[c]);
    weir_free(thread);
}

void weir_stats_free(struct weir_stats *stats)
{
    if (!stats)
        return;
    for (struct thread *t = stats->threads, *next; t; t = next) {
        next = t->next;
        free_thread(stats, t);
    }
    for (weir_stat i = 1; i < stats->n; i++) {
        struct history *history = entry_of(stats, i)->history;
        if (!history)
            continue;
        weir_histogram_fini(&history->total);
        weir_histogram_fini(&history->interval);
        weir_free(history);
    }
    for (uint32_t c = 0; c < WEIR_STATS_CHUNKS_MAX; c++)
        weir_free(stats->chunks[c]);
    for (struct free_range *r = stats->free_ranges, *next; r; r = next) {
        next = r->next;
        weir_free(r);
    }
    weir_free(stats->index);
    weir_free(stats->order);
    weir_free(stats->bins.v);
    weir_free(stats->interval_bins.v);
    weir_map_fini(&stats->scopes);
    weir_map_fini(&stats->names);
    weir_arena_fini(&stats->arena);
    pthread_mutex_destroy(&stats->lock);
    weir_free(stats);
}

struct weir_stats_worker *weir_stats_add_worker(struct weir_stats *stats)
{
    struct thread *thread = WEIR_NEW(struct thread);
    pthread_mutex_lock(&stats->lock);
    for (uint32_t c = 0; c < WEIR_STATS_CHUNKS_MAX && stats->chunks[c]; c++)
        give_chunk(thread, c);
    thread->next = stats->threads;
    stats->threads = thread;
    pthread_mutex_unlock(&stats->lock);
    return &thread->cells;
}

/* ---- names ---- */

struct full_name {
    char text[NAME_MAX_LEN];
    size_t len;
};

static bool join(struct full_name *out, struct weir_slice a, struct weir_slice b)
{
    if (a.len > NAME_MAX_LEN || b.len > NAME_MAX_LEN - a.len)
        return false;
    if (a.len > 0)
        memcpy(out->text, a.ptr, a.len);
    if (b.len > 0)
        memcpy(out->text + a.len, b.ptr, b.len);
    out->len = a.len + b.len;
    return true;
}

static struct weir_slice name_of(const struct entry *e)
{
    return weir_slice(e->name, e->name_len);
}

static bool named(const struct entry *e, struct weir_slice full)
{
    size_t prefix = e->scope->prefix.len;
    return full.len == prefix + e->name_len &&
           weir_slice_eq(weir_slice_first(full, prefix), e->scope->prefix) &&
           memcmp(full.ptr + prefix, e->name, e->name_len) == 0;
}

/* The slot of `full`, or the free one where it belongs. */
static uint32_t *slot_of(const struct weir_stats *stats, struct weir_slice full)
{
    uint32_t mask = stats->index_cap - 1;
    for (uint32_t i = (uint32_t)weir_slice_hash(full) & mask;; i = (i + 1) & mask) {
        uint32_t at = stats->index[i];
        if (at == 0 || named(entry_of(stats, at), full))
            return &stats->index[i];
    }
}

static weir_stat find(const struct weir_stats *stats, struct weir_slice full)
{
    return stats->index_cap ? *slot_of(stats, full) : 0;
}

static void index_grow(struct weir_stats *stats)
{
    uint32_t *old = stats->index;
    uint32_t old_cap = stats->index_cap;
    stats->index_cap = old_cap ? old_cap * 2 : 1024;
    stats->index = weir_zalloc(stats->index_cap * sizeof(*stats->index));
    struct full_name full;
    for (uint32_t i = 0; i < old_cap; i++) {
        if (!old[i] || !join(&full, entry_of(stats, old[i])->scope->prefix, name_of(entry_of(stats, old[i]))))
            continue;
        *slot_of(stats, weir_slice(full.text, full.len)) = old[i];
    }
    weir_free(old);
}

static bool same_scope(const struct weir_stats_scope *a, const struct weir_stats_scope *b)
{
    if (!weir_slice_eq(a->prefix, b->prefix) || !weir_slice_eq(a->prom_prefix, b->prom_prefix) ||
        a->n_tags != b->n_tags)
        return false;
    for (uint32_t i = 0; i < a->n_tags; i++) {
        if (!weir_slice_eq(a->tags[i].name, b->tags[i].name) ||
            !weir_slice_eq(a->tags[i].value, b->tags[i].value))
            return false;
    }
    return true;
}

static const struct weir_stats_scope *keep_scope(struct weir_stats *stats,
                                                 const struct weir_stats_scope *scope)
{
    const struct weir_stats_scope *known = weir_map_get(&stats->scopes, scope->prefix);
    if (known && same_scope(known, scope))
        return known;
    struct weir_stats_scope *copy = WEIR_ARENA_NEW(&stats->arena, struct weir_stats_scope);
    copy->prefix = weir_arena_dup(&stats->arena, scope->prefix);
    copy->prom_prefix = weir_arena_dup(&stats->arena, scope->prom_prefix);
    copy->n_tags = scope->n_tags;
    struct weir_tag *tags = WEIR_ARENA_ARRAY(&stats->arena, struct weir_tag, scope->n_tags);
    for (uint32_t i = 0; i < scope->n_tags; i++)
        tags[i] = (struct weir_tag){weir_arena_dup(&stats->arena, scope->tags[i].name),
                                    weir_arena_dup(&stats->arena, scope->tags[i].value)};
    copy->tags = tags;
    (void)weir_map_set(&stats->scopes, copy->prefix, copy);
    return copy;
}

static struct weir_slice keep_name(struct weir_stats *stats, struct weir_slice name)
{
    struct weir_slice *known = weir_map_get(&stats->names, name);
    if (known)
        return *known;
    known = WEIR_ARENA_NEW(&stats->arena, struct weir_slice);
    *known = weir_arena_dup(&stats->arena, name);
    (void)weir_map_set(&stats->names, *known, known);
    return *known;
}

/* ---- registering; under the lock ---- */

/* Makes the taken cell `stat` known by its name. */
static void enter(struct weir_stats *stats, weir_stat stat, const struct weir_stats_scope *kept,
                  struct weir_slice name, enum weir_stat_kind kind)
{
    struct entry *e = entry_of(stats, stat);
    struct full_name full;
    name = keep_name(stats, name);
    e->scope = kept;
    e->name = name.ptr;
    e->name_len = (uint32_t)name.len;
    e->kind = (uint8_t)kind;
    if (!join(&full, kept->prefix, name)) {
        e->refused = true;
        return;
    }
    struct weir_slice text = weir_slice(full.text, full.len);
    e->refused = stats->matcher && !stats->matcher(stats->matcher_arg, text);
    if ((stats->n_indexed + 1) * 2 > stats->index_cap)
        index_grow(stats);
    uint32_t *slot = slot_of(stats, text);
    if (*slot == 0) {
        *slot = stat;
        stats->n_indexed++;
        return;
    }
    struct entry *first = entry_of(stats, *slot);
    if (first->kind == e->kind) {
        e->next_alias = first->next_alias;
        __atomic_store_n(&first->next_alias, stat, __ATOMIC_RELEASE);
    }
    e->refused = true; // what is shown under the name is the first entry, with this cell added
}

weir_stat weir_stats_register(struct weir_stats *stats, const struct weir_stats_scope *scope,
                              struct weir_slice name, enum weir_stat_kind kind)
{
    struct full_name full;
    if (!join(&full, scope->prefix, name))
        return 0;
    struct weir_slice text = weir_slice(full.text, full.len);
    pthread_mutex_lock(&stats->lock);
    weir_stat stat = find(stats, text);
    if (stat) {
        if (entry_of(stats, stat)->kind != kind)
            stat = 0;
    } else if (!stats->matcher || stats->matcher(stats->matcher_arg, text)) {
        stat = take(stats, 1);
        if (stat)
            enter(stats, stat, keep_scope(stats, scope), name, kind);
    }
    pthread_mutex_unlock(&stats->lock);
    return stat;
}

/* Is the group there already, in the same order and next to each other? */
static weir_stat find_group(const struct weir_stats *stats, const struct weir_stats_scope *scope,
                            const struct weir_stat_def *defs, uint32_t n)
{
    struct full_name full;
    if (!join(&full, scope->prefix, weir_slice_str(defs[0].name)))
        return 0;
    weir_stat first = find(stats, weir_slice(full.text, full.len));
    if (first == 0 || n > stats->n - first)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct entry *e = entry_of(stats, first + i);
        if (!e->scope || e->kind != defs[i].kind || !weir_slice_eq(e->scope->prefix, scope->prefix) ||
            !weir_slice_eq(name_of(e), weir_slice_str(defs[i].name)))
            return 0;
    }
    return first;
}

weir_stat weir_stats_register_group(struct weir_stats *stats, const struct weir_stats_scope *scope,
                                    const struct weir_stat_def *defs, uint32_t n)
{
    if (n == 0)
        return 0;
    pthread_mutex_lock(&stats->lock);
    weir_stat first = find_group(stats, scope, defs, n);
    if (!first) {
        first = take(stats, n);
        const struct weir_stats_scope *kept = first ? keep_scope(stats, scope) : NULL;
        for (uint32_t i = 0; first && i < n; i++)
            enter(stats, first + i, kept, weir_slice_str(defs[i].name), defs[i].kind);
    }
    pthread_mutex_unlock(&stats->lock);
    return first;
}

/* Another cell of the same name may be entered while somebody reads. */
static uint32_t alias_after(const struct weir_stats *stats, weir_stat stat)
{
    return __atomic_load_n(&entry_of(stats, stat)->next_alias, __ATOMIC_ACQUIRE);
}

static uint64_t sum_of(const struct weir_stats *stats, weir_stat stat)
{
    uint64_t sum = 0;
    for (struct thread *t = stats->threads; t; t = t->next)
        sum += __atomic_load_n(weir_stat_cell(&t->cells, stat), __ATOMIC_RELAXED);
    return sum;
}

static void set_base(struct entry *e, uint64_t base)
{
    __atomic_store_n(&e->base, base, __ATOMIC_RELAXED);
}

weir_stat weir_stats_register_hidden(struct weir_stats *stats, uint32_t n)
{
    weir_stat first = 0;
    pthread_mutex_lock(&stats->lock);
    for (struct free_range **at = &stats->free_ranges; *at && !first; at = &(*at)->next) {
        if ((*at)->n != n)
            continue;
        struct free_range *range = *at;
        *at = range->next;
        first = range->first;
        weir_free(range);
        break;
    }
    if (!first)
        first = take(stats, n);
    for (uint32_t i = 0; first && i < n; i++)
        set_base(entry_of(stats, first + i), 0 - sum_of(stats, first + i));
    pthread_mutex_unlock(&stats->lock);
    return first;
}

void weir_stats_release_hidden(struct weir_stats *stats, weir_stat first, uint32_t n)
{
    if (first == 0 || n == 0)
        return;
    struct free_range *range = WEIR_NEW(struct free_range);
    range->first = first;
    range->n = n;
    pthread_mutex_lock(&stats->lock);
    range->next = stats->free_ranges;
    stats->free_ranges = range;
    pthread_mutex_unlock(&stats->lock);
}

void weir_stats_set_matcher(struct weir_stats *stats, weir_stats_matcher_fn fn, void *arg)
{
    pthread_mutex_lock(&stats->lock);
    stats->matcher = fn;
    stats->matcher_arg = arg;
    pthread_mutex_unlock(&stats->lock);
}

/* ---- recording ---- */

void weir_stat_record(struct weir_stats_worker *sw, weir_stat stat, uint64_t value)
{
    if (stat == 0)
        return;
    uint64_t *cell = weir_stat_cell(sw, stat);
    struct weir_histogram *h = (struct weir_histogram *)(uintptr_t)*cell;
    if (!h) {
        h = WEIR_NEW(struct weir_histogram);
        __atomic_store_n(cell, (uint64_t)(uintptr_t)h, __ATOMIC_RELEASE);
    }
    weir_histogram_record(h, value);
}

void weir_stat_set_global(struct weir_stats *stats, weir_stat stat, uint64_t value)
{
    if (stat == 0)
        return;
    pthread_mutex_lock(&stats->lock);
    struct entry *e = entry_of(stats, stat);
    set_base(e, value - sum_of(stats, stat));
    e->used = true;
    pthread_mutex_unlock(&stats->lock);
}

/* ---- reading ---- */

static void merge_histogram(const struct weir_stats *stats, weir_stat stat, struct weir_histogram *out)
{
    for (weir_stat at = stat; at; at = alias_after(stats, at)) {
        for (struct thread *t = stats->threads; t; t = t->next) {
            uint64_t cell = __atomic_load_n(weir_stat_cell(&t->cells, at), __ATOMIC_ACQUIRE);
            if (cell)
                weir_histogram_merge(out, (const struct weir_histogram *)(uintptr_t)cell, 1);
        }
    }
}

uint64_t weir_stats_value(struct weir_stats *stats, weir_stat stat)
{
    if (stat == 0)
        return 0;
    if (entry_of(stats, stat)->kind == WEIR_STAT_HISTOGRAM) {
        struct weir_histogram merged = {0};
        struct weir_histogram_bins bins = {0};
        merge_histogram(stats, stat, &merged);
        uint64_t n = weir_histogram_data(&merged, &bins).count;
        weir_free(bins.v);
        weir_histogram_fini(&merged);
        return n;
    }
    uint64_t sum = 0;
    for (weir_stat at = stat; at; at = alias_after(stats, at))
        sum += __atomic_load_n(&entry_of(stats, at)->base, __ATOMIC_RELAXED) + sum_of(stats, at);
    return sum;
}

bool weir_stats_lookup(struct weir_stats *stats, struct weir_slice name, uint64_t *ret)
{
    pthread_mutex_lock(&stats->lock);
    weir_stat stat = find(stats, name);
    pthread_mutex_unlock(&stats->lock);
    if (!stat)
        return false;
    *ret = weir_stats_value(stats, stat);
    return true;
}

/* Order of full names, each in two parts. */
static int compare_names(const void *a, const void *b, void *arg)
{
    const struct weir_stats *stats = arg;
    const struct entry *x = entry_of(stats, *(const uint32_t *)a), *y = entry_of(stats, *(const uint32_t *)b);
    if (x->scope == y->scope)
        return weir_slice_cmp(name_of(x), name_of(y));
    struct weir_slice xs[2] = {x->scope->prefix, name_of(x)}, ys[2] = {y->scope->prefix, name_of(y)};
    for (unsigned i = 0, j = 0; i < 2 && j < 2;) {
        size_t n = WEIR_MIN(xs[i].len, ys[j].len);
        int order = n ? memcmp(xs[i].ptr, ys[j].ptr, n) : 0;
        if (order != 0)
            return order;
        xs[i] = weir_slice_from(xs[i], n);
        ys[j] = weir_slice_from(ys[j], n);
        if (xs[i].len == 0)
            i++;
        if (ys[j].len == 0)
            j++;
        if (i == 2 || j == 2)
            return (i == 2 ? 0 : 1) - (j == 2 ? 0 : 1);
    }
    return 0;
}

/* Brings `order` up to date. Only the main thread uses it. */
static void sort(struct weir_stats *stats)
{
    pthread_mutex_lock(&stats->lock);
    if (stats->ordered_at != stats->n) {
        if (stats->order_cap < stats->n) {
            stats->order_cap = stats->n * 2;
            stats->order = weir_xrealloc(stats->order, stats->order_cap * sizeof(*stats->order));
        }
        stats->n_ordered = 0;
        for (weir_stat i = 1; i < stats->n; i++) {
            if (entry_of(stats, i)->scope && !entry_of(stats, i)->refused)
                stats->order[stats->n_ordered++] = i;
        }
        stats->ordered_at = stats->n;
        qsort_r(stats->order, stats->n_ordered, sizeof(*stats->order), compare_names, stats);
    }
    pthread_mutex_unlock(&stats->lock);
}

static void flush_histogram(struct weir_stats *stats, weir_stat stat)
{
    struct entry *e = entry_of(stats, stat);
    struct weir_histogram now = {0};
    merge_histogram(stats, stat, &now);
    struct weir_histogram_bins *bins = &stats->bins;
    if (!e->history) {
        if (weir_histogram_data(&now, bins).count == 0) {
            weir_histogram_fini(&now);
            return;
        }
        e->history = WEIR_NEW(struct history);
    }
    weir_histogram_fini(&e->history->interval);
    weir_histogram_merge(&e->history->interval, &now, 1);
    weir_histogram_merge(&e->history->interval, &e->history->total, -1);
    weir_histogram_fini(&e->history->total);
    e->history->total = now;
    e->used = true;
}

void weir_stats_flush(struct weir_stats *stats)
{
    pthread_mutex_lock(&stats->lock);
    uint32_t n = stats->n; // all of these are complete
    pthread_mutex_unlock(&stats->lock);
    for (weir_stat i = 1; i < n; i++) {
        struct entry *e = entry_of(stats, i);
        if (!e->scope || e->refused)
            continue;
        if (e->kind == WEIR_STAT_HISTOGRAM)
            flush_histogram(stats, i);
        else if (!e->used && weir_stats_value(stats, i) != 0)
            e->used = true;
    }
}

static bool view_entry(struct weir_stats *stats, weir_stat stat,
                       bool (*fn)(void *arg, const struct weir_stat_view *view), void *arg)
{
    struct entry *e = entry_of(stats, stat);
    struct full_name full, prom;
    struct weir_stat_labels labels;
    if (!join(&full, e->scope->prefix, name_of(e)) || !join(&prom, e->scope->prom_prefix, name_of(e)))
        return true;
    struct weir_stat_view view = {.name = weir_slice(full.text, full.len),
                                  .kind = (enum weir_stat_kind)e->kind};
    weir_stat_labels_of(&labels, weir_slice(prom.text, prom.len), e->scope->tags, e->scope->n_tags);
    view.prom_name = labels.name;
    view.tags = labels.tags;
    view.n_tags = labels.n;
    if (e->kind != WEIR_STAT_HISTOGRAM) {
        view.value = weir_stats_value(stats, stat);
        if (view.value != 0)
            e->used = true;
        view.used = e->used;
        return fn(arg, &view);
    }
    struct weir_histogram merged = {0};
    struct weir_histogram_view histogram;
    merge_histogram(stats, stat, &merged);
    histogram.cumulative = weir_histogram_data(&merged, &stats->bins);
    histogram.interval = histogram.cumulative;
    if (e->history)
        histogram.interval = weir_histogram_data(&e->history->interval, &stats->interval_bins);
    view.histogram = &histogram;
    view.used = histogram.cumulative.count > 0;
    bool more = fn(arg, &view);
    weir_histogram_fini(&merged);
    return more;
}

void weir_stats_each(struct weir_stats *stats, bool (*fn)(void *arg, const struct weir_stat_view *view),
                     void *arg)
{
    sort(stats);
    for (uint32_t i = 0; i < stats->n_ordered; i++) {
        if (!view_entry(stats, stats->order[i], fn, arg))
            return;
    }
}

void weir_stats_reset_counters(struct weir_stats *stats)
{
    pthread_mutex_lock(&stats->lock);
    for (weir_stat i = 1; i < stats->n; i++) {
        struct entry *e = entry_of(stats, i);
        if (!e->scope || e->kind != WEIR_STAT_COUNTER)
            continue;
        set_base(e, 0 - sum_of(stats, i));
        e->used = false;
    }
    pthread_mutex_unlock(&stats->lock);
}
