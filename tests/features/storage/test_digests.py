"""Different inputs have different digests, whatever characters they contain."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.storage.digests import digest, of_code, of_strings
from recsys.refresh.inputs import bundle_inputs
from recsys.settings.settings import Settings
from recsys.snapshot.fingerprint import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

TRICKY = st.text(st.sampled_from(["a", "\\", "0", "\0", "\n", "\ud800", "é"]), max_size=4)


@given(st.lists(st.lists(TRICKY, max_size=3), min_size=2, max_size=2))
def test_only_equal_lists_have_equal_bytes(lists: list[list[str]]) -> None:
    assert (of_strings(lists[0]) == of_strings(lists[1])) == (lists[0] == lists[1])


def test_a_zero_byte_is_not_the_two_characters_that_spell_it() -> None:
    lists = (["a\0b"], ["a\\0b"], ["a", "b"], ["a\nb"], ["", "ab"], ["ab", ""], ["ab"], [])
    assert len({of_strings(strings) for strings in lists}) == len(lists)


def test_files_differ_by_name_and_content() -> None:
    folders = ({"a": b"bc"}, {"ab": b"c"}, {"a": b"b", "c": b""}, {"a\\0": b"bc"}, {"a\0": b"bc"}, {})
    assert len({digest(files) for files in folders}) == len(folders)
    assert digest({"a": b"1", "b": b"2"}) == digest({"b": b"2", "a": b"1"})


def test_code_differs_by_name_content_and_layer(tmp_path: Path) -> None:
    found = set()
    for number, (name, content) in enumerate((("a/x.py", "1"), ("a/x.py", "2"), ("a/y.py", "1"), ("a/b/x.py", "1"), ("c/x.py", "1"))):
        path = tmp_path / str(number) / name
        path.parent.mkdir(parents=True)
        path.write_text(content)
        found.add(of_code("a", root=tmp_path / str(number)))
    assert len(found) == 5
    assert of_code("features") != of_code("features", "recsys") != of_code("recsys")


def test_logs_of_different_users_have_different_fingerprints(shop) -> None:
    log = shop.log.where(shop.log.user < 2)
    ids = (["a", "b\nc"], ["a\nb", "c"], ["a", "b\\nc"])
    digests = [fingerprint(shop.catalog, replace(log, user_ids=np.array(users, dtype=object))) for users in ids]
    assert len(set(digests)) == len(ids)


def test_bundles_of_different_models_have_different_inputs() -> None:
    models = ({"a": b"bc"}, {"ab": b"c"}, {"a": b"b", "c": b""})
    digests = [bundle_inputs(files, Settings(), "data") for files in models]
    assert all(one != other for one, other in itertools.combinations(digests, 2))
