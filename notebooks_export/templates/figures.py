# ---
# jupyter:
#   sparsescope:
#     title: every figure that the files allow, a cell each
# ---

# %% [markdown]
# # Figures of a profile
#
# One cell a figure. Each draws with `sparsescope.figures` and can be edited: other sites, other axes,
# another style. `drawn.table` holds the numbers, `drawn.caption` says what is shown.

# %% tags=["parameters"]
PROFILE = "run.h5"
PLANS, VALIDATIONS, BENCHES, OTHERS = [], [], [], []
SWEEP = COSTS = SUMMARY = VIDEOS = None

# %%
# %matplotlib inline
from sparsescope import figures, manifest
from sparsescope.figures import style
from sparsescope.sources import SourceFiles, open_sources

sources = open_sources(SourceFiles(PROFILE, tuple(PLANS), tuple(VALIDATIONS), SWEEP, tuple(BENCHES), COSTS,
                                   SUMMARY, tuple(OTHERS), VIDEOS))
profile = sources.profile
profile

# %%
for name in ("checkpoint", "prompts", "sampling", "approximations"):
    print(f"{name}: {manifest(profile).get(name)}")

# %% tags=["figures"]

# %% [markdown]
# ## Your own
#
# Statistics are named as in the file, with named axes: choose sites first, then load.

# %%
middle = profile.sizes["step"] // 2
by_layer = profile["coverage_tile"].isel(branch=0, step=middle).sel(f=0.25).mean("prompt")
by_layer.to_pandas().round(3)
