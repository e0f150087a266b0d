"""Small profiles of chosen curves, with every axis that curves have."""
from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from sparsescope.grid import TileGrid
from sparsescope.profile import LEADING, open_profile

FRACTIONS = np.array([1 / 64, 1 / 32, 3 / 64, 1 / 16, 3 / 32, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1])
TAUS = np.arange(1, 20) * 0.05
POOLS = ["query_head", "head_global", "block", "overall"]
AXES = {"f": FRACTIONS, "kappa": FRACTIONS, "tau": TAUS, "pool": POOLS}

Statistic = tuple[tuple[str, ...], np.ndarray]  # axes behind the leading ones, values


def make_profile(path: Path, tiles: TileGrid, sizes: dict[str, int], statistics: dict[str, Statistic], *,
                 maps: dict[str, np.ndarray] | None = None,
                 vmoba: dict[str, dict[str, Statistic]] | None = None,
                 axes: dict[str, list] | None = None, **made: object) -> xr.Dataset:
    """sizes: of the leading axes. maps: p0_b0_s0_l0 -> [head, tile, tile]. vmoba: partition -> its statistics,
    k counted from 1. axes: further coordinates. made: entries of the manifest."""
    manifest = {"checkpoint": "data/tiny", "checkpoint_hash": "a", "grid": tiles.grid, "tile": tiles.tile,
                "seed": 0, "prompts": [f"prompt {i}" for i in range(sizes["prompt"])], **made}
    root = xr.Dataset({"recorded": (LEADING[:4], np.ones([sizes[axis] for axis in LEADING[:4]], np.uint8)),
                       "sigma": (("step",), np.linspace(1, 0, sizes["step"], endpoint=False))},
                      coords={**AXES, **(axes or {}), **{axis: np.arange(sizes[axis]) for axis in LEADING}})
    root.attrs = {"format": "sparsescope-profile", "grid": tiles.grid, "tile": tiles.tile,
                  "manifest": json.dumps(manifest)}
    root.to_netcdf(path, engine="h5netcdf")
    groups = {"stats": statistics, **{f"vmoba/{name}": curves for name, curves in (vmoba or {}).items()}}
    for group, members in groups.items():
        values = xr.Dataset({name: ((*LEADING, *behind), array.astype(np.float32))
                             for name, (behind, array) in members.items()})
        if "k" in values.sizes:
            values = values.assign_coords(k=np.arange(1, values.sizes["k"] + 1))
        values.to_netcdf(path, engine="h5netcdf", group=group, mode="a")
    with h5py.File(path, "a") as file:
        file.attrs["version"] = 1  # a scalar, which xarray would make an array
        for call, mass in (maps or {}).items():
            file[f"maps/{call}"] = mass.astype(np.float32)
    return open_profile(path)
