"""What a topology file says of its control plane."""

import pytest

from mevflow.flows.spec.control import control_settings
from mevflow.flows.spec.resolve import check
from mevflow.flows.spec.topology import load
from mevflow.operators.errors import UsageError

FILE = """\
version: 1
defaults: {{kafka: {{bootstrap: "b:1"}}, control: {{pulse_limit_s: 5}}}}
topologies:
  one:
    control: {control}
    nodes:
      kept: {{use: discard.sink}}
"""


def settings(tmp_path, control):
    path = tmp_path / "t.yaml"
    path.write_text(FILE.format(control=control))
    return load(path)


def test_a_topology_overrides_the_defaults(tmp_path):
    found = control_settings(settings(tmp_path, "{start_s: 2}"), "one")
    assert (found.bootstrap, found.pulse_limit_s, found.start_s, found.steers) == ("b:1", 5.0, 2.0, True)
    found = control_settings(settings(tmp_path, '{bootstrap: "c:1", pulse_limit_s: 0}'), "one")
    assert (found.bootstrap, found.pulse_limit_s) == ("c:1", 0.0)
    assert not control_settings(settings(tmp_path, "{enabled: false}"), "one").steers


@pytest.mark.parametrize("control", ["{pulse_limit: 1}", "{pulse_limit_s: -1}", "{start_s: soon}"])
def test_a_wrong_one_is_a_fault_of_the_file(tmp_path, control):
    file = settings(tmp_path, control)
    with pytest.raises(UsageError):
        control_settings(file, "one")
    assert any(problem.key == "one.control" for problem in check(file, "one")[1])
