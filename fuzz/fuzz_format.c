/* Log formats: the input up to the first line break is a format, the rest the values that its operators print. A format that compiles
 * is printed as a log line (which must then stay one line), evaluated as a header value, and once more as JSON. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include <google/protobuf/struct.pb-c.h>

#include "base/mem.h"
#include "http/headers.h"
#include "proxy/formatter.h"

#define OUT_MAX (4u << 20)

struct request {
    struct weir_arena arena;
    struct weir_headers headers;
    struct weir_stream_info info;
    struct weir_log_context context;
};

static void request_init(struct request *r, struct weir_slice values)
{
    *r = (struct request){0};
    weir_arena_init(&r->arena, NULL);
    weir_headers_init(&r->headers, &r->arena);
    weir_headers_add_name(&r->headers, WEIR_S(":path"), values);
    weir_headers_add_name(&r->headers, WEIR_S("x"), weir_slice_first(values, values.len / 2));
    r->info.details = r->info.route_name = r->info.up_failure = r->info.local_reply_body = values;
    r->info.start_wall_ns = (int64_t)(values.len * 1234567891011);
    r->info.flags = values.len;
    r->context = (struct weir_log_context){.info = &r->info,
                                           .request_headers = &r->headers,
                                           .response_headers = &r->headers,
                                           .arena = &r->arena};
}

static void fail(const char *what, const struct weir_str *out)
{
    fprintf(stderr, "%s: %.*s\n", what, WEIR_SARG(weir_str_slice(out)));
    abort();
}

static void print_line(struct request *r, struct weir_slice text)
{
    struct weir_format_error err;
    const struct weir_format *format = NULL;
    struct weir_str out;
    if (weir_format_new(&r->arena, text, (struct weir_format_options){.escape = true}, &err, &format) !=
        WEIR_OK)
        return;
    weir_str_init(&out, OUT_MAX);
    weir_format_print(format, &r->context, &out);
    if (out.len && weir_slice_find(weir_str_slice(&out), '\n') != out.len)
        fail("more than one line", &out);
    struct weir_slice evaluated = weir_format_eval(format, &r->context);
    /* A time of emission may differ. */
    if (!out.overflow && evaluated.len != out.len && weir_slice_search(text, WEIR_S("UNIQUE")) == SIZE_MAX)
        fail("evaluates to something else", &out);
    weir_str_fini(&out);
}

static void print_json(struct request *r, struct weir_slice text)
{
    struct weir_format_error err;
    const struct weir_format *format = NULL;
    struct weir_str out;
    char key[] = "k", *copy = weir_xstrndup(text.ptr, text.len);
    Google__Protobuf__Value value = GOOGLE__PROTOBUF__VALUE__INIT;
    Google__Protobuf__Struct__FieldsEntry entry, *entries[] = {&entry};
    Google__Protobuf__Struct fields = GOOGLE__PROTOBUF__STRUCT__INIT;
    value.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    value.string_value = copy;
    google__protobuf__struct__fields_entry__init(&entry);
    entry.key = key;
    entry.value = &value;
    fields.n_fields = 1;
    fields.fields = entries;
    weir_str_init(&out, OUT_MAX);
    if (weir_format_new_json(&r->arena, &fields, false, (struct weir_format_options){0}, &err, &format) ==
        WEIR_OK) {
        weir_format_print(format, &r->context, &out);
        for (size_t i = 0; i < out.len; i++)
            if ((unsigned char)out.ptr[i] < 0x20)
                fail("a control character in JSON", &out);
    }
    weir_str_fini(&out);
    weir_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct weir_slice input = weir_slice((const char *)data, len), text;
    struct request r;
    if (!weir_slice_next(&input, '\n', &text))
        return 0;
    request_init(&r, input.ptr ? input : WEIR_S(""));
    print_line(&r, text);
    print_json(&r, text);
    weir_arena_fini(&r.arena);
    return 0;
}
