/* Accepted connections, as listener.c sees them. */
#ifndef WEIR_PROXY_DOWN_H
#define WEIR_PROXY_DOWN_H

#include "proxy/listener.h"

/** A connection of `listener` over `sock` (taken). It is linked into `connections` and lives until it has closed. */
void weir_down_accept(struct weir_worker *worker, struct weir_listener *listener, const struct weir_filter_chain *chain,
                      weir_sock sock, const struct weir_addr *local, const struct weir_addr *peer, struct weir_list *connections);
/** Asks its filters to finish; it is closed `drain_ms` from now at the latest. An earlier deadline stays. */
void weir_down_drain(struct weir_down *down, uint64_t drain_ms);
/** Closes and frees it now: the worker ends. */
void weir_down_destroy(struct weir_down *down);

#endif
