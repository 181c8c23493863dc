"""Fit the host overhead of every engine on the wheel's measured points and write host.json (about 2 minutes an engine).

Loss: capped |log| error of mean TTFT, plus the spread of the TPOT error within model, GPU and precision (the kernel
data's own bias is left to the correction). Coordinate search from a common start that weakly holds.
"""

import argparse
import time
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measured_engines import MeasuredEngine, measured_engines, odd_ttft, usable
from tuner.simulator.fidelity.procedure import play, report
from tuner.simulator.kernel_data import KernelData
from tuner.simulator.latency.host import HostModel, read_hosts, write_hosts

NAMES = (
    "intake",
    "intake_token",
    "serial",
    "serial_token",
    "dense",
    "moe",
    "mla_moe",
    "hybrid",
    "hopper_floor",
    "hopper_intake",
    "mla_intake",
)
START = np.log([30.0, 0.0008, 0.3, 0.0006, 0.15, 0.3, 1.1, 0.6, 1.6, 1.8, 55.0])
PER_GROUP = 30
MOST_REQUESTS, SLOWEST_MS = 256, 8000
SOURCE = "aiconfigurator-core 0.12.0 silicon_sample.csv (InferenceX to 2026-04)"


def model_of(x: NDArray[np.float64]) -> HostModel:
    """Host model of a parameter vector (logarithms)."""
    v = dict(zip(NAMES, (float(f"{value:.4g}") for value in np.exp(x)), strict=True))
    floors = {family: v[family] for family in ("dense", "moe", "mla_moe", "hybrid")}
    return HostModel(
        v["intake"],
        v["intake_token"],
        v["serial"],
        v["serial_token"],
        {"mla_moe": v["mla_intake"]},
        floors,
        {"hopper": v["hopper_intake"]},
        {"hopper": v["hopper_floor"]},
    )


def group(found: MeasuredEngine) -> str:
    p = found.point
    return f"{p.model.replace('V3', 'R1')}|{p.system}|{p.precision}"


def sample(rows: list[MeasuredEngine]) -> list[MeasuredEngine]:
    """At most ``PER_GROUP`` rows of each model, GPU and precision, the newest first."""
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    rows.sort(key=lambda f: f.point.measured < "2026-01-20")
    seen: Counter[str] = Counter()
    kept = []
    for found in rows:
        seen[group(found)] += 1
        if seen[group(found)] <= (PER_GROUP if found.point.inferencex else PER_GROUP // 2):
            kept.append(found)
    return kept


def loss(x: NDArray[np.float64], rows: list[MeasuredEngine]) -> float:
    host = model_of(x)
    ttft, tpot, weight, fair = [], [], [], []
    for found in rows:
        p, e = found.point, found.engine
        told = report(p, play(p, e.steps, e.kv_tokens, host.overhead(e.family, p.system, e.layers)))
        ttft.append(min(abs(np.log(told.ttft_mean_ms / (p.ttft_ms or np.nan))), 1.0))
        tpot.append(np.log(told.tpot_ms / (p.tpot_ms or np.nan)))
        weight.append(2.0 if p.measured > "2026-01-20" else 1.0)
        fair.append(not odd_ttft(p))
    w, d, g = np.array(weight), np.array(tpot), np.array([group(f) for f in rows])
    for name in set(g):
        d[g == name] -= np.median(d[g == name])
    fw = w * np.array(fair)
    return float(
        (fw * ttft).sum() / max(fw.sum(), 1e-9)
        + 1.5 * (w * np.minimum(np.abs(d), 0.5)).sum() / w.sum()
        + 0.002 * ((x - START) ** 2).sum()
    )


def fit(rows: list[MeasuredEngine], seconds: float) -> HostModel:
    best, step, started = START.copy(), np.full(len(START), 0.5), time.time()
    low = loss(best, rows)
    while step.max() > 0.06 and time.time() - started < seconds:
        for i in range(len(best)):
            for sign in (1.0, -1.0):
                x = best.copy()
                x[i] += sign * step[i]
                found = loss(x, rows)
                if found < low:
                    low, best = found, x
                    step[i] *= 1.2
                    break
            else:
                step[i] *= 0.5
        print(round(low, 4), round(time.time() - started), flush=True)
    print(dict(zip(NAMES, np.round(np.exp(best), 4).tolist(), strict=True)))
    return model_of(best)


def fitted(engine: str, kernels: KernelData, seconds: float) -> HostModel:
    """The host model of one engine on its usable rows without MTP."""
    rows = [
        found
        for found in measured_engines(engine, kernels)
        if usable(found)
        and found.point.concurrency <= MOST_REQUESTS
        and not found.point.speculative
        and (found.point.ttft_ms or 0) < SLOWEST_MS
    ]
    return fit(sample(rows), seconds)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="host.json; engines that are not fitted keep what it has")
    parser.add_argument("engines", nargs="*", default=["trtllm", "vllm", "sglang"])
    parser.add_argument("--seconds", type=float, default=130.0, help="most time for an engine")
    options = parser.parse_args()
    hosts = read_hosts(options.out) if options.out.exists() else {}
    kernels = KernelData()
    for engine in options.engines:
        hosts[engine] = fitted(engine, kernels, options.seconds)
        write_hosts(hosts, SOURCE, date.today().isoformat(), options.out)


if __name__ == "__main__":
    main()
