"""A BERT cross-encoder over pairs of a left side and a candidate's text, fast enough to rerank online.

The left side is a history's texts, a search query, a question, or a sentence with a term of it as the candidate. The
inputs are token states that the encoder's lower layers computed in advance (PreTTR: MacAvaney et al. 2020, arXiv
2004.14255). In the upper layers, the candidate's tokens attend to the left side's tokens and to each other. The left
side attends to itself alone, so its keys and values are computed once and shared by all candidates. Embeddings of each
purchase's age and count are added to a history's tokens. The model is trained with binary cross-entropy, over a sentence
and a term with cross-entropy over three classes.
"""

from __future__ import annotations

import copy
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel

from features.behavior.log_buckets import BUCKETS
from features.text.encoder import TOKENS_A_BATCH, drop_pooler, length_batches, pooled, run_layers
from ranking.cross_encoder.config import CrossEncoderConfig, QueryPairConfig, SentenceTermConfig, classes, left_kind, read_config
from ranking.cross_encoder.pair_inputs import left_side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.text.encoder import TextEncoder
    from features.text.token_states import ItemTokens
    from ranking.cross_encoder.config import PairConfig
    from ranking.cross_encoder.pair_inputs import Left


class SharedLeft:
    """Keys and values of the left side in each layer, recorded once and shared by all of its candidates.

    It has the one method of transformers' caches that a layer calls.

    Attributes
    ----------
    mask : whether a key is real, bool (b, H).
    pooled : mean of the left side's last token states, (b, width).
    owner : left side of each pair, int64 (p,); None while recording.
    """

    def __init__(self, mask: Tensor) -> None:
        self.recorded: dict[int, tuple[Tensor, Tensor]] = {}
        self.mask = mask
        self.pooled: Tensor | None = None
        self.owner: Tensor | None = None

    def update(self, key: Tensor, value: Tensor, layer_idx: int) -> tuple[Tensor, Tensor]:
        """Record or extend the keys and values (n, heads, L, d) of a pass; return those that it may attend to."""
        if self.owner is None:
            self.recorded[layer_idx] = (key, value)
            return key, value
        past_key, past_value = (part[self.owner] for part in self.recorded[layer_idx])  # (p, heads, H, d)
        return torch.cat([past_key, key], dim=2), torch.cat([past_value, value], dim=2)


class CrossEncoder(nn.Module):
    """BERT layers over cached token states, with a linear head.

    Over a history, the head reads the candidate's pooled vector. Over a query or a question, it also reads the product
    and the difference of both sides' vectors and their cosine, and starts from the cosine: training on few pairs then
    begins at what the encoder knows instead of at nothing. Over a sentence and a term, it reads both sides' vectors and gives
    the logits of three classes.

    Parameters
    ----------
    layers : upper layers of an encoder, which are copied.
    model_config : configuration of the encoder's BERT model.
    """

    def __init__(self, layers: list[Any], model_config: dict[str, Any], config: PairConfig) -> None:
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
        read = 3 * width + 1 if isinstance(config, QueryPairConfig) else 2 * width if isinstance(config, SentenceTermConfig) else width
        self.head = nn.Linear(read, math.prod(classes(config)))
        for module in (self.age, self.count, self.head):  # at the start, the layers get the states that they were trained on
            nn.init.zeros_(module.weight)
        nn.init.zeros_(self.head.bias)  # not random, so that an interrupted training resumes to the same model
        self.attention: nn.Parameter | None = None
        if isinstance(config, QueryPairConfig):
            self.attention = nn.Parameter(torch.tensor(config.attention))
            nn.init.constant_(self.head.weight[:, -1:], config.cosine)

    @classmethod
    def upon(cls, encoder: TextEncoder, config: PairConfig) -> CrossEncoder:
        """Return a cross-encoder that starts from a copy of the encoder's upper layers."""
        return cls(encoder.upper_layers, encoder.model.config.to_dict(), config)

    @property
    def new_weights(self) -> list[nn.Parameter]:
        """The weights that were not pretrained."""
        extra = [] if self.attention is None else [self.attention]
        return [*self.age.parameters(), *self.count.parameters(), *self.head.parameters(), *extra]

    def forward(self, left: Left, rows: np.ndarray, tokens: ItemTokens) -> Tensor:
        """Return the logits of candidates `rows` (b, c), (b, c) or (b, c, classes); those of padding (-1) are undefined."""
        device = self.head.weight.device
        side = left_side(left, tokens, self.config)
        parts = [torch.from_numpy(part).to(device) for part in (side.states, side.mask, side.age, side.count)]
        if isinstance(self.config, CrossEncoderConfig):
            return self.read(*parts, *(part.to(device) for part in tokens.padded(rows, self.config.right_tokens)))
        return self._read_by_length(self.record(*parts), rows, tokens)

    def _read_by_length(self, past: SharedLeft, rows: np.ndarray, tokens: ItemTokens) -> Tensor:
        """Return the logits (b, c), reading passages of similar length together: they differ more than titles do."""
        owner, place = np.nonzero(rows >= 0)
        chosen = rows[owner, place]
        lengths = np.minimum(np.diff(tokens.states.offsets)[tokens.text_of[chosen]], self.config.right_tokens)
        device = self.head.weight.device
        logits, order = [torch.zeros((0, *classes(self.config)), device=device)], [np.zeros(0, dtype=np.int64)]
        for batch in length_batches(np.maximum(lengths, 1), TOKENS_A_BATCH[device.type]):
            own, mask = (part.to(device) for part in tokens.padded(chosen[batch], self.config.right_tokens))
            logits.append(self.score(past, torch.from_numpy(owner[batch]).to(device), own, mask))
            order.append(np.array(batch))
        flat = torch.from_numpy((owner * rows.shape[1] + place)[np.concatenate(order)]).to(device)
        shape = classes(self.config)
        empty = torch.zeros((rows.size, *shape), device=device)
        return empty.index_put((flat,), torch.cat(logits)).view(*rows.shape, *shape)

    def read(self, history: Tensor, seen: Tensor, age: Tensor, count: Tensor, own: Tensor, mask: Tensor) -> Tensor:
        """Return the logits (b, c), or (b, c, classes), of tensors.

        Parameters
        ----------
        history : token states of the left side's texts, for a history newest last, (b, n, M, width).
        seen : mask of the left side's tokens, bool (b, n, M).
        age, count : bucket codes of each text, int64 (b, n).
        own : token states of the candidates, (b, c, L, width).
        mask : mask of the candidates' tokens, bool (b, c, L).
        """
        c = own.shape[1]
        owner = torch.arange(own.shape[0], device=own.device)[:, None].expand(-1, c).flatten()  # (b * c,)
        flat = self.score(self.record(history, seen, age, count), owner, own.flatten(0, 1), mask.flatten(0, 1))
        return flat.view(-1, c, *classes(self.config))

    def record(self, history: Tensor, seen: Tensor, age: Tensor, count: Tensor) -> SharedLeft:
        """Run the layers over the left sides alone, see `read`."""
        when = self.age(age) + self.count(count)  # (b, n, width)
        past = SharedLeft(seen.flatten(1))  # (b, H), H = n * M
        out = run_layers(list(self.layers), (history + when[:, :, None]).flatten(1, 2), past.mask, past)
        past.pooled = pooled(out, past.mask, "mean")
        return past

    def score(self, past: SharedLeft, owner: Tensor, own: Tensor, mask: Tensor) -> Tensor:
        """Return the logits (p,), or (p, classes), of candidates `own` (p, L, width), each beside the left side `owner` (p,)."""
        past.owner = owner
        both = torch.cat([past.mask[owner], mask], dim=1)  # (p, H + L)
        weight = None if self.attention is None else self.attention.expand(past.mask.shape[1])
        out = run_layers(list(self.layers), own, both, past, weight)  # (p, L, width)
        right = pooled(out, mask, "mean")  # (p, width)
        if isinstance(self.config, CrossEncoderConfig):
            return self.head(right)[:, 0]
        assert past.pooled is not None
        if isinstance(self.config, SentenceTermConfig):
            return self.head(torch.cat([right, past.pooled[owner]], dim=1))
        a, b = functional.normalize(past.pooled[owner], dim=1), functional.normalize(right, dim=1)
        scale = self.model_config["hidden_size"] ** 0.5  # entries of unit vectors are small
        cosine = (a * b).sum(1, keepdim=True) - 0.5  # near the middle of what encoders give, so that logits start near 0
        return self.head(torch.cat([right, scale * a * b, scale * (a - b).abs(), cosine], dim=1))[:, 0]

    @torch.inference_mode()
    def logits(self, left: Left, rows: np.ndarray, tokens: ItemTokens) -> np.ndarray:
        """Return the logits of candidates `rows` (b, c) without gradient, float32 (b, c) or (b, c, classes); nan for padding."""
        self.eval()
        out = np.full((*rows.shape, *classes(self.config)), np.nan, dtype=np.float32)
        step = self.config.batch
        for start in range(0, len(left), step):
            part = np.arange(start, min(start + step, len(left)))
            out[part] = self(left.take(part), rows[part], tokens).float().cpu().numpy()
        out[rows < 0] = np.nan
        return out

    def to_files(self) -> dict[str, bytes]:
        """Return the configuration as JSON and the weights as safetensors."""
        about = left_kind(self.config) | {"config": self.config.model_dump(), "model": self.model_config, "layers": len(self.layers)}
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        return {"cross_encoder.json": json.dumps(about, default=str).encode(), "cross_encoder.safetensors": safetensors.torch.save(weights)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> CrossEncoder:
        """Read the files that `to_files` wrote."""
        about = json.loads(files["cross_encoder.json"])
        model = AutoModel.from_config(AutoConfig.for_model(**{**about["model"], "num_hidden_layers": about["layers"]}))
        drop_pooler(model)
        encoder = cls(list(model.encoder.layer), about["model"], read_config(about))
        encoder.load_state_dict(safetensors.torch.load(files["cross_encoder.safetensors"]))
        return encoder.eval()
