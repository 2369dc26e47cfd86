"""Words and vectors of the search in a refresh with 1% of the texts changed, compared with a build from nothing.

    python -m benchmarks.search_refresh [--workspace DIR] [--items N]

The build encodes all texts of the changed catalogue with an empty cache, indexes their vectors, and indexes their
words. The refresh does the same from what the unchanged catalogue had. Words are timed in turn, and the build from
nothing once. Both must answer alike: the words' indexes are equal bit for bit, and the vectors find the same texts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.paired import alternate, say
from features.data.catalog import Catalog
from features.storage.digests import digest
from features.text.embeddings import ItemVectors, TextVectors, group, update
from features.text.state_cache import cached_states
from features.text.template import item_texts, text_hashes
from recsys.refresh.build import current_model
from recsys.settings.settings import Settings, load_settings
from recsys.workspace.workspace import Workspace
from retrieval.index import ItemIndex
from retrieval.lexical.fields import text_fields
from retrieval.lexical.index import LexicalIndex

if TYPE_CHECKING:
    from recsys.artifacts.model import Model

ROUNDS, SHARE, TARGET, QUERIES, K = 3, 0.01, 0.05, 100, 10


@dataclass(frozen=True)
class Vectors:
    """The vectors of a catalogue for search, and the index over them."""

    items: ItemVectors
    index: ItemIndex

    @classmethod
    def of(cls, catalog: Catalog, model: Model, settings: Settings, known: ItemVectors | None = None) -> Vectors:
        """Encode the texts that `known` lacks, with an empty cache, and index all."""
        with tempfile.TemporaryDirectory() as cache:

            def encode(texts: list[str]) -> np.ndarray:
                return model.query_tower.vectors(cached_states(model.encoder, texts, Path(cache)))

            items, _ = update(catalog, encode, model.search_fingerprint, known)
        return cls(items, ItemIndex.build(TextVectors.of(items).vectors, settings.index))


def changed(catalog: Catalog, number: int) -> Catalog:
    """Return the catalogue with other titles for the items of 1% of the texts."""
    texts = item_texts(catalog)
    hit = texts.is_in(texts.unique().sort().sample(fraction=SHARE, seed=number).implode())
    title = pl.when(hit).then(pl.col("title") + f" no. {number}").otherwise("title")
    return Catalog.from_frame(catalog.frame.with_columns(title=title))


def fields_of(catalog: Catalog) -> pl.DataFrame:
    """Return the fields of the distinct texts."""
    first, text_of = group(text_hashes(item_texts(catalog)))
    return text_fields(catalog.frame, text_of, first)


def same_answers(ours: ItemIndex, reference: ItemIndex, queries: np.ndarray) -> float:
    """Return the share of the nearest texts that two indexes have in common."""
    lists = [index.search(queries, K)[0] for index in (ours, reference)]
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(*map(np.ndarray.tolist, lists), strict=True)]))


def main() -> None:
    """Print three rows: words, vectors, and both together."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--items", type=int, help="read the first items of the catalogue alone")
    options = parser.parse_args()
    workspace, settings = Workspace(options.workspace), load_settings()
    catalog, _ = workspace.load(settings.events)
    catalog = catalog if options.items is None else Catalog.from_frame(catalog.frame.head(options.items))
    model, words = current_model(workspace, settings), settings.search.words
    known = LexicalIndex.build(fields_of(catalog), words)
    build, refresh = [], []
    for number in range(ROUNDS):
        fields = fields_of(changed(catalog, number))
        assert digest(known.update(fields, words).to_files()) == digest(LexicalIndex.build(fields, words).to_files())
        times = alternate(lambda fields=fields: known.update(fields, words), lambda fields=fields: LexicalIndex.build(fields, words), 3)
        refresh, build = [*refresh, *times[0]], [*build, *times[1]]
    of_words = {"seconds": round(float(np.median(refresh)), 3), "build_seconds": round(float(np.median(build)), 3)}
    say("search_refresh_words", np.array(refresh) / np.array(build), TARGET, 1.0, better="lower", **of_words)
    begun = time.perf_counter()
    before = Vectors.of(catalog, model, settings)
    full = time.perf_counter() - begun
    few, kept = [], []
    reference = Vectors.of(changed(catalog, 0), model, settings)
    queries = TextVectors.of(reference.items).vectors[:: max(1, len(reference.index) // QUERIES)]
    for number in range(ROUNDS):
        other = changed(catalog, number)
        begun = time.perf_counter()
        found = Vectors.of(other, model, settings, before.items)
        few.append(time.perf_counter() - begun)
        if not number:
            kept.append(same_answers(found.index, reference.index, queries))
    of_vectors = {"seconds": round(float(np.median(few)), 2), "build_seconds": round(full, 1)}
    say("search_refresh_vectors", np.array(few) / full, TARGET, kept[0], better="lower", **of_vectors)
    both = (np.array(few) + np.median(refresh)) / (full + np.median(build))
    say("search_refresh_both", both, TARGET, kept[0], better="lower")


if __name__ == "__main__":
    main()
