"""Measured kernel costs as straight lines in the density, as plans predict time from them: selection and
kernel apart, least squares through the points of a series, slopes that do not fall. Where all points have
one density the selection is a constant and the kernel proportional to the density."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ONE_DENSITY = 1e-2  # points whose deviation is less show no slope


@dataclass(frozen=True)
class CostLine:
    """In units of the time of dense attention."""

    at_zero: float
    slope: float
    spread: float  # the most that a point lies off its line, or half its quartiles apart

    def at(self, density: np.ndarray) -> np.ndarray:
        return self.at_zero + self.slope * np.asarray(density)

    def crossover(self) -> float:
        """Below this density it is faster than dense attention, beyond its spread: 0 never, 1 always."""
        room = 1 - self.spread - self.at_zero
        if room <= 0:
            return 0.0
        return min(1.0, room / self.slope) if self.slope > 0 else 1.0


def fit_series(series: dict, dense_ms: float) -> CostLine:
    density, selection, kernel, quartiles = (
        np.array([point[name] for point in series["points"]])
        for name in ("density", "selection_ms", "kernel_ms", "spread_ms"))
    selection, kernel = selection / dense_ms, kernel / dense_ms
    proportional = kernel.mean() / density.mean() if density.mean() > 0 else 0.0
    lines = [_fit(density, selection, 0.0), _fit(density, kernel, proportional)]
    at_zero, slope = (sum(parts) for parts in zip(*lines))
    off = np.abs(selection + kernel - at_zero - slope * density)
    return CostLine(at_zero, slope, float(max(off.max(), (0.5 * quartiles / dense_ms).max())))


def _fit(density: np.ndarray, value: np.ndarray, slope_of_one_density: float) -> tuple[float, float]:
    """-> (value at density 0, slope)."""
    x = density - density.mean()
    slope = slope_of_one_density
    if x.std() > _ONE_DENSITY:
        slope = max(0.0, float(x @ (value - value.mean()) / (x @ x)))
    return float(value.mean() - slope * density.mean()), slope
