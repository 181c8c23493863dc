"""Which GPUs a trial gets: those nearest to each other, and those that leave the rest together."""

from collections.abc import Callable, Sequence
from itertools import combinations

Distance = Callable[[str, str], int]


def width(group: Sequence[str], distance: Distance) -> int:
    """The largest distance within a group; 0 for a single GPU."""
    return max((distance(one, other) for one, other in combinations(group, 2)), default=0)


def best_group(candidates: Sequence[str], count: int, distance: Distance) -> tuple[str, ...] | None:
    """The group of `count` with the smallest width; `None` where there are too few.

    Among equals, the smallest sum of distances, then the group farthest from what is left over, so that neighbours stay
    together for the next; then the order of the candidates.
    """
    if len(candidates) < count:
        return None

    def cost(group: tuple[str, ...]) -> tuple[int, int, int]:
        inner = sum(distance(one, other) for one, other in combinations(group, 2))
        outer = sum(distance(one, other) for one in group for other in candidates if other not in group)
        return width(group, distance), inner, -outer

    return min(combinations(candidates, count), key=cost)
