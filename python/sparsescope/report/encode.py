"""Arrays inside JSON: little-endian bytes in base64, with shape and type, decoded by web/data.js."""
from __future__ import annotations

import base64

import numpy as np

TYPES = {"f4": np.float32, "u2": np.uint16, "u1": np.uint8}

# Lift of tile maps in 65,534 equal steps of its logarithm: 0.03 % each.
LIFT_EXPONENTS = (-4.0, 4.0)
LIFT_STEPS = 65534
NOT_KEPT = 65535


def pack(values: np.ndarray, kind: str = "f4") -> dict:
    array = np.ascontiguousarray(values, dtype=np.dtype(TYPES[kind]).newbyteorder("<"))
    return {
        "type": kind,
        "shape": list(array.shape),
        "data": base64.b64encode(array.tobytes()).decode("ascii")
    }


def packed_bytes(count: int, kind: str = "f4") -> int:
    """Characters that pack takes for that many values, to within the shape."""
    return -(-count * np.dtype(TYPES[kind]).itemsize // 3) * 4


def pack_lift(lift: np.ndarray) -> dict:
    """lift [..] >= 0, NaN where a map was not kept."""
    low, high = LIFT_EXPONENTS
    with np.errstate(divide="ignore"):
        place = (np.clip(np.log10(lift), low, high) - low) / (high - low) * LIFT_STEPS
    return pack(np.where(np.isnan(lift), NOT_KEPT, np.nan_to_num(place).round()), "u2")


def finite(value: float) -> float | None:
    """JSON has no NaN; None stands for what is not known."""
    value = float(value)
    return value if np.isfinite(value) else None
