"""The wheel is the product: build it, look into it, install it elsewhere beside others, run it from an empty folder.

Run by ``make wheel``. Each step says what it did; the first that fails ends the run with what it printed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import ExitStack
from pathlib import Path

from mevflow.processes.addresses import free_port

ROOT = Path(__file__).parents[2]
UV = str(ROOT / ".venv" / "bin" / "uv")
#: Distributions that own the names `proto` and `control`: they must live beside mevflow.
NEIGHBOURS = {"proto-plus": "proto", "control": "control"}
PINNED = ("proto-plus==1.29.0", "control==0.10.2")
INSIDE = (
    "mevflow/py.typed",
    "mevflow/topologies.yaml",
    "mevflow/examples/pools.yaml",
    "mevflow/examples/plugin/mevflow_prices/stage.py",
    "mevflow/examples/project/mevflow.toml",
    "mevflow/examples/data/whirlpool-transaction-20220406.jsonl.gz",
    "mevflow/examples/data/whirlpool-start-20220406.json",
    "mevflow/examples/data/uniswap-v3-usdc_weth_0.05pct_0x88e6a0c2_2024-01-05.csv.gz",
    "mevflow/ops/kafka/pom.xml",
    "mevflow/ops/kafka/server.properties",
    "mevflow/ops/sysctl/90-mevflow.conf",
    "mevflow/ops/systemd/mevflow@.service",
    "mevflow/ops/grafana/mevflow-overview.json",
    "mevflow/clickhouse/migrations/0001_market.sql",
    "mevflow/clickhouse/queries/top_opportunities.sql",
    "mevflow/v1/market.proto",
    "mevflow/testing/__init__.py",
)


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    """A command's output. Ends the process with all that it printed when it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} (in {cwd}) ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(out: Path) -> tuple[Path, Path]:
    """Wheel and sdist of this tree, the wheel with leftovers of an earlier build lying about."""
    tree = shutil.copytree(
        ROOT, out / "tree", symlinks=True, ignore=shutil.ignore_patterns(".venv", "var", ".git", "*_cache", "*.nb[ic]")
    )
    stale = tree / "build" / "lib" / "stale_package"
    stale.mkdir(parents=True)
    (stale / "__init__.py").touch()
    for kind in ("--wheel", "--sdist"):
        python = ("--python", sys.executable)
        run(UV, "build", "--quiet", kind, "--no-build-isolation", *python, "--out-dir", str(out), cwd=tree)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    shutil.rmtree(tree)
    return wheel, sdist


def look_into(wheel: Path) -> None:
    """One top-level name, and every file that a user needs."""
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    if top != {"mevflow"}:
        sys.exit(f"{wheel.name} owns the names {sorted(top)}, not mevflow alone")
    missing = [name for name in INSIDE if name not in names]
    if missing:
        sys.exit(f"{wheel.name} lacks {', '.join(missing)}")


def imports(python: str, names: list[str], cwd: Path) -> None:
    """Each name can be imported, from where it should be."""
    for name in names:
        where = run(python, "-c", f"import {name}; print({name}.__file__)", cwd=cwd).strip()
        if str(ROOT) in where:
            sys.exit(f"{name} comes from the checkout, {where}, not from the wheel")


def main() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mevflow-wheel-")))
        wheel, sdist = build(folder)
        look_into(wheel)
        print(f"{wheel.name} ({wheel.stat().st_size >> 10:,} KiB) and {sdist.name} hold what they should", flush=True)

        again = folder / "again"
        run(UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable,
            "--out-dir", str(again), str(sdist), cwd=folder)  # fmt: skip
        look_into(next(again.glob("*.whl")))
        print("the sdist gives the same wheel", flush=True)

        python = str(folder / "env" / "bin" / "python")
        run(UV, "venv", "--quiet", "--python", sys.executable, str(folder / "env"), cwd=folder)
        install = (UV, "pip", "install", "--quiet", "--python", python)
        locked = ("--constraint", str(ROOT / "requirements.lock"))
        run(*install, *PINNED, cwd=folder)
        imports(python, list(NEIGHBOURS.values()), folder)
        run(*install, *locked, str(wheel), cwd=folder)
        imports(python, [*NEIGHBOURS.values(), "mevflow", "mevflow.v1.market_pb2", "mevflow.control"], folder)
        print(f"installed beside {', '.join(NEIGHBOURS)}: all import", flush=True)
        run(UV, "pip", "uninstall", "--quiet", "--python", python, *NEIGHBOURS, cwd=folder)
        imports(python, ["mevflow", "mevflow.v1.market_pb2", "mevflow.control"], folder)
        print("without them mevflow still imports", flush=True)

        empty = folder / "empty"
        empty.mkdir()
        project = empty / "project"
        ports = {
            "KAFKA__BOOTSTRAP": f"127.0.0.1:{free_port()}",
            "KAFKA__CONTROLLER_PORT": str(free_port()),
            "CLICKHOUSE__PORT": str(free_port()),
            "WEBSOCKET__PORT": str(free_port()),
            "CONTROL__PORT": str(free_port()),
            "CONTROL__HTTP_PORT": str(free_port()),
        }
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MEVFLOW_", "PYTHONPATH", "VIRTUAL_ENV"))}
        env |= {f"MEVFLOW_{name}": value for name, value in ports.items()}
        mevflow = str(folder / "env" / "bin" / "mevflow")
        said = run(mevflow, "--version", cwd=empty, env=env).strip()
        wanted = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        if wanted not in said:
            sys.exit(f"mevflow --version says {said!r}, without {wanted}")
        run(mevflow, "doctor", cwd=empty, env=env)
        print(run(mevflow, "topologies", "validate", cwd=empty, env=env).strip(), flush=True)
        run(mevflow, "init", str(project), cwd=empty, env=env)
        run(mevflow, "preflight", cwd=project, env=env)
        print(run(mevflow, "topologies", "validate", cwd=project, env=env).strip(), "(of mevflow init)", flush=True)
        if "--no-demo" in sys.argv:
            return
        report = json.loads(run(mevflow, "demo", "--json", cwd=project, env=env))
        if not (report["published"] and report["processed"] and report["top"]):
            sys.exit(f"the demo found nothing: {report}")
        print(f"{said}: the demo processed {report['processed']:,} messages in a new project", flush=True)


if __name__ == "__main__":
    main()
