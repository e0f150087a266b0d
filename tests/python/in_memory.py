"""Small profiles in memory, for numbers that can be worked out by hand."""
from __future__ import annotations

import json

import numpy as np
import xarray as xr

LEADING = ("prompt", "branch", "step", "layer", "head")


def made_profile(values: dict[str, tuple[tuple[str, ...], np.ndarray]], *, grid=(1, 1, 4), tile=(1, 1, 1),
                 partitions: tuple[str, ...] = (), **coordinates) -> xr.Dataset:
    """values: name -> (axes behind the leading five, array [prompt, branch, step, layer, head, ...]).
    coordinates: values along the axis of that name, or (axis, values)."""
    sizes = next(iter(values.values()))[1].shape[:5]
    data = {name: (LEADING + axes, np.asarray(array, dtype=np.float64))
            for name, (axes, array) in values.items()}
    data["recorded"] = (LEADING[:4], np.ones(sizes[:4], np.uint8))
    coordinates = {name: given if isinstance(given, tuple) else ((name,), given)
                   for name, given in coordinates.items()}
    made = {"checkpoint": "made-up", "prompts": [], "partitions": list(partitions)}
    return xr.Dataset(data, coords=coordinates, attrs={
        "grid": np.array(grid), "tile": np.array(tile), "manifest": json.dumps(made)})


def heads(*curves) -> np.ndarray:
    """[1, 1, 1, 1, head, ...] of one call."""
    return np.array(curves, dtype=np.float64)[None, None, None, None]
