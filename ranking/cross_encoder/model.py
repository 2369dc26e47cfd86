"""A BERT cross-encoder over pairs of a history's texts and a candidate's text, fast enough to rerank online.

Its inputs are token states that the encoder's lower layers computed in advance (PreTTR: MacAvaney et al. 2020, arXiv
2004.14255). In the upper layers, the candidate's tokens attend to the history's tokens and to each other. The history
attends to itself alone, so its keys and values are computed once a user and shared by all candidates. Embeddings of
each purchase's age and count are added to its tokens. The model is trained with binary cross-entropy on candidates that
retrieval produced.
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
    """Keys and values of the history in each layer, recorded once and shared by all candidates of the user.

    It has the one method of transformers' caches that a layer calls.
    """

    def __init__(self) -> None:
        self.recorded: dict[int, tuple[Tensor, Tensor]] = {}
        self.candidates = 0  # 0 while recording

    def update(self, key: Tensor, value: Tensor, layer_idx: int) -> tuple[Tensor, Tensor]:
        """Record or extend the keys and values (n, heads, L, d) of a pass; return those that it may attend to."""
        if not self.candidates:
            self.recorded[layer_idx] = (key, value)
            return key, value
        past_key, past_value = (repeat_rows(part, self.candidates) for part in self.recorded[layer_idx])  # (b * c, heads, H, d)
        return torch.cat([past_key, key], dim=2), torch.cat([past_value, value], dim=2)


def repeat_rows(part: Tensor, times: int) -> Tensor:
    """Repeat each row `times` times in succession: (b, ...) to (b * times, ...)."""
    return part[:, None].expand(-1, times, *part.shape[1:]).flatten(0, 1)


class CrossEncoder(nn.Module):
    """BERT layers over cached token states, with a pooled linear head.

    Parameters
    ----------
    layers : upper layers of an encoder, which are copied.
    model_config : configuration of the encoder's BERT model.
    """

    def __init__(self, layers: list[Any], model_config: dict[str, Any], config: CrossEncoderConfig) -> None:
        super().__init__()
        self.config, self.model_config = config, model_config
        width = model_config["hidden_size"]
        copies = [copy.deepcopy(layer) for layer in layers]
        for index, layer in enumerate(copies):
            layer.attention.self.layer_idx = index
            layer.requires_grad_(True)
        self.layers = nn.ModuleList(copies)
        self.age = nn.Embedding(BUCKETS, width)
        self.count = nn.Embedding(BUCKETS, width)
        self.head = nn.Linear(width, 1)
        for module in (self.age, self.count, self.head):  # at the start, the layers get the states that they were trained on
            nn.init.zeros_(module.weight)
        nn.init.zeros_(self.head.bias)  # not random, so that an interrupted training resumes to the same model

    @classmethod
    def upon(cls, encoder: TextEncoder, config: CrossEncoderConfig) -> CrossEncoder:
        """Return a cross-encoder that starts from a copy of the encoder's upper layers."""
        return cls(encoder.upper_layers, encoder.model.config.to_dict(), config)

    def forward(self, users: Histories, rows: np.ndarray, tokens: ItemTokens) -> Tensor:
        """Return the logits (b, c) of candidates `rows` (b, c); those of padding (-1) are undefined."""
        device, most = self.head.weight.device, self.config.item_tokens
        recent = users.recent_items(len(tokens.text_of), self.config.history_items)
        parts = [*tokens.padded(recent.rows, most), buckets(recent.age), buckets(recent.count), *tokens.padded(rows, most)]
        return self.read(*(part.to(device) for part in parts))

    def read(self, history: Tensor, seen: Tensor, age: Tensor, count: Tensor, own: Tensor, mask: Tensor) -> Tensor:
        """Return the logits (b, c) of tensors.

        Parameters
        ----------
        history : token states of the history's items, newest last, (b, n, M, width).
        seen : mask of the history's tokens, bool (b, n, M).
        age, count : bucket codes of each purchase, int64 (b, n).
        own : token states of the candidates, (b, c, L, width).
        mask : mask of the candidates' tokens, bool (b, c, L).
        """
        c = own.shape[1]
        when = self.age(age) + self.count(count)  # (b, n, width)
        past, layers = SharedHistory(), list(self.layers)
        seen = seen.flatten(1)  # (b, H), H = n * M
        run_layers(layers, (history + when[:, :, None]).flatten(1, 2), seen, past)
        past.candidates = c
        both = torch.cat([repeat_rows(seen, c), mask.flatten(0, 1)], dim=1)  # (b * c, H + L)
        out = run_layers(layers, own.flatten(0, 1), both, past)  # (b * c, L, width)
        weights = mask.flatten(0, 1)[..., None].to(out.dtype)
        pooled = (out * weights).sum(1) / weights.sum(1).clamp_min(1)  # (b * c, width)
        return self.head(pooled).view(-1, c)

    @torch.inference_mode()
    def logits(self, users: Histories, rows: np.ndarray, tokens: ItemTokens) -> np.ndarray:
        """Return the logits of candidates `rows` (b, c) without gradient, float32 (b, c); nan for padding."""
        self.eval()
        out = np.full(rows.shape, np.nan, dtype=np.float32)
        step = self.config.batch_users
        for start in range(0, len(users), step):
            part = np.arange(start, min(start + step, len(users)))
            out[part] = self(users.take(part), rows[part], tokens).float().cpu().numpy()
        return np.where(rows >= 0, out, np.nan)

    def to_files(self) -> dict[str, bytes]:
        """Return the configuration as JSON and the weights as safetensors."""
        about = {"config": self.config.model_dump(), "model": self.model_config, "layers": len(self.layers)}
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        return {"cross_encoder.json": json.dumps(about, default=str).encode(), "cross_encoder.safetensors": safetensors.torch.save(weights)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> CrossEncoder:
        """Read the files that `to_files` wrote."""
        about = json.loads(files["cross_encoder.json"])
        model = AutoModel.from_config(AutoConfig.for_model(**{**about["model"], "num_hidden_layers": about["layers"]}))
        drop_pooler(model)
        encoder = cls(list(model.encoder.layer), about["model"], CrossEncoderConfig(**about["config"]))
        encoder.load_state_dict(safetensors.torch.load(files["cross_encoder.safetensors"]))
        return encoder.eval()
