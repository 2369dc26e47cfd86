"""Which settings are searched, within which ranges, and which stay as the user set them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import ConfigError
from recsys.offline.tuning.search_space import (
    STAGES,
    Knob,
    Value,
    checked_keys,
    knobs_of,
    known_keys,
    open_knobs,
    set_by_user,
    value_of,
    with_values,
)
from recsys.settings.auto import SEQUENCE, SET, completed
from recsys.settings.settings import Settings

SHOPS = {"set": completed(Settings(), SET), "sequence": completed(Settings(), SEQUENCE)}


def draw(knob: Knob, share: float) -> Value:
    """A value of the knob's range."""
    if knob.kind == "choice":
        return knob.choices[min(int(share * len(knob.choices)), len(knob.choices) - 1)]
    return knob.rounded(knob.low + share * (knob.high - knob.low))


@pytest.mark.parametrize("shop", SHOPS)
@pytest.mark.parametrize("stage", STAGES)
@given(shares=st.lists(st.floats(0, 1), min_size=20, max_size=20))
def test_every_draw_is_a_valid_setting(shop: str, stage, shares: list[float]) -> None:
    settings = SHOPS[shop]
    values = {knob.key: draw(knob, share) for knob, share in zip(knobs_of(stage, settings, reviews=True), shares, strict=False)}
    changed = with_values(settings, values)
    assert {key: value_of(changed, key) for key in values} == values
    rest = {key for key in known_keys() if key not in values}
    assert {key: value_of(changed, key) for key in rest} == {key: value_of(settings, key) for key in rest}


@pytest.mark.parametrize("shop", SHOPS)
def test_every_range_holds_the_current_value_to_the_digit(shop: str) -> None:
    for knob in (knob for stage in STAGES for knob in knobs_of(stage, SHOPS[shop], reviews=True)):
        current = value_of(SHOPS[shop], knob.key)
        assert knob.rounded(current) == current, knob
        assert current in knob.choices if knob.kind == "choice" else knob.low <= float(current) <= knob.high, knob


def test_a_range_widens_to_an_unusual_value() -> None:
    settings = Settings.model_validate({"gbdt": {"l2": 500.0, "rounds": 900}, "tower": {"dim": 48}})
    knobs = {knob.key: knob for stage in STAGES for knob in knobs_of(stage, settings)}
    assert knobs["gbdt.l2"].high == 500
    assert knobs["gbdt.rounds"].high == 900
    assert 48 in knobs["tower.dim"].choices


def test_answers_cost_twice_as_much_at_most() -> None:
    for settings in SHOPS.values():
        for knob in (*knobs_of("ranking", settings), *knobs_of("cross-encoder", settings)):
            if knob.key.startswith("retrieval.") or knob.key == "cross_encoder.rerank_depth":
                assert knob.high <= 2 * float(value_of(settings, knob.key))
    assert "retrieval.candidates" not in known_keys()


def test_each_kind_of_shop_has_its_own_keys() -> None:
    keys = {shop: {knob.key for stage in STAGES for knob in knobs_of(stage, settings)} for shop, settings in SHOPS.items()}
    assert keys["sequence"] - keys["set"] == {"train.id_dropout", "retrieval.markov", "retrieval.texts"}
    assert keys["set"] - keys["sequence"] == {"train.hard_negatives"}
    frozen = with_values(SHOPS["set"], {"train.tuning": "frozen"})
    assert not {"train.encoder_lr", "train.tuned_epochs"} & {knob.key for knob in knobs_of("towers", frozen)}


def test_what_the_user_sets_is_fixed_and_auto_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set_by_user(Settings()) == frozenset()
    fixed = set_by_user(Settings.model_validate({"gbdt": {"rounds": 75}, "tower": {"user_encoder": "auto"}, "train": {"tuning": "upper"}}))
    assert fixed == {"gbdt.rounds", "train.tuning"}
    monkeypatch.setenv("RECSYS_GBDT__L2", "30")
    assert "gbdt.l2" in set_by_user(Settings())
    assert "gbdt.l2" not in {knob.key for knob in open_knobs(knobs_of("ranking", Settings()), set_by_user(Settings()))}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("gbdt.round", "did you mean 'gbdt.rounds'?"),
        ("train.learning_rate", "did you mean 'gbdt.learning_rate'?"),
        ("nonsense", "the search has the keys cross_encoder.epochs, "),
        ("retrieval.candidates", "retrieval."),
    ],
)
def test_an_unknown_key_is_one_line(key: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_keys(["gbdt.l2", key])
    assert str(caught.value).startswith(f"unknown key {key}")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="unknown key gbdt.round"):
        with_values(Settings(), {"gbdt.round": 3})
