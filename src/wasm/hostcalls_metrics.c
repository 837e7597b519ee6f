/* Metrics of guests: the same name and kind is the same stat in the whole process, so workers add up and a VM's end loses
 * nothing. A name in Istio's form, "name_;key=value;key=value;", gives Prometheus the labels. */
#include "base/mem.h"
#include "wasm/hostcalls.h"
#include "wasm/limits.h"

#define PREFIX "wasmcustom."
#define TAGS_MAX 16

/* Cuts "name_;k=v;k=v;" at "_;"; returns the number of tags. Anything else is a plain name. */
static uint32_t split_tags(struct weir_slice name, struct weir_slice *ret_base, struct weir_tag tags[TAGS_MAX])
{
    *ret_base = name;
    size_t cut = weir_slice_search(name, WEIR_S("_;"));
    if (cut == SIZE_MAX || cut == 0) return 0;
    struct weir_slice rest = weir_slice_from(name, cut + 2), token;
    uint32_t n = 0;
    while (weir_slice_next(&rest, ';', &token)) {
        if (token.len == 0) continue;
        size_t equals = weir_slice_find(token, '=');
        if (equals == 0 || equals == token.len || n == TAGS_MAX) return 0;
        tags[n].name = weir_slice_first(token, equals);
        tags[n++].value = weir_slice_from(token, equals + 1);
    }
    if (n > 0) *ret_base = weir_slice_first(name, cut);
    return n;
}

static weir_stat register_stat(struct weir_vm *vm, struct weir_slice name, enum weir_stat_kind kind)
{
    if (!vm->opts->stats) return 0;
    struct weir_tag tags[TAGS_MAX];
    struct weir_slice base;
    uint32_t n_tags = split_tags(name, &base, tags);
    char prefix[sizeof PREFIX + WEIR_WASM_METRIC_NAME_MAX], prom_prefix[sizeof PREFIX + WEIR_WASM_METRIC_NAME_MAX];
    if (n_tags == 0) {
        struct weir_stats_scope plain = {.prefix = WEIR_S(PREFIX), .prom_prefix = WEIR_S(PREFIX)};
        return weir_stats_register(vm->opts->stats, &plain, name, kind);
    }
    int prefix_len = snprintf(prefix, sizeof prefix, PREFIX "%.*s", WEIR_SARG(name));
    int prom_len = snprintf(prom_prefix, sizeof prom_prefix, PREFIX "%.*s", WEIR_SARG(base));
    struct weir_stats_scope tagged = {weir_slice(prefix, (size_t)prefix_len), weir_slice(prom_prefix, (size_t)prom_len), tags,
                                      n_tags};
    return weir_stats_register(vm->opts->stats, &tagged, WEIR_S(""), kind);
}

static uint32_t call_define(struct weir_call *c)
{
    static const enum weir_stat_kind kinds[WEIR_WASM_METRIC_COUNT] = {WEIR_STAT_COUNTER, WEIR_STAT_GAUGE, WEIR_STAT_HISTOGRAM};
    struct weir_vm *vm = c->vm;
    uint32_t type = weir_arg(c, 0);
    struct weir_slice name;
    if (type >= WEIR_WASM_METRIC_COUNT) return WEIR_WASM_BAD_ARGUMENT;
    if (!weir_guest_arg_slice(c, 1, &name) || !weir_guest_valid(c, weir_arg(c, 3), 4)) return WEIR_WASM_INVALID_MEMORY_ACCESS;
    if (name.len > WEIR_WASM_METRIC_NAME_MAX || vm->n_metrics >= WEIR_WASM_METRICS_MAX) return WEIR_WASM_INTERNAL_FAILURE;
    if (vm->n_metrics == vm->cap_metrics) {
        vm->cap_metrics = vm->cap_metrics ? vm->cap_metrics * 2 : 16;
        vm->metrics = weir_xrealloc(vm->metrics, vm->cap_metrics * sizeof *vm->metrics);
    }
    vm->metrics[vm->n_metrics] = (struct weir_vm_metric){register_stat(vm, name, kinds[type]), (uint8_t)type};
    /* As Envoy: a new id at each call, steps of 4, the kind in the low bits. */
    uint32_t id = (++vm->n_metrics << 2) | type;
    return weir_guest_put_u32(c, weir_arg(c, 3), id) ? WEIR_WASM_OK : WEIR_WASM_INVALID_MEMORY_ACCESS;
}

static const struct weir_vm_metric *find(const struct weir_call *c)
{
    uint32_t id = weir_arg(c, 0), index = id >> 2;
    if (index == 0 || index > c->vm->n_metrics || c->vm->metrics[index - 1].kind != (id & 3)) return NULL;
    return &c->vm->metrics[index - 1];
}

static uint32_t call_increment(struct weir_call *c)
{
    const struct weir_vm_metric *metric = find(c);
    int64_t by = weir_arg64(c, 1);
    if (!metric) return WEIR_WASM_NOT_FOUND;
    if (metric->kind == WEIR_WASM_HISTOGRAM || (metric->kind == WEIR_WASM_COUNTER && by <= 0)) return WEIR_WASM_BAD_ARGUMENT;
    if (c->vm->opts->sw) weir_stat_add(c->vm->opts->sw, metric->stat, (uint64_t)by);
    return WEIR_WASM_OK;
}

static uint32_t call_record(struct weir_call *c)
{
    const struct weir_vm_metric *metric = find(c);
    uint64_t value = (uint64_t)weir_arg64(c, 1);
    if (!metric) return WEIR_WASM_NOT_FOUND;
    if (!c->vm->opts->sw) return WEIR_WASM_OK;
    if (metric->kind == WEIR_WASM_COUNTER) weir_stat_add(c->vm->opts->sw, metric->stat, value);
    if (metric->kind == WEIR_WASM_GAUGE) weir_stat_set_global(c->vm->opts->stats, metric->stat, value);
    if (metric->kind == WEIR_WASM_HISTOGRAM) weir_stat_record(c->vm->opts->sw, metric->stat, value);
    return WEIR_WASM_OK;
}

static uint32_t call_get(struct weir_call *c)
{
    const struct weir_vm_metric *metric = find(c);
    if (!metric) return WEIR_WASM_NOT_FOUND;
    if (metric->kind == WEIR_WASM_HISTOGRAM) return WEIR_WASM_BAD_ARGUMENT;
    uint64_t value = c->vm->opts->stats ? weir_stats_value(c->vm->opts->stats, metric->stat) : 0;
    return weir_guest_put_u64(c, weir_arg(c, 1), value) ? WEIR_WASM_OK : WEIR_WASM_INVALID_MEMORY_ACCESS;
}

static const struct weir_hostcall rows[] = {
    {"proxy_define_metric", "iiii:i", call_define, 0, WEIR_WASM_OK},
    {"proxy_increment_metric", "iI:i", call_increment, 0, WEIR_WASM_NOT_FOUND},
    {"proxy_record_metric", "iI:i", call_record, 0, WEIR_WASM_NOT_FOUND},
    {"proxy_get_metric", "ii:i", call_get, 0, WEIR_WASM_NOT_FOUND},
};
const struct weir_hostcall_table weir_hostcalls_metrics = {rows, WEIR_COUNTOF(rows)};
