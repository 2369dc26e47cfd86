"""Bundles share what is the same, each stays whole by itself, and a file goes with the last bundle that names it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from features.errors import BundleError
from features.storage.arrays import StoredArray, array_files
from recsys.artifacts.bundle import Bundle, check_name, list_bundles
from recsys.artifacts.check import added_bytes, check_all
from recsys.artifacts.mapped import MappedFiles
from recsys.artifacts.publish import publish, rewrite, rollback

ROWS, WIDTH = 4_000, 64
MiB = 2**20


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return tmp_path / "bundles"


def rows(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((ROWS, WIDTH)).astype(np.float32)


def changed(array: np.ndarray, seed: int, n: int = 20) -> np.ndarray:
    """Some rows removed, as many inserted elsewhere."""
    rng = np.random.default_rng(seed)
    left = np.delete(array, rng.choice(len(array), n, replace=False), axis=0)
    return np.insert(left, rng.integers(0, len(left), n), rng.standard_normal((n, WIDTH)).astype(np.float32), axis=0)


def make(bundles: Path, array: np.ndarray, keep: int = 9, **more: bytes) -> str:
    return publish(bundles, {"tower/weights": b"1234" * 999, **array_files("states", array), **more}, {}, keep)


def stored(bundles: Path) -> int:
    """Bytes on the disk."""
    return sum(added_bytes(bundles).values())


def inode(bundles: Path, bundle_id: str, name: str) -> int:
    return (bundles / bundle_id / name).stat().st_ino


def test_the_same_again_takes_a_manifest(bundles: Path) -> None:
    first, second = make(bundles, rows()), make(bundles, rows())
    assert inode(bundles, first, "states.npy") == inode(bundles, second, "states.npy")
    assert added_bytes(bundles)[second] == (bundles / second / "manifest.json").stat().st_size


def test_a_file_that_differs_little_is_assembled(bundles: Path) -> None:
    array = rows()
    first, second = make(bundles, array), make(bundles, changed(array, 1))
    bundle = Bundle.open(bundles)
    assert bundle.manifest.assembled == ("states.npy",)
    assert bundle.read("states.npy") == array_files("states", changed(array, 1))["states.npy"]
    assert Bundle.open(bundles, first).read("states.npy") == array_files("states", array)["states.npy"]
    assert bundle.verify() == []
    assert added_bytes(bundles)[second] < 0.05 * bundle.manifest.size
    assert (check_all(bundles)[1], len(check_all(bundles)[0])) == ([], 2)
    names = {path.relative_to(bundle.folder).as_posix() for path in bundle.folder.rglob("*") if path.is_file()}
    assert names == {*bundle.manifest.stored, "manifest.json"}


def test_links_that_end_half_way_leave_a_whole_bundle(bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = rows()
    make(bundles, array)
    make(bundles, changed(array, 1))
    right, made = os.link, []

    def link(*arguments: object, **options: object) -> None:
        if made:
            raise OSError(errno.EMLINK, "Too many links")
        made.append(arguments)
        right(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", link)
    publish(bundles, array_files("states", changed(changed(array, 1), 2)), {}, 9)
    assert made
    assert Bundle.open(bundles).manifest.assembled == ()
    assert check_all(bundles)[1] == []


def test_its_rows_are_read_in_blocks(bundles: Path) -> None:
    array = rows()
    make(bundles, array)
    array = changed(array, 1)
    make(bundles, array)
    read = StoredArray(Bundle.open(bundles).files, "states")
    assert np.array_equal(read[np.array([5, 3_999])], array[[5, 3_999]])
    assert read.bytes_read < array.nbytes / 2
    assert np.array_equal(np.asarray(read), array)


def test_after_many_changes_all_are_whole_and_the_disk_is_bounded(bundles: Path) -> None:
    array, written = rows(), []
    make(bundles, array, keep=3)
    for number in range(1, 60):
        array = changed(array, number, n=200)
        bundle_id = make(bundles, array, keep=3)
        written.append(added_bytes(bundles)[bundle_id] / array.nbytes)
        assert np.array_equal(np.asarray(StoredArray(Bundle.open(bundles).files, "states")), array)
        assert stored(bundles) < 3.2 * array.nbytes
        if number % 20 == 0:
            assert check_all(bundles)[1] == []
    assert np.mean(written) < 0.2
    assert max(written) > 0.9, "no file was written whole again: bytes that nothing needs grow without end"


def test_removing_one_leaves_the_others_whole(bundles: Path) -> None:
    array = rows()
    ids = [make(bundles, array)]
    for number in range(4):
        array = changed(array, number)
        ids.append(make(bundles, array))
    shutil.rmtree(bundles / ids[0])
    shutil.rmtree(bundles / ids[2])
    assert check_all(bundles)[1] == []
    shutil.copytree(bundles / ids[4], bundles.parent / "elsewhere" / ids[4])
    assert Bundle.open(bundles.parent / "elsewhere", ids[4]).verify() == []


def test_a_copy_may_hold_files_whole(bundles: Path) -> None:
    array = rows()
    make(bundles, array)
    make(bundles, changed(array, 1))
    bundle = Bundle.open(bundles)
    content = bundle.read("states.npy")
    shutil.rmtree(bundle.folder / "parts")
    (bundle.folder / "states.npy").write_bytes(content)
    again = Bundle.open(bundles)
    assert again.verify() == []
    assert again.read("states.npy") == content
    assert make(bundles, changed(array, 2)) == Bundle.open(bundles).id
    assert check_all(bundles)[1] == []


@pytest.mark.parametrize("same", [True, False])
def test_damage_is_not_inherited(bundles: Path, same: bool) -> None:
    array = rows()
    first = make(bundles, array)
    for name in ("tower/weights", "states.npy"):
        with (bundles / first / name).open("r+b") as file:
            file.seek(1_000)
            file.write(b"damage")
    make(bundles, array if same else changed(array, 1))
    assert Bundle.open(bundles).verify() == []


@pytest.mark.parametrize("part", ["states.npy", "parts"])
def test_damage_of_what_is_shared_is_told_of_all_that_share_it(bundles: Path, part: str) -> None:
    array = rows()
    first, second = make(bundles, array), make(bundles, changed(array, 1))
    third = make(bundles, changed(array, 1))
    name = part if part == "states.npy" else next(path for path in sorted(os.listdir(bundles / third / "parts")) if "pieces" not in path)
    folder = bundles / (first if part == "states.npy" else third) / ("" if part == "states.npy" else "parts")
    with (folder / name).open("r+b") as file:
        content = bytearray(file.read())
        file.seek(0)
        file.write(bytes(len(content)))
    problems = check_all(bundles)[1]
    assert {bundle_id for bundle_id in (second, third) if any(bundle_id in line for line in problems)} == {second, third}
    assert all("run `recsys rollback`, or `recsys build-index`" in line for line in problems)
    make(bundles, changed(array, 1))
    assert Bundle.open(bundles).verify() == [], "a new build helps where a rollback does not"


def test_a_rollback_says_when_all_share_the_damage(bundles: Path) -> None:
    first, _ = make(bundles, rows()), make(bundles, rows())
    (bundles / first / "states.npy").write_bytes(b"")
    with pytest.raises(BundleError, match="run `recsys build-index`"):
        rollback(bundles)


@pytest.mark.parametrize("way", ["missing", "link", "cut"])
def test_a_wrong_part_is_refused(bundles: Path, way: str) -> None:
    array = rows()
    make(bundles, array)
    make(bundles, changed(array, 1))
    bundle = Bundle.open(bundles)
    for path in sorted((bundle.folder / "parts").iterdir()):
        content = path.read_bytes()
        path.unlink()
        if way == "link":
            path.with_suffix(".aside").write_bytes(content)
            path.symlink_to(path.with_suffix(".aside"))
        elif way == "cut":
            path.write_bytes(content[:-1])
        with pytest.raises(BundleError, match=r"damaged.*recsys rollback"):
            Bundle.open(bundles).read("states.npy")
        path.unlink(missing_ok=True)
        path.write_bytes(content)


def test_without_hard_links_everything_is_written(bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refused)
    array = rows()
    make(bundles, array)
    make(bundles, changed(array, 1))
    assert Bundle.open(bundles).manifest.assembled == ()
    assert check_all(bundles)[1] == []


SECRET = b"a row of somebody who asks to be forgotten"


def log(*people: bytes) -> bytes:
    return rows()[:64].tobytes().join(people) + rows()[:512].tobytes()


def with_a_secret(bundles: Path) -> None:
    """Bundles of which the first has a row only in a part that it shares with one that was removed, and the others in a file."""
    first = publish(bundles, {"log": log(b"x", SECRET, b"y")}, {})
    publish(bundles, {"log": log(b"x", b"y")}, {})
    shutil.rmtree(bundles / first)
    assert Bundle.open(bundles).manifest.assembled == ("log",)
    assert holds(bundles, SECRET)
    publish(bundles, {"log": log(b"x", SECRET, b"z"), "same": b""}, {})
    publish(bundles, {"log": log(b"x", SECRET, b"zz"), "same": b""}, {})


def forget(bundles: Path) -> None:
    def without(bundle: Bundle) -> tuple[dict[str, bytes], dict[str, object]] | None:
        content = bundle.read("log")
        return ({"log": content.replace(SECRET, b"")}, {}) if SECRET in content else None

    rewrite(bundles, without, compact=True)


def test_an_erasure_leaves_none_of_the_bytes(bundles: Path) -> None:
    with_a_secret(bundles)
    forget(bundles)
    assert not holds(bundles, SECRET)
    assert check_all(bundles)[1] == []
    assert len(list_bundles(bundles)) == 3
    assert not any(Bundle.open(bundles, bundle_id).manifest.assembled for bundle_id in list_bundles(bundles))


class Killed(BaseException):
    pass


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (os, "link"), (os, "rename"), (os, "replace"), (shutil, "rmtree")])
def test_an_erasure_that_is_killed_at_any_step_is_ended_by_the_next(bundles: Path, owner: object, name: str) -> None:
    with_a_secret(bundles)
    original, step = getattr(owner, name), 0
    for step in range(40):
        place, calls = bundles.parent / str(step), 0
        shutil.copytree(bundles, place)

        def dying(*args: object, _step: int = step, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls > _step:
                raise Killed
            return original(*args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, dying)
            try:
                forget(place)
            except Killed:
                pass
            else:
                break
        assert Bundle.open(place).verify() == [], "CURRENT names a whole bundle at any moment"
        forget(place)
        assert not holds(place, SECRET)
        assert check_all(place)[1] == []
    assert step, f"{name} was never called: the test watches the wrong step"


def holds(bundles: Path, text: bytes) -> bool:
    return any(text in path.read_bytes() for path in bundles.rglob("*") if path.is_file())


def test_a_rewritten_bundle_shares_with_itself(bundles: Path) -> None:
    first = make(bundles, rows(), card=b"old")
    before = inode(bundles, first, "states.npy")
    renamed = rewrite(bundles, lambda _: ({"card": b"new"}, {}))
    assert inode(bundles, renamed[first], "states.npy") == before
    assert Bundle.open(bundles).read("card") == b"new"


def test_assembled_files_are_mapped_from_one_copy(bundles: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache, array = tmp_path / "mapped", rows()
    make(bundles, array)
    for number in (1, 2):
        make(bundles, changed(array, number), keep=1)
        bundle = Bundle.open(bundles)
        for _ in range(2):
            read = StoredArray(MappedFiles(bundle, cache), "states")
            assert np.array_equal(np.asarray(read), changed(array, number))
        (copy,) = (path for path in cache.iterdir() if not path.name.startswith("."))
        assert copy.name == bundle.entry("states.npy").sha256
        copy.write_bytes(b"damage")
        assert MappedFiles(bundle, cache).content("states.npy").tobytes() == bundle.read("states.npy")
    shutil.rmtree(cache)
    cache.write_bytes(b"no folder")
    assert MappedFiles(bundle, cache).content("states.npy").tobytes() == bundle.read("states.npy")
    assert "each worker holds a copy" in caplog.text


def test_parts_are_no_names_for_files() -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        check_name("parts/a")
