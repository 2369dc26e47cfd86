"""The page of customers and its routes: segments, one customer, what is wrong in a request, and nothing of who has been erased."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from features.ingest.erased_users import ErasedUsers
from recsys.apps.customers.segments import SEGMENTS
from recsys.snapshot.customers import CustomerTables
from tests.conftest import N_USERS
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve, inside, problem
from tests.recsys.service.pages import seen


def test_the_routes_say_what_the_command_line_says(shared: TestClient, ready: Place) -> None:
    answer = shared.get("/v1/customers").json()
    assert [one["segment"] for one in answer["segments"]] == list(SEGMENTS)
    assert answer["customers"] == N_USERS
    largest = max(answer["segments"], key=lambda one: one["customers"])
    listed = shared.get("/v1/customers", params={"segment": largest["segment"].upper(), "k": 3}).json()
    assert (listed["found"], len(listed["customers"])) == (largest["customers"], 3)
    one = shared.get(f"/v1/customers/{listed['customers'][0]['user_id']}").json()
    assert {name: one[name] for name in listed["customers"][0]} == listed["customers"][0]
    assert one["categories"]
    said = json.loads(json.dumps(ready.shop.customers.customer(one["user_id"]).to_dict()))
    assert {name: one[name] for name in said} == said


def test_cohorts_and_movements_are_those_of_the_command_line(shared: TestClient, ready: Place) -> None:
    reader = ready.shop.customers
    for name, said in (("cohorts", reader.cohorts()), ("movements", reader.movements())):
        answer = shared.get(f"/v1/{name}").json()
        expected = json.loads(json.dumps(said.to_dict()))
        assert expected[name]
        assert {key: answer[key] for key in expected} == expected


def test_what_is_wrong_is_one_line(shared: TestClient) -> None:
    assert "did you mean 'loyal'" in problem(shared.get("/v1/customers", params={"segment": "loyl"}), 422)
    assert "no customer 'nobody'" in problem(shared.get("/v1/customers/nobody"), 404)
    assert "k is" in problem(shared.get("/v1/customers", params={"k": 0}), 422)
    assert "unknown key" in problem(shared.get("/v1/customers", params={"of": "x"}), 422)
    assert "expected 1 to" in problem(shared.get("/v1/customers", params={"segment": "new", "k": 100_000}), 422)


def test_the_page(shared: TestClient) -> None:
    page = seen(shared.get("/customers"))
    assert "Movements" in page
    assert "Cohorts" in page
    assert all(name in page for name in SEGMENTS)
    listed = seen(shared.get("/customers", params={"segment": "loyal"}))
    assert "largest expected spend first" in listed
    one = seen(shared.post("/customers", data={"user": "user-05"}))
    assert "Customer user-05" in one
    assert "times the average" in one
    assert "no customer" in seen(shared.post("/customers", data={"user": "nobody"}), 422)
    assert "there is no segment" in seen(shared.get("/customers", params={"segment": "x"}), 422)


def test_who_is_erased_is_gone_before_the_next_bundle(spare: Place, serve: Serve) -> None:
    client = serve(spare, poll_seconds=600.0)
    assert client.get("/v1/customers/user-05").status_code == 200
    segment = client.get("/v1/customers/user-05").json()["segment"]
    ErasedUsers.read(spare.workspace.erased).with_users(["user-05"]).write(spare.workspace.erased)
    assert "no customer 'user-05'" in problem(client.get("/v1/customers/user-05"), 404)
    listed = client.get("/v1/customers", params={"segment": segment, "k": 60}).json()["customers"]
    assert listed
    assert "user-05" not in {row["user_id"] for row in listed}
    assert "user-05" not in client.get("/customers", params={"segment": segment}).text
    assert client.post("/customers", data={"user": "user-05"}).status_code == 422


def test_no_id_is_logged(shared: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        shared.get("/v1/customers/user-05")
        shared.post("/customers", data={"user": "user-05"})
    records = [record for record in caplog.records if record.name.startswith("recsys")]  # the test's own client logs addresses
    assert len(records) >= 2
    assert not [record for record in records if "user-05" in f"{record.getMessage()} {vars(record)}"]


def test_a_bundle_without_customers_says_what_to_do(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    live = inside(client).bundles.live
    snapshot = replace(live.recommender.snapshot, customers=CustomerTables.empty())
    object.__setattr__(live, "recommender", replace(live.recommender, snapshot=snapshot))
    for route in ("customers", "cohorts", "movements"):
        assert "recsys build-index" in problem(client.get(f"/v1/{route}"), 422)
    assert "recsys build-index" in seen(client.get("/customers"))
