"""Configuration: recsys.toml, overridden by environment variables RECSYS_SECTION__KEY. Unknown keys are errors in both.

Each section is the configuration class of what it configures. This module combines the sections and words the errors.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from eval.baselines.registry import BaselinesConfig
from eval.protocol.runner import EvaluateConfig
from eval.simulation.config import SimulateConfig
from features.errors import ConfigError, one_line
from features.ingest.optional_tables import FILES
from features.ingest.source import SQLITE, Source
from features.storage.remote.config import StorageConfig
from features.text.closest import did_you_mean
from features.text.encoder_config import EncoderConfig
from ranking.cross_encoder.config import CrossEncoderConfig, QuestionPairConfig
from ranking.gbdt_config import GBDTConfig
from recsys.settings.apps.assistant import AssistantConfig
from recsys.settings.apps.audience import AudienceConfig
from recsys.settings.apps.campaign_copy import CopyConfig
from recsys.settings.apps.campaigns import CampaignsConfig
from recsys.settings.apps.customers import CustomersConfig
from recsys.settings.apps.impressions import ImpressionsConfig
from recsys.settings.apps.reviews import ReviewsConfig
from recsys.settings.apps.search import IndexSettings, SearchConfig
from recsys.settings.apps.storefront import StorefrontConfig
from recsys.settings.arm import ArmConfig
from recsys.settings.cluster import ClusterConfig
from recsys.settings.continual import ContinualConfig
from recsys.settings.events import EventWeights
from recsys.settings.refresh import BundleConfig, RefreshConfig
from recsys.settings.renamed_keys import RENAMED, spellings, with_new_keys, with_new_variables
from recsys.settings.serve import ServeConfig
from recsys.settings.tracking import TrackingConfig, is_uri
from retrieval.collaborative.config import RetrievalConfig
from retrieval.index_config import IndexConfig
from retrieval.pretraining.config import PretrainConfig
from retrieval.two_tower.config import TowerConfig, TrainConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_settings import PydanticBaseSettingsSource

DEFAULT_FILE = Path("recsys.toml")
PREFIX = "RECSYS_"
_COMMAND_LINE = {"RECSYS_WORKSPACE", "RECSYS_CONFIG"}  # read before the settings are loaded
# Keys outside [source] that name files, relative to the folder of the configuration.
FILE_KEYS = (
    *(("search", "synonyms"), ("assistant", "templates"), ("campaign_copy", "banned_words")),
    *(("reviews", "aspects"), ("reviews", "polarities"), ("tracking", "mlflow"), ("tracking", "tensorboard"), ("storage", "url")),
)


class _Environment(EnvSettingsSource):
    """Environment variables with renamed keys under their new names, also inside JSON values."""

    def __init__(self, settings_class: type[BaseSettings]) -> None:
        super().__init__(settings_class)
        self.env_vars = with_new_variables(self.env_vars, PREFIX)

    def __call__(self) -> dict[str, Any]:
        return with_new_keys(super().__call__(), f"environment variables {PREFIX}*")


class Settings(BaseSettings):
    """All of recsys.toml.

    `source` stays a dictionary, because options of the command line may complete it. `source_with` builds the `Source`.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    source: dict[str, Any] = {}
    events: EventWeights = EventWeights()
    encoder: EncoderConfig = EncoderConfig()
    tower: TowerConfig = TowerConfig()
    pretrain: PretrainConfig = PretrainConfig()
    train: TrainConfig = TrainConfig()
    continual: ContinualConfig = ContinualConfig()
    index: IndexConfig = IndexConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    search: SearchConfig = SearchConfig()
    reviews: ReviewsConfig = ReviewsConfig()
    customers: CustomersConfig = CustomersConfig()
    audience: AudienceConfig = AudienceConfig()
    campaign_copy: CopyConfig = CopyConfig()
    campaigns: CampaignsConfig = CampaignsConfig()
    impressions: ImpressionsConfig = ImpressionsConfig()
    gbdt: GBDTConfig = GBDTConfig()
    cross_encoder: CrossEncoderConfig = CrossEncoderConfig()
    query_cross_encoder: QuestionPairConfig = QuestionPairConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    baselines: BaselinesConfig = BaselinesConfig()
    bundles: BundleConfig = BundleConfig()
    refresh: RefreshConfig = RefreshConfig()
    serve: ServeConfig = ServeConfig()
    simulate: SimulateConfig = SimulateConfig()
    arm: ArmConfig = ArmConfig()
    assistant: AssistantConfig = AssistantConfig()
    storefront: StorefrontConfig = StorefrontConfig()
    tracking: TrackingConfig = TrackingConfig()
    cluster: ClusterConfig = ClusterConfig()
    storage: StorageConfig = StorageConfig()

    def training_sections(self) -> dict[str, Any]:
        """Return the settings that a trained model depends on, as values that JSON can hold."""
        sections = ("events", "encoder", "pretrain", "tower", "train", "index", "retrieval", "gbdt", "cross_encoder")
        values = {name: getattr(self, name).model_dump(mode="json") for name in sections}
        values["index"].pop("shards")  # they change no list of exact search
        values["search"] = self.search.of_training(augments=self.train.augment.synonyms > 0)
        of_reviews = {"sentiment"} if self.reviews.polarities is None else {"sentiment", "polarity"}
        values["reviews"] = self.reviews.model_dump(mode="json", include=of_reviews)
        return values | {"events": self.events.weights}  # the rule for the service's events shows in the log's own digest

    @field_validator("source")
    @classmethod
    def _known_keys(cls, value: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(value) - set(Source.model_fields))
        if unknown:
            if unknown[0] == "source":
                raise ValueError("unknown key 'source': below [source], leave `source.` out of the key")
            hint = did_you_mean(unknown[0], Source.model_fields) or f"; known keys are {', '.join(Source.model_fields)}"
            raise ValueError(f"unknown key {unknown[0]!r}{hint}")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Give the environment priority over the file, whose content arrives as keyword arguments."""
        return _Environment(settings_cls), init_settings

    @property
    def indexing(self) -> IndexSettings:
        """How vectors and words are indexed; raises DataError if the file of synonyms cannot be read."""
        return IndexSettings(self.index, self.search.words, self.search.retrieval, tuple(self.search.read_synonyms().rows))

    def source_or_raise(self, source: Source | None, **options: object) -> Source:
        """Return a source, or else `source_with` the options, with absolute paths; raises ConfigError if there is none."""
        source = source or self.source_with(**options)
        if source is None:
            advice = "give --dataset completejourney, or --interactions FILE and --items FILE, or a section [source] in recsys.toml"
            raise ConfigError(f"nothing to ingest: {advice}")
        return source.absolute()

    def source_with(self, **options: object) -> Source | None:
        """Return the section [source] completed by options of the command line; None if both are empty.

        A dataset given by name replaces the whole section. Files replace the section's files, and its column names stay.

        Raises
        ------
        ConfigError
            If the two together are not a valid source.
        """
        given = {name: value for name, value in options.items() if value is not None}
        if "dataset" in given:
            values = given
        elif "interactions" in given:
            values = {name: value for name, value in self.source.items() if name not in ("dataset", "sql")} | given
        else:
            values = self.source | given
        if not values:
            return None
        try:
            return Source.model_validate(values)
        except ValidationError as error:
            raise ConfigError(_with_docs(f"source: {_sentence(error, Source)}")) from error


def load_settings(path: Path | None = None) -> Settings:
    """Read recsys.toml and the environment.

    Paths in [source] and the keys of `FILE_KEYS` are relative to the file's folder.

    Parameters
    ----------
    path : None reads ./recsys.toml if it exists.

    Raises
    ------
    ConfigError
        If the file cannot be read, a key is unknown or given under two names, or a value is invalid.
    """
    file = path or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    table = _read(file) if file else {}
    _refuse_unknown_variables(os.environ)
    try:
        return Settings(**with_new_keys(table, str(file)))
    except ValidationError as error:
        key = _variable(error) or (file or "settings")
        raise ConfigError(_with_docs(f"{key}: {_sentence(error, Settings)}")) from error
    except SettingsError as error:
        raise ConfigError(f"environment variables {PREFIX}*: {error}: give sections as {PREFIX}SECTION__KEY=value") from error


def _read(path: Path) -> dict[str, Any]:
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist: omit --config for the defaults, or give the path of a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} cannot be read as TOML: {one_line(error)}: {_toml_advice(text, str(error))}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {one_line(error)}") from error
    source = table.get("source")
    if isinstance(source, dict):
        for name in FILES:
            if isinstance(source.get(name), str):
                source[name] = str(path.parent / source[name])
        sql = source.get("sql")
        if isinstance(sql, dict) and str(sql.get("uri")).startswith(SQLITE):
            sql["uri"] = f"{SQLITE}{path.parent / sql['uri'].removeprefix(SQLITE)}"
    for section, key in FILE_KEYS:
        values = table.get(section)
        if isinstance(values, dict) and isinstance(where := values.get(key), str) and not is_uri(key, where):
            values[key] = str(path.parent / where)
    return table


def _toml_advice(text: str, error: str) -> str:
    """Return what to do about a mistake that people make who do not write TOML every day."""
    found = re.search(r"at line (\d+)", error)
    line = (text.splitlines() or [""])[int(found[1]) - 1].strip() if found and int(found[1]) <= len(text.splitlines()) else ""
    if re.match(r"\[[^\]]+\]\s*[^\s#]", line):
        header, _, keys = line.partition("]")
        return f"put {keys.strip()} on lines of its own below {header}], one key a line"
    if "Expected newline" in error and re.search(r"=.*,.*=", line):
        return "put one key on a line, without a comma between them"
    if "Cannot declare" in error or "Cannot overwrite" in error:
        return "give each section and each key once: join what belongs to one section, and leave its name out of the keys below it"
    return 'text stands in quotes, and one key on a line, as in decimal = ","'


def _with_docs(text: str) -> str:
    return f"{text}{' ' if text.endswith('?') else '; '}see docs/configuration.md"


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """Refuse variables with our prefix that name no section: pydantic-settings would ignore a typo."""
    for name in environment:
        section = name.upper().removeprefix(PREFIX).split("__")[0].lower()
        if name.upper().startswith(PREFIX) and name not in _COMMAND_LINE and section not in {*Settings.model_fields, *RENAMED}:
            raise ConfigError(f"environment variable {name}: unknown section; known sections are {', '.join(Settings.model_fields)}")


def _variable(error: ValidationError) -> str | None:
    """Return the environment variable that holds the first invalid value, if one does."""
    parts = [str(part) for part in error.errors()[0]["loc"]]
    paths = (".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    names = {spelling.replace(".", "__").upper() for path in paths for spelling in spellings(path)}
    return next((name for name in os.environ if name.upper().removeprefix(PREFIX) in names and name.upper().startswith(PREFIX)), None)


def _sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first problem in one line: key, value found, value expected, and how many more problems there are."""
    problems = error.errors(include_url=False)
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys(model, first["loc"][:-1])
        hint = did_you_mean(str(first["loc"][-1]), known) or f"; known keys there are {', '.join(known)}"
        text = f"unknown key {key}{hint}"
    else:
        message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
        text = f"{key} is {first['input']!r}, {message}"
        if not key or first["type"] == "value_error":
            text = f"{key}{':' * (bool(key) and message.startswith('unknown '))} {message}".strip()
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return " ".join(f"{text}{more}".split())


def _keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        kind = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return []
        model = kind
    return list(model.model_fields)
