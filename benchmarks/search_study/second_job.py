"""What a second job on a neighbouring workload gains from the first one's corrections, on real tables."""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Final

import numpy as np

from benchmarks.search_study.samplers import staged
from benchmarks.search_study.tables import Case, Score
from tuner.search.staged.learned import corrections, taught
from tuner.search.staged.policy import Policy

_FIRST_JOB: Final = 16
_SHARE: Final = 0.95
_MOST: Final = 24


def second_job_gain(cases: Sequence[Case]) -> Iterator[str]:
    """One line: measurements that the second job needs for 95 %, from nothing and from the first job's corrections."""
    alone: list[int] = []
    helped: list[int] = []
    share_alone: list[float] = []
    share_helped: list[float] = []
    for first, second in permutations(cases, 2):
        if _deployment(first) != _deployment(second):
            continue
        landscape = first.landscape()
        rows = staged(Policy(landscape, first.goal), first, 0, _FIRST_JOB, parallel=1)
        observations = [first.observation(number, row) for number, row in enumerate(rows)]
        lessons = corrections(landscape, first.configurations, observations, 0, 0)
        plain = second.landscape()
        wiser = taught(plain, second.configurations, lessons)
        for start, needed, shares in ((plain, alone, share_alone), (wiser, helped, share_helped)):
            found = Score(second).shares(staged(Policy(start, second.goal), second, 0, _MOST, parallel=1))
            needed.append(next((n for n, share in enumerate(found, 1) if share >= _SHARE), _MOST))
            shares.append(100 * found[min(4, len(found)) - 1])
    if alone:
        yield (
            f"second job on a neighbouring workload ({len(alone)} pairs of silicon tables): 95 % after "
            f"{np.mean(alone):.1f} measurements from nothing, {np.mean(helped):.1f} from what the first learned (mean); "
            f"share after 4: {np.median(share_alone):.1f} and {np.median(share_helped):.1f} % (median)"
        )


def _deployment(case: Case) -> tuple[str, str]:
    return case.name.split()[1], case.name.split()[2]
