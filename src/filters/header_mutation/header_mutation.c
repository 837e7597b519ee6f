/* The filter's own mutations, then those of the most specific level of the route that has some (Envoy: those of all levels; which
 * of them comes last is most_specific_header_mutations_wins). */
#include "filters/header_mutation/header_mutation.h"

#include "config/supported.h"
#include "envoy/extensions/filters/http/header_mutation/v3/header_mutation.pb-c.h"
#include "proxy/conf_ctx.h"
#include "proxy/header_mutation.h"
#include "proxy/stream.h"

typedef Envoy__Extensions__Filters__Http__HeaderMutation__V3__Mutations Mutations;
typedef Envoy__Extensions__Filters__Http__HeaderMutation__V3__HeaderMutation HeaderMutation;
typedef Envoy__Extensions__Filters__Http__HeaderMutation__V3__HeaderMutationPerRoute PerRoute;

struct conf {
    const struct weir_header_mutation *request, *response, *request_trailers, *response_trailers;
};

static const struct weir_supported_field mutations_table[] = {
    {.name = "request_mutations"},
    {.name = "response_mutations"},
    {.name = "request_trailers_mutations"},
    {.name = "response_trailers_mutations"},
};
static const struct weir_supported_fields mutations_fields = WEIR_SUPPORTED(
    envoy__extensions__filters__http__header_mutation__v3__mutations__descriptor, mutations_table);

static const struct weir_supported_field filter_table[] = {
    {.name = "mutations", .nested = &mutations_fields},
    {.name = "most_specific_header_mutations_wins",
     .state = WEIR_FIELD_HARMLESS,
     .note = "one level of routes is looked at"},
};
static const struct weir_supported_fields filter_fields = WEIR_SUPPORTED(
    envoy__extensions__filters__http__header_mutation__v3__header_mutation__descriptor, filter_table);

static enum weir_err read_mutations(struct weir_conf_ctx *ctx, const Mutations *from, struct conf *conf)
{
    if (!from)
        return WEIR_OK;
    bool ok = weir_config_check_supported(ctx->config, from, &mutations_fields);
    const struct {
        void *const *v;
        size_t n;
        const struct weir_header_mutation **ret;
    } lists[] = {
        {(void *const *)from->request_mutations, from->n_request_mutations, &conf->request},
        {(void *const *)from->response_mutations, from->n_response_mutations, &conf->response},
        {(void *const *)from->request_trailers_mutations, from->n_request_trailers_mutations,
         &conf->request_trailers},
        {(void *const *)from->response_trailers_mutations, from->n_response_trailers_mutations,
         &conf->response_trailers},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(lists); i++)
        ok &= weir_header_mutation_list_new(ctx, lists[i].v, lists[i].n, lists[i].ret) == WEIR_OK;
    return ok ? WEIR_OK : WEIR_ERR_INVALID;
}

static enum weir_err parse(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    const HeaderMutation *from = (const HeaderMutation *)(const void *)msg;
    struct conf *conf = WEIR_ARENA_NEW(ctx->arena, struct conf);
    *ret_conf = conf;
    return read_mutations(ctx, from->mutations, conf);
}

static enum weir_err parse_route(struct weir_conf_ctx *ctx, const ProtobufCMessage *msg, void **ret_conf)
{
    const PerRoute *from = (const PerRoute *)(const void *)msg;
    struct conf *conf = WEIR_ARENA_NEW(ctx->arena, struct conf);
    *ret_conf = conf;
    return read_mutations(ctx, from->mutations, conf);
}

/* Both levels' mutations of the kind at `offset` in struct conf. */
static void apply(struct weir_filter *f, size_t offset, struct weir_headers *h)
{
    struct weir_stream *s = f->stream;
    const char *levels[2] = {f->conf, weir_filter_route_conf(f)};
    struct weir_log_context context = {
        .worker = s->worker,
        .info = &s->info,
        .request_headers = &s->request_headers,
        .response_headers = s->response.headers,
        .response_trailers = s->response.trailers,
        .arena = &s->arena,
    };
    for (size_t i = 0; i < 2; i++) {
        if (!levels[i])
            continue;
        const struct weir_header_mutation *mutation;
        memcpy(&mutation, levels[i] + offset, sizeof(mutation));
        weir_header_mutation_apply(mutation, h, &context);
    }
}

static enum weir_headers_verdict request_headers(struct weir_filter *f, struct weir_headers *h,
                                                 bool end_stream)
{
    (void)end_stream;
    apply(f, offsetof(struct conf, request), h);
    return WEIR_HEADERS_CONTINUE;
}

static enum weir_headers_verdict response_headers(struct weir_filter *f, struct weir_headers *h,
                                                  bool end_stream)
{
    (void)end_stream;
    apply(f, offsetof(struct conf, response), h);
    return WEIR_HEADERS_CONTINUE;
}

static enum weir_trailers_verdict request_trailers(struct weir_filter *f, struct weir_headers *trailers)
{
    apply(f, offsetof(struct conf, request_trailers), trailers);
    return WEIR_TRAILERS_CONTINUE;
}

static enum weir_trailers_verdict response_trailers(struct weir_filter *f, struct weir_headers *trailers)
{
    apply(f, offsetof(struct conf, response_trailers), trailers);
    return WEIR_TRAILERS_CONTINUE;
}

const struct weir_filter_ops weir_filter_header_mutation = {
    .name = "envoy.filters.http.header_mutation",
    .type = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    .route_type = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
    .fields = &filter_fields,
    .parse = parse,
    .parse_route = parse_route,
    .request_headers = request_headers,
    .response_headers = response_headers,
    .request_trailers = request_trailers,
    .response_trailers = response_trailers,
};
