"""Synonym replacement in item texts, so that what is learned of a product depends less on its wording.

References
----------
J. Wei and K. Zou (2019). EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks. arXiv
1901.11196.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from retrieval.lexical.analyzer import fold
from retrieval.lexical.synonyms.concepts import ANY
from retrieval.lexical.synonyms.query_words import SPACED, content_places, split_words, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from retrieval.lexical.synonyms.phrases import Segment
    from retrieval.lexical.synonyms.query_words import Token
    from retrieval.lexical.synonyms.thesaurus import Thesaurus

SAMPLE = 1000  # texts that tell the catalogue's language


@dataclass(frozen=True)
class SynonymReplacement:
    """Replaces phrases of the thesaurus in texts of one language with spaces between words.

    Attributes
    ----------
    thesaurus : Thesaurus
    texts : sequence of str
        The catalogue's, which tell the language.
    share : float
        Probability with which a phrase is replaced.
    """

    thesaurus: Thesaurus
    texts: Sequence[str]
    share: float

    @cached_property
    def language(self) -> str:
        """The language of which most phrases are found in the catalogue's texts."""
        sample = self.texts[:: max(1, len(self.texts) // SAMPLE)]
        counts = {language: sum(len(self._segments(text, language)[1]) for text in sample) for language in SPACED}
        return max(counts, key=counts.__getitem__)

    def __call__(self, text: str, rng: np.random.Generator) -> str | None:
        """Return the text with some of its phrases replaced; None if there is none to replace."""
        tokens, segments = self._segments(text, self.language)
        folded = fold(text)
        source = text if len(text) == len(folded) else folded  # the shop's own capitals, where places agree
        pieces, end, place = [], 0, 0
        begins = []
        for token in tokens:
            begins.append(place + len(token.before))
            place = begins[-1] + len(token.text)
        for segment in sorted(segments):
            first, last = segment.places[0], segment.places[-1]
            options = self._options(tokens, segment)
            if options and rng.random() < self.share:
                pieces += [source[end : begins[first]], options[int(rng.integers(len(options)))]]
                end = begins[last] + len(tokens[last].text)
        return "".join([*pieces, source[end:]]) if pieces else None

    def _segments(self, text: str, language: str) -> tuple[list[Token], list[Segment]]:
        """Return the words of a text, and the phrases whose words stand side by side and mean one thing alone."""
        tokens = split_words(fold(text), self.thesaurus.phrases.has_chinese)
        if any(token.unspaced for token in tokens):
            return tokens, []
        found = self.thesaurus.phrases.match(language, tokens, content_places(tokens, language))
        together = [one for one in found if all(b - a == 1 for a, b in pairwise(one.places)) and len(one.concepts) == 1]
        return tokens, together

    def _options(self, tokens: Sequence[Token], segment: Segment) -> list[str]:
        """Return the other phrases of a segment's concept in its language."""
        typed = words_of(" ".join(tokens[place].word for place in segment.places), segment.language)
        words = self.thesaurus.concepts[segment.concepts[0]].words
        phrases = [*words.get(segment.language, ()), *words.get(ANY, ())]
        return [phrase for phrase in phrases if words_of(phrase, segment.language) != typed]
