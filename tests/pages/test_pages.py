"""Every command of the documentation, as it stands there, in a running deployment: a page is one script.

It comes behind whatever else looks at the deployment: pages set policies, feed, replay and engage the kill switch.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import blocks, dialogue
from tests.pages.script import answers, is_run, script
from tests.plugins.deployment import ROOT

pytestmark = pytest.mark.timeout(1200)
RUN = [block for block in blocks() if is_run(block)]
#: Addresses of the pages -> the setting that has the deployment's own.
_PORTS = {"8001": "CONTROL__HTTP", "8002": "WEBSOCKET_", "8123": "CLICKHOUSE_", "50051": "CONTROL_"}
#: Of the pages' programs those that a machine may lack.
_PROGRAMS = ("curl", "openssl", "promtool")


@pytest.fixture(scope="module")
def folder(live, tmp_path_factory):
    """The project as a reader has it, with the deployment's state in ``var``; ``mevflow`` is in its ``bin``."""
    made = tmp_path_factory.mktemp("project")
    for path in ROOT.iterdir():
        if path.name != "var" and not path.name.startswith("."):
            (made / path.name).symlink_to(path)
    (made / "var").symlink_to(live.var)
    (made / "bin").mkdir()
    (made / "bin/mevflow").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mevflow.cli "$@"\n')
    (made / "bin/mevflow").chmod(0o755)
    (made / ".curlrc").write_text("fail-with-body\nmax-time = 120\n")
    return made


@pytest.fixture(scope="module")
def names(live):
    """What stands in the pages for something -> what it is here."""
    ids = "SELECT decision_id FROM mev_decisions WHERE run_id = '' ORDER BY timestamp LIMIT 1"
    row = live.json("clickhouse", "query", ids)
    ports = {f"127.0.0.1:{port}": f"127.0.0.1:{live.port(of)}" for port, of in _PORTS.items()}
    return {"NAME": "detect-live", "DECISION_ID": row["decision_id"], **ports}


@pytest.mark.parametrize("page", sorted({block.page for block in RUN}))
def test_a_page_does_what_it_says(page, live, folder, names, tmp_path):
    shown = [block for block in RUN if block.page == page]
    for program in _PROGRAMS:
        if shutil.which(program) is None and any(re.search(rf"^(\$ )?{program} ", b.text, re.M) for b in shown):
            pytest.skip(f"{program} is not installed")
    text = re.sub("|".join(rf"\b{re.escape(name)}\b" for name in names), lambda m: names[m[0]], script(shown, tmp_path))
    environment = {**live.environment, "PATH": f"{folder}/bin:{live.environment['PATH']}", "CURL_HOME": str(folder)}
    done = subprocess.run(
        ["bash", "-c", text], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    for block in shown:
        for number, (command, expected) in enumerate(dialogue(block.text) if block.language == "console" else ()):
            given = Path(tmp_path, f"{block.line}-{number}.txt").read_text()
            assert answers(expected, given), f"{block.where}: {command}{given[:4000]}"
