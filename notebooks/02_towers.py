# %% [markdown]
# # 2. The towers, and what they learned
#
# A text encoder knows what words mean before it has seen this shop: green tea is near black tea. Training moves texts by what people buy.
# Here is the catalogue before and after, first to look at, then in figures, on purchases that the towers never saw. The question to take
# along: did training teach the towers something about customers, or did it only blur what the texts had told?

# %%
from recsys.notebook import begin

workspace, settings = begin()

# %%
from datetime import UTC, datetime

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.stats import spearmanr
from sklearn.manifold import TSNE
from sklearn.preprocessing import normalize

from eval.reports.plots import COLOURS
from features.text.embeddings import TextVectors
from recsys.artifacts.model import Model
from recsys.recommend.open import open_recommender
from recsys.refresh.build import current_model
from recsys.snapshot.snapshot import encode_catalog
from recsys.training.windows import Windows

recommender = open_recommender(workspace)
snapshot, model = recommender.snapshot, current_model(workspace, settings)

# %% [markdown]
# ## How training went
#
# NDCG@10 on the validation window, after each epoch. The first point is the towers before any step, with the encoder as it came. The last
# epochs tune the encoder's upper layers as well: if they add nothing, the texts needed no tuning, and `train.tuned_epochs = 0` saves the
# time.

# %% alt="Line: NDCG@10 on validation after each epoch"
curve = model.about["towers"]["validation_ndcg@10"]
figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
axes.plot(curve, marker="o")
axes.set(xlabel="epoch", ylabel="NDCG@10, validation", ylim=(0, None))
print(f"learned from {model.about['windows']['towers']}, stopped by {model.about['windows']['validation']}")

# %% [markdown]
# ## Before and after
#
# `before`: the frozen encoder's vectors, minus their mean, of unit norm. `after`: what the item tower makes of the tuned encoder. Items
# that share a text share a vector. All that follows is about the texts that sold best, one item for each.

# %%
frozen = encode_catalog(snapshot.catalog, Model.untrained(settings), workspace.cache)
before, after = TextVectors.of(frozen.vectors).vectors, snapshot.text_vectors
sales = np.bincount(snapshot.text_of[snapshot.log.item], minlength=len(after))
chosen = np.argsort(-sales, kind="stable")[:2000]
item_of = np.unique(snapshot.text_of, return_index=True)[1][chosen]
facts = snapshot.catalog.frame[item_of].select("title", path=pl.col("category").fill_null("none"))
facts = facts.with_columns(broad=pl.col("path").str.split("|").list.first())
print(f"{len(after):,} texts, of which {len(chosen):,} are looked at; {before.shape[1]} numbers before, {after.shape[1]} after")

# %% [markdown]
# ## A map of the catalogue
#
# t-SNE draws what is near in the vectors near on paper; distances between far islands mean nothing. Before, islands are words. What a
# data scientist looks for after: do departments mix where shoppers mix them, or has everything run together into one heap?

# %% alt="Two maps of the catalogue, coloured by category: before fine-tuning and after"
groups = facts["broad"].value_counts(sort=True)["broad"][:7].to_list()
figure, panels = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
for axes, title, vectors in zip(panels, ("before: the frozen encoder", "after: the item tower"), (before, after), strict=True):
    perplexity = min(30, len(chosen) // 4)
    places = TSNE(metric="cosine", init="pca", perplexity=perplexity, random_state=0).fit_transform(vectors[chosen])
    for colour, name in zip(("#cccccc", *COLOURS), (None, *groups), strict=False):
        inside = (~facts["broad"].is_in(groups) if name is None else facts["broad"] == name).to_numpy()
        axes.scatter(*places[inside].T, s=4, color=colour, label=name or "other")
    axes.set(title=title, xticks=[], yticks=[])
legend = figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, markerscale=3, frameon=False, fontsize=8)
# %% [markdown]
# ## Nearest neighbours
#
# The best seller of each of some departments, and what stands next to it. Read each row twice: is the neighbour like it, or is it bought
# by the same people? The frozen encoder can only give the first.

# %%
K = 10
near = {}
for name, vectors in (("before", before[chosen]), ("after", after[chosen])):
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    near[name] = np.argsort(-cosine, axis=1, kind="stable")[:, :K]
best = [int(np.argmax((facts["broad"] == name).to_numpy())) for name in groups[:5]]
titles = facts["title"].to_numpy()
rows = [{"item": titles[i], "rank": rank + 1} | {name: titles[near[name][i, rank]] for name in near} for i in best for rank in range(3)]
pl.DataFrame(rows)

# %% [markdown]
# ## In figures
#
# Of the ten neighbours: how many are of the same category (what words know), and how alike their buyers are (cosine over users; what a
# recommender needs). Buyers are counted after the towers' own window and their validation, so nothing here was learned by heart. "Any
# two" is chance: two of these texts at random. "Best possible" picks the ten with the most alike buyers.

# %%
until = int(datetime.fromisoformat(model.about["until"]).replace(tzinfo=UTC).timestamp())
unseen = snapshot.log.between(Windows.plan(snapshot.log, until).early.start, None)
place = np.full(len(after), -1)
place[chosen] = np.arange(len(chosen))
text = place[snapshot.text_of[unseen.item]]
users, held = unseen.user[text >= 0], text[text >= 0]
buyers = sp.csr_array((np.ones(len(held)), (users, held)), shape=(unseen.n_users, len(chosen)))
buyers.data[:] = 1
buyers = normalize(buyers, axis=0)
company = (buyers.T @ buyers).toarray()
np.fill_diagonal(company, 0)

# %%
path = facts["path"].to_numpy()
near["best possible"] = np.argsort(-company, axis=1, kind="stable")[:, :K]
near["any two"] = np.random.default_rng(0).integers(len(chosen), size=(len(chosen), K))
neighbours = pl.DataFrame(
    {
        "neighbours": list(near),
        "same category, %": [round(100 * (path[found] == path[:, None]).mean(), 1) for found in near.values()],
        "alike buyers, cosine": [round(np.take_along_axis(company, found, axis=1).mean(), 4) for found in near.values()],
        "kept from before, of 10": [
            round(np.mean([len(np.intersect1d(*two)) for two in zip(found, near["before"], strict=True)]), 1) for found in near.values()
        ],
    }
)
neighbours

# %% [markdown]
# Ten neighbours are what is near. Over all pairs, near and far, do vectors that point the same way belong to items with alike buyers?
# Rank correlation, 0 is chance:

# %%
one, other = np.random.default_rng(0).integers(len(chosen), size=(2, 200_000))
for name, vectors in (("before", before[chosen]), ("after", after[chosen])):
    cosine = np.einsum("nd,nd->n", vectors[one], vectors[other])
    print(f"{name}: {spearmanr(cosine[one != other], company[one, other][one != other]).statistic:.3f}")

# %% [markdown]
# ## What to make of it
#
# Near and far are two achievements. If "after" is nearer to "best possible" than "before" is, an item's closest neighbours are company
# for it, and an item that nobody has bought yet can borrow them. If only the correlation rose, the towers learned the large directions,
# what goes with whom by and large, while the closest neighbours are still those that words give. If the category share fell far and
# neither rose, training destroyed more than it taught: fewer epochs, or `train.tuning = "frozen"`. Whether it makes better *lists* is
# another question, which only `recsys evaluate` and a simulation (notebook 3) answer: the towers are one source of seven.

# %%
company_of = dict(zip(neighbours["neighbours"], neighbours["alike buyers, cosine"], strict=True))
way = (company_of["after"] - company_of["before"]) / (company_of["best possible"] - company_of["before"])
print(f"from the frozen encoder's neighbours to the best possible ones the towers went {way:.0%} of the way")
