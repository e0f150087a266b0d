"""Statistics that figures share. Prompts are the independent unit: the sites of one prompt are not, so
every interval is over prompts."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

RESAMPLES = 1000
PLACES_AT_ONCE = 4096  # 1,000 resamples of as many places in fp64 are 33 MB
LEAST_PROMPTS = 4  # fewer: the band spans the prompts themselves


@dataclass(frozen=True)
class Band:
    """A mean over prompts with its 95 % interval. All of one shape; low and high are NaN with one prompt."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    prompts: int

    @property
    def meaning(self) -> str:
        """What the band is, for a caption."""
        if self.prompts == 1:
            return "one prompt, no interval"
        if self.prompts < LEAST_PROMPTS:
            return f"bands span the {self.prompts} prompts"
        return f"bands: 95 % bootstrap intervals over {self.prompts} prompts"


def prompt_band(values: np.ndarray) -> Band:
    """values [prompt, ...], prompts that were not recorded all NaN. Percentile bootstrap by prompt; the
    resamples are a function of the number of prompts alone, so that a figure is drawn alike each time."""
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values.reshape(len(values), -1)).all(axis=1)]
    prompts = len(values)
    if prompts == 0:
        empty = np.full(values.shape[1:], np.nan)
        return Band(empty, empty, empty, 0)
    mean = values.mean(axis=0)
    if prompts == 1:
        return Band(mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan), 1)
    if prompts < LEAST_PROMPTS:
        return Band(mean, values.min(axis=0), values.max(axis=0), prompts)
    low, high = _resampled_limits(values)
    return Band(mean, low, high, prompts)


def mean_recorded(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Mean over what was recorded along an axis; NaN where nothing was."""
    values = np.asarray(values, dtype=np.float64)
    count = (~np.isnan(values)).sum(axis=axis)
    return np.where(count, np.nansum(values, axis=axis) / np.maximum(count, 1), np.nan)


def site_band(values: np.ndarray) -> Band:
    """prompt_band place by place: where a place of values [prompt, ...] lacks some prompts, it is a mean
    over those that it has (sensitivity shares out the steps among prompts). prompts: the most of any place."""
    values = np.asarray(values, dtype=np.float64)
    flat = values.reshape(len(values), -1)
    known = ~np.isnan(flat)
    band = Band(*(np.full(flat.shape[1], np.nan) for _ in range(3)), int(known.sum(axis=0).max(initial=0)))
    patterns, of_place = np.unique(known, axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        places = np.flatnonzero(of_place.reshape(-1) == number)
        for some in np.array_split(places, -(-len(places) // PLACES_AT_ONCE)):
            part = prompt_band(flat[np.ix_(pattern, some)]) if pattern.any() else None
            if part is not None:
                band.mean[some], band.low[some], band.high[some] = part.mean, part.low, part.high
    shape = values.shape[1:]
    return Band(band.mean.reshape(shape), band.low.reshape(shape), band.high.reshape(shape), band.prompts)


def _resampled_limits(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """2.5 and 97.5 % points of the means of RESAMPLES resamples by prompt, linear between order statistics.
    Few prompts give few different resamples: each is averaged once and counted as often as it was drawn."""
    prompts = len(values)
    draws = np.random.default_rng(0).integers(prompts, size=(RESAMPLES, prompts))
    counts = [np.bincount(draw, minlength=prompts) for draw in draws]
    weights, times = np.unique(counts, axis=0, return_counts=True)
    means = np.tensordot(weights / prompts, values, axes=1)
    order = np.argsort(means, axis=0)
    ranked = np.take_along_axis(means, order, axis=0)
    through = np.cumsum(times[order], axis=0)  # resamples at or below each

    def quantile(share: float) -> np.ndarray:
        place = share * (RESAMPLES - 1)
        below, above = (np.take_along_axis(ranked, (through <= rank).sum(axis=0)[None], axis=0)[0]
                        for rank in (int(np.floor(place)), int(np.ceil(place))))
        return below + (place % 1) * (above - below)

    return quantile(0.025), quantile(0.975)


def kept_tiles(fraction: float | np.ndarray, tiles: int) -> np.ndarray:
    """K(f) = clamp(ceil(f * N), 1, N)."""
    return np.clip(np.ceil(np.asarray(fraction) * tiles), 1, tiles).astype(int)


def fraction_for(curve: np.ndarray, fractions: np.ndarray, target: float) -> np.ndarray:
    """The smallest kept fraction at which a coverage curve reaches the target, linear in log f; the first
    fraction where the curve starts above it. curve [.., f] -> [..]; NaN where the curve is NaN."""
    log_f = np.log(fractions)
    flat = np.asarray(curve, dtype=np.float64).reshape(-1, len(fractions))
    above = np.clip((flat < target).sum(axis=1), 1, len(fractions) - 1)  # the end of the piece that crosses
    low, high = (np.take_along_axis(flat, at[:, None], axis=1)[:, 0] for at in (above - 1, above))
    share = np.divide(target - low, high - low, out=np.zeros_like(low), where=high > low)
    found = np.exp(log_f[above - 1] + np.clip(share, 0, 1) * (log_f[above] - log_f[above - 1]))
    found[np.isnan(flat).any(axis=1)] = np.nan
    return found.reshape(np.shape(curve)[:-1])


def chance_jaccard(kept: float, tiles: int) -> float:
    """Jaccard index that two independent sets of `kept` of `tiles` have: p / (2 - p), p = kept / tiles."""
    share = kept / tiles
    return share / (2 - share)


def above_chance(jaccard: np.ndarray, chance: float) -> np.ndarray:
    """(J - J0) / (1 - J0): 0 at chance, 1 for equal sets."""
    return (jaccard - chance) / (1 - chance) if chance < 1 else np.zeros_like(jaccard)


def heaviest(mass: np.ndarray, kept: int) -> np.ndarray:
    """Marks the `kept` largest along the last axis, the lower index first among equals. -> bool, same shape."""
    order = np.argsort(-mass, axis=-1, kind="stable")
    marks = np.zeros(mass.shape, dtype=bool)
    np.put_along_axis(marks, order[..., :kept], True, axis=-1)
    return marks


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's: the correlation of the ranks, ties at their mean rank. NaN where one of them is constant."""
    ranks = [pd.Series(values).rank().to_numpy() for values in (x, y)]
    deviations = [rank - rank.mean() for rank in ranks]
    scale = np.sqrt((deviations[0] ** 2).sum() * (deviations[1] ** 2).sum())
    return float((deviations[0] * deviations[1]).sum() / scale) if scale > 0 else float("nan")


def interpolate(knots: np.ndarray, values: np.ndarray, x: float) -> np.ndarray:
    """Linear between knots, constant outside. values [.., knot] -> [..]."""
    above = int(np.searchsorted(knots, x, side="right"))
    if above == 0:
        return values[..., 0]
    if above == len(knots):
        return values[..., -1]
    weight = (x - knots[above - 1]) / (knots[above] - knots[above - 1])
    return values[..., above - 1] + weight * (values[..., above] - values[..., above - 1])


def value_at(curve: np.ndarray, fractions: np.ndarray, fraction: float) -> np.ndarray:
    """A coverage curve at any kept fraction, linear in log f, constant below the first.
    curve [.., f] -> [..]"""
    return interpolate(np.log(fractions), curve, float(np.log(fraction)))


def histogram_quantile(counts: np.ndarray, edges: np.ndarray, share: float) -> np.ndarray:
    """The value below which that share of the counts lies, counts spread evenly inside their bins.
    counts [.., bin], edges [bin + 1] -> [..]; NaN where nothing was counted."""
    flat = np.asarray(counts, dtype=np.float64).reshape(-1, len(edges) - 1)
    found = np.full(len(flat), np.nan)
    for row, bins in enumerate(flat):
        total = bins.sum()
        if total > 0:
            full = np.flatnonzero(bins)  # empty bins would make the inverse ambiguous
            upper = np.cumsum(bins)[full] / total
            at = min(int(np.searchsorted(upper, share)), len(full) - 1)
            inside = (share - (upper[at] - bins[full[at]] / total)) * total / bins[full[at]]
            found[row] = edges[full[at]] + inside * (edges[full[at] + 1] - edges[full[at]])
    return found.reshape(np.shape(counts)[:-1])
