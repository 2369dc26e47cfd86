"""Advice where a required or mapped column is missing: the column that it may be, a spelling, or two files swapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from features.ingest.optional_tables import OPTIONAL
from features.ingest.profile.column_guess import guesses
from features.ingest.profile.column_names import KNOWN, candidates
from features.ingest.readers.raw_table import ITEM_PREFIX
from features.names import ITEM_ID, QUERY, STARS, TEXT, TIMESTAMP, TITLE, USER_ID
from features.text.closest import closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.ingest.optional_tables import Table
    from features.ingest.readers.raw_table import TableHead, TableSpec


def advice(spec: TableSpec, head: TableHead, lacking: Sequence[str]) -> str | None:
    """Return what to do about missing columns; None if the file gives no hint.

    Parameters
    ----------
    lacking : canonical names of required or mapped columns that were not found.
    """
    table = cast("Table", spec.name) if spec.name in KNOWN else "interactions"
    if (swapped := _swapped(table, head.names, lacking)) is not None:
        return swapped
    for name in lacking:
        if name in spec.mapped:
            (theirs,) = spec.columns[name]
            if name.removeprefix(ITEM_PREFIX) in head.names:
                return f"it has {name.removeprefix(ITEM_PREFIX)} under our name: leave {_pair(name, theirs)} out of {_section(name, table)}"
            if (close := closest(theirs, head.names)) is not None:
                return f"did you mean {close!r}? {_mapping(name, close, table)}"
    return _likely(spec, head, lacking, table)


def _likely(spec: TableSpec, head: TableHead, lacking: Sequence[str], table: Table) -> str | None:
    """Return the columns that the missing ones may be, with the lines that map them."""
    read = {name for theirs in spec.columns.values() for name in theirs if name in head.names}
    questions: list[str] = []
    pairs: dict[str, list[str]] = {}
    for name in lacking:
        of: Table = "items" if name.startswith(ITEM_PREFIX) else table
        ours = name.removeprefix(ITEM_PREFIX)
        found = guesses(head.sample, of, read, {ours})
        if found:
            best = min(found, key=lambda theirs: (candidates(theirs, of)[:1] != [ours], head.names.index(theirs)))
            read.add(best)
            questions.append(f"is {best} the {ours}?" if len(lacking) > 1 else f"is it {best}?")
            pairs.setdefault(_section(name, table), []).append(_pair(name, best))
    mappings = "; ".join(f"{section} {', '.join(lines)}" for section, lines in pairs.items())
    return f"{' '.join(questions)} map {'it' if len(questions) == 1 else 'them'} in recsys.toml: {mappings}" if pairs else None


def _mapping(name: str, theirs: str, table: Table) -> str:
    return f"{_section(name, table)} {_pair(name, theirs)}"


def _section(name: str, table: Table) -> str:
    return f"[source.{'items' if name.startswith(ITEM_PREFIX) else table}_columns]"


def _pair(name: str, theirs: str) -> str:
    quoted = '"' + theirs.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name.removeprefix(ITEM_PREFIX)} = {quoted}"


def _swapped(table: Table, header: Sequence[str], lacking: Sequence[str]) -> str | None:
    """Return the advice for a file of the other table: a log has users and times, a catalogue titles."""
    as_log = {ours for name in header for ours in candidates(name, "interactions")}
    as_items = {ours for name in header for ours in candidates(name, "items")}
    if table == "items" and TITLE in lacking and {USER_ID, ITEM_ID, TIMESTAMP} <= as_log and TITLE not in as_items:
        return "it looks like the log: give it as interactions, and the catalogue as items"
    if table == "interactions" and {USER_ID, TIMESTAMP} <= set(lacking) and {ITEM_ID, TITLE} <= as_items and not {USER_ID} & as_log:
        return "it looks like the catalogue: give it as items, and the log as interactions"
    if table not in OPTIONAL or not {USER_ID, ITEM_ID} <= as_log or TITLE in as_items:
        return None
    words = {QUERY, TEXT, STARS} & {*lacking}
    if not words or any(words & {*candidates(name, table)} for name in header):
        return None
    return f"it looks like the log of purchases: give it as interactions, and the {OPTIONAL[table].title} as {table}"
