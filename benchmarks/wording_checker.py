"""How many changed wordings the checker catches, and how many true ones it refuses.

    python -m benchmarks.wording_checker [tuned|held_out|last] [--show]

One JSON line for each set and side; `--show` adds the wordings that were judged wrongly, with the problems found.
"""

from __future__ import annotations

import datetime
import json
import sys
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scipy.stats import binomtest

from recsys.wording.checking.checker import check
from recsys.wording.facts import Fact, FactKind
from recsys.wording.message import joined
from recsys.wording.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.wording.message import Message

FOLDER = Path(__file__).parent / "wordings"
SETS = ("tuned", "held_out", "last")
TARGETS = {"caught": 0.98, "refused": 0.05}
PLACES = {"product_list": "products", "comparison": "lines", "clarify": "options"}  # where a message has its lines


def message_of(case: dict[str, Any], templates: Templates) -> Message:
    """Return the message that a case of a data file rewords."""
    language, key = case["language"], case["key"]
    parts = {}
    if "lines" in case:
        lines = [_line(case["line_key"], line, str(number), language, templates) for number, line in enumerate(case["lines"])]
        parts[PLACES[key]] = joined(lines)
    facts = [fact_of(name, kind, text) for name, kind, text in case.get("facts", ())]
    return templates.write(key, *facts, language=language, **parts)


def _line(key: str, facts: list[list[str]], about: str, language: str, templates: Templates) -> Message:
    parts, plain = {}, []
    for name, kind, text in facts:
        fact = fact_of(name, kind, text, about)
        if name == "count":
            parts["stock"] = templates.write("stock_count", fact, language=language)
        elif name == "stock":
            parts["stock"] = templates.write("stock_yes" if fact.value else "stock_no", language=language)
        else:
            plain.append(fact)
    return templates.write(key, *plain, language=language, **parts)


def fact_of(name: str, kind: str, text: str, about: str = "") -> Fact:
    """Return a fact as a data file writes it, such as ["price", "money", "2.79 EUR"]."""
    if kind == "money":
        amount, currency = text.split()
        return Fact(name, Decimal(amount), FactKind.MONEY, "catalogue", about, currency)
    if kind == "number":
        return Fact(name, int(text), FactKind.NUMBER, "catalogue", about)
    if kind == "date":
        return Fact(name, datetime.date.fromisoformat(text), FactKind.DATE, "shop", about)
    if kind == "flag":
        return Fact(name, text == "yes", FactKind.YES_NO, "catalogue", about)
    return Fact(name, text, FactKind(kind), "shop", about)


def cases_of(name: str) -> Iterator[tuple[Message, str, str | None]]:
    """Yield message, wording, and what was changed in it, None for a true one."""
    templates = Templates.of()
    for case in tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["message"]:
        message = message_of(case, templates)
        for wording in case["true"]:
            yield message, wording, None
        for kind, wording in case["changed"]:
            yield message, wording, kind


def measure(name: str, show: bool = False) -> Iterator[dict[str, Any]]:
    """Yield a row for the changed and one for the true wordings of a set."""
    judged = [(message, wording, changed, check(wording, message)) for message, wording, changed in cases_of(name)]
    for side, target in TARGETS.items():
        rows = [problems for _, _, changed, problems in judged if (changed is None) == (side == "refused")]
        hits = sum(bool(problems) for problems in rows)
        interval = binomtest(hits, len(rows)).proportion_ci(method="wilson")
        ratio = hits / len(rows)
        kept = ratio >= target if side == "caught" else ratio <= target
        yield {
            "name": f"wordings of {name}: {'changed ones caught' if side == 'caught' else 'true ones refused'}",
            "ratio": round(ratio, 4),
            "low": round(interval.low, 4),
            "high": round(interval.high, 4),
            "count": hits,
            "of": len(rows),
            "target": target,
            "kept": kept,
        }
    if show:
        for message, wording, changed, problems in judged:
            if bool(problems) != (changed is not None):
                yield {
                    "set": name,
                    "changed": changed,
                    "language": message.language,
                    "wording": wording,
                    "text": message.template_text,
                    "problems": list(map(str, problems)),
                }


def main() -> None:
    """Print one JSON line a row."""
    words = sys.argv[1:]
    for name in [word for word in words if word in SETS] or SETS:
        for row in measure(name, "--show" in words):
            print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
