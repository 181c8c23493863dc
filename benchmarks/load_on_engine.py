"""The load client beside AIPerf on a real engine: llama.cpp with SmolLM2, whose truth nobody knows.

    uv run --extra cpu python -m benchmarks.load_on_engine --aiperf PATH [--streams 1 4] [--seconds 30]

Both load the same server in turns with the same output tokens. AIPerf has no tokenizer of the model here, so that its prompts
are of other lengths and only TPOT and ITL can be compared.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.load_client import INPUT, aiperf_figures
from tuner.configuration import Configuration
from tuner.engines.base import Launch
from tuner.engines.llama_cpp.engine import LlamaCppEngine
from tuner.load.arrivals import Closed
from tuner.load.endpoint import Endpoint
from tuner.load.measure import measure_load
from tuner.load.plan import Plan
from tuner.load.workload import Fixed, Load

TOKENS: Final = 48
MODEL: Final = "HuggingFaceTB/SmolLM2-135M-Instruct"
SHOWN: Final = ("tpot_p50", "tpot_p99", "itl_p50", "itl_p99")


@contextmanager
def served(streams: int) -> Iterator[Endpoint]:
    """The engine with a slot for each stream."""
    row = Configuration("llama.cpp", "cpu", weights="q8_0", kv_cache="f16", max_batch_size=streams, concurrency=streams)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = LlamaCppEngine(MODEL, folder / "data")
        launch = Launch(row, engine.build(row), 4 * INPUT + TOKENS, folder / "trial")
        with engine.start(launch) as running:
            address = running.wait_ready()
            yield Endpoint(address.base_url, address.model)


def ours(endpoint: Endpoint, streams: int, seconds: float) -> Mapping[str, float]:
    """Our client's figures (ms)."""
    plan = Plan(seconds=seconds, window_seconds=seconds / 2, precision=1e-9)
    found = measure_load(endpoint, Load(Fixed(INPUT), Fixed(TOKENS), Closed(streams)), plan)
    return {name: found.metrics[f"{name}_ms"] for name in SHOWN if f"{name}_ms" in found.metrics}


def main() -> None:
    """Prints one table in ms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aiperf", type=Path, required=True, help="the program of an environment that has AIPerf")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seconds", type=float, default=30.0, help="seconds of load, ramp and warm-up included")
    given = parser.parse_args()
    print("| client | streams | " + " | ".join(SHOWN) + " |")
    print("|" + " --- |" * (len(SHOWN) + 2), flush=True)
    for streams in given.streams:
        with served(streams) as endpoint:
            for turn in ("paretune", "AIPerf", "paretune"):
                figures = (
                    ours(endpoint, streams, given.seconds)
                    if turn == "paretune"
                    else aiperf_figures(given.aiperf, endpoint.base_url, endpoint.model, streams, given.seconds, TOKENS)
                )
                cells = [f"{figures[name]:.2f}" if name in figures else "–" for name in SHOWN]
                print(f"| {turn} | {streams} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
