/* What consumers of a configuration call: places and paths of messages, the content of Any, overlays, bytes
 * of a control plane, and the tables of supported fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/mem.h"
#include "config/config.h"
#include "config/proto_json.h"
#include "config/supported.h"
#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "envoy/extensions/filters/http/router/v3/router.pb-c.h"
#include "envoy/extensions/filters/http/wasm/v3/wasm.pb-c.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"
#include "udpa/type/v1/typed_struct.pb-c.h"

typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager Hcm;
typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpFilter HttpFilter;
typedef Envoy__Extensions__Filters__Http__Wasm__V3__Wasm Wasm;
typedef Envoy__Config__Cluster__V3__Cluster Cluster;

struct fixture {
    struct weir_diag diag;
    struct weir_config *conf;
    struct weir_arena arena;
};

static int set_up(void **state)
{
    struct fixture *fixture = WEIR_NEW(struct fixture);
    weir_diag_init(&fixture->diag);
    weir_arena_init(&fixture->arena, NULL);
    fixture->conf = weir_config_new(&fixture->diag);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    weir_config_free(fixture->conf);
    weir_diag_fini(&fixture->diag);
    weir_arena_fini(&fixture->arena);
    weir_free(fixture);
    return 0;
}

static void assert_reports(struct fixture *fixture, const char *want)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    weir_diag_print(&fixture->diag, out, &(struct weir_diag_style){.format = WEIR_DIAG_TEXT});
    fclose(out);
    assert_string_equal(text, want);
    weir_free(text);
}

static const Hcm *load_article(struct fixture *fixture)
{
    const char *path = WEIR_TEST_DIR "/fixtures/config/article.yaml";
    assert_int_equal(weir_config_load(fixture->conf, path, NULL), WEIR_OK);
    const Envoy__Config__Bootstrap__V3__Bootstrap *bootstrap = fixture->conf->bootstrap;
    return (const Hcm *)weir_config_any_as(
        fixture->conf, bootstrap->static_resources->listeners[0]->filter_chains[0]->filters[0]->typed_config,
        &envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__descriptor);
}

static void test_article_is_read_whole(void **state)
{
    struct fixture *fixture = *state;
    const Hcm *hcm = load_article(fixture);
    assert_non_null(hcm);
    assert_string_equal(hcm->stat_prefix, "ingress_http");
    assert_string_equal(hcm->route_config->virtual_hosts[0]->routes[0]->route->cluster, "my_custom_svc");
    assert_int_equal(hcm->n_http_filters, 2);

    struct weir_any any = weir_config_any(fixture->conf, hcm->http_filters[0]->typed_config);
    assert_true(weir_slice_eq(any.type, WEIR_S("envoy.extensions.filters.http.wasm.v3.Wasm")));
    const Wasm *wasm = (const Wasm *)any.msg;
    assert_string_equal(wasm->config->name, "my_plugin");
    assert_string_equal(wasm->config->vm_config->code->local->filename, "/etc/envoy/optimized.wasm");
    struct weir_slice bytes =
        weir_config_any_bytes(fixture->conf, wasm->config->configuration, &fixture->arena);
    assert_true(weir_slice_eq(bytes, WEIR_S("{}\n")));
    bytes = weir_config_any_bytes(fixture->conf, wasm->config->vm_config->configuration, &fixture->arena);
    assert_int_equal(bytes.len, 0);

    const HttpFilter *router = hcm->http_filters[1];
    any = weir_config_any(fixture->conf, router->typed_config);
    assert_null(any.type.ptr);
    assert_null(any.msg);
    const Cluster *cluster = fixture->conf->bootstrap->static_resources->clusters[0];
    assert_int_equal(cluster->connect_timeout->seconds, 30);
    assert_int_equal(cluster->type, ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__STATIC);
}

static void test_untyped_filter_is_warned_of(void **state)
{
    struct fixture *fixture = *state;
    const Hcm *hcm = load_article(fixture);
    weir_config_warn_untyped(fixture->conf, &hcm->http_filters[1]->base, "typed_config",
                             &envoy__extensions__filters__http__router__v3__router__descriptor);
    fixture->diag.entries[0] =
        fixture->diag.entries[--fixture->diag.n_entries]; // only the one that is looked at
    struct weir_diag_entry *entry = &fixture->diag.entries[0];
    assert_int_equal(entry->pos.line, 53);
    assert_true(weir_slice_ends_with(entry->path, WEIR_S("typed_config.http_filters[1].typed_config")));
    assert_true(
        weir_slice_eq(entry->hint, WEIR_S("write \"@type\": type.googleapis.com/envoy.extensions.filters."
                                          "http.router.v3.Router")));
}

static void test_places_lead_back_to_the_text(void **state)
{
    static const char text[] = "name: c\n"
                               "connect_timeout: 5s\n"
                               "load_assignment:\n"
                               "  cluster_name: c\n"
                               "  endpoints:\n"
                               "  - lb_endpoints:\n"
                               "    - load_balancing_weight: 3\n"
                               "typed_extension_protocol_options:\n"
                               "  x: {'@type': a/google.protobuf.StringValue, value: v}\n";
    struct fixture *fixture = *state;
    struct weir_config *conf = fixture->conf;
    ProtobufCMessage *msg;
    assert_int_equal(weir_config_read_text(conf, WEIR_S("t.yaml"), weir_slice_str(text),
                                           &envoy__config__cluster__v3__cluster__descriptor, &msg),
                     WEIR_OK);
    const Cluster *cluster = (const Cluster *)msg;
    const void *endpoint = cluster->load_assignment->endpoints[0]->lb_endpoints[0];
    weir_config_error(conf, cluster, "name", -1, "one");
    weir_config_error(conf, cluster, "connect_timeout", -1, "two");
    weir_config_error(conf, endpoint, "load_balancing_weight", -1, "three");
    weir_config_error(conf, endpoint, "metadata", -1, "four");
    weir_config_warn(conf, cluster->load_assignment, "endpoints", 0, "five");
    weir_config_hint(conf, "with a hint");
    weir_config_error(conf, cluster, "typed_extension_protocol_options", 0, "six");
    assert_reports(fixture,
                   "t.yaml:1:7: name: one\n"
                   "t.yaml:2:18: connect_timeout: two\n"
                   "t.yaml:6:5: warning: load_assignment.endpoints[0]: five (with a hint)\n"
                   "t.yaml:7:7: load_assignment.endpoints[0].lb_endpoints[0].metadata: four\n"
                   "t.yaml:7:30: load_assignment.endpoints[0].lb_endpoints[0].load_balancing_weight: three\n"
                   "t.yaml:9:6: typed_extension_protocol_options[\"x\"]: six\n"
                   "5 errors, 1 warning\n");
    assert_true(weir_config_is_set(conf, cluster, "name"));
    assert_false(weir_config_is_set(conf, cluster, "type"));
    assert_int_equal(weir_config_pos(conf, fixture, "name", -1).line, 0); // not of this configuration
}

static void test_overlay_is_merged_over_the_file(void **state)
{
    struct fixture *fixture = *state;
    char path[] = "/tmp/weir-test-XXXXXX.yaml";
    int fd = mkstemps(path, 5);
    static const char file[] = "node: {id: a, cluster: c, metadata: {x: 1, y: 2}}\n"
                               "static_resources: {clusters: [{name: one, type: STATIC}]}\n";
    assert_int_equal(write(fd, file, sizeof(file) - 1), sizeof(file) - 1);
    close(fd);
    enum weir_err err = weir_config_load(
        fixture->conf, path,
        "{\"node\": {\"id\": \"b\", \"metadata\": {\"y\": 3}}, \"static_resources\": {\"clusters\": "
        "[{\"name\": \"two\", \"cluster_type\": {\"name\": \"t\"}}]}}");
    unlink(path);
    assert_int_equal(err, WEIR_OK);
    const Envoy__Config__Bootstrap__V3__Bootstrap *bootstrap = fixture->conf->bootstrap;
    assert_string_equal(bootstrap->node->id, "b");
    assert_string_equal(bootstrap->node->cluster, "c");
    assert_int_equal(bootstrap->node->metadata->n_fields, 2);
    assert_int_equal(bootstrap->static_resources->n_clusters, 2);
    assert_string_equal(bootstrap->static_resources->clusters[1]->name, "two");
    weir_config_error(fixture->conf, bootstrap->node, "id", -1, "there");
    struct weir_diag_entry *entry = &fixture->diag.entries[0];
    assert_true(weir_slice_eq(fixture->diag.sources[entry->pos.source].name, WEIR_S("--config-yaml")));
    weir_config_error(fixture->conf, bootstrap->node, "cluster", -1, "there");
    entry = &fixture->diag.entries[1];
    assert_true(weir_slice_eq(fixture->diag.sources[entry->pos.source].name, weir_slice_str(path)));
}

static void test_oneof_of_the_overlay_wins(void **state)
{
    struct fixture *fixture = *state;
    char path[] = "/tmp/weir-test-XXXXXX.yaml";
    int fd = mkstemps(path, 5);
    static const char file[] = "admin: {address: {socket_address: {address: 1.2.3.4, port_value: 1}}}\n";
    assert_int_equal(write(fd, file, sizeof(file) - 1), sizeof(file) - 1);
    close(fd);
    enum weir_err err = weir_config_load(fixture->conf, path, "admin: {address: {pipe: {path: /tmp/p}}}");
    unlink(path);
    assert_int_equal(err, WEIR_OK);
    const Envoy__Config__Core__V3__Address *address = fixture->conf->bootstrap->admin->address;
    assert_int_equal(address->address_case, ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_PIPE);
    assert_string_equal(address->pipe->path, "/tmp/p");
}

/* ---- bytes ---- */

static struct weir_slice pack(struct fixture *fixture, const ProtobufCMessage *msg)
{
    uint8_t *bytes = weir_arena_alloc(&fixture->arena, protobuf_c_message_get_packed_size(msg) + 1);
    return weir_slice((const char *)bytes, protobuf_c_message_pack(msg, bytes));
}

static Google__Protobuf__Any *pack_any(struct fixture *fixture, const char *type_url,
                                       const ProtobufCMessage *msg)
{
    struct weir_slice bytes = pack(fixture, msg);
    Google__Protobuf__Any *any = weir_arena_alloc(&fixture->arena, sizeof(*any));
    google__protobuf__any__init(any);
    any->type_url = (char *)(uintptr_t)type_url;
    any->value = (ProtobufCBinaryData){bytes.len, (uint8_t *)(uintptr_t)bytes.ptr};
    return any;
}

static void test_bytes_open_what_their_any_hold(void **state)
{
    struct fixture *fixture = *state;
    Envoy__Extensions__Filters__Http__Router__V3__Router router;
    envoy__extensions__filters__http__router__v3__router__init(&router);
    router.suppress_envoy_headers = true;
    HttpFilter filter;
    envoy__extensions__filters__network__http_connection_manager__v3__http_filter__init(&filter);
    filter.name = (char *)(uintptr_t) "r";
    filter.config_type_case =
        ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_FILTER__CONFIG_TYPE_TYPED_CONFIG;
    filter.typed_config = pack_any(fixture, "h/envoy.extensions.filters.http.router.v3.Router", &router.base);

    ProtobufCMessage *msg;
    enum weir_err err = weir_config_read_bytes(fixture->conf, WEIR_S("xds"), pack(fixture, &filter.base),
                                               filter.base.descriptor, &msg);
    assert_int_equal(err, WEIR_OK);
    const HttpFilter *got = (const HttpFilter *)msg;
    const Envoy__Extensions__Filters__Http__Router__V3__Router *inner =
        (const void *)weir_config_any_as(fixture->conf, got->typed_config, router.base.descriptor);
    assert_non_null(inner);
    assert_true(inner->suppress_envoy_headers);
}

static void test_bytes_open_typed_struct(void **state)
{
    struct fixture *fixture = *state;
    ProtobufCMessage *value, *msg;
    struct weir_config *conf = fixture->conf;
    assert_int_equal(
        weir_config_read_text(conf, WEIR_S("s.json"),
                              WEIR_S("{\"suppress_envoy_headers\": true, \"strict_check_headers\": "
                                     "[\"x\"], \"nope\": 1.5}"),
                              &google__protobuf__struct__descriptor, &value),
        WEIR_OK);
    Udpa__Type__V1__TypedStruct typed;
    udpa__type__v1__typed_struct__init(&typed);
    typed.type_url = (char *)(uintptr_t) "h/envoy.extensions.filters.http.router.v3.Router";
    typed.value = (Google__Protobuf__Struct *)value;
    HttpFilter filter;
    envoy__extensions__filters__network__http_connection_manager__v3__http_filter__init(&filter);
    filter.config_type_case =
        ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_FILTER__CONFIG_TYPE_TYPED_CONFIG;
    filter.typed_config = pack_any(fixture, "h/udpa.type.v1.TypedStruct", &typed.base);
    enum weir_err err = weir_config_read_bytes(conf, WEIR_S("xds"), pack(fixture, &filter.base),
                                               filter.base.descriptor, &msg);
    assert_int_equal(err, WEIR_ERR_INVALID);
    assert_reports(fixture, "xds: typed_config.value: unknown field \"nope\" in Router\n"
                            "xds: HttpFilter needs \"name\"\n"
                            "xds: typed_config.value.strict_check_headers[0]: \"x\" is not allowed here\n"
                            "3 errors\n");
    struct weir_any any = weir_config_any(conf, ((const HttpFilter *)msg)->typed_config);
    assert_true(weir_slice_eq(any.type, WEIR_S("envoy.extensions.filters.http.router.v3.Router")));
    assert_true(
        ((const Envoy__Extensions__Filters__Http__Router__V3__Router *)any.msg)->suppress_envoy_headers);
}

static void test_bytes_of_nonsense_are_refused(void **state)
{
    struct fixture *fixture = *state;
    ProtobufCMessage *msg;
    char deep[4000];
    /* ListValue in Value in ListValue ...: each level a tag and a length, which a NUL ends. */
    for (size_t i = 0; i + 1 < sizeof(deep); i += 2) {
        deep[i] = i % 4 ? 0x32 : 0x0a;
        deep[i + 1] = 0x7f;
    }
    assert_int_equal(weir_config_read_bytes(fixture->conf, WEIR_S("a"), WEIR_S("\xff\xff\xff"),
                                            &envoy__config__cluster__v3__cluster__descriptor, &msg),
                     WEIR_ERR_INVALID);
    assert_null(msg);
    assert_int_equal(weir_config_read_bytes(fixture->conf, WEIR_S("b"), weir_slice(deep, sizeof(deep)),
                                            &google__protobuf__list_value__descriptor, &msg),
                     WEIR_ERR_INVALID);
    assert_reports(fixture, "a: is not a serialised envoy.config.cluster.v3.Cluster\n"
                            "b: is not a serialised google.protobuf.ListValue\n"
                            "2 errors\n");
}

/* ---- supported fields ---- */

static const struct weir_supported_field endpoint_fields[] = {
    {.name = "endpoint"},
};
static const struct weir_supported_fields endpoint_supported =
    WEIR_SUPPORTED(envoy__config__endpoint__v3__lb_endpoint__descriptor, endpoint_fields);
static const struct weir_supported_field locality_fields[] = {
    {.name = "lb_endpoints", .nested = &endpoint_supported},
};
static const struct weir_supported_fields locality_supported =
    WEIR_SUPPORTED(envoy__config__endpoint__v3__locality_lb_endpoints__descriptor, locality_fields);
static const struct weir_supported_field assignment_fields[] = {
    {.name = "cluster_name"},
    {.name = "endpoints", .nested = &locality_supported},
};
static const struct weir_supported_fields assignment_supported =
    WEIR_SUPPORTED(envoy__config__endpoint__v3__cluster_load_assignment__descriptor, assignment_fields);
static const struct weir_supported_field cluster_fields[] = {
    {.name = "name"},
    {.name = "type", .values = "STATIC STRICT_DNS"},
    {.name = "load_assignment", .nested = &assignment_supported},
    {.name = "alt_stat_name", .state = WEIR_FIELD_IGNORED, .note = "statistics carry the name"},
    {.name = "ignore_health_on_host_removal", .state = WEIR_FIELD_HARMLESS},
    {.name = "dns_refresh_rate", .state = WEIR_FIELD_HARMLESS, .values = "5s"},
    {.name = "lb_policy", .values = "ROUND_ROBIN"},
    {.name = "common_lb_config", .state = WEIR_FIELD_HARMLESS, .values = "{}"},
};
static const struct weir_supported_fields cluster_supported =
    WEIR_SUPPORTED(envoy__config__cluster__v3__cluster__descriptor, cluster_fields);

static bool check_cluster(struct fixture *fixture, const char *text)
{
    ProtobufCMessage *msg;
    assert_int_equal(weir_config_read_text(fixture->conf, WEIR_S("t.yaml"), weir_slice_str(text),
                                           &envoy__config__cluster__v3__cluster__descriptor, &msg),
                     WEIR_OK);
    return weir_config_check_supported(fixture->conf, msg, &cluster_supported);
}

static void test_supported_fields_pass(void **state)
{
    struct fixture *fixture = *state;
    assert_true(check_cluster(
        fixture,
        "{name: c, type: strict_dns, lb_policy: ROUND_ROBIN, upstream_bind_config: null,\n"
        "wait_for_warm_on_init: null, health_checks: [], connection_pool_per_downstream_connection: false,\n"
        "ignore_health_on_host_removal: true, common_lb_config: {},\n"
        "load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{}]}]}}"));
    assert_reports(fixture, "");
}

static void test_unsupported_fields_are_named(void **state)
{
    struct fixture *fixture = *state;
    assert_false(check_cluster(fixture, "name: c\n"
                                        "type: EDS\n"
                                        "alt_stat_name: x\n"
                                        "outlier_detection: {}\n"
                                        "common_lb_config: {close_connections_on_host_set_change: true}\n"
                                        "circuit_breakers: {thresholds: []}\n"
                                        "lb_policy: RANDOM\n"
                                        "load_assignment:\n"
                                        "  cluster_name: c\n"
                                        "  endpoints:\n"
                                        "  - priority: 1\n"
                                        "    lb_endpoints: [{load_balancing_weight: 1}]\n"));
    assert_reports(
        fixture,
        "t.yaml:2:7: type: EDS is known to Envoy, not implemented by weir yet (implemented: STATIC "
        "STRICT_DNS)\n"
        "t.yaml:3:16: warning: alt_stat_name: has no effect in weir: statistics carry the name\n"
        "t.yaml:4:1: outlier_detection: known to Envoy, not implemented by weir yet\n"
        "t.yaml:5:1: common_lb_config: known to Envoy, not implemented by weir yet\n"
        "t.yaml:6:1: circuit_breakers: known to Envoy, not implemented by weir yet\n"
        "t.yaml:7:12: lb_policy: RANDOM is known to Envoy, not implemented by weir yet (implemented: "
        "ROUND_ROBIN)\n"
        "t.yaml:11:15: load_assignment.endpoints[0].priority: known to Envoy, not implemented by weir yet\n"
        "t.yaml:12:44: load_assignment.endpoints[0].lb_endpoints[0].load_balancing_weight: known to Envoy, "
        "not "
        "implemented by weir yet\n"
        "7 errors, 1 warning\n");
}

static void test_supported_table_prints(void **state)
{
    (void)state;
    const struct weir_supported_fields *tables[] = {&locality_supported};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    weir_supported_print(out, tables, 1);
    fclose(out);
    assert_non_null(strstr(text, "## envoy.config.endpoint.v3.LocalityLbEndpoints\n"));
    assert_non_null(strstr(text, "| `lb_endpoints` | yes |  |  |\n"));
    assert_non_null(strstr(text, "| `priority` | not yet |  |  |\n"));
    weir_free(text);
}

static void test_sealed_configuration_keeps_its_messages(void **state)
{
    struct fixture *fixture = *state;
    const Hcm *hcm = load_article(fixture);
    weir_config_seal(fixture->conf);
    assert_string_equal(hcm->stat_prefix, "ingress_http");
    assert_non_null(weir_config_any(fixture->conf, hcm->http_filters[0]->typed_config).msg);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_article_is_read_whole),        TEST(test_untyped_filter_is_warned_of),
        TEST(test_places_lead_back_to_the_text), TEST(test_overlay_is_merged_over_the_file),
        TEST(test_oneof_of_the_overlay_wins),    TEST(test_bytes_open_what_their_any_hold),
        TEST(test_bytes_open_typed_struct),      TEST(test_bytes_of_nonsense_are_refused),
        TEST(test_supported_fields_pass),        TEST(test_unsupported_fields_are_named),
        TEST(test_supported_table_prints),       TEST(test_sealed_configuration_keeps_its_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
