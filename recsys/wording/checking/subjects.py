"""Whether a wording says of each thing what its message says of it."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from recsys.wording.checking.compare import NUMBERS
from recsys.wording.checking.problems import Problem, ProblemKind

if TYPE_CHECKING:
    from recsys.wording.checking.reading import Item, Reading
    from recsys.wording.checking.source import Source

_SAID = (*NUMBERS, "class", "word")


def compare_subjects(reading: Reading, source: Source) -> list[Problem]:
    """Return values that stand beside the name of something else.

    What only one thing has must stand in one stretch with its name: "A costs 5, B costs 7", or "5 for A and 7 for B".
    """
    if len(set(source.subjects.values())) < 2:
        return []
    said = [(item, subject) for item in reading.items if (subject := _only_subject(item, source))]
    runs = [(subject, [item for item, _ in run]) for subject, run in groupby(said, key=lambda pair: pair[1])]
    astray = [(subject, items) for subject, items in runs if not any(source.subject_of(item) for item in items)]
    if not astray or _respectively(runs, source):
        return []
    subject, items = astray[0]
    return [Problem(ProblemKind.SUBJECT, found=" ".join(item.shown for item in items), expected=f"beside {_name(subject, source)}")]


def _only_subject(item: Item, source: Source) -> str | None:
    if item.kind == "name":
        return source.subject_of(item)
    owners = source.owners.get((item.kind, item.key), set()) if item.kind in _SAID else set()
    return next(iter(owners)) if len(owners) == 1 else None


def _respectively(runs: list[tuple[str, list[Item]]], source: Source) -> bool:
    """Return whether names come first and values follow in their order: "A and B cost 5 and 7"."""
    order = [subject for subject, _ in runs]
    half = len(order) // 2
    named = all(any(source.subject_of(item) for item in items) for _, items in runs[:half])
    return len(order) % 2 == 0 and order[:half] == order[half:] and named and len(set(order[:half])) == half


def _name(subject: str, source: Source) -> str:
    return next(source.names[place] for place, about in source.subjects.items() if about == subject)


def compare_order(reading: Reading, source: Source) -> list[Problem]:
    """Return numbers of one quote that changed places: "hot for 16 hours and cold for 24"."""
    problems = []
    for fact in source.facts:
        numbers = [item for item in fact.items if item.kind in NUMBERS]
        if len({(item.kind, item.key) for item in numbers}) < 2:
            continue
        for item in numbers:
            around = _around(fact, item)
            places = [other for other in reading.items if (other.kind, other.key) == (item.kind, item.key)]
            if any(around) and places and not any(_alike(around, _around(reading, other), source) for other in places):
                problems.append(Problem(ProblemKind.SUBJECT, found=item.shown, expected=f"beside {around[0] or around[1]!r}"))
    return problems


def _around(reading: Reading, item: Item) -> tuple[str, str]:
    """Return the words before and after an item; empty where there is none."""
    words = reading.of("word")
    before = [str(word.key) for word in words if word.end <= item.start]
    after = [str(word.key) for word in words if word.start >= item.end]
    return (before[-1] if before else "", after[0] if after else "")


def _alike(one: tuple[str, str], other: tuple[str, str], source: Source) -> bool:
    return any(mine and source.lexicon.same(mine, {theirs}) for mine, theirs in zip(one, other, strict=True))
