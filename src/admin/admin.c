/* The admin's table and how a request finds its row. Rule: Envoy 1.39 admin.cc; bodies and statuses are Envoy's, only what weir does
 * not have is left out. */
#include "admin/admin.h"

#include <stdio.h>

#include "admin/admin_priv.h"
#include "base/mem.h"

static const struct weir_admin_group *const groups[] = {
    &weir_admin_home_group,    &weir_admin_stats_group,    &weir_admin_server_group,
    &weir_admin_logging_group, &weir_admin_clusters_group, &weir_admin_listeners_group,
    &weir_admin_config_group,
};

/* The filter has no way to be handed anything: its configuration is made before the server is complete. Main thread only. */
static struct weir_admin *current;

struct weir_admin *weir_admin_new(const struct weir_admin_sources *sources)
{
    struct weir_admin *admin = WEIR_NEW(struct weir_admin);
    admin->sources = *sources;
    current = admin;
    return admin;
}

void weir_admin_free(struct weir_admin *admin)
{
    if (!admin)
        return;
    if (current == admin)
        current = NULL;
    weir_free(admin);
}

struct weir_admin *weir_admin_current(void)
{
    return current;
}

/* ---- parameters ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = weir_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* application/x-www-form-urlencoded; what is no escape stays as it is. */
static struct weir_slice decode(struct weir_arena *arena, struct weir_slice s)
{
    char *out = weir_arena_alloc(arena, s.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        int high = i + 2 < s.len ? hex_digit(s.ptr[i + 1]) : -1,
            low = i + 2 < s.len ? hex_digit(s.ptr[i + 2]) : -1;
        if (s.ptr[i] == '%' && high >= 0 && low >= 0) {
            out[n++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = s.ptr[i] == '+' ? ' ' : s.ptr[i];
        }
    }
    out[n] = '\0';
    return weir_slice(out, n);
}

static void read_params(struct weir_admin_call *call, struct weir_slice text)
{
    struct weir_slice pair;
    while (call->n_params < WEIR_ADMIN_PARAMS_MAX && weir_slice_next(&text, '&', &pair)) {
        if (pair.len == 0)
            continue;
        size_t at = weir_slice_find(pair, '=');
        struct weir_admin_param *param = &call->params[call->n_params++];
        param->name = decode(call->arena, weir_slice_first(pair, at));
        param->value = decode(call->arena, weir_slice_from(pair, at + 1));
    }
}

struct weir_slice weir_admin_param_of(const struct weir_admin_call *call, const char *name)
{
    for (uint32_t i = 0; i < call->n_params; i++) {
        if (weir_slice_eq(call->params[i].name, weir_slice_str(name)))
            return call->params[i].value;
    }
    return WEIR_S_NONE;
}

static void free_regex(void *arg)
{
    weir_regex_free(arg);
}

bool weir_admin_regex_of(struct weir_admin_call *call, const char *name, const struct weir_regex **ret)
{
    struct weir_slice pattern = weir_admin_param_of(call, name);
    struct weir_regex *re = NULL;
    struct weir_str why;
    *ret = NULL;
    if (pattern.len == 0)
        return true;
    weir_str_init(&why, 512);
    if (weir_regex_new(pattern, &why, &re) == WEIR_OK) {
        weir_arena_on_end(call->arena, free_regex, re);
        *ret = re;
    } else {
        weir_admin_fail(call, 400, "Invalid regular expression in %s: %.*s: %.*s", name,
                        WEIR_SARG(weir_str_slice(&why)), WEIR_SARG(pattern));
    }
    weir_str_fini(&why);
    return re != NULL;
}

/* ---- answers ---- */

void weir_admin_fail(struct weir_admin_call *call, uint32_t status, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    call->response->status = status;
    weir_str_clear(call->body);
    weir_str_adds(call->body, text);
}

static void new_line(struct weir_str *out, unsigned depth)
{
    weir_str_addc(out, '\n');
    while (depth-- > 0)
        weir_str_addc(out, ' ');
}

/* Length of the string that begins at s.ptr[0] = '"', with both quotes. */
static size_t string_len(struct weir_slice s)
{
    size_t i = 1;
    while (i < s.len && s.ptr[i] != '"')
        i += s.ptr[i] == '\\' ? 2 : 1;
    return WEIR_MIN(i + 1, s.len);
}

/* Compact JSON with line breaks and one space a level. */
static void indent_json(struct weir_str *out, struct weir_slice s)
{
    unsigned depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '"') {
            size_t len = string_len(weir_slice_from(s, i));
            weir_str_add(out, weir_slice(s.ptr + i, len));
            i += len - 1;
            continue;
        }
        bool empty = i + 1 < s.len && (s.ptr[i + 1] == '}' || s.ptr[i + 1] == ']');
        if ((c == '}' || c == ']') && depth > 0)
            new_line(out, --depth);
        weir_str_addc(out, c);
        if ((c == '{' || c == '[') && empty) {
            weir_str_addc(out, s.ptr[++i]);
        } else if (c == '{' || c == '[') {
            new_line(out, ++depth);
        } else if (c == ',') {
            new_line(out, depth);
        } else if (c == ':') {
            weir_str_addc(out, ' ');
        }
    }
    weir_str_addc(out, '\n');
}

void weir_admin_reply_json(struct weir_admin_call *call)
{
    struct weir_str compact = *call->body;
    weir_str_init(call->body, compact.max);
    call->body->overflow = compact.overflow;
    indent_json(call->body, weir_str_slice(&compact));
    weir_str_fini(&compact);
    call->response->content_type = "application/json";
}

void weir_admin_json_member(struct weir_str *out, const char *name)
{
    char last = out->len ? out->ptr[out->len - 1] : '{';
    weir_str_printf(out, "%s\"%s\":", last == '{' || last == '[' ? "" : ",", name);
}

void weir_admin_json_text(struct weir_str *out, const char *name, struct weir_slice value)
{
    weir_admin_json_member(out, name);
    weir_str_addc(out, '"');
    weir_str_add_json(out, value);
    weir_str_addc(out, '"');
}

/* ---- the table ---- */

static int compare_paths(const void *a, const void *b)
{
    const struct weir_admin_endpoint *const *x = a, *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

void weir_admin_each_endpoint(void (*fn)(void *arg, const struct weir_admin_endpoint *endpoint), void *arg)
{
    const struct weir_admin_endpoint *all[64];
    size_t n = 0;
    for (size_t g = 0; g < WEIR_COUNTOF(groups); g++)
        for (uint32_t i = 0; i < groups[g]->n && n < WEIR_COUNTOF(all); i++)
            all[n++] = &groups[g]->v[i];
    qsort(all, n, sizeof(all[0]), compare_paths);
    for (size_t i = 0; i < n; i++)
        fn(arg, all[i]);
}

static void print_endpoint(void *arg, const struct weir_admin_endpoint *e)
{
    struct weir_str *out = arg;
    weir_str_printf(out, "  %s%s: %s\n", e->path, e->mutates ? " (POST)" : "", e->text);
    for (const struct weir_admin_param_doc *p = e->params; p && p->name; p++)
        weir_str_printf(out, "      %s: %s%s%s\n", p->name, p->text, p->values ? "; " : "",
                        p->values ? p->values : "");
}

void weir_admin_print_help(struct weir_str *out)
{
    weir_admin_each_endpoint(print_endpoint, out);
}

static const struct weir_admin_endpoint *find(struct weir_slice path)
{
    for (size_t g = 0; g < WEIR_COUNTOF(groups); g++) {
        for (uint32_t i = 0; i < groups[g]->n; i++) {
            if (weir_slice_eq(path, weir_slice_str(groups[g]->v[i].path)))
                return &groups[g]->v[i];
        }
    }
    return NULL;
}

static void dispatch(struct weir_admin_call *call, struct weir_slice method, struct weir_slice path)
{
    const struct weir_admin_endpoint *endpoint = find(path);
    if (!endpoint) {
        weir_admin_fail(call, 404, "invalid path. admin commands are:\n");
        weir_admin_print_help(call->body);
    } else if (endpoint->mutates && !weir_slice_eq(method, WEIR_S("POST"))) {
        weir_admin_fail(call, 405, "Method %.*s not allowed, POST required.", (int)WEIR_MIN(method.len, 32),
                        method.ptr);
    } else {
        endpoint->handle(call);
    }
}

void weir_admin_handle(struct weir_admin *admin, struct weir_slice method, struct weir_slice path,
                       struct weir_slice body, struct weir_admin_response *ret)
{
    struct weir_arena arena;
    struct weir_admin_call call = {
        .sources = &admin->sources, .arena = &arena, .response = ret, .body = &ret->body};
    *ret = (struct weir_admin_response){.status = 200, .content_type = "text/plain; charset=UTF-8"};
    weir_str_init(&ret->body, WEIR_ADMIN_BODY_MAX);
    weir_arena_init(&arena, NULL);
    path = weir_slice_first(path, weir_slice_find(path, '#'));
    size_t query = weir_slice_find(path, '?');
    read_params(&call, weir_slice_from(path, query + 1));
    if (weir_slice_eq(method, WEIR_S("POST")))
        read_params(&call, body);
    dispatch(&call, method, weir_slice_first(path, query));
    weir_arena_fini(&arena);
    if (!ret->body.overflow)
        return;
    ret->content_type = "text/plain; charset=UTF-8";
    weir_admin_fail(&call, 500, "the answer is longer than %u bytes; ask for less with a filter\n",
                    WEIR_ADMIN_BODY_MAX);
}
