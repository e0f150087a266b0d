"""VMoBA's partitions by name: "temporal:2", "spatial:4,4", "st:4,4,4", sizes in tokens."""
from __future__ import annotations

import itertools
import math

KINDS = ("temporal", "spatial", "st")
# Blocks of the published 480 x 832 setting, and the share that a query keeps: 2 of 7, 6 of 24, 18 of 72.
PUBLISHED_BLOCKS = {"temporal": 7, "spatial": 24, "st": 72}
PUBLISHED_SHARE = 1 / 4
PUBLISHED_TAU = 1 / 4


def kind_of(partition: str) -> str:
    return partition.partition(":")[0]


def cycle_kind(layer: int) -> str:
    """What the plain cycle 1D, 2D, 3D gives a layer."""
    return KINDS[layer % len(KINDS)]


def block_count(partition: str, grid: tuple[int, int, int]) -> int:
    sizes = [int(size) for size in partition.partition(":")[2].split(",")]
    extents = {"temporal": grid[:1], "spatial": grid[1:], "st": grid}[kind_of(partition)]
    return math.prod(-(-extent // size) for extent, size in zip(extents, sizes))


def nearest_count(share: float, blocks: int) -> int:
    """That share of the blocks, to the nearest and one at least."""
    return min(max(int(share * blocks + 0.5), 1), blocks)


def published_cycle(partitions: list[str], grid: tuple[int, int, int]) -> dict[str, str]:
    """One partition of each kind: those whose numbers of blocks are nearest in ratio to the published 7, 24
    and 72, the finer of equals. Empty where a kind is missing."""
    of_kind = [[name for name in partitions if kind_of(name) == kind] for kind in KINDS]
    wanted = [PUBLISHED_BLOCKS[kind] for kind in KINDS]

    def rank(cycle: tuple[str, ...]) -> tuple[float, int]:
        counts = [block_count(name, grid) for name in cycle]
        far = sum(abs(math.log(counts[i] * wanted[i - 1] / (counts[i - 1] * wanted[i]))) for i in (1, 2))
        return round(far, 9), -sum(counts)

    best = min(itertools.product(*of_kind), key=rank, default=())
    return dict(zip(KINDS, best))
