"""The house rules that a reader cannot see at a glance: imports go one way, without circles, and nothing loads code from data."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BELOW = {
    "features": set(),
    "retrieval": {"features"},
    "ranking": {"features", "retrieval"},
    "eval": {"features", "retrieval"},
    "recsys": {"features", "retrieval", "ranking", "eval"},
}
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for layer in BELOW for path in sorted((ROOT / layer).rglob("*.py"))}
# Modules that run what a file tells them to.
BANNED = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imported(node: ast.AST) -> list[str]:
    """Dotted names that an import statement may bring in; `from a import b` may mean the module a.b."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def typing_only(module: ast.Module) -> set[ast.AST]:
    """What stands under `if TYPE_CHECKING`."""
    blocks = [node for node in ast.walk(module) if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")]
    return {node for block in blocks for child in block.body for node in ast.walk(child)}


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name: str) -> None:
    layer = name.split(".", maxsplit=1)[0]
    for node in ast.walk(tree(name)):
        line = getattr(node, "lineno", 0)
        for other in {target.split(".")[0] for target in imported(node)} & set(BELOW) - {layer}:
            assert other in BELOW[layer], f"{name}:{line} imports {other}: {layer} may import {BELOW[layer] or 'none of the layers'}"


@pytest.mark.parametrize("name", MODULES)
def test_imports_are_absolute_and_spare_the_builtin_eval(name: str) -> None:
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno} imports relatively"
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "eval" for alias in node.names), f"{name}:{node.lineno} hides the builtin eval"


def test_no_module_needs_itself() -> None:
    """Circles among imports that run when a module is first imported."""
    needs: dict[str, set[str]] = {}
    for name in MODULES:
        top = [node for node in tree(name).body if isinstance(node, ast.Import | ast.ImportFrom)]
        needs[name] = {target for node in top for target in imported(node) if target in MODULES} - {name}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle of imports: {' -> '.join([*path[path.index(name) :], name])}"
        if name not in done:
            for other in sorted(needs[name]):
                visit(other, (*path, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("name", MODULES)
def test_nothing_runs_code_out_of_data(name: str) -> None:
    for node in ast.walk(tree(name)):
        assert not {target.split(".")[0] for target in imported(node)} & BANNED, f"{name}: {ast.unparse(node)}"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert called not in ("torch.load", "eval", "exec", "pd.read_pickle"), f"{name}:{node.lineno} calls {called}"
        for keyword in node.keywords:
            if keyword.arg in ("trust_remote_code", "allow_pickle"):
                assert ast.unparse(keyword.value) == "False", f"{name}:{node.lineno} sets {keyword.arg}"


@pytest.mark.parametrize("name", MODULES)
def test_annotations_are_lazy(name: str) -> None:
    """Without it, names under TYPE_CHECKING would be looked up when the module is imported."""
    if typing_only(tree(name)):
        futures = [node for node in tree(name).body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        assert futures, f"{name} lacks `from __future__ import annotations`"


def test_the_rules_are_about_something() -> None:
    assert {name.split(".")[0] for name in MODULES} == set(BELOW)
    assert len(MODULES) > len(BELOW)
