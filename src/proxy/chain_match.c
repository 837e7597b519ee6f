/* Filter chain selection. Envoy goes through the criteria in a fixed order; each keeps those chains that match most specifically
 * and there is no way back: a chain that loses one criterion is out, even if no other matches in the end. */
#include "proxy/chain_match.h"

#include "config/config.h"
#include "config/values.h"
#include "envoy/config/listener/v3/listener_components.pb-c.h"

typedef Envoy__Config__Listener__V3__FilterChainMatch Match;
enum { SOURCE_ANY, SOURCE_LOCAL, SOURCE_EXTERNAL };

struct cidrs {
    struct weir_cidr *v;
    size_t n;
};
struct slices {
    struct weir_slice *v;
    size_t n;
};
struct weir_chain_match {
    uint32_t destination_port; /* 0 = any */
    struct cidrs destination, direct_source, source;
    struct slices server_names, alpn;
    struct weir_slice transport_protocol;
    int source_type;
    const uint32_t *source_ports;
    size_t n_source_ports;
};

/* ---- how specifically one criterion matches: 0 = it does not, 1 = it does not care, more = closer ---- */

static uint32_t score_cidrs(const struct cidrs *cidrs, const struct weir_addr *addr)
{
    uint32_t best = 0;
    if (cidrs->n == 0) return 1;
    for (size_t i = 0; i < cidrs->n; i++)
        if (weir_cidr_contains(&cidrs->v[i], addr)) best = WEIR_MAX(best, cidrs->v[i].bits + 2u);
    return best;
}

static uint32_t score_port(const struct weir_chain_match *m, const struct weir_chain_facts *facts)
{
    if (m->destination_port == 0) return 1;
    return weir_addr_port(facts->local) == m->destination_port ? 2 : 0;
}

static uint32_t score_destination(const struct weir_chain_match *m, const struct weir_chain_facts *facts)
{
    return score_cidrs(&m->destination, facts->local);
}

static uint32_t score_server_name(const struct weir_chain_match *m, const struct weir_chain_facts *facts)
{
    uint32_t best = 0;
    if (m->server_names.n == 0) return 1;
    for (size_t i = 0; i < m->server_names.n; i++) {
        struct weir_slice name = m->server_names.v[i];
        bool wild = weir_slice_starts_with(name, WEIR_S("*."));
        struct weir_slice suffix = weir_slice_from(name, 1);
        if (wild ? facts->server_name.len > suffix.len && weir_slice_ends_with(facts->server_name, suffix)
                 : weir_slice_eq(facts->server_name, name))
            best = WEIR_MAX(best, wild ? (uint32_t)suffix.len + 1 : UINT32_MAX);
    }
    return best;
}

static uint32_t score_transport(const struct weir_chain_match *m, const struct weir_chain_facts *facts)
{
    if (m->transport_protocol.len == 0) return 1;
    return weir_slice_eq(m->transport_protocol, facts->transport_protocol) ? 2 : 0;
}

static uint32_t score_alpn(const struct weir_chain_match *m, const struct weir_chain_facts *facts)
{
    if (m->alpn.n == 0) return 1;
    for (uint32_t offered = 0; offered < facts->n_alpn; offered++)
        for (size_t i = 0; i < m->alpn.n; i++)
            if (weir_slice_eq(m->alpn.v[i], facts->alpn[offered])) return facts->n_alpn - offered + 1;
    return 0;
}

static uint32_t score_direct_source(const struct weir_chain_match *m, const struct weir_chain_facts *facts)
{
    return score_cidrs(&m->direct_source, facts->direct_remote);
}

static bool same_machine(const struct weir_chain_facts *facts)
{
    struct weir_addr remote = *facts->remote;
    if (!weir_addr_is_ip(&remote) || weir_addr_is_loopback(&remote)) return true;
    weir_addr_set_port(&remote, weir_addr_port(facts->local));
    return weir_addr_eq(&remote, facts->local);
}

static uint32_t score_source_type(const struct weir_chain_match *m, const struct weir_chain_facts *facts)
{
    if (m->source_type == SOURCE_ANY) return 1;
    return same_machine(facts) == (m->source_type == SOURCE_LOCAL) ? 2 : 0;
}

static uint32_t score_source(const struct weir_chain_match *m, const struct weir_chain_facts *facts)
{
    return score_cidrs(&m->source, facts->remote);
}

static uint32_t score_source_port(const struct weir_chain_match *m, const struct weir_chain_facts *facts)
{
    if (m->n_source_ports == 0) return 1;
    for (size_t i = 0; i < m->n_source_ports; i++)
        if (weir_addr_port(facts->remote) == m->source_ports[i]) return 2;
    return 0;
}

typedef uint32_t score_fn(const struct weir_chain_match *m, const struct weir_chain_facts *facts);
/* Envoy's order (FilterChainMatch's documentation). */
static score_fn *const criteria[] = {
    score_port,          score_destination, score_server_name, score_transport,  score_alpn,
    score_direct_source, score_source_type, score_source,      score_source_port,
};

#define CHAINS_MAX 256u

const struct weir_filter_chain *weir_chain_match_find(const struct weir_listener *listener, const struct weir_chain_facts *facts)
{
    uint16_t left[CHAINS_MAX];
    uint32_t n = 0;
    if (listener->n_chains == 1 && !listener->chains[0].match) return &listener->chains[0];
    for (uint32_t i = 0; i < listener->n_chains && i < CHAINS_MAX; i++) left[n++] = (uint16_t)i;
    for (size_t c = 0; c < WEIR_COUNTOF(criteria) && n > 0; c++) {
        uint32_t best = 0, kept = 0;
        for (uint32_t i = 0; i < n; i++) {
            const struct weir_chain_match *m = listener->chains[left[i]].match;
            uint32_t score = m ? criteria[c](m, facts) : 1;
            if (score == 0 || score < best) continue;
            if (score > best) kept = 0;
            best = score;
            left[kept++] = left[i];
        }
        n = kept;
    }
    return n ? &listener->chains[left[0]] : listener->default_chain;
}

/* ---- reading ---- */

static bool read_cidrs(struct weir_conf_ctx *ctx, const Match *msg, const char *field, Envoy__Config__Core__V3__CidrRange **v,
                       size_t n, struct cidrs *ret)
{
    bool ok = true;
    ret->v = WEIR_ARENA_ARRAY(ctx->arena, struct weir_cidr, n + 1);
    ret->n = n;
    for (size_t i = 0; i < n; i++) {
        if (weir_cidr_make(weir_proto_str(v[i]->address_prefix), weir_u32_value(v[i]->prefix_len, 0), &ret->v[i]) == WEIR_OK) continue;
        weir_config_error(ctx->config, msg, field, (int)i, "\"%s\" with a prefix of %u bits is no address range", v[i]->address_prefix,
                          weir_u32_value(v[i]->prefix_len, 0));
        ok = false;
    }
    return ok;
}

static void read_slices(struct weir_arena *arena, char **v, size_t n, struct slices *ret)
{
    ret->v = WEIR_ARENA_ARRAY(arena, struct weir_slice, n + 1);
    ret->n = n;
    for (size_t i = 0; i < n; i++) ret->v[i] = weir_arena_dup_lower(arena, weir_slice_str(v[i]));
}

static bool check_server_names(struct weir_conf_ctx *ctx, const Match *msg, const struct slices *names)
{
    bool ok = true;
    for (size_t i = 0; i < names->n; i++) {
        struct weir_slice name = names->v[i];
        struct weir_slice rest = weir_slice_starts_with(name, WEIR_S("*.")) ? weir_slice_from(name, 2) : name;
        if (rest.len && weir_slice_find(rest, '*') == rest.len) continue;
        weir_config_error(ctx->config, msg, "server_names", (int)i,
                          "\"%.*s\": a wildcard stands for whole labels in front, as in \"*.example.com\"", WEIR_SARG(name));
        ok = false;
    }
    return ok;
}

enum weir_err weir_chain_match_new(struct weir_conf_ctx *ctx, const void *message, const struct weir_chain_match **ret)
{
    const Match *msg = message;
    *ret = NULL;
    if (!msg) return WEIR_OK;
    struct weir_chain_match *m = WEIR_ARENA_NEW(ctx->arena, struct weir_chain_match);
    bool ok = read_cidrs(ctx, msg, "prefix_ranges", msg->prefix_ranges, msg->n_prefix_ranges, &m->destination);
    ok &= read_cidrs(ctx, msg, "direct_source_prefix_ranges", msg->direct_source_prefix_ranges, msg->n_direct_source_prefix_ranges,
                     &m->direct_source);
    ok &= read_cidrs(ctx, msg, "source_prefix_ranges", msg->source_prefix_ranges, msg->n_source_prefix_ranges, &m->source);
    read_slices(ctx->arena, msg->server_names, msg->n_server_names, &m->server_names);
    ok &= check_server_names(ctx, msg, &m->server_names);
    read_slices(ctx->arena, msg->application_protocols, msg->n_application_protocols, &m->alpn);
    m->destination_port = weir_u32_value(msg->destination_port, 0);
    m->transport_protocol = weir_proto_str(msg->transport_protocol);
    m->source_type = (int)msg->source_type;
    m->source_ports = msg->source_ports;
    m->n_source_ports = msg->n_source_ports;
    *ret = m;
    return ok ? WEIR_OK : WEIR_ERR_INVALID;
}

static bool same_cidrs(const struct cidrs *a, const struct cidrs *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->v[i].bits != b->v[i].bits || !weir_addr_eq(&a->v[i].base, &b->v[i].base)) return false;
    return true;
}

static bool same_slices(const struct slices *a, const struct slices *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!weir_slice_eq(a->v[i], b->v[i])) return false;
    return true;
}

static bool empty(const struct weir_chain_match *m)
{
    static const struct weir_chain_match none;
    return m->destination_port == 0 && same_cidrs(&m->destination, &none.destination) && same_cidrs(&m->source, &none.source) &&
           same_cidrs(&m->direct_source, &none.direct_source) && m->server_names.n == 0 && m->alpn.n == 0 &&
           m->transport_protocol.len == 0 && m->source_type == SOURCE_ANY && m->n_source_ports == 0;
}

bool weir_chain_match_same(const struct weir_chain_match *a, const struct weir_chain_match *b)
{
    if (!a || !b) return (!a || empty(a)) && (!b || empty(b));
    return a->destination_port == b->destination_port && same_cidrs(&a->destination, &b->destination) &&
           same_cidrs(&a->source, &b->source) && same_cidrs(&a->direct_source, &b->direct_source) &&
           same_slices(&a->server_names, &b->server_names) && same_slices(&a->alpn, &b->alpn) &&
           weir_slice_eq(a->transport_protocol, b->transport_protocol) && a->source_type == b->source_type &&
           a->n_source_ports == b->n_source_ports &&
           (a->n_source_ports == 0 || memcmp(a->source_ports, b->source_ports, a->n_source_ports * sizeof *a->source_ports) == 0);
}
