"""The model card that training stores with the model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from features.text.plain import counted

if TYPE_CHECKING:
    from pathlib import Path

_TEMPLATE = """# Model card: {id}

Two towers over a text encoder, a cross-encoder and gradient-boosted trees (GBDT), trained by `recsys train`.

## Trained on
{items:,} items with {texts:,} distinct texts, {users:,} users, {events:,} events, nothing later than {until} (UTC).
Seed {seed}, device {device}, text encoder `{encoder}`, tuning: {tuning}.

## Windows
Each part is fitted on out-of-sample scores of the earlier parts.

{windows}

Collaborative models, popularity and behaviour features are computed again at the start of each window, and at every
build.

## How training went
- pre-training of the text encoder on the shop: {pretraining}
- validation NDCG@10 of the towers, over texts, by epoch from 0:
  {curve}; the model is that of epoch {best}{teachers}
- the base booster {uses} the towers' scores: they {change} its binary cross-entropy over items new to the user, in the
  windows of residual booster and calibration, by {saved:.2%}{of_towers}
- binary cross-entropy of the cross-encoder by epoch: {losses}{of_cross_encoder}
- retrieval found {hold:.1%} of the purchases in the calibration window ({bought:,} of its {pairs:,} candidates were
  bought)

## What the text parts earn
Change of NDCG@10 over the items of a column, ranked among themselves, with its 95% interval, in lists of the
calibration window's users. Well known: at least five buyers before the window. Never sold: items without a purchase,
most of them items whose purchases were hidden for this.

{text_parts}

## Search
- queries' vectors: {query_tower}
- ranking learned from: {learned_from}
- of the search log it reads {search_log}
- the cross-encoder over query and item {pairs_kept}

## Reviews
{reviews}

## Robustness
{robustness}

## Intended use and limits
The model ranks a shop's items for its customers, by their purchases and the items' texts. A probability is the chance
that the user buys the item within {days:.0f} days, calibrated on the calibration window; it is biased in a season that
differs from it. Users without history get popular items. The model knows a person only by the log; do not use it to
make decisions about people.
"""


ROBUSTNESS_REPORT = "robustness.json"  # in reports/


def _windows(about: dict[str, Any]) -> str:
    """Return the table of windows; that of a model which goes on from an earlier one says what each part has seen in addition."""
    windows, continued = about["windows"], about.get("continued")
    rows = {
        "towers": windows["towers"],
        "early stopping of the towers": windows["validation"],
        "cross-encoder, base booster": windows["early"],
        "base booster": windows["late"],
        "residual booster, which adds the cross-encoder": windows["correction"],
        "calibration": windows["calibration"],
    }
    if continued is not None:
        rows["towers"] += f": events since {continued['new_since']}, beside earlier ones, from the weights of the earlier model"
        rows["base booster"] += ", in addition to the trees of the earlier model"
        del rows["cross-encoder, base booster"]
        if "cross-encoder" in continued["kept"]:
            del rows["residual booster, which adds the cross-encoder"]
        else:
            rows |= {"cross-encoder": windows["late"]}
    table = "\n".join(("| fitted | on purchases of |", "|---|---|", *(f"| {part} | {window} |" for part, window in rows.items())))
    return table if continued is None else f"{table}\n\n{_continued(continued)}"


def _continued(continued: dict[str, Any]) -> str:
    """Return which model this one goes on from, and which parts it took over."""
    kept = f"Taken over as they were: {', '.join(continued['kept'])}." if continued["kept"] else "No part was taken over as it was."
    begun = f"The training went on from model {continued['parent']}, which was trained until {continued['until']} (UTC)"
    count = f"it is number {continued['generation']} in a row since a training from nothing"
    return f"{begun}; {count}.\n{kept} No part had seen a window that is listed for a part after it."


_WAYS = {
    "few-shot": "few ratings and packaged sentences",
    "packaged sentences": "packaged sentences alone: no review has words and a rating",
}


def model_card(model_id: str, about: dict[str, Any], encoder: str, days: float, reports: Path) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    about : the model's.
    days : length of the calibration window.
    reports : folder of the last evaluation of robustness, whichever model that was of.
    """
    towers, ranking, search = about["towers"], about["ranking"], about["search"]
    curve = towers["validation_ndcg@10"]
    return _TEMPLATE.format(
        id=model_id,
        until=about["until"],
        seed=about["seed"],
        device=about["device"],
        encoder=encoder,
        tuning=towers["tuning"] if about.get("continued") is None else f"{towers['tuning']} in this training",
        windows=_windows(about),
        pretraining=_pretraining(towers.get("pretraining", {"why": "not known to this version"}), continued="continued" in about),
        curve=", ".join(f"{value:.4f}" for value in curve),
        best=max(range(len(curve)), key=lambda epoch: (curve[epoch], epoch)),
        teachers=_teachers(towers.get("teachers_ndcg@10", [])),
        uses="uses" if ranking["reads_towers"] else "does not use",
        change="lower" if ranking["reads_towers"] else "raise",
        saved=abs(ranking["towers_save"]),
        losses=", ".join(f"{value:.4f}" for value in ranking["cross_encoder_loss"]),
        hold=ranking["candidates_hold"],
        bought=ranking["calibration_bought"],
        pairs=ranking["calibration_pairs"],
        text_parts=_text_parts(ranking["text_parts"], ranking.get("measured_by", {})),
        of_towers=_measured_by(ranking, "towers"),
        of_cross_encoder=_measured_by(ranking, "cross-encoder"),
        days=days,
        learned_from=_learned_from(search),
        search_log=of_search_log(search),
        pairs_kept=_pairs_kept(search),
        reviews=_reviews(about["reviews"]),
        robustness=_robustness(reports / ROBUSTNESS_REPORT),
        query_tower=_query_tower(search["query_tower"]),
        **about["data"],
    )


def _measured_by(ranking: dict[str, Any], part: str) -> str:
    """Return which model's windows a figure of a part comes from, if not from this one's."""
    model = ranking.get("measured_by", {}).get(part)
    return "" if model is None else f"; measured by model {model}, in its windows"


def _text_parts(parts: dict[str, dict[str, dict[str, Any]]], measured_by: dict[str, str]) -> str:
    """Return the table of what each text part earns by slice of the items, and below it whose figures they are and why idle ones are."""
    slices = list(next(iter(parts.values())))
    lines = [f"| part | {' | '.join(slices)} |", "|---" * (len(slices) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(_earned(of_slice[each]) for each in slices)} |" for name, of_slice in parts.items()]
    why: dict[tuple[str, str], list[str]] = {}
    for name, of_slice in parts.items():
        for each in slices:
            if reason := of_slice[each].get("idle"):
                why.setdefault((name, reason), []).append(each)
    notes = [f"- {name}: measured by model {model}, in its calibration window" for name, model in measured_by.items()]
    notes += [f"- {name}, {' and '.join(each)}: {reason}" for (name, reason), each in why.items()]
    return "\n".join(lines + [""] * bool(notes) + notes)


def _earned(figures: dict[str, Any]) -> str:
    if "idle" in figures:
        return "idle"
    change, low, high = (f"{figures[name]:+.4f}" for name in ("change", "low", "high"))
    return f"{change} [{low}, {high}] on {figures['without']:.4f}, {figures['users']:,} users"


def _teachers(metrics: list[float]) -> str:
    if not metrics:
        return ""
    return (
        f"\n- the towers learned from {len(metrics)} others, whose validation NDCG@10 is {', '.join(f'{value:.4f}' for value in metrics)}"
    )


def _pretraining(report: dict[str, Any], *, continued: bool) -> str:
    if continued:
        return f"none in this training; in the training from nothing before it: {_pretraining(report, continued=False)}"
    if "why" in report:
        return f"none: {report['why']}"
    pairs = ", ".join(f"{count:,} of {kind}" for kind, count in report["pairs"].items())
    ranks, lists = report["held_out_mrr"], report["ndcg@10_of_untrained_towers"]
    change = f"mean reciprocal rank of held-out pairs {ranks[0]:.3f} to {ranks[1]:.3f}, NDCG@10 of untrained towers {lists[0]:.4f} to"
    return f"{pairs}; {change} {lists[1]:.4f}; {'kept' if report['kept'] else 'not kept'}"


def _learned_from(search: dict[str, Any]) -> str:
    lists = f", {search['lists']:,} lists" if "lists" in search else ""
    return f"{search['learned_from']}{lists}"


def of_search_log(search: dict[str, Any]) -> str:
    """Say what of the search log the ranking learned from, and why; `search` are the model's facts about search."""
    report = search.get("search_log")
    if not report:
        whole = "the search log" in search["learned_from"]
        return "all: there are too few purchases to compare it with" if whole else "nothing: there is none, or it has too few clicks"
    if not report["judged"]:
        return "nothing: nothing was bought after a held-out search that is among what it finds"
    kept = "nothing" if report["kept"].startswith("without") else report["kept"]
    ways = [f"{value:.4f} {name if name.startswith('without') else f'with {name}'}" for name, value in report["ndcg@10"].items()]
    judged = counted(report["judged"], "held-out search", "held-out searches")
    return f"{kept}: NDCG@10 of what was bought after {judged} is {', '.join(ways)}"


def _query_tower(report: dict[str, Any]) -> str:
    learned = f"learned from {report['learned_from']}"
    if "mrr_after" not in report:
        return learned
    change = f"the mean reciprocal rank of held-out queries goes from {report['mrr_before']:.3f} to {report['mrr_after']:.3f}"
    return f"{learned}; {change}; {'kept' if report['kept'] else 'not kept'}"


def _pairs_kept(search: dict[str, Any]) -> str:
    if "cross_encoder_saves" not in search:
        return "is not trained"
    kept = "is read" if search["reads_cross_encoder"] else "is not read: that is within chance, or it lowers NDCG@10"
    return f"changes the cross-entropy of held-out lists by {-search['cross_encoder_saves']:+.2%}, and {kept}"


def _reviews(report: dict[str, Any]) -> str:
    """Return lines on the sentiment of reviews; one line for a shop without any."""
    lines = [f"- sentiment: learned from {_WAYS.get(report['learned_from'], report['learned_from'])}"]
    if "counts" in report:
        negative, neutral, positive = report["counts"]
        classes = f"{negative:,} negative, {neutral:,} neutral and {positive:,} positive distinct texts with a rating"
        lines[0] += f"; {classes}, of which {report['held_out']:,} only calibrate"
        lines.append("- its accuracy is not measured here: `recsys evaluate reviews` does, on the newest reviews")
    if "copies" in report:
        none, foreign = (report[name] / report["reviews"] for name in ("without_words", "foreign"))
        lines.append(
            f"- of {report['reviews']:,} reviews, {none:.1%} have no words and {foreign:.1%} are in a language that is not read: they get "
            "no sentiment"
        )
        lines.append(f"- {report['copies']:,} are copies of an earlier review and count in no figure")
    if "polarity" in report:
        lines.append(f"- polarity of aspects: {_polarity(report['polarity'])}")
    return "\n".join(lines)


def _polarity(report: dict[str, Any]) -> str:
    """Return what the shop's labels of terms brought."""
    if "lacking" in report:
        return f"not learned: {report['lacking']}; a mention has the sentiment of its sentence"
    ours, theirs = (f"{report[name]:.1%}" for name in ("accuracy", "of_sentences"))
    told = f"learned from {report['labels']:,} labels; of the {report['judged']:,} that judge and do not train, it tells {ours} right"
    kept = "it is used" if report["kept"] else "it is not used, because it is not better beyond chance"
    return f"{told}, and the sentiment of the sentence {theirs}; {kept}"


def _robustness(path: Path) -> str:
    """Return lines on the last evaluation of robustness."""
    if not path.is_file():
        return "Not measured: `recsys evaluate robustness` does, and the next model's card repeats what it finds."
    report = json.loads(path.read_text(encoding="utf-8"))
    lines = [f"Measured on the model trained until {report['until']}, over lists of {report['users']:,} users."]
    for name, one in report["perturbations"].items():
        parts = [
            f"{kind}: {_share(metrics['overlap@10'])} of the first ten stay, NDCG@10 is {_share(metrics['ndcg_kept'])} of what it was"
            for kind, metrics in one["metrics"].items()
        ]
        found = "; ".join(parts) or "nothing to change in this catalogue"
        lines.append(f"- {name} ({one['changed']:.0%} of the items' texts): {found}")
    return "\n".join(lines)


def _share(metric: dict[str, float | None]) -> str:
    value = metric["value"]
    return "an unknown share" if value is None else f"{value:.1%}"


def marked(card: str) -> str:
    """Return the card with a note that users in its data have been erased since."""
    return (
        card
        + """
## To be trained again
This model was trained on purchases of users who have been erased since. No weight names them, but their influence can only be removed by
training: run `recsys train`, then `recsys build-index`. The model is removed once `bundles.keep` newer ones exist.
"""
    )
