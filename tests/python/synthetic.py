"""Profiles of any size made of chosen numbers, laid out as the program lays them out."""
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from sparsescope.grid import TileGrid

FRACTIONS = np.array([1 / 64, 1 / 16, 1 / 4, 1 / 2, 1], dtype=np.float64)


@dataclass(frozen=True)
class Sizes:
    prompts: int = 1
    steps: int = 1
    layers: int = 1
    heads: int = 1

    @property
    def call(self) -> tuple[int, ...]:
        return self.prompts, 1, self.steps, self.layers

    @property
    def head(self) -> tuple[int, ...]:
        return *self.call, self.heads


def write_profile(path: Path, tiles: TileGrid, sizes: Sizes, *, maps: dict[str, np.ndarray] | None = None,
                  qkv: dict[str, np.ndarray] | None = None, statistics: dict[str, np.ndarray] | None = None,
                  videos: dict[int, np.ndarray] | None = None, prefix: int = 0,
                  partitions: tuple[str, ...] = ()) -> None:
    """maps: call -> [head, N, N]. qkv: call -> [3, head, token, channel]; heads that were not kept are NaN.
    statistics: frame_mass [.., T, T]
    and prefix_mass [..] replace uniform attention. videos: prompt -> [frame, height, width, 3]."""
    frames = tiles.grid[0]
    leading = ("prompt", "branch", "step", "layer", "head")
    given = statistics or {}
    values = {
        "coverage_tile": (leading + ("f",), np.broadcast_to(FRACTIONS, sizes.head + FRACTIONS.shape)),
        "frame_mass": (leading + ("frame_query", "frame_key"),
                       given.get("frame_mass", np.full(sizes.head + (frames, frames), 1 / frames))),
        "prefix_mass": (leading, given.get("prefix_mass", np.zeros(sizes.head))),
    }
    root = xr.Dataset({"recorded": (leading[:-1], np.ones(sizes.call, np.uint8)),
                       "sigma": (("step",), np.linspace(1, 0.1, sizes.steps))})
    root.attrs = {"format": "sparsescope-profile", "grid": np.array(tiles.grid),
                  "tile": np.array(tiles.tile), "manifest": json.dumps(
                      {"checkpoint": "made-up", "prompts": [], "partitions": list(partitions)})}
    root.to_netcdf(path, engine="h5netcdf")
    stats = xr.Dataset(values, coords={"f": FRACTIONS, "layer": np.arange(sizes.layers),
                                       "head": np.arange(sizes.heads)})
    stats.astype(np.float32).to_netcdf(path, engine="h5netcdf", group="stats", mode="a")
    with h5py.File(path, "a") as file:
        file.attrs["version"] = 1  # a scalar, which xarray would store as an array
        for call, mass in (maps or {}).items():
            file[f"maps/{call}"] = mass.astype(np.float32)
        for call, tensors in (qkv or {}).items():
            group = file.create_group(f"qkv/{call}")
            for name, tensor in zip("qkv", tensors):
                group[name] = tensor.astype(np.float32)
            group.attrs.update({"prefix": prefix, "suffix": 0, "scale": tensors.shape[-1] ** -0.5,
                                "heads": np.flatnonzero(~np.isnan(tensors[0, :, 0, 0]))})
        for prompt, video in (videos or {}).items():
            file[f"videos/p{prompt}"] = video


def local_mass(tiles: TileGrid, reach: float, seed: int = 0) -> np.ndarray:
    """A map [N, N] that decays with the distance between tiles, a little noisy; rows sum to 1."""
    place = np.stack(np.unravel_index(np.arange(tiles.tiles), tiles.counts), axis=1)
    apart = np.abs(place[:, None] - place[None]).sum(axis=-1)
    noise = np.random.default_rng(seed).random((tiles.tiles, tiles.tiles))
    mass = np.exp(-apart / reach) * (0.2 + noise) * tiles.tile_sizes()
    return mass / mass.sum(axis=1, keepdims=True)
