"""What the pages show, and that nothing a shop or a visitor wrote is more than text on them."""

from __future__ import annotations

import shutil

import numpy as np
from starlette.testclient import TestClient

from features.data.histories import Histories
from recsys.apps.search.request import SearchOptions
from recsys.recommend.present import UNKNOWN_USER, UNKNOWN_VISITOR
from recsys.recommend.request import RecommendOptions
from recsys.service.pages.trace import subjects, trace
from retrieval.hybrid import FUSION
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve, inside, recommender_of, taken_over
from tests.recsys.service.pages import HOSTILE, ODD, PATHS, Seen, seen
from tests.recsys.service.test_swap import publish


def test_nothing_of_a_page_runs_or_comes_from_elsewhere(hostile: TestClient) -> None:
    pages = [hostile.get(path) for path in (*PATHS, "/simulations/simulation-popular-x")]
    pages += [
        hostile.post("/", data={"user": HOSTILE, "words": HOSTILE}),
        hostile.post("/", data={"category": HOSTILE[:9], "beside": HOSTILE}),
        hostile.post("/customers", data={"user": HOSTILE}),
        hostile.post("/customers", data={"user": "user-05"}),
        hostile.post("/storefront", data={"user": HOSTILE, "basket": HOSTILE, "place": HOSTILE}),
        hostile.post("/storefront", data={"page": "product", "item": "sku-07", "user": "user-05"}),
    ]
    pages += [
        hostile.post("/", data={"basket": [HOSTILE, "sku-07"], "exclude": ["sku-01"]}),
        hostile.post("/", data={"basket": ["sku-07"]}),
    ]
    for response in pages:
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["cache-control"] == "no-store"
        page = Seen(response.text)
        assert not page.elements & {"script", "img", "iframe", "object", "embed", "style"}
        assert not {name for name in page.attributes if name.startswith("on") or name == "style"}
        assert page.addresses
        assert all(address.startswith(("/", "#")) and not address.startswith("//") for address in page.addresses), page.addresses
        assert "\u202e" not in page.text
    assert "<x onclick=alert(4)>" in Seen(hostile.post("/", data={"basket": ["sku-07"]}).text).text


def test_any_id_has_a_page(hostile: TestClient) -> None:
    assert "is not in the catalogue" in seen(hostile.get("/items/"), 404)
    (address, *_) = [address for address in Seen(hostile.post("/", data={"words": ODD}).text).addresses if address.startswith("/items/a")]
    page = seen(hostile.get(address))
    assert ODD in page
    assert "Attributes attributes of " in page
    assert "Barcode barcode of " in page


def test_a_report_with_plots_may_bring_styles_and_run_nothing(hostile: TestClient) -> None:
    for path in ("/evaluation/report", "/simulations/simulation-popular-x/report"):
        response = hostile.get(path)
        assert "<title>plots" in response.text
        assert {"default-src 'none'", "sandbox"} <= set(response.headers["content-security-policy"].split("; "))
    for path in ("/simulations/simulation-none", "/simulations/..%2f..%2ferased/report", "/simulations/evaluation/report"):
        assert hostile.get(path).status_code == 404


def test_the_list_is_that_of_the_service(shared: TestClient) -> None:
    form = {
        "user": "user-05",
        "category": "bakery",
        "max_price": "5",
        "in_stock": "true",
        "exclude": ["sku-11"],
        "diversity": "0.5",
        "choice": "all",
    }
    rules = {"category": "bakery", "max_price": 5, "in_stock": True, "exclude": ["sku-11"], "new_only": False}
    answer = shared.post("/v1/recommend", json={"user": "user-05", "rules": rules, "diversity": 0.5}).json()
    words = seen(shared.post("/", data=form | {"diversity": "0.5"}))
    place = -1
    for item in answer["items"]:
        heading, chance = f"{item['rank']} {item['title']}", f"{100 * item['probability']:.1f}% probability"
        shown = f"{heading} {chance} {item['price']:.2f} {item['item_id']} {item['reason']}"
        assert words.find(shown) > place
        place = words.find(shown)
    assert answer["bundle_id"] in words
    assert "History of user-05" in words


def test_the_trace_of_each_stage(shared: TestClient) -> None:
    recommender = recommender_of(shared)
    for user, options in (("user-05", RecommendOptions(k=8)), (None, RecommendOptions(history=("sku-01", "sku-12"), k=8, diversity=1.0))):
        traced = trace(recommender, user, options, None)
        (expected,) = recommender.answer(options, [user])
        assert [item.item_id for item in traced.answer.items] == [item.item_id for item in expected.items]
        steps = [traced.steps[item.item_id] for item in traced.answer.items]
        assert traced.candidates >= len({one.retrieved for one in steps}) == len(steps)
        assert max(one.retrieved for one in steps) <= traced.candidates
        assert all(one.found_by for one in steps)
        assert len({one.before for one in steps}) == len({one.after for one in steps}) == len(steps)
        if options.diversity:
            assert max(one.after or 0 for one in steps) > 8
        else:
            assert [one.after for one in steps] == list(range(1, 9))
        assert traced.route == ("personal" if user else "basket")


def test_contributions_are_summed_by_subject() -> None:
    given = [("own_count", 1.5), ("item_buyers_7", -2.0), ("own_last", 0.25), ("user_trips", 0.125), ("price_gap", 0.001)]
    assert subjects(given) == [
        ("its sales", -2.0, ["item_buyers_7"]),
        ("earlier purchases of the item", 1.75, ["own_count", "own_last"]),
        ("everything else", 0.125, ["user_trips"]),
    ]


def test_the_places_of_sources_give_the_fused_scores(shared: TestClient) -> None:
    recommender = recommender_of(shared)
    snapshot = recommender.snapshot
    candidates = recommender.candidates(Histories.of_users(snapshot.log, np.arange(3), snapshot.now), 30)
    places = recommender.retriever.places(candidates.users, candidates.rows)
    fused = np.sum([np.where(place >= 0, 1 / (FUSION + 1 + place), 0) for place in places.values()], axis=0)
    assert len(places) > 5
    assert np.allclose(fused[candidates.valid], candidates.scores[candidates.valid], atol=1e-6)


def test_unknown_users_and_mistakes_get_one_line(shared: TestClient) -> None:
    assert UNKNOWN_VISITOR in seen(shared.get("/"))
    assert UNKNOWN_USER.format("nobody") in seen(shared.post("/", data={"user": " nobody "}))
    for form, said in (
        ({"user": "user-05", "max_price": "cheap"}, "highest price is 'cheap', should be a valid number"),
        ({"diversity": "7"}, "diversity is '7', should be less than or equal to 1"),
        ({"category": "bakry"}, "did you mean 'bakery'?"),
        ({"basket": ["sku-07", "sku-99"]}, "item 'sku-99' is not in the catalogue"),
        ({"nonsense": "1"}, "unknown key 'nonsense'"),
    ):
        response = shared.post("/", data=form)
        words = seen(response, 422)
        assert said in words
        assert "probability" not in words  # a list beside an error would be taken for the requested one
        assert all(f'value="{value}"' in response.text for name, value in form.items() if name in ("user", "category"))
    assert "is not the id of a bundle" in seen(shared.post("/", data={"beside": "nonsense"}))
    assert "item 'sku-99' is not in the catalogue" in seen(shared.get("/items/sku-99"), 404)
    assert "Nothing to recommend: no item passes the rules." in seen(shared.post("/", data={"user": "user-05", "max_price": "0"}))


def test_a_basket_by_search(shared: TestClient) -> None:
    found = shared.post("/", data={"words": "rye bread"})
    (answer,) = inside(shared).bundles.live.search.answer(SearchOptions(k=1), [("rye bread", None)])
    (best,) = answer.items
    assert f'name="add" value="{best.item_id}"' in found.text
    words = seen(shared.post("/", data={"words": "rye bread", "basket": ["sku-01"], "add": best.item_id}))
    assert "For this basket" in words
    assert "in the basket" in words
    by_id = seen(shared.post("/", data={"words": "sku-33"}))
    assert "sku-33" in by_id[by_id.index("Results for") :][:200]


def test_map_and_items(shared: TestClient) -> None:
    page = Seen(shared.get("/map").text)
    points = [address for address in page.addresses if address.startswith("/items/")]
    assert len(points) == len(set(points)) == 39  # two items share a text
    group = Seen(shared.get("/map?group=1").text)
    assert len([address for address in group.addresses if address.startswith("/items/")]) == 2 * 10  # points, and the list
    assert shared.get("/map?group=99").status_code == shared.get("/map?group=x").status_code == 200
    near = recommender_of(shared).similar("sku-07", 12)
    words = seen(shared.get("/items/sku-07"))
    assert all(f"{match.title} {match.score:.3f}" in words for match in near.items)


def test_two_bundles_side_by_side(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    old = recommender_of(client).bundle_id
    new = publish(spare, 7.5)
    client = taken_over(serve, spare)
    words = seen(client.post("/", data={"user": "user-01", "beside": old, "k": "3"}))
    here, there = words.index(f"Bundle {new}"), words.index(f"Bundle {old}")
    assert here < there
    assert words[here:there].count("7.50") == 3
    assert "7.50" not in words[there:]
    assert words.count("same place in the other list") == 6
    refreshes = seen(client.get("/refreshes"))
    assert refreshes.count("in use") == 1
    assert refreshes.index(new) < refreshes.index(old)
    shutil.rmtree(spare.workspace.bundles / old)  # as by an erasure: what is still open must not be shown
    assert f"Bundle {old}" not in seen(client.post("/", data={"user": "user-01", "beside": old, "k": "3"}))


def test_before_there_is_a_bundle(fresh, serve: Serve) -> None:
    client = serve(fresh())
    assert "run `recsys build-index`" in seen(client.get("/"), 503)
    assert "There are no bundles yet" in seen(client.get("/refreshes"))


def test_page_views_do_not_count_as_lists(ready: Place, serve: Serve) -> None:
    client = serve(ready)
    live = inside(client).bundles.live
    client.post("/", data={"user": "user-01"})
    assert not live.shown
    assert not live.latest
