"""Proposes terms for the list of aspects from the shop's reviews; the list stays as it is until a person puts them in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from features.errors import DataError
from features.names import SENTENCE
from features.reviews.aspects import own_names
from features.reviews.authenticity import marks
from features.reviews.proposals import FEWEST, LEAST, as_toml, propose_terms
from features.reviews.sentences import split_sentences
from features.text.classifier.readable import find_unread
from features.text.plain import agree, counted
from recsys.refresh.build import current_model

if TYPE_CHECKING:
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

NO_REVIEWS = "there are no reviews to propose terms from: run `recsys ingest` with --reviews FILE"


@dataclass(frozen=True)
class ProposedTerm:
    """A term that no aspect has.

    Attributes
    ----------
    similarity : cosine to the aspect.
    reviews : how many have it; `example` is a sentence of one.
    """

    aspect: str
    term: str
    similarity: float
    reviews: int
    example: str


@dataclass(frozen=True)
class ProposedTerms:
    """Proposals from a shop's reviews.

    Attributes
    ----------
    reviews : how many were read; `left_out` count in no figure, and `unread` have no words or are in a language
        that the encoder does not read.
    sentences : of the reviews that were read.
    frequent : words and pairs of words of these that stand in enough of the reviews and that no aspect has.
    toml : lines for the shop's file of aspects; empty without proposals.
    file : the file of `reviews.aspects`; None where the settings name none.
    """

    reviews: int
    left_out: int
    unread: int
    sentences: int
    frequent: int
    terms: tuple[ProposedTerm, ...]
    toml: str
    file: str | None

    @property
    def why_none(self) -> str:
        """Why no term is proposed; empty if one is."""
        if self.terms:
            return ""
        if not self.sentences:
            return "no term is proposed: no sentence is read"
        if not self.frequent:
            words = f"no word or pair of words that no aspect has stands in at least {FEWEST} reviews"
            return f"no term is proposed: {words}; more reviews are needed"
        stand = f"{counted(self.frequent, 'frequent word or pair', 'frequent words and pairs')} that no aspect has"
        return f"no term is proposed: {stand} {agree(self.frequent, 'is', 'are')} near no aspect (cosine of at least {LEAST})"

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return asdict(self) | {"why_none": self.why_none or None}


def propose(workspace: Workspace, settings: Settings) -> ProposedTerms:
    """Propose terms from the reviews that count, by the encoder of the workspace's model; the pretrained one without a model.

    Raises
    ------
    DataError
        There are no reviews, or the file of aspects cannot be read.
    ModelError
        The trained model cannot be read.
    """
    aspects, file = settings.reviews.read_aspects(), settings.reviews.aspects
    catalog, log = workspace.load(settings.events)
    reviews = workspace.load_reviews(catalog, log.user_ids)
    if reviews is None or not len(reviews):
        raise DataError(NO_REVIEWS)
    counting = marks(reviews, log).is_null().to_numpy()
    texts = reviews.where(counting).full_text
    encoder = current_model(workspace, settings).encoder
    unread = find_unread(texts.to_list(), encoder.tokenizer, None).rows
    sentences = split_sentences(texts.gather(np.flatnonzero(~unread)))
    found = propose_terms(sentences, aspects, encoder, FEWEST, LEAST)
    terms = tuple(ProposedTerm(**row | {"example": sentences[SENTENCE][row["example"]]}) for row in found.terms.iter_rows(named=True))
    return ProposedTerms(
        reviews=int(counting.sum() - unread.sum()),
        left_out=int((~counting).sum()),
        unread=int(unread.sum()),
        sentences=len(sentences),
        frequent=found.frequent,
        terms=terms,
        toml=as_toml(found.terms, None if file is None else own_names(file)) if terms else "",
        file=None if file is None else str(file),
    )
