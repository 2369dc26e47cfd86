"""Help pages: the right answer first, and questions that none answers: `RECSYS_ENCODER__MODEL=FOLDER python -m benchmarks.help_pages`.

The made shop of `eval.simulation.help_shop`: 80 entries, half English, half German, five questions of customers to each, and 60 questions
without an answer. Weights are tuned on the questions of one half of the entries and judged on those of the other, in both directions; all
80 entries can be found in either.

`bm25` and `encoder` are the baselines: BM25 over the entries of the question's own language, its parameters and field weights chosen from
a grid, and the frozen encoder's cosine with the entries of that language, the texts that it reads chosen from four. `ours` is told no
language. A row is a JSON line: `first` rows have the share of questions whose right entry came first, with its 95% interval over entries;
`difference` rows ours less a baseline; `answerable` rows how well a score tells questions with an answer from those without.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from scipy.stats import rankdata

from eval.metrics.intervals import Bootstrap
from eval.simulation.help_shop.shop import TYPING_ERRORS, HelpShop
from features.names import ANSWER, LANGUAGE, QUESTION, TAGS, TEXT
from features.text.encoder import TextEncoder
from recsys.settings.settings import load_settings
from retrieval.lexical.index import LexicalConfig, LexicalIndex
from retrieval.passages.config import PassageConfig, PassageWeights
from retrieval.passages.index import EVIDENCE, PassageIndex
from retrieval.passages.vectors import GROUPS, PassageVectors
from retrieval.passages.words import analyzed_language

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from eval.metrics.intervals import MetricValue

RIDGE = 1e-3
K1, B, ANSWER_WEIGHTS, TAG_WEIGHTS = (0.3, 0.6, 1.2, 2.0), (0.0, 0.4, 0.75), (0.1, 0.3, 1.0), (0.5, 1.0)
REFUSED = 0.05  # of the answerable questions


@dataclass
class Remembering:
    """An encoder that encodes each text once: the benchmark asks for the same questions again and again."""

    encoder: TextEncoder
    known: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.encoder.dim

    def encode(self, texts: Sequence[str], kind: Literal["passage", "query"] = "passage") -> np.ndarray:
        """Return vectors of unit norm, float32 (n, dim)."""
        new = list(dict.fromkeys(text for text in texts if (text, kind) not in self.known))
        if new:
            self.known |= {(text, kind): vector for text, vector in zip(new, self.encoder.encode(new, kind), strict=True)}
        return np.stack([self.known[text, kind] for text in texts])


def tuned(evidence: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return the weights, none negative, under which the right entries are likeliest.

    Parameters
    ----------
    evidence : float (q, n, m)
    answers : the right entry of each question, int64 (q,).
    """
    evidence, rows = evidence.astype(np.float64), np.arange(len(answers))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = evidence @ weights
        slope = (np.einsum("qn,qnm->m", softmax(scores, axis=1), evidence) - evidence[rows, answers].sum(axis=0)) / len(answers)
        return float(-log_softmax(scores, axis=1)[rows, answers].mean() + RIDGE * (weights**2).sum()), slope + 2 * RIDGE * weights

    bounds = [(0.0, None)] * evidence.shape[2]
    return minimize(loss, np.ones(evidence.shape[2]), jac=True, method="L-BFGS-B", bounds=bounds).x


@dataclass(frozen=True)
class Scores:
    """Scores of one method: of the questions with an answer, (q, n), and of those without, once for each direction, (2, u, n)."""

    answered: np.ndarray
    unanswered: np.ndarray
    answered_telling: np.ndarray  # what tells whether there is an answer, (q,) and (2, u)
    unanswered_telling: np.ndarray

    @classmethod
    def of(cls, answered: np.ndarray, unanswered: np.ndarray) -> Scores:
        """Take the best score as what tells."""
        return cls(answered, unanswered, answered.max(axis=1), unanswered.max(axis=2))


@dataclass(frozen=True)
class Experiment:
    """The shop, its index, and which questions each direction judges."""

    shop: HelpShop
    index: PassageIndex

    @property
    def texts(self) -> tuple[list[str], list[str]]:
        """Questions with an answer, and without."""
        return self.shop.questions[TEXT].to_list(), self.shop.unanswered[TEXT].to_list()

    @property
    def judged(self) -> list[np.ndarray]:
        """The questions that each direction judges, bool (q,): of every second entry."""
        odd = self.shop.answers % 2 == 1
        return [odd, ~odd]

    def own_language(self, scores: np.ndarray, languages: pl.Series) -> np.ndarray:
        """Leave a question the entries of its language alone."""
        same = languages.to_numpy()[:, None] == self.shop.pages.language.to_numpy()[None]
        return np.where(same, scores, -np.inf)

    def chosen(self, ways: list[tuple[np.ndarray, np.ndarray]]) -> Scores:
        """Return for each direction the scores of the way (answered, unanswered) that is best on the other half."""
        answered, unanswered = np.zeros_like(ways[0][0]), []
        for judged in self.judged:
            hits = [(way[~judged].argmax(axis=1) == self.shop.answers[~judged]).mean() for way, _ in ways]
            best = ways[int(np.argmax(hits))]
            answered[judged] = best[0][judged]
            unanswered.append(best[1])
        return Scores.of(answered, np.stack(unanswered))

    def bm25(self) -> Scores:
        """Return the scores of BM25."""
        ways = []
        for k1, b, answer, tags in itertools.product(K1, B, ANSWER_WEIGHTS, TAG_WEIGHTS):
            config = LexicalConfig(k1=k1, b=b, weights={QUESTION: 1.0, TAGS: tags, ANSWER: answer})
            ways.append((self._bm25(self.shop.questions, config), self._bm25(self.shop.unanswered, config)))
        return self.chosen(ways)

    def _bm25(self, questions: pl.DataFrame, config: LexicalConfig) -> np.ndarray:
        pages = self.shop.pages
        out = np.full((questions.height, len(pages)), -np.inf)
        for language in pages.language.unique():
            rows = np.flatnonzero((pages.language == language).to_numpy())
            index = LexicalIndex.build(
                pages.frame[rows].select(QUESTION, TAGS, ANSWER), config.model_copy(update={"language": analyzed_language(language)})
            )
            for place in np.flatnonzero((questions[LANGUAGE] == language).to_numpy()):
                out[place, rows] = index.scores(index.analyzer.tokens(questions[TEXT][int(place)]))
        return out

    def encoder(self) -> Scores:
        """Return the cosines of the frozen encoder: entries as they are written, questions with misspelt words mended, too."""
        rows, config = self.shop.pages.frame.select(QUESTION, TAGS, ANSWER).rows(), self.index.config
        vectors = PassageVectors.encode([[row] for row in rows], self.index.encoder, config.piece_words, config.overlap)
        answered, unanswered = (self._cosines(vectors, texts) for texts in self.texts)
        of_answered, of_unanswered = self.shop.questions[LANGUAGE], self.shop.unanswered[LANGUAGE]
        return self.chosen(
            [
                (self.own_language(answered[:, :, i], of_answered), self.own_language(unanswered[:, :, i], of_unanswered))
                for i in range(len(GROUPS))
            ]
        )

    def _cosines(self, vectors: PassageVectors, questions: list[str]) -> np.ndarray:
        """Return the cosines of questions, as they are or with misspelt words mended, with each entry, float32 (q, n, 4)."""
        ways = (self.index.encoder.encode(texts, kind="query") for texts in (questions, self.index.search(questions, 1).read))
        return np.maximum(*(np.stack([vectors.cosines(one) for one in of_questions]) for of_questions in ways))

    def ours(self, answered: np.ndarray, unanswered: np.ndarray) -> tuple[Scores, list[np.ndarray]]:
        """Return the scores of the whole pipeline, and the weights of each direction."""
        scores, none, telling, telling_none, found = np.zeros(answered.shape[:2]), [], np.zeros(len(answered)), [], []
        with_answer, without = self.texts
        for judged in self.judged:
            weights = tuned(answered[~judged], self.shop.answers[~judged])
            found.append(weights)
            config = PassageConfig(weights=PassageWeights(**dict(zip(EVIDENCE, weights.tolist(), strict=True))))
            index = PassageIndex.of(self.shop.pages, self.index.encoder, config)
            scores[judged] = answered[judged] @ weights
            none.append(unanswered @ weights)
            telling[judged] = index.search([text for text, mine in zip(with_answer, judged, strict=True) if mine], 1).answers
            telling_none.append(index.search(without, 1).answers)
        return Scores(scores, np.stack(none), telling, np.stack(telling_none)), found


def slices(shop: HelpShop) -> dict[str, np.ndarray]:
    """Return the questions of each slice."""
    english, slips = (shop.questions[LANGUAGE] == "en").to_numpy(), shop.questions[TYPING_ERRORS].to_numpy()
    return {"all": np.ones(len(slips), dtype=bool), "en": english, "de": ~english, "typing errors": slips}


def figures(value: MetricValue) -> dict[str, float]:
    """Return a value with its interval."""
    return {"value": round(value.value, 3), "low": round(value.low, 3), "high": round(value.high, 3)}


def rows(shop: HelpShop, methods: dict[str, Scores], bootstrap: Bootstrap) -> Iterator[dict[str, object]]:
    """Yield the rows of the benchmark."""
    right = {name: (one.answered.argmax(axis=1) == shop.answers).astype(float) for name, one in methods.items()}
    for part, chosen in slices(shop).items():
        for name, hits in right.items():
            value = bootstrap.means({"first": np.where(chosen, hits, np.nan)}, shop.answers)["first"]
            yield {"name": "first", "method": name, "slice": part, "questions": int(chosen.sum()), **figures(value)}
        for name in ("bm25", "encoder"):
            ours, theirs = (np.where(chosen, right[one], np.nan) for one in ("ours", name))
            yield {"name": "difference", "over": name, "slice": part, **figures(bootstrap.paired_difference(ours, theirs, shop.answers))}
    odd = shop.answers % 2 == 1
    for name, one in methods.items():
        parts = list(zip((odd, ~odd), one.unanswered_telling, strict=True))
        told = {
            "auc": np.mean([auc(one.answered_telling[judged], none) for judged, none in parts]),
            "refused": np.mean([(none < np.quantile(one.answered_telling[judged], REFUSED)).mean() for judged, none in parts]),
            "auc_right_or_not": np.mean(
                [
                    auc(one.answered_telling[judged][hit], np.concatenate([one.answered_telling[judged][~hit], none]))
                    for judged, none in parts
                    for hit in [right[name][judged] > 0]
                ]
            ),
        }
        surest = np.argsort(-one.answered_telling, kind="stable")[: len(shop.answers) // 4]
        told["right_in_surest_quarter"] = right[name][surest].mean()
        yield {"name": "answerable", "method": name, **{key: round(float(value), 3) for key, value in told.items()}}


def auc(above: np.ndarray, below: np.ndarray) -> float:
    """Return the share of pairs in which the first is higher; ties count half."""
    ranks = rankdata(np.concatenate([above, below]))[: len(above)]
    return float((ranks.sum() - len(above) * (len(above) + 1) / 2) / (len(above) * len(below)))


def cost(index: PassageIndex, encoder: TextEncoder, texts: list[str]) -> dict[str, object]:
    """Return the processor time of a search over that of encoding its question alone: the median over questions."""
    times, index = [], replace(index, encoder=encoder)
    for text in texts:
        begin = time.process_time()
        encoder.encode([text], kind="query")
        middle = time.process_time()
        index.search([text])
        times.append(((time.process_time() - middle), middle - begin))
    search, encode = np.median(np.array(times), axis=0)
    return {"name": "cost", "search_ms": round(search * 1000, 1), "over_encoding": round(search / encode, 2)}


def main() -> None:
    """Measure."""
    config = load_settings(None).encoder
    shop, encoder = HelpShop.load(), TextEncoder.pretrained(config)
    index = PassageIndex.of(shop.pages, Remembering(encoder))
    experiment = Experiment(shop, index)
    answered, unanswered = (index.evidence(texts) for texts in experiment.texts)
    ours, weights = experiment.ours(answered, unanswered)
    methods = {"bm25": experiment.bm25(), "encoder": experiment.encoder(), "ours": ours}
    for row in rows(shop, methods, Bootstrap(resamples=2000)):
        print(json.dumps({"model": config.model, **row}), flush=True)
    for found in (*weights, tuned(answered, shop.answers)):
        print(json.dumps({"name": "weights", **dict(zip(EVIDENCE, np.round(found, 2).tolist(), strict=True))}), flush=True)
    print(json.dumps({"model": config.model, **cost(index, encoder, experiment.texts[0][::4])}), flush=True)


if __name__ == "__main__":
    main()
