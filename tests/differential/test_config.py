"""What the real Envoy accepts in a configuration, weir reads: values of every form in fields of every kind. The other way round only what
`LENIENT` names: there weir takes what Envoy refuses, with a warning. WEIR_DIFFER_N=2000 tries more than the usual sample."""

import json
import os
import random
import re
import subprocess

import pytest

from harness.proxy import cluster, envoy_binary, http_config, weir_binary

FRAME = """
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    LISTENER
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: s
          HCM
          route_config:
            name: r
            virtual_hosts:
            - name: v
              domains: ["*"]
              VHOST
              routes:
              - match:
                  prefix: /
                  MATCH
                route:
                  cluster: c
                  ACTION
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: c
    type: STATIC
    CLUSTER
    load_assignment: {cluster_name: c}
"""
PLACES = ["LISTENER", "HCM", "VHOST", "MATCH", "ACTION", "CLUSTER"]
FIELDS = {
    "LISTENER": "stat_prefix per_connection_buffer_limit_bytes metadata traffic_direction listener_filters_timeout tcp_backlog_size",
    "HCM": "codec_type add_user_agent server_name stream_idle_timeout xff_num_trusted_hops max_request_headers_kb addUserAgent",
    "VHOST": "require_tls request_headers_to_add response_headers_to_remove include_request_attempt_count typed_per_filter_config",
    "MATCH": "case_sensitive headers query_parameters runtime_fraction dynamic_metadata",
    "ACTION": "timeout host_rewrite_literal auto_host_rewrite hash_policy cluster_not_found_response_code metadata_match",
    "CLUSTER": "connect_timeout lb_policy metadata alt_stat_name common_lb_config health_checks dns_lookup_family altStatName",
}
VALUES = """true "true" yes "yes" n 1 0 -1 1.5 "1.5" 80.0 "80" 010 "010" 0x1f "0x1f" 08 +5 1e3 "1e3" 4294967296 99999999999999999999 null ~ ""
abc !!str{s}5 5s "5s" 0.5s .5s 5.s 1m -1s 2020-01-01 {} [] [null] [a] [a,{s}a] {value:{s}3} {seconds:{s}1} {seconds:{s}-1} {a:{s}b} {a:{s}null}
AUTO auto ROUND_ROBIN round_robin 100 65536 {numerator:{s}1} {name:{s}a} [{name:{s}a}] {default_value:{s}{numerator:{s}1}}
{"@type":{s}a/google.protobuf.Empty} {"@type":{s}b} {x:{s}{"@type":{s}a/google.protobuf.Struct,{s}value:{s}{a:{s}1}}}
{x:{s}{"@type":{s}/google.protobuf.Empty}} {x:{s}{"@type":{s}a/google.protobuf.Duration,{s}value:{s}5}}
{header:{s}{key:{s}a,{s}value:{s}b}} [{header:{s}{key:{s}a,{s}value:{s}5}}] {filter_metadata:{s}{a:{s}{b:{s}[1,{s}x]}}}""".split()
# Why Envoy's reader, and not a later check of the whole, refused.
READING = ["Unable to parse", "Proto constraint", "has unknown fields", "INVALID_ARGUMENT", "Invalid duration", "could not find @type", "Unable to unpack"]
LENIENT = ["a number where text belongs", "!!str", "[null]"]


def sample():
    rng = random.Random(1)
    cases = [(place, field, value.replace("{s}", " ")) for place in PLACES for field in FIELDS[place].split() for value in VALUES]
    rng.shuffle(cases)
    return cases[: int(os.environ.get("WEIR_DIFFER_N", "100"))]


def envoy_reads(path):
    done = subprocess.run([envoy_binary(), "--mode", "validate", "-c", path, "-l", "critical"], capture_output=True, text=True, timeout=60)
    return done.returncode == 0 or not any(reason in done.stderr for reason in READING)


def weir_reports(path):
    done = subprocess.run([weir_binary(), "--mode", "validate", "--format", "json", "-c", path], capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout[done.stdout.index("[") : done.stdout.rindex("]") + 1])


def is_later_check(report):
    """Understood, and refused for what it says: not the reader's doing."""
    return "not implemented by weir" in report["message"]


@pytest.mark.parametrize("place,field,value", sample())
def test_reads_what_envoy_reads(tmp_path, place, field, value):
    text = FRAME
    for other in PLACES:
        text = text.replace(f" {other}\n", f" {field}: {value}\n" if other == place else "\n")
    path = tmp_path / "c.yaml"
    path.write_text(text)
    reports = weir_reports(str(path))
    refused = [r for r in reports if r["severity"] == "error" and not is_later_check(r)]
    if envoy_reads(str(path)):
        assert not refused
    elif not refused:
        assert any(reason in json.dumps(reports) + value for reason in LENIENT)


DUMPED = http_config(
    """
- name: first
  match: {prefix: /a, caseSensitive: false, headers: [{name: x, string_match: {exact: v, ignore_case: true}}]}
  route: {cluster: one, timeout: 1.5s, prefix_rewrite: /b, idle_timeout: {seconds: 3}}
  request_headers_to_add: [{header: {key: k, value: "\u00e4 \\" \\\\ <>"}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}]
  metadata: {filter_metadata: {m: {a: 1, b: 1.5, c: null, d: [x, {}], e: 0x10}}}
- {match: {safe_regex: {regex: "/r.*"}}, redirect: {path_redirect: /, response_code: FOUND}}
- {match: {prefix: /}, direct_response: {status: 404, body: {inline_string: ""}}}
""",
    cluster("one", 1, extra="per_connection_buffer_limit_bytes: 0\nlb_policy: least_request"),
)


def dump(proxy):
    """/config_dump, without what is of the process and not of the configuration."""
    found = json.loads(proxy.admin("/config_dump")[2])
    for part in found["configs"]:
        part.get("bootstrap", {}).pop("node", None)
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME", json.dumps(found, indent=1, sort_keys=True))


def test_config_dump_is_envoys(pairs):
    """Value for value: names, numbers, durations, escapes. (Envoy prints the keys of a Struct in the order of its hash.)"""
    weir, envoy = pairs(DUMPED).each(dump)
    assert weir == envoy
