"""Copy: facts and where they come from, lengths, banned words, faults, and requests that cannot be answered."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.copy_checker import KINDS, Words, faults, true_wordings
from features.data.catalog import Catalog
from features.errors import DataError
from recsys.apps.campaigns.copy.banned import Banned
from recsys.apps.campaigns.copy.facts import facts_of_item
from recsys.apps.campaigns.copy.request import CHANNELS, LANGUAGES, TONES, CopyRequest
from recsys.apps.campaigns.copy.texts import FORMS, texts_of
from recsys.apps.campaigns.copy.writer import CopyWriter
from recsys.recommend import open
from recsys.settings.apps.campaign_copy import CopyConfig
from recsys.wording.chat_server import ChatServer
from recsys.wording.facts import Fact, FactKind
from recsys.wording.rephraser import Rephraser
from recsys.wording.template import Template
from tests.recsys.wording.servers import chat

TITLE = Fact("title", "Green tea", FactKind.NAME, "catalogue", "a")
PRICE = Fact("price", Decimal("2.79"), FactKind.MONEY, "catalogue", "a", "EUR")


@pytest.fixture(scope="module")
def recommender(ready: Any) -> Any:
    return open.open_recommender(ready.workspace)


def writer(**config: Any) -> CopyWriter:
    return CopyWriter(CopyConfig(**config), Banned.of())


def test_each_variant_states_facts_and_names_them(recommender: Any) -> None:
    found = writer(currency="USD").write(CopyRequest("sku-01"), recommender)
    assert {one.form for one in found.variants} == set(FORMS)
    assert [one.name for one in found.variants][:3] == ["subject-1", "subject-2", "subject-3"]
    for one in found.variants:
        assert one.facts[0].name == "title" or one.form == "subject"
        assert all(fact.value in one.text or fact.name == "price" for fact in one.facts)
        assert {fact.source for fact in one.facts} == {"catalogue"}
    assert any("$1.99" in one.text for one in found.variants)
    assert found.notes == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text(language: str) -> None:
    texts, english = texts_of(language), texts_of("en")
    assert texts.aspects.keys() == english.aspects.keys()
    assert texts.tones.keys() == english.tones.keys() >= set(TONES.values())
    known = {"title", "brand", "price", "category", "attribute", "value", "share", "mentions", "aspect", "offer"}
    for forms in texts.tones.values():
        assert set(forms) == set(FORMS)
        for template in (one for templates in forms.values() for one in templates):
            assert Template.of(template).names <= known
            assert not Banned.of().found(template)


def test_lengths_are_kept_and_what_is_left_out_is_said() -> None:
    long = Fact("title", "x" * 50, FactKind.NAME, "catalogue", "a")
    made, notes = writer().variants("subject", texts_of("en").tones["any"]["subject"], [long, PRICE], "en")
    assert [one.text for one in made] == [f"{'x' * 50} for €2.79", "x" * 50, f"For you: {'x' * 50}"]
    short, notes = writer(subject_length=55).variants("subject", texts_of("en").tones["any"]["subject"], [long, PRICE], "en")
    assert [one.text for one in short] == ["x" * 50]  # without the price, which does not fit
    assert "the shortest has 59" in notes[0]
    with pytest.raises(DataError, match=r"no text may be sent: 2 of 2 variants of the subject .* raise campaign_copy\.subject_length"):
        writer(subject_length=10, text_length=40, push_length=10, sms_length=10).write(CopyRequest(offer="y" * 90), None)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "nothing to write of"),
        ({"offer": " "}, "the offer has 0 characters"),
        ({"offer": "x" * 50_000}, "the offer has 50,000 characters"),
        ({"item": "a", "language": "it"}, "there is no language 'it'"),
        ({"item": "a", "segment": "lojal"}, "did you mean 'loyal'"),
        ({"item": "a", "channel": "fax"}, "expected one of email, push, sms"),
    ],
)
def test_a_request_that_cannot_be_answered_is_one_line(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem) as error:
        CopyRequest(**options)
    assert "\n" not in str(error.value)


def test_an_unknown_item_and_one_without_a_price_are_said(recommender: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="item 'sku-99' is not in the catalogue"):
        writer().write(CopyRequest("sku-99"), recommender)
    facts = [fact for fact in facts_of_item(recommender, "sku-01", {}, None) if fact.name != "price"]
    monkeypatch.setattr("recsys.apps.campaigns.copy.writer.facts_of_item", lambda *_: facts)
    found = writer().write(CopyRequest("sku-01"), recommender)
    assert found.notes == ("item sku-01 has no price in the catalogue: no text states one",)
    assert not any("1.99" in one.text or "costs" in one.text for one in found.variants)


def test_a_price_comes_from_the_catalogue_alone(recommender: Any) -> None:
    """Where the catalogue has none, the median paid is what the ranker reads, and no letter may name it."""
    snapshot = recommender.snapshot
    bare = Catalog.from_frame(snapshot.catalog.frame.with_columns(price=pl.lit(None, pl.Float64)))
    unpriced = replace(recommender, snapshot=replace(snapshot, catalog=bare))
    assert unpriced.snapshot.prices[1] > 0
    assert "price" not in {fact.name for fact in facts_of_item(unpriced, "sku-01", {}, None)}
    assert writer().write(CopyRequest("sku-01"), recommender).notes[0].startswith("amounts are written without a currency")


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_channel_has_its_forms_alone(channel: str) -> None:
    found = writer().write(CopyRequest(offer="10% off all teas", channel=channel), None)
    assert {one.form for one in found.variants} == set(CHANNELS[channel])


@pytest.mark.parametrize(
    ("text", "facts", "banned"),
    [
        ("The best tea.", "tea", ["best"]),
        ("BEST tea", "tea", ["best"]),
        ("Sugar free gum for you", "Sugar free gum", []),
        ("Sugar free gum, free for you", "Sugar free gum", ["free"]),
        ("Freedom and bestsellers", "", []),
        ("Nur heute: Tee", "Tee", ["nur heute"]),
        ("同类最好", "", ["最好"]),
        ("a cheap thing", "a cheap thing", ["cheap"]),
    ],
)
def test_banned_words(tmp_path: Path, text: str, facts: str, banned: list[str]) -> None:
    own = tmp_path / "words.txt"
    own.write_text("# ours\ncheap\n\n", encoding="utf-8")
    assert Banned.of(own).found(text, facts) == banned


@pytest.mark.parametrize(("content", "problem"), [(b"", "holds no word"), (b"# none\n", "holds no word"), (b"\xff\xfe\x00", "not UTF-8")])
def test_a_file_of_banned_words_that_says_nothing_is_an_error(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=problem):
        Banned.of(path)


def test_a_text_with_a_banned_word_is_left_out_and_said(tmp_path: Path) -> None:
    own = tmp_path / "words.txt"
    own.write_text("for you\n", encoding="utf-8")
    made, notes = CopyWriter(CopyConfig(), Banned.of(own)).variants("subject", texts_of("en").tones["any"]["subject"], [TITLE, PRICE], "en")
    assert [one.text for one in made] == ["Green tea for €2.79", "Green tea"]
    assert notes == ["variants of the subject are left out for banned words: 'for you'"]


def test_faults_of_every_kind_are_caught() -> None:
    words = Words.read()
    judged = [(kind, writer().problems(text, message, 10_000)) for kind, message, text in faults(words, 180, 1)]
    assert {kind for kind, _ in judged} == set(KINDS)
    assert sum(not problems for _, problems in judged) <= 1
    true = [(text, writer().problems(text, message, 10_000)) for message, text in true_wordings(words)]
    assert sum(bool(problems) for _, problems in true) <= 0.1 * len(true)


def test_a_language_model_writes_what_the_facts_say_and_no_more() -> None:
    template = texts_of("en").tones["any"]["text"][0]
    good = "We would like to show you Green tea, which costs €2.79."
    for reply, used in (
        (good, True),
        ("We would like to show you Green tea, the best. It costs €2.79.", False),
        ("Green tea costs €1.79.", False),
    ):
        with chat(lambda server, _, reply=reply: server.say(reply)) as (address, _seen):
            speaking = CopyWriter(CopyConfig(), Banned.of(), Rephraser(ChatServer(address, "m")))
            (made,), _ = speaking.variants("text", [template], [TITLE, PRICE], "en")
        assert made.reworded == used
        assert made.text == (good if used else "We would like to show you Green tea. It costs €2.79.")
