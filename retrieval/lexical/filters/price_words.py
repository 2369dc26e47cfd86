"""Price limits in the words of a query: "under 3 dollars", "zwischen 5 und 10 Euro", "30元以下".

A number without a currency is a price only where nothing else can be meant: after words of comparison, at the end of the query, and not
beside words that measure ("size under 40") or name people ("toys for children under 5").
"""

from __future__ import annotations

import re
from typing import NamedTuple

_CURRENCIES = {
    "USD": r"\$|us ?\$|usd|dollars?|dolar(?:es)?|bucks?|美元|美金|ドル",
    "EUR": r"€|eur|euros?|欧元|歐元|ユーロ",
    "GBP": r"£|gbp|quid|pounds? sterling|英镑",
    "CNY": r"rmb|cny|yuan|元|块钱|块|塊|人民币",
    "JPY": r"¥|￥|jpy|yen|円|日元",
    "INR": r"₹|inr|rupees?",
    "CHF": r"chf|franken|francs?",
    "PLN": r"pln|zł(?:oty)?|zloty",
    "RUB": r"₽|rub|руб(?:ля|лей|ль)?\.?",
    "BRL": r"r\$|brl|reais|real",
    "KRW": r"₩|krw|원",
    "SEK": r"sek|kronor",
    "CENT": r"cents?|centimos?|centimes?|¢",
}
_NUMBER = r"\d+(?:[.,]\d{3})*(?:[.,]\d{1,2})?(?![.,]?\d)"
_UP_TO_TEN = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SPOKEN = {"a": 1, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "hundred": 100, "a hundred": 100}
_SPOKEN |= {word: value for value, word in enumerate(_UP_TO_TEN, 1)}
_ANY_CURRENCY = "|".join(spelling for spelling in _CURRENCIES.values())
_AFTER = rf"(?:{_ANY_CURRENCY})(?![a-z])"


def _amount(name: str) -> str:
    """An amount with a currency before or after it, or neither; a number in words needs one."""
    digits = rf"(?P<before{name}>{_ANY_CURRENCY})?\s?(?P<number{name}>{_NUMBER})(?:\s?(?P<after{name}>{_AFTER}))?"
    words = rf"(?P<spoken{name}>{'|'.join(sorted(_SPOKEN, key=len, reverse=True))})\s(?P<spokenafter{name}>{_AFTER})"
    return rf"(?:{digits}|{words})"


# Words that compare, and words that do so only beside a currency ("bis 5", "from 5").
_LESS = (
    r"(?:for |costing |priced? |preis |prix |precio |fur |por |pour |an? |zu |价格 ?)?"
    r"(?:under|below|beneath|less than|lower than|cheaper than|no more than|not more than"
    r"|at most|max(?:imum|imal)?\.?(?: of)?"
    r"|unter|hochstens|maximal|nicht (?:mehr als|uber)|weniger als|billiger als|gunstiger als"
    r"|moins(?: cher)? (?:de|que)|pas plus de|jusqu'a|au maximum|au plus|inferieure? a"
    r"|menos de|no mas de|mas baratos? (?:que|de)|por debajo de|como maximo|maximo"
    r"|meno di|al massimo|sotto i|abaixo de|no maximo|onder|minder dan|hooguit"
    r"|ponizej|mniej niz|tansze niz|дешевле|меньше|не дороже"
    r"|<=?|≤|不超过|最多|不超過|低于|低於|少于|少於|小于|便宜于)"
)
_LESS_IF_MONEY = r"(?:up to|within|till|until|bis(?: zu)?|sous|hasta|bajo|fino a|sotto|ate|tot|do|до)"
_MORE = (
    r"(?:above|over|more than|at least|no less than|min(?:imum|imal|destens)?\.?(?: of)?"
    r"|uber|mehr als|teurer als|plus de|au moins|mas de|al menos|por encima de|minimo"
    r"|piu di|almeno|acima de|pelo menos|mais de|boven|meer dan|minstens|vanaf"
    r"|>=?|≥|超过|超過|高于|高於|大于|至少)"
)
_MORE_IF_MONEY = r"(?:from|starting at|ab|a partir de|des|desde|da|sopra|от)"
_LESS_AFTER = (
    r"(?:or less|or under|or below|and under|and below|max(?:imum|imal)?|oder weniger|und weniger|hochstens"
    r"|ou moins|o menos|o meno|以下|以内|以內|之内|内|이하|미만)[的の]?"
)
_MORE_AFTER = r"(?:or more|and up|and above|and over|oder mehr|und mehr|ou plus|o mas|o piu|以上|起|이상)[的の]?"
_RANGE = (
    rf"(?:(?:between|from|zwischen|von|entre|de|tra|da)\s)?{_amount('low')}\s?(?:-|–|~|to|and|und|bis|et|a|y|e|到|至)\s?{_amount('high')}"
)
_RANGE_WORD = re.compile(r"(?:between|zwischen|entre|tra)\s")
_BEGIN, _END = r"(?<![\w.,])", r"(?![\w%°])"
_PATTERNS: tuple[tuple[str, bool, re.Pattern[str]], ...] = tuple(
    (kind, needs_currency, re.compile(pattern))
    for kind, needs_currency, pattern in (
        ("range", True, rf"{_BEGIN}{_RANGE}{_END}"),
        ("min", True, rf"{_amount('high')}\s?{_MORE_AFTER}"),
        ("max", True, rf"{_amount('high')}\s?{_LESS_AFTER}"),
        ("max", False, rf"(?<![a-z0-9]){_LESS}\s?{_amount('high')}{_END}"),
        ("max", True, rf"{_BEGIN}{_LESS_IF_MONEY}\s{_amount('high')}{_END}"),
        ("min", False, rf"(?<![a-z0-9]){_MORE}\s?{_amount('high')}{_END}"),
        ("min", True, rf"{_BEGIN}{_MORE_IF_MONEY}\s{_amount('high')}{_END}"),
    )
)
_MEASURED = re.compile(
    r"\b(?:size|sizes|grosse|talla|taille|taglia|age|aged|ages|kids?|child(?:ren)?|bab(?:y|ies)|toddlers?|women|men|adults?|people|seniors?|year|years"
    r"|weight|length|width|height|diameter|calories|kcal|sugar|fat|sodium|protein|spf|abv|alcohol|proof|volume|capacity|rated|rating|stars?|kinder"
    r"|frauen|manner|ninos|enfants|femmes|hommes|windows|ios|android)(?:\s+(?:for|of|is|are|und|and|the))?\s*$"
)
_REST = re.compile(r"\s*(?:[,;.!?)]|$|(?:please|bitte|and|und|in stock|auf lager|en stock|available|with|mit|with free|only)\b)")


class PriceLimit(NamedTuple):
    """A limit, and the part of the query that says it."""

    low: float | None
    high: float | None
    currency: str | None
    begin: int
    end: int


def price_limits(text: str) -> list[PriceLimit]:
    """Return the price limits of a folded text, in its order, without overlaps."""
    found: list[PriceLimit] = []
    for kind, needs_currency, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            limit = _limit(kind, match, needs_currency=needs_currency, text=text)
            if limit and all(limit.end <= other.begin or limit.begin >= other.end for other in found):
                found.append(limit)
    return sorted(found, key=lambda limit: limit.begin)


def _limit(kind: str, match: re.Match[str], *, needs_currency: bool, text: str) -> PriceLimit | None:
    high, currency = _value(match, "high")
    low = None
    if kind == "range":
        low, other = _value(match, "low")
        currency = currency or other
        needs_currency = not _RANGE_WORD.match(match[0])
        if low > high:
            return None
    measured = _MEASURED.search(text[: match.start()])
    if currency is None and (needs_currency or measured or not _REST.match(text, match.end())):
        return None
    if currency == "CENT":
        low, high, currency = (None if low is None else low / 100), high / 100, None
    if kind == "min":
        low, high = high, None
    return PriceLimit(low, high, currency, match.start(), match.end())


def _value(match: re.Match[str], name: str) -> tuple[float, str | None]:
    groups = match.groupdict()
    spoken = groups[f"spoken{name}"]
    value = float(_SPOKEN[spoken]) if spoken else _number(groups[f"number{name}"])
    words = groups[f"before{name}"] or groups[f"after{name}"] or groups[f"spokenafter{name}"]
    found = None if words is None else next(code for code, spelling in _CURRENCIES.items() if re.fullmatch(spelling, words))
    return value, found


def _number(text: str) -> float:
    """Return a number; a point or comma before three digits groups thousands, before one or two it begins the decimals."""
    whole, mark, decimals = re.fullmatch(r"(.*?)(?:([.,])(\d{1,2}))?", text).groups()  # pyright: ignore[reportOptionalMemberAccess]
    digits = re.sub(r"[.,]", "", whole)
    return float(f"{digits}.{decimals}" if mark else digits)
