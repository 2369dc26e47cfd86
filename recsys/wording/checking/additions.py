"""Sentences that a wording adds: they may greet, apologise, thank and point, and nothing else. Questions stay questions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from recsys.wording.checking.compare import NUMBERS
from recsys.wording.checking.lexicon import fold, stem
from recsys.wording.checking.problems import Problem, ProblemKind
from recsys.wording.checking.reading import PHRASE, STOPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.wording.checking.reading import Reading
    from recsys.wording.checking.source import Source

_OWN_SHARE = 0.5  # of a sentence's words that its message has


def compare_additions(reading: Reading, source: Source) -> list[Problem]:
    """Return sentences without anything of the message that are more than polite.

    Words that say nothing of their own can say something together: "you can keep it". So a sentence that holds no name, number or word of
    the message must begin as polite ones do and have their words only, or consist of the message's words.
    """
    problems = []
    for begin, end in _sentences(reading, source):
        text = reading.text[begin:end].strip()
        if any(sign.isalnum() for sign in text) and not _supported(reading.between(begin, end), text, source):
            problems.append(Problem(ProblemKind.CLAIM, found=text))
    return problems


def compare_questions(reading: Reading, source: Source) -> list[Problem]:
    """Return questions that became statements, and statements that became questions."""
    asked, mine = "?" in fold(source.reading.text), fold(reading.text)
    if asked and "?" not in mine and not source.lexicon.requests.search(mine):
        return [Problem(ProblemKind.FORM, expected="a question")]
    if asked:
        return []
    # fold() writes the question mark of Chinese as ours.
    questions = (mine[begin:end].strip() for begin, end in _sentences(reading, source) if mine[begin:end].rstrip().endswith("?"))
    return [Problem(ProblemKind.FORM, found=question) for question in questions if not source.lexicon.openers.match(question)]


def _supported(said: Reading, text: str, source: Source) -> bool:
    lexicon, own = source.lexicon, source.reading.vocabulary
    if any(item.kind in ("name", *NUMBERS) or (item.kind == "class" and item.key != "if") for item in said.items):
        return True
    if any(lexicon.same(word, source.reading.stems) for word in said.stems):
        return True
    denies = bool(said.of("not"))
    words = [str(item.key) for item in said.connecting]
    free = all(word in own or word in lexicon.polite or word == PHRASE for word in words) and not said.of("yes")
    abilities = {stem(word, lexicon.language) for word in lexicon.opposites.values()}
    free = free and all(denies and (word in abilities or lexicon.same(word, own)) for word in said.stems)
    # Words of the message that are more than polite carry the sentence, as "order number" does.
    carried = any(word in own and word not in lexicon.polite for word in words)
    mostly = sum(word in own for word in words) >= _OWN_SHARE * len(words)
    return free and (carried or mostly or bool(lexicon.openers.match(fold(text))))


def _sentences(reading: Reading, source: Source) -> Iterator[tuple[int, int]]:
    folded = fold(reading.text)
    ends = {item.end for item in reading.of("clause") if item.key in STOPS}
    ends |= {found.end() for found in re.finditer(source.lexicon.joints, folded)}
    begin = 0
    for end in sorted({*ends, len(folded)}):
        yield begin, end
        begin = end
