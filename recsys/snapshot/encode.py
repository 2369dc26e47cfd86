"""Encodes a catalogue's distinct texts for the towers, for search and for the cross-encoders; what is known is reused."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.progress import silent
from features.text.embeddings import group, update
from features.text.template import item_texts, text_hashes
from features.text.token_states import TokenStates
from recsys.snapshot.encode_shards import SEARCH, TOWERS, ClusterEncoder, search_vectors, tower_vectors

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from features.data.catalog import Catalog
    from features.progress import Progress
    from features.text.embeddings import ItemVectors
    from recsys.artifacts.model import Model
    from recsys.compute.job import Cluster
    from recsys.settings.names import Device


@dataclass(frozen=True)
class Encoded:
    """An encoded catalogue.

    Attributes
    ----------
    vectors : of the items.
    search : vectors of the items for search.
    states : token states of the distinct texts, in the order of `features.text.embeddings.group`; None if they were not
        requested.
    encoded : number of texts that were not taken from an earlier result.
    """

    vectors: ItemVectors
    search: ItemVectors
    states: TokenStates | None
    encoded: int


@dataclass(frozen=True)
class EncodeOptions:
    """How a catalogue is encoded.

    Attributes
    ----------
    device : where texts are encoded; looked up only if there is a text to encode.
    states : whether token states are wanted besides the vectors; None: if the model's ranker reads them.
    progress : reports the texts that go through the encoder's lower layers.
    cluster : where texts are encoded in place of this process.
    """

    device: Device = "auto"
    states: bool | None = None
    progress: Progress = silent
    cluster: Cluster | None = None


DEFAULTS = EncodeOptions()


def encode_catalog(
    catalog: Catalog, model: Model, cache: Path, previous: Encoded | None = None, options: EncodeOptions = DEFAULTS
) -> Encoded:
    """Encode the texts that `previous` lacks, and reuse what `previous` holds of the same model.

    Parameters
    ----------
    cache : folder of token states, see `features.text.state_cache.cached_states`; states that `previous` lacks come
        from there.
    """
    known = None if previous is None else previous.search  # of search; may be of the same model where the towers' are not
    if previous is not None and previous.vectors.fingerprint != model.fingerprint:
        previous = None
    wanted = model.reads_states if options.states is None else options.states
    states = _States(model, cache, options, kept=wanted)
    there = None if options.cluster is None else ClusterEncoder(options.cluster, model, cache, options.device, options.progress)
    side = there or states
    if wanted and previous is not None and previous.states is not None:
        states.add(distinct_hashes(previous.vectors.hashes), previous.states)
    before = None if previous is None else previous.vectors
    vectors, encoded = update(catalog, partial(side.vectors, kind=TOWERS), model.fingerprint, before)
    search, _ = update(catalog, partial(side.vectors, kind=SEARCH), model.search_fingerprint, known)
    if there is not None:
        there.close()
    if not wanted:
        return Encoded(vectors, search, None, encoded)
    keys, first = distinct_hashes(vectors.hashes), group(vectors.hashes)[0]
    missing = [row for key, row in zip(keys, first.tolist(), strict=True) if key not in states.place]
    if missing or not states.pool:
        with states.on_device():
            states.of(item_texts(catalog).gather(missing).to_list())
    return Encoded(vectors, search, states.select(keys), encoded)


class _States:
    """Token states of a catalogue's texts, and vectors from them; towers and search ask for the same texts, which are read once.

    Attributes
    ----------
    kept : whether states are kept for the cross-encoders.
    pool : the kept states.
    place : the place of each text in `pool`, by its hash.
    """

    def __init__(self, model: Model, cache: Path, options: EncodeOptions, kept: bool) -> None:
        self.model, self.cache, self.options, self.kept = model, cache, options, kept
        self.pool: list[TokenStates] = []
        self.place: dict[bytes, int] = {}
        self._last: tuple[list[str], TokenStates] | None = None

    def on_device(self) -> AbstractContextManager[None]:
        """Have the model on the device of the options until the context ends."""
        from recsys.settings.presets import find_device

        return self.model.on(find_device(self.options.device))

    def vectors(self, texts: list[str], kind: str) -> np.ndarray:
        """Return vectors of texts for the towers or for search, float32 (n, dim)."""
        with self.on_device():
            states = self.of(texts)
            if kind == TOWERS:
                return tower_vectors(states, self.model.encoder, self.model.tower)
            return search_vectors(states, self.model.query_tower)

    def of(self, texts: list[str]) -> TokenStates:
        """Return the states of texts, from the cache as far as it has them."""
        from features.text.state_cache import cached_states

        if self._last is None or self._last[0] != texts:
            self._last = texts, cached_states(self.model.encoder, texts, self.cache, self.options.progress)
            if self.kept:
                hashes = text_hashes(pl.Series(texts, dtype=pl.String))
                states = self._last[1]
                self.add([key.tobytes() for key in hashes], states.select(np.arange(len(states)), self.model.item_tokens))
        return self._last[1]

    def add(self, hashes: list[bytes], states: TokenStates) -> None:
        """Keep the states of texts, given by their hashes."""
        begin = sum(map(len, self.pool))
        self.place.update(zip(hashes, range(begin, begin + len(hashes)), strict=True))
        self.pool.append(states)

    def select(self, hashes: list[bytes]) -> TokenStates:
        """Return kept states in the order of the hashes."""
        return TokenStates.join(self.pool).select(np.array([self.place[key] for key in hashes], dtype=np.int64))


def distinct_hashes(hashes: np.ndarray) -> list[bytes]:
    """Return the distinct hashes in the order of `features.text.embeddings.group`."""
    return [hashes[row].tobytes() for row in group(hashes)[0]]
