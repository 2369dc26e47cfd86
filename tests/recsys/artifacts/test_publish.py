"""Publishing: old or new, never neither; and what is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from features.errors import BundleError
from recsys.artifacts import publish as publishing
from recsys.artifacts.bundle import Bundle, current_id, list_bundles
from recsys.artifacts.publish import publish, rollback, use

LOG = bytes(range(256)) * 130  # large enough to be assembled from parts


def make(bundles: Path, text: bytes = b"one", keep: int = 9) -> str:
    return publish(bundles, {"tower/weights": b"1234", "text": text, "log": LOG + text + LOG[::-1]}, {}, keep)


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return tmp_path / "bundles"


class Stop(BaseException):
    """The process is killed: nothing may rely on except clauses for Exception."""


def _steps() -> list[tuple[object, str]]:
    return [
        (os, "fsync"),
        (os, "link"),
        (os, "replace"),
        (os, "rename"),
        (os, "open"),
        (Path, "mkdir"),
        (Path, "open"),
        (publishing, "_prune"),
    ]


@pytest.mark.parametrize(("owner", "name"), _steps(), ids=lambda value: getattr(value, "__name__", str(value)))
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Stop()], ids=["full-disk", "killed"])
def test_interrupted_at_any_step_there_is_the_old_one_or_the_new_one(tmp_path: Path, owner, name: str, error: BaseException) -> None:
    original, reached = getattr(owner, name), 0
    for step in range(40):
        bundles = tmp_path / str(step)
        old = make(bundles)
        calls = 0

        def failing(*args, _step=step, **kwargs):
            nonlocal calls
            calls += 1
            if calls > _step:
                raise error
            return original(*args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, failing)
            try:
                new = make(bundles, b"two")
                reached += name == "link" and calls > 0  # what cannot be linked is written
            except (BundleError, Stop):
                new, reached = None, reached + 1
        bundle = Bundle.open(bundles)
        assert bundle.verify() == []
        assert bundle.read("text") == (b"one" if bundle.id == old else b"two")
        if new is not None:
            assert bundle.id == new
            break
        # The next publisher is not hindered, and cleans up.
        third = make(bundles, b"three")
        assert current_id(bundles) == third
        assert not list(bundles.glob(".tmp-*"))
    else:
        pytest.fail("the publisher never got through")
    assert reached, f"{name} was never called: the test watches the wrong step"


def test_a_full_disk_is_told_in_one_line(bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(bundles)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BundleError, match="No space left on device.*still whole") as caught:
        make(bundles, b"two")
    assert "\n" not in str(caught.value)


def test_a_second_publisher_waits_and_then_says_so(bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_LOCK_SECONDS", 0)
    make(bundles)
    with publishing._writing(bundles), pytest.raises(BundleError, match="another process"):
        make(bundles, b"two")


def test_only_the_last_few_are_kept(bundles: Path) -> None:
    ids = [make(bundles, str(i).encode(), keep=3) for i in range(5)]
    assert list_bundles(bundles) == ids[:1:-1]


def test_what_was_rolled_back_is_the_first_to_go(bundles: Path) -> None:
    first, second, third = (make(bundles, str(i).encode()) for i in range(3))
    assert rollback(bundles) == second
    fourth = make(bundles, b"four", keep=3)
    assert list_bundles(bundles) == [fourth, second, first]
    assert third not in list_bundles(bundles)


def test_rollback_twice_then_no_further(bundles: Path) -> None:
    first, second, _ = (make(bundles, str(i).encode()) for i in range(3))
    assert [rollback(bundles), rollback(bundles)] == [second, first]
    with pytest.raises(BundleError, match="no earlier bundle"):
        rollback(bundles)
    assert current_id(bundles) == first


def test_rollback_skips_a_damaged_parent(bundles: Path) -> None:
    first, second, _ = (make(bundles, str(i).encode()) for i in range(3))
    (bundles / second / "text").write_bytes(b"")
    assert rollback(bundles) == first


def test_an_older_bundle_can_be_taken_into_use_if_it_is_whole(tmp_path: Path) -> None:
    first = publish(tmp_path, {"a.txt": b"1"}, {})
    second = publish(tmp_path, {"a.txt": b"2"}, {})
    use(tmp_path, first)
    assert current_id(tmp_path) == first
    (tmp_path / second / "a.txt").write_bytes(b"3")
    with pytest.raises(BundleError):
        use(tmp_path, second)
    assert current_id(tmp_path) == first
