# %% [markdown]
# # 2. The towers, and what they learned
#
# A text encoder knows what words mean before it has seen this shop: green tea is near black tea. Training moves texts
# according to what people buy. This notebook compares the catalogue before and after training, first in plots, then in
# figures on purchases that the towers have not seen. The question is whether training taught the towers something about
# customers, or only blurred the texts.

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
from recsys.snapshot.encode import encode_catalog
from recsys.training.windows import Windows

recommender = open_recommender(workspace)
snapshot, model = recommender.snapshot, current_model(workspace, settings)

# %% [markdown]
# ## How training went
#
# NDCG@10 on the validation window, after each epoch. The first point is before any step, with the pretrained encoder.
# The last epochs also tune the encoder's upper layers. If they add nothing, `train.tuned_epochs = 0` saves the time.

# %% alt="Line: NDCG@10 on validation after each epoch"
curve = model.about["towers"]["validation_ndcg@10"]
figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
axes.plot(curve, marker="o")
axes.set(xlabel="epoch", ylabel="NDCG@10, validation", ylim=(0, None))
print(f"learned from {model.about['windows']['towers']}, stopped by {model.about['windows']['validation']}")

# %% [markdown]
# ## Before and after
#
# `before` are the frozen encoder's vectors, centred and of unit norm. `after` are the vectors of the item tower over
# the tuned encoder. Items that share a text share a vector. The rest of the notebook uses the best-selling texts, with
# one item for each.

# %%
frozen = encode_catalog(snapshot.catalog, Model.untrained(settings), workspace.cache)
before, after = TextVectors.of(frozen.vectors).vectors, snapshot.text_vectors
sales = np.bincount(snapshot.text_of[snapshot.log.item], minlength=len(after))
chosen = np.argsort(-sales, kind="stable")[:2000]
item_of = np.unique(snapshot.text_of, return_index=True)[1][chosen]
facts = snapshot.catalog.frame[item_of].select("title", path=pl.col("category").fill_null("none"))
facts = facts.with_columns(broad=pl.col("path").str.split("|").list.first())
print(f"{len(after):,} texts, of which {len(chosen):,} are used; {before.shape[1]} dimensions before, {after.shape[1]} after")

# %% [markdown]
# ## A map of the catalogue
#
# t-SNE draws near vectors near each other; distances between far clusters mean nothing. Before training, clusters
# follow words. After training, look whether departments mix where shoppers mix them, or whether everything has
# collapsed into one cluster.

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
# The best seller of some departments, and its nearest neighbours. For each row, ask two questions: is the neighbour a
# similar product, and do the same people buy it? The frozen encoder can only answer the first.

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
# Of the ten neighbours, how many have the same category (known from words), and how similar are their buyers (cosine
# over users, which a recommender needs)? Buyers are counted after the training and validation windows of the towers, so
# nothing here was memorised. "Any two" is chance: two random texts. "Best possible" picks the ten texts with the most
# similar buyers.

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
similarity = (buyers.T @ buyers).toarray()
np.fill_diagonal(similarity, 0)

# %%
path = facts["path"].to_numpy()
near["best possible"] = np.argsort(-similarity, axis=1, kind="stable")[:, :K]
near["any two"] = np.random.default_rng(0).integers(len(chosen), size=(len(chosen), K))
neighbours = pl.DataFrame(
    {
        "neighbours": list(near),
        "same category, %": [round(100 * (path[found] == path[:, None]).mean(), 1) for found in near.values()],
        "similar buyers, cosine": [round(np.take_along_axis(similarity, found, axis=1).mean(), 4) for found in near.values()],
        "kept from before, of 10": [
            round(np.mean([len(np.intersect1d(*two)) for two in zip(found, near["before"], strict=True)]), 1) for found in near.values()
        ],
    }
)
neighbours

# %% [markdown]
# The ten neighbours are near pairs only. Over all pairs, near and far, do similar vectors belong to items with similar
# buyers? The rank correlation answers; 0 is chance:

# %%
one, other = np.random.default_rng(0).integers(len(chosen), size=(2, 200_000))
for name, vectors in (("before", before[chosen]), ("after", after[chosen])):
    cosine = np.einsum("nd,nd->n", vectors[one], vectors[other])
    print(f"{name}: {spearmanr(cosine[one != other], similarity[one, other][one != other]).statistic:.3f}")

# %% [markdown]
# ## What to make of it
#
# Near and far pairs are two separate results. If "after" is closer to "best possible" than "before" is, the nearest
# neighbours of an item share its buyers, and a never-sold item can use those of its neighbours. If only the correlation
# rose, the towers learned the broad structure, while the nearest neighbours still follow words. If the category share
# fell far and neither rose, training destroyed more than it taught: use fewer epochs, or `train.tuning = "frozen"`.
# Only `recsys evaluate` and a simulation (notebook 3) tell whether the *lists* are better, because the towers are one
# of seven retrievers.

# %%
cosine_of = dict(zip(neighbours["neighbours"], neighbours["similar buyers, cosine"], strict=True))
share = (cosine_of["after"] - cosine_of["before"]) / (cosine_of["best possible"] - cosine_of["before"])
print(f"the towers closed {share:.0%} of the gap between the frozen encoder's neighbours and the best possible ones")
