"""Search across languages: recall@10 of queries in Chinese and English over one catalogue in either, or half in each.

    python -m benchmarks.languages --encoder DIR_OR_NAME

The catalogue has 200 products of a small shop, translated by hand, and 60 of them are asked for as customers would type. `ratio` is
recall@10 over that of the same products asked for in the catalogue's own language, with a bootstrap interval over queries. `kept` is
recall@10 itself. In the mixed catalogue every other product is Chinese, and a query is in the language that its product is not in.
The index is built without training.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from benchmarks.paired import ROOT
from recsys.apps.search.request import SearchOptions
from recsys.settings.settings import Settings
from recsys.shop import Shop
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

Language = Literal["en", "zh"]
OTHER: dict[Language, Language] = {"en": "zh", "zh": "en"}
FOLDER = ROOT / "tests" / "benchmarks"
TARGET, K, RESAMPLES = 0.8, 10, 1_000


def goods() -> pl.DataFrame:
    """Return the products with their texts in both languages."""
    return pl.read_csv(FOLDER / "goods_in_two_languages.csv")


def queries() -> pl.DataFrame:
    """Return the products that are asked for, with the words in both languages."""
    return pl.read_csv(FOLDER / "queries_in_two_languages.csv")


def in_languages(languages: Sequence[Language]) -> pl.DataFrame:
    """Return the catalogue with each product in the language of its row."""
    table = goods().with_columns(language=pl.Series(languages))
    chosen = [
        pl.when(pl.col("language") == "zh").then(f"{name}_zh").otherwise(f"{name}_en") for name in ("title", "category", "description")
    ]
    return table.select("item_id", *(one.alias(name) for one, name in zip(chosen, ("title", "category", "description"), strict=True)))


def in_one_language(language: Language) -> pl.DataFrame:
    """Return the catalogue in one language."""
    return in_languages(all_in(language, len(goods())))


def purchases(items: pl.DataFrame) -> pl.DataFrame:
    """Return a log in which every product is bought once, so that sales say nothing."""
    times = [datetime(2026, 1, 1) + timedelta(hours=place) for place in range(len(items))]
    return items.select("item_id", user_id=pl.format("u{}", pl.int_range(pl.len()) % 20), timestamp=pl.Series(times))


def settings_of(encoder: str) -> Settings:
    """Return settings with a text encoder, and with as little as possible of the assistant's, which no search reads."""
    return Settings.model_validate({"encoder": {"model": encoder}, "assistant": {"intents": {"layers": 1, "epochs": 1, "copies": 0}}})


def shop_of(items: pl.DataFrame, encoder: str, folder: Path) -> Shop:
    """Ingest the catalogue and build its index without training."""
    shop = Shop(Workspace(folder / "workspace"), settings_of(encoder))
    for name, table in {"items": items, "interactions": purchases(items)}.items():
        table.write_parquet(folder / f"{name}.parquet")
    shop.ingest(items=folder / "items.parquet", interactions=folder / "interactions.parquet")
    shop.build_index()
    return shop


def hits(shop: Shop, asked: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Return whether each query has its product among the first ten, float64 (n,)."""
    answers = shop.search_answers(SearchOptions(k=K), [(text, None) for text in asked])
    return np.array([item in {hit.item_id for hit in answer.items} for item, answer in zip(wanted, answers, strict=True)], dtype=float)


@dataclass(frozen=True)
class Catalogues:
    """The catalogue in English, in Chinese, and with every other product in Chinese, each as a shop.

    Attributes
    ----------
    encoder : model of the texts, a folder or a name.
    folder : where the workspaces are kept.
    """

    encoder: str
    folder: Path

    @cached_property
    def asked(self) -> pl.DataFrame:
        """The queries."""
        return queries()

    def hits(self, languages: Sequence[Language], of_query: Sequence[Language]) -> np.ndarray:
        """Return the hits of queries in given languages over a catalogue in given languages."""
        texts = [self.asked[f"query_{language}"][place] for place, language in enumerate(of_query)]
        return hits(self._shop("".join(sorted(set(languages))), languages), texts, self.asked["item_id"].to_list())

    def _shop(self, name: str, languages: Sequence[Language]) -> Shop:
        folder = self.folder / name
        if (folder / "workspace").exists():
            return Shop(Workspace(folder / "workspace"), settings_of(self.encoder))
        folder.mkdir(parents=True)
        return shop_of(in_languages(languages), self.encoder, folder)

    def rows(self) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Return the name of each comparison, the hits of queries in the other language, and those in the catalogue's own."""
        n, found = len(self.asked), []
        for own, other in OTHER.items():
            catalogue = all_in(own, len(goods()))
            found.append((f"{other}_to_{own}", self.hits(catalogue, all_in(other, n)), self.hits(catalogue, all_in(own, n))))
        mixed: list[Language] = ["zh" if place % 2 else "en" for place in range(len(goods()))]
        own_of = dict(zip(goods()["item_id"].to_list(), mixed, strict=True))
        spoken: list[Language] = [own_of[item] for item in self.asked["item_id"].to_list()]
        same, other = self.hits(mixed, spoken), self.hits(mixed, [OTHER[one] for one in spoken])
        return [*found, ("other_language_in_mixed", other, same)]


def all_in(language: Language, n: int) -> list[Language]:
    """Return one language for each of n texts."""
    return [language] * n


def ratio(other: np.ndarray, same: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """Return the ratio of two recalls over the same queries, and its 95% bootstrap interval."""
    drawn = np.random.default_rng(seed).integers(0, len(same), (RESAMPLES, len(same)))
    ratios = other[drawn].mean(axis=1) / np.maximum(same[drawn].mean(axis=1), 1 / len(same))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(other.mean() / max(same.mean(), 1 / len(same))), float(low), float(high)


def main() -> None:
    """Print a row for each direction."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--encoder", default="intfloat/multilingual-e5-small")
    encoder = parser.parse_args().encoder
    with tempfile.TemporaryDirectory() as folder:
        for name, other, same in Catalogues(encoder, Path(folder)).rows():
            figures = dict(zip(("ratio", "low", "high"), (round(value, 4) for value in ratio(other, same)), strict=True))
            about = {"target": TARGET, "kept": round(float(other.mean()), 4), "same": round(float(same.mean()), 4), "queries": len(same)}
            print(json.dumps({"name": name} | figures | about), flush=True)


if __name__ == "__main__":
    main()
