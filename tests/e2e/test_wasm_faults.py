"""A filter that fails in every way costs its own request and nothing else (tests/guests/misbehave.c)."""

import subprocess
import threading
import time

import pytest

from harness.proxy import ROOT, Failed, Proxy
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
          - name: envoy.filters.http.wasm
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: misbehave
                failure_policy: {policy}
                configuration: {{"@type": type.googleapis.com/google.protobuf.StringValue, value: "{wish}"}}
                vm_config:
                  code: {{local: {{filename: "{module}"}}}}
                  environment_variables: {{key_values: {{WEIR_MEMORY_MAX_MIB: "16"}}}}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: service
    load_assignment:
      cluster_name: service
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {service}}}}}}}}}]}}]
"""

SERVICE = """
static_resources:
  listeners:
  - name: service
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: service
          route_config:
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: "/"}, direct_response: {status: 200, body: {inline_string: "fine"}}}]}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
"""

CALLBACKS = ["request_headers", "request_body", "response_headers", "response_body", "log", "done", "delete"]
FAULTS = {
    "trap": "failed.unreachable",
    "loop": "failed.deadline",
    "recurse": "failed.stack_overflow",
    "grow": "failed.unreachable",
    "exit": "failed.proc_exit",
    "wild": "failed.memory_out_of_bounds",
}


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The guest, and behind the proxy a service that answers everything."""
    out = tmp_path_factory.mktemp("guest") / "misbehave.wasm"
    command = ["clang", "--target=wasm32", "-O1", "-g", "-fno-builtin", "-nostdlib", "-Wl,--no-entry", "-Wl,--export-dynamic"]
    subprocess.run([*command, "-o", out, ROOT / "tests/guests/misbehave.c"], check=True)
    service = Proxy(SERVICE)
    yield out, service.port
    service.stop()


def config(module, policy="FAIL_CLOSED", wish=""):
    return CONFIG.format(module=module[0], service=module[1], policy=policy, wish=wish)


def ask(port, wish, timeout=10):
    """One POST on a connection of its own; None when the connection was cut."""
    with Client(port, timeout=timeout) as client:
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nx-do: {wish}\r\nContent-Length: 4\r\n\r\nbody")
        try:
            return client.recv_response()
        except (EOFError, OSError):
            return None


def fine(port):
    answer = get(port)
    assert answer.status == 200 and answer.body == b"fine" and answer.get("x-guest") == "was here", answer


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("callback", CALLBACKS)
def test_failure_costs_its_request(weir, module, callback, fault):
    proxy = weir(config(module))
    fine(proxy.port)
    for round in range(1, 4):
        answer = ask(proxy.port, f"{callback}:{fault}")
        if callback.startswith("request") or callback == "response_headers":
            assert answer.status == 503 and answer.get("x-guest") is None, answer
        elif callback == "response_body":
            assert answer is None or answer.status == 503 or not answer.complete, answer
        else:
            assert answer.status == 200, answer
        fine(proxy.port)
        proxy.wait_stat(f"wasm.misbehave.{FAULTS[fault]}", round)
        proxy.wait_stat("wasm.misbehave.vm_reload_success", round)
    proxy.wait_stat("wasm.misbehave.streams_active", 0)
    assert proxy.stat("wasm.misbehave.active") == 1
    line = [line for line in proxy.output().splitlines() if "failed in" in line][0]
    assert '"misbehave"' in line and f"proxy_on_{callback}" in line and " at " in line
    if fault == "trap":
        assert "misbehave.c:" in line, line  # source lines out of the module's DWARF


@pytest.mark.parametrize("callback", CALLBACKS)
def test_fail_open_lets_the_request_pass(weir, module, callback):
    proxy = weir(config(module, policy="FAIL_OPEN"))
    for _ in range(3):
        answer = ask(proxy.port, f"{callback}:trap")
        assert answer.status == 200 and answer.body == b"fine" and answer.complete, answer
        fine(proxy.port)


@pytest.mark.parametrize("policy,status", [("FAIL_CLOSED", 503), ("FAIL_OPEN", 200)])
def test_requests_that_wait_are_answered(weir, module, policy, status):
    proxy = weir(config(module, policy=policy))
    waiting = [Client(proxy.port) for _ in range(5)]
    for client in waiting:
        client.send("GET / HTTP/1.1\r\nHost: a\r\nx-do: request_headers:pause\r\n\r\n")
    proxy.wait_stat("wasm.misbehave.streams_active", 5)
    assert ask(proxy.port, "request_headers:trap").status == status
    for client in waiting:
        assert client.recv_response().status == status
        client.close()
    fine(proxy.port)


@pytest.mark.parametrize("wish", ["lie", "flood", "metrics", "queues", "shared", "absurd", "negative", "resume", "inject", "reply2", "replyodd"])
@pytest.mark.parametrize("callback", CALLBACKS)
def test_nonsense_harms_nobody(weir, module, callback, wish):
    proxy = weir(config(module))
    with Client(proxy.port, timeout=1.5) as client:
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nx-do: {callback}:{wish}\r\nContent-Length: 4\r\n\r\nbody")
        try:
            answer = client.recv_response()
        except (EOFError, OSError):
            answer = None  # cut, or waits for ever: both are the filter's own wish
        if wish == "inject" and answer:
            assert answer.get("injected") is None and answer.get("x-bad") is None and answer.get("x bad") is None
        if wish == "reply2" and callback.startswith("request"):
            assert answer.status == 201 and answer.body == b"one"
    fine(proxy.port)
    assert proxy.rss_kb() < 200_000


def test_neighbours_wait_no_longer_than_the_deadline(weir, module):
    proxy = weir(config(module), args=["--wasm-deadline-ms", "50"])
    slowest, stop = [0.0], threading.Event()

    def neighbour():
        with Client(proxy.port) as client:
            while not stop.is_set():
                begin = time.monotonic()
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert client.recv_response().status in (200, 503)
                slowest[0] = max(slowest[0], time.monotonic() - begin)

    thread = threading.Thread(target=neighbour)
    thread.start()
    for _ in range(10):
        assert ask(proxy.port, "request_headers:loop").status == 503
        time.sleep(0.05)
    stop.set()
    thread.join()
    assert slowest[0] < 2  # 50 ms of CPU time, on a machine that others use too and under the sanitizers
    fine(proxy.port)


def test_tick_that_traps_backs_off(weir, module):
    proxy = weir(config(module, wish="tick:trap"))
    time.sleep(2)
    fine(proxy.port)
    stats = proxy.stats("wasm.misbehave")
    assert 3 <= stats["wasm.misbehave.failed.unreachable"] <= 60
    assert stats["wasm.misbehave.active"] == 1


@pytest.mark.parametrize("wish,reason", [("configure:false", "answered false"), ("configure:trap", "unreachable"), ("configure:loop", "CPU deadline")])
def test_plugin_that_does_not_start_is_refused(weir, module, wish, reason):
    with pytest.raises(Failed) as failed:
        weir(config(module, wish=wish))
    assert "misbehave" in failed.value.output and str(module[0]) in failed.value.output and reason in failed.value.output


def test_reload_with_a_plugin_that_does_not_start_keeps_the_old_one(weir, module):
    proxy = weir(config(module))
    fine(proxy.port)
    assert not proxy.reload(config(module, wish="configure:false"))
    fine(proxy.port)
    assert proxy.reload(config(module, wish="tick:absurd"))
    fine(proxy.port)
    proxy.wait_stat("wasm.misbehave.active", 1)


def test_local_replies_and_closes(weir, module):
    proxy = weir(config(module))
    answer = ask(proxy.port, "request_headers:reply")
    assert answer.status == 418 and answer.body == b"short and stout" and answer.get("x-guest") == "was here"
    answer = ask(proxy.port, "response_headers:reply")
    assert answer.status == 418 and answer.body == b"short and stout"
    assert ask(proxy.port, "request_headers:close") is None
    fine(proxy.port)


def test_root_that_is_done_later(weir, module):
    proxy = weir(config(module, wish="tick:absurd,root_done:later"))
    fine(proxy.port)
    assert proxy.reload(config(module, wish="tick:absurd").replace('"16"', '"17"'))  # another VM
    proxy.read_ports()
    fine(proxy.port)
    end = time.monotonic() + 5
    while "done at last" not in proxy.output() and time.monotonic() < end:
        time.sleep(0.02)
    assert "done at last" in proxy.output()
    proxy.wait_stat("wasm.misbehave.active", 1)


def test_shared_data_outlives_its_vm(weir, module):
    """One worker, one VM: its replacement finds what was kept."""
    proxy = weir(config(module))
    ask(proxy.port, "request_headers:shared")
    assert ask(proxy.port, "request_headers:trap").status == 503
    fine(proxy.port)
