"""When a refresh is told by stamps alone that there is nothing to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from features.ingest.source import Source
from recsys.refresh.idle import unchanged
from recsys.refresh.idle.unchanged import RECORD, InputStamps, still_unchanged
from recsys.refresh.idle.verified import RECORD as VERIFIED
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from tests.conftest import Shop

SAID = "nothing has changed: bundle x stays in use"


@pytest.fixture(scope="module")
def ingested(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with tables."""
    folder = tmp_path_factory.mktemp("shop")
    items, log = shop.write(folder)
    workspace = Workspace(folder / "workspace")
    workspace.ingest(Source(items=items, interactions=log))
    workspace.cache.mkdir()
    return workspace


@pytest.fixture
def workspace(ingested: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The same, and a refresh has found nothing changed; run in an empty folder, of a program without modules of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(unchanged, "_SETTLED", 0.0)
    monkeypatch.setattr(unchanged, "_PROGRAM", ())
    (ingested.cache / VERIFIED).write_text(json.dumps({"at": time.time_ns()}))
    refreshed(ingested)
    return ingested


def refreshed(workspace: Workspace) -> None:
    """A refresh finds nothing changed."""
    look = InputStamps.before_refresh(workspace, None, Settings())
    if look is not None:
        look.remember(SAID)


def items_of(workspace: Workspace) -> Path:
    return workspace.root.parent / "items.csv"


def test_it_says_again_what_was_said(workspace: Workspace) -> None:
    assert still_unchanged(workspace.root, None) == SAID
    assert still_unchanged(workspace.root, None) == SAID


def test_it_needs_none_of_the_libraries() -> None:
    code = "import sys, recsys.refresh.idle.unchanged; print({'numpy', 'polars', 'pydantic', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"


def test_a_source_that_was_written_again_as_it_was_is_read(workspace: Workspace) -> None:
    status, content = items_of(workspace).stat(), items_of(workspace).read_bytes()
    items_of(workspace).write_bytes(content)
    os.utime(items_of(workspace), ns=(status.st_atime_ns, status.st_mtime_ns))
    assert still_unchanged(workspace.root, None) is None


def test_a_configuration_counts(workspace: Workspace) -> None:
    Path("recsys.toml").write_text("")
    assert still_unchanged(workspace.root, None) is None
    refreshed(workspace)
    assert still_unchanged(workspace.root, None) == SAID
    assert still_unchanged(workspace.root, Path("other.toml")) is None


def test_what_a_link_leads_to_counts(workspace: Workspace) -> None:
    Path("shared.toml").write_text("")
    Path("recsys.toml").symlink_to("shared.toml")
    refreshed(workspace)
    assert still_unchanged(workspace.root, None) == SAID
    Path("shared.toml").write_text("[refresh]")
    assert still_unchanged(workspace.root, None) is None
    refreshed(workspace)
    Path("other.toml").write_text("[refresh]")
    Path("recsys.toml").unlink()
    Path("recsys.toml").symlink_to("other.toml")
    assert still_unchanged(workspace.root, None) is None


def test_nothing_is_stored_of_a_link_to_a_file_that_was_written_just_now(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("recsys.toml").symlink_to("later.toml")
    monkeypatch.setattr(unchanged.time, "time", lambda: Path("recsys.toml").lstat().st_ctime + 100)
    monkeypatch.setattr(unchanged, "_SETTLED", 50.0)
    refreshed(workspace)
    assert (workspace.cache / RECORD).exists()
    Path("later.toml").write_text("")
    os.utime("later.toml", (time.time(), time.time()))
    refreshed(workspace)
    assert not (workspace.cache / RECORD).exists()


def test_a_library_of_another_version_counts(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "_PATH", ("no-such-folder", *unchanged._PATH, "."))
    Path("tool-1.0.dist-info").mkdir()
    refreshed(workspace)
    assert still_unchanged(workspace.root, None) == SAID
    Path("tool-1.0.dist-info").rename("tool-1.1.dist-info")
    assert still_unchanged(workspace.root, None) is None


def test_the_environment_counts(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_REFRESH__REFIT_SHARE", "0")
    assert still_unchanged(workspace.root, None) is None


def test_the_program_counts(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "_PROGRAM", ("eval",))
    assert still_unchanged(workspace.root, None) is None


@pytest.mark.parametrize("name", ["erased.json", "experiments.toml", "models/CURRENT", "bundles/CURRENT", "service/events.sqlite-wal"])
def test_parts_of_the_workspace_count(workspace: Workspace, name: str) -> None:
    path = workspace.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    try:
        assert still_unchanged(workspace.root, None) is None
    finally:
        path.unlink()


def test_a_table_that_was_touched_counts(workspace: Workspace) -> None:
    version = workspace.data / (workspace.data / "CURRENT").read_text().strip()
    os.utime(version / "items.parquet")
    assert still_unchanged(workspace.root, None) is None


def test_a_refresh_that_runs_is_not_passed_over(workspace: Workspace) -> None:
    with workspace.alone():
        assert still_unchanged(workspace.root, None) is None


def test_the_bundle_is_read_again_in_time(workspace: Workspace) -> None:
    record = json.loads((workspace.cache / RECORD).read_bytes())
    assert 23 * 3600 < record["until"] - time.time() < 24 * 3600
    (workspace.cache / RECORD).write_text(json.dumps(record | {"until": time.time()}))
    assert still_unchanged(workspace.root, None) is None


def test_nothing_is_stored_where_more_than_files_decides(workspace: Workspace) -> None:
    workspace.experiments.write_text("")
    try:
        refreshed(workspace)
        assert not (workspace.cache / RECORD).exists()
    finally:
        workspace.experiments.unlink()


def test_nothing_is_stored_of_files_that_were_written_just_now(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "_SETTLED", 3600.0)
    refreshed(workspace)
    assert not (workspace.cache / RECORD).exists()


def test_nothing_is_stored_where_a_source_changes_while_the_refresh_runs(workspace: Workspace) -> None:
    look = InputStamps.before_refresh(workspace, None, Settings())
    assert look is not None
    os.utime(items_of(workspace), (1e9, 1e9))
    look.remember(SAID)
    assert not (workspace.cache / RECORD).exists()


def test_a_workspace_without_tables_is_left_to_the_refresh(tmp_path: Path) -> None:
    assert InputStamps.before_refresh(Workspace(tmp_path), None, Settings()) is None
