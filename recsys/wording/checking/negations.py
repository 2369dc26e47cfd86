"""What a wording denies against what its message denies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from recsys.wording.checking.lexicon import fold
from recsys.wording.checking.problems import Problem, ProblemKind
from recsys.wording.checking.reading import STOPS

if TYPE_CHECKING:
    from recsys.wording.checking.lexicon import Lexicon
    from recsys.wording.checking.reading import Reading
    from recsys.wording.checking.source import Source

_REACH = 6  # words that a negation denies
_DOUBLE = {"fr", "es"}  # languages that deny with two words: ne ... pas, no ... nada
Scope = frozenset[str]
_ANSWER = re.compile(r"(?<!\w)(?:no|nein|non)(?=\s*(?:[.,;:!?]|$))|(?<![是能可])否")  # in folded text


def compare_negations(reading: Reading, source: Source) -> list[Problem]:
    """Return negations that appeared or went, and those that deny something else."""
    lexicon = source.lexicon
    denied = [scope for fact in source.facts for scope in _scopes(fact, lexicon)]
    everywhere = _scopes(source.reading, lexicon)
    own = _without(everywhere, denied, lexicon)
    mine = _scopes(reading, lexicon)
    left, problems = list(mine), list[Problem]()
    for scope in denied:
        match = next((one for one in left if _meet(scope, one, lexicon)), None)
        if match is None:
            problems.append(Problem(ProblemKind.NEGATION, expected=f"not {' '.join(sorted(scope))}".strip()))
        else:
            left.remove(match)
    if own and not left:
        problems.append(Problem(ProblemKind.NEGATION, expected=f"not {' '.join(sorted(own[0]))}".strip()))
    allowed = _denied_sentences(source.reading)  # the message's own words deny all that stands in their sentence
    for number, scope in enumerate(left):
        facts = {word for word in scope if word in source.fact_stems}
        if number >= len(own) or any(not lexicon.same(word, allowed) for word in facts):
            problems.append(Problem(ProblemKind.NEGATION, found=f"not {' '.join(sorted(scope))}".strip()))
    if own and not source.reading.of("yes"):
        problems += [Problem(ProblemKind.NEGATION, found=item.shown) for item in reading.of("yes")]
    if _ANSWER.search(fold(reading.text)) and not _ANSWER.search(fold(source.reading.text)):
        problems.append(Problem(ProblemKind.NEGATION, found="no"))
    return [*problems, *_never(reading, source)]


def _denied_sentences(reading: Reading) -> set[str]:
    words, sentence, denies = set[str](), set[str](), False
    for item in [*reading.items, None]:
        if item is None or (item.kind == "clause" and item.key in STOPS):
            words |= sentence if denies else set()
            sentence, denies = set(), False
        elif item.kind == "not":
            denies = True
        elif item.kind == "word":
            sentence.add(str(item.key))
    return words


def _scopes(reading: Reading, lexicon: Lexicon) -> list[Scope]:
    """Return what each negation denies: the words after it in its clause, or else those before it."""
    items, scopes = reading.items, list[Scope]()
    for place, item in enumerate(items):
        if item.kind != "not":
            continue
        if lexicon.language in _DOUBLE and _denied_before(reading, place):
            continue
        after, before = _near(reading, place, 1), _near(reading, place, -1)
        scopes.append(frozenset(after or before))
    return scopes


def _denied_before(reading: Reading, place: int) -> bool:
    for item in reversed(reading.items[:place]):
        if item.kind == "clause":
            return False
        if item.kind == "not":
            return True
    return False


def _near(reading: Reading, place: int, step: int) -> list[str]:
    words: list[str] = []
    position = place + step
    while 0 <= position < len(reading.items) and len(words) < _REACH:
        item = reading.items[position]
        if item.kind == "clause":
            break
        if item.kind == "word":
            words.append(str(item.key))
        position += step
    return words


def _meet(one: Scope, other: Scope, lexicon: Lexicon) -> bool:
    return (not one and not other) or any(lexicon.same(word, other) for word in one)


def _without(scopes: list[Scope], taken: list[Scope], lexicon: Lexicon) -> list[Scope]:
    left = list(scopes)
    for scope in taken:
        match = next((one for one in left if _meet(scope, one, lexicon)), None)
        if match is not None:
            left.remove(match)
    return left


def _never(reading: Reading, source: Source) -> list[Problem]:
    """Return "never" where the message only says "not"."""
    never = source.lexicon.never
    if any(fold(item.shown) in never for item in source.reading.of("not")):
        return []
    return [Problem(ProblemKind.CLAIM, found=item.shown) for item in reading.of("not") if fold(item.shown) in never]
