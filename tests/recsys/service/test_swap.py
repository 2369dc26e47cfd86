"""Which bundle a process opens, and what it answers whatever becomes of the folder."""

from __future__ import annotations

import shutil

import polars as pl
import pytest
from starlette.testclient import TestClient

from recsys.artifacts.bundle import CURRENT, current_id
from recsys.refresh import build
from recsys.service.live_bundle import OpenBundle
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve, inside


def publish(place: Place, price: float) -> str:
    """The same shop with another price for everything."""
    pl.read_csv(place.items).with_columns(price=pl.lit(price)).write_csv(place.items)
    place.ingest()
    build.build_index(place.workspace, place.settings)
    return current_id(place.workspace.bundles)


def flip_a_bit(place: Place, bundle_id: str) -> bytes:
    """Damage a bundle and no other that shares the file; returns what the file held."""
    path = place.workspace.bundles / bundle_id / "snapshot/stats/item_stats.safetensors"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    return content


def ask(client: TestClient) -> tuple[str, float]:
    answer = client.post("/v1/recommend", json={"user": "user-01", "k": 1}).json()
    return answer["bundle_id"], answer["items"][0]["price"]


def opened(place: Place, bundle_id: str | None = None) -> OpenBundle:
    bundles = OpenBundle(place.workspace, place.settings)
    bundles.open(bundle_id)
    return bundles


def test_the_newest_whole_bundle_where_the_one_in_use_is_damaged(spare: Place) -> None:
    old, new = current_id(spare.workspace.bundles), publish(spare, 7.5)
    flip_a_bit(spare, new)
    usable = opened(spare)
    assert usable.live is not None
    assert usable.live.bundle.id == old
    assert list(usable.refused) == [new]
    assert "item_stats.safetensors" in usable.refused[new]
    named = opened(spare, new)
    assert named.live is None, "no other than that one"
    assert list(named.refused) == [new]


def test_a_current_that_names_nothing(spare: Place, serve: Serve) -> None:
    old = current_id(spare.workspace.bundles)
    (spare.workspace.bundles / CURRENT).write_text("nonsense\n")
    client = serve(spare)
    assert ask(client)[0] == old
    assert "nonsense" in inside(client).bundles.refused[""]


def test_whatever_is_wrong_with_a_bundle_is_one_line(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def short_of_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("recsys.service.live_bundle.open_recommender", short_of_memory)
    bundles = opened(spare)
    assert bundles.live is None
    assert bundles.refused == {current_id(spare.workspace.bundles): "unexpected MemoryError"}


def test_a_bundle_whose_folder_is_gone_still_answers_everything(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    shutil.rmtree(spare.workspace.bundles)
    for path, body in (
        ("recommend", {"user": "user-08"}),
        ("recommend", {"history": ["sku-30", "sku-02"], "k": 40}),
        ("recommend", {"rules": {"unsold": True}}),
        ("similar", {"item": "sku-39"}),
        ("search", {"text": "a word"}),
    ):
        assert client.post(f"/v1/{path}", json=body).status_code == 200, (path, body)


def test_before_there_is_a_bundle(fresh, serve: Serve) -> None:
    client = serve(fresh())
    assert client.get("/healthz").status_code == 200
    response = client.get("/readyz")
    assert response.status_code == client.post("/v1/recommend", json={}).status_code == 503
    assert response.headers["retry-after"]


def test_before_anything_was_trained(fresh, serve: Serve) -> None:
    place = fresh()
    place.ingest()
    build.build_index(place.workspace, place.settings)
    answer = serve(place).post("/v1/recommend", json={"user": "user-01"}).json()
    assert answer["degraded"] is False
    assert answer["fallback"].startswith("no model has been trained")
