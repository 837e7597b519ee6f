"""The connection manager end to end: who the client is, what becomes of heads, when a connection ends, timeouts, local replies."""

import re
import socket
import threading
import time

import pytest

from harness.proxy import cluster, http_config
from harness.wire import Client, Upstream, get, post, raw

LOG = """
access_log:
- name: envoy.access_loggers.file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: access.log
    log_format: {text_format_source: {inline_string: "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\\n"}}
"""
ROUTES = """
- match: {prefix: /direct}
  direct_response: {status: 200, body: {inline_string: "hello"}}
- match: {prefix: /up}
  route: {cluster: c, timeout: 60s}
"""
R = b"GET /direct HTTP/1.1\r\nhost: a\r\n\r\n"


def slow(request, connection):
    if "slow" in request.path:
        time.sleep(1)
    return Upstream.OK


@pytest.fixture
def start(weir, upstream):
    def start(hcm="", listener="", handler=slow):
        up = upstream(handler)
        proxy = weir(http_config(ROUTES, clusters=cluster("c", up.port), hcm=LOG + hcm, listener=listener))
        proxy.up = up
        return proxy

    return start


def first_log(proxy):
    end = time.monotonic() + 5
    path = proxy.dir / "access.log"
    while time.monotonic() < end:
        lines = path.read_text().splitlines() if path.exists() else []
        if lines:
            return lines[0]
        time.sleep(0.02)
    raise AssertionError("nothing was logged")


def names(response):
    return [name for name, _ in response.headers]


# ---- order and base headers ----


def test_order_of_response_headers(start):
    proxy = start("via: weir\nalways_set_request_id_in_response: true")
    assert names(get(proxy.port, "/up")) == ["content-length", "x-envoy-upstream-service-time", "date", "server", "x-request-id", "via"]
    assert names(get(proxy.port, "/direct"))[:4] == ["content-length", "content-type", "date", "server"]


@pytest.mark.parametrize("mode, expected", [("OVERWRITE", "weir"), ("APPEND_IF_ABSENT", "origin"), ("PASS_THROUGH", "origin")])
def test_server_header(start, mode, expected):
    answer = b"HTTP/1.1 200 OK\r\nserver: origin\r\ncontent-length: 0\r\n\r\n"
    proxy = start(f"server_name: weir\nserver_header_transformation: {mode}", handler=lambda request, connection: answer)
    assert get(proxy.port, "/up").get("server") == expected


def test_connection_fields_stay_on_their_connection(start):
    answer = b"HTTP/1.1 200 OK\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: a\r\ncontent-length: 0\r\n\r\n"
    proxy = start(handler=lambda request, connection: answer)
    response = get(proxy.port, "/up", [("connection", "x-mine, te"), ("x-mine", "1"), ("te", "gzip, trailers"), ("keep-alive", "5")])
    assert response.get("x-hop") is None and response.get("keep-alive") is None
    seen = proxy.up.requests[0]
    assert seen.get("x-mine") is None and seen.get("keep-alive") is None and seen.get("te") == "trailers"


# ---- who the client is ----


@pytest.mark.parametrize(
    "hcm, sent, expected",
    [
        ("", {"x-forwarded-for": "1.2.3.4"}, {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "http", "x-envoy-internal": None}),
        ("use_remote_address: true", {"x-forwarded-proto": "https"}, {"x-forwarded-proto": "http", "x-envoy-external-address": "127.0.0.1"}),
        ("use_remote_address: true\nxff_num_trusted_hops: 1\nskip_xff_append: true", {"x-forwarded-for": "1.1.1.1, 2.2.2.2", "x-forwarded-proto": "https"},
         {"x-forwarded-for": "1.1.1.1, 2.2.2.2", "x-forwarded-proto": "https", "x-envoy-external-address": "2.2.2.2"}),
        ("use_remote_address: true", {"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "3", "x-envoy-downstream-service-node": "n", "x-envoy-internal": "true"},
         {"x-envoy-retry-on": None, "x-envoy-max-retries": None, "x-envoy-downstream-service-node": None, "x-envoy-internal": None}),
        ("", {"x-forwarded-client-cert": "By=x"}, {"x-forwarded-client-cert": None}),
        ("use_remote_address: true\ninternal_address_config: {cidr_ranges: [{address_prefix: 127.0.0.0, prefix_len: 8}]}", {}, {"x-envoy-internal": "true"}),
        ("add_user_agent: true", {}, {"x-envoy-downstream-service-cluster": ""}),
    ],
)
def test_identity(start, hcm, sent, expected):
    proxy = start(hcm)
    assert get(proxy.port, "/up", list(sent.items())).status == 200
    assert {name: proxy.up.requests[0].get(name) for name in expected} == expected


def test_forwarded_for_is_appended_at_the_edge(start):
    proxy = start("use_remote_address: true")
    get(proxy.port, "/up", [("x-forwarded-for", "1.2.3.4")])
    assert re.fullmatch(r"1\.2\.3\.4,[0-9.]+", proxy.up.requests[0].get("x-forwarded-for"))


UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.mark.parametrize(
    "hcm, sent, expected",
    [("", None, UUID), ("", "mine", "mine"), ("use_remote_address: true", "mine", UUID), ("generate_request_id: false", None, None),
     ("use_remote_address: true\npreserve_external_request_id: true", "mine", "mine")],
)
def test_request_id(start, hcm, sent, expected):
    proxy = start(hcm)
    get(proxy.port, "/up", [("x-request-id", sent)] if sent else [])
    got = proxy.up.requests[0].get("x-request-id")
    assert got is None if expected is None else re.fullmatch(expected, got)


# ---- hosts and paths ----


@pytest.mark.parametrize(
    "request_line, headers, status, details",
    [
        ("GET /direct", "", 400, "missing_host_header"),
        ("GET /direct", "host: a b\r\n", 400, "http.invalid_authority"),
        ("GET /direct", "host: a/b\r\n", 400, "http.invalid_authority"),
        ("GET /direct", "host: [::1\r\n", 400, "http.invalid_authority"),
        ("GET /direct#x", "host: a\r\n", 400, "path_normalization_failed"),
        ("OPTIONS *", "host: a\r\n", 404, "absolute_path_rejected"),
        ("GET /nowhere", "host: a\r\n", 404, "route_not_found"),
        ("CONNECT a:80", "host: a:80\r\n", 404, "route_not_found"),
        ("GET /up", "host: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n", 403, "upgrade_failed"),
        ("GET /direct", "host: a\r\nconnection: host\r\n", 400, "connection_header_rejected"),
    ],
)
def test_refused(start, request_line, headers, status, details):
    proxy = start()
    answers = raw(proxy.port, f"{request_line} HTTP/1.1\r\n{headers}\r\n".encode() + R, n=2)
    assert answers[0].status == status
    assert first_log(proxy).endswith(details)
    keeps = status == 404 and not request_line.startswith("CONNECT")
    assert len(answers) == (2 if keeps else 1), "after a bad request nothing on the connection is believed"


@pytest.mark.parametrize(
    "hcm, path, expected",
    [
        ("normalize_path: true", "/up/a/../b/./%7Ec?x=/../", "/up/b/~c?x=/../"),
        ("merge_slashes: true", "//up//a?b=//", "/up/a?b=//"),
        ("path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD", "/up%2Fa", "/up/a"),
        ("", "/up/../up//%2F", "/up/../up//%2F"),
    ],
)
def test_paths(start, hcm, path, expected):
    proxy = start(hcm)
    assert get(proxy.port, path).status == 200
    assert proxy.up.requests[0].path == expected


def test_escaped_slashes_redirect_or_refuse(start):
    proxy = start("path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT")
    response = get(proxy.port, "/up%2Fa?b")
    assert response.status == 307 and response.get("location") == "/up/a?b"
    assert get(start("path_with_escaped_slashes_action: REJECT_REQUEST").port, "/up%2Fa").status == 400


@pytest.mark.parametrize(
    "hcm, host, expected",
    [("strip_any_host_port: true", "a:81", "a"), ("strip_matching_host_port: true", "a:81", "a:81"), ("strip_trailing_host_dot: true", "a.:81", "a:81"), ("", "a.:81", "a.:81")],
)
def test_hosts(start, hcm, host, expected):
    proxy = start(hcm)
    get(proxy.port, "/up", host=host)
    assert proxy.up.requests[0].get("host") == expected


# ---- the life of a connection ----


def test_pipelined_requests_are_answered_in_order(start):
    proxy = start()
    answers = raw(proxy.port, b"GET /up/slow HTTP/1.1\r\nhost: a\r\n\r\n" + R + b"GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n", n=3)
    assert [a.status for a in answers] == [200, 200, 404] and answers[1].body == b"hello"


def test_a_body_nobody_read_is_never_a_request(start):
    proxy = start()
    answers = raw(proxy.port, b"POST /direct HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n" + R, n=2)
    assert len(answers) == 1 and answers[0].get("connection") == "close"
    assert proxy.stat("http.test.downstream_rq_total") == 1
    assert proxy.stat("http.test.downstream_rq_response_before_rq_complete") == 1


def test_connection_close_and_http_10(start):
    proxy = start("http_protocol_options: {accept_http_10: true}")
    with Client(proxy.port) as client:
        assert client.request(path="/direct", headers=[("connection", "close")]).get("connection") == "close"
        assert client.closed()
    with Client(proxy.port) as client:
        client.send("GET /direct HTTP/1.0\r\nhost: a\r\n\r\n")
        assert client.recv_response().status == 200 and client.closed()


def test_requests_per_connection(start):
    proxy = start("common_http_protocol_options: {max_requests_per_connection: 2}")
    answers = raw(proxy.port, R * 3, n=3)
    assert [a.get("connection") for a in answers] == [None, "close"]
    assert proxy.stat("http.test.downstream_cx_max_requests_reached") == 1


def test_duration_of_a_connection(start):
    proxy = start("drain_timeout: 0.3s\ncommon_http_protocol_options: {max_connection_duration: 0.3s}")
    with Client(proxy.port) as busy, Client(proxy.port) as idle:
        assert busy.request(path="/direct").get("connection") is None
        time.sleep(0.4)
        assert busy.request(path="/direct").get("connection") == "close"
        assert idle.closed()
    assert proxy.stat("http.test.downstream_cx_max_duration_reached") == 2


def test_idle_connection(start):
    proxy = start("common_http_protocol_options: {idle_timeout: 0.3s}")
    with Client(proxy.port) as client:
        assert client.request(path="/direct").status == 200
        began = time.monotonic()
        assert client.closed() and 0.2 < time.monotonic() - began < 2
    assert proxy.stat("http.test.downstream_cx_idle_timeout") == 1


def test_half_closed_client_gets_what_is_ready(start):
    proxy = start()
    with Client(proxy.port) as client:
        client.send(R)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.recv_response().body == b"hello" and client.closed()


def test_expect_continue(start):
    proxy = start()
    with Client(proxy.port) as client:
        client.send("POST /up HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        assert client.line() == "HTTP/1.1 100 Continue" and client.line() == ""
        client.send("abc")
        assert client.recv_response().status == 200
    assert proxy.up.requests[0].get("expect") is None and proxy.up.requests[0].body == b"abc"


def test_connections_are_counted(start):
    proxy = start()
    with Client(proxy.port) as client:
        client.request(path="/direct")
        assert proxy.stat("http.test.downstream_cx_active") == 1
    proxy.wait_stat("http.test.downstream_cx_active", 0)
    assert proxy.stat("http.test.downstream_rq_2xx") == 1 and proxy.stat("http.test.downstream_rq_active") == 0
    assert proxy.stats(r"^listener\..*\.http\.test\.downstream_rq_2xx$")


# ---- timeouts ----


@pytest.mark.parametrize(
    "hcm, sent, status, body, log",
    [
        ("request_timeout: 0.3s", "POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\na", 408, b"request timeout", "408 - request_overall_timeout"),
        ("request_headers_timeout: 0.3s", "POST /up HTTP/1.1\r\nhost: a\r\n", 408, b"request header timeout", "408 - request_header_timeout"),
        ("stream_idle_timeout: 0.3s", "POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\na", 408, b"stream timeout", "408 SI stream_idle_timeout"),
        ("stream_idle_timeout: 0.3s", "GET /up/slow HTTP/1.1\r\nhost: a\r\n\r\n", 504, b"stream timeout", "504 SI stream_idle_timeout"),
        ("common_http_protocol_options: {max_stream_duration: 0.3s}", "GET /up/slow HTTP/1.1\r\nhost: a\r\n\r\n", 504, b"downstream duration timeout",
         "504 - max_duration_timeout"),
    ],
)
def test_timeouts(start, hcm, sent, status, body, log):
    proxy = start(hcm)
    answer = raw(proxy.port, sent.encode())[0]
    assert (answer.status, answer.body) == (status, body)
    assert first_log(proxy) == log


# ---- local replies ----


def test_grpc_clients_get_a_grpc_status(start):
    proxy = start()
    answer = post(proxy.port, "/nowhere", headers=[("content-type", "application/grpc")])
    assert answer.status == 200 and answer.get("grpc-status") == "12" and answer.get("content-type") == "application/grpc"


def test_local_reply_config(start):
    proxy = start(
        """
local_reply_config:
  mappers:
  - filter: {status_code_filter: {comparison: {op: EQ, value: {default_value: 404, runtime_key: k}}}}
    status_code: 410
    body: {inline_string: gone}
    headers_to_add: [{header: {key: x-mapped, value: "yes"}}]
  body_format: {json_format: {code: "%RESPONSE_CODE%", text: "%LOCAL_REPLY_BODY%"}}
"""
    )
    answer = get(proxy.port, "/nowhere")
    assert answer.status == 410 and answer.get("x-mapped") == "yes" and answer.get("content-type") == "application/json"
    assert answer.body == b'{"code":410,"text":"gone"}\n'


# ---- back-pressure ----


def test_a_slow_reader_holds_no_memory(start):
    def big(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 30000000\r\n\r\n")
        for _ in range(300):
            connection.send(b"x" * 100000)

    proxy = start(handler=big)
    before = proxy.rss_kb()
    with Client(proxy.port, rcvbuf=65536) as client:
        client.send("GET /up HTTP/1.1\r\nhost: a\r\n\r\n")
        time.sleep(1)
        assert proxy.rss_kb() - before < 8000
        assert len(client.recv_response().body) == 30000000


def test_a_slow_upstream_holds_no_memory(start):
    stop = threading.Event()

    def stalls(connection):
        stop.wait(2)

    proxy = start("", handler=None)
    proxy.up.on_connect = stalls
    before = proxy.rss_kb()
    with Client(proxy.port) as client:
        client.send("POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: 30000000\r\n\r\n")
        sender = threading.Thread(target=client.send, args=(b"x" * 30000000,), daemon=True)
        sender.start()
        time.sleep(1)
        assert proxy.rss_kb() - before < 8000
        stop.set()
        sender.join(20)
        assert client.recv_response().status == 200
