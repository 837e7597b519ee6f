"""Clusters whose endpoints are names: served from the start, kept over a reload."""

import pytest

from harness.proxy import http_config
from harness.wire import get


def config(port, kind, extra="", name="localhost"):
    text = f"- name: c\n  type: {kind}\n  dns_lookup_family: V4_ONLY\n{extra}"
    text += f"  load_assignment: {{cluster_name: c, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: {name}, port_value: {port}}}}}}}}}]}}]}}\n"
    return http_config("- match: {prefix: /}\n  route: {cluster: c, auto_host_rewrite: true}\n", clusters=text)


@pytest.mark.parametrize("kind", ["STRICT_DNS", "LOGICAL_DNS", "strict_dns"])
def test_serves_from_the_first_request(weir, upstream, kind):
    up = upstream()
    proxy = weir(config(up.port, kind), concurrency=2)
    assert [get(proxy.port).status for _ in range(4)] == [200] * 4
    assert up.requests[0].get("host") == "localhost"
    assert proxy.stat("cluster.c.membership_total") == 1


def test_an_unknown_name_is_no_reason_not_to_start(weir):
    proxy = weir(config(80, "STRICT_DNS", name="does-not-exist.invalid"))
    answer = get(proxy.port)
    assert answer.status == 503 and answer.body == b"no healthy upstream"


def test_a_reload_keeps_what_is_known(weir, upstream):
    up = upstream()
    proxy = weir(config(up.port, "STRICT_DNS"))
    assert get(proxy.port).status == 200
    proxy.reload(config(up.port, "STRICT_DNS", extra="  connect_timeout: 3s\n"))
    assert [get(proxy.port).status for _ in range(20)] == [200] * 20
