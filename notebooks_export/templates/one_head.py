# ---
# jupyter:
#   sparsescope:
#     title: one head step by step, with xarray and matplotlib alone
# ---

# %% [markdown]
# # One head, step by step
#
# How to go from the profile to a statement about one head, with nothing but xarray, numpy and matplotlib.

# %% tags=["parameters"]
PROFILE = "run.h5"
PLANS, VALIDATIONS, BENCHES, OTHERS = [], [], [], []
SWEEP = COSTS = SUMMARY = VIDEOS = None

# %%
# %matplotlib inline
import matplotlib.pyplot as plt
import numpy as np

import sparsescope
from sparsescope.figures.select import default_site

profile = sparsescope.open_profile(PROFILE)
site = default_site(profile)  # the sharpest head of the middle step; or sparsescope.Site(step=4, layer=2, head=1)
at = dict(branch=site.branch, step=site.step, layer=site.layer, head=site.head)
site

# %% [markdown]
# ## Does it look at few tiles?
#
# The best K(f) tiles of each row, of each query tile, and those that pooled scores pick. What lies between
# the curves is what sharing a list, and ranking by pooled scores, cost.

# %%
figure, axes = plt.subplots(figsize=(4.5, 3), layout="constrained")
for name in ("coverage_row", "coverage_tile", "coverage_pooled"):
    curves = profile[name].isel(**at).dropna("prompt")  # [prompt, f]
    axes.plot(profile["f"], curves.mean("prompt"), label=name)
    axes.fill_between(profile["f"], curves.min("prompt"), curves.max("prompt"), alpha=0.2)
axes.set(xscale="log", xlabel="tiles kept (fraction)", ylabel="mass", ylim=(0, 1.02))
axes.legend()
plt.show()

# %% [markdown]
# ## How far does it look?

# %%
figure, panels = plt.subplots(1, 3, figsize=(7, 2.4), layout="constrained", sharey=True)
for panel, axis in zip(panels, "thw"):
    mass = profile[f"mass_d{axis}"].isel(**at).mean("prompt")
    panel.bar(np.arange(mass.size), mass)
    panel.set_xlabel(f"distance along {axis}")
panels[0].set_ylabel("mass")
plt.show()

# %% [markdown]
# ## Does that change over the steps?

# %%
over_steps = profile[["coverage_tile", "entropy", "row_overlap"]].isel(
    branch=site.branch, layer=site.layer, head=site.head).mean("prompt")
table = over_steps[["entropy", "row_overlap"]].to_dataframe()[["entropy", "row_overlap"]]
table["mass of 1/4 of the tiles"] = over_steps["coverage_tile"].sel(f=0.25).values
table.round(3)
