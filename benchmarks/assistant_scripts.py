"""Writes dialogues with known right outcomes over Complete Journey, from the wordings of assistant_wordings.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
from babel.dates import format_date

from benchmarks.assistant_shop_facts import ShopFacts
from eval.search.variations import misspelt
from eval.simulation.help_shop.shop import HelpShop

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.recommend.pipeline import Recommender

WORDINGS = tomllib.loads((Path(__file__).parent / "assistant_wordings.toml").read_text(encoding="utf-8"))
# Of the dialogues; customers of the last three are fewer.
LANGUAGES = {"en": 0.6, "de": 0.2, "fr": 0.07, "es": 0.07, "zh": 0.06}
TYPING_ERRORS = 0.1  # of the messages that may have them
MISTYPED = ("find", "cheaper", "more", "without", "its_price", "human", "thanks", "recommend", "order_last", "compare")
Half = Literal["development", "kept_back", "fresh"]
_FRESH = tomllib.loads((Path(__file__).parent / "assistant_wordings_fresh.toml").read_text(encoding="utf-8"))


@dataclass
class Script:
    """Writes one dialogue."""

    facts: ShopFacts
    rng: Random
    language: str
    half: Half
    turns: list[dict[str, Any]] = field(default_factory=list)
    user: str | None = None
    product: dict[str, Any] = field(default_factory=dict)

    def say(self, step: str, expect: dict[str, Any], **values: Any) -> None:
        """Add a turn in one of the wordings of a step."""
        text = self.rng.choice(_wordings(step, self.language, self.half)).format(**values)
        if step in MISTYPED and self.language in ("en", "de") and self.rng.random() < TYPING_ERRORS:
            text = misspelt(text, self.rng.randrange(1000)) or text
        self.turns.append({"say": text, "expect": expect})

    def find(self) -> None:
        """Look for a product, in one of several ways."""
        self.product = self.rng.choice([one for one in _products(self.half) if self.language in one])
        name, titles = self.rng.choice(self.product[self.language]), self.product["titles"]
        expect: dict[str, Any] = {"command": "find_products", "titles": titles}
        way = self.rng.random()
        if way < 0.12:
            price = self.facts.price(titles, 0.5)
            self.say("find_below", expect | {"max_price": price}, product=name, price=f"{price:g}")
        elif way < 0.24 and self.language in self.product.get("word", {}):
            self.say("find_without", expect | {"without": self.product["without"]}, product=name, word=self.product["word"][self.language])
        else:
            self.say("find", expect, product=name)

    def narrow(self, *kinds: str) -> None:
        """Narrow the search."""
        titles, languages = self.product["titles"], self.product.get("word", {})
        for kind in kinds:
            expect: dict[str, Any] = {"command": "find_products", "titles": titles}
            if kind == "without" and self.language in languages:
                self.say("without", expect | {"without": self.product["without"]}, word=languages[self.language])
            elif kind in ("below", "above"):
                price = self.facts.price(titles, 0.6 if kind == "below" else 0.3)
                bound = {"max_price" if kind == "below" else "min_price": price}
                self.say(kind, expect | bound, price=f"{price:g}")
            elif kind == "cheaper":
                self.say("cheaper", expect | {"cheaper": True})
            elif kind == "in_stock":
                self.say("in_stock", expect)
            else:
                self.say("more", expect | {"new": True})

    def nth(self, step: str, n: int, **expect: Any) -> None:
        """Name a product by its place in the list."""
        self.say(step, {"command": ["show_product", "ask_product"], "item": n} | expect, n=n, nth=self._nth(n))

    def compare(self, n: int, m: int) -> None:
        """Compare two products of the list."""
        values = {"n": n, "m": m, "nth": self._nth(n), "mth": self._nth(m)}
        self.say("compare", {"command": "compare_products", "compared": [n, m]}, **values)

    def of_it(self, n: int) -> None:
        """Ask something about the product that the dialogue is about."""
        step = self.rng.choice(("its_price", "its_brand", "its_stock", "unsaid"))
        expect = {"its_price": {"states": "price"}, "its_brand": {"states": "brand"}, "unsaid": {"answered": False}}
        self.say(step, {"command": "ask_product", "item": n} | expect.get(step, {"answered": True}))

    def _nth(self, n: int) -> str:
        return WORDINGS["nths"][self.language][n - 1]

    def _mine(self, questions: pl.DataFrame) -> pl.DataFrame:
        """Return the questions of the half and the language."""
        numbered, language = questions.with_row_index(), self.language if self.language in ("en", "de") else "en"
        return numbered.filter((pl.col("language") == language) & (pl.col("index") % 2 == (self.half == "kept_back")))

    def help(self) -> None:
        """Ask something that a help page answers, in one of its paraphrases; a customer of another language in English."""
        shop = _help_shop()
        asked = _fresh_questions(self.language) if self.half == "fresh" else self._mine(shop.questions)
        row = asked.row(self.rng.randrange(asked.height), named=True)
        page = shop.pages.question[row["row"]]
        self.turns.append({"say": row["text"], "expect": {"command": "answer_question", "page": page}})

    def no_help(self) -> None:
        """Ask something that no help page answers."""
        asked = _fresh_unanswered(self.language) if self.half == "fresh" else self._mine(_help_shop().unanswered)
        self.turns.append({"say": asked["text"][self.rng.randrange(asked.height)], "expect": {"answered": False}})

    def courtesy(self, step: str) -> None:
        """Greet, thank or say goodbye."""
        self.say(step, {"command": "small_talk"})

    def order(self, step: str) -> None:
        """Ask what an order held."""
        known = self.facts.orders
        if self.user is None:
            row = known.filter("last").row(self.rng.randrange(known.filter("last").height), named=True)
            self.user = row["id"]
        mine = known.filter(pl.col("id") == self.user)
        mine = mine.filter("last") if step == "order_last" else mine
        row = mine.row(self.rng.randrange(mine.height), named=True)
        day = datetime.fromtimestamp(row["time"], UTC).date()
        held = re.escape(row["titles"][0].split("  ")[0])
        expect = {"command": "start_flow", "text": f"(?s)(?=.*{day.isoformat()})(?=.*{held})(?=.*{len(row['titles'])})"}
        self.say(step, expect, date=self._date(day))

    def _date(self, day: date) -> str:
        ways = [format_date(day, "long", locale=self.language), day.isoformat()]
        if self.language == "de":
            ways.append(f"{day:%d.%m.%Y}")
        if self.language == "en":
            ways.append(f"{day.day} {day:%B %Y}")
        return self.rng.choice(ways)

    def number(self, step: str, **expect: Any) -> str:
        """Name an order number."""
        number = f"{self.rng.choice(('A', 'BX', ''))}{self.rng.randrange(10_000, 99_999)}"
        self.say(step, {"command": "set_slot", "flow": "exchange", "slot": {"order": number}, "asked_slot": "size"} | expect, order=number)
        return number


def _narrow(script: Script) -> None:
    script.find()
    rng = script.rng
    script.narrow(*rng.sample(("cheaper", "below", "above", "without", "more", "in_stock"), rng.randint(2, 4)))
    if rng.random() < 0.3:
        script.courtesy("thanks")


def _for_whom(script: Script) -> None:
    first, second = script.rng.sample(WORDINGS["whom"], 2)
    script.product = first
    script.say("find", {"command": "find_products", "titles": first["titles"]}, product=first["food"][script.language])
    script.say("for_whom", {"command": "find_products", "titles": second["titles"]}, whom=second[script.language])
    script.product = second
    script.narrow(script.rng.choice(("more", "below")))


def _subject(script: Script) -> None:
    script.find()
    n = script.rng.randint(1, 5)
    step = script.rng.choice(("nth", "nth_price", "nth_brand"))
    script.nth(step, n, **({} if step == "nth" else {"states": step.removeprefix("nth_")}))
    for _ in range(script.rng.randint(1, 2)):
        script.of_it(n)
    if script.rng.random() < 0.4:
        script.narrow("more")


def _compare(script: Script) -> None:
    script.find()
    n, m = script.rng.sample(range(1, 6), 2)
    script.compare(n, m)
    script.nth("nth_price", n, states="price")
    if script.rng.random() < 0.5:
        script.courtesy("thanks")


def _help(script: Script) -> None:
    if script.rng.random() < 0.5:
        script.courtesy("greeting")
    script.help()
    script.no_help() if script.rng.random() < 0.4 else script.help()
    script.courtesy(script.rng.choice(("thanks", "goodbye")))


def _help_and_products(script: Script) -> None:
    script.find()
    script.help()
    script.narrow("more") if script.rng.random() < 0.5 else script.nth("nth", script.rng.randint(1, 5))
    if script.rng.random() < 0.5:
        script.help()


def _orders(script: Script) -> None:
    if script.rng.random() < 0.2:  # a visitor
        script.say("order_last", {"command": "start_flow", "flow": "", "not_text": r"\d"})
        script.find()
        script.courtesy("thanks")
        return
    script.order("order_last")
    script.order("order_date")
    if script.rng.random() < 0.6:
        script.order("order_other")
    script.courtesy("thanks")


def _exchange(script: Script) -> None:
    script.user = str(script.facts.orders["id"][script.rng.randrange(100)])
    begun = {"command": "start_flow", "flow": "exchange", "asked_slot": "order"}
    script.say("exchange", begun)
    number, way = script.number("order_number"), script.rng.random()
    if way < 0.4:
        number = script.number("correct_order")
    elif way < 0.7:  # something else, and back
        script.help()
        script.turns[-1]["expect"]["flow"] = "exchange"
    if script.rng.random() < 0.25:
        script.say("cancel", {"command": "cancel_flow", "flow": ""})
        script.courtesy("goodbye")
        return
    size = script.rng.choice(("S", "M", "L", "XL", "42"))
    script.say("size", {"command": "set_slot", "flow": "", "text": f"(?s)(?=.*{number})(?=.*{size})"}, size=size)


def _recommend(script: Script) -> None:
    if script.rng.random() < 0.5:
        script.user = str(script.facts.orders["id"][script.rng.randrange(100)])
    script.product = {"titles": "."}
    script.say("recommend", {"command": "find_products", "titles": "."})
    script.nth("nth", script.rng.randint(1, 5))
    script.narrow("more")


def _hand_over(script: Script) -> None:
    script.courtesy("greeting") if script.rng.random() < 0.5 else script.find()
    if script.rng.random() < 0.5:
        script.help()
    reason = script.rng.choice(("human", "angry", "safety", "money"))
    script.say(reason, {"command": "hand_over", "hand_over": reason})
    script.say("find", {"hand_over": reason}, product=script.rng.choice(_products(script.half)[0][script.language]))


def _failures(script: Script) -> None:
    steps = [script.rng.choice(("gibberish", "weather")) for _ in range(3)]
    for place, step in enumerate(steps):
        script.say(step, {"hand_over": "failures" if place == 2 else None} | ({"answered": False} if place < 2 else {}))


KINDS: dict[str, tuple[int, Callable[[Script], None]]] = {
    "narrow": (50, _narrow),
    "for_whom": (10, _for_whom),
    "subject": (50, _subject),
    "compare": (20, _compare),
    "help": (45, _help),
    "help_and_products": (25, _help_and_products),
    "orders": (25, _orders),
    "exchange": (30, _exchange),
    "recommend": (10, _recommend),
    "hand_over": (24, _hand_over),
    "failures": (11, _failures),
}


def scripted(recommender: Recommender, half: Half, seed: int) -> list[dict[str, Any]]:
    """Return half of the dialogues, as lines of a file of dialogues."""
    facts, lines = ShopFacts(recommender), []
    for kind, (count, write) in KINDS.items():
        mine = (count + (half == "development")) // 2
        languages = _languages(mine, Random(f"{seed} {kind} {half}"))
        for number, language in enumerate(languages):
            script = Script(facts, Random(f"{seed} {kind} {half} {number}"), language, half)
            write(script)
            name = f"{kind} {number + 1} {half}"
            lines.append({"name": name, "kind": kind, "language": language, "user": script.user, "turns": script.turns})
    return lines


def _languages(count: int, rng: Random) -> list[str]:
    names = [name for name, share in LANGUAGES.items() for _ in range(round(share * count))]
    names += ["en"] * (count - len(names))
    rng.shuffle(names)
    return names[:count]


def _wordings(step: str, language: str, half: Half) -> list[str]:
    return _FRESH[step][language] if half == "fresh" else WORDINGS[step][language][half == "kept_back" :: 2]


def _products(half: Half) -> list[dict[str, Any]]:
    return (_FRESH if half == "fresh" else WORDINGS)["products"]


def _fresh_questions(language: str) -> pl.DataFrame:
    german = language == "de"  # the later half of the pages
    return pl.DataFrame(_FRESH["help"]).filter((pl.col("row") >= len(_help_shop().pages) // 2) == german)


def _fresh_unanswered(language: str) -> pl.DataFrame:
    (one,) = (one for one in _FRESH["no_help"] if one["language"] == ("de" if language == "de" else "en"))
    return pl.DataFrame({"text": one["text"]})


@cache
def _help_shop() -> HelpShop:
    return HelpShop.load()
