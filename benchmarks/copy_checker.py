"""How many faults injected into texts of campaigns the checks catch, and how many true rewordings they refuse.

    python -m benchmarks.copy_checker [--texts 1000] [--seed 0] [--show]

Each text is a packaged template over made products in one of five languages, with one fault put in: a number, an amount, a currency, a
unit, a product's name, a brand, a negation, a sentence that claims something, or a word that does. A text without a fault is accepted, so a
fault alone is what is caught. True rewordings are written by hand in `campaign_wordings.toml`, and nothing is tuned on them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binomtest

from recsys.apps.campaigns.copy.banned import Banned
from recsys.apps.campaigns.copy.request import LANGUAGES
from recsys.apps.campaigns.copy.texts import FORMS, texts_of
from recsys.apps.campaigns.copy.writer import CopyWriter, fitting
from recsys.settings.apps.campaign_copy import CopyConfig
from recsys.wording.facts import Fact, FactKind
from recsys.wording.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.wording.message import Message

FILE = Path(__file__).parent / "campaign_wordings.toml"
UNITS = {" g": " kg", " ml": " l", " cm": " m", " kg": " g", " l": " ml", " W": " kW"}
CURRENCIES = {"€": "$", "$": "£", "£": "€", "US$": "€"}
KINDS = ("number", "amount", "currency", "unit", "name", "brand", "negation", "claim", "word")


@dataclass(frozen=True)
class Words:
    """What the data file holds: products, and by language negations, claims and true rewordings."""

    table: dict[str, Any]

    @classmethod
    def read(cls) -> Words:
        """Read the data file."""
        return cls(tomllib.loads(FILE.read_text(encoding="utf-8")))

    def facts(self, number: int, language: str, *, praised: bool = True) -> list[Fact]:
        """Return the facts of a product."""
        products = self.table["products"]
        title, brand, price, currency, category, attribute, value = products[number % len(products)]
        item, aspects = f"item-{number}", texts_of(language).aspects
        facts = [
            Fact("title", title, FactKind.NAME, "catalogue", item),
            Fact("brand", brand, FactKind.NAME, "catalogue", item),
            Fact("price", Decimal(price), FactKind.MONEY, "catalogue", item, currency),
            Fact("category", category, FactKind.TEXT, "catalogue", item),
            Fact("attribute", attribute, FactKind.TEXT, "catalogue", item),
            Fact("value", value, FactKind.TEXT, "catalogue", item),
        ]
        if praised:
            facts += [
                Fact("aspect", list(aspects.values())[number % len(aspects)], FactKind.TEXT, "reviews", item),
                Fact("mentions", 20 + 7 * number % 300, FactKind.NUMBER, "reviews", item),
                Fact("share", 80 + number % 20, FactKind.NUMBER, "reviews", item),
            ]
        return facts


def messages(words: Words) -> Iterator[Message]:
    """Yield texts of every language, tone and form, each of another product."""
    numbers = itertools.count()
    while True:
        for language in LANGUAGES:
            tones = texts_of(language).tones
            for tone, form in itertools.product((name for name in tones if name != "offer"), FORMS):
                for template in tones[tone][form]:
                    message, _ = fitting(template, words.facts(next(numbers), language), language, CopyConfig().length(form))
                    if message is not None:
                        yield message


def with_fault(message: Message, kind: str, words: Words, rng: np.random.Generator) -> str | None:
    """Return a text with a fault of one kind; None where the text has no place for it."""
    text, by_name = message.template_text, {fact.name: str(fact.value) for fact in message.facts}
    others = words.table["products"]
    other = others[int(rng.integers(len(others)))]
    if kind == "claim":
        claims = words.table[message.language]["claims"]
        return f"{text} {claims[int(rng.integers(len(claims)))]}"
    if kind == "word":  # of praise before the name, or "only" before the price
        of_name, of_price = words.table[message.language]["words"], words.table[message.language]["only"]
        price = next((piece.text for piece in message.pieces if piece.fact is not None and piece.fact.name == "price"), None)
        space = "" if message.language == "zh" else " "
        if price and rng.random() < 0.5:
            return text.replace(price, f"{of_price}{space}{price}", 1)
        return text.replace(by_name["title"], f"{of_name[int(rng.integers(len(of_name)))]}{space}{by_name['title']}", 1)
    if kind == "negation":
        found = [(before, after) for before, after in words.table[message.language]["negations"] if before in text]
        return text.replace(*found[int(rng.integers(len(found)))], 1) if found else None
    if kind in ("name", "brand"):
        mine, new = by_name.get("title" if kind == "name" else "brand"), other[0 if kind == "name" else 1]
        return text.replace(mine, new, 1) if mine and new != mine else None
    return _changed_value(text, kind, by_name, message, rng)


def _changed_value(text: str, kind: str, by_name: dict[str, str], message: Message, rng: np.random.Generator) -> str | None:
    price = next((piece.text for piece in message.pieces if piece.fact is not None and piece.fact.name == "price"), None)
    if kind == "currency" and price:
        sign = next((sign for sign in ("US$", *CURRENCIES) if sign in price), None)
        return text.replace(price, price.replace(sign, CURRENCIES[sign])) if sign else None
    if kind == "amount" and price:
        digits = [found.start() for found in re.finditer(r"\d", price)]
        place = digits[int(rng.integers(len(digits)))]
        new = str((int(price[place]) + 1 + int(rng.integers(8))) % 10)
        return text.replace(price, price[:place] + new + price[place + 1 :])
    if kind == "unit" and "value" in by_name:
        unit = next((unit for unit in UNITS if by_name["value"].endswith(unit)), None)
        return text.replace(by_name["value"], by_name["value"].removesuffix(unit) + UNITS[unit]) if unit else None
    if kind == "number":
        named = [by_name[name] for name in ("share", "mentions", "value", "title") if name in by_name and re.search(r"\d", by_name[name])]
        if named:
            mine = named[int(rng.integers(len(named)))]
            new = re.sub(r"\d+", lambda found: str(int(found[0]) + 1 + int(rng.integers(40))), mine, count=1)
            return text.replace(mine, new, 1)
    return None


def faults(words: Words, count: int, seed: int) -> Iterator[tuple[str, Message, str]]:
    """Yield kind, message and text with a fault; the kinds take turns."""
    rng, kinds, source = np.random.default_rng(seed), itertools.cycle(KINDS), messages(words)
    waiting = next(kinds)
    made = 0
    for message in source:
        if made == count:
            return
        text = with_fault(message, waiting, words, rng)
        if text is not None and text != message.template_text:
            yield waiting, message, text
            made, waiting = made + 1, next(kinds)


def true_wordings(words: Words) -> Iterator[tuple[Message, str]]:
    """Yield messages and hand-written rewordings of them, each over ten products."""
    templates = Templates.of()
    for language in LANGUAGES:
        for pair in words.table[language]["true"]:
            for number in range(10):
                facts = words.facts(number, language)
                message = templates.of_text(pair["text"], language, facts)
                for wording in pair["wordings"]:
                    yield message, templates.of_text(wording, language, facts).template_text


def row(name: str, hits: int, count: int, target: float | None = None) -> dict[str, Any]:
    """Return a share with its interval, and whether it keeps its target."""
    interval, ratio = binomtest(hits, count).proportion_ci(method="wilson"), hits / count
    kept = {} if target is None else {"target": target, "kept": ratio >= target}
    return {"name": name, "ratio": round(ratio, 4), "low": round(interval.low, 4), "high": round(interval.high, 4), "of": count} | kept


def main() -> None:
    """Print one JSON line a row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    words, writer = Words.read(), CopyWriter(CopyConfig(), Banned.of())
    judged = [(kind, m, text, writer.problems(text, m, 10_000)) for kind, m, text in faults(words, options.texts, options.seed)]
    caught = sum(bool(problems) for *_, problems in judged)
    print(json.dumps(row("campaign texts with a fault: caught", caught, len(judged), 0.99)))
    for kind in KINDS:
        mine = [problems for one, *_, problems in judged if one == kind]
        print(json.dumps(row(f"campaign texts with a fault: {kind}", sum(map(bool, mine)), len(mine))))
    true = [(message, text, writer.problems(text, message, 10_000)) for message, text in true_wordings(words)]
    print(json.dumps(row("true campaign texts: refused", sum(bool(problems) for *_, problems in true), len(true))))
    if options.show:
        for kind, message, text, problems in judged:
            if not problems:
                print(json.dumps({"missed": kind, "language": message.language, "text": text}, ensure_ascii=False))
        for message, text, problems in true[::10]:
            if problems:
                print(json.dumps({"refused": text, "of": message.template_text, "problems": problems}, ensure_ascii=False))


if __name__ == "__main__":
    main()
