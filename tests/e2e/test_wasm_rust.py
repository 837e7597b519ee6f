"""Everyday jobs in a filter of the Rust SDK, which panics on any answer that it does not expect (tests/guests/rust)."""

import subprocess
import time

import pytest

from harness.proxy import ROOT, Proxy
from harness.wire import Client, get

CONFIG = """
static_resources:
  listeners:
  - name: main
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: "/"}}
                route: {{cluster: service}}
          http_filters:
          - name: everyday
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: everyday
                root_id: my_root
                configuration: {{"@type": type.googleapis.com/google.protobuf.Struct, value: {{greeting: "hello"}}}}
                vm_config:
                  vm_id: my_vm
                  runtime: envoy.wasm.runtime.v8
                  configuration: {{"@type": type.googleapis.com/google.protobuf.StringValue, value: '{{"vm":1}}'}}
                  code: {{local: {{filename: "{module}"}}}}
                  environment_variables: {{key_values: {{TOKEN: "secret"}}}}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: service
    load_assignment:
      cluster_name: service
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    cargo = subprocess.run([ROOT / "scripts/toolchain.sh", "cargo-wasm"], check=True, capture_output=True, text=True).stdout.strip()
    target = ROOT / "build/guests/rust"
    command = [cargo, "build", "--release", "--locked", "--target", "wasm32-wasip1", "--target-dir", target]
    subprocess.run(command, check=True, cwd=ROOT / "tests/guests/rust")
    return target / "wasm32-wasip1/release/everyday.wasm"


def reply(status, body):
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def serve(request):
    """What the service answers: by the path; else the head that it was sent."""
    path = request.split(b" ", 2)[1]
    if path == b"/allow":
        return reply(200, b"yes\n")
    if path == b"/deny":
        return reply(401, b"no\n")
    return reply(200, request)


@pytest.fixture
def proxy(module, echo):
    proxy = Proxy(CONFIG.format(module=module, port=echo.port), args=["-l", "info", "--component-log-level", "wasm:trace"])
    yield proxy
    output = proxy.output()
    assert proxy.stop() == 0
    assert "failed in" not in output and "panicked" not in output, output


class Echo:
    """An HTTP/1 service that answers each request by `serve`."""

    def __init__(self):
        import socketserver
        import threading

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while True:
                    head, length, chunked = b"", 0, False
                    while not head.endswith(b"\r\n\r\n"):
                        line = self.rfile.readline()
                        if not line:
                            return
                        head += line
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                        chunked |= line.lower().startswith(b"transfer-encoding: chunked")
                    body = self.rfile.read(length)
                    while chunked:
                        size = int(self.rfile.readline(), 16)
                        body += self.rfile.read(size)
                        self.rfile.readline()
                        if size == 0:
                            break
                    self.wfile.write(serve(head + body))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def echo():
    echo = Echo()
    yield echo
    echo.server.shutdown()
    echo.server.server_close()


def ask(proxy, path, headers="", body=None):
    with Client(proxy.port) as client:
        method = "GET" if body is None else "POST"
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        client.send(f"{method} {path} HTTP/1.1\r\nHost: my.host\r\n{headers}{length}\r\n{body or ''}")
        return client.recv_response()


def test_configuration_and_environment(proxy):
    answer = ask(proxy, "/config")
    assert answer.status == 200 and answer.get("x-answer") == "guest" and answer.body == b'{"greeting":"hello"}'
    assert "configured with" in proxy.output() and "TOKEN=secret" in proxy.output()
    assert "wasm log everyday my_root my_vm: " in proxy.output()


def test_headers_are_changed(proxy):
    answer = ask(proxy, "/headers", "X-One: original\r\nX-Gone: here\r\n")
    head = answer.body.lower()
    assert b"x-two: a\r\n" in head and b"x-two: b\r\n" in head and b"x-one: changed\r\n" in head
    assert b"original" not in head and b"x-gone" not in head
    assert answer.get("x-seen") == "my.host 200 service"


def test_all_headers_are_replaced(proxy):
    head = ask(proxy, "/replace-all", "X-One: original\r\n").body.lower()
    assert b"x-only: me\r\n" in head and b"original" not in head and head.startswith(b"get /replace-all http/1.1\r\n")


@pytest.mark.parametrize("size", [1, 1000, 200_000])
def test_bodies_are_rewritten(proxy, size):
    answer = ask(proxy, "/body", body="a" * size)
    assert answer.status == 200 and answer.complete
    assert answer.body.startswith(b"<POST /body HTTP/1.1\r\n") and answer.body.endswith(b"[" + b"A" * size + b"]>")


def test_call_pauses_and_resumes(proxy):
    answer = ask(proxy, "/call")
    assert answer.status == 200 and b"x-call: 200 yes\r\n" in answer.body.lower()
    answer = ask(proxy, "/call-denied")
    assert answer.status == 403 and answer.body == b"the call said no"
    answer = ask(proxy, "/call-nowhere")
    assert answer.body == b"BadArgument"
    assert 'call to "nowhere" not made: there is no such cluster' in proxy.output()
    assert proxy.stat("wasm.everyday.http_calls") == 2 and proxy.stat("wasm.everyday.http_calls_active") == 0


def test_client_that_leaves_during_a_call(proxy):
    for _ in range(20):
        with Client(proxy.port) as client:
            client.send("GET /call HTTP/1.1\r\nHost: a\r\n\r\n")
    assert ask(proxy, "/call").status == 200
    proxy.wait_stat("wasm.everyday.streams_active", 0)


def test_properties(proxy):
    body = ask(proxy, "/properties?a=b", "X-One: 1\r\nUser-Agent: me\r\n").body.decode()
    want = ["request.path=/properties?a=b", "request.url_path=/properties", "request.query=a=b", "request.host=my.host",
            "request.method=GET", "request.scheme=http", "request.protocol=HTTP/1.1", "request.useragent=me", "request.headers.x-one=1",
            "plugin_name=everyday", "plugin_root_id=my_root", "plugin_vm_id=my_vm", "no.such.thing=-"]
    assert body.splitlines() == want


def test_ticks_and_shared_data(proxy):
    time.sleep(0.5)
    assert 5 <= int(ask(proxy, "/ticks").body) <= 30


def test_metrics(proxy):
    assert ask(proxy, "/metric").body == b"42"
    assert ask(proxy, "/metric").body == b"42"
    assert proxy.stat("wasmcustom.everyday_count") == 6 and proxy.stat("wasmcustom.everyday_gauge") == 42


def test_queue(proxy):
    assert ask(proxy, "/queue").body == b"sent"
    end = time.monotonic() + 3
    while "queue says hello queue" not in proxy.output() and time.monotonic() < end:
        time.sleep(0.02)
    assert "queue says hello queue" in proxy.output()


def test_properties_that_filters_set(proxy):
    assert ask(proxy, "/state").body == b"kept"


def test_log_comes_once(proxy):
    ask(proxy, "/plain")
    time.sleep(0.2)
    assert proxy.output().count("log /plain GET 200") == 1
    assert get(proxy.port).status == 200
