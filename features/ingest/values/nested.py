"""Values of JSON and of nested Parquet columns as text: of an object its name, of a list its parts."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from features.ingest.readers.raw_table import ITEM_PREFIX, SHOWN
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polars.datatypes import DataTypeClass

    Kind = pl.DataType | DataTypeClass

# Numbers with a decimal point or an exponent stay as they are written.
DECODER = json.JSONDecoder(parse_float=str, parse_constant=str)
# Keys of an object under which platforms keep what the object is called, the best first.
NAMES = ("name", "title", "label", "rendered", "text", "value", "values", "amount", "default")
IDS = ("id", "_id")  # of an object where an id is expected: a user's name is no id
_CODES = (
    "ar bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl he hi hr hu hy id is it ja ka kk ko lt lv mk ms mt nb nl nn no pl pt ro ru "
    "sk sl sq sr sv sw ta th tl tr uk ur uz vi zh"
)
_LANGUAGES = frozenset(_CODES.split())
_LOCALE = re.compile(r"([a-z]{2})(?:[-_][A-Za-z]{2,4})?")
_WORDS = {"id", "no", "is"}  # languages whose codes are words: alone they make no map of languages


@dataclass
class Losses:
    """What was left out of the values of one column: objects without a name, and all but one language.

    Attributes
    ----------
    unnamed, translated : number of such objects.
    """

    unnamed: int = 0
    translated: int = 0
    unnamed_example: str = ""
    translated_example: str = ""

    def drop(self, value: object, count: int = 1) -> None:
        """Count objects that have no name."""
        self.unnamed_example = self.unnamed_example or _shown(value)
        self.unnamed += count

    def translate(self, value: object, count: int = 1) -> None:
        """Count texts in several languages."""
        self.translated_example = self.translated_example or _shown(value)
        self.translated += count

    def notes(self, column: str) -> Iterator[str]:
        """Yield what to tell the user of a column."""
        name = column.removeprefix(ITEM_PREFIX)
        if self.unnamed:
            keys = ", ".join(IDS if is_id(column) else NAMES[:3])
            yield (
                f"note: {counted(self.unnamed, 'object')} in {name} {agree(self.unnamed, 'has', 'have')} none of {keys} and "
                f"{agree(self.unnamed, 'is', 'are')} left out (e.g. {self.unnamed_example}): "
                f"export {name} as text"
            )
        if self.translated:
            what = f"{counted(self.translated, 'value')} of {name} {agree(self.translated, 'is', 'are')} in several languages"
            yield f"note: {what}, and the first is taken (e.g. {self.translated_example})"


def parsed(line: str) -> Any:
    """Return the value of a text of JSON, its numbers with a decimal point or an exponent as they are written.

    Raises
    ------
    ValueError, RecursionError
        If it is no JSON.
    """
    return DECODER.decode(line)


def text_of(value: object, separator: str, losses: Losses | None = None, names: Iterable[str] = NAMES) -> str | None:
    """Return a value of JSON as text; None where it has none.

    A list is joined; of a list of lists (paths) the first non-empty one is used. Of an object its name is used, and of a text in several
    languages the first.

    Parameters
    ----------
    losses : counts what is left out.
    names : keys of an object that hold what is wanted, the best first.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        paths = [part for part in value if isinstance(part, list) and part]
        parts = [text_of(part, " ", losses, names) for part in (paths[0] if paths else value)]
        return separator.join(part for part in parts if part) or None
    if isinstance(value, dict):
        return _of_object(value, separator, losses or Losses(), names)
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def _of_object(value: dict[str, Any], separator: str, losses: Losses, names: Iterable[str]) -> str | None:
    if not value:
        return None
    if len(value) == 1 and (key := next(iter(value))).startswith("$"):  # {"$oid": "..."} of MongoDB's extended JSON
        return text_of(value[key], separator, losses, names)
    key = _key(value, names)
    if key is not None:
        return text_of(value[key], separator, losses, names)
    texts = [text for text in value.values() if text]
    if is_languages(value) and all(isinstance(text, str) for text in texts):
        if len(texts) > 1:
            losses.translate(value)
        return texts[0] if texts else None
    losses.drop(value)
    return None


def _key(value: dict[str, Any], names: Iterable[str]) -> str | None:
    """Return the key of an object that holds its name; case does not matter."""
    found = {key.lower(): key for key in reversed(value) if value[key] not in (None, "", [], {})}
    return next((found[name] for name in names if name in found), None)


def is_languages(keys: Iterable[str]) -> bool:
    """Return whether all keys are codes of languages (en, pt_BR)."""
    codes = [found[1] if (found := _LOCALE.fullmatch(key)) else "" for key in keys]
    return set(codes) <= _LANGUAGES and not set(codes) <= _WORDS


def is_id(column: str) -> bool:
    """Return whether a canonical column holds ids."""
    return column.endswith("_id")


def names_for(column: str) -> tuple[str, ...]:
    """Return the keys of an object that hold the value of a canonical column."""
    return IDS if is_id(column) else NAMES


def separator_for(column: str) -> str:
    """Return what stands between the parts of a list in a canonical column."""
    return "|" if column.endswith(("category", "barcode", "tags")) else " "


def text_expression(value: pl.Expr, kind: Kind, separator: str, names: Iterable[str] = NAMES) -> pl.Expr:
    """Return a Parquet column as text, by the rules of `text_of`."""
    if isinstance(kind, pl.Array):
        value, kind = value.arr.to_list(), pl.List(kind.inner)
    if isinstance(kind, pl.List):
        inner = kind.inner
        if isinstance(inner, pl.List | pl.Array):
            length = pl.element().list.len() if isinstance(inner, pl.List) else pl.lit(1)
            paths = value.list.eval(pl.element().filter(length > 0)).list.first()
            return text_expression(paths, inner, separator, names)
        parts = value.list.eval(text_expression(pl.element(), inner, " ", names))
        joined = parts.list.eval(pl.element().filter(pl.element() != "")).list.join(separator, ignore_nulls=True)
        return pl.when(joined != "").then(joined)
    if isinstance(kind, pl.Struct):
        fields = [text_expression(value.struct.field(field.name), field.dtype, separator, names) for field in _text_fields(kind, names)]
        return pl.coalesce(pl.when(text != "").then(text) for text in fields) if fields else pl.lit(None, pl.String)
    return value.cast(pl.String)


def _text_fields(kind: pl.Struct, names: Iterable[str]) -> list[pl.Field]:
    """Return the fields of an object that may hold its name, the best first."""
    fields = {field.name: field for field in kind.fields}
    lowered = {name.lower(): field for name, field in fields.items()}
    found = [lowered[name] for name in names if name in lowered]
    return found or (kind.fields if is_languages(fields) else [])


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


def struct_losses(frame: pl.LazyFrame, name: str, kind: Kind, names: Iterable[str], losses: Losses) -> None:
    """Count what `text_expression` leaves out of a Parquet column."""
    value, inner = pl.col(name), kind
    while isinstance(inner, pl.List | pl.Array):
        value, inner = value.explode(), inner.inner
    if not isinstance(inner, pl.Struct):
        return
    fields = _text_fields(inner, names)
    objects = frame.select(value.alias("value")).filter(pl.col("value").is_not_null())
    texts = [pl.col("value").struct.field(field.name).is_not_null() for field in fields]
    if not fields or not is_languages(field.name for field in fields):
        lost = objects.filter(~pl.any_horizontal(texts)) if texts else objects
        report = losses.drop
    else:
        lost, report = objects.filter(pl.sum_horizontal(texts) > 1), losses.translate
    if count := lost.select(pl.len()).collect().item():
        report(lost.head(1).collect().item(), count)
