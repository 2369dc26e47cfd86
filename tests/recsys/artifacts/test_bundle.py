"""Bundles: whole or refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import BundleError
from recsys.artifacts.bundle import Bundle, check_name, current_id, list_bundles
from recsys.artifacts.publish import publish, rollback

FILES = {"tower/weights.safetensors": bytes(range(256)), "items.parquet": b"PAR1 items PAR1", "empty.json": b""}


def make(bundles: Path, text: bytes = b"one", keep: int = 9) -> str:
    return publish(bundles, {**FILES, "text": text}, {"dim": 3, "items": 7}, keep)


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return tmp_path / "bundles"


def test_round_trip(bundles: Path) -> None:
    bundle_id = make(bundles)
    bundle = Bundle.open(bundles)
    assert bundle.id == bundle_id == current_id(bundles)
    assert dict(bundle.files) == {**FILES, "text": b"one"}
    assert bundle.manifest.about == {"dim": 3, "items": 7}
    assert bundle.manifest.parent is None
    assert bundle.verify() == []


def test_the_next_one_knows_its_parent_and_is_in_use(bundles: Path) -> None:
    first, second = make(bundles), make(bundles, b"two")
    assert Bundle.open(bundles).manifest.parent == first
    assert current_id(bundles) == second
    assert Bundle.open(bundles, first).read("text") == b"one"
    assert list_bundles(bundles) == [second, first]


def test_nothing_published_says_what_to_run(bundles: Path) -> None:
    with pytest.raises(BundleError, match="recsys build-index"):
        Bundle.open(bundles)
    with pytest.raises(BundleError, match="recsys build-index"):
        rollback(bundles)
    assert list_bundles(bundles) == []


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    bundles = tmp_path_factory.mktemp("flip")
    bundle_id = make(bundles)
    names = sorted({**FILES, "text": b"", "manifest.json": b""}.keys() - {"empty.json"})
    path = bundles / bundle_id / data.draw(st.sampled_from(names))
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) * 8 - 1))
    content[position // 8] ^= 1 << position % 8
    path.write_bytes(content)
    with pytest.raises(BundleError, match="damaged"):
        raise_problems(bundles)


def raise_problems(bundles: Path) -> None:
    problems = Bundle.open(bundles).verify()
    if problems:
        raise BundleError(problems[0])


def put(path: Path, content: bytes) -> None:
    """Put another file in the place of one that bundles share."""
    path.unlink()
    path.write_bytes(content)


def _cut(folder: Path) -> None:
    path = folder / "items.parquet"
    put(path, path.read_bytes()[:-1])


def _extend(folder: Path) -> None:
    put(folder / "empty.json", b" ")


def _remove(folder: Path) -> None:
    (folder / "text").unlink()


def _remove_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _swap(folder: Path) -> None:
    a, b = folder / "tower/weights.safetensors", folder / "items.parquet"
    content = a.read_bytes()
    put(a, b.read_bytes())
    put(b, content)


def _link(folder: Path) -> None:
    (folder / "text").rename(folder.parent / "text")
    (folder / "text").symlink_to(folder.parent / "text")


def _link_folder(folder: Path) -> None:
    (folder / "tower").rename(folder.parent / "tower")
    (folder / "tower").symlink_to(folder.parent / "tower")


def _pipe(folder: Path) -> None:
    (folder / "empty.json").unlink()
    os.mkfifo(folder / "empty.json")


def _folder_for_file(folder: Path) -> None:
    (folder / "text").unlink()
    (folder / "text").mkdir()


DAMAGES = [_cut, _extend, _remove, _remove_manifest, _swap, _link, _link_folder, _pipe, _folder_for_file]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_rollback_goes_round_it(bundles: Path, damage) -> None:
    good, bad = make(bundles), make(bundles, b"two")
    damage(bundles / bad)
    with pytest.raises(BundleError, match="damaged.*recsys rollback"):
        raise_problems(bundles)
    assert rollback(bundles) == good
    assert Bundle.open(bundles).read("text") == b"one"


def test_a_file_from_another_bundle_is_refused(bundles: Path) -> None:
    first, second = make(bundles), make(bundles, b"two")
    for name in ("text", "manifest.json"):
        shutil.copy(bundles / first / name, bundles / second / name)
        with pytest.raises(BundleError, match="damaged"):
            Bundle.open(bundles).read("text")


def test_a_bundle_under_another_id_is_refused(bundles: Path) -> None:
    first, second = make(bundles), make(bundles, b"two")
    shutil.rmtree(bundles / second)
    (bundles / first).rename(bundles / second)
    with pytest.raises(BundleError, match="damaged"):
        Bundle.open(bundles)


def test_verify_names_every_problem(bundles: Path) -> None:
    folder = bundles / make(bundles)
    _cut(folder)
    _remove(folder)
    (folder / "note.txt").write_text("hello")
    problems = Bundle.open(bundles).verify()
    assert [any(name in line for line in problems) for name in ("items.parquet", "text", "note.txt")] == [True] * 3
    assert len(problems) == 3
    assert all("\n" not in line for line in problems)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"../../etc", b"20260101T000000000000Z-zzzzzzzzzzzz\n", b"x" * 5000])
def test_damaged_current(bundles: Path, content: bytes) -> None:
    bundle_id = make(bundles)
    (bundles / "CURRENT").write_bytes(content)
    with pytest.raises(BundleError, match="recsys rollback"):
        Bundle.open(bundles)
    assert rollback(bundles) == bundle_id
    assert current_id(bundles) == bundle_id


@pytest.mark.parametrize("gone", ["20200101T000000000000Z-0123456789ab", "29990101T000000000000Z-0123456789ab"])
def test_current_that_points_at_nothing(bundles: Path, gone: str) -> None:
    bundle_id = make(bundles)
    (bundles / "CURRENT").write_text(gone)
    with pytest.raises(BundleError, match="recsys rollback"):
        Bundle.open(bundles)
    assert rollback(bundles) == bundle_id


def test_missing_current(bundles: Path) -> None:
    _, second = make(bundles), make(bundles, b"two")
    (bundles / "CURRENT").unlink()
    with pytest.raises(BundleError, match="recsys rollback"):
        Bundle.open(bundles)
    assert rollback(bundles) == second


def plant(bundles: Path, manifest: object) -> str:
    """A bundle whose manifest is what its id says, whatever it contains."""
    content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    bundle_id = f"20300101T000000000000Z-{hashlib.sha256(content).hexdigest()[:12]}"
    (bundles / bundle_id).mkdir(parents=True)
    (bundles / bundle_id / "manifest.json").write_bytes(content)
    (bundles / "CURRENT").write_text(bundle_id + "\n")
    return bundle_id


def test_another_schema_is_told_from_damage(bundles: Path) -> None:
    plant(bundles, {"schema_version": 3, "whatever": []})
    with pytest.raises(BundleError, match="schema 3, this version reads up to 2"):
        Bundle.open(bundles)


def test_a_bundle_of_the_schema_before_is_read(bundles: Path) -> None:
    plant(bundles, {**VALID, "files": {"a": ENTRY}})
    (Bundle.open(bundles).folder / "a").write_bytes(b"")
    assert Bundle.open(bundles).verify() == []


VALID = {"schema_version": 1, "created": "2026-01-01T00:00:00Z", "parent": None, "files": {}, "about": {}}
ENTRY = {"size": 0, "sha256": hashlib.sha256(b"").hexdigest()}


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        {**VALID, "extra": 1},
        {**VALID, "files": {"a": {"size": -1, "sha256": ENTRY["sha256"]}}},
        {**VALID, "files": {"../../outside": ENTRY}},
        {**VALID, "files": {"/etc/hostname": ENTRY}},
        {**VALID, "files": {"a/../../b": ENTRY}},
        {**VALID, "files": {"manifest.json": ENTRY}},
        {**VALID, "files": {"parts/a": ENTRY}},
        {**VALID, "parts": {"parts/../../a": ENTRY}},
        {**VALID, "parts": {"a": ENTRY}},
        {**VALID, "assembled": ["a"], "parts": {"parts/pieces.safetensors": ENTRY}},
        {**VALID, "files": {"a": ENTRY}, "assembled": ["a"]},
    ],
)
def test_manifests_that_cannot_be_are_refused(bundles: Path, manifest: object) -> None:
    plant(bundles, manifest)
    with pytest.raises(BundleError, match="damaged|schema"):
        Bundle.open(bundles)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/..", "/a", "a//b", "a/", ".hidden", "a\\b", "a\nb", "manifest.json", "naïve", "parts/a"]
)
def test_names_that_could_leave_the_folder(bundles: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        publish(bundles, {name: b""}, {})
    assert list_bundles(bundles) == []


def test_plain_names() -> None:
    for name in ("a", "a.b", "a-b_c/d.safetensors", "0/1/2"):
        check_name(name)


@pytest.mark.parametrize(
    "bundle_id", ["..", "latest", "", "20260101T000000000000Z-0123456789ab/../x", "20260101T000000000000Z-0123456789ab"]
)
def test_ids_that_are_none(bundles: Path, bundle_id: str) -> None:
    make(bundles)
    with pytest.raises(BundleError):
        Bundle.open(bundles, bundle_id)


def test_reading_what_is_not_there(bundles: Path) -> None:
    make(bundles)
    bundle = Bundle.open(bundles)
    with pytest.raises(BundleError, match="holds no 'other'"):
        bundle.read("other")
    with pytest.raises(KeyError):
        bundle.files["other"]
    assert "other" not in bundle.files
    assert "text" in bundle.files
