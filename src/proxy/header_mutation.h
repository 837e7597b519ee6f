/* Headers that configuration adds and removes: HeaderValueOption lists with %FORMAT% values, and lists of names. */
#ifndef WEIR_PROXY_HEADER_MUTATION_H
#define WEIR_PROXY_HEADER_MUTATION_H

#include "http/headers.h"
#include "proxy/access_log.h"

struct weir_conf_ctx;
struct weir_header_mutation;

/** Where the lists stand in their message, for reports. */
struct weir_header_mutation_source {
    const void *owner;      /* the message that has the fields */
    const char *add_field;  /* "request_headers_to_add" */
    const char *remove_field;
    void *const *add;       /* Envoy__Config__Core__V3__HeaderValueOption */
    size_t n_add;
    char *const *remove;
    size_t n_remove;
};
/** Compiles both lists. `*ret` is NULL when they are empty. WEIR_ERR_INVALID: reported, all of it.
 *  Rule: names with ':' and host are refused (Envoy HeaderParser). */
WEIR_MUST_CHECK enum weir_err weir_header_mutation_new(struct weir_conf_ctx *ctx, const struct weir_header_mutation_source *source,
                                                       const struct weir_header_mutation **ret);
/** Compiles a list of Envoy__Config__Common__MutationRules__V3__HeaderMutation: additions and removals in their order, pseudo-headers
 * and host included (they are set, never added to). WEIR_ERR_INVALID: reported, all of it. */
WEIR_MUST_CHECK enum weir_err weir_header_mutation_list_new(struct weir_conf_ctx *ctx, void *const *mutations, size_t n,
                                                            const struct weir_header_mutation **ret);
/** Removes, then adds in order (a list: as it stands). NULL does nothing. Literal values are borrowed from the configuration. */
void weir_header_mutation_apply(const struct weir_header_mutation *mutation, struct weir_headers *h,
                                const struct weir_log_context *context);

#endif
