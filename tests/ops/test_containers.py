"""The image's recipe, the compose file and the Kubernetes overlays: as far as they can be tried without building one.

No image is built and no cluster is asked here: recipes are linted, documents held against their schemas, and every
command and setting in them against this code.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import kubernetes_validate
import pytest
from compose_spec import PyCompose
from ruamel.yaml import YAML

from mevflow.cli import cli
from tests.ops.overlays import KUBERNETES, OVERLAYS, assert_settings_exist, rendered

ROOT = Path(__file__).resolve().parents[2]
CONTAINER = ROOT / "ops" / "container"
HADOLINT = Path(sys.executable).parent / "hadolint"
#: Groups of Kubernetes itself; test_operators.py is of the others.
BUILT_IN = {"v1", "apps", "batch", "policy", "networking.k8s.io"}
RULES = KUBERNETES / "overlays" / "prod" / "rules.yaml"


def read(path):
    return YAML(typ="safe").load(path.read_text())


def assert_command_exists(words):
    command = cli
    for word in words:
        if isinstance(command, click.Group):
            command = command.get_command(click.Context(command), word)
            assert command is not None, words
        elif word.startswith("--"):
            assert word in {option for parameter in command.params for option in parameter.opts}, words


@pytest.fixture(scope="module")
def compose():
    return read(CONTAINER / "compose.yaml")


def test_the_recipe_is_clean():
    done = subprocess.run([str(HADOLINT), str(CONTAINER / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_nobody_and_asks_ready():
    text = (CONTAINER / "Dockerfile").read_text()
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert text.index("AS build") < text.index("COPY --from=build")
    assert "/ready" in text
    assert_settings_exist(re.findall(r"\bMEVFLOW_\w+", text))
    (words,) = re.findall(r"^CMD (\[.+\])$", text, re.MULTILINE)
    assert_command_exists(json.loads(words))


def test_compose_keeps_to_its_schema(compose):
    plain = {name: part for name, part in compose.items() if not name.startswith("x-")}  # merged by now
    found = PyCompose.from_json(json.dumps(plain))
    found.validate()
    assert found.to_spec().services.keys() == compose["services"].keys()


def test_every_service_has_a_health_check_limits_and_a_fixed_image(compose):
    for name, service in compose["services"].items():
        own = service["image"].startswith("mevflow:")  # whose image has a check
        assert own or service["healthcheck"]["test"], name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
        assert re.search(r":v?\d[\w.-]*$", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert not own or (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service.get("depends_on", {}).keys() <= compose["services"].keys()
        assert set(service.get("secrets", ())) <= compose["secrets"].keys()
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (CONTAINER / source).exists(), volume
    assert not {"zookeeper", "redis"} & compose["services"].keys()
    assert compose["services"]["grafana"]["ports"] == ["127.0.0.1:3001:3000"]
    assert "127.0.0.1:8001:8001" in compose["services"]["control"]["ports"]


def test_what_compose_runs_exists(compose):
    for name, service in compose["services"].items():
        if not service["image"].startswith("mevflow:"):
            continue
        assert_settings_exist(service["environment"])
        command = service["command"]
        parts = [command] if len(command) > 1 else [shlex.split(part)[1:] for part in command[0].split("&&")]
        for words in parts:
            assert_command_exists(words), name


def test_prometheus_finds_what_compose_runs(compose):
    scraped = [
        target.split(":")[0]
        for job in read(CONTAINER / "prometheus.yml")["scrape_configs"]
        for part in job["static_configs"]
        for target in part["targets"]
    ]
    assert set(scraped) == {"detect-live", "control"} <= compose["services"].keys()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_keeps_to_kubernetes_schemas(overlay):
    documents = rendered(overlay)
    plain = [each for each in documents if each["apiVersion"].split("/")[0] in BUILT_IN]
    assert len(plain) > 8
    for document in plain:
        kubernetes_validate.validate(document, "1.31", strict=True)
    for document in documents:
        assert document["metadata"]["namespace"].startswith("mevflow")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_nobody_bounded_probed_and_run_what_exists(overlay):
    documents = rendered(overlay)
    settings = next(each["data"] for each in documents if each["kind"] == "ConfigMap")
    assert_settings_exist(settings)
    pods = {
        each["metadata"]["name"]: (each["kind"], each["spec"]["template"])
        for each in documents
        if "template" in each.get("spec", {})
    }
    divided = set() if overlay == "dev" else {"archive"}
    assert pods.keys() == {"detect-live", "mevflow-control", "mevflow-prepare"} | divided
    for kind, template in pods.values():
        spec, (container,) = template["spec"], template["spec"]["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"].keys() == {"requests", "limits"}
        assert container["image"].startswith("registry.example.org/mevflow:")
        assert {mount["name"] for mount in container["volumeMounts"]} <= {
            *(volume["name"] for volume in spec["volumes"]),
            "state",
        }
        assert_settings_exist(each["name"] for each in container.get("env", ()) if each["name"] != "HOST")
        if kind != "Job":
            assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
            assert_command_exists(container["args"])
    assert "password" not in json.dumps([each for each in documents if each["kind"] == "Secret"])


def test_pods_that_divide_a_topology_are_as_many_as_they_say():
    (archive,) = (
        each["spec"]
        for each in rendered("prod")
        if each["kind"] == "StatefulSet" and each["metadata"]["name"] == "archive"
    )
    (container,) = archive["template"]["spec"]["containers"]
    words = container["args"]
    assert archive["ordinals"]["start"] == 1  # hosts are counted from 1
    assert words[words.index("--host") + 1] == f"$(HOST)/{archive['replicas']}"
    assert int(words[words.index("--shards") + 1]) >= archive["replicas"]
    (host,) = (each for each in container["env"] if each["name"] == "HOST")
    assert host["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['apps.kubernetes.io/pod-index']"


def test_the_operators_rules_are_the_alert_rules():
    """``ops/prometheus/rules.yaml`` once more, for the Prometheus operator: MEVFLOW_WRITE=1 writes it anew."""
    lines = (ROOT / "ops" / "prometheus" / "rules.yaml").read_text().splitlines()
    head = (
        "# Made of ops/prometheus/rules.yaml by tests/ops/test_containers.py.\napiVersion: monitoring.coreos.com/v1\n"
    )
    head += "kind: PrometheusRule\nmetadata: {name: mevflow}\nspec:\n"
    text = head + "".join(f"  {line}\n" if line else "\n" for line in lines if not line.startswith("#"))
    if os.environ.get("MEVFLOW_WRITE"):
        RULES.write_text(text)
    assert RULES.read_text() == text
    assert read(RULES)["spec"]["groups"] == read(ROOT / "ops" / "prometheus" / "rules.yaml")["groups"]
