/* One lookup per name of a cluster, each with its own timer. A good answer replaces that name's addresses; the cluster's members are
 * made anew from all of its names, and hosts that stay are the same objects, so that their connections and counts stay too.
 * Rules: Envoy's StrictDnsClusterImpl and LogicalDnsCluster. Different: a name that is gone keeps its last addresses (members
 * lost to a resolver's bad moment are what Envoy's users complain about most). */
#include "upstream/cluster_dns.h"

#include "base/log.h"
#include "base/mem.h"

/* Addresses of one name that are used; a name with more is cut off. */
#define ADDRS_MAX 256

struct dns_cluster;

struct lookup {
    struct dns_cluster *of;
    const struct weir_endpoint *endpoint;
    struct weir_timer timer;
    void *handle;      /* of the lookup that runs, or NULL */
    int family;        /* that it asks for */
    bool second_try;   /* the other family */
    bool answered;     /* at least once, good or bad */
    uint32_t failures; /* in a row */
    struct weir_addr *addrs;
    uint32_t n_addrs;
};

struct dns_cluster {
    struct weir_cluster_dns *dns;
    struct weir_cluster *cluster; /* with a reference */
    struct weir_list link;
    struct lookup *lookups;
    bool stays; /* in the set that is being adopted */
};

struct weir_cluster_dns {
    struct weir_loop *loop;
    struct weir_stats_worker *sw;
    const struct weir_cluster_dns_ops *ops;
    void *arg;
    struct weir_list clusters;
    bool warming;
};

static void count(const struct dns_cluster *dc, enum weir_cluster_stat row)
{
    weir_cluster_count(dc->dns->sw, dc->cluster, row);
}

/* ---- members ---- */

static struct weir_host *find_host(const struct weir_host_set *set, const struct weir_endpoint *endpoint,
                                   const struct weir_addr *addr)
{
    for (uint32_t i = 0; i < set->n; i++) {
        struct weir_host *host = set->hosts[i];
        if (host->priority == endpoint->priority && host->weight == endpoint->weight &&
            weir_addr_eq(&host->addr, addr))
            return host;
    }
    return NULL;
}

static bool has_host(struct weir_host *const *hosts, uint32_t n, const struct weir_addr *addr,
                     uint32_t priority)
{
    for (uint32_t i = 0; i < n; i++)
        if (hosts[i]->priority == priority && weir_addr_eq(&hosts[i]->addr, addr))
            return true;
    return false;
}

static bool same_hosts(const struct weir_host_set *a, const struct weir_host_set *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->hosts[i] != b->hosts[i])
            return false;
    return true;
}

/* Makes the members anew; true if they changed. */
static bool rebuild(struct dns_cluster *dc)
{
    struct weir_cluster *cluster = dc->cluster;
    uint32_t most = cluster->fixed->n, n = 0;
    for (uint32_t i = 0; i < cluster->n_names; i++)
        most += dc->lookups[i].n_addrs;
    struct weir_host **hosts = weir_zalloc((most + 1) * sizeof(struct weir_host *));
    struct weir_host_set *before = weir_cluster_hosts(cluster);
    for (uint32_t i = 0; i < cluster->fixed->n; i++)
        hosts[n++] = weir_host_ref(cluster->fixed->hosts[i]);
    for (uint32_t i = 0; i < cluster->n_names; i++) {
        const struct lookup *l = &dc->lookups[i];
        for (uint32_t j = 0; j < l->n_addrs; j++) {
            if (has_host(hosts, n, &l->addrs[j], l->endpoint->priority))
                continue;
            struct weir_host *host = find_host(before, l->endpoint, &l->addrs[j]);
            hosts[n++] =
                host ? weir_host_ref(host) : weir_cluster_host_new(cluster, l->endpoint, &l->addrs[j]);
        }
    }
    struct weir_host_set *now = weir_host_set_new(hosts, n, cluster->overprovisioning);
    for (uint32_t i = 0; i < n; i++)
        weir_host_unref(hosts[i]);
    weir_free(hosts);
    bool changed = !same_hosts(before, now);
    weir_host_set_unref(before);
    if (changed)
        weir_cluster_set_hosts(cluster, now);
    else
        weir_host_set_unref(now);
    return changed;
}

/* ---- lookups ---- */

static void start(struct lookup *l);

static void check_warm(struct weir_cluster_dns *dns)
{
    if (!dns->warming)
        return;
    WEIR_LIST_EACH(&dns->clusters, it)
    {
        const struct dns_cluster *dc = WEIR_CONTAINER_OF(it, struct dns_cluster, link);
        for (uint32_t i = 0; dc->cluster->dns.wait && i < dc->cluster->n_names; i++)
            if (!dc->lookups[i].answered)
                return;
    }
    dns->warming = false;
    dns->ops->warm(dns->arg);
}

/* Back-off between failures: full jitter up to base * 2^(n-1), at least base. */
static uint64_t after_failure(const struct lookup *l)
{
    const struct weir_dns_conf *conf = &l->of->cluster->dns;
    if (!conf->failure_base_ms)
        return conf->refresh_ms;
    uint64_t limit = conf->failure_base_ms;
    for (uint32_t i = 1; i < l->failures && limit < conf->failure_max_ms; i++)
        limit *= 2;
    limit = WEIR_MIN(limit, conf->failure_max_ms);
    return WEIR_MAX(conf->failure_base_ms, weir_loop_random_below(l->of->dns->loop, limit + 1));
}

static void again_in(struct lookup *l, uint64_t ms)
{
    struct weir_loop *loop = l->of->dns->loop;
    uint64_t jitter = l->of->cluster->dns.jitter_ms;
    if (jitter)
        ms += weir_loop_random_below(loop, jitter);
    weir_timer_set(loop, &l->timer, WEIR_MAX(ms, 1));
}

static void keep_addrs(struct lookup *l, const struct weir_resolved *result)
{
    uint32_t n = WEIR_MIN(result->n, ADDRS_MAX);
    if (l->of->cluster->discovery == WEIR_DISCOVERY_LOGICAL_DNS)
        n = WEIR_MIN(n, 1);
    l->addrs = weir_xrealloc(l->addrs, (n + 1) * sizeof(*l->addrs));
    for (uint32_t i = 0; i < n; i++) {
        weir_addr_from_sockaddr(&result->v[i].addr, result->v[i].len, &l->addrs[i]);
        weir_addr_set_port(&l->addrs[i], l->endpoint->port);
    }
    l->n_addrs = n;
}

static void on_good(struct lookup *l, const struct weir_resolved *result)
{
    struct dns_cluster *dc = l->of;
    const struct weir_dns_conf *conf = &dc->cluster->dns;
    l->failures = 0;
    count(dc, WEIR_CLUSTER_STAT_update_success);
    keep_addrs(l, result);
    if (rebuild(dc)) {
        count(dc, WEIR_CLUSTER_STAT_membership_change);
        dc->dns->ops->changed(dc->dns->arg, dc->cluster);
    } else {
        count(dc, WEIR_CLUSTER_STAT_update_no_rebuild);
    }
    again_in(l, conf->respect_ttl && result->ttl_s ? (uint64_t)result->ttl_s * 1000 : conf->refresh_ms);
}

static void on_bad(struct lookup *l, enum weir_err err)
{
    struct dns_cluster *dc = l->of;
    l->failures++;
    count(dc, err == WEIR_ERR_NOT_FOUND ? WEIR_CLUSTER_STAT_update_empty : WEIR_CLUSTER_STAT_update_failure);
    WEIR_LOG_LIMITED(WARN, DNS, "cluster %.*s: %.*s: %s; %s", WEIR_SARG(dc->cluster->name),
                     WEIR_SARG(l->endpoint->name), weir_err_text(err),
                     l->n_addrs ? "its last addresses stay in use" : "it has no address yet");
    again_in(l, after_failure(l));
}

/* The family to ask for next when this one brought nothing; 0 = none. */
static int other_family(const struct lookup *l)
{
    enum weir_dns_family family = l->of->cluster->dns.family;
    if (l->second_try)
        return 0;
    if (family == WEIR_DNS_AUTO)
        return AF_INET;
    return family == WEIR_DNS_V4_PREFERRED ? AF_INET6 : 0;
}

static void ask(struct lookup *l);

static void on_answer(void *arg, enum weir_err err, const struct weir_resolved *result)
{
    struct lookup *l = arg;
    l->handle = NULL;
    int other = other_family(l);
    if ((err != WEIR_OK || result->n == 0) && other) {
        l->family = other;
        l->second_try = true;
        ask(l);
        return;
    }
    l->answered = true;
    if (err == WEIR_OK && result->n > 0)
        on_good(l, result);
    else
        on_bad(l, err == WEIR_OK ? WEIR_ERR_NOT_FOUND : err);
    check_warm(l->of->dns);
}

static void ask(struct lookup *l)
{
    struct weir_loop *loop = l->of->dns->loop;
    l->handle = loop->ops->resolve(loop, l->endpoint->name, l->family, on_answer, l);
}

static void start(struct lookup *l)
{
    static const int first[] = {
        [WEIR_DNS_AUTO] = AF_INET6,        [WEIR_DNS_V4_ONLY] = AF_INET, [WEIR_DNS_V6_ONLY] = AF_INET6,
        [WEIR_DNS_V4_PREFERRED] = AF_INET, [WEIR_DNS_ALL] = AF_UNSPEC,
    };
    l->family = first[l->of->cluster->dns.family];
    l->second_try = false;
    count(l->of, WEIR_CLUSTER_STAT_update_attempt);
    ask(l);
}

static void on_timer(struct weir_timer *timer)
{
    start(WEIR_CONTAINER_OF(timer, struct lookup, timer));
}

/* ---- clusters ---- */

/* What another cluster knows of the same name: a changed cluster need not begin without members. */
static void inherit(struct weir_cluster_dns *dns, struct lookup *l)
{
    WEIR_LIST_EACH(&dns->clusters, it)
    {
        const struct dns_cluster *dc = WEIR_CONTAINER_OF(it, struct dns_cluster, link);
        for (uint32_t i = 0; dc != l->of && i < dc->cluster->n_names; i++) {
            const struct lookup *from = &dc->lookups[i];
            if (!from->n_addrs || !weir_slice_eq(from->endpoint->name, l->endpoint->name) ||
                dc->cluster->dns.family != l->of->cluster->dns.family)
                continue;
            l->n_addrs = l->of->cluster->discovery == WEIR_DISCOVERY_LOGICAL_DNS ? 1 : from->n_addrs;
            l->addrs = weir_xrealloc(l->addrs, l->n_addrs * sizeof(*l->addrs));
            memcpy(l->addrs, from->addrs, l->n_addrs * sizeof(*l->addrs));
            for (uint32_t j = 0; j < l->n_addrs; j++)
                weir_addr_set_port(&l->addrs[j], l->endpoint->port);
            l->answered = true;
            return;
        }
    }
}

static void add_cluster(struct weir_cluster_dns *dns, struct weir_cluster *cluster)
{
    struct dns_cluster *dc = WEIR_NEW(struct dns_cluster);
    dc->dns = dns;
    dc->cluster = weir_cluster_ref(cluster);
    dc->stays = true;
    dc->lookups = weir_zalloc(cluster->n_names * sizeof(struct lookup));
    for (uint32_t i = 0; i < cluster->n_names; i++) {
        struct lookup *l = &dc->lookups[i];
        l->of = dc;
        l->endpoint = &cluster->names[i];
        weir_timer_init(&l->timer, on_timer);
        inherit(dns, l);
    }
    weir_list_push_back(&dns->clusters, &dc->link);
    (void)rebuild(dc);
    for (uint32_t i = 0; i < cluster->n_names; i++)
        start(&dc->lookups[i]);
}

static void remove_cluster(struct dns_cluster *dc)
{
    struct weir_loop *loop = dc->dns->loop;
    for (uint32_t i = 0; i < dc->cluster->n_names; i++) {
        struct lookup *l = &dc->lookups[i];
        weir_timer_stop(loop, &l->timer);
        if (l->handle)
            loop->ops->resolve_cancel(loop, l->handle);
        weir_free(l->addrs);
    }
    weir_list_unlink(&dc->link);
    weir_free(dc->lookups);
    weir_cluster_unref(dc->cluster);
    weir_free(dc);
}

static struct dns_cluster *find(struct weir_cluster_dns *dns, const struct weir_cluster *cluster)
{
    WEIR_LIST_EACH(&dns->clusters, it)
    {
        struct dns_cluster *dc = WEIR_CONTAINER_OF(it, struct dns_cluster, link);
        if (dc->cluster == cluster)
            return dc;
    }
    return NULL;
}

struct weir_cluster_dns *weir_cluster_dns_new(struct weir_loop *loop, struct weir_stats_worker *sw,
                                              const struct weir_cluster_dns_ops *ops, void *arg)
{
    struct weir_cluster_dns *dns = WEIR_NEW(struct weir_cluster_dns);
    *dns = (struct weir_cluster_dns){.loop = loop, .sw = sw, .ops = ops, .arg = arg};
    weir_list_init(&dns->clusters);
    return dns;
}

bool weir_cluster_dns_set(struct weir_cluster_dns *dns, struct weir_clusters *clusters)
{
    bool warm = true;
    WEIR_LIST_EACH(&dns->clusters, it) WEIR_CONTAINER_OF(it, struct dns_cluster, link)->stays = false;
    for (uint32_t i = 0; i < clusters->n; i++) {
        struct weir_cluster *cluster = clusters->v[i];
        if (cluster->n_names == 0)
            continue;
        struct dns_cluster *dc = find(dns, cluster);
        if (dc)
            dc->stays = true;
        else
            add_cluster(dns, cluster);
    }
    WEIR_LIST_EACH(&dns->clusters, it)
    {
        struct dns_cluster *dc = WEIR_CONTAINER_OF(it, struct dns_cluster, link);
        if (!dc->stays) {
            remove_cluster(dc);
            continue;
        }
        for (uint32_t i = 0; dc->cluster->dns.wait && i < dc->cluster->n_names; i++)
            warm &= dc->lookups[i].answered;
    }
    dns->warming = !warm;
    return warm;
}

void weir_cluster_dns_free(struct weir_cluster_dns *dns)
{
    if (!dns)
        return;
    WEIR_LIST_EACH(&dns->clusters, it) remove_cluster(WEIR_CONTAINER_OF(it, struct dns_cluster, link));
    weir_free(dns);
}
