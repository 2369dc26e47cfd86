"""Trains RecTools' SASRec with a sampled softmax, as an external system for `recsys benchmark --lists`.

    python benchmarks/sasrec/train.py DIR --factors 128 --blocks 2 --dropout 0.3     in the environment of
    requirements.txt

DIR holds rows.parquet and users.parquet, as export.py writes them. The model trains on the rows of part "train" and
stops when NDCG@10 on part "validate" no longer rises. With --refit it is then trained from scratch on all rows, for the
best number of epochs, because the latest rows matter most (beauty, NDCG@10: .0482 without, .0582 with). All rows are
the history of an answer; items of the history are left out. The program writes DIR/NAME.parquet (user_id, item_id,
rank, score) and DIR/NAME.json (settings, validation curve, wall time). The lists are written at every improvement, so
an interrupted run leaves the best so far.

References: Kang and McAuley (2018), arXiv 1808.09781; sampled softmax: arXiv 2508.06450.
"""

# The environment of the project, in which types are checked, has no rivals.
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from model import sasrec
from rectools import Columns
from rectools.dataset import Dataset

VALIDATED_USERS = 3000
RENAMED = {"user_id": Columns.User, "item_id": Columns.Item, "timestamp": Columns.Datetime}


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="sasrec")
    for name, value in (("factors", 128), ("blocks", 2), ("heads", 2), ("length", 50), ("batch", 128), ("negatives", 1024)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--epochs", type=int, default=100, help="at most")
    parser.add_argument("--every", type=int, default=3, help="epochs between two evaluations on the validation rows")
    parser.add_argument("--patience", type=int, default=4, help="evaluations without improvement before training stops")
    parser.add_argument("--minutes", type=float, default=1e9, help="training stops after this many minutes")
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--refit", action="store_true", help="then train from scratch on all rows")
    parser.add_argument(
        "--refit-for", type=int, default=0, metavar="EPOCHS", help="like --refit, for the best number of epochs of an earlier run"
    )
    return parser.parse_args()


def dataset(rows: pd.DataFrame) -> Dataset:
    """Return the rows as a RecTools dataset."""
    return Dataset.construct(rows.rename(columns=RENAMED).assign(**{Columns.Weight: 1.0})[[*RENAMED.values(), Columns.Weight]])


def lists(model: Any, history: Dataset, users: np.ndarray, k: int) -> pd.DataFrame:
    """Return user_id, item_id, rank (from 1) and score; items of the history are left out."""
    rows = model.recommend(users=users, dataset=history, k=k, filter_viewed=True, on_unsupported_targets="ignore")
    columns = {Columns.User: "user_id", Columns.Item: "item_id", Columns.Rank: "rank", Columns.Score: "score"}
    return rows.rename(columns=columns)[list(columns.values())]


def ndcg(ranked: pd.DataFrame, wanted: pd.DataFrame) -> float:
    """Return mean NDCG@10 over the users of `wanted`, whose rows are their purchases."""
    bought = wanted[["user_id", "item_id"]].drop_duplicates()
    hits = ranked[ranked["rank"] <= 10].merge(bought, on=["user_id", "item_id"])
    gained = (1 / np.log2(hits["rank"] + 1)).groupby(hits["user_id"]).sum()
    ideal = np.cumsum(1 / np.log2(np.arange(10) + 2))
    most = bought.groupby("user_id").size().clip(upper=10)
    return float((gained.reindex(most.index).fillna(0) / ideal[most.to_numpy() - 1]).mean())


def fresh(settings: dict[str, Any]) -> Any:
    """Return an untrained model with a fixed seed."""
    torch.manual_seed(settings["seed"])
    return sasrec(settings)


def main() -> None:
    """Train with early stopping, and write the lists."""
    args = arguments()
    settings = {name: value for name, value in vars(args).items() if name != "folder"}
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    rows = pd.read_parquet(args.folder / "rows.parquet")
    rows["timestamp"] = pd.to_datetime(rows["timestamp"], unit="s")
    users = pd.read_parquet(args.folder / "users.parquet")["user_id"].to_numpy()
    train, validate = rows[rows["part"] == "train"], rows[rows["part"] == "validate"]
    had = train.merge(validate[["user_id"]].drop_duplicates(), on="user_id")
    sampled = np.random.default_rng(args.seed).permutation(had["user_id"].unique())[:VALIDATED_USERS]
    # Items of the history are never in the list, so they are not part of the ground truth.
    again = validate.merge(train[["user_id", "item_id"]].drop_duplicates(), on=["user_id", "item_id"], how="left", indicator=True)
    wanted = again[(again["_merge"] == "left_only") & again["user_id"].isin(sampled)]
    report: dict[str, Any] = {"settings": settings, "curve": [], "best": None, "seconds": 0.0}
    begun, best, best_epochs, without, done = time.perf_counter(), -1.0, 0, 0, 0
    model, past, whole = fresh(settings), dataset(train), dataset(rows)

    def write(answering: Any) -> None:
        report["seconds"] = round(time.perf_counter() - begun, 1)
        lists(answering, whole, users, args.k).to_parquet(args.folder / f"{args.name}.parquet", index=False)
        (args.folder / f"{args.name}.json").write_text(json.dumps(report, indent=1))

    while not args.refit_for and done < args.epochs and without < args.patience and time.perf_counter() - begun < 60 * args.minutes:
        model.fit_partial(past, min_epochs=args.every, max_epochs=args.every)
        done += args.every
        quality = ndcg(lists(model, past, wanted["user_id"].unique(), 10), wanted)
        report["curve"].append({"epoch": done, "ndcg@10": round(quality, 5), "seconds": round(time.perf_counter() - begun, 1)})
        print(json.dumps(report["curve"][-1]), flush=True)
        without += 1
        if quality > best:
            best, best_epochs, without = quality, done, 0
            report["best"] = report["curve"][-1]
            write(model)
    if args.refit or args.refit_for:
        model, epochs = fresh(settings), args.refit_for or best_epochs
        model.fit_partial(whole, min_epochs=epochs, max_epochs=epochs)
        write(model)
    report["seconds"] = round(time.perf_counter() - begun, 1)
    (args.folder / f"{args.name}.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
