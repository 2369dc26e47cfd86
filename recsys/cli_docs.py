"""docs/cli.md, written from the commands' own help: `python -m recsys.cli_docs docs/cli.md`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from recsys.cli import app

_INTRODUCTION = """\
# The command line

Written by `make docs` from the commands' own help.

Answers go to stdout; progress and logs go to stderr. The exit code is 0, 1 for an error, 2 for wrong usage, 130 when interrupted.
An error is one line: what is wrong, where, and what to do next. `-v` before the command adds the traceback.

Lists of ids are separated by commas; an id that holds a comma stands in double quotes: `--history '"a,b",c'`.
"""
_ANSWERS = """\
## What `--json` prints

Keys are only ever added. Missing values are `null`.

`recommend`: `contributions` is there with `--explain` alone: what each feature added to the log odds, largest first. `fallback` says why a
list is not a personal one.

```
{"user_id": "1228", "bundle_id": "...", "fallback": null, "items": [
  {"rank": 1, "item_id": "...", "title": "...", "category": "...", "price": 1.99, "probability": 0.31, "reason": "...",
   "contributions": {"...": 0.8}}]}
```

`recommend --users-file`: a row an item, with `user_id`, `item_id`, `rank`, `probability`, `reason`.

`similar`, `search`: `score` is the cosine similarity.

```
{"query": "...", "bundle_id": "...", "items": [
  {"rank": 1, "item_id": "...", "title": "...", "category": "...", "price": 1.99, "score": 0.83}]}
```

`doctor`: `status` is `ok`, `warn` or `fail`.

```
[{"name": "faiss", "status": "ok", "found": "...", "advice": ""}]
```

`evaluate`: every figure is `{"value": .., "low": .., "high": .., "users": ..}` with its 95% interval.

```
{"metrics": {"ndcg@10": {..}, ..}, "slices": {"repeat": {..}, ..}, "stages": {..},
 "baselines": {"popular": {"metrics": {..}, "slices": {..}}, ..},
 "split": {"cut": "...", "users": 0, "items": 0}, "bundle_id": "..."}
```
"""


def markdown() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(app)
    # Help names the environment and the width of whoever asks; the page must not.
    context = typer.Context(group, info_name="recsys", terminal_width=100)
    parts = [_INTRODUCTION, _section("recsys", group.get_help(context))]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        parts.append(
            _section(f"recsys {name}", command.get_help(typer.Context(command, parent=context, info_name=name, terminal_width=100)))
        )
    return "\n".join([*parts, _ANSWERS])


def _section(title: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return f"## {title}\n\n```\n{lines}\n```\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
