"""Small and large profiles written with h5py, for tests of the report: the layout of docs of profiles."""
from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

LEADING = ("prompt", "branch", "step", "layer", "head")
F = np.array([1 / 64, 1 / 32, 3 / 64, 1 / 16, 3 / 32, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1])
TAILS = {
    "coverage_row": ("f",), "coverage_tile": ("f",), "coverage_pooled": ("f",), "error_pooled": ("f",),
    "mass_dt": ("distance_t",), "frame_mass": ("frame_query", "frame_key"), "key_mass": ("tile",),
    "query_cosine": ("bin",), "entropy": (), "row_overlap": (), "sensitivity": (), "prefix_mass": (),
    "bsa_density": ("kappa",),
}


def write_profile(path: Path,
                  statistics: dict[str, np.ndarray],
                  *,
                  grid=(4, 8, 8),
                  tile=(2, 4, 4),
                  prompts=None,
                  maps: dict[str, np.ndarray] | None = None) -> Path:
    """statistics: name -> [prompt, branch, step, layer, head, tail]; sites all NaN count as not recorded.
    maps: "p0_b0_s0_l0" -> [head, tile, tile]."""
    first = next(iter(statistics.values()))
    lead = first.shape[:5]
    tiles = int(np.prod([-(-n // b) for n, b in zip(grid, tile)]))
    extents = dict(zip(LEADING, lead)) | {"f": len(F), "kappa": len(F), "distance_t": grid[0], "bin": 64,
                                          "frame_query": grid[0], "frame_key": grid[0], "tile": tiles}
    made = {
        "producer": "test",
        "checkpoint": "models/made-up",
        "prompts": prompts or [f"p{i}" for i in range(lead[0])],
        "steps": lead[2],
        "rows_per_tile": 0,
        "partitions": []
    }
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "sparsescope-profile"
        file.attrs["version"] = 1
        file.attrs["manifest"] = json.dumps(made)
        file.attrs["grid"], file.attrs["tile"] = list(grid), list(tile)
        for name, extent in extents.items():
            file[name] = F if name in ("f", "kappa") else np.arange(extent)
            file[name].make_scale(name)
        known = ~np.isnan(first.reshape(*lead[:4], -1)).all(axis=-1)
        _add(file, "recorded", known.astype(np.uint8), LEADING[:4])
        _add(file, "sigma", np.linspace(1, 0.1, lead[2]), ("step",))
        for name, values in statistics.items():
            _add(file, f"stats/{name}", values.astype(np.float32), LEADING + TAILS[name])
        for name, values in (maps or {}).items():
            file[f"maps/{name}"] = values.astype(np.float32)
    return path


def _add(file: h5py.File, name: str, values: np.ndarray, axes: tuple[str, ...]) -> None:
    file[name] = values
    for place, axis in enumerate(axes):
        file[name].dims[place].attach_scale(file[axis])


def rising_curves(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """[*shape, f]: rising to 1."""
    steps = np.random.default_rng(seed).random((*shape, len(F)))
    curves = np.cumsum(steps, axis=-1)
    return curves / curves[..., -1:]


@contextmanager
def no_program():
    """Profiles that are written here hold too little for the program's summary: there is no program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparsescope.sources.find_program", lambda: None)
        yield
