/* The state of the process, and what changes it: /ready, /server_info, /memory, /quitquitquit ... */
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include <envoy/config/bootstrap/v3/bootstrap.pb-c.h>

#include "admin/admin_priv.h"
#include "config/proto_json.h"

static const char *const state_names[] = {"LIVE", "DRAINING", "PRE_INITIALIZING", "INITIALIZING"};

/* A process told to fail its health checks drains (Envoy: serverState). */
static enum weir_admin_state state_of(const struct weir_admin_call *call)
{
    const struct weir_admin_sources *s = call->sources;
    enum weir_admin_state state = s->state ? s->state(s->arg) : WEIR_ADMIN_LIVE;
    if (state == WEIR_ADMIN_LIVE && s->healthy && !s->healthy(s->arg))
        return WEIR_ADMIN_DRAINING;
    return state;
}

static void ready(struct weir_admin_call *call)
{
    enum weir_admin_state state = state_of(call);
    if (state != WEIR_ADMIN_LIVE)
        call->response->status = 503;
    weir_str_printf(call->body, "%s\n", state_names[state]);
}

static void print_option(struct weir_str *out, const struct weir_admin_option *o)
{
    if (o->kind == WEIR_ADMIN_OPTION_TEXT) {
        weir_admin_json_text(out, o->name, weir_slice_str(o->text ? o->text : ""));
        return;
    }
    weir_admin_json_member(out, o->name);
    if (o->kind == WEIR_ADMIN_OPTION_BOOL)
        weir_str_adds(out, o->number ? "true" : "false");
    else if (o->kind == WEIR_ADMIN_OPTION_SECONDS)
        weir_str_printf(out, "\"%llus\"", (unsigned long long)o->number);
    else
        weir_str_addu(out, o->number);
}

static void print_node(struct weir_admin_call *call)
{
    struct weir_config *config = call->sources->config ? call->sources->config(call->sources->arg) : NULL;
    if (!config || !config->bootstrap || !config->bootstrap->node)
        return;
    weir_admin_json_member(call->body, "node");
    weir_proto_json(call->body, config, config->bootstrap->node,
                    &(struct weir_proto_json_style){.compact = true, .redact = true});
}

static void server_info(struct weir_admin_call *call)
{
    const struct weir_admin_sources *s = call->sources;
    uint64_t uptime = s->uptime_s ? s->uptime_s(s->arg) : 0;
    uint32_t n = 0;
    const struct weir_admin_option *options = s->options ? s->options(s->arg, &n) : NULL;
    weir_str_adds(call->body, "{");
    weir_admin_json_text(call->body, "version", weir_slice_str(s->version));
    weir_admin_json_text(call->body, "state", weir_slice_str(state_names[state_of(call)]));
    weir_str_printf(call->body, ",\"uptime_current_epoch\":\"%llus\",\"uptime_all_epochs\":\"%llus\"",
                    (unsigned long long)uptime, (unsigned long long)uptime);
    weir_admin_json_text(call->body, "hot_restart_version", WEIR_S("disabled"));
    weir_admin_json_member(call->body, "command_line_options");
    weir_str_addc(call->body, '{');
    for (uint32_t i = 0; i < n; i++)
        print_option(call->body, &options[i]);
    weir_str_addc(call->body, '}');
    print_node(call);
    struct weir_slice refused = s->reload_error ? s->reload_error(s->arg) : WEIR_S_NONE;
    if (refused.len)
        weir_admin_json_text(call->body, "reload_error", refused);
    weir_str_addc(call->body, '}');
    weir_admin_reply_json(call);
}

/* Bytes of memory that are in RAM. */
static uint64_t resident(void)
{
    unsigned long pages = 0, total = 0;
    char text[128];
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    bool got = fgets(text, sizeof(text), file) != NULL;
    (void)fclose(file);
    if (!got)
        return 0;
    char *end = text;
    total = strtoul(text, &end, 10);
    pages = strtoul(end, NULL, 10);
    return total ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void memory(struct weir_admin_call *call)
{
    struct mallinfo2 m = mallinfo2();
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"allocated", m.uordblks + m.hblkhd},
        {"heap_size", m.arena + m.hblkhd},
        {"pageheap_unmapped", 0},
        {"pageheap_free", m.fordblks},
        {"total_thread_cache", m.fsmblks},
        {"total_physical_bytes", resident()},
    };
    weir_str_addc(call->body, '{');
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        weir_admin_json_member(call->body, rows[i].name);
        weir_str_printf(call->body, "\"%llu\"", (unsigned long long)rows[i].value);
    }
    weir_str_addc(call->body, '}');
    weir_admin_reply_json(call);
}

static void certs(struct weir_admin_call *call)
{
    weir_str_adds(call->body, "{\"certificates\":[]}");
    weir_admin_reply_json(call);
}
static void init_dump(struct weir_admin_call *call)
{
    weir_str_adds(call->body, "{}"); // a configuration is in service only when all of it is ready
    weir_admin_reply_json(call);
}
static void runtime(struct weir_admin_call *call)
{
    weir_str_adds(call->body, "{\"entries\":{},\"layers\":[]}");
    weir_admin_reply_json(call);
}
static void runtime_modify(struct weir_admin_call *call)
{
    if (call->n_params == 0)
        weir_admin_fail(call, 400,
                        "usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN\n"
                        "       or send the parameters as form values\n"
                        "use an empty value to remove a previously added override");
    else
        weir_admin_fail(call, 503, "No admin layer specified");
}
static void hot_restart_version(struct weir_admin_call *call)
{
    weir_str_adds(call->body, "disabled");
}
static void contention(struct weir_admin_call *call)
{
    weir_str_adds(call->body, "Mutex contention tracing is not enabled.");
}

/* ---- changes ---- */

static void done(struct weir_admin_call *call)
{
    weir_str_adds(call->body, "OK\n");
}
static void quit(struct weir_admin_call *call)
{
    if (call->sources->quit)
        call->sources->quit(call->sources->arg);
    done(call);
}
static void health_fail(struct weir_admin_call *call)
{
    if (call->sources->set_health)
        call->sources->set_health(call->sources->arg, false);
    done(call);
}
static void health_ok(struct weir_admin_call *call)
{
    if (call->sources->set_health)
        call->sources->set_health(call->sources->arg, true);
    done(call);
}
static void reopen_logs(struct weir_admin_call *call)
{
    if (call->sources->reopen_logs)
        call->sources->reopen_logs(call->sources->arg);
    done(call);
}
static void drain_listeners(struct weir_admin_call *call)
{
    bool graceful = weir_admin_param_of(call, "graceful").ptr != NULL;
    bool skip_exit = weir_admin_param_of(call, "skip_exit").ptr != NULL;
    bool inbound_only = weir_admin_param_of(call, "inboundonly").ptr != NULL;
    if (call->sources->drain_listeners)
        call->sources->drain_listeners(call->sources->arg, graceful, skip_exit, inbound_only);
    done(call);
}

static const struct weir_admin_param_doc drain_params[] = {
    {"graceful",
     "When draining listeners, enter a graceful drain period prior to closing listeners. This behaviour and "
     "duration is "
     "configurable via server options or CLI",
     NULL},
    {"skip_exit",
     "When draining listeners, do not exit after the drain period. This must be used with graceful", NULL},
    {"inboundonly", "Drains all inbound listeners.", NULL},
    {NULL, NULL, NULL},
};
static const struct weir_admin_endpoint endpoints[] = {
    {"/ready", "print server state, return 200 if LIVE, otherwise return 503", false, ready, NULL},
    {"/server_info", "print server version/status information", false, server_info, NULL},
    {"/memory", "print current allocation/heap usage", false, memory, NULL},
    {"/certs", "print certs on machine", false, certs, NULL},
    {"/init_dump", "dump current init manager information", false, init_dump, NULL},
    {"/runtime", "print runtime values", false, runtime, NULL},
    {"/runtime_modify",
     "Adds or modifies runtime values as passed in query parameters. E.g. ?key1=value1&key2=value2...", true,
     runtime_modify, NULL},
    {"/hot_restart_version", "print the hot restart compatibility version", false, hot_restart_version, NULL},
    {"/contention", "dump current mutex contention stats (if enabled)", false, contention, NULL},
    {"/quitquitquit", "exit the server", true, quit, NULL},
    {"/healthcheck/fail", "cause the server to fail health checks", true, health_fail, NULL},
    {"/healthcheck/ok", "cause the server to pass health checks", true, health_ok, NULL},
    {"/reopen_logs", "reopen access logs", true, reopen_logs, NULL},
    {"/drain_listeners", "drain listeners", true, drain_listeners, drain_params},
};
const struct weir_admin_group weir_admin_server_group = {endpoints, WEIR_COUNTOF(endpoints)};
