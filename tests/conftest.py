"""A shop so small that the whole job runs on it in seconds, and a text encoder of random weights to read it. Nothing is downloaded."""

from __future__ import annotations

import os

# Before any library counts the cores: tests run beside each other, and threads would make sums depend on their number.
os.environ["OMP_NUM_THREADS"] = "1"

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import settings
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from features.data.catalog import Catalog
from features.data.interactions import Interactions
from recsys.settings.settings import Settings

torch.set_num_threads(1)
settings.register_profile("untimed", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("untimed")

START = datetime(2024, 1, 1)
DAYS = 200
N_USERS, N_ITEMS = 60, 40
CATEGORIES = {
    "drinks|tea": ("green tea", "black tea", "herbal infusion", "お茶 matcha", "iced tea"),
    "bakery": ("rye bread", "butter croissant", "oat cookie", "ψωμί loaf", "seed roll"),
    "household|paper": ("kitchen towel", "paper napkin", "tissue box", "مناديل wipes", "baking paper"),
    "produce": ("red apple", "yellow banana", "sweet carrot", "🍓 berry", "baby spinach"),
}
SIZES = ("small", "large")
TWINS = (0, 1)  # item rows that share one text
NEWCOMER = 39  # item row that is first sold at `NEWCOMER_DAY`
NEWCOMER_DAY = 190


@dataclass(frozen=True)
class Shop:
    """Canonical tables: item i has the id `sku-<i>` and is in category i // 10; a user's favourite category is user % 4."""

    items: pl.DataFrame
    events: pl.DataFrame

    @cached_property
    def catalog(self) -> Catalog:
        return Catalog.from_frame(self.items)

    @cached_property
    def log(self) -> Interactions:
        return Interactions.from_frame(self.events, self.catalog)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """items.csv and interactions.csv, for `ingest`."""
        self.items.write_csv(folder / "items.csv")
        self.events.write_csv(folder / "interactions.csv")
        return folder / "items.csv", folder / "interactions.csv"


def make_items() -> pl.DataFrame:
    rows = []
    for i in range(N_ITEMS):
        category, kinds = list(CATEGORIES.items())[i // 10]
        rows.append(
            {
                "item_id": f"sku-{i:02}",
                "title": f"{kinds[i % 10 % 5]} {SIZES[i % 10 // 5]}",
                "description": f"{category.split('|')[0]} of the house" if i % 3 else None,
                "brand": ("acme", "nord", None)[i % 3],
                "category": category,
                "price": round(1.5 + i * 0.25, 2),
                "available": i % 13 != 12,
            }
        )
    one, other = TWINS
    rows[other] = rows[one] | {"item_id": rows[other]["item_id"], "price": 1.99}
    return pl.DataFrame(rows)


def make_events(items: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """Each user rebuys three staples about every 20 days and tries something every 10, mostly of the favourite category."""
    rng = np.random.default_rng(seed)
    bought: list[tuple[int, int, float]] = []
    for user in range(N_USERS):
        mine = user % 4 * 10 + rng.permutation(10)
        for staple in mine[:3]:
            bought += [(user, staple, day) for day in np.cumsum(rng.normal(20, 3, 11).clip(5)) - rng.uniform(0, 20)]
        for day in np.arange(rng.uniform(0, 10), DAYS, 10):
            # Squared, so that the low numbers of a category sell best.
            item = int(rng.random() ** 2 * 10)
            bought.append((user, item + 10 * (user % 4 if rng.random() < 0.8 else int(rng.integers(4))), day))
    late = [(user, NEWCOMER, NEWCOMER_DAY + user % 10) for user in range(3, N_USERS, 8)]
    bought = [entry for entry in bought if entry[1] != NEWCOMER and 0 <= entry[2] < DAYS] + late
    price = items["price"].to_list()
    rows = []
    for number, (user, item, day) in enumerate(bought):
        minutes = round(day * 24 * 60)
        quantity = 1 + number % 3
        about = {"user_id": f"user-{user:02}", "item_id": f"sku-{item:02}"}
        for event, before in (("view", 30), ("cart", 10)) if number % 10 == 0 else ():
            rows.append(about | {"timestamp": START + timedelta(minutes=minutes - before), "event": event})
        paid = {"quantity": float(quantity), "value": round(quantity * price[item], 2)}
        rows.append(about | {"timestamp": START + timedelta(minutes=minutes), "event": "purchase"} | paid)
    schema = {
        "user_id": pl.String,
        "item_id": pl.String,
        "timestamp": pl.Datetime("us"),
        "event": pl.String,
        "quantity": pl.Float64,
        "value": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema).sort("timestamp", "user_id", "item_id", "event")


def make_tokenizer(texts: list[str]) -> Tokenizer:
    """WordPiece over the shop's words; letters and digits make up any other word."""
    words = sorted({word for text in texts for word in re.findall(r"\w+|[^\w\s]", text.lower())})
    letters = sorted({letter for word in words for letter in word} | set("abcdefghijklmnopqrstuvwxyz0123456789"))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends)
    return tokenizer


@pytest.fixture(scope="session")
def shop() -> Shop:
    """About 60 users, 40 items, 200 days."""
    items = make_items()
    return Shop(items, make_events(items))


@pytest.fixture(scope="session")
def tiny_bert(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BERT of 3 layers, 32 wide, with random weights: config.json, tokenizer.json, model.safetensors."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    columns = shop.items.select("title", "description", "brand", "category").fill_null("")
    tokenizer = make_tokenizer([" ".join(row) for row in columns.rows()])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_settings(tiny_bert: Path) -> Settings:
    """Settings under which the whole job takes seconds."""
    return Settings.model_validate(
        {
            "encoder": {"model": str(tiny_bert), "max_tokens": 24, "upper_layers": 1},
            "tower": {"dim": 16, "hidden": 16, "layers": 1, "heads": 2, "history": 20},
            "train": {
                "users": 24,
                "positives": 4,
                "negatives": 16,
                "epochs": 2,
                "tuned_epochs": 1,
                "steps_per_epoch": 3,
                "texts_a_step": 16,
            },
            "retrieval": {"candidates": 30, "als_model": {"factors": 8}, "ease_model": {"l2": 20}},
            "cross_encoder": {"users": 20, "batch_users": 4, "rerank_depth": 10, "history_items": 5},
            "search": {
                "tower": {"steps": 12, "batch": 16},
                "pairs": {"queries": 40, "epochs": 1, "rerank_depth": 8},
            },
            "gbdt": {"rounds": 10, "leaves": 7, "min_leaf": 10},
            "evaluate": {"tune": False, "resamples": 50},
            "assistant": {"intents": {"layers": 1, "epochs": 1, "copies": 0}},
        }
    )
