"""How far two videos lie apart, sums in fp64. The reference (dense) comes first.

    psnr   10 log10(R^2 / mean (x - x')^2), R the range of the values; +inf for equal inputs
    ssim   Wang, Bovik, Sheikh, Simoncelli 2004: Gaussian window of 11 x 11 with sigma 1.5, K1 = 0.01,
           K2 = 0.03, valid windows only; mean over windows and planes
"""
from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
PRINTED_FOR_EQUAL = 100.0  # dB


def unit_range(pixels: np.ndarray) -> np.ndarray:
    """uint8 pixels -> fp64 in [0, 1]."""
    return pixels.astype(np.float64) / 255


def mean_square_error(reference: np.ndarray, other: np.ndarray) -> float:
    return float(np.square(reference.astype(np.float64) - other).mean())


def psnr(error: float, value_range: float) -> float:
    """error: the mean square error over everything that is compared."""
    return float(10 * np.log10(value_range**2 / error)) if error > 0 else float("inf")


def printed_psnr(value: float) -> float:
    return min(value, PRINTED_FOR_EQUAL)


def ssim(reference: np.ndarray, other: np.ndarray, value_range: float) -> float:
    """Planes [.., height, width]. Planes below 11 rows or columns use the largest odd window that fits."""
    smallest = min(reference.shape[-2:])
    size = min(WINDOW, smallest - 1 + smallest % 2)
    offsets = np.arange(size) - size // 2
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    weights /= weights.sum()

    def windows(values: np.ndarray) -> np.ndarray:
        for axis in (-1, -2):
            values = correlate1d(values, weights, axis=axis)
        edge = size // 2
        return values[..., edge:values.shape[-2] - edge, edge:values.shape[-1] - edge]

    x, y = reference.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = windows(x), windows(y)
    product, square = mean_x * mean_y, mean_x**2 + mean_y**2
    spread = windows(x * x + y * y) - square
    shared = windows(x * y) - product
    c1, c2 = (K1 * value_range) ** 2, (K2 * value_range) ** 2
    below = (square + c1) * (spread + c2)
    above = (2 * product + c1) * (2 * shared + c2)
    ratio = np.divide(above, below, out=np.ones_like(below), where=below != 0)  # 0 / 0: equal flat planes
    return float(ratio.mean())
