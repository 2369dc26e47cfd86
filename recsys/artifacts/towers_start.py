"""The towers from which a continued training starts, where those that serve have seen more than it may."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.storage.arrays import Subfolder, in_folder
from retrieval.two_tower.item_ids import ItemIdVectors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retrieval.two_tower.model import TwoTower


@dataclass(frozen=True)
class TowersStart:
    """The towers as they were before their last epochs on the whole log.

    The later parts of the next training need scores of towers that have not seen their windows. The towers of a model with last
    epochs have seen them.
    """

    tower: TwoTower
    item_id_vectors: ItemIdVectors

    @classmethod
    def copy_of(cls, tower: TwoTower, item_id_vectors: ItemIdVectors) -> TowersStart:
        """Return a copy, which further training leaves as it is."""
        return cls(copy.deepcopy(tower).cpu().eval(), item_id_vectors)

    def to_files(self) -> dict[str, bytes]:
        """Return the contents by file name."""
        return in_folder("tower", self.tower.to_files()) | in_folder("learned", self.item_id_vectors.to_files())

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> TowersStart | None:
        """Read the files of `to_files`; None where there are none."""
        from retrieval.two_tower.model import TwoTower

        if "tower/tower.json" not in files:
            return None
        return cls(TwoTower.from_files(Subfolder(files, "tower")), ItemIdVectors.from_files(Subfolder(files, "learned")))
