"""The calibration of skip-softmax: how its threshold scale follows from the sparsity that is wanted."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from sparsescope.attention import spread_rows
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site
from sparsescope.profile import Captured, Site, captured, kept_heads

BLOCK = 64  # rows of a query block and keys of a key block, in the order of the tokens
THRESHOLDS = np.geomspace(1e-6, 0.9, 20)  # lambda
FITTED = (0.1, 0.9)  # sparsities that the fit uses: outside them the curve saturates
MOST_ROWS = 4096  # of all heads together; more are sampled as whole query blocks


@dataclass(frozen=True)
class ExponentialFit:
    """scale = a * exp(b * sparsity)."""

    log_a: float
    b: float
    r_squared: float
    points: int

    def log_scale(self, sparsity: np.ndarray) -> np.ndarray:
        return self.log_a + self.b * sparsity


def skip_gaps(head: Captured, most_blocks: int) -> np.ndarray:
    """For sampled query blocks and all key blocks but the first: how far the block's scores stay below the
    running maximum of their row, for the row that comes nearest. [query block, key block], <= 0."""
    queries = head.q[head.video]
    blocks = -(-len(queries) // BLOCK)
    padding = -len(head.k) % BLOCK
    gaps = []
    for block in spread_rows(blocks, most_blocks):
        scores = queries[block * BLOCK:(block + 1) * BLOCK] @ head.k.T * np.float32(head.scale)
        scores = np.pad(scores, ((0, 0), (0, padding)), constant_values=-np.inf)
        highest = scores.reshape(len(scores), -1, BLOCK).max(axis=2)
        gaps.append((highest - np.maximum.accumulate(highest, axis=1)).max(axis=0)[1:])
    return np.array(gaps)


def skipped_share(gaps: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of all block pairs that every row may skip, below lambda times the running weight. The first key
    block is never skipped. [threshold]."""
    ordered = np.sort(gaps, axis=None)
    of_all = gaps.shape[0] * (gaps.shape[1] + 1)
    return np.searchsorted(ordered, np.log(thresholds), side="left") / of_all


def fit_exponential(sparsity: np.ndarray, log_scale: np.ndarray) -> ExponentialFit | None:
    """Least squares of ln(scale) on the sparsities within FITTED; None with fewer than three."""
    used = (sparsity >= FITTED[0]) & (sparsity <= FITTED[1])
    if used.sum() < 3 or np.ptp(sparsity[used]) == 0:
        return None
    x, y = sparsity[used], log_scale[used]
    b, log_a = np.polyfit(x, y, 1)
    unexplained = ((y - log_a - b * x) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    return ExponentialFit(float(log_a), float(b), float(1 - unexplained), int(used.sum()))


@figure("skip-fit", "methods", "Is the skip-softmax calibration trustworthy?", needs=("qkv",), height=2.7)
def skip_fit(axes: Axes, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """ln(scale) against the sparsity it gives, at 20 thresholds: the heads of a layer, and all of them pooled
    with the fit that calibration makes."""
    site = site or default_site(profile, kept="qkv")
    heads = kept_heads(profile, "qkv", site)
    most_blocks = max(1, MOST_ROWS // (BLOCK * len(heads)))
    by_head = []
    for head in heads:
        call = captured(profile, site.with_(head=head))
        by_head.append(skip_gaps(call, most_blocks))
    keys = len(call.k)
    log_scale = np.log(THRESHOLDS * keys)
    shares = [skipped_share(gaps, THRESHOLDS) for gaps in by_head]
    pooled = skipped_share(np.concatenate(by_head), THRESHOLDS)
    for i, share in enumerate(shares):
        axes.plot(share, log_scale, color=style.QUIET, linewidth=0.7, label=None if i else "each head")
    axes.plot(pooled, log_scale, "o", color=style.BLUE, label="all heads of the layer")
    fit = fit_exponential(pooled, log_scale)
    if fit:
        ends = np.array([0.0, 1.0])
        axes.plot(ends, fit.log_scale(ends), color=style.ORANGE, linestyle="--", label="fit")
        axes.axvspan(*FITTED, color=style.SKY, alpha=0.12, linewidth=0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(log_scale[0] - 1, log_scale[-1] + 1)
    axes.set_xlabel("sparsity (share of the block pairs skipped)")
    axes.set_ylabel("ln(scale)")
    style.legend_above(axes, 3)
    rows = [{"curve": name, "threshold": t, "ln_scale": y, "sparsity": x}
            for name, share in [("pooled", pooled), *((f"head {h}", share) for h, share in zip(heads, shares))]
            for t, y, x in zip(THRESHOLDS, log_scale, share)]
    text = (f"fit of all heads over sparsities {FITTED[0]:g} to {FITTED[1]:g} ({fit.points} points): scale = "
            f"{np.exp(fit.log_a):.3g} exp({fit.b:.3g} sparsity), R² = {fit.r_squared:.3f}" if fit else
            f"no fit: fewer than 3 points between sparsities {FITTED[0]:g} and {FITTED[1]:g}")
    blocks = len(by_head[0])
    return Drawn(pd.DataFrame(rows), caption(
        profile, f"Calibration of skip-softmax from the raw q and k of a layer: a block of {BLOCK} keys is "
        f"skipped for {BLOCK} query rows where all its scores lie below the running maximum of their row by "
        f"more than -ln(λ); λ = scale / {keys:,} keys, 20 values from {THRESHOLDS[0]:g} to "
        f"{THRESHOLDS[-1]:g}",
        site=site, axes=("head",), notes=(text, f"{blocks} query blocks a head, in the order of the tokens"),
        rows=False))
