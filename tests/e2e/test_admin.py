"""The admin end to end: what it changes, and that it holds while requests run."""

import json
import threading

from harness.proxy import http_config
from harness.wire import Client, get, post

ROUTE = "- match: {prefix: /}\n  direct_response: {status: 200, body: {inline_string: ok}}\n"


def admin_port(proxy):
    return int(proxy.admin_address.rsplit(":", 1)[1])


def test_healthcheck_fail_and_ok(weir):
    proxy = weir(http_config(ROUTE))
    assert proxy.admin("/ready")[::2] == (200, "LIVE\n")
    assert proxy.admin("/healthcheck/fail", "POST")[::2] == (200, "OK\n")
    assert proxy.admin("/ready")[::2] == (503, "DRAINING\n")
    assert get(proxy.port).status == 200
    assert proxy.admin("/healthcheck/ok", "POST")[::2] == (200, "OK\n")
    assert proxy.admin("/ready")[0] == 200


def test_quit(weir):
    proxy = weir(http_config(ROUTE))
    assert proxy.admin("/quitquitquit", "POST")[::2] == (200, "OK\n")
    assert proxy.process.wait(20) == 0


def test_post_with_a_body_and_keep_alive(weir):
    proxy = weir(http_config(ROUTE))
    with Client(admin_port(proxy)) as client:
        for level in ("debug", "info"):
            answer = client.request("POST", "/logging", body=b"level=" + level.encode())
            assert answer.status == 200 and f"  http: {level}\n".encode() in answer.body
        assert client.request("GET", "/ready").body == b"LIVE\n"
    assert post(admin_port(proxy), "/logging", body=b"x" * 100000).status == 413
    assert get(admin_port(proxy), "/ready").status == 200


def test_not_reachable_through_a_route(weir):
    proxy = weir(http_config(ROUTE))
    for path in ("/stats", "/quitquitquit", "/../stats", f"http://{proxy.admin_address}/stats", "//stats"):
        with Client(proxy.port) as client:
            client.send(f"POST {path} HTTP/1.1\r\nhost: {proxy.admin_address}\r\ncontent-length: 0\r\n\r\n")
            assert client.recv_response().body == b"ok"
    assert proxy.process.poll() is None


def test_reset_counters(weir):
    proxy = weir(http_config(ROUTE))
    get(proxy.port)
    proxy.wait_stat("http.test.downstream_rq_2xx", 1)
    proxy.admin("/reset_counters", "POST")
    assert proxy.stat("http.test.downstream_rq_2xx") == 0
    get(proxy.port)
    proxy.wait_stat("http.test.downstream_rq_2xx", 1)


def test_reading_while_requests_run(weir):
    proxy = weir(http_config(ROUTE), concurrency=2)
    stop = threading.Event()

    def load():
        with Client(proxy.port) as client:
            while not stop.is_set():
                assert client.request().status == 200

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        for path in ("/stats", "/stats?format=json", "/clusters", "/config_dump", "/server_info"):
            assert proxy.admin(path)[0] == 200
        json.loads(proxy.admin("/stats?format=json")[2])
        for line in proxy.admin("/stats/prometheus")[2].splitlines():
            assert line.startswith("# TYPE ") or line.rsplit(" ", 1)[1].replace("nan", "0").isdigit()
    stop.set()
    for thread in threads:
        thread.join()
    total = proxy.stat("http.test.downstream_rq_total")
    assert total == proxy.stat("http.test.downstream_rq_2xx") > 100


def test_listeners_and_clusters_follow_a_reload(weir):
    config = http_config(ROUTE)
    proxy = weir(config)
    assert proxy.stat("listener_manager.listener_added") == 1
    assert proxy.reload(config.replace("body: {inline_string: ok}", "body: {inline_string: new}"))
    assert proxy.stat("listener_manager.listener_modified") == 1
    assert "inline_string\": \"new" in proxy.admin("/config_dump?resource=static_listeners")[2]
