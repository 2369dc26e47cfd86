"""What share of a real small language model's rewordings the checker accepts.

    python -m benchmarks.wording_model [tuned|held_out|last] [en|de|fr|es|zh] [--show]

One JSON line for each language; `--show` adds each wording with its outcome. Needs the environment of `make llm-env`.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections import Counter

from benchmarks.language_model import missing, running
from benchmarks.wording_checker import FOLDER, SETS, message_of
from recsys.wording.chat_server import ChatServer
from recsys.wording.checking.checker import check
from recsys.wording.rephraser import Rephraser
from recsys.wording.templates import PACKAGED, Templates

_SECONDS = 120.0  # the model, not the time that a customer would wait, is measured


class Listening(ChatServer):
    """A server whose last words are kept, to be shown."""

    last = ""

    def answer(self, messages: list[dict[str, str]], tokens: int) -> str:
        """Return the server's words."""
        Listening.last = super().answer(messages, tokens)
        return Listening.last


def main() -> None:
    """Print one JSON line a language."""
    why = missing()
    if why:
        raise SystemExit(why)
    show = "--show" in sys.argv
    only = [word for word in sys.argv[1:] if word in PACKAGED]
    names = [name for name in sys.argv[1:] if name in SETS] or list(SETS)
    templates, outcomes = Templates.of(), dict[str, Counter[str]]()
    with running() as address:
        for name in names:
            for case in tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["message"]:
                if only and case["language"] not in only:
                    continue
                message = message_of(case, templates)
                counts = outcomes.setdefault(message.language, Counter())
                seen: list[str] = []
                said = Rephraser(Listening(address, "smollm2", seconds=_SECONDS), count=seen.append).reword(message)
                counts.update(seen)
                if show:
                    problems = list(map(str, check(Listening.last, message))) if seen == ["refused"] else []
                    row = {
                        "outcome": seen[0],
                        "text": message.template_text,
                        "reply": Listening.last,
                        "shown": said.text,
                        "problems": problems,
                    }
                    print(json.dumps(row, ensure_ascii=False), flush=True)
    for language, counts in outcomes.items():
        total = sum(counts.values())
        row = {"name": f"rewordings of SmolLM2-135M accepted, {language}", "ratio": round(counts["accepted"] / total, 4), "of": total}
        print(json.dumps(row | {"outcomes": dict(counts)}), flush=True)


if __name__ == "__main__":
    main()
