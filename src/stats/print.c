/* Stats as text. Envoy's order: counters and gauges together by name, then histograms by name; Prometheus groups by kind
 * and metric. Rule: Envoy 1.39 stats_render.cc, prometheus_stats.cc (sums are exact here, Envoy's come from the bins). */
#include "stats/print.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats/histogram.h"

void weir_stats_print_number(struct weir_str *out, double value, bool compact)
{
    char text[64], fixed[64];
    if (isnan(value)) {
        weir_str_adds(out, "nan");
        return;
    }
    int precision = 0;
    do {
        (void)snprintf(text, sizeof(text), "%.*e", precision, value);
    } while (precision++ < 16 && strtod(text, NULL) != value);
    precision--;
    const char *e = strchr(text, 'e');
    int exponent = e ? (int)strtol(e + 1, NULL, 10) : 0;
    int decimals = precision > exponent ? precision - exponent : 0;
    /* "1.50e+00" never occurs: the shortest mantissa has no zero at its end. */
    (void)snprintf(fixed, sizeof(fixed), "%.*f", decimals, value);
    bool use_fixed = compact ? strlen(fixed) <= strlen(text) : exponent >= -4 && exponent < 16;
    weir_str_adds(out, use_fixed ? fixed : text);
}

/* ---- what all formats share ---- */

struct printer {
    const struct weir_stats_style *style;
    struct weir_str *out;
    struct weir_str histograms; // printed after the rest
    uint32_t n, n_histograms;
    struct weir_arena arena; // Prometheus: texts until they are sorted
    struct metric *metrics;
    uint32_t n_metrics, cap_metrics;
};

static bool wanted(const struct weir_stats_style *style, const struct weir_stat_view *view)
{
    if (style->used_only && !view->used)
        return false;
    if (style->kinds && !(style->kinds & 1u << view->kind))
        return false;
    return !style->filter || weir_regex_search(style->filter, view->name);
}

/* One bucket's counts. */
struct bucket {
    uint64_t interval, cumulative;
};
static struct bucket bucket_at(const struct weir_histogram_view *h, size_t i, bool disjoint)
{
    struct bucket b = {weir_histogram_count_upto(&h->interval, weir_histogram_buckets[i]),
                       weir_histogram_count_upto(&h->cumulative, weir_histogram_buckets[i])};
    if (disjoint && i > 0) {
        b.interval -= weir_histogram_count_upto(&h->interval, weir_histogram_buckets[i - 1]);
        b.cumulative -= weir_histogram_count_upto(&h->cumulative, weir_histogram_buckets[i - 1]);
    }
    return b;
}

/* ---- text ---- */

static void text_summary(struct weir_str *out, const struct weir_histogram_view *h)
{
    for (size_t i = 0; i < WEIR_COUNTOF(weir_histogram_quantiles); i++) {
        weir_str_printf(out, "%sP%g(", i ? " " : "", weir_histogram_quantiles[i]);
        weir_stats_print_number(out, weir_histogram_quantile(&h->interval, weir_histogram_quantiles[i]),
                                false);
        weir_str_addc(out, ',');
        weir_stats_print_number(out, weir_histogram_quantile(&h->cumulative, weir_histogram_quantiles[i]),
                                false);
        weir_str_addc(out, ')');
    }
}

static void text_buckets(struct weir_str *out, const struct weir_histogram_view *h, bool disjoint)
{
    for (size_t i = 0; i < WEIR_COUNTOF(weir_histogram_buckets); i++) {
        struct bucket b = bucket_at(h, i, disjoint);
        weir_str_printf(out, "%sB%g(%llu,%llu)", i ? " " : "", weir_histogram_buckets[i],
                        (unsigned long long)b.interval, (unsigned long long)b.cumulative);
    }
}

static void text_bins(struct weir_str *out, const char *label, const struct weir_histogram_data *data)
{
    weir_str_printf(out, "\n  %s=", label);
    for (uint32_t i = 0; i < data->n_bins; i++) {
        if (i)
            weir_str_adds(out, ", ");
        weir_stats_print_number(out, data->bins[i].low, false);
        weir_str_printf(out, ",%g:%llu", data->bins[i].width, (unsigned long long)data->bins[i].n);
    }
}

static void text_histogram(struct weir_str *out, const struct weir_stat_view *view,
                           enum weir_stats_buckets buckets)
{
    const struct weir_histogram_view *h = view->histogram;
    weir_str_add(out, view->name);
    weir_str_addc(out, ':');
    if (h->cumulative.count == 0) {
        weir_str_adds(out, " No recorded values\n");
        return;
    }
    switch (buckets) {
    case WEIR_STATS_BUCKETS_SUMMARY:
        weir_str_addc(out, ' ');
        text_summary(out, h);
        break;
    case WEIR_STATS_BUCKETS_CUMULATIVE:
    case WEIR_STATS_BUCKETS_DISJOINT:
        weir_str_addc(out, ' ');
        text_buckets(out, h, buckets == WEIR_STATS_BUCKETS_DISJOINT);
        break;
    case WEIR_STATS_BUCKETS_DETAILED:
        text_bins(out, "totals", &h->cumulative);
        text_bins(out, "intervals", &h->interval);
        weir_str_adds(out, "\n  summary=");
        text_summary(out, h);
        break;
    }
    weir_str_addc(out, '\n');
}

static bool text_stat(void *arg, const struct weir_stat_view *view)
{
    struct printer *p = arg;
    if (!wanted(p->style, view))
        return true;
    if (view->kind == WEIR_STAT_HISTOGRAM) {
        text_histogram(&p->histograms, view, p->style->buckets);
        return true;
    }
    weir_str_add(p->out, view->name);
    weir_str_adds(p->out, ": ");
    weir_str_addu(p->out, view->value);
    weir_str_addc(p->out, '\n');
    return !p->out->overflow;
}

/* ---- JSON ---- */

static void json_number(struct weir_str *out, double value)
{
    if (isnan(value))
        weir_str_adds(out, "null");
    else
        weir_stats_print_number(out, value, true);
}

static void json_quantile_list(struct weir_str *out)
{
    weir_str_addc(out, '[');
    for (size_t i = 0; i < WEIR_COUNTOF(weir_histogram_quantiles); i++)
        weir_str_printf(out, "%s%g", i ? "," : "", weir_histogram_quantiles[i]);
    weir_str_addc(out, ']');
}

static void json_quantiles(struct weir_str *out, const struct weir_histogram_view *h)
{
    weir_str_addc(out, '[');
    for (size_t i = 0; i < WEIR_COUNTOF(weir_histogram_quantiles); i++) {
        weir_str_adds(out, i ? ",{\"cumulative\":" : "{\"cumulative\":");
        json_number(out, weir_histogram_quantile(&h->cumulative, weir_histogram_quantiles[i]));
        weir_str_adds(out, ",\"interval\":");
        json_number(out, weir_histogram_quantile(&h->interval, weir_histogram_quantiles[i]));
        weir_str_addc(out, '}');
    }
    weir_str_addc(out, ']');
}

static void json_buckets(struct weir_str *out, const struct weir_histogram_view *h, bool disjoint)
{
    weir_str_addc(out, '[');
    for (size_t i = 0; i < WEIR_COUNTOF(weir_histogram_buckets); i++) {
        struct bucket b = bucket_at(h, i, disjoint);
        weir_str_adds(out, i ? ",{\"upper_bound\":" : "{\"upper_bound\":");
        json_number(out, weir_histogram_buckets[i]);
        weir_str_printf(out, ",\"interval\":%llu,\"cumulative\":%llu}", (unsigned long long)b.interval,
                        (unsigned long long)b.cumulative);
    }
    weir_str_addc(out, ']');
}

static void json_bins(struct weir_str *out, const char *label, const struct weir_histogram_data *data)
{
    weir_str_printf(out, ",\"%s\":[", label);
    for (uint32_t i = 0; i < data->n_bins; i++) {
        weir_str_adds(out, i ? ",{\"lower_bound\":" : "{\"lower_bound\":");
        json_number(out, data->bins[i].low);
        weir_str_adds(out, ",\"width\":");
        json_number(out, data->bins[i].width);
        weir_str_printf(out, ",\"count\":%llu}", (unsigned long long)data->bins[i].n);
    }
    weir_str_addc(out, ']');
}

static void json_name(struct weir_str *out, uint32_t n_before, struct weir_slice name)
{
    weir_str_adds(out, n_before ? ",{\"name\":\"" : "{\"name\":\"");
    weir_str_add_json(out, name);
    weir_str_addc(out, '"');
}

static void json_histogram(struct weir_str *out, const struct weir_histogram_view *h,
                           enum weir_stats_buckets buckets)
{
    switch (buckets) {
    case WEIR_STATS_BUCKETS_SUMMARY:
        weir_str_adds(out, ",\"values\":");
        json_quantiles(out, h);
        break;
    case WEIR_STATS_BUCKETS_CUMULATIVE:
    case WEIR_STATS_BUCKETS_DISJOINT:
        weir_str_adds(out, ",\"buckets\":");
        json_buckets(out, h, buckets == WEIR_STATS_BUCKETS_DISJOINT);
        break;
    case WEIR_STATS_BUCKETS_DETAILED:
        weir_str_adds(out, ",\"percentiles\":");
        json_quantiles(out, h);
        json_bins(out, "totals", &h->cumulative);
        json_bins(out, "intervals", &h->interval);
        break;
    }
}

static bool json_stat(void *arg, const struct weir_stat_view *view)
{
    struct printer *p = arg;
    if (!wanted(p->style, view))
        return true;
    if (view->kind == WEIR_STAT_HISTOGRAM) {
        json_name(&p->histograms, p->n_histograms++, view->name);
        json_histogram(&p->histograms, view->histogram, p->style->buckets);
        weir_str_addc(&p->histograms, '}');
        return true;
    }
    json_name(p->out, p->n++, view->name);
    weir_str_printf(p->out, ",\"value\":%llu}", (unsigned long long)view->value);
    return !p->out->overflow;
}

static void json_finish(struct printer *p)
{
    struct weir_str *out = p->out;
    enum weir_stats_buckets buckets = p->style->buckets;
    if (p->n_histograms > 0) {
        weir_str_adds(out, p->n ? ",{\"histograms\":" : "{\"histograms\":");
        bool listed = buckets == WEIR_STATS_BUCKETS_CUMULATIVE || buckets == WEIR_STATS_BUCKETS_DISJOINT;
        if (!listed) {
            bool summary = buckets == WEIR_STATS_BUCKETS_SUMMARY;
            weir_str_adds(out, summary ? "{\"supported_quantiles\":" : "{\"supported_percentiles\":");
            json_quantile_list(out);
            weir_str_adds(out, summary ? ",\"computed_quantiles\":" : ",\"details\":");
        }
        weir_str_addc(out, '[');
        if (p->histograms.len)
            weir_str_add(out, weir_str_slice(&p->histograms));
        weir_str_adds(out, listed ? "]}" : "]}}");
    }
    weir_str_adds(out, "]}");
}

/* ---- Prometheus ---- */

struct metric {
    struct weir_slice name; // as it will be printed
    struct weir_slice text; // its lines
    uint32_t seq;           // order of full names
    enum weir_stat_kind kind;
};

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void add_sanitised(struct weir_str *out, struct weir_slice s, char also)
{
    for (size_t i = 0; i < s.len; i++)
        weir_str_addc(out, name_char(s.ptr[i]) || s.ptr[i] == also ? s.ptr[i] : '_');
}

/* What guests define stands in a name space of its own: Envoy prints it bare. */
static void metric_name(struct weir_str *out, struct weir_slice name)
{
    if (weir_slice_starts_with(name, WEIR_S("wasmcustom."))) {
        name = weir_slice_from(name, 11);
        if (name.len && name.ptr[0] >= '0' && name.ptr[0] <= '9')
            weir_str_addc(out, '_');
    } else {
        weir_str_adds(out, "envoy_");
    }
    add_sanitised(out, name, ':');
}

static void add_tags(struct weir_str *out, const struct weir_stat_view *view)
{
    for (uint32_t i = 0; i < view->n_tags; i++) {
        struct weir_slice value = view->tags[i].value;
        if (i)
            weir_str_addc(out, ',');
        add_sanitised(out, view->tags[i].name, '_');
        weir_str_adds(out, "=\"");
        for (size_t k = 0; k < value.len; k++) {
            char c = value.ptr[k];
            if (c == '\\' || c == '"')
                weir_str_addc(out, '\\');
            if (c == '\n')
                weir_str_adds(out, "\\n");
            else
                weir_str_addc(out, c);
        }
        weir_str_addc(out, '"');
    }
}

/* name<suffix>{tags<,><label>} */
static void sample_start(struct weir_str *out, struct weir_slice name, const char *suffix,
                         struct weir_slice tags)
{
    weir_str_add(out, name);
    weir_str_adds(out, suffix);
    weir_str_addc(out, '{');
    weir_str_add(out, tags);
}

static void prometheus_histogram(struct weir_str *out, struct weir_slice name, struct weir_slice tags,
                                 const struct weir_histogram_data *data, bool summary)
{
    const char *comma = tags.len ? "," : "";
    size_t n = summary ? WEIR_COUNTOF(weir_histogram_quantiles) : WEIR_COUNTOF(weir_histogram_buckets);
    for (size_t i = 0; i < n; i++) {
        sample_start(out, name, summary ? "" : "_bucket", tags);
        if (summary) {
            weir_str_printf(out, "%squantile=\"%g\"} ", comma, weir_histogram_quantiles[i] / 100);
            weir_stats_print_number(out, weir_histogram_quantile(data, weir_histogram_quantiles[i]), false);
        } else {
            weir_str_printf(out, "%sle=\"%.32g\"} ", comma, weir_histogram_buckets[i]);
            weir_str_addu(out, weir_histogram_count_upto(data, weir_histogram_buckets[i]));
        }
        weir_str_addc(out, '\n');
    }
    if (!summary) {
        sample_start(out, name, "_bucket", tags);
        weir_str_printf(out, "%sle=\"+Inf\"} %llu\n", comma, (unsigned long long)data->count);
    }
    sample_start(out, name, "_sum", tags);
    weir_str_printf(out, "} %llu\n", (unsigned long long)data->sum);
    sample_start(out, name, "_count", tags);
    weir_str_printf(out, "} %llu\n", (unsigned long long)data->count);
}

static bool prometheus_stat(void *arg, const struct weir_stat_view *view)
{
    struct printer *p = arg;
    if (!wanted(p->style, view))
        return true;
    struct weir_str text, tags;
    weir_str_init(&text, 1 << 20);
    weir_str_init(&tags, 1 << 16);
    metric_name(&text, view->prom_name);
    struct metric metric = {.name = weir_arena_dup(&p->arena, weir_str_slice(&text)), .kind = view->kind};
    add_tags(&tags, view);
    weir_str_clear(&text);
    if (view->kind == WEIR_STAT_HISTOGRAM) {
        prometheus_histogram(&text, metric.name, weir_str_slice(&tags), &view->histogram->cumulative,
                             p->style->buckets == WEIR_STATS_BUCKETS_SUMMARY);
    } else {
        sample_start(&text, metric.name, "", weir_str_slice(&tags));
        weir_str_printf(&text, "} %llu\n", (unsigned long long)view->value);
    }
    metric.text = weir_arena_dup(&p->arena, weir_str_slice(&text));
    metric.seq = p->n_metrics;
    if (p->n_metrics == p->cap_metrics) {
        p->cap_metrics = p->cap_metrics ? p->cap_metrics * 2 : 256;
        p->metrics = weir_xrealloc(p->metrics, p->cap_metrics * sizeof(*p->metrics));
    }
    p->metrics[p->n_metrics++] = metric;
    weir_str_fini(&text);
    weir_str_fini(&tags);
    return true;
}

static int compare_metrics(const void *a, const void *b)
{
    const struct metric *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    int order = weir_slice_cmp(x->name, y->name);
    return order ? order : (x->seq > y->seq) - (x->seq < y->seq);
}

static void prometheus_finish(struct printer *p)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    if (p->n_metrics == 0)
        return;
    qsort(p->metrics, p->n_metrics, sizeof(*p->metrics), compare_metrics);
    for (uint32_t i = 0; i < p->n_metrics && !p->out->overflow; i++) {
        const struct metric *m = &p->metrics[i];
        if (i == 0 || m->kind != m[-1].kind || !weir_slice_eq(m->name, m[-1].name)) {
            bool summary = m->kind == WEIR_STAT_HISTOGRAM && p->style->buckets == WEIR_STATS_BUCKETS_SUMMARY;
            weir_str_printf(p->out, "# TYPE %.*s %s\n", WEIR_SARG(m->name),
                            summary ? "summary" : types[m->kind]);
        }
        weir_str_add(p->out, m->text);
    }
}

void weir_stats_print(struct weir_stats *stats, const struct weir_stats_style *style, struct weir_str *out)
{
    struct printer p = {.style = style, .out = out};
    weir_str_init(&p.histograms, out->max);
    weir_arena_init(&p.arena, NULL);
    switch (style->format) {
    case WEIR_STATS_TEXT:
        weir_stats_each(stats, text_stat, &p);
        if (p.histograms.len)
            weir_str_add(out, weir_str_slice(&p.histograms));
        break;
    case WEIR_STATS_JSON:
        weir_str_adds(out, "{\"stats\":[");
        weir_stats_each(stats, json_stat, &p);
        json_finish(&p);
        break;
    case WEIR_STATS_PROMETHEUS:
        weir_stats_each(stats, prometheus_stat, &p);
        prometheus_finish(&p);
        break;
    }
    weir_free(p.metrics);
    weir_arena_fini(&p.arena);
    weir_str_fini(&p.histograms);
}
