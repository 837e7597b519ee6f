/* /logging: levels of the process's own log, by component. Rule: Envoy 1.39 logs_handler.cc. */
#include <stdatomic.h>

#include "admin/admin_priv.h"
#include "base/log.h"

static void print_levels(struct weir_str *out)
{
    weir_str_adds(out, "active loggers:\n");
    for (unsigned i = 0; i < WEIR_LOGC_COUNT; i++) {
        enum weir_log_level level =
            (enum weir_log_level)atomic_load_explicit(&weir_log_levels[i], memory_order_relaxed);
        weir_str_printf(out, "  %s: %s\n", weir_log_component_name((enum weir_log_component)i),
                        weir_log_level_name(level));
    }
    weir_str_addc(out, '\n');
}

static void refuse(struct weir_admin_call *call, const char *why)
{
    weir_admin_fail(call, 400,
                    "error: %s\n\n"
                    "usage: /logging?<name>=<level> (change single level)\n"
                    "usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n"
                    "usage: /logging?level=<level> (change all levels)\n"
                    "levels: trace debug info warning error critical off \n",
                    why);
    print_levels(call->body);
}

/* One "name:level" or "name=level"; without `apply` it is only checked. */
static const char *change(struct weir_slice name, struct weir_slice text, bool apply)
{
    enum weir_log_level level;
    bool known = false;
    for (unsigned i = 0; i < WEIR_LOGC_COUNT; i++)
        known =
            known || weir_slice_eq(name, weir_slice_str(weir_log_component_name((enum weir_log_component)i)));
    if (!known)
        return "unknown logger name";
    if (weir_log_level_parse(text, &level) != WEIR_OK)
        return "unknown logger level";
    return !apply || weir_log_set_component(name, level) == WEIR_OK ? NULL : "unknown logger name";
}

/* All of a list or nothing. */
static const char *change_list(struct weir_slice list)
{
    for (int apply = 0; apply < 2; apply++) {
        struct weir_slice rest = list, item;
        while (weir_slice_next(&rest, ',', &item)) {
            size_t at = weir_slice_find(item, ':');
            if (at == item.len)
                return "unknown logger level";
            const char *why = change(weir_slice_trim(weir_slice_first(item, at)),
                                     weir_slice_trim(weir_slice_from(item, at + 1)), apply != 0);
            if (why)
                return why;
        }
    }
    return NULL;
}

static const char *change_param(const struct weir_admin_param *param)
{
    enum weir_log_level level;
    if (weir_slice_eq(param->name, WEIR_S("level"))) {
        if (weir_log_level_parse(param->value, &level) != WEIR_OK)
            return "unknown logger level";
        weir_log_set_level(level);
        return NULL;
    }
    if (weir_slice_eq(param->name, WEIR_S("paths")) || weir_slice_eq(param->name, WEIR_S("group")))
        return change_list(param->value);
    return change(param->name, param->value, true);
}

static void logging(struct weir_admin_call *call)
{
    const struct weir_admin_param *wanted = NULL;
    const char *why = NULL;
    for (uint32_t i = 0; i < call->n_params; i++) {
        if (call->params[i].value.len == 0)
            continue; // fields of a form that were left empty
        if (wanted)
            why = "invalid number of parameters";
        wanted = &call->params[i];
    }
    if (!why && wanted)
        why = change_param(wanted);
    if (why)
        refuse(call, why);
    else
        print_levels(call->body);
}

static const struct weir_admin_param_doc params[] = {
    {"paths",
     "Change multiple logging levels by setting to "
     "<logger_name1>:<desired_level1>,<logger_name2>:<desired_level2>.",
     NULL},
    {"level", "desired logging level, this will change all loggers's level",
     "One of (, trace, debug, info, warning, error, critical, off)"},
    {NULL, NULL, NULL},
};
static const struct weir_admin_endpoint endpoints[] = {
    {"/logging", "query/change logging levels", true, logging, params},
};
const struct weir_admin_group weir_admin_logging_group = {endpoints, WEIR_COUNTOF(endpoints)};
