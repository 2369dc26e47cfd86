"""Templates of all messages: the packaged languages, and a shop's own file."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from features.errors import DataError
from recsys.wording.facts import Fact, FactKind
from recsys.wording.keys import KEYS
from recsys.wording.message import joined
from recsys.wording.templates import PACKAGED, Templates

NAME = Fact("name", "Oat Milk", FactKind.NAME, about="1")
PRICE = Fact("price", Decimal("1219.9"), FactKind.MONEY, currency="EUR")
DATE = Fact("date", datetime.date(2026, 12, 3), FactKind.DATE)


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "templates.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_packaged_language_has_every_message() -> None:
    assert Templates.of(languages=PACKAGED).missing() == []
    texts = Templates.of().texts
    assert all(set(texts[language]) == set(KEYS) for language in PACKAGED)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "Oat Milk, €1,219.90"),
        ("de", "Oat Milk, 1.219,90 €"),
        ("fr", "Oat Milk, 1 219,90 €"),
        ("es", "Oat Milk, 1.219,90 €"),
        ("zh", "Oat Milk，€1,219.90"),
    ],
)
def test_prices_are_written_as_the_language_does(language: str, expected: str) -> None:
    assert Templates.of().write("product_line", NAME, PRICE, language=language).text == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "December 3, 2026"),
        ("de", "3. Dezember 2026"),
        ("fr", "3 décembre 2026"),
        ("es", "3 de diciembre de 2026"),
        ("zh", "2026年12月3日"),
    ],
)
def test_dates_are_written_as_the_language_does(language: str, expected: str) -> None:
    facts = (Fact("order", "17", FactKind.CODE), Fact("status", "ok", FactKind.TEXT), DATE)
    assert expected in Templates.of().write("order_status", *facts, language=language).text


def test_money_without_a_currency_is_a_number_of_two_decimals() -> None:
    fact = Fact("price", 2.5, FactKind.MONEY)
    assert Templates.of().write("product_line", NAME, fact, language="de").text == "Oat Milk, 2,50"


@pytest.mark.parametrize(("count", "expected"), [(1, "1 review of Oat Milk mentions it"), (3, "3 reviews of Oat Milk mention it")])
def test_counts_choose_the_plural(count: int, expected: str) -> None:
    facts = (NAME, Fact("count", count, FactKind.NUMBER), Fact("quote", "nice", FactKind.QUOTE))
    assert Templates.of().write("product_reviews", *facts).text.startswith(expected)


def test_yes_and_no_are_said_in_the_language() -> None:
    facts = (NAME, Fact("property", "vegan", FactKind.TEXT), Fact("value", False, FactKind.YES_NO))
    assert Templates.of().write("product_attribute", *facts, language="fr").text == "Oat Milk : la boutique indique non pour vegan."


@pytest.mark.parametrize(("wanted", "chosen"), [("de", "de"), ("de-AT", "de"), ("fr_CA", "fr"), ("it", "es"), (None, "es")])
def test_a_customer_is_answered_in_their_language_or_the_shops_first(wanted: str | None, chosen: str) -> None:
    assert Templates.of(languages=("es", "en")).write("thanks", language=wanted).language == chosen


def test_messages_stand_in_messages_and_keep_their_facts() -> None:
    templates = Templates.of()
    stock = templates.write("stock_count", Fact("count", 3, FactKind.NUMBER), language="de")
    line = templates.write("product_line", NAME, PRICE, language="de", stock=stock)
    message = templates.write("product_list", language="de", products=joined([line, line]))
    assert message.text == "Das habe ich gefunden:\nOat Milk, 1.219,90 €, 3 auf Lager\nOat Milk, 1.219,90 €, 3 auf Lager"
    assert [fact.name for fact in message.facts] == ["name", "price", "count"] * 2


def test_text_acts_neither_in_html_nor_in_markdown() -> None:
    message = Templates.of().write("product_line", Fact("name", "3 < 5 [x](http://y) *z* {price}", FactKind.NAME))
    assert message.text == "3 < 5 [x](http://y) *z* {price}"
    assert message.html == "3 &lt; 5 [x](http://y) *z* {price}"
    assert message.markdown == r"3 \< 5 \[x\]\(http://y\) \*z\* \{price\}"


def test_a_shops_file_overrides_and_adds(tmp_path: Path) -> None:
    path = own(
        tmp_path, '[en]\nthanks = "Any time!"\n[it]\nthanks = "Prego."\nstock_count = { one = "{count} pezzo", other = "{count} pezzi" }\n'
    )
    templates = Templates.of(path, ("it", "en"))
    assert templates.write("thanks", language="en").text == "Any time!"
    assert templates.write("thanks", language="it").text == "Prego."
    assert templates.write("stock_count", Fact("count", 2, FactKind.NUMBER), language="it").text == "2 pezzi"
    assert templates.write("sorry", language="it").language == "en"
    assert templates.missing() == [
        f"Italian lacks {len(KEYS) - 2} messages, such as 'greeting': they are said in English; "
        "add them below [it] in the file of assistant.templates"
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[en]\nthank = "x"', "[en] has an unknown key 'thank', did you mean 'thanks'?"),
        ('thanks = "x"', "'thanks' stands in no language, expected tables of languages"),
        ('[xx-yy-zz]\nthanks = "x"', "[xx-yy-zz] is no language, expected a tag such as en, de or pt-BR"),
        ('[en]\nhelp_answer = "read {link}"', "lacks the placeholder {quote}, expected it outside square brackets"),
        ('[en]\nhelp_answer = "{quote} {url}"', "has an unknown placeholder {url}, expected {link}, {quote}"),
        ('[en]\nhelp_answer = "{quote} {link}"', "has {link}, which may have no value: put the part that needs it in square brackets"),
        ('[en]\nthanks = "x {"', "'{' at character 3 has no partner"),
        ('[en]\nthanks = ""', "is '', expected a text"),
        ("[en]\nthanks = 3", "is 3, expected a text, or texts by plural"),
        ('[en]\nstock_count = { one = "{count}" }', "expected a text, or texts by plural such as"),
        ("[en\n", "is not TOML"),
    ],
)
def test_a_shops_file_is_refused_in_one_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(DataError) as error:
        Templates.of(own(tmp_path, text))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml cannot be read"):
        Templates.of(tmp_path / "none.toml")


def test_a_missing_value_is_named() -> None:
    with pytest.raises(DataError, match="message 'help_answer' lacks a value for 'quote': give a fact of that name"):
        Templates.of().write("help_answer")


def test_an_unknown_message_is_named() -> None:
    with pytest.raises(DataError, match="no message 'tanks', did you mean 'thanks'"):
        Templates.of().write("tanks")
