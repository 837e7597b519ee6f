/* The fields of Bootstrap, Node and Admin that are implemented. */
#include "server/bootstrap_fields.h"

#include "base/arena.h"
#include "base/str.h"

static const struct weir_supported_field static_fields[] = {
    {.name = "listeners"},
    {.name = "clusters"},
    {.name = "secrets", .values = ""},
};
static const struct weir_supported_fields static_supported =
    WEIR_SUPPORTED(envoy__config__bootstrap__v3__bootstrap__static_resources__descriptor, static_fields);

static const struct weir_supported_field admin_fields[] = {
    {.name = "access_log"},
    {.name = "access_log_path"},
    {.name = "address"},
    {.name = "profile_path", .state = WEIR_FIELD_IGNORED, .note = "weir has no built-in profiler; use perf"},
};
static const struct weir_supported_fields admin_supported =
    WEIR_SUPPORTED(envoy__config__bootstrap__v3__admin__descriptor, admin_fields);

static const struct weir_supported_field bootstrap_fields[] = {
    {.name = "node"},
    {.name = "static_resources", .nested = &static_supported},
    {.name = "admin", .nested = &admin_supported},
    {.name = "bootstrap_extensions"},
    {.name = "enable_dispatcher_stats", .state = WEIR_FIELD_HARMLESS},
    {.name = "stats_flush_interval"},
    {.name = "flags_path", .state = WEIR_FIELD_HARMLESS},
};
const struct weir_supported_fields weir_bootstrap_fields =
    WEIR_SUPPORTED(envoy__config__bootstrap__v3__bootstrap__descriptor, bootstrap_fields);

void weir_bootstrap_admin_log(struct weir_config *config, const Envoy__Config__Bootstrap__V3__Admin *admin,
                              Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager *hcm)
{
    struct weir_str text;
    weir_str_init(&text, 8192);
    weir_str_adds(&text, "{\"name\": \"envoy.access_loggers.file\", \"typed_config\": {\"@type\": "
                         "\"type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog\", \"path\": \"");
    weir_str_add_json(&text, weir_slice_str(admin->access_log_path));
    weir_str_adds(&text, "\"}}");
    ProtobufCMessage *msg = NULL;
    if (!text.overflow && weir_config_read_text(config, WEIR_S("admin.access_log_path"), weir_str_slice(&text),
                                                &envoy__config__accesslog__v3__access_log__descriptor, &msg) == WEIR_OK) {
        hcm->n_access_log = 1;
        hcm->access_log = WEIR_ARENA_ARRAY(&config->arena, Envoy__Config__Accesslog__V3__AccessLog *, 1);
        hcm->access_log[0] = (Envoy__Config__Accesslog__V3__AccessLog *)(void *)msg;
    }
    weir_str_fini(&text);
}
