"""`recsys reviews --propose-terms`: what it prints, that the list stays, and what it says where there is nothing to propose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from features.reviews.aspects import AspectList
from recsys.apps.reviews import proposals
from recsys.apps.reviews.proposals import NO_REVIEWS
from tests.recsys.calls import Command
from tests.recsys.conftest import Place

ROW = {"item_id": "sku-00", "rating": 5}
SAYS = [f"Sweet carrot roll, tea@example.org. Box {number}." for number in range(25)]  # in words that the tiny encoder reads


@pytest.fixture
def writing(spare: Place) -> Callable[[list[str]], Path]:
    """Ingests the tiny shop with reviews of these texts; returns its workspace."""

    def ingest(texts: list[str]) -> Path:
        rows = [ROW | {"text": text, "user_id": f"writer-{number}"} for number, text in enumerate(texts)]
        pl.DataFrame(rows).write_csv(spare.folder / "reviews.csv")
        spare.shop.ingest(items=spare.items, interactions=spare.log, reviews=spare.folder / "reviews.csv")
        return spare.workspace.root

    return ingest


def test_a_person_reads_terms_and_the_lines_that_accept_them(
    writing: Callable[[list[str]], Path], command: Command, tmp_path: Path
) -> None:
    said = command("reviews", "--propose-terms", workspace=writing(SAYS))
    assert said.code == 0, said
    assert said.out.startswith("50 sentences of 25 reviews\n")
    assert any(line.split("“")[0].split()[-2:] == ["carrot", "25"] for line in said.out.splitlines()), said.out
    assert "tea@example.org" not in said.out
    start = said.out.index("extends = true")
    (tmp_path / "aspects.toml").write_text(said.out[start:])
    new = AspectList.of_file(tmp_path / "aspects.toml")
    assert "carrot" in [term.text for aspect in new.aspects for term in aspect.terms]
    assert new.names == AspectList.packaged().names, "no aspect is new"


def test_accepted_terms_are_not_proposed_again_and_the_file_is_not_written(
    writing: Callable[[list[str]], Path], command: Command, tmp_path: Path
) -> None:
    workspace, file = writing(SAYS), tmp_path / "aspects.toml"
    file.write_text('[[aspect]]\nname = "noise"\nterms = ["carrot", "hum"]\n')
    with (tmp_path / "tiny.toml").open("a") as config:
        config.write(f'\n[reviews]\naspects = "{file}"\n')
    before = file.read_bytes()
    answer = command("reviews", "--propose-terms", "--json", workspace=workspace).answer
    assert file.read_bytes() == before
    assert "roll" in [term["term"] for term in answer["terms"]]
    assert "carrot" not in [term["term"] for term in answer["terms"]]
    assert answer["toml"].startswith('# The file has the aspect "noise": add to its terms')
    assert answer["file"] == str(file)


def test_json_has_counts_and_an_example(writing: Callable[[list[str]], Path], command: Command) -> None:
    copies = ["Green tea, rye loaf, oat loaf, paper towel."] * 30
    foreign = [f"Przesyłka dotarła szybko, świetnie zapakowana, jestem zadowolony, numer {number}." for number in range(30)]
    answer = command("reviews", "--propose-terms", "--json", workspace=writing([*SAYS, *copies, *foreign])).answer
    assert (answer["left_out"], answer["reviews"], answer["unread"]) == (29, 26, 30)
    assert answer["why_none"] is None
    assert not {"loaf", "towel"} & {term["term"] for term in answer["terms"]}, "copies count once"
    (term,) = [term for term in answer["terms"] if term["term"] == "carrot"]
    assert (term["reviews"], set(term)) == (25, {"aspect", "term", "similarity", "reviews", "example"})
    assert term["example"].startswith("Sweet carrot roll, [mail]")


@pytest.mark.parametrize(
    ("texts", "least", "why"),
    [
        (SAYS[:19], 0.35, "no word or pair of words that no aspect has stands in at least 20 reviews; more reviews are needed"),
        (SAYS, 2.0, "frequent words and pairs that no aspect has are near no aspect"),
        (["\N{FIRE}\N{FIRE}", "Przesyłka dotarła szybko, świetnie zapakowana, jestem zadowolony."] * 20, 0.35, "no sentence is read"),
    ],
)
def test_without_proposals_it_says_why(
    writing: Callable[[list[str]], Path], command: Command, monkeypatch: pytest.MonkeyPatch, texts: list[str], least: float, why: str
) -> None:
    monkeypatch.setattr(proposals, "LEAST", least)
    said = command("reviews", "--propose-terms", workspace=writing(texts))
    assert said.code == 0
    assert why in " ".join(said.out.split())
    assert "[[aspect]]" not in said.out


def test_a_shop_without_reviews_is_told_how_to_get_them(ready: Place, command: Command) -> None:
    assert command("reviews", "--propose-terms", workspace=ready.workspace.root).error == f"error: {NO_REVIEWS}"


@pytest.mark.parametrize(
    "other", [("--item", "sku-01"), ("--brand", "acme"), ("--category", "tea"), ("--aspect", "price"), ("--alerts",), ("--searches",)]
)
def test_it_goes_alone(command: Command, other: tuple[str, ...]) -> None:
    said = command("reviews", "--propose-terms", *other)
    assert (said.code, said.out) == (2, "")
    assert "--propose-terms" in said.err
