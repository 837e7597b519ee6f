/* The resolver against a DNS server of a few lines on the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "event/world_uv.h"

#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "net/addr.h"

static struct weir_loop *loop;
static struct weir_io server;
static enum { ANSWER, NAME_ERROR, SILENT, GARBAGE } behaviour;
static uint32_t n_addresses;

/* Answers each query with `n_addresses` A records 10.0.x.y, TTL 60 + y. */
static void on_query(struct weir_io *io, uint32_t events WEIR_UNUSED)
{
    static unsigned char packet[65536];
    struct sockaddr_in peer;
    socklen_t peer_len = sizeof(peer);
    ssize_t n = recvfrom(io->sock, packet, 512, 0, (struct sockaddr *)&peer, &peer_len);
    if (n < 17 || behaviour == SILENT) {
        return;
    }
    size_t question = 12;
    while (packet[question] != 0) {
        question += packet[question] + 1u;
    }
    bool is_a = packet[question + 2] == 1;
    size_t len = question + 5;
    uint32_t count = behaviour == ANSWER && is_a ? n_addresses : 0;
    packet[2] = 0x81;
    packet[3] = behaviour == NAME_ERROR ? 0x83 : 0x80;
    packet[6] = (unsigned char)(count >> 8);
    packet[7] = (unsigned char)count;
    memset(packet + 8, 0, 4);
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char record[16] = {0xc0,
                                          12,
                                          0,
                                          1,
                                          0,
                                          1,
                                          0,
                                          0,
                                          0,
                                          (unsigned char)(60 + i % 100),
                                          0,
                                          4,
                                          10,
                                          0,
                                          (unsigned char)(i >> 8),
                                          (unsigned char)i};
        memcpy(packet + len, record, sizeof(record));
        len += sizeof(record);
    }
    if (behaviour == GARBAGE) {
        memset(packet + 4, 0xff, len - 4);
    }
    assert_true(sendto(io->sock, packet, len, 0, (struct sockaddr *)&peer, peer_len) == (ssize_t)len);
}

static int setup(void **state WEIR_UNUSED)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    char servers[64];
    loop = weir_loop_new(&weir_world_uv, NULL, "test", 1);
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(sock >= 0);
    assert_int_equal(bind(sock, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(getsockname(sock, (struct sockaddr *)&addr, &len), 0);
    weir_io_init(&server, loop, on_query);
    assert_int_equal(weir_io_open(&server, sock, WEIR_IO_READ), WEIR_OK);
    (void)snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)ntohs(addr.sin_port));
    assert_int_equal(weir_world_uv_dns_servers(loop, servers), WEIR_OK);
    behaviour = ANSWER;
    return 0;
}
static int teardown(void **state WEIR_UNUSED)
{
    weir_io_close(&server, false);
    weir_loop_free(loop);
    return 0;
}

static int n_done;
static enum weir_err done_err;
static uint32_t done_n, done_ttl;
static char done_first[WEIR_ADDR_TEXT_MAX];
static void on_done(void *arg, enum weir_err err, const struct weir_resolved *result)
{
    assert_ptr_equal(arg, &n_done);
    assert_true((result != NULL) == (err == WEIR_OK));
    n_done++;
    done_err = err;
    if (result) {
        char text[WEIR_ADDR_TEXT_MAX];
        struct weir_addr first;
        done_n = result->n;
        done_ttl = result->ttl_s;
        weir_addr_from_sockaddr(&result->v[0].addr, result->v[0].len, &first);
        (void)snprintf(done_first, sizeof(done_first), "%.*s", WEIR_SARG(weir_addr_print(&first, text)));
    }
    weir_loop_stop(loop);
}

static enum weir_err lookup(struct weir_slice host, int family)
{
    n_done = 0;
    (void)loop->ops->resolve(loop, host, family, on_done, &n_done);
    assert_int_equal(n_done, 0); /* never before it returns */
    weir_loop_run(loop);
    assert_int_equal(n_done, 1);
    return done_err;
}

static void test_answers(void **state WEIR_UNUSED)
{
    n_addresses = 3;
    assert_int_equal(lookup(WEIR_S("three.test."), AF_INET), WEIR_OK);
    assert_int_equal(done_n, 3);
    assert_int_equal(done_ttl, 60);
    assert_string_equal(done_first, "10.0.0.0:0");
    assert_int_equal(lookup(WEIR_S("three.test."), AF_UNSPEC), WEIR_OK);
    assert_int_equal(done_n, 3);
    n_addresses = 0;
    assert_int_equal(lookup(WEIR_S("none.test."), AF_INET), WEIR_ERR_NOT_FOUND);
    behaviour = NAME_ERROR;
    assert_int_equal(lookup(WEIR_S("nx.test."), AF_INET), WEIR_ERR_NOT_FOUND);
}

static void test_literals_and_bad_names(void **state WEIR_UNUSED)
{
    char longest[300];
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(lookup(WEIR_S("127.0.0.1"), AF_UNSPEC), WEIR_OK);
    assert_string_equal(done_first, "127.0.0.1:0");
    assert_int_equal(lookup(WEIR_S("::1"), AF_UNSPEC), WEIR_OK);
    assert_string_equal(done_first, "[::1]:0");
    assert_int_equal(lookup(WEIR_S(""), AF_UNSPEC), WEIR_ERR_SYNTAX);
    assert_int_equal(lookup(WEIR_S("a\0b"), AF_UNSPEC), WEIR_ERR_SYNTAX);
    assert_int_equal(lookup(weir_slice(longest, sizeof(longest)), AF_UNSPEC), WEIR_ERR_SYNTAX);
    assert_int_equal(lookup(weir_slice(longest, 100), AF_INET), WEIR_ERR_SYNTAX); /* one label over 63 */
}

static void on_cancelled(void *arg WEIR_UNUSED, enum weir_err err WEIR_UNUSED,
                         const struct weir_resolved *result WEIR_UNUSED)
{
    fail_msg("called after it was cancelled");
}
static void test_cancel(void **state WEIR_UNUSED)
{
    n_addresses = 1;
    void *slow = loop->ops->resolve(loop, WEIR_S("a.test."), AF_INET, on_cancelled, NULL);
    void *quick = loop->ops->resolve(loop, WEIR_S("127.0.0.1"), AF_INET, on_cancelled, NULL);
    loop->ops->resolve_cancel(loop, slow);
    loop->ops->resolve_cancel(loop, quick);
    assert_int_equal(lookup(WEIR_S("b.test."), AF_INET), WEIR_OK);
    behaviour = SILENT; /* a lookup that is still running when the loop ends */
    (void)loop->ops->resolve(loop, WEIR_S("c.test."), AF_INET, on_cancelled, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_literals_and_bad_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
