"""Time of a turn of the assistant, compared with a pipeline of sentence-transformers that is told what each message wants.

    python -m benchmarks.assistant_speed [--workspace DIR] [--most N]

Both read the messages of the scripted dialogues over Complete Journey in turn, each in one thread. The pipeline encodes
the message and takes the nearest of the help pages and examples. Where the assistant searched, the pipeline encodes the
words that were searched for, searches a flat FAISS index of all products, and scores the nearest with MiniLM-L6 as a
cross-encoder: 100 of them, and then as many as the assistant. What a message wants, the pipeline is told for nothing;
for words of earlier turns as well. It remembers no conversation, checks no stock and writes no reply.

Processor time stands beside the time of the clock, which other work on the machine prolongs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.assistant_dialogues import assistant_over, with_help
from benchmarks.assistant_scripts import scripted
from benchmarks.paired import Rival, median_interval, say
from features.data.histories import Histories
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.state_cache import cached_states
from features.text.template import item_texts
from recsys.apps.assistant.evaluation.evaluate import conversations
from recsys.apps.assistant.request import AssistantRequest
from recsys.recommend.open import open_recommender
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recsys.apps.assistant.answers import Reply
    from recsys.apps.assistant.pipeline import Assistant
    from recsys.snapshot.snapshot import Snapshot

CANDIDATES = 100  # as in the examples of sentence-transformers
LAST = 10  # items of a customer who asks for recommendations
TARGET = 10


@dataclass(frozen=True)
class Turn:
    """Seconds of one turn: of the clock, and of the processor.

    Attributes
    ----------
    command : what the message was taken for.
    ours : of the assistant.
    pipeline, same_depth : of the pipeline, with 100 candidates and with as many as the assistant scores.
    """

    command: str
    ours: tuple[float, float]
    pipeline: tuple[float, float]
    same_depth: tuple[float, float]


def load_products(snapshot: Snapshot, cache: Path, rival: Rival, folder: Path) -> list[str]:
    """Load texts and vectors of all products into the pipeline, and return the texts."""
    texts = item_texts(snapshot.catalog)
    distinct = texts.unique(maintain_order=True)
    encoder = TextEncoder.pretrained(EncoderConfig())
    pooled = encoder.pool(cached_states(encoder, distinct.to_list(), cache))
    vectors = (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)).astype(np.float32)
    (folder / "texts.json").write_text(json.dumps(texts.to_list()), encoding="utf-8")
    np.save(folder / "vectors.npy", vectors[texts.replace_strict(distinct, range(len(distinct))).to_numpy()])
    rival.ask(do="stock", texts=str(folder / "texts.json"), vectors=str(folder / "vectors.npy"))
    return texts.to_list()


def query_of(reply: Reply, snapshot: Snapshot, texts: Sequence[str], user: str | None) -> str:
    """Return what the pipeline searches for: the words that the assistant did, or a customer's last items; nothing on other turns."""
    focus = reply.state.focus
    if reply.commands[0].command != "find_products" or focus is None or focus.words:
        return focus.words if focus and reply.commands[0].command == "find_products" else ""
    history = Histories.of_users(snapshot.log, snapshot.log.user_rows([user or ""]), snapshot.now)
    recent = history.recent_items(len(snapshot.catalog), LAST).rows[0]
    return ", ".join(texts[int(row)] for row in recent[::-1] if row >= 0)


def turns(assistant: Assistant, rival: Rival, texts: Sequence[str], lines: Sequence[dict[str, Any]], name: str) -> Iterator[Turn]:
    """Hold dialogues, and let the pipeline read each message after the assistant."""
    snapshot, pairs = assistant.recommender.snapshot, assistant.search.pairs
    depths = CANDIDATES, pairs.config.rerank_depth if pairs is not None else CANDIDATES
    for number, line in enumerate(lines):
        for turn in line["turns"]:
            begun, cpu = time.perf_counter(), time.process_time()
            reply = assistant.answer(AssistantRequest(turn["say"], f"{name}-{number}", line["user"]))
            ours = time.perf_counter() - begun, time.process_time() - cpu
            query = query_of(reply, snapshot, texts, line["user"])
            told = [rival.ask(do="turn", message=turn["say"], query=query, candidates=depth) for depth in depths]
            yield Turn(reply.commands[0].command, ours, *((one["seconds"], one["cpu"]) for one in told))


def row(name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Print the row of the median of pairs, and that of the 99th percentile, from seconds (turns, 2)."""
    for at, share in (("p50", 0.5), ("p99", 0.99)):
        own, other = np.quantile(ours, share, axis=0), np.quantile(theirs, share, axis=0)
        figures = {"ms": own[0], "cpu_ms": own[1], "ms_pipeline": other[0], "cpu_ms_pipeline": other[1]}
        more: dict[str, Any] = {key: round(float(value) * 1000, 1) for key, value in figures.items()}
        more[f"{at}_ratio"], more[f"{at}_cpu_ratio"] = (round(float(value), 2) for value in other / own)
        pairs = theirs / ours
        if at == "p50":
            more["cpu_ratio"] = round(median_interval(pairs[:, 1])[0], 2)
        say(f"{name}_{at}", pairs[:, 0] if at == "p50" else [other[0] / own[0]], TARGET, None, **more)


def by_command(measured: Sequence[Turn]) -> None:
    """Print what each kind of turn takes, in milliseconds of the processor."""
    for command in dict.fromkeys(one.command for one in measured):
        cpu = np.array([[one.ours[1], one.pipeline[1], one.same_depth[1]] for one in measured if one.command == command]) * 1000
        ours, pipeline, same = np.median(cpu, axis=0).round(1).tolist()
        print(json.dumps({"command": command, "turns": len(cpu), "cpu_ms": ours, "pipeline": pipeline, "same_depth": same}), flush=True)


def main() -> None:
    """Print rows for the pipeline with 100 candidates, for the one with as many as ours, and a line for each command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--most", type=int, default=4, help="dialogues of a kind")
    options = parser.parse_args()
    workspace = Workspace(options.workspace)
    recommender = open_recommender(workspace)
    recommender = recommender if len(recommender.snapshot.help.pages) else with_help(recommender)
    lines = [line for line in scripted(recommender, "development", 0) if int(line["name"].split()[1]) <= options.most]
    with tempfile.TemporaryDirectory() as name, Rival("pipeline.py", "RIVALS") as rival, conversations() as store:
        rival.ask(do="limit", threads=1)
        texts = load_products(recommender.snapshot, workspace.cache, rival, Path(name))
        assistant = assistant_over(recommender, store)
        examples = [example for tool in assistant.tools for example in tool.examples]
        rival.ask(do="read", passages=[*recommender.snapshot.help.pages.question.to_list(), *examples])
        assistant.warm()
        list(turns(assistant, rival, texts, lines[:: options.most], "warm"))  # one dialogue of each kind is not counted
        measured = list(turns(assistant, rival, texts, lines, "dialogue"))
    ours, pipeline, same = (np.array([getattr(one, name) for one in measured]) for name in ("ours", "pipeline", "same_depth"))
    row("assistant_turn", ours, pipeline)
    row("assistant_turn_same_depth", ours, same)
    by_command(measured)


if __name__ == "__main__":
    main()
