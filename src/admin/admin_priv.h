/* Inside of the admin: a call of an endpoint, and the table's rows. */
#ifndef WEIR_ADMIN_ADMIN_PRIV_H
#define WEIR_ADMIN_ADMIN_PRIV_H

#include "admin/admin.h"
#include "base/regex.h"

struct weir_admin {
    struct weir_admin_sources sources;
};

struct weir_admin_param {
    struct weir_slice name, value; /* decoded */
};
#define WEIR_ADMIN_PARAMS_MAX 64u

/** One request on its way through an endpoint. The answer begins as 200 text/plain with an empty body. */
struct weir_admin_call {
    const struct weir_admin_sources *sources;
    struct weir_arena *arena;
    struct weir_admin_param params[WEIR_ADMIN_PARAMS_MAX];
    uint32_t n_params;
    struct weir_admin_response *response;
    struct weir_str *body; /* &response->body */
};

/** The value of a parameter; absent if it was not given ("?usedonly" has an empty one). */
struct weir_slice weir_admin_param_of(const struct weir_admin_call *call, const char *name);
/** Answers with a status other than 200 and a text. */
WEIR_PRINTF(3, 4) void weir_admin_fail(struct weir_admin_call *call, uint32_t status, const char *fmt, ...);
/** Compiles the parameter `name` as a regular expression; `*ret` NULL if it was not given; freed with the call. False: answered 400. */
bool weir_admin_regex_of(struct weir_admin_call *call, const char *name, const struct weir_regex **ret);
/** The body so far is compact JSON: makes it Envoy's form (one space a level, a line break at the end) and sets the content type. */
void weir_admin_reply_json(struct weir_admin_call *call);
/** `"name":` with a comma before it unless it is the first member. */
void weir_admin_json_member(struct weir_str *out, const char *name);
/** The same with a text as value. */
void weir_admin_json_text(struct weir_str *out, const char *name, struct weir_slice value);

/** What /help and the page at / say about a parameter. */
struct weir_admin_param_doc {
    const char *name, *text;
    const char *values; /* "One of (...)", or NULL */
};
struct weir_admin_endpoint {
    const char *path, *text;
    bool mutates; /* POST only */
    void (*handle)(struct weir_admin_call *call);
    const struct weir_admin_param_doc *params; /* ended by a row without name; or NULL */
};
/** The endpoints of one file. */
struct weir_admin_group {
    const struct weir_admin_endpoint *v;
    uint32_t n;
};
extern const struct weir_admin_group weir_admin_stats_group, weir_admin_server_group,
    weir_admin_logging_group, weir_admin_clusters_group, weir_admin_listeners_group, weir_admin_config_group,
    weir_admin_home_group;

/** Calls `fn` for every endpoint in order of path. */
void weir_admin_each_endpoint(void (*fn)(void *arg, const struct weir_admin_endpoint *endpoint), void *arg);
/** The text of /help, without its first line. */
void weir_admin_print_help(struct weir_str *out);
/** The admin that lives, for the filter; NULL if none does. */
struct weir_admin *weir_admin_current(void);

#endif
