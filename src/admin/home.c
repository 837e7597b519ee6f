/* / and /help. */
#include "admin/admin_priv.h"

static void help(struct weir_admin_call *call)
{
    weir_str_adds(call->body, "admin commands are:\n");
    weir_admin_print_help(call->body);
}

static const char head[] =
    "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n<title>weir admin</title>\n<style>\n"
    "body{font-family:sans-serif;margin:2em;max-width:70em}\ntable{border-collapse:collapse}\n"
    "td{padding:.3em 1em .3em 0;vertical-align:top;border-top:1px solid #ddd}\nform{margin:0}\n"
    "button{font:inherit;color:#06c;background:none;border:1px solid #06c;border-radius:3px;cursor:pointer}\n"
    "label{display:block;color:#555;font-size:90%}\n</style>\n</head>\n<body>\n<h1>weir</h1>\n<table>\n";

/* A command that changes something is a button of a POST form, so that following a link never does. */
static void row(void *arg, const struct weir_admin_endpoint *e)
{
    struct weir_str *out = arg;
    weir_str_adds(out, "<tr><td>");
    if (e->mutates || e->params) {
        weir_str_printf(out, "<form action='%s' method='%s'><button>%s</button>", e->path + 1,
                        e->mutates ? "post" : "get", e->path + 1);
        for (const struct weir_admin_param_doc *p = e->params; p && p->name; p++) {
            /* Parameters that are only given or not are boxes to tick. */
            bool flag = strcmp(p->name, "usedonly") == 0 || strcmp(p->name, "graceful") == 0 ||
                        strcmp(p->name, "skip_exit") == 0 || strcmp(p->name, "inboundonly") == 0 ||
                        strcmp(p->name, "include_eds") == 0;
            weir_str_printf(out, "<label title=\"%s\"><input name='%s'%s> %s</label>",
                            p->values ? p->values : "", p->name, flag ? " type='checkbox' value=''" : "",
                            p->name);
        }
        weir_str_adds(out, "</form>");
    } else {
        weir_str_printf(out, "<a href='%s'>%s</a>", e->path[1] ? e->path + 1 : "/",
                        e->path[1] ? e->path + 1 : "/");
    }
    weir_str_printf(out, "</td><td>%s</td></tr>\n", e->text);
}

static void home(struct weir_admin_call *call)
{
    weir_str_adds(call->body, head);
    weir_admin_each_endpoint(row, call->body);
    weir_str_adds(call->body, "</table>\n</body>\n</html>\n");
    call->response->content_type = "text/html; charset=UTF-8";
}

static const struct weir_admin_endpoint endpoints[] = {
    {"/", "Admin home page", false, home, NULL},
    {"/help", "print out list of admin commands", false, help, NULL},
};
const struct weir_admin_group weir_admin_home_group = {endpoints, WEIR_COUNTOF(endpoints)};
