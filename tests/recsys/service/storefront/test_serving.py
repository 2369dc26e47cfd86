"""Pages in the arms of experiments: what an arm changes is shown, and what was shown is stored with its arms."""

from __future__ import annotations

import copy
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from features.data.interactions import Interactions
from features.errors import DataError
from recsys.apps.storefront.impression_log import off_policy_log
from recsys.apps.storefront.pipeline import PageStages, Storefront
from recsys.service.answering import AnswerPipeline
from recsys.service.storefront.arm_bundles import ArmBundles
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve, inside

ROWS = [{"name": "popular", "k": 4}]
NOW_AND_LONG = "from = 2020-01-01\nto = 2100-01-01"


@pytest.fixture
def clean(spare: Place) -> Place:
    """A shop that has shown nothing: other tests ask the one that it is a copy of for pages."""
    for path in spare.workspace.service.glob("impressions.sqlite*"):
        path.unlink()
    return spare


def asked(client: TestClient, **more: Any) -> dict[str, Any]:
    """A home page; what it showed is stored when this returns."""
    response = client.post("/v1/page", json={"page": "home"} | more)
    assert response.status_code == 200, response.text
    inside(client).impressions.flush()
    return response.json()


def experiment(name: str, settings: str, unit: str = "user") -> str:
    arms = f"a = {{}}\nb = {{settings = {{{settings}}}}}"
    return f'[experiments.{name}]\nunit = "{unit}"\n{NOW_AND_LONG}\n[experiments.{name}.arms]\n{arms}\n'


def arms_of(place: Place, name: str) -> dict[str, str]:
    return dict(place.workspace.impressions.exposures(name, 2**40).select("unit", "arm").unique().iter_rows())


def test_what_a_page_showed_is_stored_and_takes_actions(clean: Place, serve: Serve) -> None:
    client = serve(clean)
    page = asked(client, user="user-01", session="s1", context="phone", rows=ROWS)
    (row,) = page["rows"]
    stored = clean.workspace.impressions.frame()
    assert stored["item_id"].to_list() == [item["item_id"] for item in row["items"]]
    assert stored["propensity"].to_list() == [item["propensity"] for item in row["items"]] == [1.0] * 4
    first = stored.row(0, named=True)
    expected = {"impression_id": row["impression_id"], "page": "home", "row": "popular", "user_id": "user-01", "session_id": "s1"}
    assert first | expected | {"bundle_id": page["bundle_id"], "context": "phone"} == first
    click = {"action_name": "click", "query_id": row["impression_id"], "object_id": row["items"][2]["item_id"], "position": 3}
    assert client.post("/v1/actions", json={"actions": [click, click | {"object_id": "sku-99"}]}).json()["notes"] == [
        "1 of 2 actions name items that were not shown there: not stored, such as 'sku-99'"
    ]
    assert off_policy_log(clean.workspace.impressions)["reward"].to_list() == [0, 0, 1, 0]


def test_a_row_that_is_turned_over_is_an_impression_of_its_own(clean: Place, serve: Serve) -> None:
    client = serve(clean)
    page = asked(client, rows=ROWS)
    turned = client.post("/v1/page/turn", json={"cursor": page["rows"][0]["cursor"], "k": 3}).json()["row"]
    click = {"action_name": "click", "query_id": turned["impression_id"], "object_id": turned["items"][0]["item_id"], "position": 5}
    answer = client.post("/v1/actions", json={"actions": [click]}).json()
    assert (answer["new"], answer["moved"]) == (1, 0)


def test_an_arm_changes_rows_order_and_chance(clean: Place, serve: Serve) -> None:
    clean.workspace.experiments.write_text(
        experiment("rows", 'rows = {home = ["popular", "for_you"]}') + experiment("draw", "exploration = 1.0")
    )
    client = serve(clean)
    pages = {user: asked(client, user=user) for user in (f"user-{number:02}" for number in range(1, 21))}
    rows, draw = arms_of(clean, "rows"), arms_of(clean, "draw")
    assert set(rows.values()) == set(draw.values()) == {"a", "b"}
    for user, page in pages.items():
        names = [row["name"] for row in page["rows"]]
        assert (names == ["popular", "for_you"]) == (rows[user] == "b")
        items = [item for row in page["rows"] for item in row["items"]]
        assert len({item["item_id"] for item in items}) == len(items), "no product twice, also where it was drawn"
        assert any(item["propensity"] < 1 for item in items) == (draw[user] == "b")
        for row in page["rows"]:
            shown = [item["propensity"] for item in row["items"]]
            assert shown[: (len(shown) + 1) // 2] == [1.0] * ((len(shown) + 1) // 2), "the upper places stay"
    own = asked(client, user=next(user for user, arm in rows.items() if arm == "b"), rows=ROWS)
    assert [row["name"] for row in own["rows"]] == ["popular"], "a request's own rows stay"
    assert (clean.workspace.impressions.frame()["propensity"] < 1).any()


def test_an_arm_makes_the_list_more_diverse(clean: Place, serve: Serve) -> None:
    clean.workspace.experiments.write_text(experiment("diverse", "diversity = 1.0"))
    client, rows = serve(clean), [{"name": "for_you", "k": 8}]
    pages = {user: asked(client, user=user, rows=rows) for user in (f"user-{number:02}" for number in range(1, 13))}
    clean.workspace.experiments.unlink()
    inside(client).catch_up()
    moved = {}
    for user, page in pages.items():
        usual = asked(client, user=user, rows=rows)
        moved[user] = [item["item_id"] for item in page["rows"][0]["items"]] != [item["item_id"] for item in usual["rows"][0]["items"]]
    assert moved == {user: arm == "b" for user, arm in arms_of(clean, "diverse").items()}


def test_sessions_are_units_of_their_own_and_nobody_is_in_no_arm(clean: Place, serve: Serve) -> None:
    clean.workspace.experiments.write_text(experiment("visits", "exploration = 0.5", "session"))
    client = serve(clean)
    for number in range(12):
        asked(client, session=f"s{number}", rows=ROWS)
    asked(client, rows=ROWS)
    assert set(arms_of(clean, "visits")) == {f"s{number}" for number in range(12)}
    assert clean.workspace.impressions.unexposed("visits", 0, 2**40) == (1, 13)


def test_a_page_that_fails_is_counted_in_its_arm(clean: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    clean.workspace.experiments.write_text(experiment("draw", "exploration = 0.5"))
    client = serve(clean)

    async def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(AnswerPipeline, "answer", fails)
    assert client.post("/v1/page", json={"page": "home", "user": "user-01"}).status_code == 500
    inside(client).impressions.flush()
    assert clean.workspace.impressions.exposures("draw", 2**40)["outcome"].to_list() == ["failed"]
    monkeypatch.undo()
    assert client.post("/v1/page", json={"page": "product", "item": "nothing", "user": "user-01"}).status_code == 422
    inside(client).impressions.flush()
    assert len(clean.workspace.impressions.exposures("draw", 2**40).filter(pl.col("outcome") != "failed")) == 0


def turned(client: TestClient, page: dict[str, Any]) -> dict[str, Any]:
    row = client.post("/v1/page/turn", json={"cursor": page["rows"][0]["cursor"], "k": 2}).json()["row"]
    inside(client).impressions.flush()
    return row


def test_a_row_that_is_turned_over_is_no_page_of_an_experiment_but_its_actions_count(clean: Place, serve: Serve) -> None:
    client, store = serve(clean), clean.workspace.impressions
    before = asked(client, user="user-01", rows=ROWS)
    clean.workspace.experiments.write_text(experiment("draw", "diversity = 0.5"))
    inside(client).catch_up()
    turned(client, before)
    assert store.exposures("draw", 2**40).is_empty(), "the page is from before the experiment"
    row = turned(client, asked(client, user="user-01", rows=ROWS))
    assert len(store.exposures("draw", 2**40)) == 1
    click = {"action_name": "click", "query_id": row["impression_id"], "object_id": row["items"][0]["item_id"]}
    assert client.post("/v1/actions", json={"actions": [click]}).json()["new"] == 1
    assert store.done("draw", 2**40)["unit"].to_list() == ["user-01"]


def test_what_an_arms_bundle_lacks_is_a_failure_of_that_arm(clean: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    clean.workspace.experiments.write_text(experiment("model", 'bundle = "other"'))
    monkeypatch.setattr(ArmBundles, "ready", lambda *_: True)
    client = serve(clean)
    other, of = copy.copy(inside(client).bundles.live.storefront), PageStages.of

    def lacking(storefront: Storefront, *more: Any) -> PageStages:
        if storefront is other:
            raise DataError("the item 'sku-07' is unknown")
        return of(storefront, *more)

    monkeypatch.setattr(ArmBundles, "storefront", lambda *_: other)
    monkeypatch.setattr(PageStages, "of", lacking)
    users = [f"user-{number:02}" for number in range(1, 13)]
    for item in ("sku-07", "nothing"):
        for user in users:
            client.post("/v1/page", json={"page": "product", "item": item, "user": user})
    inside(client).impressions.flush()
    seen = clean.workspace.impressions.exposures("model", 2**40)
    assert sorted(seen["unit"]) == users, "an item that no bundle has is the mistake of who asks"
    assert set(seen.select("arm", "outcome").rows()) == {("a", "ok"), ("b", "failed")}


def test_a_user_is_stored_as_the_log_spells_them(clean: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Interactions, "spelt", lambda _, user: user.removesuffix(".0"))
    clean.workspace.experiments.write_text(experiment("draw", "diversity = 0.5"))
    client = serve(clean)
    for user in ("77", "77.0"):
        assert asked(client, user=user, rows=ROWS)["user_id"] == user
    assert clean.workspace.impressions.exposures("draw", 2**40)["unit"].to_list() == ["77", "77"]
