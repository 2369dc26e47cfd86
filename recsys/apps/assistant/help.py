"""Finds the help page that answers a question, among the shop's pages and the answers that people added since the bundle was built."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.data.help_pages import HelpPages
from features.names import ANSWER, LANGUAGE, LINK, QUESTION
from recsys.apps.assistant.understanding import Guess
from recsys.snapshot.help_texts import RememberingEncoder
from retrieval.passages.index import PassageIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.dialogue.conversations import Conversations
    from recsys.dialogue.tools import Tools
    from recsys.snapshot.help_texts import HelpTexts, QuestionEncoder

MOST_PAGES = 5


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
        owners, vectors = self._examples()
        if not owners:
            return None
        similar = vectors @ self._encoder.encode([text], kind="query")[0]
        best = int(np.argmax(similar))
        return Guess(owners[best], float(np.clip((similar[best] - 0.5) / 0.4, 0, 1)))

    def _examples(self) -> tuple[list[str], np.ndarray]:
        if not hasattr(self, "_flows"):
            pairs = [(tool.name, example) for tool in self.tools for example in tool.examples]
            vectors = self._encoder.encode([example for _, example in pairs], kind="query") if pairs else np.zeros((0, 1), dtype=np.float32)
            self._flows = [name for name, _ in pairs], vectors
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
