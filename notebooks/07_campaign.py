# %% [markdown]
# # 7. A campaign from plan to read-out
#
# Who gets which coupon under a budget, what do we write, and did it bring anything? This notebook goes the whole way
# with `recsys.apps.campaigns`, as `recsys campaign plan`, `copy` and `evaluate` do.
#
# Nobody can send a coupon to the customers of a log. So the plan is made at a moment *inside* the log, 28 days before its
# end, from what was known then, and the weeks after it are read as the outcome. Nothing was sent: this is an A/A
# campaign, and a good read-out must find nothing. Only then purchases are added by a **simulation**, to see whether the
# read-out finds what is known to be there.

# %%
from recsys.notebook import begin

workspace, settings = begin()

# %%
import dataclasses
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from IPython.display import Markdown

from eval.experiment.effects import binomial_interval
from eval.experiment.splits import in_b
from features.behavior.campaigns import SendHistory, seconds
from features.data.campaigns import CAMPAIGN_COLUMNS, Campaigns
from features.data.interactions import DAY, Interactions
from features.errors import DataError
from features.ingest.table_store import load_tables
from recsys.apps.campaigns.copy.open import open_copy
from recsys.apps.campaigns.copy.request import CopyRequest
from recsys.apps.campaigns.outcome import outcome_of
from recsys.apps.campaigns.planning.offers import read_offers
from recsys.apps.campaigns.planning.plan import plan_on
from recsys.apps.campaigns.planning.plan_file import write_plan
from recsys.apps.campaigns.planning.request import PlanRequest
from recsys.apps.customers.audience.open import open_audience
from recsys.apps.customers.audience.request import AudienceRequest
from recsys.shop import Shop

catalog, log = workspace.load(settings.events)
campaigns = workspace.load_campaigns() or Campaigns.of(pl.DataFrame(schema=CAMPAIGN_COLUMNS))
customers = workspace.load_customers()


def listed(lines):
    return Markdown("\n".join(f"- {line}" for line in lines))


def section(**values):
    """The settings with other values in the section [campaigns]."""
    return settings.model_copy(update={"campaigns": settings.campaigns.model_copy(update=values)})


# %% [markdown]
# ## What was known
#
# The log and the campaigns are cut at the moment of the plan. A customer who came later is not known, and neither is a
# coupon that was redeemed later.

# %%
days = settings.campaigns.response.days
last = datetime.fromtimestamp(int(log.moments.max()) // DAY * DAY, UTC).replace(tzinfo=None)
moment = last - timedelta(days=days)
now = seconds(moment)
known = SendHistory(log.between(None, now).with_known_users(), catalog, campaigns.before(moment))
earlier = known.campaigns.frame
print(f"planned for {moment:%Y-%m-%d}: {known.log.n_users:,} customers, {earlier['campaign_id'].n_unique()} earlier campaigns")
if customers is None:
    print("no table of customers: consent and fairness are not looked at; run `recsys ingest --customers FILE`")

# %% [markdown]
# ## Earlier campaigns
#
# What was sent, and how much of it was redeemed within 28 days? The last column has how many customers were held out.
# Without any, nobody can tell what these campaigns brought.

# %%
soon = pl.col("redeemed_at") - pl.col("sent_at") <= timedelta(days=days)
earlier.group_by("campaign_id", "offer").agg(
    pl.col("sent_at").min().dt.date().alias("sent"),
    pl.len().alias("customers"),
    (100 * (pl.col("redeemed_at").is_not_null() & soon).mean()).round(1).alias("redeemed, %"),
    pl.col("holdout").sum().alias("held out"),
).sort("sent", "campaign_id").tail(12)

# %% [markdown]
# Who redeems? Most of all those who did before. The left plot has the share redeemed by how many coupons the customer
# had redeemed before, with its standard error. The right one has how long it took. What is redeemed right of the line
# does not count as a response; if much is, set `campaigns.response.days` higher.

# %% alt="Bars: share redeemed by earlier redemptions; lines: share redeemed by days since sending, for each offer"
by_user = (
    earlier.filter(~pl.col("holdout"))
    .sort("sent_at")
    .with_columns(redeemed=pl.col("redeemed_at").is_not_null(), wait=(pl.col("redeemed_at") - pl.col("sent_at")).dt.total_days())
)
by_user = by_user.with_columns(before=(pl.col("redeemed").cum_sum().over("user_id") - pl.col("redeemed")).clip(upper_bound=4))
bars = by_user.group_by("before").agg(pl.col("redeemed").mean(), pl.len()).sort("before")
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
left.bar(bars["before"], 100 * bars["redeemed"], yerr=100 * (bars["redeemed"] * (1 - bars["redeemed"]) / bars["len"]).sqrt())
left.set(xlabel="redeemed before (4: or more)", ylabel="redeemed, % of sent", ylim=(0, None))
for (name,), group in by_user.group_by("offer", maintain_order=True):
    right.plot(range(61), [100 * (group["wait"] <= day).fill_null(value=False).mean() for day in range(61)], label=name)
right.axvline(days, color="grey", linewidth=0.8)
right.set(xlabel="days since sending", ylabel="redeemed, % of sent")
if len(by_user):
    right.legend(frameon=False)

# %% [markdown]
# ## The offers
#
# Offers are a file. Names are those of earlier campaigns, so that their redemptions count. The two categories are chosen
# by one rule: about a fifth of the customers bought them in the last 28 days, so they are neither what everybody buys
# anyway nor what nobody wants. The amounts are made up; take them from your buyers.

# %%
recent = log.between(now - days * DAY, now)
reach = (
    pl.DataFrame({"category": catalog.frame["category"].gather(recent.item), "user": recent.user, "item": recent.item})
    .drop_nulls()
    .group_by("category")
    .agg(pl.col("user").n_unique() / known.log.n_users, pl.col("item").mode().min())
    .sort((pl.col("user") - 0.2).abs(), "category")
)
first, second = reach["category"][:2]
folder = Path(tempfile.mkdtemp())
(folder / "offers.toml").write_text(
    f"""[[offer]]
name = "Type A"
category = "{first}"
cost = 0.10      # of sending it
discount = 1.00  # if it is redeemed
margin = 4.00    # what a redemption earns before the discount

[[offer]]
name = "Type B"
category = "{second}"
cost = 0.10
discount = 0.50
margin = 4.50
""",
    encoding="utf-8",
)
offers = tuple(read_offers(folder / "offers.toml", catalog))
pl.DataFrame(offers).drop("item_id")

# %% [markdown]
# ## The plan
#
# A fifth of the chosen is held out: they have an offer in the plan, and nothing is sent to them. The choice is one linear
# program over all customers and offers.

# %%
request = PlanRequest(offers, budget=300, holdout=0.2, campaign_id="sweet")
sensitive = ("age",) if customers else ()
plan = plan_on(known, customers, section(sensitive=sensitive, exposure_gap=1.0), request)
listed(dataclasses.replace(plan.report, exposure=[], offer_gaps={}).lines())

# %% [markdown]
# Read it from below. Do the notes say that the profit is counted by response? Then customers who would have bought anyway
# are in it, and the true profit is lower. Is the difference that the holdout will find one that a coupon could make? If
# not, take a larger holdout or budget, or do not ask the question.
#
# ## Is it fair?
#
# `campaigns.sensitive` names attributes that a shop must mind, here the age. The first plan had no limit. The second one
# keeps the share of each group that gets an offer within `campaigns.exposure_gap`, ten points, of the share of all.
# Groups of fewer than 20 customers, and customers whose age is not known, are not compared.

# %%
fair = plan
try:
    fair = plan_on(known, customers, section(sensitive=sensitive), request)
except DataError as error:
    print(f"the limit is left out: {error}")
pl.DataFrame(
    [
        {
            "age": free.group,
            "customers": free.customers,
            "get an offer, %": round(100 * free.mean, 1),
            "from all": f"{100 * free.gap:+.1f} [{100 * free.low:+.1f}, {100 * free.high:+.1f}]",
            "with the limit, %": round(100 * kept.mean, 1),
            "from all, with it": f"{100 * kept.gap:+.1f}",
        }
        for free, kept in zip(plan.report.exposure, fair.report.exposure, strict=True)
    ]
)

# %%
print(f"expected profit {plan.report.profit.value:,.2f} without the limit, {fair.report.profit.value:,.2f} with it")

# %% [markdown]
# What does the limit cost? Often next to nothing, because customers near the edge of the plan are worth about the same.
# It may even seem to earn cents, because the budget can be met only as closely as the draw of the holdout allows.
# A limit of few points is refused where groups are small: whom chance holds out moves the share of 50 customers by more.
# `report.offer_gaps` has the same comparison for the discount and for the cost of sending.
#
# ## The file
#
# This is what the shop sends, and later ingests with `redeemed_at` filled in. Rows with `holdout` are not sent.

# %%
write_plan(fair.frame, folder / "plan.csv")
fair.frame.select("user_id", "offer", "category", "cost", "holdout", "expected_value").head(8)

# %% [markdown]
# ## The copy
#
# `recsys campaign copy` writes from facts by templates, here for the best seller of the first category. Each text names
# its facts, and no text says what the facts do not. What a template cannot say for want of a fact is a note.

# %%
recommender = Shop(workspace, settings).recommender
item = str(catalog.ids[reach["item"][0]])
writer = open_copy(settings)
copy = writer.write(CopyRequest(item, offer=f"{offers[0].discount:.2f} off {first.split('|')[-1]}"), recommender)
listed([*(f"**{one.name}**, {len(one.text)} characters: {one.text}" for one in copy.variants), *(f"note: {note}" for note in copy.notes)])

# %% [markdown]
# Without an offer, the segment decides how a customer is spoken to, here in German:

# %%
back = writer.write(CopyRequest(item, segment="drifting away", language="de", channel="email"), recommender)
listed(f"**{one.name}**: {one.text}" for one in back.variants)

# %% [markdown]
# Send each variant to a part, and `recsys campaign copy --results FILE` says which is better.
#
# ## The audience of the item
#
# The plan asks who should get which offer. `recsys audience` asks the other way round: who will buy this product within
# 28 days, written to or not? It reads the bundle, so it knows the whole log and stands at its end.

# %%
audience = open_audience(recommender, workspace, settings).answer(AudienceRequest(item=item, k=200))
print(f"{audience.product}: {len(audience.members)} of {audience.customers:,} customers")
if sales := audience.sales:
    print(f"{sales.expected:.0f} of them will buy within {audience.days} days (80% interval {sales.low} to {sales.high})")
for reason, count in audience.left_out.items():
    print(f"left out: {count:,} {reason}")
for note in audience.notes:
    print(f"note: {note}")

# %%
pl.DataFrame(
    [
        {"user_id": one.user_id, "chance, %": one.probability and round(100 * one.probability, 1), "why": one.reason}
        for one in audience.members[:5]
    ]
)

# %% [markdown]
# These are often the wrong customers for a coupon: they buy anyway. That is why the plan has a holdout.
#
# ## The read-out, where nothing was sent
#
# Nobody got a coupon of this plan, so those "written to" and the holdout differ by chance alone. Other campaigns of the
# shop ran meanwhile, and reached both alike. For the profit, 30% of what is spent stays with the shop.

# %%
read = section(margin=0.3)
rows = fair.frame.select(list(CAMPAIGN_COLUMNS))
nothing = outcome_of(SendHistory(log, catalog, Campaigns.of(pl.concat([campaigns.frame, rows]))), "sweet", read, request.holdout)
listed(nothing.lines())

# %% [markdown]
# The judgement is about all that a customer spends, and should say that it is not told from chance. See how wide its
# interval is: what customers spend varies far more than any coupon adds. What the offer is for has a narrower one, and a
# campaign of this size can tell it. But do not pick: with four figures, about one of five campaigns without an effect
# shows a difference in one of them. If an interval above leaves out 0, that is such a one, because nothing was sent.
#
# ## The read-out of a simulated effect
#
# > **From here on, redemptions are simulated. No figure below says anything about coupons in this shop.**
#
# Every customer who was "written to" redeems with chance 30%, and then buys one more item of the offer's category for
# about 10. That adds about 3 a customer, and the exact amount is known. The holdout is the same one, so its luck is in
# this read-out too.

# %%
_, events = load_tables(workspace.data)
during = pl.col("timestamp").is_between(moment - timedelta(days=days), moment + timedelta(days=days + 1))
events = events.filter(during, pl.col("user_id").is_in(rows["user_id"].implode()))
sold = dict(reach.select("category", "item").iter_rows())
rng = np.random.default_rng(0)
bought = pl.Series(rng.random(len(rows)) < 0.3)  # if written to
extra = rows.select(
    "user_id",
    item_id=pl.Series([str(catalog.ids[sold[category]]) for category in rows["category"]]),
    timestamp=pl.col("sent_at") + pl.Series([timedelta(days=float(day)) for day in rng.uniform(1, days - 1, len(rows))]),
    value=pl.Series(rng.gamma(4, 2.5, len(rows)).round(2)),
)


def simulated(held):
    """The log and the campaign, if these customers are held out and the others redeem; and what that adds to each of them."""
    redeems = bought & ~held
    more = extra.filter(redeems).with_columns(event=pl.lit("purchase"), quantity=pl.lit(1.0))
    filled = rows.with_columns(
        holdout=held,
        redeemed_at=pl.when(redeems).then(extra["timestamp"]),
        cost=pl.when(held).then(0.0).otherwise("cost") + pl.when(redeems).then(1.0).otherwise(0.0),
    )
    whole = Interactions.from_frame(pl.concat([events, more.cast({"timestamp": events["timestamp"].dtype})], how="diagonal"), catalog)
    return SendHistory(whole, catalog, Campaigns.of(filled)), more["value"].sum() / (~held).sum()


history, truth = simulated(rows["holdout"])
lift = outcome_of(history, "sweet", read, request.holdout)
print(f"true extra spend a customer: {truth:.2f}")
listed(dataclasses.replace(lift, segments=[]).lines())

# %% [markdown]
# Does the interval of *spend a customer on it* hold the true value, and leave out 0? Then look at *spend a customer*: the
# same effect disappears among all that customers buy. The profit is computed from that one, and its interval says how
# little is known of it. A campaign whose effect must be told in total spend needs far more customers, or a larger effect.
#
# ## Is it always right?
#
# One read-out proves little. So the holdout is drawn 100 times, and each draw is read twice: as it was, and with the
# simulated effect. Each bar is a 95% interval of the extra spend on what the offer is for. Red ones miss the truth.

# %% alt="Intervals of 100 draws without and with the simulated effect; those that miss the truth in red"
runs, users = 100, rows["user_id"].to_list()
before = Interactions.from_frame(events, catalog)
figure, panels = plt.subplots(1, 2, figsize=(8, 4), layout="constrained", sharey=True)
missed = [0, 0]
for run in range(runs):
    held = pl.Series(in_b(users, f"draw {run}", request.holdout))
    drawn, added = simulated(held)
    unsent = SendHistory(before, catalog, Campaigns.of(rows.with_columns(holdout=held)))
    for panel, (tables, true) in enumerate(((unsent, 0.0), (drawn, added))):
        effect = outcome_of(tables, "sweet", read, request.holdout).effects["target_spend"]
        wrong = effect.low > true or effect.high < true
        missed[panel] += wrong
        panels[panel].plot([effect.low - true, effect.high - true], [run, run], color="tab:red" if wrong else "tab:blue", linewidth=0.8)
for panel, title in zip(panels, ("nothing was sent", "simulated effect"), strict=True):
    panel.axvline(0, color="grey", linewidth=0.8)
    panel.set(title=title, xlabel="extra spend less the true one", yticks=[])
low, high = binomial_interval(runs)
print(f"of {runs} draws, {missed[0]} miss without an effect and {missed[1]} with one; 95% intervals should miss {low} to {high}")

# %% [markdown]
# If either count is far above that, do not believe a read-out of this shop: a few customers with very large purchases may
# decide it.
#
# ## What next
#
# Ingest the filled plan with `recsys ingest --campaigns plan.csv`, and `recsys campaign evaluate` reads it out. From
# then on there is a campaign with a holdout, and the next plan ranks by uplift: by what an offer adds, and no longer by
# who redeems. docs/campaigns.md has the steps.
