"""The fitted parts of the ranker, as training stores them and as answers read them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ranking import gbdt
from ranking.calibration import Calibration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.onnx.session import Device
    from ranking.cross_encoder.model import CrossEncoder
    from ranking.cross_encoder.onnx_model import OnnxCrossEncoder
    from ranking.gbdt import Booster

# File names of the boosters; older than the names of the attributes, and kept so that trained models stay readable.
BASE_FILE, RESIDUAL_FILE = "blend", "correction"


@dataclass(frozen=True)
class Ranking:
    """The fitted parts of the ranker, see `ranking.ranker.GBDTRanker`."""

    base: Booster
    residual: Booster
    cross_encoder: CrossEncoder
    calibration: Calibration

    def to_files(self) -> dict[str, bytes]:
        """Return the contents by file name."""
        return self.tree_files() | self.cross_encoder.to_files()

    def tree_files(self) -> dict[str, bytes]:
        """Return the files of boosters and calibration, which training and serving share."""
        boosters = gbdt.to_files(self.base, BASE_FILE) | gbdt.to_files(self.residual, RESIDUAL_FILE)
        return boosters | self.calibration.to_files()

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Ranking:
        """Read the files that `to_files` wrote."""
        from ranking.cross_encoder.model import CrossEncoder

        return cls(
            gbdt.from_files(files, BASE_FILE),
            gbdt.from_files(files, RESIDUAL_FILE),
            CrossEncoder.from_files(files),
            Calibration.from_files(files),
        )


@dataclass(frozen=True)
class ServedRanking:
    """The fitted parts of the ranker for serving, read on first use; see `Ranking`."""

    files: Mapping[str, bytes]
    device: Device = "cpu"

    @cached_property
    def base(self) -> Booster:
        return gbdt.from_files(self.files, BASE_FILE)

    @cached_property
    def residual(self) -> Booster:
        return gbdt.from_files(self.files, RESIDUAL_FILE)

    @cached_property
    def calibration(self) -> Calibration:
        return Calibration.from_files(self.files)

    @cached_property
    def cross_encoder(self) -> OnnxCrossEncoder:
        from ranking.cross_encoder.onnx_model import OnnxCrossEncoder

        return OnnxCrossEncoder.from_files(self.files, self.device)
