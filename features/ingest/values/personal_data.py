"""Personal data in texts that customers wrote: mails, phone numbers, card numbers and names, each replaced by what it was.

Only the few texts that a cheap search of the whole column finds are looked at. Names are found by the words around them, because a list
of names would take Amber, Rose and Will for persons; one that nothing introduces stays.

References
----------
Luhn's check of card numbers: ISO/IEC 7812-1. Phone numbers: Google's libphonenumber, in its port to Python.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

KINDS = {"mail": "mails", "phone": "phone numbers", "card": "card numbers", "name": "names"}  # with their plurals
MASKED = pl.Struct({"text": pl.String, **dict.fromkeys(KINDS, pl.UInt16)})
SINGULAR = {"mail": "mail", "phone": "phone number", "card": "card number", "name": "name"}

_AT = r"(?:@|\s?[(\[{]\s?(?:at|AT|a|arroba)\s?[)\]}]\s?)"
_DOT = r"(?:\.|\s?[(\[{]\s?(?:dot|DOT|punkt|point)\s?[)\]}]\s?)"
_MAIL = re.compile(rf"[\w.+%'-]*[\w+]{_AT}(?:[\w-]+{_DOT})+[^\W\d_]{{2,}}")
_CARD = re.compile(r"(?<![\d.,/-])\d(?:[ -]?\d){13,18}(?![\d/]|[.,-]\d)")
# Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay, Maestro, Mir.
_ISSUER = re.compile(
    r"4\d{15}|4\d{18}|(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)\d*|3[47]\d{13}|3[068]\d{12}|35\d{14}|6\d*|5[06-8]\d*|220[0-4]\d{12}"
)

_WORD = r"\p{Lu}[\p{L}'’-]*\p{L}"
_FULL_NAME = rf"{_WORD}(?:[ \u00a0](?:{_WORD}|\p{{Lu}}\.?)){{0,2}}"
# What introduces a name, wherever it stands. The name keeps its capital, so that "my name is on the box" is none.
_INTRODUCED = (
    r"(?i:\bmy (?:full |first )?name is|\bmy name's|\bi am called|\bi'm called|\bich hei(?:ß|ss)e|\bmein name ist"
    r"|\bje m['’]appelle|\bmon nom est|\bme llamo|\bmi nombre es|\bmi chiamo|\bil mio nome è|\bik heet|\bmijn naam is"
    r"|\bo meu nome é|\bnazywam się|\bmam na imię)[ :]+"
)
_TITLED = (
    r"\b(?:Mr|Mrs|Ms|Mx|Dr|Prof|Herrn?|Frau|Mme|Mlle|Monsieur|Madame|Señora?|Sra?\.|Sig\.ra|Sig\.|Signora?|Mevrouw|Meneer|Dhr\.)"
    r"\.?[ \u00a0]"
)
# What stands before a name at the end of a text. The first are said of a product too: "the best. Enjoy."
_OFTEN = r"(?:^|[.!?\n]\s*)(?i:best|love|cheers|danke|merci|gracias|grazie)\s*(?:[,–—-]\s*|\n\s*)"
_THANKS = r"(?i:\bthanks(?: again| so much| a lot)?|\bthank you(?: so much)?)\s*(?:[,–—-]\s*|\n\s*)"
_GREETING = (
    r"\b(?i:(?:best|kind|warm) (?:regards|wishes)|regards|sincerely|yours(?: truly| sincerely)?|greetings|mfg"
    r"|(?:viele|liebe|beste|schöne|freundliche|mit freundlichen) gr(?:ü|ue)(?:ß|ss)en?|lg|cordialement|bien à vous|saludos(?: cordiales)?"
    r"|un saludo|cordiali saluti|saluti|groet(?:en|jes)?|pozdrawiam|obrigad[oa])\s*(?:[,.!–—-]\s*|\n\s*)"
)
_DASH = r"(?:\n\s*|[.!?]\s+)[-–—~]{1,2}\s?"
_SIGNED = f"(?:{_OFTEN}|{_THANKS}|{_GREETING}|{_DASH})"
_END = r"\s*[.!]?\s*$"
_DIGITS = r"\d(?:[ \u{a0}()./–-]{0,3}\d){6,}"
# What a text with a mail, with a phone or card number, or with a name holds: expressions that Rust runs over all rows at once.
_SUSPECT_MAIL = r"@|[(\[{]\s?(?:at|AT|a|arroba)\s?[)\]}]"
_SUSPECT_NAME = rf"{_INTRODUCED}\p{{Lu}}|{_TITLED}\p{{Lu}}|{_SIGNED}{_FULL_NAME}{_END}"
_SUSPECT = f"{_SUSPECT_MAIL}|{_DIGITS}|{_SUSPECT_NAME}"


def masked(values: pl.Series, regions: Sequence[str], brands: frozenset[str] = frozenset()) -> pl.Series:
    """Return texts without personal data, and how many pieces of each kind a text held, as `MASKED`; a null stays null.

    Parameters
    ----------
    regions : countries (ISO 3166) whose phone numbers are known without a country code.
    brands : what looks like a name and is none, in lower case: the shop's brands, and titled names of its products ("dr. martens").
    """
    frame = pl.DataFrame({"text": values.cast(pl.String)})
    found = frame.filter(pl.col("text").str.contains(_SUSPECT))["text"].unique()
    nothing = {kind: pl.lit(0, pl.UInt16) for kind in KINDS}
    if not len(found):
        return frame.with_columns(**nothing).to_struct(values.name)
    kinds = [found.str.contains(pattern).to_list() for pattern in (_SUSPECT_MAIL, _DIGITS, _SUSPECT_NAME)]
    done = [_without(text, regions, brands, held) for text, held in zip(found.to_list(), zip(*kinds, strict=True), strict=True)]
    counts = {kind: pl.Series([count[kind] for _, count in done], dtype=pl.UInt16) for kind in KINDS}
    rules = pl.DataFrame({"text": found, "after": pl.Series([after for after, _ in done], dtype=pl.String), **counts})
    joined = frame.join(rules, on="text", how="left", maintain_order="left")
    return joined.select(pl.coalesce("after", "text").alias("text"), *(pl.col(kind).fill_null(0) for kind in KINDS)).to_struct(values.name)


def named_products(texts: Iterable[str]) -> frozenset[str]:
    """Return the names with a title that products bear, such as Dr. Martens, in lower case."""
    pattern = _compiled(rf"{_TITLED}({_FULL_NAME})")
    return frozenset(found[1].lower() for text in texts for found in pattern.finditer(text))


def in_words(counts: dict[str, int]) -> str:
    """Return counts of each kind as text, "3 mails, 1 name"; empty if there are none."""
    return ", ".join(f"{n:,} {SINGULAR[kind] if n == 1 else plural}" for kind, plural in KINDS.items() if (n := counts[kind]))


def _without(text: str, regions: Sequence[str], brands: frozenset[str], held: tuple[bool, ...]) -> tuple[str, Counter[str]]:
    """Mask what a text may hold; `held` says whether that is mails, numbers and names."""
    counts: Counter[str] = Counter()

    def replaced(kind: str, is_one: Callable[[str], bool] = lambda _: True) -> Callable[[re.Match[str]], str]:
        def replace(found: re.Match[str]) -> str:
            what = found[found.lastindex or 0]
            if not is_one(what):
                return found[0]
            counts[kind] += 1
            return found[0].replace(what, f"[{kind}]")

        return replace

    mails, numbers, names = held
    if mails:
        text = _MAIL.sub(replaced("mail"), text)
    if numbers:
        text = _CARD.sub(replaced("card", _is_card), text)
        text = _without_phones(text, regions, counts)
    for pattern in _NAMES if names else ():
        text = pattern.sub(replaced("name", lambda name: name.lower() not in brands), text)
    return text, counts


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    if not _ISSUER.fullmatch(digits):
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


def _without_phones(text: str, regions: Sequence[str], counts: Counter[str]) -> str:
    import phonenumbers

    # Numbers with a country code are known anywhere; others must be grouped as their country groups them, or not at all.
    tries = [(None, phonenumbers.Leniency.VALID), *((region, phonenumbers.Leniency.STRICT_GROUPING) for region in regions)]
    for digits in reversed(list(_MANY_DIGITS.finditer(text))):
        if _DATE.fullmatch(digits[0]):
            continue
        begin, end = max(digits.start() - _AROUND, 0), digits.end() + _AROUND
        part, spans = text[begin:end], list[tuple[int, int]]()
        for region, leniency in tries:
            for match in phonenumbers.PhoneNumberMatcher(part, region, leniency=leniency):
                if all(match.end <= start or match.start >= stop for start, stop in spans):
                    spans.append((match.start, match.end))
        for start, stop in sorted(spans, reverse=True):
            part = f"{part[:start]}[phone]{part[stop:]}"
        text = f"{text[:begin]}{part}{text[end:]}"
        counts["phone"] += len(spans)
    return text


def _compiled(pattern: str) -> re.Pattern[str]:
    r"""Return a pattern of Rust for Python, which knows no \p{Lu}: a letter that is in no lower case."""
    return re.compile(pattern.replace(r"\p{Lu}", _UPPER).replace(r"\p{L}", r"[^\W\d_]").replace(r"[[^\W\d_]'’-]", r"(?:[^\W\d_]|['’-])"))


_UPPER = "[" + "".join(chr(code) for code in range(0x41, 0x530) if chr(code).isupper()) + "]"
_AROUND = 12  # characters before and after digits that may belong to a number: +49 (0), ext. 123
_MANY_DIGITS = re.compile(_DIGITS.replace(r"\u{a0}", "\u00a0"))
_DATE = re.compile(r"(?:\d{1,2}([./-])\d{1,2}\1\d{4}|\d{4}([./-])\d{1,2}\2\d{1,2})(?:\s.*)?")
_NAMES = tuple(_compiled(f"{before}({_FULL_NAME}){after}") for before, after in ((_INTRODUCED, ""), (_TITLED, ""), (_SIGNED, _END)))
