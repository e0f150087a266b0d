"""How much of a profile the page holds. Small profiles are shown whole; of large ones each number keeps as
much as its share of the bytes allows, the least telling parts going first."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparsescope.figures.select import spread
from sparsescope.report.encode import packed_bytes


@dataclass(frozen=True)
class Level:
    """What is kept of a statistic."""

    steps: int | None = None  # at most; None: every recorded one
    both_branches: bool = True
    prompts: bool = True  # each prompt's own values beside the mean
    interval: bool = True
    heads: bool = True  # each head, or the mean over the heads of a layer


LEVELS: tuple[Level | None, ...] = (
    Level(),
    Level(prompts=False),
    Level(8, prompts=False),
    Level(8, prompts=False, interval=False),
    Level(3, prompts=False, interval=False),
    Level(3, both_branches=False, prompts=False, interval=False),
    Level(1, both_branches=False, prompts=False, interval=False),
    Level(3, both_branches=False, prompts=False, interval=False, heads=False),
    None,  # left out
)


@dataclass(frozen=True)
class Extents:
    prompts: int
    branches: int
    steps: int
    layers: int
    heads: int


@dataclass(frozen=True)
class Size:
    values: int  # of one head at one step
    weight: float  # how much more a byte of it tells than one of others
    interval: bool = True
    over_heads: bool = False  # has no head axis


def bytes_at(level: Level | None, size: Size, extents: Extents) -> int:
    if level is None:
        return 0
    steps = extents.steps if level.steps is None else min(level.steps, extents.steps)
    branches = extents.branches if level.both_branches else 1
    heads = extents.heads if level.heads and not size.over_heads else 1
    copies = 1
    if extents.prompts > 1:
        copies += 2 * (level.interval and size.interval) + extents.prompts * level.prompts
    return copies * packed_bytes(branches * steps * extents.layers * heads * size.values)


def choose_levels(sizes: Mapping[str, Size], extents: Extents, budget: int) -> dict[str, Level | None]:
    """Every statistic starts whole; while they do not fit, the one whose bytes tell least gives something
    up."""
    rungs = dict.fromkeys(sizes, 0)
    cost = {name: bytes_at(LEVELS[0], size, extents) for name, size in sizes.items()}
    while sum(cost.values()) > budget:
        name = max(cost, key=lambda one: (cost[one] / sizes[one].weight, one))
        rungs[name] += 1
        cost[name] = bytes_at(LEVELS[rungs[name]], sizes[name], extents)
    return {name: LEVELS[rung] for name, rung in rungs.items()}


def spread_steps(steps: list[int], most: int | None) -> list[int]:
    """At most that many of the recorded steps, evenly spread, with the first and the last; one: the
    middle."""
    if most is None or len(steps) <= most:
        return list(steps)
    if most == 1:
        return [steps[len(steps) // 2]]
    return spread(steps, most)


def left_out(levels: Mapping[str, Level | None], steps: list[int], branches: int, prompts: int) -> list[str]:
    """A sentence for each way in which the page holds less than the profile."""
    groups: dict[str, set[str]] = {}
    for name, level in levels.items():
        text = _lack(level, steps, branches, prompts)
        if text:
            groups.setdefault(text, set()).add(_family(name))
    return [f"{', '.join(sorted(names))}: {text}." for text, names in groups.items()]


def _family(name: str) -> str:
    """VMoBA's many partitions under one name."""
    if name.startswith("vmoba/"):
        return "VMoBA's threshold curves" if name.endswith("_tau") else "VMoBA's top-k curves"
    return name.removesuffix("/heads") + (" over steps" if name.endswith("/heads") else "")


def _lack(level: Level | None, steps: list[int], branches: int, prompts: int) -> str:
    if level is None:
        return "left out"
    parts = []
    kept = spread_steps(steps, level.steps)
    if len(kept) < len(steps):
        parts.append(f"only at step{'s' if len(kept) > 1 else ''} {', '.join(map(str, kept))}")
    if not level.both_branches and branches > 1:
        parts.append("only the conditional branch")
    if not level.heads:
        parts.append("only the mean over the heads of a layer")
    if not level.prompts and prompts > 1:
        parts.append("means over prompts" if level.interval else "means over prompts, no intervals")
    return "; ".join(parts)
