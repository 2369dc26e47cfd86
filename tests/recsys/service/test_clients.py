"""Clients that are generated from /openapi.json, in Python and TypeScript, against the service; `make clients` installs the generators."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys.service.app import application
from recsys.settings.names import Scope
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import listening
from tests.recsys.service.test_access import add

ROOT = Path(__file__).parents[3]
SOURCES, INSTALLED = ROOT / "clients", Path(os.environ.get("RECSYS_CLIENTS", ROOT / "build" / "clients"))
PYTHON, MODULES = INSTALLED / "venv" / "bin" / "python", INSTALLED / "node_modules"


@pytest.fixture(scope="module")
def place(_ready: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("clients") / "shop", _ready.settings)
    shutil.copytree(_ready.folder, place.folder)
    return place


@pytest.fixture(scope="module")
def service(place: Place) -> Iterator[tuple[str, str]]:
    """An address and a key."""
    key = add(place, "server", Scope.READ, Scope.WRITE)
    config = place.settings.serve.model_copy(update={"budget_ms": 10_000.0})
    with listening(application(place.workspace, place.settings.model_copy(update={"serve": config}))) as address:
        yield address, key


def run(folder: Path, *words: object) -> str:
    """Run a program, with our own ruff on the path for the generator."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run([*map(str, words)], cwd=folder, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def described(place: Place, folder: Path) -> Path:
    """The description of the routes as a file."""
    path = folder / "openapi.json"
    path.write_text(json.dumps(application(place.workspace, place.settings)._app.openapi()), encoding="utf-8")  # pyright: ignore
    return path


@pytest.mark.skipif(not PYTHON.exists(), reason="no generator is installed: make clients")
def test_in_python(service: tuple[str, str], place: Place, tmp_path: Path) -> None:
    path = described(place, tmp_path)
    generator = (PYTHON.with_name("openapi-python-client"), "generate", "--path", path, "--meta", "none", "--output-path")
    assert "WARNING" not in run(tmp_path, *generator, tmp_path / "shop_client")
    shutil.copy(SOURCES / "example.py", tmp_path)
    lines = run(tmp_path, PYTHON, "example.py", *service).splitlines()
    assert len(lines) == 6
    assert lines[-1].startswith("422 item 'no-such-item' is not in the catalogue")


@pytest.mark.skipif(shutil.which("node") is None or not MODULES.exists(), reason="node or the generator is missing: make clients")
def test_in_typescript(service: tuple[str, str], place: Place, tmp_path: Path) -> None:
    described(place, tmp_path)
    (tmp_path / "node_modules").symlink_to(MODULES)
    for name in ("example.ts", "package.json", "tsconfig.json"):
        shutil.copy(SOURCES / name, tmp_path)
    run(tmp_path, MODULES / ".bin" / "openapi-typescript", "openapi.json", "--default-non-nullable", "false", "-o", "shop.ts")
    run(tmp_path, MODULES / ".bin" / "tsc")
    lines = run(tmp_path, "node", "build/example.js", *service).splitlines()
    assert len(lines) == 6
    assert lines[-1].startswith("422 item 'no-such-item' is not in the catalogue")
