# %% [markdown]
# # 4. What would another policy have earned?
#
# A simulation asks what people bought anyway. A log that says *how likely* each item was to be shown can answer what they would have done
# under another policy. This notebook first looks at a shop whose truth is known, to learn when the estimators can be trusted, and then at
# a log of the workspace's shop.

# %%
from recsys.notebook import begin

workspace, settings = begin()

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from IPython.display import Markdown

from eval.off_policy.estimators import FEWEST, effective_size, off_policy, weights
from eval.off_policy.log import read_log
from eval.off_policy.synthetic import World
from eval.reports.off_policy import NAMES, lines
from eval.simulation.config import ClickConfig, SimulateConfig
from features.errors import DataError
from recsys.offline.options import SimulateOptions
from recsys.offline.simulate import simulate

# %% [markdown]
# ## A shop whose truth is known
#
# Users of three kinds, 12 items, lists of three. The logging policy draws its lists; the target, the policy to be judged, prefers what
# each kind of user likes. The truth is worked out, not estimated. Four estimators:
#
# - **IPS** weights what was earned by how much more often the target would have shown it. Right if the propensities are.
# - **SNIPS** divides by the weights' sum: a little bias, less variance.
# - **DM** asks a model of rewards. Right if the model is.
# - **DR** asks the model and corrects it by weights. Right if either is.

# %%
world = World.make()
found = off_policy(world.draw(1000, np.random.default_rng(0), blind=False))


def table(found, truth=None):
    rows = [{"": "logged policy", **vars(found.logged)}] + [{"": NAMES[name], **vars(one)} for name, one in found.estimates.items()]
    held = [] if truth is None else [pl.col("low").le(truth).and_(pl.col("high").ge(truth)).alias("holds the truth")]
    return pl.DataFrame(rows).select("", pl.col("value", "low", "high").round(4), *held)


print(f"truth: the target earns {world.value:.4f} clicks a list; {lines(found)[0]}")
table(found, world.value)

# %% [markdown]
# The logged policy's own row must not hold the truth: it is about another policy. What the log earned says nothing of what the target
# would.
#
# ## Once is luck: two hundred logs
#
# Each box is an estimator's error over 200 logs of 1,000 lists. Three shops: one where the reward model knows the user's kind, one where
# it does not (blind), and one in which a click ends the reading, while the estimators take places as independent.

# %% alt="Three box plots: error of each estimator around 0, one panel a case"
cases = {"model knows": (World.make(), False), "model is blind": (World.make(), True), "cascade ignored": (World.make(cascade=True), True)}
figure, panels = plt.subplots(1, 3, figsize=(10, 3), sharey=True, layout="constrained")
rows = []
for axes, (name, (shop, blind)) in zip(panels, cases.items(), strict=True):
    rng = np.random.default_rng(1)
    runs = [off_policy(shop.draw(1000, rng, blind=blind)).estimates for _ in range(200)]
    errors = {key: [run[key].value - shop.value for run in runs] for key in runs[0]}
    axes.boxplot(list(errors.values()), tick_labels=list(errors), showfliers=False)
    axes.axhline(0, color="#999999", linewidth=1)
    axes.set(title=name, ylabel="estimate - truth" if not rows else "")
    rows.append({"case": name} | {key: f"{np.mean([run[key].low <= shop.value <= run[key].high for run in runs]):.1%}" for key in errors})

# %% [markdown]
# How often did the 95% interval hold the truth? What to remember: the direct method's interval is narrow *and wrong* when its model is
# blind, and no figure of the log shows it; DR is not harmed. And no estimator survives a wrong assumption about places.

# %%
pl.DataFrame(rows)

# %% [markdown]
# ## How far from the log may a policy be?
#
# The more the target differs from what was shown, the fewer of the log's lists speak of it. The effective sample size says how many. With
# the same 400 lists, from a target near the logging policy to one that knows exactly what it wants:


# %%
def asked(log):
    size = effective_size(log, weights(log, "independent"))
    try:
        ips = off_policy(log).estimates["ips"]
    except DataError as error:
        return {"effective": round(size), "IPS": "refused", "half width": None, "said": str(error).split(":")[0]}
    return {"effective": round(size), "IPS": f"{ips.value:.3f}", "half width": round((ips.high - ips.low) / 2, 3), "said": ""}


far = [(sharp, World.make(sharp=sharp)) for sharp in (0, 1, 2, 4, 8)]
pl.DataFrame(
    [
        {"sharpness": sharp, "truth": round(shop.value, 3), **asked(shop.draw(400, np.random.default_rng(2), blind=False))}
        for sharp, shop in far
    ]
)

# %% [markdown]
# Below an effective size of 100 there is no answer but an error. That is meant: a number would be quoted, its interval would not. What
# helps is a longer log, more exploration, or a target nearer to what ran. What may depend on the places above
# (`--slates cascade`, `joint`) costs effective lists as well:

# %%
log = world.draw(4000, np.random.default_rng(3), blind=False)
pl.DataFrame(
    [
        {"slates": slates, "effective of 4,000": round(effective_size(log, weights(log, slates)))}
        for slates in ("independent", "cascade", "joint")
    ]
)

# %% [markdown]
# ## The workspace's shop
#
# Nobody logged propensities there, so a click model writes a log: popular items in random order beside those of the other arm, seen and
# clicked by stated numbers (`[simulate.clicks]`). Such a log says nothing of real customers; it has the shop's size, its users who come
# again and its lists of ten, so it tells whether a log *like yours* could answer. The target is every user's own frequent items.

# %%
folder = Path(tempfile.mkdtemp())


def clicks(explore):
    chosen = settings.model_copy(update={"simulate": SimulateConfig(same_arms_runs=0, clicks=ClickConfig(explore=explore))})
    log = folder / f"clicks-{explore}.csv"
    told = simulate(workspace, chosen, SimulateOptions("popular", "personal_frequency", days=14, click_log=log))
    return told.clicks, read_log(log, log.with_suffix(".target.csv"))


truth, log = clicks(0.9)
print(f"truth by the click model: {truth.a:.4f} clicks a list of popular, {truth.b:.4f} of the target; {truth.lists:,} lists")

# %%
try:
    found = off_policy(log)
    shown = table(found, truth.b)
except DataError as error:
    found, shown = None, Markdown(f"Refused: {error}.")
shown

# %%
Markdown("\n".join(f"- {line}" for line in (lines(found) if found else ["No answer, so nothing to trust."])))

# %% [markdown]
# Now with little exploration: nine lists in ten show what is popular, as a careful shop would log. This is the usual reason why
# off-policy evaluation fails, and it fails when the log is written, not when it is read.

# %%
_, careful = clicks(0.1)
size = effective_size(careful, weights(careful, "independent"))
print(f"{size:.0f} effective lists of {careful.impressions:,}: {'too few, refused' if size < FEWEST else 'enough'}")

# %% [markdown]
# ## Before you log
#
# Decide which policies you will want to judge, draw among their items with a chance you write down, and work out the effective size from
# planned propensities: it needs no rewards. Then judge with DR, read the effective size first and the value last.
