"""Defines `recsys evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from recsys.cli.options import Json, State, state_of
from recsys.settings.names import Preset

Protocol = Literal["judged", "personal", "log"]
Evaluated = Literal["search", "reviews", "customers", "campaigns", "assistant", "robustness"]


def evaluate(
    context: typer.Context,
    what: Annotated[
        Evaluated | None, typer.Argument(metavar="|".join(get_args(Evaluated)), help="Without it: the recommendations.")
    ] = None,
    preset: Annotated[Preset, typer.Option(help="The preset that the model was trained with.")] = "quick",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The seed that the model was trained with.")] = 0,
    judged: Annotated[Path | None, typer.Option(metavar="FILE", help="Search: judged queries, csv, jsonl or parquet.")] = None,
    protocol: Annotated[Protocol | None, typer.Option(help="Search: whose queries.  [default: the log's, if there is one]")] = None,
    queries: Annotated[int, typer.Option(min=1, metavar="N", help="Search: at most so many, without a file.")] = 2000,
    dialogues: Annotated[Path | None, typer.Option(metavar="FILE", help="Assistant: dialogues to replay, JSON lines.")] = None,
    as_json: Json = False,
) -> None:
    """How good the recommendations are, or the search, the sentiment of reviews, what is expected of customers or campaigns, the assistant.

    robustness: how far lists stay the same when the catalogue's texts change as a supplier's next export may change them.

    Judged on the last weeks of the log, beside honest baselines; a page with plots goes to reports/. See docs/metrics.md.
    """
    from recsys.cli.render import stdout

    state = state_of(context)
    if what == "search":
        from eval.reports import search as page
        from recsys.apps.search.evaluate import SearchEvaluation, evaluate_search
        from recsys.training.options import TrainOptions

        options = SearchEvaluation(protocol, judged, queries, TrainOptions(preset=preset, seed=seed))
        report = evaluate_search(state.workspace, state.settings, options)
        typer.echo(report.to_json()) if as_json else stdout().print(page.table(report))
        return
    if what == "robustness":
        from recsys.offline.robustness.evaluate import evaluate_robustness
        from recsys.training.options import TrainOptions

        robust = evaluate_robustness(state.workspace, state.settings, TrainOptions(preset=preset, seed=seed))
        typer.echo(robust.to_json(), nl=False) if as_json else stdout().print(robust.table())
        return
    if what is not None:
        of_app = _evaluated_app(state, what, seed, dialogues)
        typer.echo(of_app.to_json(), nl=False) if as_json else stdout().print(of_app.table())
        return
    if judged or protocol:
        raise typer.BadParameter("--judged and --protocol go with: recsys evaluate search", param_hint="search")
    from eval.reports.evaluation import table

    report = state.shop.evaluate(preset=preset, random_state=seed)
    typer.echo(report.to_json()) if as_json else stdout().print(table(report))


def _evaluated_app(state: State, what: Evaluated, seed: int, dialogues: Path | None) -> Any:
    if what == "assistant":
        from recsys.apps.assistant.evaluation.evaluate import evaluate_assistant

        return evaluate_assistant(state.workspace, state.settings, dialogues)
    if what == "customers":
        from recsys.apps.customers.evaluate import evaluate_customers

        return evaluate_customers(state.workspace, state.settings, seed)
    if what == "campaigns":
        from recsys.apps.campaigns.evaluate import evaluate_campaigns

        return evaluate_campaigns(state.workspace, state.settings, seed)
    from recsys.apps.reviews.evaluate import evaluate_reviews

    return evaluate_reviews(state.workspace, state.settings, seed)
