"""How far the load client's figures are from the truth, beside NVIDIA's AIPerf, on a server with known token times.

    uv run python -m benchmarks.load_client [--streams 1 16 64 256 512] [--seconds 12] [--aiperf PATH]

The server runs in a process of its own, keeps each stream at 50 tokens a second after a first token at 50 ms, and logs
when it wrote every chunk: that log is the truth, and both clients are held against their own run's. Starts are
staggered, the ramp is left out. AIPerf lives in an environment of its own (838 MB of packages):

    uv venv --python 3.11 DIR && uv pip install --python DIR/bin/python aiperf      # then --aiperf DIR/bin/aiperf
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from tuner.load.arrivals import Closed
from tuner.load.endpoint import Endpoint
from tuner.load.errors import OverloadError, SlowClientError
from tuner.load.measure import measure_load
from tuner.load.plan import Plan
from tuner.load.workload import Fixed, Load

TTFT_MS, TOKEN_MS, INPUT, OUTPUT = 50.0, 20.0, 64, 100
REQUEST_SECONDS: Final = (TTFT_MS + TOKEN_MS * (OUTPUT - 1)) / 1000
GOAL_MS, GOAL_SHARE, GOAL_TTFT_MS, GOAL_OVERHEAD_SECONDS = 1.0, 0.02, 5.0, 1.0
SHOWN: Final = ("ttft_p50", "ttft_p99", "tpot_p50", "tpot_p99", "itl_p50", "itl_p99")
AIPERF_NAMES: Final = {"ttft": "time_to_first_token", "itl": "inter_chunk_latency", "tpot": "inter_token_latency"}
"""AIPerf calls our TPOT inter token latency, and our ITL inter chunk latency."""

Log = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of a client: its figures and the truth in ms by name, seconds, its own remarks; no figures when refused."""

    figures: Mapping[str, float]
    truth: Mapping[str, float]
    wall_seconds: float
    overhead_seconds: float
    cpu_seconds: float
    remark: str = ""
    others_share: float = 0.0
    """Share of the machine that other processes took meanwhile; with more than a tenth the run says little."""


@contextmanager
def known_server() -> Iterator[str]:
    """The server in a process of its own: its URL."""
    command = [sys.executable, "-m", "tests.tuner.load.known_server"]
    arguments = ["--ttft-ms", str(TTFT_MS), "--token-ms", str(TOKEN_MS)]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def read_log(url: str) -> Log:
    """What the server wrote and when."""
    with urllib.request.urlopen(f"{url}/log") as answer:  # noqa: S310 - our own server
        found: Log = json.load(answer)["requests"]
    return found


def truth_of(log: Log, start: float, end: float) -> dict[str, float]:
    """The true figures between two moments of the monotonic clock, by the definitions of `tuner.load.summary`."""
    gaps, ttft, tpot = [], [], []
    for request in log:
        writes = np.asarray(request["writes"])
        if len(writes) < 2:
            continue
        inside = (writes[1:] >= start) & (writes[1:] <= end)
        gaps.append(np.diff(writes)[inside])
        if request["complete"] and start <= writes[-1] <= end:
            ttft.append(writes[0] - request["received"])
            tpot.append((writes[-1] - writes[0]) / (len(writes) - 1))
    found = {"ttft": np.asarray(ttft), "tpot": np.asarray(tpot), "itl": np.concatenate(gaps)}
    return {
        f"{name}_p{share}": float(np.percentile(values, share)) * 1000
        for name, values in found.items()
        for share in (50, 99)
    }


def run_ours(streams: int, seconds: float) -> Outcome:
    """Our client, in this process."""
    plan = Plan(seconds=seconds, window_seconds=seconds / 2, precision=1e-9)
    load = Load(Fixed(INPUT), Fixed(OUTPUT), Closed(streams))
    with known_server() as url, tempfile.TemporaryDirectory() as folder:
        begun, cpu = time.monotonic(), time.process_time()
        try:
            result = measure_load(Endpoint(url, "known"), load, plan, records_path=Path(folder, "records.jsonl.gz"))
        except (SlowClientError, OverloadError) as error:
            return Outcome(
                {}, {}, time.monotonic() - begun, 0.0, time.process_time() - cpu, str(error).partition(";")[0]
            )
        wall, cpu = time.monotonic() - begun, time.process_time() - cpu
        truth = truth_of(read_log(url), result.windows[0].start.moment, result.windows[-1].end.moment)
    figures = {name: result.metrics[f"{name}_ms"] for name in SHOWN}
    late = result.lateness
    remark = f"loop {late.loop_lag_mean_ms:.1f} ms late, {late.busy_share:.0%} of a core"
    return Outcome(figures, truth, wall, result.overhead_seconds, cpu, remark)


def write_tokenizer(folder: Path) -> Path:
    """A tokenizer of bytes, since AIPerf wants one on this machine where there is no network; gives its folder."""
    folder.mkdir()
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [code for code in range(256) if code not in printable]
    letters = [chr(code) for code in printable] + [chr(256 + place) for place in range(len(others))]
    bytewise = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "vocab": {letter: place for place, letter in enumerate(letters)}, "merges": []}
    document = {"version": "1.0", "added_tokens": [], "pre_tokenizer": bytewise, "decoder": bytewise, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(document))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


def run_aiperf(program: Path, streams: int, seconds: float) -> Outcome:
    """AIPerf, as a process; its ramp is a warm-up of its own, which it leaves out."""
    with known_server() as url, tempfile.TemporaryDirectory() as folder:
        command = [
            str(program), "profile", "--model", "known", "--url", url, "--endpoint-type", "completions", "--streaming",
            "--tokenizer", str(write_tokenizer(Path(folder, "tokenizer"))), "--use-legacy-max-tokens", "--use-server-token-count", "--ui", "none",
            "--concurrency", str(streams), "--benchmark-duration", str(seconds / 2), "--benchmark-grace-period", "0",
            "--warmup-duration", str(seconds / 2), "--warmup-grace-period", "0",
            "--concurrency-ramp-duration", str(REQUEST_SECONDS), "--connection-reuse-strategy", "never",
            "--isl", str(INPUT), "--osl", str(OUTPUT), "--extra-inputs", "ignore_eos:true",
            "--output-artifact-dir", str(Path(folder, "out")),
        ]  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
        begun, cpu = time.monotonic(), children_seconds()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        wall, cpu = time.monotonic() - begun, children_seconds() - cpu
        exports = sorted(Path(folder).rglob("profile_export_aiperf.json"))
        if not exports:
            return Outcome({}, {}, wall, 0.0, cpu, (done.stdout + done.stderr)[-300:])
        found, log = json.loads(exports[0].read_text()), read_log(url)
    figures = {
        f"{name}_p{share}": float(found[key][f"p{share}"])
        for name, key in AIPERF_NAMES.items()
        for share in (50, 99)
        if key in found
    }
    end = max(request["writes"][-1] for request in log if request["writes"])
    return Outcome(figures, truth_of(log, end - seconds / 2, end), wall, wall - seconds, cpu)


def busy_seconds() -> float:
    """CPU seconds of the whole machine since it started, idle ones left out."""
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def beside_others(run: Callable[[], Outcome]) -> Outcome:
    """A run, with what other processes took of the machine meanwhile."""
    begun, busy, own = time.monotonic(), busy_seconds(), sum(os.times()[:4])
    outcome = run()
    taken = busy_seconds() - busy - (sum(os.times()[:4]) - own)
    return replace(outcome, others_share=taken / (time.monotonic() - begun) / (os.cpu_count() or 1))


def children_seconds() -> float:
    """CPU seconds of all processes that were waited for."""
    times = os.times()
    return times.children_user + times.children_system


def error_of(outcome: Outcome, name: str) -> float | None:
    """How far a figure is from the truth, in ms; `None` where there is none."""
    return outcome.figures[name] - outcome.truth[name] if name in outcome.figures else None


def meets_goal(outcome: Outcome) -> bool:
    """Whether every figure is as near the truth as asked."""
    for name in ("tpot_p50", "tpot_p99", "itl_p50", "itl_p99", "ttft_p50"):
        error = error_of(outcome, name)
        allowed = GOAL_TTFT_MS if name == "ttft_p50" else max(GOAL_MS, GOAL_SHARE * outcome.truth.get(name, 0.0))
        if error is None or abs(error) > allowed:
            return False
    return outcome.overhead_seconds < GOAL_OVERHEAD_SECONDS


def row_of(client: str, streams: int, outcome: Outcome) -> str:
    """One line of the table: errors in ms with the truth in brackets."""
    cells = [
        f"{error:+.2f} ({outcome.truth[name]:.1f})" if (error := error_of(outcome, name)) is not None else "–"
        for name in SHOWN
    ]
    spent = f"{outcome.overhead_seconds:.2f} | {outcome.cpu_seconds:.1f}"
    goal = "yes" if meets_goal(outcome) else "no"
    return f"| {client} | {streams} | {' | '.join(cells)} | {spent} | {outcome.others_share:.0%} | {goal} | {outcome.remark} |"


def main() -> None:
    """Prints one table: errors in ms, the truth in brackets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16, 64, 256, 512])
    parser.add_argument("--seconds", type=float, default=12.0, help="seconds of load, ramp and warm-up included")
    parser.add_argument("--aiperf", type=Path, default=None, help="the program of an environment that has AIPerf")
    given = parser.parse_args()
    print(f"load on this machine before: {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores", flush=True)
    print("| client | streams | " + " | ".join(SHOWN) + " | overhead s | CPU s | others | goal | remark |")
    print("|" + " --- |" * (len(SHOWN) + 7), flush=True)
    for streams in given.streams:
        print(row_of("paretune", streams, beside_others(partial(run_ours, streams, given.seconds))), flush=True)
        if given.aiperf is not None:
            theirs = beside_others(partial(run_aiperf, given.aiperf, streams, given.seconds))
            print(row_of("AIPerf", streams, theirs), flush=True)


if __name__ == "__main__":
    main()
