"""PSNR and SSIM against hand values and against the definition, window by window."""
from __future__ import annotations

import math

import numpy as np
import pytest

from sparsescope.metrics import mean_square_error, printed_psnr, psnr, ssim, unit_range


def naive_ssim(x: np.ndarray, y: np.ndarray, value_range: float) -> float:
    """One plane; every sum written out."""
    height, width = x.shape
    size = min(11, min(height, width) - (0 if min(height, width) % 2 else 1))
    half = size // 2
    weights = [[math.exp(-((i - half) ** 2 + (j - half) ** 2) / (2 * 1.5**2)) for j in range(size)]
               for i in range(size)]
    total = sum(map(sum, weights))
    c1, c2 = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    found = []
    for top in range(height - size + 1):
        for left in range(width - size + 1):
            mean_x = mean_y = 0.0
            for i in range(size):
                for j in range(size):
                    mean_x += weights[i][j] / total * float(x[top + i, left + j])
                    mean_y += weights[i][j] / total * float(y[top + i, left + j])
            var_x = var_y = shared = 0.0
            for i in range(size):
                for j in range(size):
                    dx, dy = float(x[top + i, left + j]) - mean_x, float(y[top + i, left + j]) - mean_y
                    var_x += weights[i][j] / total * dx * dx
                    var_y += weights[i][j] / total * dy * dy
                    shared += weights[i][j] / total * dx * dy
            found.append((2 * mean_x * mean_y + c1) * (2 * shared + c2)
                         / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)))
    return sum(found) / len(found)


def test_psnr_by_hand():
    dense, sparse = np.array([0.0, 0.5, 1.0, 1.0]), np.array([0.0, 0.5, 1.0, 0.8])
    error = mean_square_error(dense, sparse)
    assert error == pytest.approx(0.01)
    assert psnr(error, 1.0) == pytest.approx(20.0)
    assert psnr(error, 10.0) == pytest.approx(40.0)


def test_equal_clips_are_infinitely_close_and_printed_as_100():
    assert psnr(0.0, 1.0) == math.inf
    assert printed_psnr(math.inf) == 100.0
    assert printed_psnr(31.5) == 31.5


def test_unit_range():
    assert unit_range(np.array([0, 51, 255], np.uint8)).tolist() == [0, 0.2, 1]


@pytest.mark.parametrize("shape", [(11, 11), (13, 17), (6, 9), (1, 4)])
def test_ssim_is_the_mean_over_windows(shape):
    rng = np.random.default_rng(3)
    x = rng.random(shape)
    y = (x + 0.3 * rng.standard_normal(shape)).clip(0, 1)
    assert ssim(x, y, 1.0) == pytest.approx(naive_ssim(x, y, 1.0), abs=1e-10)


def test_ssim_of_planes_is_their_mean():
    rng = np.random.default_rng(4)
    x, y = rng.random((2, 3, 12, 14)), rng.random((2, 3, 12, 14))
    each = [naive_ssim(x[i, j], y[i, j], 2.0) for i in range(2) for j in range(3)]
    assert ssim(x, y, 2.0) == pytest.approx(np.mean(each), abs=1e-10)


def test_ssim_of_flat_planes_by_hand():
    """No variance: (2 mx my + C1) / (mx^2 + my^2 + C1)."""
    x, y = np.full((12, 12), 0.5), np.full((12, 12), 0.25)
    assert ssim(x, y, 1.0) == pytest.approx((0.25 + 1e-4) / (0.3125 + 1e-4), rel=1e-9)


def test_ssim_is_one_for_equal_planes_of_any_range():
    x = np.random.default_rng(5).random((3, 16, 16))
    assert ssim(x, x, 1.0) == pytest.approx(1.0, abs=1e-12)
    assert ssim(np.zeros((12, 12)), np.zeros((12, 12)), 0.0) == 1.0
