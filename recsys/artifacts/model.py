"""The trained model: encoder, towers and the fitted parts of the ranker.

What is computed from the log is in the snapshot.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from features.storage.arrays import Subfolder, in_folder
from features.storage.digests import of_json
from ranking.cross_encoder.config import CrossEncoderConfig
from ranking.search_ranker import SearchRanker
from recsys.artifacts.ranking import Ranking, ServedRanking
from recsys.artifacts.towers_start import TowersStart
from retrieval.collaborative.config import RetrievalConfig
from retrieval.two_tower.item_ids import ItemIdVectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch
    from tokenizers import Tokenizer

    from features.onnx.session import Device
    from features.text.encoder import TextEncoder
    from features.text.intents.messages import MessageIntents
    from features.text.intents.model import IntentModel
    from features.text.sentiment.model import SentimentModel
    from ranking.cross_encoder.aspect_polarity import AspectPolarity
    from ranking.cross_encoder.model import CrossEncoder
    from ranking.cross_encoder.onnx_model import OnnxCrossEncoder
    from recsys.settings.settings import Settings
    from retrieval.query_tower.encoded_queries import EncodedQueries
    from retrieval.query_tower.model import QueryTower
    from retrieval.query_tower.onnx_model import QueryEncoder
    from retrieval.text_search import TextSearchConfig
    from retrieval.two_tower.model import TwoTower
    from retrieval.two_tower.onnx_model import OnnxUserTower

UNTRAINED: dict[str, Any] = {"trained": False}


@dataclass(frozen=True)
class Model:
    """A model as training stores it.

    Attributes
    ----------
    ranking : None for an untrained model.
    about : facts for the model card, ready for JSON.
    query_tower : vectors of texts and queries for search.
    item_id_vectors : what the towers learned of single items; None for towers over texts alone.
    search : ranks what a search found.
    pairs : the cross-encoder over query and item; None where it earns nothing.
    sentiment : the classifier of reviews; None where there were none.
    polarity : the polarity of aspects in sentences of reviews; None where nobody labelled any, or it tells no more than `sentiment`.
    start : towers from which a continued training starts; None where it starts from `tower`.
    """

    encoder: TextEncoder
    tower: TwoTower
    query_tower: QueryTower
    retrieval: RetrievalConfig
    ranking: Ranking | None
    about: dict[str, Any] = field(default_factory=dict)
    item_id_vectors: ItemIdVectors | None = None
    search: SearchRanker = field(default_factory=SearchRanker)
    pairs: CrossEncoder | None = None
    sentiment: SentimentModel | None = None
    polarity: AspectPolarity | None = None
    start: TowersStart | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Digest of encoder and item tower, which determine item vectors; 32 hex digits."""
        digest = hashlib.sha256(self.encoder.fingerprint.encode())
        for name in ("mean", "project.weight"):
            digest.update(self.tower.state_dict()[name].cpu().numpy().tobytes())
        return digest.hexdigest()[:32]

    @contextmanager
    def on(self, device: torch.device) -> Iterator[None]:
        """Move encoder and towers to `device`, and back to the CPU when the context ends."""
        try:
            self.encoder.to(device)
            self.tower.to(device)
            self.query_tower.to(device)
            yield
        finally:
            self.encoder.cpu()
            self.tower.cpu()
            self.query_tower.cpu()

    @property
    def item_tokens(self) -> int:
        """Number of tokens of an item that are stored for the cross-encoder."""
        of_history = (self.ranking.cross_encoder.config if self.ranking else CrossEncoderConfig()).right_tokens
        return of_history if self.pairs is None else max(of_history, self.pairs.config.right_tokens)

    @property
    def reads_states(self) -> bool:
        """Whether answers use token states: they do if the residual booster depends on the cross-encoder."""
        return self.pairs is not None or (self.ranking is not None and not self.ranking.residual.idle)

    @property
    def tokenizer(self) -> Tokenizer:
        """The text encoder's."""
        return self.encoder.tokenizer

    @property
    def messages(self) -> MessageIntents | None:
        """Nothing, as with `intents`."""
        return None

    @property
    def intents(self) -> IntentModel | None:
        """Nothing: what customers want of the assistant is learned when a bundle is built."""
        return None

    @property
    def search_fingerprint(self) -> str:
        """Digest of all that the texts' vectors for search depend on."""
        from features.text.state_cache import lower_fingerprint

        return of_json([lower_fingerprint(self.encoder), self.query_tower.fingerprint])

    def matching(self, config: TextSearchConfig) -> TextSearchConfig:
        """Return how queries are matched with texts: with the weight of BM25 that training chose, unless the settings name one."""
        chosen = self.about.get("search", {}).get("query_tower", {}).get("lexical")
        return config if chosen is None or "lexical" in config.model_fields_set else config.model_copy(update={"lexical": chosen})

    def encode_queries(self, texts: Sequence[str]) -> EncodedQueries:
        """Return vectors and token states of search queries."""
        from retrieval.query_tower.encoded_queries import EncodedQueries

        states = self.encoder.token_states(texts, kind="query")
        return EncodedQueries(self.query_tower.vectors(states, queries=True), states)

    @classmethod
    def untrained(cls, settings: Settings) -> Model:
        """Return a model of the pretrained encoder and a user tower that averages, without a ranker."""
        import torch

        from features.text.encoder import TextEncoder
        from retrieval.query_tower.model import QueryTower
        from retrieval.two_tower.model import TwoTower

        encoder = TextEncoder.pretrained(settings.encoder)
        # As wide as the encoder: a projection would have to be learned.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # unused weights are random, and two builds of the same shop must be equal
            tower = TwoTower(encoder.width, settings.tower.model_copy(update={"dim": encoder.width}))
        tower.start_as_is()
        return cls(encoder, tower.eval(), QueryTower.upon(encoder), settings.retrieval, None, UNTRAINED)

    def to_files(self) -> dict[str, bytes]:
        """Return the contents by file name."""
        files = self.fact_files()
        parts = {"encoder": self.encoder, "tower": self.tower, "query_tower": self.query_tower, "search": self.search}
        optional = {"ranking": self.ranking, "learned": self.item_id_vectors, "pairs": self.pairs}
        optional |= {"sentiment": self.sentiment, "polarity": self.polarity, "start": self.start}
        for name, part in (parts | optional).items():
            if part is not None:
                files |= in_folder(name, part.to_files())
        return files

    def fact_files(self) -> dict[str, bytes]:
        """Return the file of retrieval settings and facts, which training and serving share."""
        about = {"retrieval": self.retrieval.model_dump(), "about": self.about}
        return {"model.json": json.dumps(about, indent=2).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Model:
        """Read the files that `to_files` wrote."""
        from features.text.encoder import TextEncoder
        from features.text.sentiment.model import SentimentModel
        from ranking.cross_encoder.aspect_polarity import AspectPolarity
        from ranking.cross_encoder.model import CrossEncoder
        from retrieval.query_tower.model import QueryTower
        from retrieval.two_tower.model import TwoTower

        about, encoder = json.loads(files["model.json"]), TextEncoder.from_files(Subfolder(files, "encoder"))
        polarity = Subfolder(files, "polarity")
        towers = Subfolder(files, "query_tower")  # which models of earlier versions lack
        return cls(
            encoder=encoder,
            tower=TwoTower.from_files(Subfolder(files, "tower")),
            query_tower=QueryTower.from_files(towers) if "query_tower.json" in towers else QueryTower.upon(encoder),
            retrieval=RetrievalConfig.from_stored(about["retrieval"]),
            ranking=Ranking.from_files(Subfolder(files, "ranking")) if "ranking/calibration.json" in files else None,
            about=about["about"],
            item_id_vectors=ItemIdVectors.from_files(Subfolder(files, "learned")) if "learned/ids.json" in files else None,
            search=SearchRanker.from_files(Subfolder(files, "search")),
            pairs=CrossEncoder.from_files(Subfolder(files, "pairs")) if "pairs/cross_encoder.json" in files else None,
            sentiment=SentimentModel.from_files(Subfolder(files, "sentiment")) if "sentiment/sentiment.json" in files else None,
            polarity=AspectPolarity.from_files(polarity, encoder) if "cross_encoder.json" in polarity else None,
            start=TowersStart.from_files(Subfolder(files, "start")),
        )


@dataclass(frozen=True)
class ServedModel:
    """A model for serving, from the files of `recsys.artifacts.export`.

    Each part is read on first use, and none needs torch.
    """

    files: Mapping[str, bytes]
    device: Device = "cpu"

    @cached_property
    def retrieval(self) -> RetrievalConfig:
        return RetrievalConfig.from_stored(json.loads(self.files["model.json"])["retrieval"])

    @cached_property
    def tower(self) -> OnnxUserTower:
        from retrieval.two_tower.onnx_model import OnnxUserTower

        return OnnxUserTower.from_files(Subfolder(self.files, "tower"), self.device)

    @cached_property
    def query(self) -> QueryEncoder:
        from retrieval.query_tower.onnx_model import QueryEncoder

        return QueryEncoder.from_files(Subfolder(self.files, "query"), self.device)

    @property
    def tokenizer(self) -> Tokenizer:
        """The text encoder's."""
        return self.query.tokenizer

    @cached_property
    def ranking(self) -> ServedRanking | None:
        """The ranker's parts; None for an untrained model."""
        return ServedRanking(Subfolder(self.files, "ranking"), self.device) if "ranking/calibration.json" in self.files else None

    @cached_property
    def search(self) -> SearchRanker:
        """Ranks what a search found."""
        return SearchRanker.from_files(Subfolder(self.files, "search"))

    @cached_property
    def pairs(self) -> OnnxCrossEncoder | None:
        """The cross-encoder over query and item; None where it earns nothing."""
        if "pairs/cross_encoder.json" not in self.files:
            return None
        from ranking.cross_encoder.onnx_model import OnnxCrossEncoder

        return OnnxCrossEncoder.from_files(Subfolder(self.files, "pairs"), self.device)

    @cached_property
    def messages(self) -> MessageIntents | None:
        """Tells what a message to the assistant wants; None in a bundle of another version."""
        if "messages/messages.json" not in self.files:
            return None
        from features.text.intents.messages import MessageIntents

        return MessageIntents.from_files(Subfolder(self.files, "messages"))

    @cached_property
    def intents(self) -> IntentModel | None:
        """Tells what customers want of the assistant; None for a shop without help pages."""
        if "intents/intents.json" not in self.files:
            return None
        from features.text.intents.model import IntentModel

        return IntentModel.from_files(Subfolder(self.files, "intents"), self.device)

    def encode_queries(self, texts: Sequence[str]) -> EncodedQueries:
        """Return vectors and token states of search queries."""
        return self.query.encode(texts)

    def read(self) -> ServedModel:
        """Read all parts that answers need, so that damage shows at once and a removed bundle still answers."""
        parts: list[object] = [self.retrieval, self.tower]
        if self.ranking is not None:
            parts += [self.ranking.base, self.ranking.calibration]
            if not self.ranking.residual.idle:
                parts.append(self.ranking.cross_encoder)
        return self
