"""What the overlays ask of operators (Strimzi, Altinity, Prometheus): by our own schemas, narrower than theirs.

No operator is asked here. ``custom_resources.yaml`` says what a resource may say.
"""

import copy
import os
from pathlib import Path

import kubernetes_validate
import pytest
from jsonschema import Draft202012Validator, ValidationError, validators
from ruamel.yaml import YAML

from mevflow.kafka.topics import TOPICS
from tests.ops.overlays import KUBERNETES, OVERLAYS, assert_settings_exist, rendered

SCHEMAS = YAML(typ="safe").load((Path(__file__).parent / "custom_resources.yaml").read_text())
TOPICS_FILE = KUBERNETES / "components" / "kafka" / "topics.yaml"


def _pod(_, wanted, spec, schema):
    return _kubernetes({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec})


def _claim(_, wanted, spec, schema):
    return _kubernetes({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "x"}, "spec": spec})


def _kubernetes(document):
    try:
        kubernetes_validate.validate(document, "1.31", strict=True)
    except kubernetes_validate.ValidationError as error:
        yield ValidationError(error.message)


Validator = validators.extend(Draft202012Validator, {"x-pod": _pod, "x-claim": _claim})


def faults(document):
    """What is wrong with a custom resource."""
    kind = SCHEMAS["kinds"][document["kind"]]
    if document["apiVersion"] != kind["apiVersion"]:
        return [f"{document['kind']} is of {kind['apiVersion']}"]
    schema = {**kind["spec"], "definitions": SCHEMAS["definitions"]}
    return [error.message for error in Validator(schema).iter_errors(document["spec"])]


def custom(overlay):
    return [document for document in rendered(overlay) if document["kind"] in SCHEMAS["kinds"]]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_operators_are_asked_keeps_to_its_schema(overlay):
    for document in custom(overlay):
        assert faults(document) == [], document["metadata"]["name"]


def test_every_operator_is_asked_somewhere():
    assert {each["kind"] for overlay in OVERLAYS for each in custom(overlay)} == SCHEMAS["kinds"].keys()


def _places(value, path=()):
    """Paths of all keys that a schema names: below them are Kafka's, Kubernetes' and Prometheus' own."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        if isinstance(value, dict):
            yield (*path, key)
        if key not in ("config", "podSelector", "rules", "selector", "topicOperator", "userOperator"):
            yield from _places(each, (*path, key))


def test_a_misspelt_field_is_refused_wherever_it_stands():
    tried = 0
    for document in {each["kind"]: each for overlay in OVERLAYS for each in custom(overlay)}.values():
        for path in _places(document["spec"]):
            wrong = copy.deepcopy(document)
            holder = wrong["spec"]
            for key in path[:-1]:
                holder = holder[key]
            holder[f"{path[-1]}X"] = holder.pop(path[-1])
            if path[-2:-1] in (("requests",), ("limits",)) and "templates" in path:
                continue  # other resources than these may be asked of a node
            assert faults(wrong), (document["kind"], path)
            tried += 1
    assert tried > 80


def test_topics_are_those_of_the_code():
    """``components/kafka/topics.yaml`` is made of the topics' table: MEVFLOW_WRITE=1 writes it anew."""
    text = "# Made of mevflow/kafka/topics.py by tests/ops/test_operators.py.\n"
    for topic in TOPICS:
        text += "---\napiVersion: kafka.strimzi.io/v1\nkind: KafkaTopic\nmetadata:\n"
        text += f"  name: {topic.name}\n  labels: {{strimzi.io/cluster: kafka}}\n"
        text += f"spec:\n  partitions: {topic.partitions}\n  config:\n"
        text += "".join(f'    {name}: "{value}"\n' for name, value in topic.configs.items())
    if os.environ.get("MEVFLOW_WRITE"):
        TOPICS_FILE.write_text(text)
    assert TOPICS_FILE.read_text() == text


def test_what_operators_make_is_what_pods_are_told():
    """Names that operators derive: services, the user's secret, the authority's."""
    documents = rendered("operators")
    by_kind = {each["kind"]: each for each in documents}
    settings = next(each["data"] for each in documents if each["kind"] == "ConfigMap")
    assert_settings_exist(settings)
    kafka, user = by_kind["Kafka"]["metadata"]["name"], by_kind["KafkaUser"]["metadata"]["name"]
    (listener,) = by_kind["Kafka"]["spec"]["kafka"]["listeners"]
    assert settings["MEVFLOW_KAFKA__BOOTSTRAP"] == f"{kafka}-kafka-bootstrap:{listener['port']}"
    assert settings["MEVFLOW_KAFKA__USERNAME"] == user
    house = by_kind["ClickHouseInstallation"]
    assert settings["MEVFLOW_CLICKHOUSE__HOST"] == f"clickhouse-{house['metadata']['name']}"
    assert f"{settings['MEVFLOW_CLICKHOUSE__USER']}/password" in house["spec"]["configuration"]["users"]
    (node,) = house["spec"]["configuration"]["zookeeper"]["nodes"]
    assert node["host"] == f"keeper-{by_kind['ClickHouseKeeperInstallation']['metadata']['name']}"
    for each in documents:
        if "strimzi.io/cluster" in each["metadata"].get("labels", {}):
            assert each["metadata"]["labels"]["strimzi.io/cluster"] == kafka
        if "template" in each.get("spec", {}):
            volumes = {volume["name"]: volume for volume in each["spec"]["template"]["spec"]["volumes"]}
            sources = [source["secret"]["name"] for source in volumes["kafka"]["projected"]["sources"]]
            assert sources == [user, f"{kafka}-cluster-ca-cert"]
            assert each["spec"]["template"]["metadata"]["labels"]["mevflow/reaches"] == "services"
