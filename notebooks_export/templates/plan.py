# ---
# jupyter:
#   sparsescope:
#     title: a plan, what it promised and what held-out prompts got
#     needs: [plan, validations]
# ---

# %% [markdown]
# # A plan and its verdict
#
# What the plan keeps where, what it promised, and what it did on prompts that its profile has not seen.

# %% tags=["parameters"]
PROFILE = "run.h5"
PLANS, VALIDATIONS, BENCHES, OTHERS = [], [], [], []
SWEEP = COSTS = SUMMARY = VIDEOS = None

# %%
# %matplotlib inline
import pandas as pd

from sparsescope import figures
from sparsescope.figures import style
from sparsescope.sources import SourceFiles, open_sources

sources = open_sources(SourceFiles(PROFILE, tuple(PLANS), tuple(VALIDATIONS), SWEEP, tuple(BENCHES), COSTS,
                                   SUMMARY, tuple(OTHERS), VIDEOS))
plan, profile = sources.plan, sources.profile
pd.DataFrame(plan["expected"]).T

# %% [markdown]
# ## What it keeps

# %%
spec = figures.FIGURES["plan"]
with style.context(spec.columns):
    paper = style.new_figure(spec.columns, spec.height_for(profile))
    drawn = spec.draw(paper, profile, plan=plan)
print(drawn.caption)
paper

# %% [markdown]
# ## What held-out prompts got

# %%
summaries = pd.DataFrame({run.name: {name: value for name, value in run.report["summary"].items()
                                     if isinstance(value, (int, float))} for run in sources.validations})
summaries.round(4)

# %% [markdown]
# ## The heads with the largest error

# %%
sites = pd.DataFrame(sources.validations[0].report["sites"])
by_head = sites.groupby(["layer", "head"])[["density", "recall", "rel_l2", "cosine"]].mean()
by_head.sort_values("rel_l2", ascending=False).head(12).round(4)
