"""The overlays of ``ops/kubernetes`` as kubectl puts them together, and the settings that they name."""

import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from mevflow.flows.config import Config

KUBERNETES = Path(__file__).resolve().parents[2] / "ops" / "kubernetes"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
_KUBECTL = shutil.which("kubectl")


def rendered(overlay):
    """The documents of an overlay."""
    if _KUBECTL is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        [_KUBECTL, "kustomize", str(KUBERNETES / "overlays" / overlay)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return list(YAML(typ="safe").load_all(done.stdout))


def assert_settings_exist(names):
    """Each ``MEVFLOW_…`` is a setting of ours."""
    for name in names:
        model, parts = Config, name.removeprefix("MEVFLOW_").lower().split("__")
        for part in parts:
            assert part in model.model_fields, name
            model = model.model_fields[part].annotation
