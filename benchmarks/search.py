"""Compares samplers on replay tables: `python -m benchmarks.search [--tables TABLE …] [--seeds N] [--silicon N] [--out DIR]`.

Prints the share of the true hypervolume after 8, 16, 24, 32 and 48 measurements (median and quartiles over tables and
seeds), what stopping on the plateau costs, how much the calibration mends, and the seconds a proposal takes.
"""

import argparse
import csv
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.search_study.calibration import calibration_errors
from benchmarks.search_study.fresh import fresh_cases, neighbours
from benchmarks.search_study.plot import plot
from benchmarks.search_study.samplers import samplers
from benchmarks.search_study.second_job import second_job_gain, silicon_pairs
from benchmarks.search_study.speed import seconds_per_proposal
from benchmarks.search_study.tables import Case, Score, replay_cases, silicon_cases
from tuner.search.staged.stopping import on_plateau
from tuner.simulator.kernel_data import KernelData

CHECKPOINTS: Final = (8, 16, 24, 32, 48)
TABLES: Final = Path(os.environ.get("PARETUNE_REPLAY_TABLES", "../shared/data/replay"))
PATIENCES: Final = (8, 16)
_VARIANTS: Final = ("paretune", "paretune, prior permuted", "paretune, 4 at once", "paretune, no prior")


def main() -> None:
    """Runs the whole comparison."""
    arguments = _arguments()
    started = time.perf_counter()
    kernels = KernelData()
    tables = arguments.tables if arguments.tables is not None else sorted(TABLES.glob("*.csv"))
    groups = {"replay tables": list(replay_cases(tables, arguments.limits, kernels))} if tables else {}
    if arguments.silicon:
        groups["silicon tables"] = list(silicon_cases(arguments.silicon, kernels))
    if arguments.fresh:
        groups["fresh landscapes"] = list(fresh_cases(arguments.set, arguments.fresh, kernels))
    print(f"{sum(map(len, groups.values()))} landscapes, priors ready after {time.perf_counter() - started:.0f} s")
    for title, cases in groups.items():
        shares = _compare(title, cases, arguments.seeds, arguments.only)
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            _write(arguments.out / f"{title.replace(' ', '_')}.csv", shares)
            plot(arguments.out / f"{title.replace(' ', '_')}.svg", title, shares)
    for line in calibration_errors(groups.get("silicon tables", [])):
        print(line)
    pairs = {
        "silicon tables": silicon_pairs(groups.get("silicon tables", [])),
        "fresh landscapes": neighbours(arguments.set, arguments.fresh, kernels) if arguments.fresh else [],
    }
    for title, found in pairs.items():
        for line in second_job_gain(title, found):
            print(line)
    for rows in arguments.speed:
        print(f"seconds a proposal over {rows} configurations: {seconds_per_proposal(rows):.2f}")
    print(f"{time.perf_counter() - started:.0f} s in all")


Shares = dict[str, dict[str, list[list[float]]]]
"""By sampler and case: one list of shares a seed."""


def _compare(title: str, cases: Sequence[Case], seeds: int, only: Sequence[str]) -> Shares:
    print(f"\n{title}: share of the true hypervolume, median [quartiles] over {len(cases)} landscapes x {seeds} seeds")
    print(f"{'sampler':26}" + "".join(f"{f'after {count}':>21}" for count in CHECKPOINTS))
    found: Shares = {}
    for name, run in samplers().items():
        if only and name not in only:
            continue
        started, runs = time.perf_counter(), 0
        found[name] = {}
        for case in cases:
            score = Score(case)
            found[name][case.name] = []
            for seed in range(seeds):
                found[name][case.name].append(score.shares(run(case, seed, CHECKPOINTS[-1])))
                runs += 1
        print(f"{name:26}" + _cells(found[name]) + f"   {(time.perf_counter() - started) / runs:.1f} s a run")
    for name in [variant for variant in _VARIANTS if variant in found]:
        print(f"by landscape, {name}:")
        for case in cases:
            print(f"  {case.name:58}" + _medians(found[name][case.name]))
    if "paretune" in found:
        for patience in PATIENCES:
            print(_regret(found["paretune"], patience))
    return found


def _at(shares: Sequence[float], count: int) -> float:
    return 100 * shares[min(count, len(shares)) - 1] if shares else 0.0


def _cells(by_case: dict[str, list[list[float]]]) -> str:
    runs = [run for case in by_case.values() for run in case]
    cells = []
    for count in CHECKPOINTS:
        low, middle, high = np.quantile([_at(run, count) for run in runs], [0.25, 0.5, 0.75])
        cells.append(f"{middle:6.2f} [{low:5.1f} {high:5.1f}]".rjust(21))
    return "".join(cells)


def _medians(runs: Sequence[Sequence[float]]) -> str:
    return "".join(f"{np.median([_at(run, count) for run in runs]):8.2f}" for count in CHECKPOINTS)


def _regret(by_case: dict[str, list[list[float]]], patience: int) -> str:
    regrets, lengths = [], []
    for run in (run for case in by_case.values() for run in case):
        stop = next((n for n in range(1, len(run) + 1) if on_plateau(run[:n], patience)), len(run))
        regrets.append(100 * (run[-1] - run[stop - 1]))
        lengths.append(stop)
    return (
        f"plateau with patience {patience}: stops after {np.median(lengths):.0f} (median), "
        f"regret median {np.median(regrets):.2f}, 90 % under {np.quantile(regrets, 0.9):.2f} points"
    )


def _write(path: Path, shares: Shares) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sampler", "landscape", "seed", "measurements", "share"])
        for sampler, by_case in shares.items():
            for case, runs in by_case.items():
                for seed, run in enumerate(runs):
                    writer.writerows([sampler, case, seed, n, f"{share:.6f}"] for n, share in enumerate(run, 1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="*", type=Path, help="replay tables (default: those shared)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--silicon", type=int, default=6, help="real tables to cut from the wheel's samples")
    parser.add_argument("--fresh", type=int, default=12, help="landscapes of other models and GPUs to make")
    parser.add_argument("--set", choices=("development", "final"), default="final", help="which of them")
    parser.add_argument("--limits", type=float, nargs="+", default=[1000, 2000, 0], help="TTFT limits in ms, 0: none")
    parser.add_argument("--speed", type=int, nargs="*", default=[20_000, 200_000])
    parser.add_argument("--only", nargs="*", default=[], help="samplers by name")
    parser.add_argument("--out", type=Path, help="folder for the figures and plots")
    return parser.parse_args()


if __name__ == "__main__":
    main()
