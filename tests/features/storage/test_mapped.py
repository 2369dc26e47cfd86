"""Arrays in files: the same values as in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from features.errors import DataError
from features.storage import mapped as module
from features.storage.mapped import is_mapped, mapped, release, selected


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(module, "BLOCK", 1000)


def test_values_stay_when_their_memory_is_let_go() -> None:
    array = mapped(10_000, np.int64)
    array[:] = np.arange(10_000)
    release(array)
    assert is_mapped(array)
    assert array.tolist() == list(range(10_000))


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.float32, np.float64])
def test_what_is_selected_lies_in_a_file_too(kind: type) -> None:
    values = np.random.default_rng(0).integers(0, 100, 3500).astype(kind)
    array = mapped(len(values), kind)
    array[:] = values
    for mask in (values > 40, values > 1000, values >= 0):
        found = selected(array, mask)
        assert found.dtype == kind
        assert np.array_equal(found, values[mask])
        assert is_mapped(found) == bool(mask.any())


def test_an_array_in_memory_stays_there() -> None:
    assert not is_mapped(selected(np.arange(10), np.arange(10) > 3))


def test_a_disk_without_room_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "posix_fallocate", full)
    with pytest.raises(DataError, match=f"{tempfile.gettempdir()} cannot be written"):
        mapped(1000, np.int64)


def test_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    array = mapped(1000, np.int64)
    assert is_mapped(array)
    assert list(tmp_path.iterdir()) == []
