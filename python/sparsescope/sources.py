"""The files that figures are drawn from, opened and checked once."""
from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import xarray as xr

from sparsescope.errors import DataError, UsageError
from sparsescope.profile import kept_calls, open_hdf5, open_profile, recorded
from sparsescope.program import find_program, summarize

# What a figure may need beyond the statistics -> how to get it.
NEEDS = {
    "statistics": "the statistics of attention: profile without --effects-only",
    "maps": "whole tile maps: profile --maps \"step=0,4 layer=* head=*\"",
    "map_steps": "tile maps of several steps: profile --maps \"step=0,4 layer=* head=*\"",
    "map_prompts": "tile maps of several prompts: profile --prompts FILE --maps ... with two prompts or more",
    "prompts": "several prompts: profile --prompts FILE with two lines or more",
    "held_out": "a validation report with its plan, or another profile: --validation REPORT.json "
                "--plan PLAN.json, --other RUN2.h5",
    "qkv": "raw q, k, v: profile --keep-qkv \"step=4 layer=3 head=*\"",
    "sensitivity": "effects on the model's output: profile --sensitivity N",
    "errors": "error curves: profile --error-tiles N",
    "vmoba": "VMoBA's partitions: profile --partitions auto",
    "summary": "the program sparsescope on the PATH, or what summary --json printed: --summary FILE",
    "plan": "a plan: --plan PLAN.json",
    "validations": "validation reports: --validation REPORT.json",
    "clips": "a validation report that lists its clips: --validation REPORT.json",
    "removal": "a report of validate --removal layers,steps: --validation REPORT.json",
    "videos": "videos of validate --videos FILE.h5: --videos FILE.h5",
    "sweep": "a table of tune --sweep: --sweep SWEEP.json",
    "benches": "results of bench attention: --bench RESULT.json",
    "costs": "kernel costs of bench costs: --costs COSTS.json",
    "tiles": "raw q, k, v (profile --keep-qkv) or profiles of other tiles on the same grid (--other RUN2.h5)",
    "others": "another profile to hold against: --other RUN2.h5",
}


def need_text(need: str) -> str:
    """A name of NEEDS, or some of which one will do ("qkv|maps"), in words."""
    return ", or ".join(NEEDS[name] for name in need.split("|"))


FORMATS = {
    "plan": "sparsescope-plan", "validations": "sparsescope-report", "sweep": "sparsescope-sweep",
    "benches": "sparsescope-bench", "costs": "sparsescope-costs", "summary": "sparsescope-summary",
}
VIDEOS_FORMAT = "sparsescope-videos"


@dataclass(frozen=True)
class Validation:
    """A validation report, and the plan that it judged where that was given too."""

    name: str  # of the file, without its ending
    report: dict
    plan: dict | None

    @property
    def method(self) -> str:
        return self.plan["method"] if self.plan else "unknown"


@dataclass(frozen=True)
class SourceFiles:
    """Paths, as given on the command line. Cheap to hand to another process."""

    profile: str
    plans: tuple[str, ...] = ()
    validations: tuple[str, ...] = ()
    sweep: str | None = None
    benches: tuple[str, ...] = ()
    costs: str | None = None
    summary: str | None = None
    others: tuple[str, ...] = ()
    videos: str | None = None


@dataclass
class Sources:
    """Everything opened; keyword arguments of figures by their names."""

    files: SourceFiles
    profile: xr.Dataset
    plans: list[dict] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)
    sweep: dict | None = None
    benches: list[dict] = field(default_factory=list)
    costs: dict | None = None
    others: list[xr.Dataset] = field(default_factory=list)
    videos: str | None = None

    @property
    def plan(self) -> dict | None:
        """The first, for figures of one plan."""
        return self.plans[0] if self.plans else None

    @cached_property
    def summary(self) -> dict | None:
        """The findings: of the file that was given, or asked of the program when a figure first needs them,
        which takes a second and reads the whole profile."""
        if self.files.summary:
            return read_json(self.files.summary, "summary")
        return summarize(self.files.profile) if find_program() else None

    @cached_property
    def present(self) -> frozenset[str]:
        """The needs that are met."""
        profile = self.profile
        maps = kept_calls(profile, "maps")
        found = {
            "statistics": "coverage_tile" in profile,
            "maps": bool(maps),
            "map_steps": len({call.step for call in maps}) > 1,
            "map_prompts": len({call.prompt for call in maps}) > 1,
            "prompts": len(recorded(profile, "prompt")) > 1,
            "held_out": bool(self.others) or any(v.plan for v in self.validations),
            "qkv": bool(kept_calls(profile, "qkv")),
            "sensitivity": "effect_pooled" in profile,
            "errors": "error_pooled" in profile,
            "vmoba": any(name.startswith("vmoba/") for name in profile.data_vars),
            "clips": any("clips" in v.report for v in self.validations),
            "removal": any("removal" in v.report for v in self.validations),
        }
        found["tiles"] = found["qkv"] or bool(other_tiles(profile, self.others))
        found["summary"] = bool(self.files.summary or find_program())
        for name in ("plan", "validations", "sweep", "benches", "costs", "others", "videos"):
            found[name] = bool(getattr(self, name))
        return frozenset(name for name, here in found.items() if here)

    def lacks(self, need: str) -> bool:
        return not any(name in self.present for name in need.split("|"))

    def lacking(self, needs: tuple[str, ...]) -> str:
        """What is missing of the needs and how to get it; empty where nothing is."""
        return "; ".join(f"needs {need_text(need)}" for need in needs if self.lacks(need))


def open_sources(files: SourceFiles) -> Sources:
    """Error names the file, what was expected and what was found."""
    hashes = [_sha256(path) for path in files.plans]
    sources = Sources(files, open_profile(files.profile), plans=[read_json(path, "plan") for path in files.plans])
    plan_of = dict(zip(hashes, sources.plans))
    for path in files.validations:
        report = read_json(path, "validations")
        name = os.path.basename(path).removesuffix(".json")
        sources.validations.append(Validation(name, report, plan_of.get(report["plan"])))
    sources.sweep = read_json(files.sweep, "sweep") if files.sweep else None
    sources.benches = [read_json(path, "benches") for path in files.benches]
    sources.costs = read_json(files.costs, "costs") if files.costs else None
    sources.others = [open_profile(path) for path in files.others]
    if files.summary:
        _ = sources.summary  # a broken file is refused before anything is drawn
    if files.videos:
        open_hdf5(files.videos, "videos of validate --videos", VIDEOS_FORMAT).close()
        sources.videos = files.videos
    return sources


def files_in(folder: str | os.PathLike) -> SourceFiles:
    """The files of one folder by their names: run.h5, plan-*.json, report-*.json, bench-*.json, other-*.h5,
    sweep.json, costs.json, summary.json, videos.h5; what is not there is left out."""
    def named(pattern: str) -> tuple[str, ...]:
        return tuple(str(path) for path in sorted(Path(folder).glob(pattern)))

    def single(name: str) -> str | None:
        return next(iter(named(name)), None)

    return SourceFiles(os.path.join(folder, "run.h5"), named("plan-*.json"), named("report-*.json"),
                       single("sweep.json"), named("bench-*.json"), single("costs.json"), single("summary.json"),
                       named("other-*.h5"), single("videos.h5"))


def other_tiles(profile: xr.Dataset, others: list[xr.Dataset]) -> list[xr.Dataset]:
    """Of other profiles those of the same grid and another tile."""
    def extents(of: xr.Dataset, name: str) -> list[int]:
        return [int(n) for n in of.attrs[name]]

    return [other for other in others if extents(other, "grid") == extents(profile, "grid")
            and extents(other, "tile") != extents(profile, "tile")]


def read_json(path: str, kind: str) -> dict:
    expected = FORMATS[kind]
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected JSON of format '{expected}': {error}") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != expected:
        raise DataError(f"{path}: format: expected '{expected}', found {found!r}")
    if content.get("version") != 1:
        raise DataError(f"{path}: version: expected 1, found {content.get('version')!r}")
    return content


def _sha256(path: str) -> str:
    if not os.path.exists(path):
        raise UsageError(f"{path}: no such file")
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
