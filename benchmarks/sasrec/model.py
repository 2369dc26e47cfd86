"""RecTools' SASRec with two changes that make it affordable on a CPU and leave the model and its loss unchanged.

Batches hold sequences of similar length and are as wide as the longest of them; padding is not scored. The negatives of
the sampled softmax are drawn uniformly once a batch and shared by its positions, instead of separately for each
position.
"""

# The environment of the project, in which types are checked, has no rivals.
# pyright: reportMissingImports=false

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from rectools.models import SASRecModel
from rectools.models.nn.transformers.data_preparator import SequenceDataset
from rectools.models.nn.transformers.lightning import TransformerLightningModule
from rectools.models.nn.transformers.sasrec import SASRecDataPreparator
from torch.utils.data import DataLoader, Sampler


class AlikeLengths(Sampler[list[int]]):
    """Batches of similar length: shuffled in each epoch, then sorted within groups of `stretch` batches."""

    def __init__(self, lengths: np.ndarray, batch: int, stretch: int = 25) -> None:
        self.lengths, self.batch, self.stretch = lengths, batch, stretch

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch)

    def __iter__(self):  # noqa: ANN204
        order = torch.randperm(len(self.lengths)).numpy()
        size = self.batch * self.stretch
        parts = [order[begin : begin + size] for begin in range(0, len(order), size)]
        order = np.concatenate([part[np.argsort(self.lengths[part], kind="stable")] for part in parts])
        batches = [order[begin : begin + self.batch].tolist() for begin in range(0, len(order), self.batch)]
        for i in torch.randperm(len(batches)).tolist():
            yield batches[i]


class Trimmed(SASRecDataPreparator):
    """Batches as wide as their longest sequence; positions count from the end, so trimming keeps them."""

    def _collate_fn_train(self, batch: list[Any]) -> dict[str, torch.Tensor]:
        widest = max(len(items) for items, _, _ in batch) - 1
        return {name: values[:, -widest:] for name, values in super()._collate_fn_train(batch).items()}

    def get_dataloader_train(self) -> DataLoader:
        """Return RecTools' data loader with batches of similar length."""
        sequences = SequenceDataset.from_interactions(self.train_dataset.interactions.df)
        lengths = np.array([len(items) for items in sequences.sessions])
        return DataLoader(sequences, collate_fn=self._collate_fn_train, batch_sampler=AlikeLengths(lengths, self.batch_size))


class SharedNegatives(TransformerLightningModule):
    """Softmax of the next item against `negatives` items drawn for the batch; 0: against the whole catalogue."""

    def __init__(self, negatives: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negatives = negatives

    @staticmethod
    def requires_negatives(loss: str) -> bool:
        """Return False: negatives are drawn here, not with the data."""
        return False

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Return the mean loss of the positions that have a next item."""
        items = self.torch_model.item_model.get_all_embeddings()
        real = batch["y"] != 0
        sessions = self.torch_model.encode_sessions(batch, items)[real]  # (n, d)
        wanted = batch["y"][real]
        if not self.negatives:
            return torch.nn.functional.cross_entropy(sessions @ items[1:].T, wanted - 1)  # item 0 is padding
        drawn = torch.randint(1, len(items), (self.negatives,))
        against = (sessions @ items[drawn].T).masked_fill(drawn == wanted[:, None], -torch.inf)
        right = (sessions * items[wanted]).sum(dim=1, keepdim=True)
        return torch.nn.functional.cross_entropy(torch.cat([right, against], dim=1), torch.zeros_like(wanted))


def sasrec(settings: dict[str, Any]) -> SASRecModel:
    """Return an untrained model; `settings` are the command-line options of `train.py`."""
    return SASRecModel(
        n_blocks=settings["blocks"],
        n_heads=settings["heads"],
        n_factors=settings["factors"],
        dropout_rate=settings["dropout"],
        session_max_len=settings["length"],
        loss="sampled_softmax" if settings["negatives"] else "softmax",
        lr=settings["rate"],
        batch_size=settings["batch"],
        use_key_padding_mask=True,
        data_preparator_type=Trimmed,
        lightning_module_type=SharedNegatives,
        lightning_module_kwargs={"negatives": settings["negatives"]},
        recommend_torch_device="cpu",
        recommend_n_threads=1,
    )
