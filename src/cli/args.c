/* Command line: a table of options and one loop over it. "--name value", "--name=value", "-n value" and "-nvalue" are accepted,
 * as Envoy's parser (TCLAP) accepts them. */
#include "cli/args.h"

#include <stddef.h>
#include <string.h>

#include "base/attr.h"
#include "base/slice.h"

enum kind { FLAG, TEXT, NUMBER, CHOICE, ACTION };

struct option {
    const char *name;  // long form without dashes
    char brief;        // short form, 0 = none
    enum kind kind;
    size_t offset;     // into struct weir_options; ACTION: enum weir_args_action
    const char *value; // what stands for the value in --help; CHOICE: the legal values in their order, '|' between them
    const char *help;
};

#define AT(field) offsetof(struct weir_options, field)

/* A row without a name starts a group. */
static const struct option table[] = {
    {.help = "Configuration"},
    {"config-path", 'c', TEXT, AT(config_path), "FILE", "Envoy v3 bootstrap: .yaml, .yml, .json or .pb"},
    {"config-yaml", 0, TEXT, AT(config_yaml), "YAML", "Bootstrap text, merged over the file"},
    {"mode", 0, CHOICE, AT(mode), "serve|validate|init_only", "serve, or only check the configuration and say all that is wrong"},
    {"format", 0, CHOICE, AT(format), "text|json", "How mistakes in the configuration are printed"},
    {"watch", 0, FLAG, AT(watch), NULL, "Reload when the configuration or a Wasm module it names changes"},
    {"allow-unknown-static-fields", 0, FLAG, AT(allow_unknown_static_fields), NULL, "Unknown fields are warnings, not errors"},
    {"reject-unknown-dynamic-fields", 0, FLAG, AT(reject_unknown_dynamic_fields), NULL, "The same as errors in dynamic resources"},
    {"ignore-unknown-dynamic-fields", 0, FLAG, AT(ignore_unknown_dynamic_fields), NULL, "The same without a warning"},
    {"skip-deprecated-logs", 0, FLAG, AT(skip_deprecated_logs), NULL, "No warnings about deprecated fields"},
    {.help = "Threads and shutdown"},
    {"concurrency", 0, NUMBER, AT(concurrency), "N", "Worker threads (default: one a hardware thread)"},
    {"cpuset-threads", 0, FLAG, AT(cpuset_threads), NULL, "Worker threads from the CPUs this process may use"},
    {"drain-time-s", 0, NUMBER, AT(drain_time_s), "SECONDS", "How long connections may finish at shutdown or reload (600)"},
    {"drain-strategy", 0, TEXT, AT(drain_strategy), "gradual|immediate", "Whether connections are asked to close over that time or at once"},
    {"parent-shutdown-time-s", 0, NUMBER, AT(parent_shutdown_time_s), "SECONDS", "Accepted for Envoy's sake: weir reloads in place"},
    {.help = "Filters in Wasm"},
    {"wasm-cache-path", 0, TEXT, AT(wasm_cache_path), "DIR", "Keep compiled modules here (~/.cache/weir/wasm); \"\" keeps none"},
    {"wasm-memory-max-mib", 0, NUMBER, AT(wasm_memory_max_mib), "MIB", "Memory of one VM (256)"},
    {"wasm-deadline-ms", 0, NUMBER, AT(wasm_deadline_ms), "MS", "CPU time of one callback (50)"},
    {"wasm-start-deadline-ms", 0, NUMBER, AT(wasm_start_deadline_ms), "MS", "CPU time of a plugin's start and configuration (1000)"},
    {"wasm-quick-compile", 0, FLAG, AT(wasm_quick_compile), NULL, "Compile five times faster to code half as fast"},
    {.help = "Logging"},
    {"log-level", 'l', TEXT, AT(log_level), "LEVEL", "trace, debug, info, warning, error, critical or off"},
    {"component-log-level", 0, TEXT, AT(component_log_level), "LIST", "Levels by component: upstream:debug,wasm:trace"},
    {"log-path", 0, TEXT, AT(log_path), "FILE", "Log here instead of the terminal; reopened on SIGUSR1"},
    {"log-format", 0, TEXT, AT(log_format), "FORMAT", "Format of log lines: [%Y-%m-%d %T.%e][%t][%l][%n] %v"},
    {"file-flush-interval-msec", 0, NUMBER, AT(file_flush_interval_msec), "MS", "Access logs are written at least this often (10000)"},
    {"file-flush-min-size-kb", 0, NUMBER, AT(file_flush_min_size_kb), "KB", "or when this much has gathered (64)"},
    {.help = "Identity"},
    {"service-node", 0, TEXT, AT(service_node), "NAME", "This node's id"},
    {"service-cluster", 0, TEXT, AT(service_cluster), "NAME", "The service that this proxy belongs to"},
    {"service-zone", 0, TEXT, AT(service_zone), "NAME", "The zone it runs in"},
    {"admin-address-path", 0, TEXT, AT(admin_address_path), "FILE", "Write the admin's address here once it listens"},
    {"local-address-ip-version", 0, TEXT, AT(local_address_ip_version), "v4|v6", "Family of the local address in headers"},
    {.help = "Hot restart (accepted; SIGHUP reloads in place)"},
    {"base-id", 0, NUMBER, AT(base_id), "N", NULL},
    {"use-dynamic-base-id", 0, FLAG, AT(use_dynamic_base_id), NULL, NULL},
    {"disable-hot-restart", 0, FLAG, AT(disable_hot_restart), NULL, NULL},
    {"restart-epoch", 0, NUMBER, AT(restart_epoch), "N", NULL},
    {"hot-restart-version", 0, ACTION, WEIR_ARGS_HOT_RESTART_VERSION, NULL, "Print it and exit"},
    {.help = "Other"},
    {"help", 'h', ACTION, WEIR_ARGS_HELP, NULL, "This text"},
    {"version", 0, ACTION, WEIR_ARGS_VERSION, NULL, "Version and what it is built on"},
    {"print-json-schema", 0, ACTION, WEIR_ARGS_SCHEMA, NULL, "A JSON Schema of the configuration, for editors"},
    {"print-man", 0, ACTION, WEIR_ARGS_MAN, NULL, "The man page: weir --print-man | man -l -"},
    {"print-feature-table", 0, ACTION, WEIR_ARGS_FEATURES, NULL, "Which fields of Envoy's messages are implemented, as Markdown"},
};

static const struct option *find_long(struct weir_slice name)
{
    for (size_t i = 0; i < WEIR_COUNTOF(table); i++)
        if (table[i].name && weir_slice_eq(weir_slice_str(table[i].name), name)) return &table[i];
    return NULL;
}

static const struct option *find_brief(char c)
{
    for (size_t i = 0; i < WEIR_COUNTOF(table); i++)
        if (table[i].brief && table[i].brief == c) return &table[i];
    return NULL;
}

/* How many characters the two share at their start, both ways: enough to point at a slip of the fingers. */
static size_t likeness(const char *a, struct weir_slice b)
{
    size_t front = 0, back = 0, len = strlen(a);
    while (front < len && front < b.len && a[front] == b.ptr[front]) front++;
    while (back < len - front && back < b.len - front && a[len - 1 - back] == b.ptr[b.len - 1 - back]) back++;
    return front + back;
}

static void print_near(FILE *err, struct weir_slice name)
{
    const struct option *best = NULL;
    size_t best_likeness = name.len / 2;
    for (size_t i = 0; i < WEIR_COUNTOF(table); i++) {
        if (!table[i].name) continue;
        size_t l = likeness(table[i].name, name);
        if (l <= best_likeness) continue;
        best = &table[i];
        best_likeness = l;
    }
    if (best) fprintf(err, " (did you mean --%s?)", best->name);
}

static bool set_choice(const struct option *o, struct weir_slice value, struct weir_options *options)
{
    struct weir_slice rest = weir_slice_str(o->value), choice;
    for (int i = 0; weir_slice_next(&rest, '|', &choice); i++)
        if (weir_slice_eq(choice, value)) {
            memcpy((char *)options + o->offset, &i, sizeof i);
            return true;
        }
    return false;
}

static bool set_value(const struct option *o, const char *value, struct weir_options *options, FILE *err)
{
    void *at = (char *)options + o->offset;
    if (o->kind == TEXT) {
        memcpy(at, &value, sizeof value);
        return true;
    }
    if (o->kind == NUMBER) {
        uint64_t n;
        if (weir_parse_u64(weir_slice_str(value), UINT32_MAX, &n) == WEIR_OK) {
            memcpy(at, &n, sizeof n);
            return true;
        }
        fprintf(err, "weir: --%s takes a whole number, not \"%s\"\n", o->name, value);
        return false;
    }
    if (set_choice(o, weir_slice_str(value), options)) return true;
    fprintf(err, "weir: --%s takes %s, not \"%s\"\n", o->name, o->value, value);
    return false;
}

/* One argument: finds its row and its value, which may be glued to it or the next argument. */
static const struct option *split(char **argv, int *i, const char **ret_value)
{
    const char *arg = argv[*i];
    const struct option *o = NULL;
    *ret_value = NULL;
    if (arg[1] == '-') {
        struct weir_slice name = weir_slice_str(arg + 2);
        size_t eq = weir_slice_find(name, '=');
        if (eq < name.len) *ret_value = name.ptr + eq + 1;
        o = find_long(weir_slice_first(name, eq));
    } else if (arg[1]) {
        o = find_brief(arg[1]);
        if (o && arg[2]) *ret_value = arg[2] == '=' ? arg + 3 : arg + 2;
    }
    if (o && !*ret_value && o->kind != FLAG && o->kind != ACTION) *ret_value = argv[++*i];
    return o;
}

enum weir_args_action weir_args_parse(int argc, char **argv, struct weir_options *options, FILE *err)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], *value;
        if (arg[0] != '-') {
            fprintf(err, "weir: \"%s\" is not an option; a configuration is given with -c %s\n", arg, arg);
            return WEIR_ARGS_FAULT;
        }
        const struct option *o = split(argv, &i, &value);
        if (!o) {
            fprintf(err, "weir: there is no option %s", arg);
            if (arg[1] == '-') print_near(err, weir_slice_str(arg + 2));
            fprintf(err, "; weir --help lists all\n");
            return WEIR_ARGS_FAULT;
        }
        if (o->kind == ACTION) return (enum weir_args_action)o->offset;
        if (o->kind == FLAG) {
            bool yes = true;
            memcpy((char *)options + o->offset, &yes, sizeof yes);
            continue;
        }
        if (!value) {
            fprintf(err, "weir: %s needs a value: --%s %s\n", arg, o->name, o->value);
            return WEIR_ARGS_FAULT;
        }
        if (!set_value(o, value, options, err)) return WEIR_ARGS_FAULT;
    }
    return WEIR_ARGS_RUN;
}

void weir_args_help(FILE *out)
{
    fputs("weir: a service proxy that takes Envoy's configuration and runs Proxy-Wasm filters, each in a box.\n\n"
          "  weir -c envoy.yaml                    serve\n"
          "  weir -c envoy.yaml --mode validate    check a configuration; every mistake with its line\n",
          out);
    for (size_t i = 0; i < WEIR_COUNTOF(table); i++) {
        const struct option *o = &table[i];
        if (!o->name) {
            fprintf(out, "\n%s\n", o->help);
            continue;
        }
        char left[64];
        int n = snprintf(left, sizeof left, "%c%c%s--%s%s%s", o->brief ? '-' : ' ', o->brief ? o->brief : ' ', o->brief ? ", " : "  ",
                         o->name, o->value ? " " : "", o->value ? o->value : "");
        fprintf(out, "  %-38s", left);
        if (n > 38) fprintf(out, "\n  %-38s", "");
        fprintf(out, " %s\n", o->help ? o->help : "");
    }
    fputs("\nSignals: SIGHUP rereads the configuration (a faulty one changes nothing), SIGUSR1 reopens the logs,\n"
          "SIGTERM and SIGINT let running requests finish and exit; a second one exits at once.\n",
          out);
}

/* Text for roff: a line that begins with a dot or quote would be a request, a backslash an escape. */
static void put_roff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'') fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '\\') fputc('\\', out);
        if (*text == '-') fputc('\\', out);
        fputc(*text, out);
    }
}

void weir_args_man(FILE *out)
{
    fputs(".TH WEIR 1\n.SH NAME\nweir \\- a service proxy that takes Envoy's configuration and runs Proxy\\-Wasm filters\n"
          ".SH SYNOPSIS\n.B weir \\-c\n.I FILE\n[options]\n.SH DESCRIPTION\n"
          "weir reads an Envoy v3 bootstrap and serves it. Mistakes are reported all at once, each with its line; what is not\n"
          "implemented is refused by name. SIGHUP rereads the configuration: a faulty one changes nothing. SIGUSR1 reopens the logs.\n"
          "SIGTERM and SIGINT let running requests finish; a second one exits at once.\n.SH OPTIONS\n", out);
    for (size_t i = 0; i < WEIR_COUNTOF(table); i++) {
        const struct option *o = &table[i];
        if (!o->name) {
            fprintf(out, ".SS %s\n", o->help);
            continue;
        }
        fprintf(out, ".TP\n.B ");
        if (o->brief) fprintf(out, "\\-%c, ", o->brief);
        fputs("\\-\\-", out);
        put_roff(out, o->name);
        if (o->value) fputc(' ', out), put_roff(out, o->value);
        fputc('\n', out);
        put_roff(out, o->help ? o->help : "Accepted, without effect.");
        fputc('\n', out);
    }
    fputs(".SH EXIT STATUS\n0 after a graceful end or a valid configuration, 1 otherwise.\n", out);
}
