"""Finds the help page that answers a question, among the shop's pages and the answers that people added since the bundle was built."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.data.help_pages import HelpPages
from features.names import ANSWER, LANGUAGE, LINK, QUESTION
from features.reviews.folding import folded_word
from recsys.apps.assistant.understanding import Guess
from recsys.snapshot.help_texts import RememberingEncoder
from retrieval.passages.index import PassageIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.dialogue.conversations import Conversations
    from recsys.dialogue.tools import Tools
    from recsys.snapshot.help_texts import HelpTexts, QuestionEncoder

MOST_PAGES = 5
_IDEOGRAPH = re.compile(r"[\u4e00-\u9fff]")
# A day in a message, which makes it less like the examples of a flow.
_DATE = re.compile(
    r"\b\d{4}-\d\d?-\d\d?\b|\b\d\d?\.\s?\d\d?\.(?:\s?\d{4})?|\d{4}年\d+月\d+[日号]"
    r"|\b\d\d?(?:st|nd|rd|th|\.)?(?: de| of)? [^\W\d]+,?(?: de)? \d{4}\b|\b[A-Z][a-z]+ \d\d?,? \d{4}\b"
)


@dataclass
class HelpDesk:
    """Help pages and flows of one bundle, and the added answers of the workspace.

    Attributes
    ----------
    of_bundle : the shop's own.
    """

    of_bundle: HelpTexts
    model: QuestionEncoder
    tools: Tools
    conversations: Conversations
    _version: int | None = field(default=None, init=False)
    _index: PassageIndex | None = field(default=None, init=False)
    _all: HelpPages | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._encoder = RememberingEncoder(self.model, dict(self.of_bundle.known))

    def __len__(self) -> int:
        return len(self._current()[1])

    def pages(self, text: str) -> Sequence[tuple[int, str, float]]:
        """Return the pages for a question, best first: row, the page's question, and the probability that the first one answers."""
        index, pages = self._current()
        if index is None or not len(pages):
            return ()
        found = index.search([text], MOST_PAGES)
        return [(int(row), pages.question[int(row)], float(found.answers[0])) for row in found.rows[0] if row >= 0]

    def page(self, row: int) -> dict[str, str]:
        """Return question, answer, link and language of a page."""
        _, pages = self._current()
        return {name: getattr(pages, name)[row] for name in (QUESTION, ANSWER, LINK, LANGUAGE)}

    def flow(self, text: str) -> Guess | None:
        """Return the flow whose examples are nearest to a message."""
        owners, vectors, grams = self._examples()
        if not owners:
            return None
        bare = " ".join(_DATE.sub(" ", text).split()) or text
        alike = np.array([_dice(_grams(bare), one) for one in grams])
        certain = np.clip((alike - 0.3) / 0.4, 0, 1)
        if not _IDEOGRAPH.search(text):  # an encoder of other languages finds all of these texts alike
            similar = (vectors @ self._encoder.encode([text, bare], kind="query").T).max(axis=1)
            certain = np.maximum(certain, np.clip((similar - 0.5) / 0.4, 0, 1))
        best = int(np.argmax(certain))
        return Guess(owners[best], float(certain[best]))

    def _examples(self) -> tuple[list[str], np.ndarray, list[frozenset[str]]]:
        if not hasattr(self, "_flows"):
            pairs = [(tool.name, example) for tool in self.tools for example in tool.examples]
            vectors = self._encoder.encode([example for _, example in pairs], kind="query") if pairs else np.zeros((0, 1), dtype=np.float32)
            self._flows = [name for name, _ in pairs], vectors, [_grams(example) for _, example in pairs]
        return self._flows

    def _current(self) -> tuple[PassageIndex | None, HelpPages]:
        """Return the index over all pages; it is made anew when an answer was added or taken away."""
        version = self.conversations.version()
        if self._all is None or version != self._version:
            added = self.conversations.answers()
            frame = self.of_bundle.pages.frame
            if added:
                rows = [(one.question, one.answer, "", one.language or "", one.link or "", -one.number) for one in added]
                frame = pl.concat([frame, pl.DataFrame(rows, schema=frame.schema, orient="row")])
            self._all = HelpPages.of(frame)
            self._encoder.remembers = True
            self._index = PassageIndex.of(self._all, self._encoder) if len(self._all) else None
            self._encoder.remembers = False
            self._version = version
        return self._index, self._all


def _grams(text: str) -> frozenset[str]:
    """Return the runs of letters in a text: of two in Chinese, of three elsewhere."""
    folded = " ".join(folded_word(text).split())
    size = 2 if _IDEOGRAPH.search(folded) else 3
    return frozenset(folded[place : place + size] for place in range(max(1, len(folded) - size + 1)))


def _dice(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other))
