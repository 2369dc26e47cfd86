"""The model card that training writes beside the model."""

from __future__ import annotations

from typing import Any

_TEMPLATE = """# Model card: {id}

Two towers over a text encoder, a cross-encoder and a blend, trained by `recsys train`.

## Trained on
{items:,} items with {texts:,} distinct texts, {users:,} users, {events:,} events, nothing later than {until} (UTC).
Seed {seed}, device {device}, text encoder `{encoder}`, tuning: {tuning}.

## Windows
Each part stands on scores of data that the earlier parts never saw.

| fitted | on purchases of |
|---|---|
| towers | {w[towers]} |
| towers' early stopping | {w[validation]} |
| cross-encoder, blend | {w[early]} |
| blend | {w[late]} |
| correction by the cross-encoder | {w[correction]} |
| calibration | {w[calibration]} |

Collaborative models, popularity and behaviour features are counted anew at the beginning of each window, and at every build.

## How training went
- validation NDCG@10 of the towers, over texts, by epoch from 0: {curve}; kept is what epoch {kept} left
- the blend reads {reads}the towers' scores: they {change} its binary cross-entropy over items new to the user, in the correction and
  calibration windows, by {saved:.2%}
- binary cross-entropy of the cross-encoder by epoch: {losses}
- of what was bought in the calibration window, retrieval had found {hold:.1%} ({bought:,} of {pairs:,} candidates there were bought)

## Meant for, and not
Ranks what a shop sells for its customers, from their purchases and the items' texts. A probability is the chance that the user buys the
item within {days:.0f} days, as it was in the calibration window; in a season unlike it, it is off. Someone without history gets what is
popular. The model knows nothing of a person but the log; do not use it to judge people.
"""


def model_card(model_id: str, about: dict[str, Any], encoder: str, days: float) -> str:
    """Markdown; `about` is facts of the training, see `recsys.training.pipeline`."""
    towers, ranking = about["towers"], about["ranking"]
    curve = towers["validation_ndcg@10"]
    return _TEMPLATE.format(
        id=model_id,
        until=about["until"],
        seed=about["seed"],
        device=about["device"],
        encoder=encoder,
        tuning=towers["tuning"],
        w=about["windows"],
        curve=", ".join(f"{value:.4f}" for value in curve),
        kept=max(range(len(curve)), key=lambda epoch: (curve[epoch], epoch)),
        reads="" if ranking["reads_towers"] else "nothing of ",
        change="lower" if ranking["reads_towers"] else "raise",
        saved=abs(ranking["towers_save"]),
        losses=", ".join(f"{value:.4f}" for value in ranking["cross_encoder_loss"]),
        hold=ranking["candidates_hold"],
        bought=ranking["calibration_bought"],
        pairs=ranking["calibration_pairs"],
        days=days,
        **about["data"],
    )


def marked(card: str) -> str:
    """The card of a model that has learned from users who were erased later."""
    return (
        card
        + """
## To be trained again
Users whose purchases this model was trained on have been erased since. No weight names them, and none can be taken back alone: run
`recsys train`, then `recsys build-index`; the model goes when `bundles.keep` newer ones are there.
"""
    )
