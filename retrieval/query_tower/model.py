"""The towers of search: texts as the pretrained encoder reads them, and queries by upper layers of their own.

The space that the user tower learns for purchases is worse for words than the encoder's own. So search has vectors of its
own. The texts' side stays as it is, and only the queries' side is trained: a shop's vectors outlive each training.
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel

from features.text.encoder import TOKENS_A_BATCH, drop_pooler, length_batches, pooled, run_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.text.encoder import TextEncoder
    from features.text.encoder_files import Pooling
    from features.text.token_states import TokenStates


class QueryTower(nn.Module):
    """Upper layers over the token states of an encoder's lower layers, one set for texts and one for queries.

    Parameters
    ----------
    layers : upper layers, which are copied for both sides.
    model_config : configuration of the encoder's BERT model.
    pooling : how token states become a vector.
    """

    def __init__(self, layers: Sequence[nn.Module], model_config: dict[str, Any], pooling: Pooling) -> None:
        super().__init__()
        self.model_config = model_config
        self.pooling: Pooling = pooling
        self.texts = nn.ModuleList([copy.deepcopy(layer) for layer in layers]).requires_grad_(requires_grad=False)
        self.queries = nn.ModuleList([copy.deepcopy(layer) for layer in layers]).requires_grad_()

    @classmethod
    def upon(cls, encoder: TextEncoder) -> QueryTower:
        """Return towers that read as the encoder does."""
        return cls(encoder.upper_layers, encoder.model.config.to_dict(), encoder.sentence.pooling).eval()

    @property
    def fingerprint(self) -> str:
        """Digest of the texts' side, which determines their vectors; 32 hex digits."""
        digest = hashlib.sha256(self.pooling.encode())
        for name, tensor in sorted(self.texts.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]

    def text(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return unit vectors (n, dim) of texts from their token states (n, L, width) and mask (n, L)."""
        return F.normalize(pooled(run_layers(list(self.texts), hidden, mask), mask, self.pooling), dim=-1)

    def query(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return unit vectors (n, dim) of queries, as `text`."""
        return F.normalize(pooled(run_layers(list(self.queries), hidden, mask), mask, self.pooling), dim=-1)

    @torch.inference_mode()
    def vectors(self, states: TokenStates, *, queries: bool = False) -> np.ndarray:
        """Return unit vectors of many texts, or queries, float32 (n, dim)."""
        side, device = self.query if queries else self.text, next(self.parameters()).device
        out = np.empty((len(states), self.model_config["hidden_size"]), dtype=np.float32)
        for chosen in length_batches(np.diff(states.offsets), TOKENS_A_BATCH[device.type]):
            hidden, mask = states.padded(np.array(chosen))
            out[chosen] = side(hidden.to(device), mask.to(device)).cpu().numpy()
        return out

    def to_files(self) -> dict[str, bytes]:
        """Return the configuration as JSON and the weights as safetensors."""
        about = {"model": self.model_config, "layers": len(self.texts), "pooling": self.pooling}
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        return {"query_tower.json": json.dumps(about, default=str).encode(), "query_tower.safetensors": safetensors.torch.save(weights)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> QueryTower:
        """Read the files that `to_files` wrote."""
        about = json.loads(files["query_tower.json"])
        model = AutoModel.from_config(AutoConfig.for_model(**{**about["model"], "num_hidden_layers": about["layers"]}))
        drop_pooler(model)
        tower = cls(list(model.encoder.layer), about["model"], about["pooling"])
        tower.load_state_dict(safetensors.torch.load(files["query_tower.safetensors"]))
        return tower.eval()
