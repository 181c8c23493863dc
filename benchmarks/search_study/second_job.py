"""What a second job on a neighbouring workload gains from the first one's corrections, on real tables."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations
from typing import Final

import numpy as np

from benchmarks.search_study.samplers import staged
from benchmarks.search_study.tables import Case, Score
from tuner.search.staged.learned import corrections, taught
from tuner.search.staged.policy import Policy

_FIRST_JOB: Final = 32
_SHARE: Final = 0.95
_MOST: Final = 32
_EARLY: Final = 4
_LENGTHS: Final = re.compile(r"\b(\d+)x(\d+)\b")


def silicon_pairs(cases: Sequence[Case]) -> Iterator[tuple[Case, Case]]:
    """Real tables of one model and GPU under two workloads, in both orders."""
    for first, second in permutations(cases, 2):
        if first.name.split()[1:3] == second.name.split()[1:3]:
            yield first, second


def second_job_gain(title: str, pairs: Iterable[tuple[Case, Case]]) -> Iterator[str]:
    """One line: measurements that the second job needs for 95 %, from nothing and from the first job's lessons."""
    needed: dict[str, list[int]] = {"alone": [], "taught": []}
    early: dict[str, list[float]] = {"alone": [], "taught": []}
    for first, second in pairs:
        landscape = first.landscape()
        rows = staged(Policy(landscape, first.goal), first, 0, _FIRST_JOB, parallel=1)
        observations = [first.observation(number, row) for number, row in enumerate(rows)]
        lessons = corrections(landscape, first.configurations, observations, *_tokens(first))
        plain = second.landscape()
        for name, start in (
            ("alone", plain),
            ("taught", taught(plain, second.configurations, lessons, *_tokens(second))),
        ):
            found = Score(second).shares(staged(Policy(start, second.goal), second, 0, _MOST, parallel=1))
            needed[name].append(next((n for n, share in enumerate(found, 1) if share >= _SHARE), _MOST))
            early[name].append(100 * found[min(_EARLY, len(found)) - 1])
    if needed["alone"]:
        yield (
            f"second job on a neighbouring workload ({len(needed['alone'])} pairs of {title}): 95 % after "
            f"{np.median(needed['alone']):.1f} measurements from nothing, {np.median(needed['taught']):.1f} from what "
            f"the first learned (median; mean {np.mean(needed['alone']):.1f} and {np.mean(needed['taught']):.1f}); share "
            f"after {_EARLY}: {np.median(early['alone']):.1f} and {np.median(early['taught']):.1f} % (median)"
        )


def _tokens(case: Case) -> tuple[int, int]:
    """Prompt and output length of a landscape, from its name."""
    found = _LENGTHS.search(case.name)
    if found is None:
        raise ValueError(f"{case.name} does not say its workload")
    return int(found[1]), int(found[2])
