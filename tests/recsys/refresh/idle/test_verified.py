"""What a refresh that finds nothing changed does not read again, and what it always notices."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from features.errors import BundleError
from recsys.artifacts.bundle import Bundle
from recsys.artifacts.publish import publish
from recsys.artifacts.sharing.writer import SMALLEST
from recsys.refresh.idle import verified
from recsys.refresh.idle.verified import RECORD, bundle_in_use
from recsys.settings.refresh import RefreshConfig
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = Settings()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a published bundle, whose check may be trusted at once."""
    monkeypatch.setattr(verified, "SETTLED", 0)
    place = Workspace(tmp_path)
    publish(place.bundles, {"part/one.bin": b"one" * 100, "two.bin": b"two"}, {})
    return place


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files of bundles that are read."""
    names: list[str] = []
    original = Bundle.read
    monkeypatch.setattr(Bundle, "read", lambda self, name: names.append(name) or original(self, name))
    return names


def flip(path: Path) -> None:
    """Change one byte, and keep size and time of modification."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_was_read_and_not_touched_is_not_read_again(workspace: Workspace, reads: list[str]) -> None:
    first = bundle_in_use(workspace, SETTINGS)
    assert sorted(reads) == ["part/one.bin", "two.bin"]
    reads.clear()
    assert bundle_in_use(workspace, SETTINGS) == first
    assert reads == []
    always = SETTINGS.model_copy(update={"refresh": RefreshConfig(verify_hours=0)})
    assert bundle_in_use(workspace, always) == first
    assert sorted(reads) == ["part/one.bin", "two.bin"]


def test_a_bundle_that_is_assembled_from_parts_is_not_read_again_either(workspace: Workspace, reads: list[str]) -> None:
    content = np.random.default_rng(0).bytes(4 * SMALLEST)
    for number in (b"1", b"2"):
        publish(workspace.bundles, {"large.bin": content + number}, {})
    first = bundle_in_use(workspace, SETTINGS)
    assert first is not None
    assert first.manifest.assembled == ("large.bin",)
    reads.clear()
    assert bundle_in_use(workspace, SETTINGS) == first
    assert reads == []


def test_a_check_right_after_the_writing_is_not_trusted(workspace: Workspace, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "SETTLED", 3600 * 10**9)
    bundle_in_use(workspace, SETTINGS)
    reads.clear()
    bundle_in_use(workspace, SETTINGS)
    assert len(reads) == 2


def test_a_flipped_byte_is_noticed(workspace: Workspace) -> None:
    bundle = bundle_in_use(workspace, SETTINGS)
    assert bundle is not None
    flip(bundle.folder / "part" / "one.bin")
    assert bundle_in_use(workspace, SETTINGS) is None


@pytest.mark.parametrize("name", ["new.bin", "part/new.bin"])
def test_a_file_that_is_not_in_the_manifest_is_noticed(workspace: Workspace, name: str) -> None:
    bundle = bundle_in_use(workspace, SETTINGS)
    assert bundle is not None
    (bundle.folder / name).write_bytes(b"")
    assert bundle_in_use(workspace, SETTINGS) is None


def test_who_opens_the_bundle_finds_a_flipped_byte_that_the_record_takes_for_whole(workspace: Workspace) -> None:
    bundle = bundle_in_use(workspace, SETTINGS)
    assert bundle is not None
    flip(bundle.folder / "two.bin")
    record = json.loads((workspace.cache / RECORD).read_bytes())
    (workspace.cache / RECORD).write_text(json.dumps(record | {"files": verified._stamps(bundle), "at": record["at"] + 10**12}))
    assert bundle_in_use(workspace, SETTINGS) is not None
    with pytest.raises(BundleError, match="its sha256"):
        Bundle.open(workspace.bundles).read("two.bin")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"bundle": 1, "at": "x"}'])
def test_a_damaged_record_is_no_record(workspace: Workspace, reads: list[str], content: str) -> None:
    bundle_in_use(workspace, SETTINGS)
    (workspace.cache / RECORD).write_text(content)
    reads.clear()
    assert bundle_in_use(workspace, SETTINGS) is not None
    assert len(reads) == 2
