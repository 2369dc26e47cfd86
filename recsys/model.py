"""Everything that training made: encoder, towers, cross-encoder, blend, calibration. What is counted from the log is in the snapshot."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from ranking import blend
from ranking.calibration import Calibration
from ranking.cross_encoder import CrossEncoder, CrossEncoderConfig
from retrieval.encoder import TextEncoder
from retrieval.joint import RetrievalConfig, below
from retrieval.learned import Learned
from retrieval.tower import TwoTower

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ranking.blend import Booster
    from recsys.config import Settings

UNTRAINED: dict[str, Any] = {"trained": False}


@dataclass(frozen=True)
class Ranking:
    """The fitted parts of the ranker."""

    first: Booster
    correction: Booster
    cross_encoder: CrossEncoder
    calibration: Calibration

    def to_files(self) -> dict[str, bytes]:
        boosters = blend.to_files(self.first, "blend") | blend.to_files(self.correction, "correction")
        return boosters | self.cross_encoder.to_files() | self.calibration.to_files()

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Ranking:
        return cls(
            blend.from_files(files, "blend"),
            blend.from_files(files, "correction"),
            CrossEncoder.from_files(files),
            Calibration.from_files(files),
        )


@dataclass(frozen=True)
class Model:
    """`ranking` is None where nothing has been trained; `about` is what the model card tells, ready for JSON.

    learned: what the towers know of single items beyond their texts; None for towers over texts alone.
    """

    encoder: TextEncoder
    tower: TwoTower
    retrieval: RetrievalConfig
    ranking: Ranking | None
    about: dict[str, Any] = field(default_factory=dict)
    learned: Learned | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Of what makes item vectors: encoder and item tower. 32 hex digits."""
        digest = hashlib.sha256(self.encoder.fingerprint.encode())
        for name in ("mean", "project.weight"):
            digest.update(self.tower.state_dict()[name].numpy().tobytes())
        return digest.hexdigest()[:32]

    @property
    def item_tokens(self) -> int:
        """How many tokens of an item's states are kept for the cross-encoder."""
        return (self.ranking.cross_encoder.config if self.ranking else CrossEncoderConfig()).item_tokens

    @classmethod
    def untrained(cls, settings: Settings) -> Model:
        """The pretrained encoder as it is, a user tower that averages, no ranker."""
        encoder = TextEncoder.pretrained(settings.encoder)
        # As wide as the encoder: nothing is lost, and nothing had to be learned.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # what chance fills in has no say, but two builds of the same shop are to be the same
            tower = TwoTower(encoder.width, settings.tower.model_copy(update={"dim": encoder.width}))
        tower.start_as_is()
        return cls(encoder, tower.eval(), settings.retrieval, None, UNTRAINED)

    def to_files(self) -> dict[str, bytes]:
        about = {"retrieval": self.retrieval.model_dump(), "about": self.about}
        files = {"model.json": json.dumps(about, indent=2).encode()}
        for name, part in (("encoder", self.encoder), ("tower", self.tower), ("ranking", self.ranking), ("learned", self.learned)):
            if part is not None:
                files |= {f"{name}/{file}": content for file, content in part.to_files().items()}
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Model:
        about = json.loads(files["model.json"])
        return cls(
            encoder=TextEncoder.from_files(below(files, "encoder")),
            tower=TwoTower.from_files(below(files, "tower")),
            retrieval=RetrievalConfig(**about["retrieval"]),
            ranking=Ranking.from_files(below(files, "ranking")) if "ranking/blend.txt" in files else None,
            about=about["about"],
            learned=Learned.from_files(below(files, "learned")) if "learned/ids.json" in files else None,
        )
