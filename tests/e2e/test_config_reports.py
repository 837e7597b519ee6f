"""What a person or an editor sees of a configuration's mistakes through the program itself."""

import json
import subprocess

from harness.proxy import cluster, http_config, weir_binary

ROUTES = "- {match: {prefix: /}, route: {cluster: one}}"
GOOD = http_config(ROUTES, cluster("one", 1))


def run(*args):
    return subprocess.run([weir_binary(), *args], capture_output=True, text=True, timeout=60)


def validate(tmp_path, text, *args, name="envoy.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path, run("-c", str(path), "--mode", "validate", *args)


def test_good_file_says_so(tmp_path):
    path, done = validate(tmp_path, GOOD)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"configuration '{path}' OK\n", "")


def test_all_mistakes_in_one_run_sorted(tmp_path):
    text = GOOD.replace("cluster: one}}", "cluster: onne, timeout: 5}}").replace("stat_prefix: test", "stat_prefx: test").replace("type: STATIC", "type: STATICC")
    path, done = validate(tmp_path, text)
    assert done.returncode == 1 and done.stdout == ""
    lines = done.stderr.splitlines()
    numbers = [int(line.removeprefix(f"{path}:").split(":")[0]) for line in lines[:-1]]
    assert numbers == sorted(numbers) and lines[-1].startswith(f"{len(numbers)} errors")
    for want in ['did you mean "stat_prefix"?', 'write "5s"', 'did you mean "STATIC"?']:
        assert want in done.stderr


def test_reports_for_programs(tmp_path):
    path, done = validate(tmp_path, GOOD.replace("stat_prefix: test", "stat_prefx: test"), "--format", "json")
    (report,) = json.loads(done.stdout)
    assert done.returncode == 1 and done.stderr == ""
    assert report["file"] == str(path) and report["severity"] == "error" and report["line"] > 1 and report["column"] > 1
    assert report["path"].startswith("static_resources.listeners[0].") and report["hint"] == 'did you mean "stat_prefix"?'


def test_overlay_replaces_and_is_named(tmp_path):
    path, done = validate(tmp_path, GOOD, "--config-yaml", "{node: {id: n}}")
    assert done.returncode == 1 and done.stderr == '--config-yaml:1:13: node.id: expected text: YAML reads unquoted n as false (write "n")\n'
    path, done = validate(tmp_path, GOOD, "--config-yaml", "{node: {id: x}}")
    assert done.returncode == 0


def test_unknown_fields_may_be_warnings(tmp_path):
    text = GOOD + "some_field_of_tomorrow: {}\n"
    assert validate(tmp_path, text)[1].returncode == 1
    path, done = validate(tmp_path, text, "--allow-unknown-static-fields")
    assert done.returncode == 0 and 'warning: unknown field "some_field_of_tomorrow"' in done.stderr


def test_json_and_endings(tmp_path):
    assert validate(tmp_path, '{"static_resources": {}}', name="a.json")[1].returncode == 0
    assert "JSON has no comments" in validate(tmp_path, '{ // x\n}', name="a.json")[1].stderr
    assert "the name does not say what it is" in validate(tmp_path, GOOD, name="envoy.conf")[1].stderr
    assert "No such file" in run("-c", str(tmp_path / "none.yaml")).stderr


def test_what_is_implemented_is_printed():
    table = run("--print-feature-table").stdout
    assert "## envoy.config.cluster.v3.Cluster\n" in table and "| `connect_timeout` | yes |" in table
    schema = json.loads(run("--print-json-schema").stdout)
    clusters = schema["definitions"]["envoy.config.cluster.v3.Cluster"]["properties"]
    assert "connect_timeout" in clusters and "name" in clusters
