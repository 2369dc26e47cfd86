"""When a training may go on from the model in use, and what is said where it may not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from features.ingest.erased_users import ErasedUsers
from recsys.artifacts import model_store
from recsys.artifacts.bundle import RETRAIN
from recsys.privacy.erasure import erase
from recsys.training.continual import parent
from recsys.training.continual.pipeline import _grown
from tests.recsys.training.continual.conftest import FIRST, SECOND, THIRD, Monthly

if TYPE_CHECKING:
    from collections.abc import Callable

USER = "user-07"


@pytest.fixture
def begun(monthly: Callable[..., Monthly]) -> Monthly:
    return monthly()


def refused(begun: Monthly, caplog: pytest.LogCaptureFixture, until: Any = SECOND, **settings: Any) -> str:
    """Return why a training began from nothing."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        begun.train(until, **settings)
    assert "continued" not in begun.about()
    (note,) = [record.getMessage() for record in caplog.records if "begins from nothing" in record.getMessage()]
    assert note.startswith("note: ")
    assert "\n" not in note
    return note.rpartition(": ")[2]


def test_no_model(fresh: Callable[[], Any], begun: Monthly, caplog: pytest.LogCaptureFixture) -> None:
    place = fresh()
    place.ingest()
    new = Monthly(place, begun.settings)
    with caplog.at_level(logging.WARNING):
        new.train(FIRST)
    assert "there is no model to go on from" in caplog.text
    assert "continued" not in new.about()


def test_a_damaged_model(begun: Monthly, caplog: pytest.LogCaptureFixture) -> None:
    (begun.bundle().folder / "model.json").write_bytes(b"{")
    with caplog.at_level(logging.WARNING):
        begun.train(SECOND)
    assert "there is no model to go on from" in caplog.text


def test_other_settings(begun: Monthly, caplog: pytest.LogCaptureFixture) -> None:
    changed = begun.settings.gbdt.model_copy(update={"rounds": 12})
    other = Monthly(begun.place, begun.settings.model_copy(update={"gbdt": changed}))
    assert refused(other, caplog).startswith("settings have changed in [gbdt],")


def test_an_earlier_end(begun: Monthly, caplog: pytest.LogCaptureFixture) -> None:
    begun.train(SECOND, warm_start=False)
    begun.train(THIRD, warm_start=False)
    earlier = SECOND.replace(day=25)
    assert refused(begun, caplog, earlier) == "its windows begin later than those of this training"


def test_another_version(begun: Monthly, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "MODEL_VERSION", parent.MODEL_VERSION + 1)
    assert refused(begun, caplog) == "its version of this program trained differently"


def test_every_nth_begins_from_nothing(begun: Monthly, caplog: pytest.LogCaptureFixture) -> None:
    begun.train(SECOND, fresh_every=1)
    assert begun.about()["continued"]["generation"] == 1
    assert refused(begun, caplog, THIRD, fresh_every=1) == "1 in a row have gone on by now, and continual.fresh_every is 1"


def test_erased_users_of_its_data(begun: Monthly, caplog: pytest.LogCaptureFixture) -> None:
    erase(begun.workspace, USER)
    assert refused(begun, caplog) == "users in its data were erased"
    assert not model_store.to_be_trained(begun.workspace)


def test_an_erasure_whose_sweep_has_not_come_to_the_models(begun: Monthly) -> None:
    """The list of erased users is written first."""
    erased = ErasedUsers.read(begun.workspace.erased).with_users([USER])
    found = parent.Parent.current(begun.workspace.models)
    assert found is not None
    assert RETRAIN not in found.about
    assert erased.since(found.read)


def test_an_erasure_marks_the_models_that_went_on_too(begun: Monthly, caplog: pytest.LogCaptureFixture) -> None:
    first = begun.bundle().manifest.about["read"]
    begun.train(SECOND)
    assert begun.bundle().manifest.about["read"] == first, "the oldest data of the line counts"
    assert erase(begun.workspace, USER).models == 2
    assert model_store.to_be_trained(begun.workspace)
    assert refused(begun, caplog, THIRD) == "users in its data were erased"


@pytest.mark.parametrize("enabled", [True, False])
def test_the_key_decides_where_no_option_does(begun: Monthly, caplog: pytest.LogCaptureFixture, enabled: bool) -> None:
    first = begun.about()["key"][:16]
    with caplog.at_level(logging.INFO):
        begun.train(SECOND, warm_start=None, enabled=enabled)
    assert ("continued" in begun.about()) == enabled
    assert (f"`recsys train --continue` would go on from model {first}" in caplog.text) != enabled


@pytest.mark.parametrize(
    ("now", "then", "grown"),
    [
        ({"texts": 120, "queries": 0}, {"texts": 100, "queries": 0}, False),
        ({"texts": 126, "queries": 0}, {"texts": 100, "queries": 0}, True),
        ({"texts": 70, "queries": 0}, {"texts": 100, "queries": 0}, True),
        ({"texts": 100, "queries": 1}, {"texts": 100, "queries": 0}, True),
        ({"reviews": 5, "polarities": "a"}, {"reviews": 5, "polarities": "b"}, True),
        ({"reviews": 5, "polarities": None}, {"reviews": 5, "polarities": None}, False),
        ({"reviews": 5, "polarities": None}, {}, True),
    ],
)
def test_a_part_is_fitted_again_when_its_data_have_grown(now: dict[str, Any], then: dict[str, Any], grown: bool) -> None:
    assert _grown(now, then, 0.25) == grown
