"""Retries: which answers and failures get another attempt, what it carries, when it stops."""

import time

import pytest

from harness.proxy import cluster, http_config
from harness.wire import get, post, refused_port
from test_upstream_faults import LOG, last_log, reset

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FAST = "retry_back_off: {base_interval: 0.005s, max_interval: 0.01s}"


def status(code, headers=""):
    return f"HTTP/1.1 {code} X\r\n{headers}content-length: 4\r\n\r\nfail".encode()


def config(*ports, policy="", route="", extra="", vhost=""):
    policy = f", retry_policy: {{{policy}, {FAST}}}" if policy else ""
    route = f"- match: {{prefix: /}}\n  route: {{cluster: c{policy}{route}}}\n"
    return http_config(route, clusters=cluster("c", *ports, extra=extra), hcm=LOG, vhost=vhost)


class Failing:
    """Answers `n` times with `reply`, then 200."""

    def __init__(self, n, reply):
        self.n, self.reply = n, reply

    def __call__(self, request, connection):
        self.n -= 1
        if self.n < 0:
            connection.send(OK)
        elif callable(self.reply):
            self.reply(connection)
        else:
            connection.send(self.reply)


@pytest.mark.parametrize(
    "policy, reply, retried",
    [
        ("retry_on: 5xx", status(500), True),
        ("retry_on: 5xx", reset, True),
        ("retry_on: gateway-error", status(500), False),
        ("retry_on: gateway-error", status(503), True),
        ("retry_on: retriable-4xx", status(409), True),
        ("retry_on: retriable-4xx", status(404), False),
        ("retry_on: 'retriable-status-codes', retriable_status_codes: [418]", status(418), True),
        ("retry_on: 'retriable-headers', retriable_headers: [{name: x-again, present_match: true}]", status(200, "x-again: 1\r\n"), True),
        ("retry_on: reset", reset, True),
        ("retry_on: connect-failure", reset, False),
        ("retry_on: 5xx", status(503, "x-envoy-ratelimited: true\r\n"), False),
        ("retry_on: envoy-ratelimited", status(429, "x-envoy-ratelimited: true\r\n"), True),
        ("retry_on: unavailable", status(200, "grpc-status: 14\r\n"), True),
    ],
)
def test_conditions(weir, upstream, policy, reply, retried):
    up = upstream(Failing(1, reply))
    proxy = weir(config(up.port, policy=policy))
    answer = get(proxy.port)
    assert len(up.requests) == (2 if retried else 1)
    assert (answer.body == b"ok") == retried
    assert proxy.stat("cluster.c.upstream_rq_retry") == (1 if retried else 0)
    if retried:
        assert proxy.stat("cluster.c.upstream_rq_retry_success") == 1


def test_no_connection_then_another_host(weir, upstream):
    up = upstream(Failing(0, b""))
    proxy = weir(config(refused_port(), up.port, policy="retry_on: connect-failure, num_retries: 3, retry_host_predicate: [{name: envoy.retry_host_predicates.previous_hosts}], host_selection_retry_max_attempts: 5"))
    for _ in range(6):
        assert get(proxy.port).status == 200


def test_the_last_answer_is_passed_on_when_retries_are_used_up(weir, upstream):
    up = upstream(Failing(99, status(503)))
    proxy = weir(config(up.port, policy="retry_on: 5xx, num_retries: 2"))
    answer = get(proxy.port)
    assert answer.status == 503 and answer.body == b"fail"
    assert len(up.requests) == 3
    assert last_log(proxy) == "503 URX via_upstream"
    assert proxy.stat("cluster.c.upstream_rq_retry_limit_exceeded") == 1
    assert proxy.stat("cluster.c.retry.upstream_rq_503") == 2
    assert proxy.stat("cluster.c.upstream_rq_503") == 1


def test_connection_failures_are_told_as_the_latest(weir):
    proxy = weir(config(refused_port(), policy="retry_on: connect-failure"))
    answer = get(proxy.port)
    assert answer.status == 503
    assert answer.body == b"upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure"
    assert last_log(proxy).startswith("503 UF,URX upstream_reset_before_response_started{remote_connection_failure")


def test_the_body_is_sent_again(weir, upstream):
    body = bytes(range(256)) * 400
    up = upstream(Failing(1, status(503)))
    proxy = weir(config(up.port, policy="retry_on: 5xx", vhost="include_request_attempt_count: true\ninclude_attempt_count_in_response: true"))
    answer = post(proxy.port, body=body)
    assert answer.status == 200 and answer.get("x-envoy-attempt-count") == "2"
    assert [r.body for r in up.requests] == [body, body]
    assert [r.get("x-envoy-attempt-count") for r in up.requests] == ["1", "2"]


def test_a_body_over_the_limit_is_not_kept(weir, upstream):
    up = upstream(Failing(1, status(503)))
    proxy = weir(config(up.port, policy="retry_on: 5xx").replace("- match: {prefix: /}", "- per_request_buffer_limit_bytes: 1000\n                match: {prefix: /}"))
    assert post(proxy.port, body=b"x" * 5000).status == 503
    assert len(up.requests) == 1


def test_per_try_timeout(weir, upstream):
    seen = []

    def handler(request, connection):
        seen.append(request.get("x-envoy-expected-rq-timeout-ms"))
        if len(seen) == 1:
            time.sleep(3)
        connection.send(OK)

    proxy = weir(config(upstream(handler).port, policy="retry_on: 5xx, per_try_timeout: 0.2s"))
    started = time.monotonic()
    assert get(proxy.port).status == 200
    assert time.monotonic() - started < 1.5
    assert seen == ["200", "200"]
    assert proxy.stat("cluster.c.upstream_rq_per_try_timeout") == 1


def test_per_try_timeout_used_up(weir, upstream):
    proxy = weir(config(upstream(lambda r, c: time.sleep(3)).port, policy="retry_on: 5xx, per_try_timeout: 0.1s"))
    answer = get(proxy.port)
    assert answer.status == 504 and answer.body == b"upstream request timeout"
    assert last_log(proxy) == "504 UT,URX upstream_per_try_timeout"


def test_the_route_timeout_is_over_all_attempts(weir, upstream):
    def handler(request, connection):
        time.sleep(0.15)
        connection.send(status(503))

    proxy = weir(config(upstream(handler).port, policy="retry_on: 5xx, num_retries: 50", route=", timeout: 0.5s"))
    started = time.monotonic()
    assert get(proxy.port).status == 504
    assert 0.4 < time.monotonic() - started < 1.5


def test_the_breaker_limits_retries(weir, upstream):
    up = upstream(Failing(99, status(503)))
    proxy = weir(config(up.port, policy="retry_on: 5xx", extra="circuit_breakers: {thresholds: [{max_retries: 0}]}"))
    assert get(proxy.port).status == 503
    assert len(up.requests) == 1
    assert proxy.stat("cluster.c.upstream_rq_retry_overflow") == 1
