/* Addresses and CIDR ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/addr.h"

static void test_ip_text(void **state WEIR_UNUSED)
{
    static const struct {
        struct weir_slice ip;
        uint16_t port;
        enum weir_err err;
        const char *text, *ip_text;
    } rows[] = {
        {WEIR_S_INIT("1.2.3.4"), 80, WEIR_OK, "1.2.3.4:80", "1.2.3.4"},
        {WEIR_S_INIT("::1"), 65535, WEIR_OK, "[::1]:65535", "::1"},
        {WEIR_S_INIT("[2001:DB8::0:1]"), 0, WEIR_OK, "[2001:db8::1]:0", "2001:db8::1"},
        {WEIR_S_INIT("::ffff:1.2.3.4"), 1, WEIR_OK, "[::ffff:1.2.3.4]:1", "::ffff:1.2.3.4"},
        {WEIR_S_INIT("example.com"), 80, WEIR_ERR_SYNTAX, NULL, NULL},
        {WEIR_S_INIT(""), 80, WEIR_ERR_SYNTAX, NULL, NULL},
        {WEIR_S_INIT("1.2.3"), 80, WEIR_ERR_SYNTAX, NULL, NULL},
        {WEIR_S_INIT("1.2.3.04"), 80, WEIR_ERR_SYNTAX, NULL, NULL},
        {WEIR_S_INIT("[1.2.3.4]"), 80, WEIR_ERR_SYNTAX, NULL, NULL},
        {WEIR_S_INIT("[::1"), 80, WEIR_ERR_SYNTAX, NULL, NULL},
        {WEIR_S_INIT("1.2.3.4\0x"), 80, WEIR_ERR_SYNTAX, NULL, NULL},
        {WEIR_S_INIT("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb"), 80, WEIR_ERR_SYNTAX, NULL,
         NULL},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_addr addr;
        char out[WEIR_ADDR_TEXT_MAX];
        assert_int_equal(weir_addr_parse_ip(rows[i].ip, rows[i].port, &addr), rows[i].err);
        if (rows[i].err) {
            continue;
        }
        assert_true(weir_slice_eq(weir_addr_print(&addr, out), weir_slice_str(rows[i].text)));
        assert_true(weir_slice_eq(weir_addr_print_ip(&addr, out), weir_slice_str(rows[i].ip_text)));
        assert_int_equal(weir_addr_port(&addr), rows[i].port);
        assert_true(weir_addr_is_ip(&addr));
    }
}

static void test_unix_text(void **state WEIR_UNUSED)
{
    struct weir_addr path, abstract;
    char out[WEIR_ADDR_TEXT_MAX], longest[200];
    assert_int_equal(weir_addr_parse_unix(WEIR_S("/run/x.sock"), &path), WEIR_OK);
    assert_true(weir_slice_eq(weir_addr_print(&path, out), WEIR_S("/run/x.sock")));
    assert_int_equal(weir_addr_parse_unix(WEIR_S("@name"), &abstract), WEIR_OK);
    assert_int_equal(abstract.un.sun_path[0], '\0');
    assert_true(weir_slice_eq(weir_addr_print(&abstract, out), WEIR_S("@name")));
    assert_false(weir_addr_eq(&path, &abstract));
    assert_true(weir_addr_eq(&path, &path));
    assert_false(weir_addr_is_ip(&path));
    assert_int_equal(weir_addr_port(&path), 0);
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(weir_addr_parse_unix(weir_slice(longest, 107), &path), WEIR_OK);
    assert_int_equal(weir_addr_print(&path, out).len, 107);
    assert_int_equal(weir_addr_parse_unix(weir_slice(longest, 108), &path), WEIR_ERR_LIMIT);
    assert_int_equal(weir_addr_parse_unix(WEIR_S(""), &path), WEIR_ERR_SYNTAX);
    struct weir_addr nameless;
    struct sockaddr_storage ss = {.ss_family = AF_UNIX};
    weir_addr_from_sockaddr(&ss, sizeof(sa_family_t), &nameless);
    assert_int_equal(weir_addr_print(&nameless, out).len, 0);
    assert_int_equal(weir_addr_print(&(struct weir_addr){0}, out).len, 0);
}

static void test_cidr(void **state WEIR_UNUSED)
{
    static const struct {
        struct weir_slice prefix;
        uint32_t bits;
        struct weir_slice ip;
        bool in;
    } rows[] = {
        {WEIR_S_INIT("10.0.0.0"), 8, WEIR_S_INIT("10.255.0.1"), true},
        {WEIR_S_INIT("10.0.0.0"), 8, WEIR_S_INIT("11.0.0.1"), false},
        {WEIR_S_INIT("10.0.0.128"), 25, WEIR_S_INIT("10.0.0.127"), false},
        {WEIR_S_INIT("10.0.0.128"), 25, WEIR_S_INIT("10.0.0.200"), true},
        {WEIR_S_INIT("10.1.2.3"), 16, WEIR_S_INIT("10.1.9.9"),
         true}, /* bits behind the prefix do not count */
        {WEIR_S_INIT("0.0.0.0"), 0, WEIR_S_INIT("1.2.3.4"), true},
        {WEIR_S_INIT("1.2.3.4"), 32, WEIR_S_INIT("1.2.3.4"), true},
        {WEIR_S_INIT("1.2.3.4"), 32, WEIR_S_INIT("::ffff:1.2.3.4"), true},
        {WEIR_S_INIT("0.0.0.0"), 0, WEIR_S_INIT("::1"), false},
        {WEIR_S_INIT("2001:db8::"), 33, WEIR_S_INIT("2001:db8:7fff::1"), true},
        {WEIR_S_INIT("2001:db8::"), 33, WEIR_S_INIT("2001:db8:8000::1"), false},
        {WEIR_S_INIT("::"), 0, WEIR_S_INIT("1.2.3.4"), false},
        {WEIR_S_INIT("::ffff:0:0"), 96, WEIR_S_INIT("::ffff:9.9.9.9"), true},
        {WEIR_S_INIT("::1"), 128, WEIR_S_INIT("::1"), true},
    };
    struct weir_cidr cidr;
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_addr addr;
        assert_int_equal(weir_cidr_make(rows[i].prefix, rows[i].bits, &cidr), WEIR_OK);
        assert_int_equal(weir_addr_parse_ip(rows[i].ip, 9, &addr), WEIR_OK);
        assert_int_equal(weir_cidr_contains(&cidr, &addr), rows[i].in);
    }
    assert_int_equal(weir_cidr_make(WEIR_S("1.2.3.4"), 33, &cidr), WEIR_ERR_LIMIT);
    assert_int_equal(weir_cidr_make(WEIR_S("::"), 129, &cidr), WEIR_ERR_LIMIT);
    assert_int_equal(weir_cidr_make(WEIR_S("x"), 8, &cidr), WEIR_ERR_SYNTAX);
}

static void test_loopback_and_equality(void **state WEIR_UNUSED)
{
    static const struct {
        struct weir_slice ip;
        bool loopback;
    } rows[] = {
        {WEIR_S_INIT("127.9.9.9"), true}, {WEIR_S_INIT("128.0.0.1"), false},
        {WEIR_S_INIT("::1"), true},       {WEIR_S_INIT("::ffff:127.0.0.1"), true},
        {WEIR_S_INIT("::2"), false},
    };
    for (size_t i = 0; i < WEIR_COUNTOF(rows); i++) {
        struct weir_addr a, b;
        assert_int_equal(weir_addr_parse_ip(rows[i].ip, 1, &a), WEIR_OK);
        assert_int_equal(weir_addr_parse_ip(rows[i].ip, 2, &b), WEIR_OK);
        assert_int_equal(weir_addr_is_loopback(&a), rows[i].loopback);
        assert_false(weir_addr_eq(&a, &b));
        weir_addr_set_port(&b, 1);
        assert_true(weir_addr_eq(&a, &b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ip_text),
        cmocka_unit_test(test_unix_text),
        cmocka_unit_test(test_cidr),
        cmocka_unit_test(test_loopback_and_equality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
