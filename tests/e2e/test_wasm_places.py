"""Plugins elsewhere than in the HTTP chain: as a network filter and as an access logger (tests/guests/connection.c)."""

import subprocess
import time

import pytest

from harness.proxy import ROOT
from harness.wire import Client, get

HCM = """
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          route_config:
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: "/"}, direct_response: {status: 200, body: {inline_string: "fine"}}}]}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
"""
PLUGIN = """{name: conn, failure_policy: POLICY, vm_config: {code: {local: {filename: "MODULE"}}}}"""
LISTENER = """
static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
"""
NETWORK = """
      - name: envoy.filters.network.wasm
        typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm, config: PLUGIN}
"""
LOGGER = """
          access_log:
          - name: envoy.access_loggers.wasm
            typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.wasm.v3.WasmAccessLog, config: PLUGIN}
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    out = tmp_path_factory.mktemp("guest") / "connection.wasm"
    command = ["clang", "--target=wasm32", "-O1", "-g", "-fno-builtin", "-nostdlib", "-Wl,--no-entry", "-Wl,--export-dynamic"]
    subprocess.run([*command, "-o", out, ROOT / "tests/guests/connection.c"], check=True)
    return out


def text(module, *parts, policy="FAIL_CLOSED"):
    return "".join(parts).replace("PLUGIN", PLUGIN).replace("MODULE", str(module)).replace("POLICY", policy)


def wait_log(proxy, *lines):
    end = time.monotonic() + 3
    while time.monotonic() < end and not all(line in proxy.output() for line in lines):
        time.sleep(0.02)
    for line in lines:
        assert line in proxy.output()


def test_access_logger(weir, module):
    proxy = weir(text(module, LISTENER, HCM, LOGGER))
    for n in range(3):
        assert get(proxy.port, path=f"/p{n}").status == 200
    wait_log(proxy, "path /p0", "path /p2", "status 200", "method GET", "deleted")
    assert proxy.output().count("logged") == 3 and proxy.output().count("deleted") == 4  # one is the canary's root
    assert proxy.stat("wasm.conn.streams_active") == 0


def test_network_filter_changes_bytes(weir, module):
    proxy = weir(text(module, LISTENER, NETWORK, HCM))
    with Client(proxy.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.3)
        data = client.sock.recv(65536)
        assert data.startswith(b"[HTTP/1.1 200 OK\r\n") and b"fine" in data and data.endswith(b"]")
    wait_log(proxy, "new connection from", "source 127.0.0.1:"[:17], "downstream closed by 2", "logged")


def test_network_filter_waits_closes_and_fails(weir, module):
    proxy = weir(text(module, LISTENER, NETWORK, HCM))
    with Client(proxy.port) as client:
        client.send("GE").send("") or time.sleep(0.1)
        client.send("T / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)
        assert b"200 OK" in client.sock.recv(65536)
    for first in ("deny", "trap"):
        with Client(proxy.port) as client:
            client.send(first + "\r\n\r\n")
            assert client.sock.recv(65536) == b""
    with Client(proxy.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)
        assert b"200 OK" in client.sock.recv(65536)
    proxy.wait_stat("wasm.conn.streams_active", 0)
    assert proxy.stat("wasm.conn.failed.unreachable") == 1


def test_network_filter_that_fails_open(weir, module):
    proxy = weir(text(module, LISTENER, NETWORK, HCM, policy="FAIL_OPEN"))
    with Client(proxy.port) as client:
        client.send("trap / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)
        assert client.sock.recv(65536).startswith(b"HTTP/1.1 ")  # the bytes pass as they are


SERVICE = """
bootstrap_extensions:
- name: envoy.bootstrap.wasm
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.wasm.v3.WasmService
    singleton: SINGLETON
    config:
      name: service
      configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: service}
      vm_config: {vm_id: shared_vm, code: {local: {filename: "MODULE"}}}
"""
FILTER = """
          - name: envoy.filters.http.wasm
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config: {name: sender, vm_config: {vm_id: shared_vm, code: {local: {filename: "MODULE"}}}}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    out = tmp_path_factory.mktemp("guest") / "service.wasm"
    command = ["clang", "--target=wasm32", "-O1", "-g", "-fno-builtin", "-nostdlib", "-Wl,--no-entry", "-Wl,--export-dynamic"]
    subprocess.run([*command, "-o", out, ROOT / "tests/guests/service.c"], check=True)
    return out


def with_service(module, singleton):
    hcm = HCM.replace("          http_filters:\n", "          http_filters:" + FILTER)
    return (SERVICE + LISTENER + hcm).replace("MODULE", str(module)).replace("SINGLETON", singleton)


@pytest.mark.parametrize("singleton,workers", [("true", 3), ("false", 1)])
def test_service_ticks_and_gets_mail(weir, service, singleton, workers):
    proxy = weir(with_service(service, singleton), concurrency=workers)
    assert proxy.stat("wasm.service.active") == 1 and proxy.stat("wasm.sender.active") == workers
    for n in range(20):
        assert get(proxy.port, path=f"/job{n}").status == 200
    proxy.wait_stat("wasmcustom.service_jobs", 20)
    before = proxy.stat("wasmcustom.service_ticks")
    time.sleep(1)
    assert 10 <= proxy.stat("wasmcustom.service_ticks") - before <= 51
    assert "/job19" in proxy.output()


def test_service_that_fails_is_replaced(weir, service):
    proxy = weir(with_service(service, "true"), concurrency=2)
    for n in range(1, 4):
        assert get(proxy.port, path="/trap").status == 200
        proxy.wait_stat("wasm.service.vm_reload_success", n)
    assert get(proxy.port, path="/after").status == 200
    end = time.monotonic() + 3
    while "/after" not in proxy.output() and time.monotonic() < end:
        time.sleep(0.02)
    assert "/after" in proxy.output() and proxy.stat("wasm.service.active") == 1


def test_services_follow_a_reload(weir, service):
    proxy = weir(with_service(service, "true"))
    proxy.reload(with_service(service, "false"))
    proxy.wait_stat("wasm.service.active", 1)
    proxy.reload((LISTENER + HCM))
    proxy.wait_stat("wasm.service.active", 0)
    assert get(proxy.port).status == 200
