"""The list of aspects: the packaged one, a shop's own, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from features.errors import DataError
from features.reviews.aspects import AspectList
from features.reviews.mentions import UNSPACED

HOUSE = ("delivery", "price", "quality", "size and fit", "material", "appearance", "ease of use", "service")


def of(text: str, folder: Path) -> AspectList:
    path = folder / "aspects.toml"
    path.write_text(text, encoding="utf-8")
    return AspectList.of_file(path)


def test_the_packaged_list_covers_a_general_shop() -> None:
    packaged = AspectList.packaged()
    assert set(HOUSE) <= set(packaged.names)
    assert 10 <= len(packaged.names) <= 14
    for aspect in packaged.aspects:
        languages = {term.language for term in aspect.terms}
        assert languages == {"english", "german", "french", "spanish", UNSPACED}
        assert len(aspect.examples) >= 3


def test_the_examples_mention_their_aspects() -> None:
    packaged = AspectList.packaged()
    texts = [(aspect.name, text) for aspect in packaged.aspects for text in aspect.examples]
    mentions = packaged.mentions(pl.Series([text for _, text in texts]))
    right = {texts[row][0] for row, aspect in mentions.select("sentence", "aspect").rows() if texts[row][0] == aspect}
    assert right == set(packaged.names)


def test_a_shops_list_replaces_the_packaged_one(tmp_path: Path) -> None:
    own = of('[[aspect]]\nname = "tone"\nterms = ["tone", "sounds"]\nexamples = ["A warm tone."]\n', tmp_path)
    assert own.names == ("tone",)
    assert own.mentions(pl.Series(["Tones are warm", "it sounded fine", "good price"]))["sentence"].to_list() == [0, 1]


def test_or_it_extends_it(tmp_path: Path) -> None:
    own = of(
        'extends = true\n[[aspect]]\nname = "price"\nterms = ["deal"]\ndrop = ["=worth"]\n[[aspect]]\nname = "tone"\nterms = ["tone"]\n',
        tmp_path,
    )
    assert own.names == (*AspectList.packaged().names, "tone")
    aspects = own.mentions(pl.Series(["a great deal", "worth it", "warm tone", "cheap"])).select("sentence", "aspect").rows()
    assert aspects == [(0, "price"), (2, "tone"), (3, "price")]


def test_plain_terms_count_in_every_language(tmp_path: Path) -> None:
    own = of('language = "german"\n[[aspect]]\nname = "ton"\nterms = ["klang"]\n', tmp_path)
    assert own.mentions(pl.Series(["the klang is good and this is it"])).height == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[aspect]\nname", r"is not TOML \(.*line 1.*expected \[\[aspect\]\] tables"),
        ("", r"has no \[\[aspect\]\], expected .*: add one"),
        ('aspect = "price"', r"has no \[\[aspect\]\]"),
        ('[[aspects]]\nname = "a"', "has the key 'aspects', expected extends, language, aspect"),
        ('[[aspect]]\nterms = ["a"]', "aspect 1 has no name"),
        ('[[aspect]]\nname = "a"\nterm = ["a"]', "aspect 'a' has the key 'term', expected name, terms, examples, drop"),
        ('[[aspect]]\nname = "a"', "aspect 'a' has no terms"),
        ('[[aspect]]\nname = "a"\nterms = "price"', "terms is 'price', expected a list of texts"),
        ('[[aspect]]\nname = "a"\nterms = [1]', r"terms is \[1\], expected a list of texts"),
        ('[[aspect]]\nname = "a"\nterms = ["!?"]', "the term '!\\?' has no letter or digit"),
        ('[[aspect]]\nname = "a"\nterms.klingon = ["x"]', "there is no language 'klingon', expected one of "),
        ('language = "xx"\n[[aspect]]\nname = "a"\nterms = ["x"]', "there is no language 'xx'"),
        ('extends = "yes"\n[[aspect]]\nname = "a"\nterms = ["x"]', "extends is 'yes', expected true or false"),
        ('[[aspect]]\nname = "a"\nterms = ["x"]\n[[aspect]]\nname = "a"\nterms = ["y"]', "aspect 'a' stands twice"),
        ('[[aspect]]\nname = "a"\nterms = ["x"]\n[[aspect]]\nname = "b"\nterms = ["X"]', "the term 'X' stands under 'a' and 'b'"),
        ('extends = true\n[[aspect]]\nname = "price"\ndrop = ["xyz"]', "drop names 'xyz', which is no term of the packaged aspect"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        of(text, tmp_path)
    assert "\n" not in str(caught.value)
    assert "aspects.toml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.toml"):
        AspectList.of_file(tmp_path / "nothing.toml")


def test_a_file_that_is_no_text_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "aspects.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is not TOML"):
        AspectList.of_file(path)
