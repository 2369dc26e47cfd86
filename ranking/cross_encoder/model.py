"""A BERT cross-encoder over (history text, candidate text), cheap enough to answer online.

Both texts enter as token states that the encoder's lower layers made of each item beforehand (PreTTR: MacAvaney et al. 2020, arXiv
2004.14255). In the upper layers the candidate's tokens attend to the history's and to their own; the history attends to itself
alone, so its keys and values are computed once a user and every candidate reads them. When and how often each item was bought is added
to its tokens. Trained with binary cross-entropy on candidates that retrieval really produced.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from features.behavior.log_buckets import BUCKETS
from features.text.encoder import drop_pooler, run_layers
from ranking.cross_encoder.config import CrossEncoderConfig
from retrieval.two_tower.user_encoders import buckets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.histories import Histories
    from features.text.encoder import TextEncoder
    from features.text.token_states import ItemTokens


class SharedHistory:
    """Keys and values of the history in each layer: recorded on its own pass, then read by every candidate of the same user.

    Has the one method of transformers' caches that a layer calls.
    """

    def __init__(self) -> None:
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}
        self.candidates = 0  # 0 while recording

    def update(self, key: Tensor, value: Tensor, layer_idx: int) -> tuple[Tensor, Tensor]:
        """Keys and values (n, heads, L, d) of the pass; answers with what it may attend to."""
        if not self.candidates:
            self.kept[layer_idx] = (key, value)
            return key, value
        past_key, past_value = (each_times(part, self.candidates) for part in self.kept[layer_idx])  # (b * c, heads, H, d)
        return torch.cat([past_key, key], dim=2), torch.cat([past_value, value], dim=2)


def each_times(part: Tensor, times: int) -> Tensor:
    """Each row so many times, one after another: (b, ...) to (b * times, ...)."""
    return part[:, None].expand(-1, times, *part.shape[1:]).flatten(0, 1)


class CrossEncoder(nn.Module):
    """Upper BERT layers of its own, over kept states."""

    def __init__(self, layers: list[Any], model_config: dict[str, Any], config: CrossEncoderConfig) -> None:
        super().__init__()
        self.config, self.model_config = config, model_config
        width = model_config["hidden_size"]
        own = [copy.deepcopy(layer) for layer in layers]
        for index, layer in enumerate(own):
            layer.attention.self.layer_idx = index
            layer.requires_grad_(True)
        self.layers = nn.ModuleList(own)
        self.age = nn.Embedding(BUCKETS, width)
        self.count = nn.Embedding(BUCKETS, width)
        self.head = nn.Linear(width, 1)
        for module in (self.age, self.count, self.head):  # the layers begin on the states that they know
            nn.init.zeros_(module.weight)
        nn.init.zeros_(self.head.bias)  # no chance in it: a training that was cut off goes on to the very same model

    @classmethod
    def upon(cls, encoder: TextEncoder, config: CrossEncoderConfig) -> CrossEncoder:
        """Begin with a copy of the encoder's upper layers."""
        return cls(encoder.upper_layers, encoder.model.config.to_dict(), config)

    def forward(self, users: Histories, rows: np.ndarray, tokens: ItemTokens) -> Tensor:
        """Logits (b, c) of candidates `rows` (b, c); those of padding (-1) mean nothing."""
        device, most = self.head.weight.device, self.config.item_tokens
        recent = users.recent_items(len(tokens.text_of), self.config.history_items)
        parts = [*tokens.padded(recent.rows, most), buckets(recent.age), buckets(recent.count), *tokens.padded(rows, most)]
        return self.read(*(part.to(device) for part in parts))

    def read(self, history: Tensor, seen: Tensor, age: Tensor, count: Tensor, own: Tensor, mask: Tensor) -> Tensor:
        """`forward` over tensors, to logits (b, c).

        Token states of the history's items, newest last (b, n, M, width), which of them are real (b, n, M), codes of age and count
        (b, n); token states of the candidates (b, c, L, width), which of them are real (b, c, L).
        """
        c = own.shape[1]
        when = self.age(age) + self.count(count)  # (b, n, width)
        past, layers = SharedHistory(), list(self.layers)
        seen = seen.flatten(1)  # (b, H): the history's tokens in one row
        run_layers(layers, (history + when[:, :, None]).flatten(1, 2), seen, past)
        past.candidates = c
        both = torch.cat([each_times(seen, c), mask.flatten(0, 1)], dim=1)  # (b * c, H + L)
        out = run_layers(layers, own.flatten(0, 1), both, past)  # (b * c, L, width)
        weights = mask.flatten(0, 1)[..., None].to(out.dtype)
        pooled = (out * weights).sum(1) / weights.sum(1).clamp_min(1)  # (b * c, width)
        return self.head(pooled).view(-1, c)

    @torch.inference_mode()
    def logits(self, users: Histories, rows: np.ndarray, tokens: ItemTokens) -> np.ndarray:
        """`forward` in small batches, without gradient: float32 (b, c), nan where padded."""
        self.eval()
        out = np.full(rows.shape, np.nan, dtype=np.float32)
        step = self.config.batch_users
        for start in range(0, len(users), step):
            part = np.arange(start, min(start + step, len(users)))
            out[part] = self(users.take(part), rows[part], tokens).float().cpu().numpy()
        return np.where(rows >= 0, out, np.nan)

    def to_files(self) -> dict[str, bytes]:
        about = {"config": self.config.model_dump(), "model": self.model_config, "layers": len(self.layers)}
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        return {"cross_encoder.json": json.dumps(about, default=str).encode(), "cross_encoder.safetensors": safetensors.torch.save(weights)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> CrossEncoder:
        about = json.loads(files["cross_encoder.json"])
        model = AutoModel.from_config(AutoConfig.for_model(**{**about["model"], "num_hidden_layers": about["layers"]}))
        drop_pooler(model)
        encoder = cls(list(model.encoder.layer), about["model"], CrossEncoderConfig(**about["config"]))
        encoder.load_state_dict(safetensors.torch.load(files["cross_encoder.safetensors"]))
        return encoder.eval()
