"""What an upstream may do wrong, at each phase: the answer, its flags and details, no crash, and service when it is over."""

import socket
import struct
import time

import pytest

from harness.proxy import cluster, http_config
from harness.wire import Client, Upstream, get, post, refused_port

LOG = """
access_log:
- name: envoy.access_loggers.file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: access.log
    log_format: {text_format_source: {inline_string: "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\\n"}}
"""


def config(port, route_extra="", cluster_extra="", hcm=""):
    return http_config("- match: {prefix: /}\n  route: {cluster: c%s}\n" % route_extra, clusters=cluster("c", port, extra=cluster_extra), hcm=LOG + hcm)


def last_log(proxy, timeout=5):
    end = time.monotonic() + timeout
    path = proxy.dir / "access.log"
    while time.monotonic() < end:
        if path.exists() and (lines := path.read_text().splitlines()):
            return lines[-1]
        time.sleep(0.02)
    raise AssertionError("nothing was logged")


def reset(connection):
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.sock.close()


RESET_BODY = b"upstream connect error or disconnect/reset before headers. reset reason: "


def test_connection_refused(weir):
    proxy = weir(config(refused_port()))
    answer = get(proxy.port)
    assert answer.status == 503 and answer.body == RESET_BODY + b"remote connection failure"
    assert last_log(proxy).startswith("503 UF upstream_reset_before_response_started{remote_connection_failure")


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_ends_after_the_request(weir, upstream, end):
    def handler(request, connection):
        if end == "rst":
            reset(connection)

    up = upstream(handler)
    proxy = weir(config(up.port))
    answer = post(proxy.port, body=b"x" * 10)
    assert answer.status == 503 and answer.body == RESET_BODY + b"connection termination"
    assert last_log(proxy) == "503 UC upstream_reset_before_response_started{connection_termination}"
    assert len(up.requests) == 1  # a POST is not sent twice


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_ends_right_after_accept(weir, upstream, end):
    def on_connect(connection):
        if end == "rst":
            reset(connection)
        return False

    proxy = weir(config(upstream(on_connect=on_connect).port))
    assert get(proxy.port).status == 503


def test_half_a_head_then_reset(weir, upstream):
    def handler(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-le")
        time.sleep(0.1)
        reset(connection)

    proxy = weir(config(upstream(handler).port))
    assert get(proxy.port).status in (502, 503)


@pytest.mark.parametrize("head", ["content-length: 100", "transfer-encoding: chunked"])
@pytest.mark.parametrize("end", ["fin", "rst"])
def test_truncated_body_is_never_made_whole(weir, upstream, head, end):
    def handler(request, connection):
        body = b"x" * 50 if "length" in head else b"32\r\n" + b"x" * 50 + b"\r\n"
        connection.send(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + body)
        time.sleep(0.1)
        if end == "rst":
            reset(connection)

    proxy = weir(config(upstream(handler).port))
    answer = get(proxy.port)
    assert answer.status == 200 and answer.body == b"x" * 50 and not answer.complete


def test_close_delimited_body_is_whole_with_fin_only(weir, upstream):
    def handler(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nbody")
        time.sleep(0.1)
        if request.path == "/rst":
            reset(connection)

    proxy = weir(config(upstream(handler).port))
    assert get(proxy.port, "/fin").body == b"body" and get(proxy.port, "/fin").complete
    assert not get(proxy.port, "/rst").complete


def test_route_timeout(weir, upstream):
    proxy = weir(config(upstream(lambda r, c: time.sleep(5)).port, route_extra=", timeout: 0.3s"))
    started = time.monotonic()
    answer = get(proxy.port)
    assert answer.status == 504 and answer.body == b"upstream request timeout"
    assert 0.25 < time.monotonic() - started < 2
    assert last_log(proxy) == "504 UT response_timeout"
    assert proxy.stat("cluster.c.upstream_rq_timeout") == 1
    proxy.wait_stat("cluster.c.upstream_rq_active", 0)


def test_timeout_while_the_body_trickles(weir, upstream):
    def handler(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        for _ in range(50):
            connection.send(b"x")
            time.sleep(0.1)

    proxy = weir(config(upstream(handler).port, route_extra=", timeout: 0.5s"))
    started = time.monotonic()
    answer = get(proxy.port)
    assert not answer.complete and time.monotonic() - started < 2


def test_connect_timeout(weir):
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = []
    for _ in range(8):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
        fillers.append(filler)
    time.sleep(0.1)
    proxy = weir(config(full.getsockname()[1]))
    started = time.monotonic()
    answer = get(proxy.port)
    assert answer.status == 503 and answer.body == RESET_BODY + b"connection timeout"
    assert 0.8 < time.monotonic() - started < 3
    assert proxy.stat("cluster.c.upstream_cx_connect_timeout") == 1
    for filler in fillers:
        filler.close()
    full.close()


def test_idle_pooled_connection_dies(weir, upstream):
    """The connection ends while it is idle, in the very moment of reuse: the client does not notice."""
    def handler(request, connection):
        connection.send(Upstream.OK)
        if request.path == "/last":
            time.sleep(0.05)

            return None
        return b""

    up = upstream(handler)
    proxy = weir(config(up.port))
    for _ in range(20):
        assert get(proxy.port, "/last").status == 200
        assert get(proxy.port, "/last").status == 200
        time.sleep(0.05)


def test_early_answer_to_a_long_upload(weir, upstream):
    def on_connect(connection):
        connection.line()
        connection.fields()
        connection.send(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
        time.sleep(0.3)
        return False

    proxy = weir(config(upstream(on_connect=on_connect).port))
    with Client(proxy.port) as client:
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10000000\r\n\r\n" + "x" * 10000)
        answer = client.recv_response()
        assert answer.status == 413 and answer.body == b"big"
    assert get(proxy.port).status == 413


def test_excess_bytes_are_not_the_next_answer(weir, upstream):
    def handler(request, connection):
        return b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"

    proxy = weir(config(upstream(handler).port))
    with Client(proxy.port) as client:
        for _ in range(5):
            assert client.request().body == b"ok"


@pytest.mark.parametrize("first", [b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n" * 3])
def test_informational_then_final(weir, upstream, first):
    proxy = weir(config(upstream(reply=first + Upstream.OK).port))
    with Client(proxy.port) as client:
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        answer = client.recv_response()
        while answer.status < 200:
            answer = client.recv_response()
        assert answer.status == 200 and answer.body == b"ok"


BAD = {
    "cl-te": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two-cl": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokk",
    "nul": b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
    "bare-cr": b"HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n",
    "space-name": b"HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 0\r\n\r\n",
    "many-headers": b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: 1\r\n" % i for i in range(101)) + b"content-length: 0\r\n\r\n",
    "huge-header": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100000 + b"\r\ncontent-length: 0\r\n\r\n",
    "garbage": b"\x16\x03\x01garbage\r\n\r\n",
    "status-text": b"HTTP/1.1 abc OK\r\n\r\n",
    "unasked-101": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD)
def test_malformed_response(weir, upstream, name):
    proxy = weir(config(upstream(reply=BAD[name]).port))
    answer = get(proxy.port)
    assert answer.status in (502, 503), answer
    log = last_log(proxy)
    assert "UPE" in log and "protocol_error" in log
    assert proxy.stat("cluster.c.upstream_cx_protocol_error") >= 1


def test_connection_nominated_fields_of_responses_are_removed(weir, upstream):
    proxy = weir(config(upstream(reply=b"HTTP/1.1 200 OK\r\nconnection: x-secret\r\nx-secret: 1\r\nx-stays: 1\r\ncontent-length: 0\r\n\r\n").port))
    answer = get(proxy.port)
    assert answer.get("x-secret") is None and answer.get("x-stays") == "1"


def test_client_gone_cancels_the_upstream_request(weir, upstream):
    ended = []

    def handler(request, connection):
        ended.append(connection.closed(5))

    proxy = weir(config(upstream(handler).port))
    client = Client(proxy.port)
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    time.sleep(0.3)
    client.close()
    end = time.monotonic() + 3
    while not ended and time.monotonic() < end:
        time.sleep(0.05)
    assert ended == [True]
    assert last_log(proxy).startswith("0 DC downstream_remote_disconnect")


def test_circuit_breaker(weir, upstream):
    up = upstream(lambda r, c: time.sleep(1) or Upstream.OK)
    breaker = "circuit_breakers: {thresholds: [{max_connections: 1, max_pending_requests: 1}]}"
    proxy = weir(config(up.port, cluster_extra=breaker))
    clients = [Client(proxy.port) for _ in range(4)]
    for client in clients:
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        time.sleep(0.1)
    answers = [client.recv_response() for client in clients]
    assert sorted(a.status for a in answers) == [200, 200, 503, 503]
    refused = [a for a in answers if a.status == 503][0]
    assert refused.body == RESET_BODY + b"overflow" and refused.get("x-envoy-overloaded") == "true"
    assert proxy.stat("cluster.c.upstream_rq_pending_overflow") == 2
    for client in clients:
        client.close()


def test_large_body_in_constant_memory(weir, upstream):
    size = 200 << 20

    def handler(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        block = b"x" * (1 << 20)
        for _ in range(size >> 20):
            connection.send(block)

    proxy = weir(config(upstream(handler).port, route_extra=", timeout: 0s"))
    with Client(proxy.port, timeout=60) as client:
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        before, got, peak = proxy.rss_kb(), 0, 0
        while got < size:
            data = client.sock.recv(1 << 20)
            assert data
            got += len(data)
            peak = max(peak, proxy.rss_kb())
    assert peak - before < 8192


def test_slow_reader_holds_memory_at_the_limit(weir, upstream):
    def handler(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (100 << 20))
        try:
            for _ in range(100):
                connection.send(b"x" * (1 << 20))
        except OSError:
            pass

    proxy = weir(config(upstream(handler).port, route_extra=", timeout: 0s", cluster_extra="per_connection_buffer_limit_bytes: 65536"))
    before = proxy.rss_kb()
    clients = [Client(proxy.port, rcvbuf=4096) for _ in range(20)]
    for client in clients:
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    time.sleep(2)
    grown = proxy.rss_kb() - before
    for client in clients:
        client.close()
    assert grown < 20 * 3 * 1024  # the downstream limit of 1 MiB each, with what is on its way
