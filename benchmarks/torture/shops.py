"""Broken shops by Hypothesis: each row is stored or quarantined, or one line of error says why nothing is stored."""

from __future__ import annotations

import csv
import io
import sys
import tempfile
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks.torture.outcome import report, run
from benchmarks.torture.small import count
from features.errors import DataError
from features.ingest.pipeline import ingest
from features.ingest.readers.raw_table import FORMULA
from features.ingest.source import Source
from features.ingest.table_store import load_quarantine

ODD = [
    "",
    "nan",
    "=1+1",
    "@SUM(A1)",
    "-5",
    "+49 30",
    "\t=x",
    "1e400",
    "0",
    "1,299.00",
    "\0",
    "x" * 300,
    '"',
    "a\nb",
    "ß🍓",
    "\u202e",
    "17850.0",
]
cell = st.one_of(st.sampled_from(ODD), st.text(max_size=12), st.integers(-(2**70), 2**70).map(str), st.floats().map(str))
ident = st.one_of(st.sampled_from(["A", "B", "C"]), cell)
moment = st.one_of(
    st.sampled_from(["2024-01-01", "2024-01-02T10:00:00Z", "1704067200", "1704067200000", "99999999999999999999", "1970-01-01"]), cell
)
event = st.one_of(st.sampled_from(["purchase", "view", "PURCHASE"]), cell)
item = st.tuples(ident, cell, cell, cell)
act = st.tuples(ident, ident, moment, event, cell)
encoding = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])


def table(header: str, rows: list[tuple[str, ...]], codec: str, tail: bytes, separator: str) -> bytes:
    """Return a csv file in an encoding, with bytes after its end."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    writer.writerow(header.split(","))
    writer.writerows(rows)
    return text.getvalue().encode(codec, errors="replace") + tail


def broken(items: bytes, log: bytes, codec: str) -> None:
    """Ingest two files.

    Raises
    ------
    AssertionError: a row is lost, or the quarantine file holds a value that a spreadsheet would execute.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "items.csv").write_bytes(items)
        (folder / "log.csv").write_bytes(log)
        try:
            done = ingest(Source(items=folder / "items.csv", interactions=folder / "log.csv", encoding=codec), folder / "data")
        except DataError as error:
            assert "\n" not in str(error), error
            return
        for summary in (done.items, done.interactions):
            assert summary.read == summary.kept + summary.quarantined, summary
        values = load_quarantine(folder / "data")["value"].drop_nulls()
        formulas = values.filter(values.str.contains(FORMULA) & values.cast(pl.Float64, strict=False).is_null())
        assert formulas.is_empty(), formulas.to_list()


def main() -> None:
    """Print one line; failures go to stderr."""
    runs = failures = 0
    slow = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)

    @settings(
        max_examples=count(500, 20_000, "shops"),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=slow,
        phases=[Phase.generate],
    )
    @given(st.lists(item, max_size=6), st.lists(act, max_size=8), encoding, st.binary(max_size=12), st.sampled_from(",;\t|"))
    def examples(items: list, log: list, codec: str, tail: bytes, separator: str) -> None:
        nonlocal runs, failures
        runs += 1
        good_items = [("A", "Apple", "1.5", "yes"), *items]
        good_log = [("u", "A", "2024-01-01", "purchase", "1"), *log]
        tables = (
            table("item_id,title,price,available", good_items, codec, tail, separator),
            table("user_id,item_id,timestamp,event,quantity", good_log, codec, tail, separator),
        )
        try:
            broken(*tables, codec)
        except Exception as error:
            failures += 1
            print(f"{type(error).__name__}: {error}: {tables!r}", file=sys.stderr, flush=True)

    examples()
    report("broken_shops", runs, failures)


if __name__ == "__main__":
    run(main)
