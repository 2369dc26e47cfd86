"""The wheel holds the five packages and nothing else, and declares everything they import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("eval", "features", "ranking", "recsys", "retrieval")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, capture_output=True, check=True
    )
    (path,) = folder.glob("*.whl")
    return path


def test_it_holds_the_layers_and_the_program(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry = next(name for name in names if name.endswith("entry_points.txt"))
        assert "recsys = recsys.cli.main:main" in archive.read(entry).decode()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(LAYERS)
    for layer in LAYERS:
        kinds = ("*.py", "*.j2", "*.css", "*.js", "*.csv", "*.toml", "*.txt", "*.jsonl")
        expected = {path.relative_to(ROOT).as_posix() for kind in kinds for path in (ROOT / layer).rglob(kind)}
        assert expected <= set(names)


def test_it_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    code = "from recsys.cli import main; print(main.__file__); raise SystemExit(main.run(['--help']))"
    script = f"import sys; sys.path.insert(0, {str(wheel)!r}); {code}"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(wheel))
    assert "Usage: recsys" in done.stdout


def normal(requirement: str) -> str:
    """The name of a requirement, as it is compared."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0]).lower()  # pyright: ignore[reportOptionalSubscript]


def test_everything_imported_is_declared() -> None:
    extras = ("train", "serve", "mcp", "oidc", "trace", "tune", "track", "ray", "s3", "postgres", "demo")
    groups = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    declared = {normal(text) for group in groups for text in group}
    owners = {module: {normal(name) for name in names} for module, names in packages_distributions().items()}
    missing = set()
    for path in (path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            modules = {name.split(".")[0] for name in names} - set(LAYERS) - set(sys.stdlib_module_names)
            missing |= {(path.name, module) for module in modules if not owners.get(module, {module}) & declared}
    assert not missing


def test_every_declared_library_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {normal(line) for line in lines if line and not line.startswith("#")}
    assert all("==" in line for line in lines if line and not line.startswith("#"))
    wanted = {normal(text) for group in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()] for text in group}
    assert wanted <= pins
