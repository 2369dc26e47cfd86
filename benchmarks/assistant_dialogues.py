"""Share of 300 scripted dialogues over Complete Journey that come to the right outcome.

    python -m benchmarks.assistant_dialogues [--workspace DIR] [--half development|kept_back] [--kind KIND] [--show]

A bundle of Complete Journey must be in use. The help pages are those of the made shop, and a tool exchanges sizes. Rules
and phrases were mended by the half for development; the wordings of the other half are judged once. `--show` lists what
failed, `--out FILE` keeps the dialogues for `recsys evaluate assistant`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.assistant_scripts import KINDS, scripted
from eval.simulation.help_shop.shop import HelpShop
from recsys.apps.assistant.evaluation.dialogue_file import Dialogue
from recsys.apps.assistant.evaluation.evaluate import conversations, replay
from recsys.apps.assistant.pipeline import Assistant
from recsys.apps.search.pipeline import Search
from recsys.dialogue.order_tool import OrderTool
from recsys.dialogue.tools import Slot, Tools
from recsys.recommend.open import open_recommender
from recsys.settings.assistant import AssistantConfig
from recsys.snapshot.help_texts import HelpTexts
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.apps.assistant.evaluation.report import AssistantReport, DialogueResult
    from recsys.dialogue.conversations import Conversations
    from recsys.recommend.pipeline import Recommender

TARGET = 0.95


class ExchangeTool:
    """Exchanges an order for another size; it needs two slots, so that one can be corrected before the tool is called."""

    name = "exchange"
    examples = (
        *("exchange for another size", "I want to swap it for a different size", "wrong size, can I exchange it"),
        *("Umtausch in eine andere Größe", "ich möchte die Größe tauschen"),
        *("échanger contre une autre taille", "cambiar por otra talla", "换一个尺码"),
    )
    slots = (Slot("order", "order_number"), Slot("size", "size"))
    needs_user = True
    result: ClassVar[Mapping[str, Any]] = {"type": "object"}
    texts: ClassVar[Mapping[str, str]] = {
        "en": "Order {order} will be exchanged for size {size}.",
        "de": "Die Bestellung {order} wird in Größe {size} umgetauscht.",
        "fr": "La commande {order} sera échangée contre la taille {size}.",
        "es": "El pedido {order} se cambiará por la talla {size}.",
        "zh": "订单 {order} 将换成 {size} 码。",
    }

    def call(self, slots: Mapping[str, str], user: str | None) -> Mapping[str, Any]:
        """Return what was asked for."""
        return dict(slots)


def with_help(recommender: Recommender) -> Recommender:
    """Return a recommender whose shop has the help pages of the made shop."""
    helped = HelpTexts.read(HelpShop.load().pages, recommender.model)
    return replace(recommender, snapshot=replace(recommender.snapshot, help=helped))


def assistant_over(recommender: Recommender, store: Conversations) -> Assistant:
    """Return an assistant with the tool of orders and the one that exchanges sizes."""
    assistant = Assistant(Search(recommender), AssistantConfig(), store)
    snapshot = recommender.snapshot
    tools = [OrderTool(snapshot.log, snapshot.catalog), ExchangeTool()]
    assistant.__dict__["tools"] = Tools(tools, assistant.config.tool_seconds)
    return assistant


def row_of(name: str, report: AssistantReport) -> dict[str, Any]:
    """Return the row of one half."""
    right, figures = report.metrics["right"], {key: round(value["value"], 4) for key, value in report.metrics.items()}
    kinds = {name: round(one["metrics"]["right"]["value"], 3) for name, one in report.slices().items()}
    row = {"name": name, "ratio": right["value"], "low": right["low"], "high": right["high"]}
    row = {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
    kept = right["value"] >= TARGET and not figures["unsupported_facts"]
    return row | {
        "target": TARGET,
        "kept": kept,
        "dialogues": len(report.dialogues),
        "turns": len(report.turns),
        **figures,
        "right": kinds,
    }


def _told(result: DialogueResult) -> None:
    for place, turn in enumerate(result.turns, 1):
        if turn.problems or turn.unsupported:
            row = {
                "dialogue": result.name,
                "turn": place,
                "say": turn.say,
                "reply": turn.text,
                "problems": turn.problems + turn.unsupported,
            }
            print(json.dumps(row, ensure_ascii=False), flush=True)


def _counted(result: DialogueResult) -> None:
    """Tell whether a dialogue came out right, and none of its words: those of the half that is kept back are not looked at."""
    unsupported = sum(len(turn.unsupported) for turn in result.turns)
    row = {"dialogue": result.name, "language": result.language, "right": result.right, "unsupported": unsupported}
    print(json.dumps(row), file=sys.stderr, flush=True)


def main() -> None:
    """Print one row for each half."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--half", choices=("development", "kept_back"), action="append")
    parser.add_argument("--kind", choices=tuple(KINDS), action="append")
    parser.add_argument("--most", type=int, help="dialogues of a kind")
    parser.add_argument("--after", type=int, default=0, help="dialogues of a kind that are left out before")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    recommender = with_help(open_recommender(Workspace(options.workspace)))
    for half in options.half or ("development", "kept_back"):
        lines = [line for line in scripted(recommender, half, options.seed) if not options.kind or line["kind"] in options.kind]
        lines = [line for line in lines if int(line["name"].split()[1]) > options.after]
        lines = [line for line in lines if not options.most or int(line["name"].split()[1]) <= options.after + options.most]
        if options.out:
            options.out.with_stem(f"{options.out.stem}_{half}").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        with conversations() as store:
            told = _told if options.show else _counted
            report = replay(assistant_over(recommender, store), [Dialogue.model_validate(line) for line in lines], told)
        print(json.dumps(row_of(f"assistant_dialogues_{half}", report)), flush=True)


if __name__ == "__main__":
    main()
