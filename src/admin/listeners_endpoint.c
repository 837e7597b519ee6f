/* /listeners: names and addresses. */
#include "admin/admin_priv.h"
#include "admin/json_parts.h"

static void text_listener(struct weir_str *out, const struct weir_listener *l)
{
    char text[WEIR_ADDR_TEXT_MAX];
    for (uint32_t i = 0; i < l->n_addrs; i++)
        weir_str_printf(out, "%.*s::%.*s\n", WEIR_SARG(l->name),
                        WEIR_SARG(weir_addr_print(&l->addrs[i], text)));
}

static void json_listener(struct weir_str *out, const struct weir_listener *l)
{
    weir_str_addc(out, '{');
    weir_admin_json_text(out, "name", l->name);
    weir_admin_json_member(out, "local_address");
    weir_admin_json_address(out, &l->addrs[0]);
    if (l->n_addrs > 1) {
        weir_admin_json_member(out, "additional_local_addresses");
        weir_str_addc(out, '[');
        for (uint32_t i = 1; i < l->n_addrs; i++) {
            if (i > 1)
                weir_str_addc(out, ',');
            weir_admin_json_address(out, &l->addrs[i]);
        }
        weir_str_addc(out, ']');
    }
    weir_str_addc(out, '}');
}

static void listeners(struct weir_admin_call *call)
{
    uint32_t n = 0;
    bool json = weir_slice_eq(weir_admin_param_of(call, "format"), WEIR_S("json"));
    struct weir_listener *const *all =
        call->sources->listeners ? call->sources->listeners(call->sources->arg, &n) : NULL;
    if (json)
        weir_str_adds(call->body, n ? "{\"listener_statuses\":[" : "{");
    for (uint32_t i = 0; i < n; i++) {
        if (json && i)
            weir_str_addc(call->body, ',');
        if (json)
            json_listener(call->body, all[i]);
        else
            text_listener(call->body, all[i]);
    }
    if (!json)
        return;
    weir_str_adds(call->body, n ? "]}" : "}");
    weir_admin_reply_json(call);
}

static const struct weir_admin_param_doc params[] = {
    {"format", "File format to use", "One of (text, json)"},
    {NULL, NULL, NULL},
};
static const struct weir_admin_endpoint endpoints[] = {
    {"/listeners", "print listener info", false, listeners, params},
};
const struct weir_admin_group weir_admin_listeners_group = {endpoints, WEIR_COUNTOF(endpoints)};
