"""Numbers in digits and in words."""

from __future__ import annotations

import re
from decimal import Decimal

COMMA = {"de", "fr", "es"}  # languages that write 1.219,90
# "One" where it belongs to no larger number; text2num reads it as 1 beside other numbers.
_ARTICLES = {
    language: re.compile(rf"(?<![\w-])(?<!\b{joint} )(?:{ones})(?![\w-])(?!\s+(?:{scales})\b)", re.IGNORECASE)
    for language, joint, ones, scales in (
        ("en", "and", "one", "hundred|thousand|million"),
        ("de", "und", "eins|eine[mnrs]?|ein", "hundert|tausend|million"),
        ("fr", "et", "une?", "cent|mille|million"),
        ("es", "y", "un[ao]?", "mil|millón"),
    )
}
_HIDDEN = "\uf8ff"  # stands for an article while number words are read
_CHINESE = "零〇一二两三四五六七八九"
_SCALES = {"十": 10, "百": 100, "千": 1_000, "万": 10_000, "亿": 100_000_000}
_MEASURES = "件条个款种天日月年元块小时分钟周星期公斤克升毫米厘人号点秒季页次折成"
_CHINESE_NUMBER = re.compile(rf"(?P<percent>百分之)?(?P<number>[{_CHINESE}{''.join(_SCALES)}]+)(?=(?P<measure>[{_MEASURES}]?))")


def digits_of(language: str) -> str:
    """Return a regular expression of digits with a language's marks of thousands and decimals between them."""
    marks = ".,'\u202f\u00a0 " if language == "fr" else ".,'\u202f\u00a0"
    return rf"\d+(?:[{marks}]\d{{3}})*(?!\d)(?:[.,]\d+)?"


def value_of(digits: str, language: str) -> Decimal:
    """Return the number that digits with marks mean in a language: "1.219,90" is 1219.90 in German."""
    digits = re.sub(r"['\u202f\u00a0 ]", "", digits)
    comma, point = ("," if language in COMMA else "."), ("." if language in COMMA else ",")
    groups = re.fullmatch(rf"[1-9]\d{{0,2}}(?:\{point}\d{{3}})+(?:\{comma}\d+)?", digits)
    if groups:
        return Decimal(digits.replace(point, "").replace(comma, "."))
    # A shop's texts may write decimals as another language does: "1.5 l" in German.
    whole, _, rest = digits.replace(",", ".").partition(".")
    return Decimal(f"{whole}.{rest.replace('.', '')}") if rest else Decimal(whole)


def in_digits(text: str, language: str) -> str:
    """Return a text with number words from two on in digits; "one" is an article as well, and stays."""
    if language == "zh":
        return _CHINESE_NUMBER.sub(_chinese, text)
    from text_to_num import alpha2digit

    articles = iter(_ARTICLES[language].findall(text))
    done = alpha2digit(_ARTICLES[language].sub(_HIDDEN, text), language, 1.0)
    return re.sub(_HIDDEN, lambda _: next(articles), done)


def _chinese(found: re.Match[str]) -> str:
    text = found["number"]
    if not found["percent"] and text == "一" and found["measure"] not in tuple("天日月年元周"):
        return found[0]
    if not found["percent"] and len(text) == 1 and not found["measure"]:
        return found[0]
    value = chinese_value(text)
    return found[0] if value is None else f"{value}{'%' if found['percent'] else ''}"


def chinese_value(text: str) -> int | None:
    """Return the number that Chinese numerals write, such as 二十三; None if they write none."""
    if not set(text) & set(_SCALES):
        return int("".join(str(_digit(character)) for character in text)) if len(text) > 1 or text in _CHINESE else None
    total = section = digit = 0
    for character in text:
        if character in _CHINESE:
            digit = _digit(character)
            continue
        scale = _SCALES[character]
        if scale >= 10_000:
            total, section, digit = total + (section + digit or 1) * scale, 0, 0
        else:
            section, digit = section + (digit or 1) * scale, 0
    return total + section + digit


def _digit(character: str) -> int:
    return {"〇": 0, "两": 2}.get(character, "零一二三四五六七八九".find(character))
