"""Stored arrays: the same rows, no more blocks than requested, and no damaged block used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from features.errors import BundleError
from features.storage.arrays import BLOCK, StoredArray, Subfolder, array_files

LARGE = np.random.default_rng(0).integers(-1000, 1000, (5000, 40), dtype=np.int16)  # 400 kB, seven blocks


@given(hnp.arrays(st.sampled_from([np.float16, np.float32, np.int64]), st.tuples(st.integers(0, 50), st.integers(1, 9))), st.data())
def test_rows_and_whole_array_are_those_in_memory(array: np.ndarray, data: st.DataObject) -> None:
    stored = StoredArray(array_files("part", array), "part")
    assert (stored.shape, stored.dtype, len(stored)) == (array.shape, array.dtype, len(array))
    if len(array):
        rows = data.draw(hnp.arrays(np.int64, hnp.array_shapes(max_dims=2, max_side=6), elements=st.integers(0, len(array) - 1)))
        assert np.array_equal(stored[rows], array[rows], equal_nan=True)
    assert np.array_equal(np.asarray(stored), array, equal_nan=True)


def test_wide_rows_over_many_blocks() -> None:
    wide = np.random.default_rng(1).random((3, BLOCK), dtype=np.float32)
    assert np.array_equal(StoredArray(array_files("wide", wide), "wide")[np.array([1])], wide[[1]])


def test_only_the_requested_blocks_are_read() -> None:
    stored = StoredArray(array_files("part", LARGE), "part")
    rows = np.array([2500, 2501])
    assert np.array_equal(stored[rows], LARGE[rows])
    assert stored.bytes_read == BLOCK
    assert stored[np.zeros(0, dtype=np.int64)].shape == (0, 40)
    assert stored.bytes_read == BLOCK


@given(st.integers(0, LARGE.nbytes - 1), st.integers(0, 7))
def test_a_flipped_bit_is_found_in_its_block_only(byte: int, bit: int) -> None:
    files = array_files("part", LARGE)
    begin = len(files["part.npy"]) - LARGE.nbytes
    content = bytearray(files["part.npy"])
    content[begin + byte] ^= 1 << bit
    row, block = byte // 80, (begin + byte) // BLOCK
    if block == 0:  # the block of the header
        with pytest.raises(BundleError, match="damaged"):
            StoredArray({**files, "part.npy": bytes(content)}, "part")
        return
    stored = StoredArray({**files, "part.npy": bytes(content)}, "part")
    with pytest.raises(BundleError, match="damaged"):
        stored[np.array([row])]
    far = [other for other in (0, 2500, 4999) if abs(other - row) > BLOCK // 80]
    assert np.array_equal(stored[np.array(far)], LARGE[far])
    with pytest.raises(BundleError, match="damaged"):
        np.asarray(stored)


@pytest.mark.parametrize("name", ["part.npy", "part.sha256"])
@pytest.mark.parametrize("cut", [0, 60, 64, -1])
def test_truncated_files_are_refused(name: str, cut: int) -> None:
    files = array_files("part", LARGE)
    with pytest.raises(BundleError):
        np.asarray(StoredArray({**files, name: files[name][:cut]}, "part"))


class RecordingFiles(Mapping[str, bytes]):
    """Files that record which of them were read."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.read = files, []

    def __getitem__(self, name: str) -> bytes:
        self.read.append(name)
        return self.files[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __contains__(self, name: object) -> bool:
        return name in self.files


def test_files_of_a_folder_are_read_on_access() -> None:
    files = RecordingFiles({"a/one": b"1", "a/b/two": b"2", "other": b"3", "ab/three": b"4"})
    below = Subfolder(files, "a")
    assert (sorted(below), len(below), "one" in below, "other" in below) == (["b/two", "one"], 2, True, False)
    assert files.read == []
    assert Subfolder(below, "b")["two"] == b"2"
    assert files.read == ["a/b/two"]
    with pytest.raises(KeyError):
        below["three"]
