"""The verbs of the command line: each takes its options apart, calls what does the work, and shows the answer on stdout."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from recsys.cli.customers.audience import audience
from recsys.cli.customers.command import customers
from recsys.cli.maintenance import erase, rollback, verify
from recsys.cli.mcp.command import mcp
from recsys.cli.offline.benchmark import benchmark
from recsys.cli.offline.evaluate import evaluate
from recsys.cli.offline.simulate import off_policy, simulate
from recsys.cli.offline.tune import tune
from recsys.cli.options import Count, Every, Json, PerGroup, Spread, State, parse_ids, parse_moment, parse_out, state_of
from recsys.cli.reviews.command import reviews
from recsys.cli.search import search, similar
from recsys.cli.service import serve
from recsys.cli.storage import pull, push
from recsys.cli.storefront.page import page
from recsys.recommend.request import MAX_PER_GROUP, RecommendOptions
from recsys.settings.names import Device, Preset

Form = Literal["canonical", "amazon", "shopify", "woocommerce", "magento", "google-merchant", "google-analytics"]
if TYPE_CHECKING:
    from features.ingest.summary import IngestSummary


def demo(
    context: typer.Context,
    of_reviews: Annotated[bool, typer.Option("--reviews", help="Reviews, in a small shop that a script makes, up to an alert.")] = False,
) -> None:
    """The whole job on a real retailer's year.

    Ingests Complete Journey, trains, builds, evaluates, and ends in a household's recommendations.
    A second time does not repeat what is done.
    """
    state = state_of(context)
    if of_reviews:
        from recsys.cli.reviews.demo import run_demo
    else:
        from recsys.cli.demo import run_demo
    run_demo(state.workspace, state.settings)


def ingest(
    context: typer.Context,
    dataset: Annotated[Literal["completejourney"] | None, typer.Option(help="A public data set by name, instead of files.")] = None,
    items: Annotated[Path | None, typer.Option(metavar="FILE", help="The catalogue: csv, tsv, jsonl (.gz) or parquet.")] = None,
    interactions: Annotated[Path | None, typer.Option(metavar="FILE", help="The log: csv, tsv, jsonl (.gz) or parquet.")] = None,
    queries: Annotated[Path | None, typer.Option(metavar="FILE", help="The search log, if there is one, in the same formats.")] = None,
    reviews: Annotated[Path | None, typer.Option(metavar="FILE", help="Customers' reviews, if there are any, in the same formats.")] = None,
    help_pages: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Help pages, if there are any: a file in the same formats, or a folder of Markdown.")
    ] = None,
    customers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Who may be written to, and attributes of customers, in the same formats.")
    ] = None,
    campaigns: Annotated[Path | None, typer.Option(metavar="FILE", help="What was sent to whom, in the same formats.")] = None,
    format: Annotated[Form | None, typer.Option(help="The software that exported the files.  [default: by their header]")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only look: read and judge everything, say how, and store nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --check: print the data profile as JSON.")] = False,
) -> None:
    """Read the shop's tables in.

    Without options: what [source] in recsys.toml names. Prints how the columns were understood, and what was read and kept. Bad rows
    go to quarantine.csv, in the folder that data/CURRENT names, with row number and reason. See docs/data-format.md.
    """
    state = state_of(context)
    if as_json and not check:
        raise typer.BadParameter("it goes with --check: recsys ingest --check --json", param_hint="--json")
    if dataset and (items or interactions or format):
        raise typer.BadParameter("a data set brings its own files: leave --items, --interactions and --format out", param_hint="--dataset")
    if items and not interactions and not state.settings.source:
        raise typer.BadParameter("the catalogue alone: give the log with --interactions FILE as well", param_hint="--items")
    optional = {"queries": queries, "reviews": reviews, "help_pages": help_pages, "customers": customers, "campaigns": campaigns}
    for name, table in optional.items():
        if table and not interactions and not dataset and not state.settings.source:
            option = f"--{name.replace('_', '-')}"
            raise typer.BadParameter("this table alone: give the log with --interactions FILE as well", param_hint=option)
    options = {"dataset": dataset, "items": items, "interactions": interactions, **optional, "format": format}
    summary = state.shop.check(**options) if check else state.shop.ingest(**options)
    _show_ingest(summary, check, as_json)
    if not check and summary.quarantined:
        from features.ingest.table_versions import QUARANTINE, in_use

        typer.echo(f"note: the quarantined rows are listed in {in_use(state.workspace.data) / QUARANTINE}")


def _show_ingest(summary: IngestSummary, check: bool, as_json: bool) -> None:
    """Print the profile, then the counts and notes: scripts look for the lines of the counts at the end."""
    from features.ingest.profile.report import full, short

    assert summary.profile is not None
    if as_json:
        typer.echo(summary.profile.model_dump_json(indent=2))
    elif check:
        typer.echo(f"{full(summary.profile)}\n\n{summary.all_lines}\nnothing was stored: an ingest would work")
    else:
        typer.echo(f"{short(summary.profile)}\n{summary}")


def train(
    context: typer.Context,
    until: Annotated[
        datetime | None, typer.Option(parser=parse_moment, metavar="DATE", help="Learn only from what lies before it, ISO 8601, UTC.")
    ] = None,
    preset: Annotated[Preset, typer.Option(help="How much to train: what two cores can do, or what a GPU can.")] = "quick",
    device: Annotated[Device, typer.Option(help="Where to train.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed and data make the same model on one machine.")] = 0,
    warm_start: Annotated[
        bool | None,
        typer.Option("--continue/--from-scratch", help="Go on from the last model, or begin from nothing. Default: continual.enabled."),
    ] = None,
    cluster: Spread = None,
) -> None:
    """Train the models on what was ingested.

    Text and user towers, collaborative models, cross-encoder, gradient-boosted ranker and calibration; by default on the whole log.
    --continue costs a part of that and is for a schedule: see docs/refresh.md.
    """
    state = state_of(context)
    with state.on_cluster(cluster) as workers:
        told = state.shop.train(until, preset=preset, device=device, random_state=seed, warm_start=warm_start, cluster=workers)
    typer.echo(told)


def build_index(
    context: typer.Context,
    device: Annotated[Device, typer.Option(help="Where to encode texts.")] = "auto",
    cluster: Spread = None,
) -> None:
    """Publish the model with a fresh index.

    Encodes the catalogue, builds the index, and publishes both with the model as one bundle.
    Without a trained model, the text encoder is used as it is.
    """
    state = state_of(context)
    with state.on_cluster(cluster) as workers:
        told = state.shop.build_index(device=device, cluster=workers)
    typer.echo(told)


def refresh(
    context: typer.Context,
    every: Every = None,
    device: Annotated[Device, typer.Option(help="Where to encode texts.")] = "auto",
    cluster: Spread = None,
) -> None:
    """Read the sources again and publish.

    Encodes only what is new or changed. No training; a product added today is recommendable after it.
    What does not pass the gates of [refresh] is not published: exit code 1. Published, and a feature has drifted, complaints surge or
    customers drift away: 3.
    See docs/refresh.md.
    """
    state = state_of(context)
    if every is not None:
        from recsys.apps.watches import WATCHES
        from recsys.refresh.refresh import refresh_every

        refresh_every(state.workspace, state.settings, every, typer.echo, device, WATCHES, partial(state.on_cluster, cluster))
        return
    from recsys.refresh.idle.unchanged import InputStamps, still_unchanged

    if (message := still_unchanged(state.root, state.config)) is not None:
        typer.echo(message)
        return
    stamps = InputStamps.before_refresh(state.workspace, state.config, state.settings)
    with state.on_cluster(cluster) as workers:
        done = state.shop.refresh(device=device, cluster=workers)
    typer.echo(done)
    if stamps is not None and done.unchanged and not done.news:
        stamps.remember(str(done).splitlines()[0])
    if done.alerts or done.surges:
        raise typer.Exit(3)


def recommend(
    context: typer.Context,
    user: Annotated[str | None, typer.Option(metavar="ID", help="For whom; without it, for an unknown visitor.")] = None,
    k: Count = 10,
    as_json: Json = False,
    history: Annotated[list[str] | None, typer.Option(metavar="ID,ID", help="Items bought just now, oldest first.")] = None,
    category: Annotated[str | None, typer.Option(help="Only items of this category.")] = None,
    max_price: Annotated[float | None, typer.Option(min=0, metavar="P", help="Only items that cost no more.")] = None,
    in_stock: Annotated[bool, typer.Option("--in-stock", help="Only items that are available.")] = False,
    exclude: Annotated[list[str] | None, typer.Option(metavar="ID,ID", help="Not these items.")] = None,
    new_only: Annotated[
        bool | None,
        typer.Option("--new-only/--allow-seen", help="Leave out what the user has bought before. Default: if nobody here buys twice."),
    ] = None,
    diversity: Annotated[
        float, typer.Option(min=0, max=1, metavar="0..1", help="0: by chance of purchase alone; 1: as unlike as can be.")
    ] = 0.0,
    max_per_group: PerGroup = MAX_PER_GROUP,
    unsold: Annotated[bool, typer.Option("--unsold", help="Only items that nobody has bought yet, likely ones first.")] = False,
    debuts: Annotated[bool, typer.Option("--debuts", hidden=True, help="The former name of --unsold.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say what each feature added to the log odds.")] = False,
    users_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For all users of a file: a column user_id, or one id a line. Needs --out.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(parser=parse_out, metavar="FILE", help="Where their lists go: .csv, .jsonl or .parquet.")
    ] = None,
    cluster: Spread = None,
) -> None:
    """What a user is most likely to buy.

    Each item with the chance that it is bought and the reason. Without --user and --history: what is popular.
    """
    if (users_file is None) != (out is None):
        raise typer.BadParameter("--users-file and --out go together: the one says for whom, the other where the lists go")
    if users_file and (user is not None or history or as_json or explain):
        raise typer.BadParameter("--users-file goes without --user, --history, --json and --explain")
    if cluster is not None and not users_file:
        raise typer.BadParameter("it spreads the users of a file: give --users-file and --out", param_hint="--cluster")
    if debuts:
        typer.echo("warning: --debuts is called --unsold now, and goes with the next release", err=True)
    state = state_of(context)
    options = RecommendOptions(
        history=parse_ids(history, "--history"),
        k=k,
        category=category,
        max_price=max_price,
        in_stock=in_stock,
        exclude=parse_ids(exclude, "--exclude"),
        new_only=new_only,
        diversity=diversity,
        max_per_group=max_per_group,
        unsold=unsold or debuts,
        explain=explain,
    )
    if users_file and out:
        _recommend_to_file(state, options, users_file, out, cluster)
        return
    answer = next(iter(state.shop.answers(options, [user])))
    if as_json:
        _print_json(answer.to_dict())
    else:
        from recsys.cli.render import render_answer, stdout

        render_answer(answer, stdout())


def _recommend_to_file(state: State, options: RecommendOptions, users_file: Path, out: Path, cluster: str | None) -> None:
    from recsys.cli.list_files import read_users, write_answers

    users, notes = read_users(users_file)
    for note in notes:
        typer.echo(note, err=True)
    if cluster is None:
        rows = write_answers(state.shop.answers(options, users), out)
    else:
        from recsys.cli.list_shards import write_lists

        with state.on_cluster(cluster) as workers:
            assert workers is not None
            rows = write_lists(workers, state, options, users, out)
    typer.echo(f"{len(users):,} users, {rows:,} rows in {out}")


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Look for what is wrong, and say what to do.

    Installation, machine and workspace. Exit code 1 if something has failed.
    """
    from recsys.cli.doctor import examine
    from recsys.cli.render import render_checks, stdout

    state = state_of(context)
    checks = examine(state.workspace, state.config)
    if as_json:
        _print_json([asdict(check) for check in checks])
    else:
        render_checks(checks, stdout())
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(1)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


COMMANDS = (
    *(demo, ingest, train, build_index, recommend, page, similar, search, reviews, customers, audience),
    *(evaluate, tune, benchmark, simulate, off_policy, refresh, verify, rollback, erase, push, pull, serve, mcp, doctor),
)
