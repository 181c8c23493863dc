"""How fast paretune sweeps a space, beside the peer's own sweep of the same model, GPUs, lengths and knobs.

    uv run python benchmarks/sweep.py [--runs 3] [--no-peer] [--no-growth]

Both sides are timed from the start of their process to its end, imports included, by the median of some runs. The peer
(`aiconfigurator cli default`) runs in an environment of its own, made here from the dependency group `peer`.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measured_process import Timed, timed

ROOT = Path(__file__).resolve().parent.parent
PEER_ENVIRONMENT = ROOT / ".venv" / "peer"
MODEL, GPU, GPUS, INPUT_TOKENS, OUTPUT_TOKENS = "Qwen/Qwen3-32B", "h200_sxm", 8, 4000, 500
BATCHES = [*range(1, 17), *range(20, 33, 4), *range(40, 65, 8), *range(80, 257, 16), *range(288, 513, 32)]
"""The batch sizes that the peer tries (its `b_list`, 0.12)."""
STEPS = [4608, 8704]
"""Step budgets that leave room for one and for two whole prompts beside 512 decoding requests, as the peer tries."""
WIDTHS = [1, 2, 4, 8]
PRECISIONS = {"weights": ["bfloat16", "fp8", "fp8_block"], "kv_cache": ["bfloat16", "fp8"]}
"""What makes paretune's space six times the peer's, which keeps to the checkpoint's own precision."""
GOAL_RATE, GOAL_WALL = 20.0, 2.5

COUNT_PEER = """
import sys
from aiconfigurator_core.sdk.backends import base_backend
seen, run = set(), base_backend.BaseBackend.run_agg
def counted(self, model, database, request, **rest):
    c = model.config
    seen.add((c.tp_size, c.pp_size, c.attention_dp_size, c.moe_ep_size, request.batch_size, rest.get("ctx_tokens")))
    return run(self, model, database, request, **rest)
base_backend.BaseBackend.run_agg = counted
from aiconfigurator.main import main
try:
    main()
finally:
    print("LOOKED AT", len(seen))
"""
"""Runs the peer with a count of the different aggregated configurations that it looks at; not timed."""

RUN_PARETUNE = """
import json, sys
from tuner.evaluators.pool import EvaluationPool
from tuner.spec import parse_spec

class Listener:
    def __init__(self): self.heard = 0
    def started(self, *_): pass
    def trials(self, batch, *_): self.heard += len(batch)
    def doing(self, words): pass
    def cancelled(self): return False

if __name__ == "__main__":
    with EvaluationPool() as pool:
        from tuner.search.run import run_job
        listener = Listener()
        result = run_job(parse_spec(json.loads(sys.argv[1])), listener, pool)
        print(json.dumps({"space": result.space_size, "evaluated": result.evaluated, "seconds": result.wall_seconds,
                          "simulated": listener.heard - result.evaluated, "frontier": len(result.frontier)}))
"""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One way to sweep: configurations looked at, and its runs."""

    name: str
    configurations: int
    runs: Sequence[Timed]

    @property
    def wall_seconds(self) -> float:
        """Median seconds from process start to end."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def rate(self) -> float:
        """Configurations per second of wall time."""
        return self.configurations / self.wall_seconds

    @property
    def cpu_seconds(self) -> float:
        """Median processor seconds of the process tree; less moved by what else the machine does."""
        return statistics.median(run.cpu_seconds for run in self.runs)

    @property
    def peak_mib(self) -> float:
        """Median peak memory of the process tree, MiB."""
        return statistics.median(run.peak_mib for run in self.runs)


def spec(**changes: object) -> dict[str, object]:
    """The job that both sides run, with some fields changed."""
    plain: dict[str, object] = {
        "model": MODEL,
        "hardware": {"gpu": GPU, "gpus": GPUS},
        "workload": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS, "concurrency": "auto"},
        "space": {
            "tensor_parallel": WIDTHS,
            "pipeline_parallel": [1],
            "concurrency": BATCHES,
            "max_num_tokens": STEPS,
            "chunked_prefill": [False],
            **PRECISIONS,
        },
    }
    return plain | changes


def paretune(job: Mapping[str, object], runs: int) -> tuple[Sweep, dict[str, float]]:
    """Sweeps a job with the library, each time in a process of its own."""
    command = [sys.executable, "-c", RUN_PARETUNE, json.dumps(job)]
    done = [timed(command, {**os.environ, "PYTHONPATH": str(ROOT)}) for _ in range(runs)]
    figures: dict[str, float] = json.loads(done[-1].output.splitlines()[-1])
    return Sweep("paretune, the library", int(figures["evaluated"]), done), figures


def paretune_tune(job: Mapping[str, object], configurations: int, runs: int) -> Sweep:
    """Sweeps a job with the whole product: `paretune tune`, service, database, REST and reports included."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "job.yaml")
        file.write_text(json.dumps(job), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("paretune")), "tune", str(file)]
        done = [timed([*command, "--out", str(Path(folder, f"out{n}"))], os.environ) for n in range(runs)]
    return Sweep("paretune tune, the whole product", configurations, done)


def peer(runs: int, *, aggregated_alone: bool) -> Sweep:
    """Sweeps with the peer's own command, limits so wide that it drops nothing it looked at."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    python = PEER_ENVIRONMENT / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["cli", "default", "--model", MODEL, "--system", GPU, "--total-gpus", str(GPUS)]
        arguments += ["--backend", "trtllm", "--isl", str(INPUT_TOKENS), "--osl", str(OUTPUT_TOKENS)]
        arguments += ["--ttft", "100000", "--tpot", "1000", "--save-dir", folder]
        arguments += ["--serving-mode", "agg"] if aggregated_alone else []
        counted = timed([str(python), "-c", COUNT_PEER, *arguments], environment)  # warms the file cache, too
        looked_at = re.search(r"LOOKED AT (\d+)", counted.output)
        if looked_at is None:
            raise SystemExit(f"the peer did not run:\n{counted.output[-2000:]}")
        command = [str(PEER_ENVIRONMENT / "bin" / "aiconfigurator"), *arguments]
        done = [timed(command, environment) for _ in range(runs)]
    name = "aiconfigurator cli default" + (" --serving-mode agg" if aggregated_alone else "")
    return Sweep(name, int(looked_at[1]), done)


def make_peer_environment() -> None:
    """Installs the dependency group `peer`, alone, into a folder of its own."""
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(PEER_ENVIRONMENT)}
    environment.pop("VIRTUAL_ENV", None)
    command = ["uv", "sync", "--only-group", "peer", "--no-install-project", "--quiet"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def growth(size: int) -> dict[str, object]:
    """A job whose space has about `size` configurations: the same deployments under more and more loads."""
    deployments, steps = 60, 4
    loads = max(2, round(size / (deployments * steps)))
    return spec(
        model="meta-llama/Llama-3.1-8B-Instruct",
        hardware={"gpu": "h100_sxm", "gpus": 8},
        workload={"input_tokens": 1024, "output_tokens": 256, "concurrency": "auto"},
        space={
            "concurrency": list(range(8, 8 + loads)),
            "max_num_tokens": [2048, 4096, 8192, 16384],
            "chunked_prefill": [False],
        },
    )


def compare(runs: int, *, with_peer: bool) -> None:
    """Prints both sides and their ratios."""
    job = spec()
    paretune(job, 1)  # warms the file cache
    library, figures = paretune(job, runs)
    rows = [library, paretune_tune(job, library.configurations, runs)]
    if with_peer:
        make_peer_environment()
        rows += [peer(runs, aggregated_alone=False), peer(runs, aggregated_alone=True)]
    print(
        f"\n{MODEL} on {GPUS} × {GPU}, {INPUT_TOKENS}/{OUTPUT_TOKENS} tokens; median of {runs} runs, {os.cpu_count()} cores"
    )
    print(f"{'':<42}{'configurations':>15}{'wall s':>9}{'CPU s':>8}{'per second':>12}{'peak MiB':>10}   runs")
    for row in rows:
        spread = " ".join(f"{run.seconds:.1f}" for run in row.runs)
        print(
            f"{row.name:<42}{row.configurations:>15,}{row.wall_seconds:>9.1f}{row.cpu_seconds:>8.1f}{row.rate:>12.0f}{row.peak_mib:>10.0f}   {spread}"
        )
    print(
        f"paretune also simulated {figures['simulated']:.0f} of them in depth; its frontier has {figures['frontier']:.0f} members"
    )
    for mine in rows[:2]:
        for other in rows[2:]:
            rate, wall = mine.rate / other.rate, other.wall_seconds / mine.wall_seconds
            size = mine.configurations / other.configurations
            print(
                f"{mine.name} / {other.name}: space {size:.1f}x, rate {rate:.1f}x (goal {GOAL_RATE:g}), wall {wall:.1f}x (goal {GOAL_WALL:g})"
            )


def grow(sizes: Sequence[int]) -> None:
    """Prints how time and memory grow with the space."""
    print(f"\n{'configurations':>15}{'wall s':>9}{'search s':>10}{'per second':>12}{'peak MiB':>10}{'simulated':>11}")
    for size in sizes:
        sweep, figures = paretune(growth(size), 1)
        rate = sweep.configurations / figures["seconds"]
        print(
            f"{sweep.configurations:>15,}{sweep.wall_seconds:>9.1f}{figures['seconds']:>10.1f}{rate:>12.0f}"
            f"{sweep.peak_mib:>10.0f}{figures['simulated']:>11.0f}",
            flush=True,
        )


def main() -> None:
    """Reads the arguments and prints both tables."""
    parser = argparse.ArgumentParser(description="paretune's sweep beside the peer's, and how it grows")
    parser.add_argument("--runs", type=int, default=3, help="timed runs of each side (default 3)")
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[1_000, 10_000, 50_000, 200_000], help="spaces to grow through"
    )
    parser.add_argument("--no-peer", action="store_true", help="leave the peer out")
    parser.add_argument("--no-growth", action="store_true", help="leave the growth out")
    given = parser.parse_args()
    compare(given.runs, with_peer=not given.no_peer)
    if not given.no_growth:
        grow(given.sizes)


if __name__ == "__main__":
    main()
