"""Fit the learned correction on the wheel's measured points, report it held out, and ship it.

    uv run python -m benchmarks.fit_correction correction.json [--report]    (about 5 minutes on one core)

Bayesian ridge: every term of ``correction.terms`` has a normal prior around zero, as wide as its kind is trusted to
carry over (``PRIOR_WIDTHS``); Huber weights against rows that were set up otherwise than their columns say; rows since
late January 2026 (TensorRT-LLM 1.2.0rc6) count five times. Widths were chosen on whole models, whole GPU types and
whole dates held out, never on single rows.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measured_engines import MeasuredEngine, measured_engines, odd_ttft, usable
from tuner.simulator.fidelity.procedure import Prediction, play, report, subject
from tuner.simulator.kernel_data import KernelData
from tuner.simulator.latency.calibration import HOST_FILE
from tuner.simulator.latency.correction import NO_CORRECTION, Correction, Subject, design, terms, write_correction
from tuner.simulator.latency.host import NO_HOST, HostModel, read_hosts

Array = NDArray[np.float64]
SOURCE = "aiconfigurator-core 0.12.0 silicon_sample.csv (InferenceX to 2026-04)"
SINCE, NEWER_COUNT = "2026-01-20", 5.0
NOISE = {"ttft": 0.35, "tpot": 0.12}
HUBER = 1.5
PRIOR_WIDTHS = {
    "engine": 0.06, "generation": 0.02, "precision": 0.016, "family": 0.03,
    "load": 0.008, "prompt": 0.01, "output": 0.006, "width": 0.01,
    "load-family": 0.006, "prompt-family": 0.008, "output-family": 0.004, "width-family": 0.008, "load-prompt": 0.002,
    "system": 0.05, "home": 0.06, "system-home": 0.05, "layout": 0.06, "layout-home": 0.06,
    "load-home": 0.015, "prompt-home": 0.015, "output-home": 0.01, "width-home": 0.015, "load-layout": 0.015,
    "model": 0.24, "system-model": 0.24, "width-model": 0.16,
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A measured row and its simulation without correction."""

    found: MeasuredEngine
    subject: Subject
    simulated: Prediction

    @property
    def ttft_ms(self) -> float:
        """The measured TTFT; `usable` rows have one."""
        return self.found.point.ttft_ms or float("nan")

    @property
    def tpot_ms(self) -> float:
        """The measured TPOT."""
        return self.found.point.tpot_ms or float("nan")

    @property
    def ttft_error(self) -> float:
        """log(measured / simulated)."""
        return float(np.log(self.ttft_ms / self.simulated.ttft_mean_ms))

    @property
    def tpot_error(self) -> float:
        """log(measured / simulated)."""
        return float(np.log(self.tpot_ms / self.simulated.tpot_ms))

    @property
    def mtp(self) -> bool:
        """Whether the row was measured with multi-token prediction, which the table does not name."""
        return self.found.point.speculative


def simulate_rows(engine: str, host: HostModel, kernels: KernelData) -> list[Row]:
    rows = []
    for found in measured_engines(engine, kernels):
        if usable(found):
            p, e = found.point, found.engine
            told = report(p, play(p, e.steps, e.kv_tokens, host.overhead(e.family, p.system, e.layers)))
            rows.append(Row(found, subject(p, e.family), told))
    return rows


def weights(rows: list[Row]) -> Array:
    """Each model, GPU, precision and lengths weigh with the square root of their rows; newer rows five times."""
    keys = [
        (
            r.subject.model,
            r.subject.system,
            r.subject.precision,
            r.found.point.input_tokens,
            r.found.point.output_tokens,
        )
        for r in rows
    ]
    count = Counter(keys)
    newer = [NEWER_COUNT if r.found.point.measured > SINCE else 1.0 for r in rows]
    return np.array([n * count[k] ** -0.5 for n, k in zip(newer, keys, strict=True)])


def ridge(rows: list[Row], errors: Array, noise: float) -> dict[str, float]:
    """Coefficients by term: iteratively reweighted Bayesian ridge."""
    if not rows:
        return {}
    values = [terms(r.subject) for r in rows]
    names = sorted({name for row in values for name in row})
    width = np.array([PRIOR_WIDTHS[name.replace("~", "=").split("=")[0]] for name in names])
    x, base = design(values, names) * width, weights(rows)
    weight = base.copy()
    found = np.zeros(len(names))
    for _ in range(8):
        scaled = weight / noise**2
        found = np.linalg.solve(x.T @ (x * scaled[:, None]) + np.eye(len(names)), x.T @ (scaled * errors))
        left = np.abs(errors - x @ found) / noise
        weight = base * np.minimum(1.0, HUBER / np.maximum(left, 1e-9))
    return dict(zip(names, (found * width).tolist(), strict=True))


TRUST = 0.75
"""Share of what was learned that is applied. Engines go on changing: with whole dates held out, half to three quarters of
the correction err less than all of it or none, and three quarters keep most of its gain on the newest rows."""


def fit(rows: list[Row], source: str = "", day: str = "") -> Correction:
    """Correction learned from rows; rows with MTP teach nothing, rows of odd procedures only TPOT."""
    for_tpot = [r for r in rows if not r.mtp]
    for_ttft = [r for r in for_tpot if not odd_ttft(r.found.point)]
    ttft = np.clip([r.ttft_error for r in for_ttft], -1.2, 1.2)
    tpot = np.clip([r.tpot_error for r in for_tpot], -0.8, 0.8)
    for_both = ridge(for_ttft, ttft, NOISE["ttft"]), ridge(for_tpot, tpot, NOISE["tpot"])
    trusted_ttft, trusted_tpot = ({name: TRUST * value for name, value in found.items()} for found in for_both)
    return Correction(trusted_ttft, trusted_tpot, 0.0, 0.0, source, day)


def throughput(row: Row, ttft: float, tpot: float) -> float:
    p = row.found.point
    tokens = p.output_tokens * (0.9 if p.inferencex else 1.0)
    return p.concurrency * tokens / (ttft + tpot * (tokens - 1)) / p.gpus * 1000.0


def errors(rows: list[Row], told: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """TTFT median, TPOT mean and throughput mean absolute error in percent."""
    ttft = [abs(t[0] / r.ttft_ms - 1) for r, t in zip(rows, told, strict=True) if not odd_ttft(r.found.point)]
    tpot = [abs(t[1] / r.tpot_ms - 1) for r, t in zip(rows, told, strict=True)]
    rate = [abs(t[2] / throughput(r, r.ttft_ms, r.tpot_ms) - 1) for r, t in zip(rows, told, strict=True)]
    return (
        100 * float(np.nanmedian(ttft)) if ttft else float("nan"),
        100 * float(np.nanmean(tpot)),
        100 * float(np.nanmean(rate)),
    )


def told_by(rows: list[Row], correction: Correction) -> list[tuple[float, float, float]]:
    told = []
    for r in rows:
        f = correction.factors(r.subject)
        ttft, tpot = r.simulated.ttft_mean_ms * f.ttft, r.simulated.tpot_ms * f.tpot
        told.append((ttft, tpot, throughput(r, ttft, tpot)))
    return told


def line(label: str, rows: list[Row], correction: Correction) -> None:
    cells = [
        errors(rows, [r.found.formula for r in rows]),
        errors(rows, told_by(rows, NO_CORRECTION)),
        errors(rows, told_by(rows, correction)),
    ]
    print(f"| {label} | {len(rows)} | " + " | ".join(" / ".join(f"{v:.1f}" for v in cell) for cell in cells) + " |")


def held_out(title: str, rows: list[Row], key: Callable[[Row], str], wanted: Callable[[str], bool]) -> None:
    """One line per group, each predicted by a correction that saw nothing of it; then all of them together."""
    print(f"\n### {title}\n| held out | rows | formula | simulated | corrected |\n| --- | --- | --- | --- | --- |")
    pooled: list[Row] = []
    told: list[tuple[float, float, float]] = []
    for name in sorted({key(r) for r in rows if wanted(key(r))}):
        correction = fit([r for r in rows if key(r) != name])
        group = [r for r in rows if key(r) == name and not r.mtp]
        if group:
            line(name, group, correction)
            pooled += group
            told += told_by(group, correction)
    cells = [
        errors(pooled, [r.found.formula for r in pooled]),
        errors(pooled, told_by(pooled, NO_CORRECTION)),
        errors(pooled, told),
    ]
    print(f"| **all** | {len(pooled)} | " + " | ".join(" / ".join(f"{v:.1f}" for v in cell) for cell in cells) + " |")


def tables(engine: str, rows: list[Row]) -> None:
    print(f"\n## {engine}: TTFT median / TPOT mean / throughput mean absolute error, %")
    held_out("Whole models held out", rows, lambda r: r.subject.model, lambda _: True)
    held_out("Whole GPU types held out", rows, lambda r: r.subject.system, lambda _: True)
    held_out(
        "Whole dates of a model and GPU held out",
        rows,
        lambda r: f"{r.subject.model} {r.subject.system} {r.subject.precision} {r.found.point.measured}",
        lambda name: name[-10:] > "2025-11-01",
    )
    held_out(
        "Everything since 2026-01-20 held out",
        rows,
        lambda r: "2026" if r.found.point.measured > SINCE else "",
        lambda name: name == "2026",
    )
    print("\n### In sample\n| group | rows | formula | simulated | corrected |\n| --- | --- | --- | --- | --- |")
    correction = fit(rows)
    groups = sorted({(r.subject.model, r.subject.system, r.subject.precision) for r in rows})
    for g in groups:
        group = [r for r in rows if (r.subject.model, r.subject.system, r.subject.precision) == g and not r.mtp]
        if group:
            line(" ".join(g), group, correction)
    line("all", [r for r in rows if not r.mtp], correction)


def residual_spread(rows: list[Row], correction: Correction) -> tuple[float, float]:
    """Standard deviations in log of what the correction leaves of TTFT and TPOT, from the median deviation."""
    clean = [r for r in rows if not r.mtp]
    plain = [r for r in clean if not odd_ttft(r.found.point)]
    ttft = [r.ttft_error - np.log(correction.factors(r.subject).ttft) for r in plain]
    tpot = [r.tpot_error - np.log(correction.factors(r.subject).tpot) for r in clean]
    return tuple(float(np.median(np.abs(logs)) * 1.4826) for logs in (ttft, tpot))  # type: ignore[return-value]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="where to write correction.json")
    parser.add_argument("--report", action="store_true", help="print held-out and in-sample errors first")
    parser.add_argument("--hosts", type=Path, default=HOST_FILE)
    options = parser.parse_args()
    hosts, kernels = read_hosts(options.hosts), KernelData()
    by_engine = {e: simulate_rows(e, hosts.get(e, NO_HOST), kernels) for e in ("trtllm", "vllm", "sglang")}
    if options.report:
        for name, rows in by_engine.items():
            tables(name, rows)
    everything = [r for rows in by_engine.values() for r in rows]
    learned = fit(everything, SOURCE, date.today().isoformat())
    ttft_spread, tpot_spread = residual_spread(everything, learned)
    write_correction(replace(learned, ttft_spread=ttft_spread, tpot_spread=tpot_spread), options.out)


if __name__ == "__main__":
    main()
