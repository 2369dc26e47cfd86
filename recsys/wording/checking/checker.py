"""Says what a wording has wrong, compared with the message that it rewords.

Whatever neither the message's text nor its facts support is a problem, so an unknown word counts against the wording: a wrong refusal costs
a smoother sentence, a wrong acceptance tells a customer what is not so.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from recsys.wording.checking.additions import compare_additions, compare_questions
from recsys.wording.checking.compare import compare_bounds, compare_names, compare_numbers, compare_words
from recsys.wording.checking.lexicon import fold, lexicon_of
from recsys.wording.checking.negations import compare_negations
from recsys.wording.checking.problems import Problem, ProblemKind
from recsys.wording.checking.reading import marked, read, without_numbering
from recsys.wording.checking.source import Source
from recsys.wording.checking.subjects import compare_order, compare_subjects
from recsys.wording.facts import FactKind

if TYPE_CHECKING:
    from recsys.wording.message import Message

_LONGER, _ROOM = 2.0, 120  # a wording may have twice the characters, and these on top
_MARKUP = re.compile(r"</?[a-zA-Z][^>]*>|\]\(|\*\*|```|^#{1,6} |[{}⟦⟧\ue000-\uf8ff]", re.MULTILINE)
_LINK = re.compile(r"\b(?:https?://|www\.)\S+|\S+@\S+\.\w+")
_QUOTED = re.compile(r"“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|\"([^\"]+)\"|「([^」]+)」|‘([^’]+)’(?!\w)")


def check(wording: str, message: Message) -> list[Problem]:
    """Return the problems of a wording; none if it may be shown in place of the message's text.

    Anything that text and facts do not support is a problem: numbers, names, links, dates, negations, claims, promises and conditions that
    differ. Words that only connect are free.
    """
    if wording == message.template_text:
        return []
    lexicon = lexicon_of(message.language)
    if lexicon is None:
        return [Problem(ProblemKind.FORM, found=f"a wording in {message.language!r}, whose words the checker does not know")]
    form = _form(wording, message.template_text)
    if form:
        return form
    source = Source.of(message, lexicon)
    # Numbers of lines are free, unless the message has them as facts: "1. Return an order".
    numbered = any(fact.kind == FactKind.NUMBER and fact.name == "number" for fact in message.facts)
    reading = read(marked(wording if numbered else without_numbering(wording), source.names), lexicon)
    problems = [*_quotes(wording, message.template_text), *_links(wording, message.template_text)]
    problems += compare_names(reading, source)
    problems += compare_numbers(reading, source)
    problems += compare_bounds(reading, source)
    problems += compare_negations(reading, source)
    problems += compare_words(reading, source)
    problems += compare_additions(reading, source)
    problems += compare_questions(reading, source)
    return problems or [*compare_subjects(reading, source), *compare_order(reading, source)]


def _form(wording: str, text: str) -> list[Problem]:
    if not wording.strip():
        return [Problem(ProblemKind.FORM, expected="a text")]
    if len(wording) > _LONGER * len(text) + _ROOM:
        return [Problem(ProblemKind.FORM, found=f"{len(wording)} characters for {len(text)}")]
    markup = next((found[0] for found in _MARKUP.finditer(wording) if found[0] not in text), None)
    unseen = next((sign for sign in wording if sign != "\n" and unicodedata.category(sign) in ("Cc", "Cf", "Co", "Cn", "Cs")), None)
    wrong = markup or (repr(unseen) if unseen else None)
    return [Problem(ProblemKind.FORM, found=wrong)] if wrong else []


def _quotes(wording: str, text: str) -> list[Problem]:
    known = _plain(text)
    said = (next(filter(None, found.groups())) for found in _QUOTED.finditer(wording))
    return [Problem(ProblemKind.QUOTE, found=quote) for quote in said if _plain(quote) not in known]


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", fold(text)).strip()


def _links(wording: str, text: str) -> list[Problem]:
    links = (found[0].rstrip(".,;:!?)»”") for found in _LINK.finditer(wording))
    return [Problem(ProblemKind.LINK, found=link) for link in links if link not in text]
