"""The light core answers without the libraries of the extras, and a command that lacks one names the extra to install."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from recsys.environment import EXTRA_OF

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
LAYERS = {"eval", "features", "ranking", "recsys", "retrieval"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def closure(requirements: Iterable[str]) -> set[str]:
    """Everything that pip installs for these requirements, extras of libraries included."""
    found: set[tuple[str, str]] = set()
    pending = [Requirement(text) for text in requirements]
    while pending:
        requirement = pending.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key in found:
                continue
            found.add(key)
            try:
                needs = [Requirement(text) for text in requires(requirement.name) or []]
            except PackageNotFoundError:
                continue
            pending += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


@cache
def blocked(*extras: str) -> tuple[str, ...]:
    """Installed modules that the distribution with these extras does not bring."""
    installed = closure([*PROJECT["dependencies"], *(text for extra in extras for text in EXTRAS[extra])])
    owners = {module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()}
    return tuple(sorted(module for module, names in owners.items() if not names & installed and module not in LAYERS))


BLOCK = """
import sys
class Without:
    def __init__(self, finder): self.finder = finder
    def __getattr__(self, name): return getattr(self.finder, name)
    def find_spec(self, name, *place):
        return None if name.split(".")[0] in {modules!r} else self.finder.find_spec(name, *place)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""


def run_without(modules: Iterable[str], code: str) -> subprocess.CompletedProcess[str]:
    """Run a program for which these modules are not installed."""
    program = BLOCK.format(modules=set(modules)) + code
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


def command(modules: Iterable[str], *words: str) -> subprocess.CompletedProcess[str]:
    return run_without(modules, f"from recsys.cli.main import run; sys.exit(run({list(words)!r}))")


def test_training_and_serving_libraries_are_blocked() -> None:
    assert {"torch", "transformers", "peft", "implicit", "sklearn", "matplotlib", "onnx", "fastapi", "uvicorn"} <= set(blocked())
    assert not {"faiss", "lightgbm", "onnxruntime", "polars", "tokenizers", "typer"} & set(blocked())


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["recommend", "--user", "user-03", "--json", "--explain"],
        ["recommend"],
        ["recommend", "--history", "sku-01,sku-07", "--diversity", "0.3", "--new-only"],
        ["recommend", "--user", "user-03", "--debuts"],
        ["similar", "--item", "sku-07"],
        ["search", "green tea"],
        ["verify"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_the_core_answers(ready, words: list[str]) -> None:
    done = command(blocked(), "--workspace", str(ready.workspace.root), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


def test_the_core_answers_for_a_file_of_users(ready, tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("user-03\n", encoding="utf-8")
    files = ["--users-file", str(tmp_path / "users.txt"), "--out", str(tmp_path / "lists.parquet")]
    done = command(blocked(), "--workspace", str(ready.workspace.root), "recommend", *files)
    assert done.returncode == 0, done.stderr


def test_the_core_ingests(shop, tmp_path: Path) -> None:
    items, log = shop.write(tmp_path)
    done = command(blocked(), "--workspace", str(tmp_path / "workspace"), "ingest", "--items", str(items), "--interactions", str(log))
    assert done.returncode == 0, done.stderr


SERVE = """
from pathlib import Path
import recsys.service.run
from starlette.testclient import TestClient
from recsys.service.app import application
from recsys.settings.settings import load_settings
from recsys.workspace.workspace import Workspace
with TestClient(application(Workspace(Path({root!r})), load_settings()), base_url="http://127.0.0.1") as client:
    for path, body in {requests!r}.items():
        assert client.post(path, json=body).status_code == 200, path
    assert client.get("/").status_code == 200
"""


def test_the_service_needs_the_extra_serve_alone(ready) -> None:
    requests = {"/v1/recommend": {"user": "user-03", "explain": True}, "/v1/similar": {"item": "sku-07"}, "/v1/search": {"text": "tea"}}
    done = run_without(blocked("serve"), SERVE.format(root=str(ready.workspace.root), requests=requests))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "extra"),
    [(["train"], "train"), (["evaluate"], "train"), (["serve"], "serve"), (["mcp"], "mcp")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_missing_extra_is_one_line(ready, words: list[str], extra: str) -> None:
    done = command(blocked(), "--workspace", str(ready.workspace.root), *words)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert f'pip install "two-tower-recsys[{extra}]"' in line


def test_a_search_for_settings_needs_the_extra_tune_beside_that_of_training(ready) -> None:
    done = command(blocked("train"), "--workspace", str(ready.workspace.root), "tune")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line == 'error: this needs optuna, which is not installed: pip install "two-tower-recsys[tune]"'


def test_every_library_of_an_extra_is_known_to_the_message() -> None:
    owners = packages_distributions()
    for module, extra in EXTRA_OF.items():
        names = {canonicalize_name(name) for name in owners.get(module, [])}
        assert not names or names & {canonicalize_name(Requirement(text).name) for text in EXTRAS[extra]}, module
    named = {canonicalize_name(name) for module in EXTRA_OF for name in owners.get(module, [])}
    wanted = {
        canonicalize_name(Requirement(text).name)
        for extra in ("train", "serve", "mcp", "oidc", "tune", "track", "postgres", "s3")
        for text in EXTRAS[extra]
    }
    installed = {canonicalize_name(name) for names in owners.values() for name in names}
    assert wanted & installed <= named
