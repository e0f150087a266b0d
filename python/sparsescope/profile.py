"""Opens profiles as xarray Datasets.

    import sparsescope
    profile = sparsescope.open_profile("run.h5")
    profile.coverage_tile.sel(f=0.25).mean("head")

Names are the file's own: `/stats/NAME` is `profile["NAME"]`, `/vmoba/PARTITION/NAME` is
`profile["vmoba/PARTITION/NAME"]`, with the partition's own axis `vmoba/PARTITION/k`. Values are read
from the file when they are used, so that a profile larger than memory opens at once: choose sites first.
Sites that were not recorded are NaN.

Tile maps, raw q, k, v and decoded videos are kept for chosen sites alone and do not share all axes:
they are opened by `tile_map`, `captured` and `video`.
"""
from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace

import h5py
import numpy as np
import xarray as xr

from sparsescope.errors import DataError, UsageError

FORMAT = "sparsescope-profile"
VERSION = 1
LEADING = ("prompt", "branch", "step", "layer", "head")
BRANCHES = ("conditional", "unconditional")


@dataclass(frozen=True)
class Site:
    """One head of one attention call."""

    prompt: int = 0
    branch: int = 0
    step: int = 0
    layer: int = 0
    head: int = 0

    def with_(self, **changes: int) -> "Site":
        return replace(self, **changes)

    @property
    def call(self) -> str:
        """The name of its call in the file: p0_b0_s4_l3."""
        return f"p{self.prompt}_b{self.branch}_s{self.step}_l{self.layer}"

    @property
    def index(self) -> dict[str, int]:
        return {axis: getattr(self, axis) for axis in LEADING}


def open_profile(path: str | os.PathLike) -> xr.Dataset:
    """The profile at path: all statistics with named axes and coordinates, read when used."""
    path = os.fspath(path)
    partitions = _check_header(path)
    parts = [
        xr.open_dataset(path, engine="h5netcdf", phony_dims="sort", cache=False),
        xr.open_dataset(path, engine="h5netcdf", group="stats", cache=False),
    ]
    for partition in partitions:
        group = f"vmoba/{partition}"
        opened = xr.open_dataset(path, engine="h5netcdf", group=group, cache=False)
        names = {name: f"{group}/{name}" for name in (*opened.data_vars, "k") if name in opened.variables}
        parts.append(opened.rename(names))
    profile = xr.merge(parts, compat="override", combine_attrs="override", join="override")
    profile.attrs = dict(parts[0].attrs)
    profile.encoding["source"] = os.path.abspath(path)
    return profile


def open_hdf5(path: str, what: str, expected: str) -> h5py.File:
    """The file, where it is HDF5 of that format. what: "a profile", for the message."""
    if not os.path.exists(path):
        raise UsageError(f"{path}: no such file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: expected {what} (HDF5), found something else: {error}") from error
    found = file.attrs.get("format")
    if isinstance(found, bytes):
        found = found.decode()
    if found != expected:
        file.close()
        raise DataError(f"{path}: attribute format: expected '{expected}', found {found!r}")
    return file


def _check_header(path: str) -> list[str]:
    """Refuses what is no profile of this version; returns its partitions."""
    with open_hdf5(path, "a profile", FORMAT) as file:
        version = int(file.attrs.get("version", -1))
        if version != VERSION:
            raise DataError(f"{path}: attribute version: expected {VERSION}, found {version}")
        if "stats" not in file or "manifest" not in file.attrs:
            raise DataError(f"{path}: expected the group /stats and the attribute manifest; one is missing")
        return sorted(file["vmoba"]) if "vmoba" in file else []


def source(profile: xr.Dataset) -> str:
    """The file behind a profile."""
    return profile.encoding["source"]


def manifest(profile: xr.Dataset) -> dict:
    """How the profile was made: checkpoint, prompts, sampling, build."""
    return json.loads(profile.attrs["manifest"])


def model_name(profile: xr.Dataset) -> str:
    """The tail of the checkpoint's path; empty where q, k and v were captured."""
    return os.path.basename(str(manifest(profile).get("checkpoint", "")).rstrip("/"))


def partitions(profile: xr.Dataset) -> list[str]:
    """VMoBA's partitions that were recorded, in the manifest's order: "temporal:2", "st:4,4,4", ..."""
    found = {name.split("/")[1] for name in profile.data_vars if name.startswith("vmoba/")}
    order = manifest(profile).get("partitions", [])
    return sorted(found, key=lambda name: order.index(name) if name in order else len(order))


def vmoba(profile: xr.Dataset, partition: str) -> xr.Dataset:
    """The curves of one partition, with the plain names density_topk, recall_topk, ... and the axis k."""
    prefix = f"vmoba/{partition}/"
    names = {name: name[len(prefix):] for name in profile.variables if name.startswith(prefix)}
    if not names:
        known = ", ".join(partitions(profile)) or "none"
        raise UsageError(f"{source(profile)}: partition {partition} was not recorded; recorded: {known}")
    chosen = profile[[name for name in names if name in profile.data_vars]]
    return chosen.rename({name: short for name, short in names.items() if name in chosen.variables})


def recorded(profile: xr.Dataset, axis: str) -> list[int]:
    """Indices along "prompt", "branch", "step" or "layer" of which at least one site was recorded."""
    flags = profile["recorded"]
    others = [name for name in flags.dims if name != axis]
    return [int(i) for i in np.flatnonzero(flags.any(others).values)]


_CALL = re.compile(r"p(\d+)_b(\d+)_s(\d+)_l(\d+)")


def kept_calls(profile: xr.Dataset, kind: str) -> list[Site]:
    """The calls that "maps" or "qkv" were kept of, in the order of prompts, branches, steps, layers."""
    with h5py.File(source(profile), "r") as file:
        names = list(file[kind]) if kind in file else []
    found = [Site(*map(int, match.groups())) for name in names if (match := _CALL.fullmatch(name))]
    return sorted(found, key=lambda site: (site.prompt, site.branch, site.step, site.layer))


def kept_heads(profile: xr.Dataset, kind: str, call: Site) -> list[int]:
    """The heads that "maps" or "qkv" were kept of at a call that kept_calls names."""
    with h5py.File(source(profile), "r") as file:
        if kind == "maps":
            return [int(head) for head in np.flatnonzero(~np.isnan(file[f"maps/{call.call}"][:, 0, 0]))]
        return _qkv_heads(file[f"qkv/{call.call}"])


def kept_videos(profile: xr.Dataset) -> list[int]:
    """The prompts whose decoded videos were kept."""
    with h5py.File(source(profile), "r") as file:
        return prompts_of(file.get("videos", ()))


def prompts_of(names) -> list[int]:
    """The prompts P among the names pP of a group; scales of its own may stand beside them."""
    return sorted(int(match.group(1)) for name in names if (match := re.fullmatch(r"p(\d+)", name)))


def tile_map(profile: xr.Dataset, site: Site) -> np.ndarray:
    """Tile mass M of one head, [query tile, key tile] float32: M[i, j] is the mean over the rows of
    query tile i of the probability on key tile j. NaN throughout where the head was not kept."""
    with h5py.File(source(profile), "r") as file:
        _expect(site.call in file.get("maps", {}), profile, "maps", site)
        return file[f"maps/{site.call}"][site.head]


@dataclass(frozen=True)
class Captured:
    """Raw q, k and v of one head: [token, channel] float32, after norm and rotary embedding, text tokens
    before (prefix) and behind (suffix) the video tokens in raster order."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    prefix: int
    suffix: int
    scale: float

    @property
    def video(self) -> slice:
        return slice(self.prefix, len(self.q) - self.suffix)


def captured(profile: xr.Dataset, site: Site) -> Captured:
    """q, k and v of one head, where `profile --keep-qkv` kept them."""
    with h5py.File(source(profile), "r") as file:
        group = _qkv(file, profile, site)
        q, k, v = (group[name][site.head] for name in "qkv")
        attributes = group.attrs
        return Captured(q, k, v, int(attributes["prefix"]), int(attributes["suffix"]),
                        float(attributes["scale"]))


def value_norms(profile: xr.Dataset, site: Site) -> np.ndarray:
    """Euclidean norm of every video token's v of one head, [token in raster order], where it was kept."""
    with h5py.File(source(profile), "r") as file:
        group = _qkv(file, profile, site)
        values = group["v"][site.head]
        inside = slice(int(group.attrs["prefix"]), len(values) - int(group.attrs["suffix"]))
        return np.linalg.norm(values[inside], axis=1)


def video(profile: xr.Dataset, prompt: int) -> np.ndarray | None:
    """The decoded video of a prompt, [frame, height, width, 3] uint8; None where it was not kept."""
    with h5py.File(source(profile), "r") as file:
        name = f"videos/p{prompt}"
        return file[name][:] if name in file else None


def _qkv(file: h5py.File, profile: xr.Dataset, site: Site) -> h5py.Group:
    kept = site.call in file.get("qkv", {}) and site.head in _qkv_heads(file[f"qkv/{site.call}"])
    _expect(kept, profile, "qkv", site)
    return file[f"qkv/{site.call}"]


def _qkv_heads(group: h5py.Group) -> list[int]:
    return [int(head) for head in group.attrs.get("heads", range(len(group["q"])))]


def _expect(kept: bool, profile: xr.Dataset, kind: str, site: Site) -> None:
    if kept:
        return
    calls = ", ".join(call.call for call in kept_calls(profile, kind)[:6]) or "none"
    option = {"maps": "--maps", "qkv": "--keep-qkv"}[kind]
    raise UsageError(f"{source(profile)}: /{kind}/{site.call} was not kept of head {site.head} "
                     f"(profile {option}); kept: {calls}")
