/* Addresses are tried on the main thread before any worker binds them: with SO_REUSEPORT a port that another process serves would be
 * shared in silence, and workers that bind one after the other must agree on the port that the system chose. */
#include <stdio.h>

#include "server/server_priv.h"

static bool held_by(const struct weir_listener *listener, const struct weir_addr *addr)
{
    for (uint32_t i = 0; listener && i < listener->n_addrs; i++)
        if (weir_addr_eq(&listener->addrs[i], addr)) return true;
    return false;
}

static bool held(const struct weir_snapshot *previous, const struct weir_addr *addr)
{
    if (!previous) return false;
    if (held_by(previous->admin, addr)) return true;
    for (uint32_t i = 0; i < previous->n_listeners; i++)
        if (held_by(previous->listeners[i], addr)) return true;
    return false;
}

/* Port 0 on a listener that was there before keeps the port it got then. */
static void keep_port(struct weir_listener *listener, uint32_t index, const struct weir_listener *old)
{
    if (old && weir_slice_eq(old->name, listener->name) && index < old->n_addrs)
        weir_addr_set_port(&listener->addrs[index], weir_addr_port(&old->addrs[index]));
}
static void keep_ports(struct weir_listener *listener, uint32_t index, const struct weir_snapshot *previous, bool admin)
{
    if (!previous) return;
    if (admin) keep_port(listener, index, previous->admin);
    for (uint32_t i = 0; !admin && i < previous->n_listeners; i++) keep_port(listener, index, previous->listeners[i]);
}

static enum weir_err try_bind(struct weir_loop *loop, struct weir_listener *listener, uint32_t index)
{
    struct weir_addr *addr = &listener->addrs[index];
    struct weir_listen_opts opts = listener->listen_opts;
    opts.reuse_port = false;
    weir_sock sock;
    enum weir_err err = loop->ops->listen(loop, &addr->sa, addr->len, &opts, &sock);
    if (err) return err;
    if (weir_addr_port(addr) == 0) {
        struct sockaddr_storage bound;
        socklen_t len = sizeof bound;
        struct weir_addr real;
        err = loop->ops->local_addr(loop, sock, &bound, &len);
        if (err == WEIR_OK) {
            weir_addr_from_sockaddr(&bound, len, &real);
            weir_addr_set_port(addr, weir_addr_port(&real));
        }
    }
    loop->ops->close(loop, sock, false);
    return err;
}

static bool reserve(struct weir_server *server, struct weir_listener *listener, bool admin, const struct weir_snapshot *previous,
                    struct weir_str *reterr)
{
    for (uint32_t i = 0; listener && i < listener->n_addrs; i++) {
        struct weir_addr *addr = &listener->addrs[i];
        if (!weir_addr_is_ip(addr)) continue; /* a Unix socket is taken over by whoever binds it last */
        if (weir_addr_port(addr) == 0) keep_ports(listener, i, previous, admin);
        if (held(previous, addr)) continue;
        if (server->options->restart_epoch > 0 && weir_addr_port(addr) != 0) continue; /* sharing is what was asked for */
        enum weir_err err = try_bind(server->main->loop, listener, i);
        if (err == WEIR_OK) continue;
        char text[WEIR_ADDR_TEXT_MAX];
        struct weir_slice where = weir_addr_print(addr, text);
        weir_str_printf(reterr, "listener \"%.*s\" cannot bind %.*s: %s", WEIR_SARG(listener->name), WEIR_SARG(where),
                        err == WEIR_ERR_EXISTS ? "the address is in use by another process" : weir_err_text(err));
        return false;
    }
    return true;
}

bool weir_addresses_reserve(struct weir_server *server, struct weir_snapshot *snapshot, const struct weir_snapshot *previous,
                            struct weir_str *reterr)
{
    for (uint32_t i = 0; i < snapshot->n_listeners; i++)
        if (!reserve(server, snapshot->listeners[i], false, previous, reterr)) return false;
    return reserve(server, snapshot->admin, true, previous, reterr);
}
