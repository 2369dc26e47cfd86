"""What a cluster makes has the same bits as what this process makes: vectors of a catalogue, lists of many users."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

import features.text.state_cache
from features.data.catalog import Catalog
from features.progress import silent
from features.text.state_cache import cached_states
from recsys.artifacts.model import Model
from recsys.cli.list_files import write_answers
from recsys.cli.list_shards import write_lists
from recsys.cli.options import State
from recsys.compute.local import Processes
from recsys.recommend.request import RecommendOptions
from recsys.snapshot.encode import Encoded, EncodeOptions, encode_catalog
from recsys.snapshot.encode_shards import spread_states

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from recsys.compute.job import Cluster
    from recsys.settings.settings import Settings
    from tests.recsys.conftest import Command, Place


@pytest.fixture(scope="module")
def model(tiny_settings: Settings) -> Model:
    return Model.untrained(tiny_settings)


@pytest.fixture
def catalog(shop) -> Catalog:
    words = shop.items["title"].to_list()
    rows = {"item_id": [f"i{n}" for n in range(300)], "title": [" ".join(words[n % 40 : n % 40 + 1 + n % 7]) + f" {n}" for n in range(300)]}
    return Catalog.from_frame(pl.DataFrame(rows))


def assert_same(one: Encoded, other: Encoded) -> None:
    assert one.encoded == other.encoded
    for name in ("vectors", "search"):
        assert np.array_equal(getattr(one, name).vectors, getattr(other, name).vectors)
    assert one.states is not None
    assert other.states is not None
    assert np.array_equal(one.states.states, other.states.states)


def encoded(catalog: Catalog, model: Model, cache: Path, cluster: Cluster | None, previous: Encoded | None = None) -> Encoded:
    return encode_catalog(catalog, model, cache, previous, EncodeOptions(device="cpu", states=True, cluster=cluster))


def test_vectors_of_shards(catalog: Catalog, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features.text.state_cache, "PART", 64)
    here = encoded(catalog, model, tmp_path / "here", None)
    there = encoded(catalog, model, tmp_path / "there", Processes())
    assert_same(here, there)
    assert here.encoded == 300
    assert list((tmp_path / "there" / "compute").iterdir()) == [], "the shards' files are gone"


def test_token_states_for_a_training(catalog: Catalog, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features.text.state_cache, "PART", 64)
    texts = catalog.frame["title"].to_list()
    spread_states(Processes(), model.encoder, texts, tmp_path / "there", silent)
    here = cached_states(model.encoder, texts, tmp_path / "here")
    told: list[int] = []
    monkeypatch.setattr(model.encoder, "token_states", lambda some, *_: told.append(len(some)))
    there = cached_states(model.encoder, texts, tmp_path / "there")
    assert told == [], "all states are there"
    assert np.array_equal(here.states, there.states)


def test_a_refresh_encodes_what_is_new(catalog: Catalog, model: Model, tmp_path: Path) -> None:
    fewer = Catalog.from_frame(catalog.frame.head(250))
    known = encoded(fewer, model, tmp_path / "a", Processes())
    again = encoded(catalog, model, tmp_path / "a", Processes(), known)
    here = encoded(catalog, model, tmp_path / "b", None, encoded(fewer, model, tmp_path / "b", None))
    assert_same(again, here)
    assert again.encoded == 50


def test_vectors_on_ray(cluster: Cluster, catalog: Catalog, model: Model, tmp_path: Path) -> None:
    assert_same(encoded(catalog, model, tmp_path / "here", None), encoded(catalog, model, tmp_path / "there", cluster))


def lists(place: Place, cluster: Cluster | None, out: Path, users: list[str]) -> int:
    state = State(place.workspace.root)
    options = RecommendOptions(k=5, exclude=("sku-01",))
    if cluster is None:
        return write_answers(state.shop.answers(options, users), out)
    return write_lists(cluster, state, options, users, out)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_lists_of_shards(spare: Place, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.recommend.pipeline.BATCH", 8)
    users = [f"user-{n:02}" for n in range(60)] + ["nobody"]
    here, there = tmp_path / f"here{suffix}", tmp_path / f"there{suffix}"
    assert lists(spare, None, here, users) == lists(spare, Processes(), there, users) == 61 * 5
    if suffix == ".parquet":
        assert pl.read_parquet(here).equals(pl.read_parquet(there))
    else:
        assert here.read_bytes() == there.read_bytes()
    assert [path for path in (spare.workspace.cache / "compute").iterdir() if path.is_dir()] == []


def test_lists_of_other_users_stay(spare: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("recsys.cli.list_files.join_parts", killed)
        with pytest.raises(KeyboardInterrupt):
            lists(spare, Processes(), tmp_path / "a.csv", ["user-01"])
    (left,) = (spare.workspace.cache / "compute").glob("*/*.csv")
    lists(spare, Processes(), tmp_path / "b.csv", ["user-02"])
    assert left.exists()
    lists(spare, Processes(), tmp_path / "a.csv", ["user-01"])
    assert not left.exists()


def test_lists_on_ray(cluster: Cluster, spare: Place, tmp_path: Path) -> None:
    users = [f"user-{n % 60:02}" for n in range(2_100)]
    assert lists(spare, None, tmp_path / "here.csv", users) == lists(spare, cluster, tmp_path / "there.csv", users)
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()


def test_the_command_line(command: Command, spare: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def processes(address: str, *_: object) -> Iterator[Processes]:
        assert address == "local"
        print("(raylet) a worker died")
        yield Processes()

    monkeypatch.setattr("recsys.compute.ray.open_cluster", processes)
    users = tmp_path / "users.txt"
    users.write_text("user-01\nuser-02\n")
    root = ("--workspace", str(spare.workspace.root))
    out = command(*root, "recommend", "--users-file", str(users), "--out", str(tmp_path / "x.csv"), "--cluster", "local")
    assert out.code == 0
    assert out.out.startswith("2 users, 20 rows")
    assert "a worker died" in out.err
    assert command(*root, "recommend", "--cluster", "local").code == 2
    with (spare.folder / "items.csv").open("a") as file:
        file.write("new-1,a new tea,,acme,drinks|tea,2.5,true\n")
    out = command(*root, "refresh", "--cluster", "local")
    assert "1 of " in out.out
    assert "texts encoded" in out.out
