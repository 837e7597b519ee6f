"""SIGTERM and the admin's drain: running requests finish, the process ends with 0."""

import signal
import threading
import time

from harness.proxy import cluster, http_config
from harness.wire import Client, get


def slow(seconds):
    def handler(request, connection):
        time.sleep(seconds)
        return b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone"

    return handler


def config(port):
    return http_config("- match: {prefix: /}\n  route: {cluster: c}\n", clusters=cluster("c", port))


def test_running_request_finishes(weir, upstream):
    proxy = weir(config(upstream(slow(1)).port), concurrency=2)
    with Client(proxy.port) as busy, Client(proxy.port) as idle:
        result = []
        thread = threading.Thread(target=lambda: result.append(busy.request()))
        thread.start()
        time.sleep(0.3)
        started = time.monotonic()
        proxy.process.send_signal(signal.SIGTERM)
        assert idle.closed()
        thread.join()
        assert result[0].status == 200 and result[0].body == b"done" and result[0].get("connection") == "close"
        assert proxy.process.wait(5) == 0
        assert time.monotonic() - started < 3


def test_new_connections_are_refused(weir, upstream):
    proxy = weir(config(upstream(slow(1)).port))
    with Client(proxy.port) as busy:
        thread = threading.Thread(target=busy.request)
        thread.start()
        time.sleep(0.3)
        proxy.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        try:
            get(proxy.port)
            raise AssertionError("a new connection was served")
        except (ConnectionError, EOFError):
            pass
        thread.join()


def test_ends_when_drain_time_is_over(weir, upstream):
    proxy = weir(config(upstream(slow(30)).port), args=["--drain-time-s", "1"])
    with Client(proxy.port) as client:
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        time.sleep(0.3)
        started = time.monotonic()
        assert proxy.stop() == 0
        assert 0.5 < time.monotonic() - started < 4


def test_second_signal_ends_at_once(weir, upstream):
    proxy = weir(config(upstream(slow(30)).port))
    with Client(proxy.port) as client:
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        time.sleep(0.3)
        proxy.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert proxy.process.poll() is None
        started = time.monotonic()
        assert proxy.stop(signal.SIGINT) == 0
        assert time.monotonic() - started < 2


def test_quitquitquit(weir):
    proxy = weir(http_config("- match: {prefix: /}\n  direct_response: {status: 200}\n"))
    assert proxy.admin("/quitquitquit")[0] == 405
    assert proxy.admin("/quitquitquit", method="POST")[0] == 200
    assert proxy.process.wait(5) == 0


def test_drain_listeners(weir):
    proxy = weir(http_config("- match: {prefix: /}\n  direct_response: {status: 200}\n"))
    assert proxy.admin("/drain_listeners", method="POST")[0] == 200
    time.sleep(0.3)
    try:
        get(proxy.port)
        raise AssertionError("a new connection was served")
    except (ConnectionError, EOFError):
        pass
    assert proxy.admin("/ready")[0] in (200, 503)
