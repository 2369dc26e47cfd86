"""Snapshots: the data of one moment with the vectors, index, collaborative models and statistics computed from it.

Nothing here is trained by gradient descent. Every build and refresh takes a new snapshot with the model as it is.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from safetensors.numpy import save

from features.behavior.item_stats import ItemStats
from features.behavior.query_clicks import QueryClicks
from features.data.catalog import Catalog
from features.data.interactions import Interactions
from features.reviews.scored import ScoredReviews
from features.storage.arrays import Subfolder, arrays_of, in_folder
from features.text.embeddings import TextVectors, group
from features.text.token_states import ItemTokens, TokenStates
from recsys.settings.apps.search import with_praise
from recsys.snapshot.aggregates import LogAggregates
from recsys.snapshot.cold_start import fit_cold_start, texts_with
from recsys.snapshot.customers import CustomerTables
from recsys.snapshot.help_texts import HelpTexts
from retrieval.collaborative.models import Collaborative
from retrieval.collaborative.review_words import ReviewWords
from retrieval.index import ItemIndex
from retrieval.lexical.catalogue_words import CatalogueWords
from retrieval.lexical.fields import text_fields
from retrieval.lexical.index import LexicalIndex
from retrieval.new_items.cold_start import ColdStart
from retrieval.related.models import Related
from retrieval.related.substitutes import CategoryTexts
from retrieval.text_search import TextSearchConfig
from retrieval.two_tower.item_ids import in_space

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.artifacts.model import Model
    from recsys.settings.apps.search import IndexSettings
    from recsys.snapshot.encode import Encoded
    from recsys.snapshot.part import SnapshotPart
    from retrieval.collaborative.config import RetrievalConfig


@dataclass(frozen=True)
class Snapshot:
    """The data of one moment and what is computed from it.

    Attributes
    ----------
    now : seconds since the epoch; the log ends before it.
    texts : vectors of the catalogue's t distinct texts.
    states : token states of the distinct texts, in the order of `text_of`'s codes; None if the model's ranker does not
        use them.
    index : over `space`.
    search_texts : vectors of the distinct texts for search.
    search_index : over those.
    cold_start : the probability of items that nobody has bought.
    lexical : the words of the distinct texts.
    catalogue_words : what the catalogue calls things.
    text_search : how a query is matched with them.
    query_clicks : what the search log says of queries and items.
    synonyms : the shop's own groups of equal terms.
    buys_again : whether users of this shop buy an item more than once.
    reviews : what was read in the shop's reviews; empty for a shop without them.
    review_words : the words of those reviews; None for a shop without them, or where the model does not read them.
    help : the shop's help pages; empty for a shop without them.
    customers : what customers bought by day, and what is expected of them.
    related : complements, and what is bought again; empty until `with_related`.
    item_id_vectors : learned offsets of the texts' vectors, float32 (t, dim); None for a model without them.
    events_read : number of the last service event in the log; 0 if there is none.
    """

    catalog: Catalog
    log: Interactions
    now: int
    texts: TextVectors
    states: TokenStates | None
    index: ItemIndex
    collaborative: Collaborative
    stats: ItemStats
    cold_start: ColdStart
    search_texts: TextVectors
    search_index: ItemIndex
    lexical: LexicalIndex
    catalogue_words: CatalogueWords
    text_search: TextSearchConfig
    query_clicks: QueryClicks
    synonyms: tuple[tuple[str, ...], ...] = ()
    buys_again: bool = True
    reviews: ScoredReviews = field(default_factory=ScoredReviews.empty)
    review_words: ReviewWords | None = None
    help: HelpTexts = field(default_factory=HelpTexts.empty)
    customers: CustomerTables = field(default_factory=CustomerTables.empty)
    related: Related = field(default_factory=Related.nothing)
    item_id_vectors: np.ndarray | None = None
    events_read: int = 0

    def vectors_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the text vectors of some items, float32 (*rows.shape, dim)."""
        return self.text_vectors[self.text_of[rows]]

    @property
    def text_of(self) -> np.ndarray:
        """Each item's distinct text, int64 (n_items,)."""
        return self.texts.text_of

    @property
    def text_vectors(self) -> np.ndarray:
        """Vectors of the distinct texts, float32 (t, dim)."""
        return self.texts.vectors

    @cached_property
    def space(self) -> np.ndarray:
        """Vectors of the distinct texts plus `item_id_vectors`, the input of the user tower, float32 (t, dim)."""
        return in_space(self.text_vectors, self.item_id_vectors)

    @cached_property
    def prices(self) -> np.ndarray:
        """Current price of each item, an exact decimal, float64 (n_items,): the catalogue's, else the median paid, else nan."""
        return self.stats.current_prices(self.catalog)

    @cached_property
    def category_texts(self) -> CategoryTexts:
        """Categories and texts of the items, as complements and alternatives compare them."""
        return CategoryTexts.of(self.catalog, self.search_texts.vectors, self.search_texts.text_of)

    @property
    def tokens(self) -> ItemTokens | None:
        """Token states by item, the input of a cross-encoder; None without states."""
        return None if self.states is None else ItemTokens(self.states, self.text_of)

    def to_files(self) -> dict[str, bytes]:
        """Return the contents by file name."""
        buffer = io.BytesIO()
        self.catalog.frame.write_parquet(buffer)
        parts: dict[str, SnapshotPart] = {
            "log": self.log,
            "texts": self.texts,
            "index": self.index,
            "collaborative": self.collaborative,
            "stats": self.stats,
            "cold_start": self.cold_start,
            "search/texts": self.search_texts,
            "search/index": self.search_index,
            "search/lexical": self.lexical,
            "search/words": self.catalogue_words,
            "search/clicks": self.query_clicks,
            "reviews": self.reviews,
            "help": self.help,
            "customers": self.customers,
            "related": self.related,
        }
        about: dict[str, Any] = {"now": self.now, "buys_again": self.buys_again, "events_read": self.events_read}
        about["text_search"] = self.text_search.model_dump()
        files = {"catalog.parquet": buffer.getvalue(), "about.json": json.dumps(about).encode()}
        files["search/synonyms.json"] = json.dumps(self.synonyms).encode()
        if self.item_id_vectors is not None:
            files["learned.safetensors"] = save({"learned": self.item_id_vectors})
        if self.states is not None:
            parts["states"] = self.states
        if self.review_words is not None:
            parts["review_words"] = self.review_words
        for name, part in parts.items():
            files |= in_folder(name, part.to_files())
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Snapshot:
        """Read the files that `to_files` wrote."""
        about = json.loads(files["about.json"])
        lexical = LexicalIndex.from_files(Subfolder(files, "search/lexical"))
        catalog = Catalog.from_frame(pl.read_parquet(io.BytesIO(files["catalog.parquet"])))
        return cls(
            catalog=catalog,
            log=Interactions.from_files(Subfolder(files, "log")),
            now=about["now"],
            buys_again=about["buys_again"],
            events_read=about.get("events_read", 0),
            query_clicks=QueryClicks.from_files(Subfolder(files, "search/clicks")),
            text_search=TextSearchConfig(**about["text_search"]),
            texts=TextVectors.from_files(Subfolder(files, "texts")),
            states=TokenStates.from_files(Subfolder(files, "states")) if "states/offsets.safetensors" in files else None,
            index=ItemIndex.from_files(Subfolder(files, "index")),
            collaborative=Collaborative.from_files(Subfolder(files, "collaborative")),
            stats=ItemStats.from_files(Subfolder(files, "stats")),
            cold_start=ColdStart.from_files(Subfolder(files, "cold_start")),
            search_texts=TextVectors.from_files(Subfolder(files, "search/texts")),
            search_index=ItemIndex.from_files(Subfolder(files, "search/index")),
            lexical=lexical,
            catalogue_words=CatalogueWords.from_files(Subfolder(files, "search/words"), lexical),
            reviews=ScoredReviews.from_files(Subfolder(files, "reviews")),
            review_words=ReviewWords.from_files(Subfolder(files, "review_words")),
            help=HelpTexts.from_files(Subfolder(files, "help")),
            customers=CustomerTables.from_files(Subfolder(files, "customers")),
            related=Related.from_files(Subfolder(files, "related"), len(catalog)),
            synonyms=tuple(map(tuple, json.loads(files["search/synonyms.json"]))),
            item_id_vectors=arrays_of(files, "learned.safetensors")["learned"] if "learned.safetensors" in files else None,
        )


def reviews_in(files: Mapping[str, bytes]) -> tuple[ScoredReviews, Catalog]:
    """Read the reviews and the catalogue from a snapshot's files, and nothing else."""
    catalog = Catalog.from_frame(pl.read_parquet(io.BytesIO(files["catalog.parquet"])))
    return ScoredReviews.from_files(Subfolder(files, "reviews")), catalog


def take_snapshot(catalog: Catalog, log: Interactions, now: int, model: Model, encoded: Encoded, index: IndexSettings) -> Snapshot:
    """Compute a snapshot at `now`, in seconds since the epoch; later events are left out."""
    return indexed(catalog, LogAggregates.of(catalog, log.between(None, now), now, model.retrieval), now, model, encoded, index)


def indexed(catalog: Catalog, aggregates: LogAggregates, now: int, model: Model, encoded: Encoded, index: IndexSettings) -> Snapshot:
    """Index an encoded catalogue and return the snapshot with the aggregates of a log that ends before `now`."""
    return with_cold_start(assembled(catalog, aggregates, now, model, encoded, index))


def assembled(catalog: Catalog, aggregates: LogAggregates, now: int, model: Model, encoded: Encoded, index: IndexSettings) -> Snapshot:
    """Return `indexed` before the expert on items that nobody has bought is fitted."""
    texts, search = TextVectors.of(encoded.vectors), TextVectors.of(encoded.search)
    first, _ = group(encoded.vectors.hashes)
    item_id_vectors = None if model.item_id_vectors is None else model.item_id_vectors.of_texts(catalog.ids, texts.text_of, len(texts))
    lexical = index.lexical(text_fields(catalog.frame, texts.text_of, first), texts.text_of)
    return Snapshot(
        catalog=catalog,
        now=now,
        texts=texts,
        states=encoded.states,
        index=ItemIndex.build(in_space(texts.vectors, item_id_vectors), index.vectors),
        cold_start=ColdStart.nothing(len(catalog)),
        search_texts=search,
        search_index=ItemIndex.build(search.vectors, index.vectors),
        lexical=lexical,
        catalogue_words=CatalogueWords.read(catalog.frame, lexical),
        synonyms=index.synonyms,
        text_search=model.matching(index.retrieval),
        query_clicks=QueryClicks.empty(),
        reviews=index.reviews,
        related=Related.nothing(len(catalog)),
        item_id_vectors=item_id_vectors,
        **vars(aggregates),
    )


def with_cold_start(snapshot: Snapshot, earlier: ColdStart | None = None) -> Snapshot:
    """Return the snapshot with the expert on items that nobody has bought; `earlier` is one that is carried over and not fitted."""
    index = snapshot.index if snapshot.item_id_vectors is None else None
    log, als, catalog, now = snapshot.log, snapshot.collaborative.als, snapshot.catalog, snapshot.now
    if earlier is None:
        return replace(snapshot, cold_start=fit_cold_start(catalog, (log, als), now, snapshot.texts, index))
    return replace(snapshot, cold_start=earlier.carried_over(log, catalog, now, texts_with(snapshot.texts, index), als))


def reviewed(snapshot: Snapshot, reviews: ScoredReviews) -> Snapshot:
    """Return the snapshot with other reviews, and with the words that these praise items with."""
    first = np.unique(snapshot.text_of, return_index=True)[1]
    fields = with_praise(text_fields(snapshot.catalog.frame, snapshot.text_of, first), reviews, snapshot.text_of)
    return replace(snapshot, reviews=reviews, lexical=snapshot.lexical.update(fields))


def recounted(snapshot: Snapshot, log: Interactions, retrieval: RetrievalConfig) -> Snapshot:
    """Return the snapshot of the same moment and catalogue with another log."""
    aggregates = LogAggregates.of(snapshot.catalog, log, snapshot.now, retrieval, review_words=snapshot.review_words)
    counted = with_cold_start(replace(snapshot, **vars(aggregates)))
    return with_related(counted) if snapshot.related.built else counted


def with_related(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with the models of related items, which only bundles need: no list of candidates reads them."""
    return replace(snapshot, related=Related.fit(snapshot.log, snapshot.category_texts, snapshot.now))
