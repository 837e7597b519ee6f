/* Configuration texts: the first byte chooses YAML, JSON or a serialised message; the rest is read as a
 * Bootstrap, checked, printed. What was read without a mistake and printed reads back as the same message. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/str.h"
#include "config/config.h"
#include "config/proto_json.h"

#define BOOTSTRAP &envoy__config__bootstrap__v3__bootstrap__descriptor
#define JSON_MAX  (4u << 20)

static void print(const struct weir_config *conf, const ProtobufCMessage *msg, struct weir_str *out)
{
    weir_proto_json(out, conf, msg, &(struct weir_proto_json_style){.compact = true});
}

static void check_round_trip(const struct weir_str *json)
{
    struct weir_diag diag;
    struct weir_str again;
    ProtobufCMessage *msg;
    weir_diag_init(&diag);
    weir_str_init(&again, JSON_MAX);
    struct weir_config *conf = weir_config_new(&diag);
    /* What was one object where a list belongs may now be nested too deep, or a warning be an error: not a
     * fault. */
    if (weir_config_read_text(conf, WEIR_S("again.json"), weir_str_slice(json), BOOTSTRAP, &msg) == WEIR_OK) {
        print(conf, msg, &again);
        if (!again.overflow && !weir_slice_eq(weir_str_slice(json), weir_str_slice(&again))) {
            fprintf(stderr, "once:  %s\nagain: %s\n", json->ptr, again.ptr);
            abort();
        }
    }
    weir_str_fini(&again);
    weir_config_free(conf);
    weir_diag_fini(&diag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    if (len == 0 || !nowhere)
        return 0;
    struct weir_slice text = {(const char *)data + 1, len - 1};
    struct weir_diag diag;
    struct weir_str json;
    ProtobufCMessage *msg;
    weir_diag_init(&diag);
    weir_str_init(&json, JSON_MAX);
    struct weir_config *conf = weir_config_new(&diag);
    enum weir_err err;
    if (data[0] == 'b')
        err = weir_config_read_bytes(conf, WEIR_S("f.pb"), text, BOOTSTRAP, &msg);
    else
        err = weir_config_read_text(conf, data[0] == 'j' ? WEIR_S("f.json") : WEIR_S("f.yaml"), text,
                                    BOOTSTRAP, &msg);
    weir_diag_print(&diag, nowhere, &(struct weir_diag_style){.excerpt = true, .colour = true});
    if (msg)
        print(conf, msg, &json);
    if (err == WEIR_OK && data[0] != 'b' && !json.overflow)
        check_round_trip(&json);
    weir_str_fini(&json);
    weir_config_free(conf);
    weir_diag_fini(&diag);
    return 0;
}
