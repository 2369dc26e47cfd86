"""A small published shop for each torture program: its sources can be changed, its processes killed."""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import torch
from transformers import BertConfig, BertModel

from features.ingest.source import Source
from recsys.artifacts.bundle import Bundle, current_id
from recsys.recommend import open
from recsys.refresh import build
from recsys.refresh.refresh import refresh
from recsys.settings.settings import Settings
from recsys.training import find_or_train
from recsys.training.options import TrainOptions
from recsys.workspace.workspace import Workspace
from tests.conftest import make_events, make_items, make_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.process import BaseProcess

TRAINING = {
    "tower": {"dim": 16, "hidden": 16, "layers": 1, "heads": 2, "history": 20},
    "train": {"users": 24, "positives": 4, "negatives": 16, "epochs": 1, "tuned_epochs": 1, "steps_per_epoch": 3, "texts_a_step": 16},
    "cross_encoder": {"users": 20, "batch_users": 4, "rerank_depth": 10, "history_items": 5},
    "gbdt": {"rounds": 10, "leaves": 7, "min_leaf": 10},
}
OPEN = {"max_items_lost": 1, "max_events_lost": 1, "max_changed_vectors": 1, "max_ndcg_drop": 1}


@dataclass(frozen=True)
class Small:
    """A shop in a folder: items.csv, interactions.csv, workspace/."""

    folder: Path
    settings: Settings

    @property
    def workspace(self) -> Workspace:
        """The shop's workspace."""
        return Workspace(self.folder / "workspace")

    def change(self, number: int) -> None:
        """Change the price and text of one product, so that the next refresh publishes."""
        items = pl.read_csv(self.folder / "items.csv")
        title = pl.when(pl.col("item_id") == "sku-07").then(pl.lit(f"oat tea number {number}")).otherwise("title")
        items.with_columns(title=title, price=pl.col("price") + 0.01).write_csv(self.folder / "items.csv")

    def refresh(self) -> None:
        """Run `recsys refresh`."""
        refresh(self.workspace, self.settings)

    def copy(self, folder: Path) -> Small:
        """Copy the shop, with its sources, to another folder."""
        shutil.copytree(self.folder, folder)
        other = Small(folder, self.settings)
        other.workspace.ingest(Source(items=folder / "items.csv", interactions=folder / "interactions.csv"))
        return other

    def whole(self) -> str:
        """Return the id of the bundle in use after checking that it is intact.

        Raises
        ------
        AssertionError or BundleError: it is not.
        """
        bundle = Bundle.open(self.workspace.bundles)
        problems = bundle.verify()
        assert not problems, problems[0]
        open.open_recommender(self.workspace)
        return current_id(self.workspace.bundles)


@contextlib.contextmanager
def small(*, trained: bool = False) -> Iterator[Small]:
    """Create, ingest and publish a shop, with a trained model or without; remove it afterwards."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        folder, bert = Path(name) / "shop", Path(name) / "bert"
        folder.mkdir()
        items = make_items()
        items.write_csv(folder / "items.csv")
        make_events(items).write_csv(folder / "interactions.csv")
        texts = [" ".join(row) for row in items.select("title", "description", "brand", "category").fill_null("").rows()]
        tokenizer = make_tokenizer(texts)
        sizes = BertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
        )
        with contextlib.redirect_stderr(io.StringIO()):
            BertModel(sizes).save_pretrained(bert)
        tokenizer.save(str(bert / "tokenizer.json"))
        encoder = {"model": str(bert), "max_tokens": 24, "upper_layers": 1}
        settings = Settings.model_validate({"encoder": encoder, "retrieval": {"als_model": {"factors": 8}}, "refresh": OPEN} | TRAINING)
        shop = Small(folder, settings)
        shop.workspace.ingest(Source(items=folder / "items.csv", interactions=folder / "interactions.csv"))
        if trained:
            find_or_train.train(shop.workspace, settings, TrainOptions())
        build.build_index(shop.workspace, settings)
        yield shop


def full(size: str = "the nightly size") -> bool:
    """Return whether the nightly size is requested; `size` says in `--help` what it is."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help=size)
    return parser.parse_args().full


def count(usual: int, nightly: int, things: str, seconds: float = 0) -> int:
    """Return how many things a test does: the usual number, or the nightly one with `--full`, whose help names both.

    Parameters
    ----------
    seconds : float
        What each takes at least, where the test sets its pace; 0 where the machine does.
    """
    minutes = f", {nightly * seconds / 60:.0f} minutes at least in place of {usual * seconds / 60:.1f}" if seconds else ""
    return nightly if full(f"{nightly:,} {things} in place of {usual:,}{minutes}") else usual


def child(work: Callable[..., object], *given: object) -> BaseProcess:
    """Start a function in a separate process.

    The threads of polars do not survive a fork of this process. A server that has imported everything and run nothing
    is forked instead.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "recsys.recommend.open",
            "recsys.refresh.quality_gates",
            "recsys.refresh.drift",
            "features.ingest.pipeline",
            "benchmarks.torture.small",
        ]
    )
    process = context.Process(target=work, args=given)
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """Wait for a process, and return its exit code, or minus the signal that ended it."""
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def tried(name: str, work: Callable[[], object]) -> bool:
    """Return whether a call succeeds; print its error to stderr if not."""
    try:
        work()
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return False
    return True
