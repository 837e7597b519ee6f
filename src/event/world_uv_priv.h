/* The real world's parts: world_uv.c holds the loop, world_uv_sock.c the system calls on sockets, world_uv_dns.c the resolver. */
#ifndef WEIR_EVENT_WORLD_UV_PRIV_H
#define WEIR_EVENT_WORLD_UV_PRIV_H

#include <uv.h>

#include "event/loop.h"
#include "event/world_uv.h"

struct weir_uv_dns;

struct weir_uv {
    uv_loop_t uv;
    uv_timer_t alarm;
    uv_async_t wake;
    uv_prepare_t before_wait;
    uv_check_t after_wait;
    struct weir_loop *loop;
    bool in_turn;
    int reserve_fd; /* the main loop's: given up for one connection (to admin) when file descriptors run out */
    struct weir_slab handles; /* struct weir_uv_handle */
    struct weir_uv_dns *dns;  /* made at the first lookup */
};

static inline struct weir_uv *weir_uv_of(struct weir_loop *loop)
{
    return loop->world;
}

enum weir_err weir_uv_listen(struct weir_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                             const struct weir_listen_opts *opts, weir_sock *ret);
enum weir_err weir_uv_accept(struct weir_loop *loop, weir_sock listener, struct sockaddr_storage *ret_peer,
                             socklen_t *ret_peer_len, weir_sock *ret);
enum weir_err weir_uv_connect(struct weir_loop *loop, const struct sockaddr *addr, socklen_t addr_len,
                              const struct sockaddr *bind_to, socklen_t bind_len, weir_sock *ret,
                              int *ret_errno);
enum weir_err weir_uv_connect_result(struct weir_loop *loop, weir_sock sock, int *ret_errno);
ssize_t weir_uv_recv(struct weir_loop *loop, weir_sock sock, void *buf, size_t len, enum weir_err *ret_err);
ssize_t weir_uv_writev(struct weir_loop *loop, weir_sock sock, const struct iovec *iov, int n,
                       enum weir_err *ret_err);
void weir_uv_shutdown_write(struct weir_loop *loop, weir_sock sock);
void weir_uv_close(struct weir_loop *loop, weir_sock sock, bool reset);
enum weir_err weir_uv_local_addr(struct weir_loop *loop, weir_sock sock, struct sockaddr_storage *ret,
                                 socklen_t *ret_len);
enum weir_err weir_uv_set_option(struct weir_loop *loop, weir_sock sock, int level, int name, int value);

/** Opens the reserve again if it was given up. */
void weir_uv_keep_reserve(struct weir_uv *world);

void *weir_uv_resolve(struct weir_loop *loop, struct weir_slice host, int family,
                      void (*done)(void *arg, enum weir_err err, const struct weir_resolved *result),
                      void *arg);
void weir_uv_resolve_cancel(struct weir_loop *loop, void *handle);
/** Ends the resolver: running lookups are cancelled without a call. */
void weir_uv_dns_fini(struct weir_uv *world);

#endif
