"""The rules of help pages: raw text becomes typed, canonical columns, and a refused row gets its first reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.optional_tables import HELP
from features.ingest.rules.checked_table import CheckedTable, Rule, checked, layout_rules, refuse, with_raw
from features.ingest.summary import NOTE
from features.ingest.values.placeholders import not_null_word, one_line, raw, trimmed
from features.ingest.values.texts import CHANGES, DONE
from features.names import ANSWER, LANGUAGE, LINK, QUESTION, TAGS
from features.text.clean import CLEANED, cleaned
from features.text.languages.names import language_codes
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_QUESTION, LONGEST = 1_000, 10_000  # characters
REPEATED = "duplicate entry (the first one stays)"
_WORDS = {QUESTION: "questions", ANSWER: "answers", TAGS: "tags"}  # with their plurals
_CUT, _UNKNOWN, _UNSAFE = "cut", "unknown language", "unsafe link"  # columns of a checked table: what is told of a row
# A page may show a link: one that runs a script is none.
_SAFE = r"(?i)^(https?://|mailto:|tel:|[^:]*$|[^:/?#]*[/?#])"


def validate_help_pages(table: pl.LazyFrame) -> CheckedTable:
    """Check the rows of help pages alone."""
    raws = with_raw(table, HELP.inputs)
    clean = {name: raw(name).cast(pl.String).map_batches(cleaned, return_dtype=CLEANED, is_elementwise=True) for name in _WORDS}
    frame = raws.with_columns(text.alias(f"clean.{name}") for name, text in clean.items())
    texts = {name: pl.col(f"clean.{name}").struct.field("text") for name in _WORDS}
    answer = _lines(texts[ANSWER])
    language, link = trimmed(LANGUAGE), one_line(trimmed(LINK))
    code = language.map_batches(language_codes, return_dtype=pl.String, is_elementwise=True)
    frame = frame.with_columns(
        question=not_null_word(one_line(texts[QUESTION])),
        answer=answer.str.head(LONGEST).str.strip_chars_end(),
        tags=one_line(texts[TAGS]).str.replace_all(r"[\s,;|]*[,;|][\s,;|]*", ", ").str.strip_chars(", ").fill_null(""),
        language=code.fill_null(""),
        link=pl.when(link.str.contains(_SAFE)).then(link).fill_null(""),
        **{
            CHANGES: pl.struct(pl.col(f"clean.{name}").struct.field("changes").fill_null(0).alias(name) for name in _WORDS),
            _CUT: answer.str.len_chars() > LONGEST,
            _UNKNOWN: pl.when((language != "") & (code == "")).then(language),
            _UNSAFE: pl.when((link != "") & ~link.str.contains(_SAFE)).then(link),
        },
    )
    return CheckedTable(frame=checked(frame, [*layout_rules(table, QUESTION), *_rules()], [*HELP.inputs, CHANGES, _CUT, _UNKNOWN, _UNSAFE]))


def _rules() -> list[Rule]:
    return [
        (pl.col(QUESTION).is_null() | (pl.col(QUESTION) == ""), f"no {QUESTION}", QUESTION),
        (pl.col(QUESTION).str.len_chars() > LONGEST_QUESTION, f"{QUESTION} longer than {LONGEST_QUESTION:,} characters", QUESTION),
        (pl.col(ANSWER).is_null() | (pl.col(ANSWER) == ""), f"no {ANSWER}", QUESTION),
    ]


def _lines(text: pl.Expr) -> pl.Expr:
    """Return text without control characters; it keeps its lines."""
    lines = text.str.replace_all(r"\r\n?|[\u{2028}\u{2029}]", "\n").str.replace_all(r"[\p{Cc}\s--\n]+", " ")
    return not_null_word(lines.str.replace_all(r" ?\n ?", "\n").str.replace_all(r"\n{3,}", "\n\n").str.strip_chars())


def mark_repeated(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Refuse all but the first of the valid rows that give the same answer to the same question in the same language."""
    valid = frame.filter(pl.col("reason").is_null())
    again = valid.filter(~pl.struct(QUESTION, ANSWER, LANGUAGE).is_first_distinct()).select("row", _again=pl.lit(value=True))
    marked = frame.join(again, on="row", how="left", maintain_order="left")
    return refuse(marked, pl.col("_again").is_not_null(), REPEATED, QUESTION).drop("_again")


def described(rules: CheckedTable) -> CheckedTable:
    """Complete the notes, once all rows are judged: what was cleaned, cut and not understood in the rows that are kept."""
    valid = rules.frame.filter(pl.col("reason").is_null()).collect()
    return replace(rules, notes=(*rules.notes, *(f"{NOTE}the {HELP.title}: {note}" for note in _notes(valid))))


def _notes(valid: pl.DataFrame) -> Iterator[str]:
    cut, unknown, unsafe = valid.filter(_CUT), valid.drop_nulls(_UNKNOWN), valid.drop_nulls(_UNSAFE)
    if cut.height:
        yield f"{counted(cut.height, 'answer')} {agree(cut.height, 'is', 'are')} cut after {LONGEST:,} characters (row {cut['row'][0]:,})"
    if unknown.height:
        what = f"{counted(unknown.height, 'row')} {agree(unknown.height, 'has', 'have')} a {LANGUAGE} that is not understood"
        yield f"{what} ({unknown[_UNKNOWN][0][:40]!r} in row {unknown['row'][0]:,}): write a code such as en or de"
    if unsafe.height:
        what = f"{counted(unsafe.height, 'row')} {agree(unsafe.height, 'has', 'have')} a {LINK} that is no address of a page"
        yield f"{what} ({unsafe[_UNSAFE][0][:40]!r} in row {unsafe['row'][0]:,}): left out"
    for bit, what in DONE:
        found = {name: valid.filter((pl.col(CHANGES).struct.field(name) & bit) != 0)["row"] for name in _WORDS}
        if any(len(rows) for rows in found.values()):
            where = " and ".join(counted(len(rows), name, _WORDS[name]) for name, rows in found.items() if len(rows))
            yield f"{what} {where} (such as row {min(rows[0] for rows in found.values() if len(rows)):,})"
    several = valid.group_by(QUESTION, LANGUAGE).agg(pl.len(), pl.col("row").min()).filter(pl.col("len") > 1).sort("row")
    if several.height:
        what = f"{counted(several.height, 'question')} {agree(several.height, 'has', 'have')} several answers"
        yield f"{what} ({several[QUESTION][0][:60]!r}): all are kept"
