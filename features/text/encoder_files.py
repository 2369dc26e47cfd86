"""Pooling and prompts of a text encoder, read from the sentence-transformers files of its model.

modules.json lists the modules, the folder of the Pooling module has the pooling, and config_sentence_transformers.json
the prompts. The library sentence-transformers is not needed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict
from transformers.utils.hub import cached_file

from features.errors import ModelError

if TYPE_CHECKING:
    from features.text.encoder_config import EncoderConfig

Kind = Literal["passage", "query"]
Pooling = Literal["mean", "cls", "max", "lasttoken"]

_PREFIX = "pooling_mode_"
_FLAGS = {"mean_tokens": "mean", "cls_token": "cls", "max_tokens": "max"}  # other flags have the name of the pooling
_PASSAGE = ("document", "passage", "corpus")  # names of the passage prompt, in sentence-transformers' order
_MODULES = {"Transformer", "Pooling", "Normalize"}  # `TextEncoder.encode` always normalises
# Defaults for families whose models may lack those files, by the last part of the name.
_FAMILIES = (
    (re.compile(r"(?:^|[-_])e5-(?:small|base|large)(?!.*instruct)"), {"query_prompt": "query: ", "passage_prompt": "passage: "}),
    (re.compile(r"(?:^|[-_])bge-(?:small|base|large|m3)"), {"pooling": "cls"}),
)


class SentenceConfig(BaseModel):
    """Pooling of token states, and the prompt of each kind of text."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    pooling: Pooling = "mean"
    query_prompt: str = ""
    passage_prompt: str = ""

    def prompt(self, kind: Kind) -> str:
        """Return the prompt of a kind of text.

        Raises
        ------
        ModelError
            If the kind is unknown.
        """
        if kind not in get_args(Kind):
            raise ModelError(f"kind of text is {kind!r}, expected one of {', '.join(get_args(Kind))}")
        return self.query_prompt if kind == "query" else self.passage_prompt


@dataclass(frozen=True)
class EncoderFiles:
    """The files of a pretrained model.

    Attributes
    ----------
    path : str
        A local folder, or a Hugging Face name.
    """

    path: str

    def find(self, name: str) -> Path | None:
        """Return the local path of a file, or None if the model has no such file."""
        quietly = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
        found = cached_file(self.path, name, **quietly)
        return None if found is None else Path(found)

    @cached_property
    def transformer(self) -> str:
        """Folder of the transformer below `path`; empty for `path` itself."""
        return self._modules.get("Transformer", "")

    def sentence(self, config: EncoderConfig) -> SentenceConfig:
        """Resolve pooling and prompts.

        The configuration comes first, then the files, then the family's defaults, then mean pooling without prompts.

        Raises
        ------
        ModelError
            If the model has an unsupported module or pooling.
        """
        configured = {name: getattr(config, name) for name in ("query_prompt", "passage_prompt") if getattr(config, name) is not None}
        found = SentenceConfig.model_validate(self._family | self._pooling | self._prompts | configured)
        if (found.query_prompt or found.passage_prompt) and not self._pooling_file.get("include_prompt", True):
            raise ModelError(f"{self.path} pools without its prompt's tokens, which is not supported: choose another encoder.model")
        return found

    @cached_property
    def _modules(self) -> dict[str, str]:
        """Folder of each module, by kind; empty for a model without modules.json."""
        modules = self._json("modules.json", [])
        kinds = {str(module["type"]).rsplit(".", 1)[-1]: str(module["path"]) for module in modules}
        if strange := sorted(set(kinds) - _MODULES):
            wanted = "Transformer, Pooling and Normalize alone"
            raise ModelError(f"{self.path} has a module {strange[0]}, which is not supported: choose an encoder.model of {wanted}")
        if kinds and "Pooling" not in kinds:
            raise ModelError(f"{self.path} has no Pooling among its modules: choose an encoder.model that pools a text into one vector")
        return kinds

    @cached_property
    def _pooling_file(self) -> dict[str, Any]:
        return self._json(f"{self._modules['Pooling']}/config.json", {}) if "Pooling" in self._modules else {}

    @property
    def _pooling(self) -> dict[str, str]:
        if not self._pooling_file:
            return {}
        flags = [name.removeprefix(_PREFIX) for name, on in self._pooling_file.items() if name.startswith(_PREFIX) and on is True]
        named = self._pooling_file.get("pooling_mode")  # newer files have one name instead of flags
        found = [named] if named else [_FLAGS.get(flag, flag) for flag in flags]
        if len(found) != 1 or found[0] not in get_args(Pooling):
            said = " and ".join(map(str, found)) or "nothing"
            raise ModelError(f"{self.path} pools by {said}, expected one of {', '.join(get_args(Pooling))}: choose another encoder.model")
        return {"pooling": found[0]}

    @property
    def _prompts(self) -> dict[str, str]:
        file = self._json("config_sentence_transformers.json", {})
        prompts = file.get("prompts") or {}
        if not any(prompts.values()):  # newer versions write empty prompts for models without any
            return {}
        usual = prompts.get(file.get("default_prompt_name"), "")
        passage = next((prompts[name] for name in _PASSAGE if name in prompts), usual)
        return {"query_prompt": prompts.get("query", usual), "passage_prompt": passage}

    @property
    def _family(self) -> dict[str, str]:
        original = self._json(f"{self.transformer}/config.json".lstrip("/"), {}).get("_name_or_path", "")
        for name in (self.path, original):
            last = str(name).rstrip("/").rsplit("/", 1)[-1].lower()
            for family, defaults in _FAMILIES:
                if family.search(last):
                    return defaults
        return {}

    def _json(self, name: str, default: Any) -> Any:
        path = self.find(name)
        try:
            return default if path is None else json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError(f"{path} is not JSON ({error}): download the model again") from error
