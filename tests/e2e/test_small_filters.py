"""header_mutation, buffer, fault, cors, local_ratelimit, health_check: each does what its page says."""

import time

import pytest

from harness.proxy import cluster, http_config, run_validate
from harness.wire import Client, get, post
from test_upstream_faults import LOG, last_log

TYPE = "type.googleapis.com/envoy.extensions.filters.http."


def filter_of(name, message, fields="", version="v3"):
    text = f"- name: envoy.filters.http.{name}\n  typed_config:\n    '@type': {TYPE}{name}.{version}.{message}\n"
    return text + "".join(f"    {line}\n" for line in fields.strip("\n").splitlines())


def config(port, filters, route="", match="match: {prefix: /}"):
    routes = f"- {match}\n  route: {{cluster: c}}\n" + "".join(f"  {line}\n" for line in route.strip("\n").splitlines() if line)
    return http_config(routes, clusters=cluster("c", port), filters=filters, hcm=LOG)


def per_route(name, message, fields):
    text = f"typed_per_filter_config:\n  envoy.filters.http.{name}:\n    '@type': {TYPE}{name}.v3.{message}\n"
    return text + "".join(f"    {line}\n" for line in fields.strip("\n").splitlines())


# ---- header_mutation


def test_header_mutation(weir, upstream):
    up = upstream()
    filters = filter_of("header_mutation", "HeaderMutation", """
mutations:
  request_mutations:
  - {append: {header: {key: x-a, value: "%REQ(:METHOD)%"}}}
  - {remove: x-gone}
  - {append: {header: {key: ":path", value: /changed}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}}
  response_mutations:
  - {append: {header: {key: x-level, value: filter}}}
""")
    proxy = weir(config(up.port, filters, per_route("header_mutation", "HeaderMutationPerRoute", "mutations: {response_mutations: [{append: {header: {key: x-level, value: route}}}]}")))
    answer = get(proxy.port, "/first", [("x-gone", "1")])
    assert answer.all("x-level") == ["filter", "route"]
    request = up.requests[0]
    assert request.path == "/changed" and request.get("x-a") == "GET" and request.get("x-gone") is None


# ---- buffer


def test_buffer_waits_for_the_whole_request(weir, upstream):
    up = upstream()
    proxy = weir(config(up.port, filter_of("buffer", "Buffer", "max_request_bytes: 1000")))
    with Client(proxy.port) as client:
        client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        time.sleep(0.3)
        assert not up.requests
        client.send("2\r\nde\r\n0\r\n\r\n")
        assert client.recv_response().status == 200
    assert up.requests[0].body == b"abcde" and up.requests[0].get("content-length") == "5"


def test_buffer_refuses_more(weir, upstream):
    up = upstream()
    proxy = weir(config(up.port, filter_of("buffer", "Buffer", "max_request_bytes: 1000")))
    answer = post(proxy.port, body=b"x" * 1001)
    assert answer.status == 413 and answer.body == b"Payload Too Large"
    assert not up.requests
    assert post(proxy.port, body=b"x" * 1000).status == 200


def test_buffer_off_on_a_route(weir, upstream):
    up = upstream()
    proxy = weir(config(up.port, filter_of("buffer", "Buffer", "max_request_bytes: 10"), per_route("buffer", "BufferPerRoute", "disabled: true")))
    assert post(proxy.port, body=b"x" * 1000).status == 200


# ---- fault


def test_fault_abort(weir, upstream):
    up = upstream()
    proxy = weir(config(up.port, filter_of("fault", "HTTPFault", "abort: {http_status: 555, percentage: {numerator: 100}}")))
    answer = get(proxy.port)
    assert answer.status == 555 and answer.body == b"fault filter abort"
    assert last_log(proxy) == "555 FI fault_filter_abort"
    assert proxy.stat("http.test.fault.aborts_injected") == 1 and not up.requests
    proxy.wait_stat("http.test.fault.active_faults", 0)


def test_fault_delay(weir, upstream):
    proxy = weir(config(upstream().port, filter_of("fault", "HTTPFault", "delay: {fixed_delay: 0.3s, percentage: {numerator: 100}}")))
    started = time.monotonic()
    assert post(proxy.port, body=b"body").status == 200
    assert 0.28 < time.monotonic() - started < 2
    assert last_log(proxy) == "200 DI via_upstream"
    assert proxy.stat("http.test.fault.delays_injected") == 1


def test_fault_client_gone_during_the_delay(weir, upstream):
    up = upstream()
    proxy = weir(config(up.port, filter_of("fault", "HTTPFault", "delay: {fixed_delay: 1s, percentage: {numerator: 100}}")))
    client = Client(proxy.port)
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    time.sleep(0.2)
    client.reset_now()
    proxy.wait_stat("http.test.fault.active_faults", 0)
    time.sleep(1)
    assert not up.requests


@pytest.mark.parametrize(
    "headers, status",
    [
        ([], 200),
        ([("x-envoy-fault-abort-request", "503")], 503),
        ([("x-envoy-fault-abort-request", "5")], 200),
        ([("x-envoy-fault-abort-request", "503"), ("x-envoy-fault-abort-request-percentage", "0")], 200),
    ],
)
def test_fault_by_header(weir, upstream, headers, status):
    proxy = weir(config(upstream().port, filter_of("fault", "HTTPFault", "abort: {header_abort: {}, percentage: {numerator: 100}}")))
    assert get(proxy.port, "/", headers).status == status


def test_fault_for_some(weir, upstream):
    fields = "abort: {http_status: 503, percentage: {numerator: 100}}\nheaders: [{name: x-me, string_match: {exact: '1'}}]\nmax_active_faults: 5"
    proxy = weir(config(upstream().port, filter_of("fault", "HTTPFault", fields)))
    assert get(proxy.port).status == 200
    assert get(proxy.port, "/", [("x-me", "1")]).status == 503


def test_fault_percentage(weir, upstream):
    proxy = weir(config(upstream().port, filter_of("fault", "HTTPFault", "abort: {http_status: 503, percentage: {numerator: 30}}")))
    with Client(proxy.port) as client:
        aborted = sum(client.request().status == 503 for _ in range(300))
    assert 50 < aborted < 130


def test_fault_rate_limit_is_refused_by_name():
    result = run_validate(config(1, filter_of("fault", "HTTPFault", "response_rate_limit: {fixed_limit: {limit_kbps: 1}, percentage: {numerator: 100}}")))
    assert result[0] != 0 and "response_rate_limit" in "".join(map(str, result)) and "not implemented" in "".join(map(str, result))


# ---- cors

POLICY = """
allow_origin_string_match: [{suffix: .example.com}]
allow_methods: GET
allow_headers: x-h
expose_headers: x-e
max_age: "100"
allow_credentials: true
"""


def cors(weir, upstream, policy=POLICY):
    return weir(config(upstream().port, filter_of("cors", "Cors"), per_route("cors", "CorsPolicy", policy)))


def preflight(port, origin):
    with Client(port) as client:
        return client.request("OPTIONS", "/", [("origin", origin), ("access-control-request-method", "GET")])


def test_cors_preflight(weir, upstream):
    proxy = cors(weir, upstream)
    answer = preflight(proxy.port, "http://a.example.com")
    assert answer.status == 200 and answer.body == b""
    assert answer.get("access-control-allow-origin") == "http://a.example.com"
    assert answer.get("access-control-allow-credentials") == "true"
    assert answer.get("access-control-allow-methods") == "GET"
    assert answer.get("access-control-allow-headers") == "x-h"
    assert answer.get("access-control-max-age") == "100"
    assert last_log(proxy) == "200 - cors_response"
    assert proxy.stat("http.test.cors.origin_valid") == 1


def test_cors_other_requests(weir, upstream):
    proxy = cors(weir, upstream)
    answer = get(proxy.port, "/", [("origin", "http://a.example.com")])
    assert answer.get("access-control-allow-origin") == "http://a.example.com" and answer.get("access-control-expose-headers") == "x-e"
    answer = get(proxy.port, "/", [("origin", "http://evil.test")])
    assert answer.status == 200 and answer.get("access-control-allow-origin") is None
    assert preflight(proxy.port, "http://evil.test").get("access-control-allow-origin") is None
    assert proxy.stat("http.test.cors.origin_invalid") == 2


# ---- local_ratelimit

ON = "filter_enabled: {default_value: {numerator: 100}}\nfilter_enforced: {default_value: {numerator: 100}}\n"


def limited(weir, upstream, fields, on=ON):
    return weir(config(upstream().port, filter_of("local_ratelimit", "LocalRateLimit", "stat_prefix: rl\n" + on + fields)))


def test_local_ratelimit(weir, upstream):
    proxy = limited(weir, upstream, """
token_bucket: {max_tokens: 2, tokens_per_fill: 1, fill_interval: 60s}
enable_x_ratelimit_headers: DRAFT_VERSION_03
response_headers_to_add: [{header: {key: x-limited, value: "yes"}}]
""")
    first = get(proxy.port)
    assert first.status == 200 and first.get("x-ratelimit-limit") == "2" and first.get("x-ratelimit-remaining") == "1"
    assert get(proxy.port).status == 200
    answer = get(proxy.port)
    assert answer.status == 429 and answer.body == b"local_rate_limited" and answer.get("x-limited") == "yes"
    assert answer.get("x-ratelimit-remaining") == "0" and 55 < int(answer.get("x-ratelimit-reset")) <= 60
    assert last_log(proxy) == "429 RL local_rate_limited"
    assert [proxy.stat(f"rl.http_local_rate_limit.{s}") for s in ("enabled", "ok", "rate_limited", "enforced")] == [3, 2, 1, 1]


def test_local_ratelimit_fills(weir, upstream):
    proxy = limited(weir, upstream, "token_bucket: {max_tokens: 2, tokens_per_fill: 2, fill_interval: 0.5s}")
    assert [get(proxy.port).status for _ in range(3)] == [200, 200, 429]
    time.sleep(0.6)
    assert [get(proxy.port).status for _ in range(3)] == [200, 200, 429]


def test_local_ratelimit_is_off_by_default(weir, upstream):
    proxy = limited(weir, upstream, "token_bucket: {max_tokens: 1, fill_interval: 60s}", on="")
    assert [get(proxy.port).status for _ in range(3)] == [200, 200, 200]


def test_local_ratelimit_unenforced_marks_requests(weir, upstream):
    up = upstream()
    fields = "stat_prefix: rl\nfilter_enabled: {default_value: {numerator: 100}}\ntoken_bucket: {max_tokens: 1, fill_interval: 60s}\nrequest_headers_to_add_when_not_enforced: [{header: {key: x-over, value: '1'}}]\n"
    proxy = weir(config(up.port, filter_of("local_ratelimit", "LocalRateLimit", fields)))
    assert [get(proxy.port).status for _ in range(2)] == [200, 200]
    assert [r.get("x-over") for r in up.requests] == [None, "1"]


def test_local_ratelimit_is_one_for_all_workers(weir, upstream):
    up = upstream()
    fields = "stat_prefix: rl\n" + ON + "token_bucket: {max_tokens: 10, fill_interval: 60s}\n"
    proxy = weir(config(up.port, filter_of("local_ratelimit", "LocalRateLimit", fields)), concurrency=2)
    statuses = [get(proxy.port).status for _ in range(30)]
    assert statuses.count(200) == 10


# ---- health_check

CHECKS = "headers: [{name: ':path', string_match: {exact: /healthz}}]\n"


def test_health_check_answers_itself(weir, upstream):
    up = upstream()
    proxy = weir(config(up.port, filter_of("health_check", "HealthCheck", CHECKS + "pass_through_mode: false")), args=["--service-cluster", "me"])
    answer = get(proxy.port, "/healthz")
    assert answer.status == 200 and answer.body == b"" and answer.get("x-envoy-upstream-healthchecked-cluster") == "me"
    assert last_log(proxy) == "200 - health_check_ok"
    assert post(proxy.port, "/healthz", body=b"x" * 100).status == 200
    assert not up.requests
    assert get(proxy.port, "/").status == 200 and len(up.requests) == 1
    proxy.admin("/healthcheck/fail", method="POST")
    answer = get(proxy.port, "/healthz")
    assert answer.status == 503 and answer.get("x-envoy-immediate-health-check-fail") == "true"
    assert get(proxy.port, "/").get("x-envoy-immediate-health-check-fail") == "true"
    proxy.admin("/healthcheck/ok", method="POST")
    assert get(proxy.port, "/healthz").status == 200


def test_health_check_passes_through_and_remembers(weir, upstream):
    up = upstream()
    proxy = weir(config(up.port, filter_of("health_check", "HealthCheck", CHECKS + "pass_through_mode: true\ncache_time: 0.5s")), concurrency=2)
    assert [get(proxy.port, "/healthz").status for _ in range(5)] == [200] * 5
    assert len(up.requests) == 1
    time.sleep(0.6)
    assert get(proxy.port, "/healthz").status == 200
    assert len(up.requests) == 2


def test_health_check_asks_for_healthy_members(weir, upstream):
    fields = CHECKS + "pass_through_mode: false\ncluster_min_healthy_percentages: {c: {value: 50}}"
    proxy = weir(config(upstream().port, filter_of("health_check", "HealthCheck", fields)))
    assert get(proxy.port, "/healthz").status == 200
    sick = config(1, filter_of("health_check", "HealthCheck", fields)).replace("lb_endpoints: [{endpoint", "lb_endpoints: [{health_status: UNHEALTHY, endpoint")
    proxy.reload(sick)
    assert get(proxy.port, "/healthz").status == 503
