"""Files that several processes share: the same answers, from memory that nobody copied; damage is seen when they are mapped."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import pytest

from features.errors import BundleError
from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions
from recsys.artifacts.bundle import Bundle
from recsys.artifacts.mapped import MappedFiles
from recsys.recommend import open
from recsys.recommend.request import RecommendOptions
from tests.recsys.conftest import Place

USERS = [f"user-{number:02}" for number in range(0, 60, 7)]


def test_answers_are_the_same(ready: Place) -> None:
    own, shared = (open.open_recommender(ready.workspace, shared=shared) for shared in (False, True))
    assert list(own.answer(RecommendOptions(), USERS)) == list(shared.answer(RecommendOptions(), USERS))
    assert own.similar("sku-07", 5) == shared.similar("sku-07", 5)
    queries = [("green tea", None), ("rye bread", USERS[1])]
    assert Search(own).answer(SearchOptions(), queries) == Search(shared).answer(SearchOptions(), queries)


@pytest.mark.parametrize("shared", [True, False])
def test_the_large_parts_lie_in_the_files(ready: Place, shared: bool) -> None:
    snapshot = open.open_recommender(ready.workspace, shared=shared).snapshot
    assert snapshot.states is not None
    arrays = (snapshot.text_vectors, snapshot.log.item, snapshot.collaborative.ease.weights.data, np.asarray(snapshot.states.offsets))
    for array in arrays:
        assert array.flags.writeable is not shared
        assert mapped(array) is shared
    assert snapshot.index.shards[0].content is not None
    assert mapped(snapshot.index.shards[0].content) is shared


def mapped(array: Any) -> bool:
    """Whether it lies in a file, however many views are in between."""
    base = array
    while not isinstance(base, mmap.mmap) and base is not None:
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return base is not None


@pytest.mark.parametrize("name", ["snapshot/index/shard-000/items.faiss", "snapshot/log/log.safetensors", "snapshot/states/states.npy"])
def test_damage_is_refused(spare: Place, name: str) -> None:
    bundle = Bundle.open(spare.workspace.bundles)
    content = bytearray((bundle.folder / name).read_bytes())
    content[-1] ^= 1
    (bundle.folder / name).write_bytes(content)
    with pytest.raises(BundleError, match="sha256"):
        open.open_recommender(spare.workspace, shared=True)


def test_arrays_are_those_that_the_library_reads(ready: Place) -> None:
    from safetensors.numpy import load

    bundle = Bundle.open(ready.workspace.bundles)
    files = MappedFiles(bundle)
    names = [name for name in bundle.manifest.files if name.endswith(".safetensors")]
    assert len(names) > 8
    for name in names:
        mine, theirs = files.arrays(name), load(bundle.read(name))
        assert mine.keys() == theirs.keys()
        for key, array in theirs.items():
            assert mine[key].dtype == array.dtype
            assert mine[key].tobytes() == array.tobytes()
