"""Rules of the structure: imports go one way without circles, folders stay small, and nothing runs code from data."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
BELOW = {
    "features": set(),
    "retrieval": {"features"},
    "ranking": {"features", "retrieval"},
    "eval": {"features", "retrieval"},
    "recsys": {"features", "retrieval", "ranking", "eval"},
}
# Inside recsys, from left to right: a folder imports from folders to its left. `privacy` stands left of `training` and `refresh`, because
# both finish an erasure that was interrupted.
FOLDERS = (
    *("settings", "compute", "tracking", "wording", "dialogue", "workspace", "artifacts", "snapshot", "privacy", "training", "recommend"),
    *("refresh", "offline", "apps", "service", "cli", "docs_tools"),
)
# Inside recsys/apps, from left to right, by the same rule.
APPS = ("reviews", "search", "assistant", "customers", "campaigns", "storefront")
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for layer in BELOW for path in sorted((ROOT / layer).rglob("*.py"))}
# Modules that run what a file tells them to.
BANNED = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def folder_of(name: str) -> str | None:
    """The folder of recsys that a module stands in; None for other layers and for modules of recsys itself."""
    parts = name.split(".")
    return parts[1] if parts[0] == "recsys" and len(parts) > 2 else None


def app_of(name: str) -> str | None:
    """The folder of recsys/apps that a module stands in."""
    parts = name.split(".")
    return parts[2] if parts[:2] == ["recsys", "apps"] and len(parts) > 3 else None


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


@cache
def nodes(name: str) -> list[ast.AST]:
    return list(ast.walk(tree(name)))


def imported(node: ast.AST) -> list[str]:
    """Dotted names that an import statement may bring in; `from a import b` may mean the module a.b."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def typing_only(name: str) -> set[ast.AST]:
    """What stands under `if TYPE_CHECKING` in a module."""
    blocks = [node for node in nodes(name) if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")]
    return {node for block in blocks for child in block.body for node in ast.walk(child)}


# One test over all modules, not one a module: there are hundreds, and a test costs more than its look at a tree.
def test_imports_go_one_way() -> None:
    assert [line for name in MODULES for line in upward(name)] == []


def upward(name: str) -> Iterator[str]:
    """What a module imports from a layer above its own."""
    layer = name.split(".", maxsplit=1)[0]
    for node in nodes(name):
        line = getattr(node, "lineno", 0)
        for other in {target.split(".")[0] for target in imported(node)} & set(BELOW) - {layer}:
            if other not in BELOW[layer]:
                yield f"{name}:{line} imports {other}: {layer} may import {BELOW[layer] or 'none of the layers'}"


def test_imports_are_absolute_and_spare_the_builtin_eval() -> None:
    found = [(name, node) for name in MODULES for node in nodes(name) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert len(found) > len(MODULES)
    for name, node in found:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno} imports relatively"
        else:
            assert not any(alias.name.split(".")[0] == "eval" for alias in node.names), f"{name}:{node.lineno} hides the builtin eval"


def needs(name: str) -> set[str]:
    """Modules of the five layers that a module imports anywhere: at its top, inside functions, and for types alone."""
    return {target for node in nodes(name) for target in imported(node) if target in MODULES} - {name}


def test_no_module_imports_itself_through_others() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle of imports: {' -> '.join([*path[path.index(name) :], name])}"
        if name not in done:
            for other in sorted(needs(name)):
                visit(other, (*path, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


def test_folders_of_recsys_import_from_left_to_right() -> None:
    for name in MODULES:
        folder = folder_of(name)
        for other in sorted(needs(name)):
            below = folder_of(other)
            if folder and below and below != folder:
                assert FOLDERS.index(below) < FOLDERS.index(folder), f"{name} imports {other}: {folder} stands left of {below}"


def test_every_folder_of_recsys_has_its_place() -> None:
    assert {folder for name in MODULES if (folder := folder_of(name))} == set(FOLDERS)
    assert {app for name in MODULES if (app := app_of(name))} == set(APPS)


def test_apps_import_from_left_to_right() -> None:
    for name in MODULES:
        app = app_of(name)
        for other in sorted(needs(name)):
            below = app_of(other)
            if app and below and below != app:
                assert APPS.index(below) < APPS.index(app), f"{name} imports {other}: {app} stands left of {below}"


def test_folders_are_small() -> None:
    counts = Counter(path.parent for path in MODULES.values() if path.stem != "__init__")
    assert {str(folder.relative_to(ROOT)): count for folder, count in counts.items() if count > 12} == {}


def test_nothing_runs_code_out_of_data() -> None:
    assert [line for name in MODULES for line in runs_code(name)] == []


def runs_code(name: str) -> Iterator[str]:
    """Where a module may run what a file tells it to."""
    for node in nodes(name):
        if {target.split(".")[0] for target in imported(node)} & BANNED:
            yield f"{name}: {ast.unparse(node)}"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""
        if called in ("torch.load", "eval", "exec", "pd.read_pickle"):
            yield f"{name}:{node.lineno} calls {called}"
        for keyword in node.keywords:
            if keyword.arg in ("trust_remote_code", "allow_pickle") and ast.unparse(keyword.value) != "False":
                yield f"{name}:{node.lineno} sets {keyword.arg}"


def test_annotations_are_lazy() -> None:
    """Without it, names under TYPE_CHECKING would be looked up when the module is imported."""
    with_types = [name for name in MODULES if typing_only(name)]
    assert len(with_types) > 100
    for name in with_types:
        futures = [node for node in tree(name).body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        assert futures, f"{name} lacks `from __future__ import annotations`"


def test_the_rules_are_about_something() -> None:
    assert {name.split(".")[0] for name in MODULES} == set(BELOW)
    assert len(MODULES) > len(BELOW)
