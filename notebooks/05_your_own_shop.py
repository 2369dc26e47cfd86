# %% [markdown]
# # 5. Your own shop
#
# From two CSV files to a recommendation and an evaluation, through Python. The commands of the README do the same. The two files here are
# a slice of the workspace's shop, as a web shop would export them; put your own in their place.

# %%
from recsys.notebook import begin

workspace, settings = begin()

# %%
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from IPython.display import Markdown

from eval.reports.evaluation import best_baseline, lines, systems
from eval.reports.plots import reliability_plot, slices_plot
from features.ingest.source import Source
from features.ingest.table_store import load_tables
from recsys.offline.evaluate import evaluate, evaluation_cut
from recsys.recommend.open import open_recommender
from recsys.recommend.request import RecommendOptions
from recsys.refresh.build import build_index
from recsys.training.find_or_train import train
from recsys.training.options import TrainOptions
from recsys.workspace.workspace import Workspace

# %% [markdown]
# ## Two files
#
# 300 users and the 2,000 products that sell best, so that training takes a minute or two. The columns have a shop's own names, and two
# rows are broken, as there always are.

# %%
folder = Path(tempfile.mkdtemp())
items, events = load_tables(workspace.data)
some = events["user_id"].unique().sort().sample(min(300, events["user_id"].n_unique()), seed=0)
best = events["item_id"].value_counts(sort=True).head(2000)["item_id"]
products = items.filter(pl.col("item_id").is_in(best.implode()))
orders = events.filter(pl.col("user_id").is_in(some.implode()), pl.col("item_id").is_in(products["item_id"].implode()))
broken = pl.DataFrame({"user_id": ["", "77"], "item_id": [products["item_id"][0], "no-such-item"], "timestamp": orders["timestamp"][:2]})
orders = pl.concat([orders, broken], how="diagonal").rename({"user_id": "customer", "item_id": "sku", "timestamp": "ordered_at"})
products.rename({"item_id": "sku", "title": "name"}).write_csv(folder / "products.csv")
orders.write_csv(folder / "orders.csv")
print(f"{len(products):,} products, {len(orders):,} order lines")

# %% [markdown]
# ## Read them in
#
# Other names are mapped, ours to theirs. The summary adds up: read = kept + quarantined. Look at the reasons before you go on.

# %%
shop = Workspace(folder / "my-shop")
source = Source(
    items=folder / "products.csv",
    interactions=folder / "orders.csv",
    items_columns={"item_id": "sku", "title": "name"},
    interactions_columns={"user_id": "customer", "item_id": "sku", "timestamp": "ordered_at"},
)
print(shop.ingest(source))

# %% [markdown]
# ## Train
#
# Until the day on which the evaluation will begin, so that this very model can be judged: it must not have seen the weeks it is judged
# on. Once you trust it, train again without `until`, on everything. Here the text encoder stays as it is and the cross-encoder reads few
# users, to save minutes; for your own shop take `settings` as they are.

# %%
catalog, log = shop.load()
cut = datetime.fromtimestamp(evaluation_cut(log), UTC).replace(tzinfo=None)
towers = settings.train.model_copy(update={"tuned_epochs": 0, "steps_per_epoch": min(20, settings.train.steps_per_epoch)})
settings = settings.model_copy(
    update={"train": towers, "cross_encoder": settings.cross_encoder.model_copy(update={"users": min(200, settings.cross_encoder.users)})}
)
said = train(shop, settings, TrainOptions(until=cut))
print(said.split(";")[0])

# %%
print(build_index(shop, settings).split(":")[1].strip())

# %% [markdown]
# ## Recommend
#
# The same call serves a known user, a visitor with a basket, and somebody of whom nothing is known. `None` is the visitor.

# %%
recommender = open_recommender(shop)


def shown(options, user=None):
    answer = next(iter(recommender.answer(options, [user])))
    kept = [
        {"title": item.title, "chance, %": item.probability and round(100 * item.probability, 1), "why": item.reason}
        for item in answer.items
    ]
    return pl.DataFrame(kept)


counts = np.diff(log.offsets)
user = str(log.user_ids[np.argsort(counts, kind="stable")[len(counts) // 2]])  # of median activity
shown(RecommendOptions(k=5), user)

# %% [markdown]
# Only what this user has never bought, and the five most unlike each other of the likely ones:

# %%
shown(RecommendOptions(k=5, new_only=True, diversity=0.3), user)

# %% [markdown]
# A visitor who has put the best seller into the basket:

# %%
seller = str(catalog.ids[np.bincount(log.item).argmax()])
shown(RecommendOptions(k=5, history=(seller,)))

# %% [markdown]
# ## Evaluate
#
# Beside honest baselines, on the last weeks. Read three things. Does ours beat the *best* baseline, and is 1 outside the interval of the
# ratio? How much of the NDCG is repeats (slice "repeat"), which a list of favourites gets as well? And how few users is "new" judged on?

# %%
quick = settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update={"tune": False})})
report = evaluate(shop, quick)
pl.DataFrame(
    [
        {"system": name, "NDCG@10": one.metrics["ndcg@10"].value}
        | {part: one.slices[part]["ndcg@10"].value for part in ("repeat", "new", "light", "heavy")}
        for name, one in systems(report).items()
    ]
).with_columns(pl.selectors.float().round(4)).sort("NDCG@10", descending=True)

# %% alt="Bars with intervals: NDCG@10 by kind of customer, ours beside the best rival"
rival, ratio = best_baseline(report)
print(f"ours over {rival.replace('_', ' ')}: {ratio.value:.2f} [{ratio.low:.2f} to {ratio.high:.2f}] on {report.users} users")
slices_plot({name: systems(report)[name].slices for name in ("ours", rival.replace("_", " "))})

# %% [markdown]
# Are the chances chances? Points on the diagonal mean that of ten items promised 20% two were bought. With few users, expect scatter at
# the right end, where there is little to count.

# %% alt="Reliability: predicted probability against the share that was bought"
reliability_plot({"ours": report.reliability})

# %%
Markdown("\n".join(f"- {line}" for line in lines(report)))

# %% [markdown]
# ## What next
#
# Notebook 1 on your own data first, and what it finds into recsys.toml. Then `recsys train` on everything, `recsys build-index`,
# `recsys refresh` as often as your files change, and notebook 3 before you switch anything.
