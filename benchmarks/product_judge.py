"""Fits the packaged judge of product passages on the made shop: `python -m benchmarks.product_judge [--data DIR]`.

The questions and passages are those of `eval.simulation.product_shop`. `weights` rows are what recsys/apps/assistant/evidence_weights.py
holds. A `made` row judges each product's questions by a judge that is fitted on those of the others: the share of the questions with an
answer whose best passage answers, the AUC of the probability of right best passages over that of wrong ones, and the share of right ones
in the quarter of the highest probabilities. With `--data`, rows of `packaged` have the same for each set of product_qa, on which nothing
is fitted, with 95% intervals over questions, and `curve` rows the share that is right from a probability on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.metrics.probabilities import roc_auc
from eval.simulation.product_shop.shop import ProductShop
from features.names import ATTRIBUTES, DESCRIPTION, LANGUAGE, SENTENCE, TEXT, TITLE
from features.reviews.sentences import split_sentences
from features.text.encoder import TextEncoder
from features.text.languages.names import ENGLISH_NAMES
from recsys.apps.assistant.evidence_weights import PACKAGED
from recsys.apps.assistant.product_texts import attribute_passages
from recsys.offline.product_qa.confidence import EvidenceTraining, TopPassages
from recsys.offline.product_qa.dataset import SETS, ProductQa, read_product_qa
from recsys.offline.product_qa.top_figures import top_row
from recsys.settings.settings import load_settings
from retrieval.lexical.analyzer import Analyzer

if TYPE_CHECKING:
    from retrieval.passages.product_evidence import EvidenceModel

FOLDS = 2
FROM = (0.35, 0.45, 0.55, 0.65, 0.75)


def made_pairs(shop: ProductShop) -> ProductQa:
    """Return each question of the shop with the passages of its product, as the assistant makes them; `fold` is the product's number."""
    passages = {row["item"]: _passages(row) for row in shop.products.iter_rows(named=True)}
    analyzers = dict(zip(shop.products["item"], map(Analyzer, languages_of(shop.products)), strict=True))
    titles = {row["item"]: frozenset(analyzers[row["item"]].tokens(row[TITLE])) for row in shop.products.iter_rows(named=True)}
    pairs, counts = [], []
    for one in shop.questions.iter_rows(named=True):
        named = bool(titles[one["item"]].intersection(analyzers[one["item"]].tokens(one[TEXT])))
        chosen = passages[one["item"]][named:]  # a title that the question names tells nothing
        pairs += [(one[TEXT], text, text in one["answers"], review) for text, review in chosen]
        counts.append(len(chosen))
    asked, texts, answers, reviews = (list(column) for column in zip(*pairs, strict=True))
    questions, known = sorted(set(asked)), sorted(set(texts))
    right, items = np.array(answers), shop.products["item"].to_list()
    return ProductQa(
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        part=np.full(len(counts), "made"),
        fold=np.array([items.index(item) for item in shop.questions["item"]]),
        held_out=np.zeros(len(counts), dtype=bool),
        question=np.searchsorted(questions, asked),
        passage=np.searchsorted(known, texts),
        relevant=right,
        answers=right,
        by_customers=np.array(reviews),
        questions=questions,
        passages=known,
    )


def _passages(product: dict[str, str | list[str]]) -> list[tuple[str, bool]]:
    """Return the passages of a product, and whether customers wrote them."""
    own = [str(product[TITLE]), *(one.text for one in attribute_passages(str(product[ATTRIBUTES])))]
    told, said = (
        split_sentences(pl.Series(texts), str(product[LANGUAGE]))[SENTENCE] for texts in ([product[DESCRIPTION]], product["reviews"])
    )
    return [(text, False) for text in (*own, *told)] + [(text, True) for text in said]


def languages_of(products: pl.DataFrame) -> list[str]:
    """Return the language of each product's texts, as `Analyzer` names it."""
    return [ENGLISH_NAMES[code] for code in products[LANGUAGE]]


def cosines(data: ProductQa, encoder: TextEncoder) -> np.ndarray:
    """Return the cosine of question and passage of each pair, float32 (p,)."""
    questions, passages = encoder.encode(data.questions, "query"), encoder.encode(data.passages, "query")
    return np.einsum("pd,pd->p", questions[data.question], passages[data.passage])


def by_others(training: EvidenceTraining) -> TopPassages:
    """Return the best passage of each question, by a judge that is fitted on the other products."""
    data = training.data
    scores, told = np.full(len(data.of), np.nan), np.full(len(data.part), np.nan)
    for product in np.unique(data.fold):
        mine = data.fold == product
        found, trust = training.judge(training.fit(~mine), mine)
        scores[mine[data.of]], told[mine] = found[mine[data.of]], trust[mine]
    return TopPassages.of(data, scores, told)


def answered(data: ProductQa) -> np.ndarray:
    """Whether a passage answers a question in full, bool (q,)."""
    return np.logical_or.reduceat(data.answers, data.offsets[:-1])


def figures(data: ProductQa, top: TopPassages) -> dict[str, float]:
    """Return the three figures."""
    surest = np.argsort(-top.trust, kind="stable")[: len(top.trust) // 4]
    found = {"first": top.right[answered(data)].mean(), "auc": roc_auc(top.right > 0.5, top.trust), "quarter": top.right[surest].mean()}
    return {name: round(float(value), 3) for name, value in found.items()}


def curve(top: TopPassages, chosen: np.ndarray) -> list[list[float]]:
    """Return from some probabilities on: the probability, the share of questions, the share of these that are right."""
    right, trust = top.right[chosen], top.trust[chosen]
    return [
        [least, round(float((trust >= least).mean()), 3), round(float(right[trust >= least].mean()), 3)]
        for least in FROM
        if (trust >= least).any()
    ]


def judged(model: EvidenceModel, data: ProductQa, near: np.ndarray) -> None:
    """Print what a judge that saw nothing of some questions reaches on them."""
    everything = np.ones(len(data.part), dtype=bool)
    top = TopPassages.of(data, *EvidenceTraining(data, near).judge(model, everything))
    sets = {part: data.part == part for part in SETS}
    row = top_row("packaged", top, TopPassages.of(data, near), sets, answered(data))
    for part, chosen in sets.items():
        values = {name: getattr(row, name)[part].model_dump() for name in ("right_first", "auc", "quarter")}
        over = {name: value[part].model_dump() for name, value in row.over_encoder.items()}
        print(json.dumps({"name": "packaged", "set": part, **values, "over_encoder": over}), flush=True)
        print(json.dumps({"name": "curve", "set": part, "points": curve(top, chosen)}), flush=True)


def main() -> None:
    """Fit, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with product_qa/, to measure the packaged weights on")
    folder = parser.parse_args().data
    shop, encoder = ProductShop.load(), TextEncoder.pretrained(load_settings(None).encoder)
    made, languages = made_pairs(shop), languages_of(shop.questions.join(shop.products, on="item", how="left", maintain_order="left"))
    training = EvidenceTraining(made, cosines(made, encoder), languages=languages)
    model = training.fit(np.ones(len(made.part), dtype=bool))
    for name in ("passage", "answer"):
        fitted = getattr(model, name)
        weights = {key: round(value, 3) for key, value in fitted.weights.items()}
        print(json.dumps({"name": "weights", "of": name, **weights, "bias": round(fitted.bias, 3)}))
    top = by_others(training)
    print(
        json.dumps({"name": "made", "questions": len(made.part), **figures(made, top), "curve": curve(top, made.part == "made")}),
        flush=True,
    )
    if folder:
        data = read_product_qa(folder, FOLDS)
        judged(PACKAGED, data, cosines(data, encoder))


if __name__ == "__main__":
    main()
