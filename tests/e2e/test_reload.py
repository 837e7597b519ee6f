"""SIGHUP: a changed file takes effect with no request lost; a faulty one changes nothing."""

import time

from harness.load import Load
from harness.proxy import cluster, http_config
from harness.wire import Client, Upstream, get


def direct(text):
    return http_config(f"- match: {{prefix: /}}\n  direct_response: {{status: 200, body: {{inline_string: {text}}}}}\n").replace(
        "port_value: 0}}\n    filter_chains", "port_value: 0}}\n    filter_chains")


def test_routes_change_for_connections_that_stay(weir):
    proxy = weir(direct("one"), concurrency=2)
    with Client(proxy.port) as client:
        assert client.request().body == b"one"
        assert proxy.reload(direct("two"))
        proxy.read_ports()
        assert get(proxy.port).body == b"two"


def test_no_request_lost_under_load(weir, upstream):
    first, second = upstream(reply=Upstream.OK), upstream(reply=Upstream.OK)

    def config(port, n):
        routes = "- match: {prefix: /}\n  route: {cluster: c}\n  response_headers_to_add: [{header: {key: x-n, value: '%d'}}]\n" % n
        return http_config(routes, clusters=cluster("c", port))

    proxy = weir(config(first.port, 0), concurrency=2)
    load = Load(proxy.port, 6)
    for n in range(1, 11):
        time.sleep(0.4)
        assert proxy.reload(config((first, second)[n % 2].port, n))
    requests, errors, other = load.finish()
    assert requests > 500 and errors == 0 and other == 0
    assert get(proxy.port).get("x-n") == "10"
    assert first.requests and second.requests


def test_faulty_file_keeps_the_old_one(weir):
    proxy = weir(direct("good"))
    assert not proxy.reload(direct("bad").replace("stat_prefix", "stat_prefx"))
    assert get(proxy.port).body == b"good"
    assert 'unknown field "stat_prefx"' in proxy.output()
    assert proxy.stat("server.reload_failure") == 1
    assert not proxy.reload("static_resources: [")
    assert get(proxy.port).body == b"good"
    assert proxy.reload(direct("better"))
    proxy.read_ports()
    assert get(proxy.port).body == b"better"


def test_listener_added_and_removed(weir):
    proxy = weir(direct("one"), concurrency=2)
    second = direct("two").split("static_resources:\n  listeners:\n")[1].replace("name: main", "name: other")
    assert proxy.reload(direct("one") + second)
    proxy.read_ports()
    assert get(proxy.ports["main"]).body == b"one" and get(proxy.ports["other"]).body == b"two"
    gone = proxy.ports["other"]
    assert proxy.reload(direct("one"))
    try:
        get(gone)
        raise AssertionError("the listener still answers")
    except (ConnectionError, EOFError):
        pass
    assert get(proxy.ports["main"]).body == b"one"


def test_taken_port_is_refused(weir):
    first = weir(direct("one"))
    second = weir(direct("two"))
    clash = direct("two").replace("port_value: 0}}\n", f"port_value: {first.port}}}}}\n", 1)
    assert not second.reload(clash)
    assert "in use by another process" in second.output()
    assert get(second.port).body == b"two"


def test_memory_of_old_configurations_is_given_back(weir):
    proxy = weir(direct("one"), concurrency=2)
    for n in range(20):
        assert proxy.reload(direct(f"n{n}"))
    before = proxy.rss_kb()
    for n in range(100):
        assert proxy.reload(direct(f"m{n}"))
    assert proxy.rss_kb() - before < 2000
