"""Attributes of an item as text, "colour: red; size: 40", from the objects and lists that JSON and Parquet have for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.ingest.readers.raw_table import ITEM_PREFIX
from features.ingest.values.nested import Losses, text_expression, text_of
from features.names import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from features.ingest.values.nested import Kind

# Keys of an object that stands for one attribute: what it is called, and its value or values.
_NAMES = ("name", "key", "label", "attribute_code", "attribute")
_VALUES = ("value", "values", "option", "options")


def holds_attributes(column: str) -> bool:
    """Return whether a canonical column holds attributes."""
    return column.removeprefix(ITEM_PREFIX) == ATTRIBUTES


def attributes_of(value: object, losses: Losses | None = None) -> str | None:
    """Return attributes as text: of an object its keys and values, of a list its parts; None where there are none."""
    if isinstance(value, list):
        return "; ".join(text for one in value if (text := attributes_of(one, losses))) or None
    if not isinstance(value, dict):
        return text_of(value, ", ", losses)
    name, of = _first(value, _NAMES), _first(value, _VALUES)
    pairs = {text_of(value[name], ", "): value[of]} if name is not None and of is not None else value
    texts = {key: text_of(one, ", ", losses) for key, one in pairs.items()}
    return "; ".join(f"{key}: {text}" for key, text in texts.items() if key and text) or None


def attributes_expression(value: pl.Expr, kind: Kind) -> pl.Expr:
    """Return a Parquet column of attributes as text, by the rules of `attributes_of`."""
    if isinstance(kind, pl.List | pl.Array):
        parts = value.arr.to_list() if isinstance(kind, pl.Array) else value
        joined = parts.list.eval(attributes_expression(pl.element(), kind.inner)).list.join("; ", ignore_nulls=True)
        return pl.when(joined != "").then(joined)
    if not isinstance(kind, pl.Struct):
        return text_expression(value, kind, ", ")
    kinds = {field.name: field.dtype for field in kind.fields}
    texts = {name: text_expression(value.struct.field(name), inner, ", ") for name, inner in kinds.items()}
    name, of = _first(kinds, _NAMES), _first(kinds, _VALUES)
    if name is not None and of is not None:
        return texts[name] + ": " + texts[of]
    pairs = [pl.when(text != "").then(pl.concat_str(pl.lit(f"{key}: "), text)) for key, text in texts.items()]
    joined = pl.concat_str(pairs, separator="; ", ignore_nulls=True)
    return pl.when(joined != "").then(joined)


def _first(held: Iterable[str], names: tuple[str, ...]) -> str | None:
    known = set(held)
    return next((name for name in names if name in known), None)
