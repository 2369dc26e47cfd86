"""The model card that training stores with the model."""

from __future__ import annotations

from typing import Any

_TEMPLATE = """# Model card: {id}

Two towers over a text encoder, a cross-encoder and gradient-boosted trees (GBDT), trained by `recsys train`.

## Trained on
{items:,} items with {texts:,} distinct texts, {users:,} users, {events:,} events, nothing later than {until} (UTC).
Seed {seed}, device {device}, text encoder `{encoder}`, tuning: {tuning}.

## Windows
Each part is fitted on out-of-sample scores of the earlier parts.

| fitted | on purchases of |
|---|---|
| towers | {w[towers]} |
| early stopping of the towers | {w[validation]} |
| cross-encoder, base booster | {w[early]} |
| base booster | {w[late]} |
| residual booster, which adds the cross-encoder | {w[correction]} |
| calibration | {w[calibration]} |

Collaborative models, popularity and behaviour features are computed again at the start of each window, and at every
build.

## How training went
- pre-training of the text encoder on the shop: {pretraining}
- validation NDCG@10 of the towers, over texts, by epoch from 0:
  {curve}; the model is that of epoch {best}
- the base booster {uses} the towers' scores: they {change} its binary cross-entropy over items new to the user, in the
  windows of residual booster and calibration, by {saved:.2%}
- binary cross-entropy of the cross-encoder by epoch: {losses}
- retrieval found {hold:.1%} of the purchases in the calibration window ({bought:,} of its {pairs:,} candidates were
  bought)

## Search
- queries' vectors: {query_tower}
- ranking learned from: {learned_from}
- the cross-encoder over query and item {pairs_kept}

## Reviews
{reviews}

## Intended use and limits
The model ranks a shop's items for its customers, by their purchases and the items' texts. A probability is the chance
that the user buys the item within {days:.0f} days, calibrated on the calibration window; it is biased in a season that
differs from it. Users without history get popular items. The model knows a person only by the log; do not use it to
make decisions about people.
"""


_WAYS = {
    "few-shot": "few ratings and packaged sentences",
    "packaged sentences": "packaged sentences alone: no review has words and a rating",
}


def model_card(model_id: str, about: dict[str, Any], encoder: str, days: float) -> str:
    """Return the card as Markdown; `about` is the model's, and `days` the length of the calibration window."""
    towers, ranking, search = about["towers"], about["ranking"], about["search"]
    curve = towers["validation_ndcg@10"]
    return _TEMPLATE.format(
        id=model_id,
        until=about["until"],
        seed=about["seed"],
        device=about["device"],
        encoder=encoder,
        tuning=towers["tuning"],
        w=about["windows"],
        pretraining=_pretraining(towers.get("pretraining", {"why": "not known to this version"})),
        curve=", ".join(f"{value:.4f}" for value in curve),
        best=max(range(len(curve)), key=lambda epoch: (curve[epoch], epoch)),
        uses="uses" if ranking["reads_towers"] else "does not use",
        change="lower" if ranking["reads_towers"] else "raise",
        saved=abs(ranking["towers_save"]),
        losses=", ".join(f"{value:.4f}" for value in ranking["cross_encoder_loss"]),
        hold=ranking["candidates_hold"],
        bought=ranking["calibration_bought"],
        pairs=ranking["calibration_pairs"],
        days=days,
        learned_from=_learned_from(search),
        pairs_kept=_pairs_kept(search),
        reviews=_reviews(about["reviews"]),
        query_tower=_query_tower(search["query_tower"]),
        **about["data"],
    )


def _pretraining(report: dict[str, Any]) -> str:
    if "why" in report:
        return f"none: {report['why']}"
    pairs = ", ".join(f"{count:,} of {kind}" for kind, count in report["pairs"].items())
    ranks, lists = report["held_out_mrr"], report["ndcg@10_of_untrained_towers"]
    change = f"mean reciprocal rank of held-out pairs {ranks[0]:.3f} to {ranks[1]:.3f}, NDCG@10 of untrained towers {lists[0]:.4f} to"
    return f"{pairs}; {change} {lists[1]:.4f}; {'kept' if report['kept'] else 'not kept'}"


def _learned_from(search: dict[str, Any]) -> str:
    lists = f", {search['lists']:,} lists" if "lists" in search else ""
    return f"{search['learned_from']}{lists}"


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
