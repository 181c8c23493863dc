"""Stands in for TensorRT-LLM's programs: test equipment, never a source of figures in the product.

    python trtllm_standin.py trtllm-serve MODEL --config FILE --host H --port N
    python trtllm_standin.py trtllm-bench … throughput … --report_json FILE
    python trtllm_standin.py trtllm-build …  |  python3 -c …  |  python3 hf_ptq.py …

It takes the command line and YAML of the real ones and refuses what they refuse, in their words; writes their log
lines; makes tokens at the pace of the scheduling simulator; and fails as `standin_faults` orders. Set `PARETUNE_TRTLLM_COMMAND` to `python …/trtllm_standin.py`.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).parents[4]))

from tests.tuner.engines.tensorrt_llm.standin_faults import Orders, read_orders
from tests.tuner.engines.tensorrt_llm.standin_gpus import occupied

OPTIONS_1_2 = {"--config", "--extra_llm_api_options", "--host", "--port", "--backend", "--tokenizer", "--log_level"}
OPTIONS_1_3 = OPTIONS_1_2 | {"--served_model_name"}


def main(words: list[str]) -> None:
    """Does what the named program does."""
    program, rest = words[0], words[1:]
    orders = read_orders()
    if program == "python3" and rest[0] == "-c":
        print(orders.version)
    elif program == "trtllm-serve":
        serve(rest, orders)
    else:
        from tests.tuner.engines.tensorrt_llm.standin_bench import trtllm_bench
        from tests.tuner.engines.tensorrt_llm.standin_programs import PROGRAMS

        sys.exit({**PROGRAMS, "trtllm-bench": trtllm_bench}[program](rest, orders))


def serve(words: list[str], orders: Orders) -> None:
    """trtllm-serve: reads its arguments, starts, and serves until it is ended."""
    model, options = _parsed(words, orders)
    print(f"[TensorRT-LLM] TensorRT-LLM version: {orders.version}", flush=True)
    host, port = options.get("--host", "localhost"), int(options.get("--port", "8000"))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise RuntimeError(f"Failed to bind socket to {host}:{port}: {error}") from error
    data = _read_config(options, orders)
    with occupied(orders.watts):
        _start(data, orders)
        _serve_api(model, options.get("--served_model_name"), data, orders, listener)


def say(text: str) -> None:
    """A line of TensorRT-LLM's own log."""
    print(f"[{datetime.now():%m/%d/%Y-%H:%M:%S}] [TRT-LLM] [I] {text}", flush=True)


def _parsed(words: list[str], orders: Orders) -> tuple[str, dict[str, str]]:
    known = OPTIONS_1_3 if orders.version >= "1.3" else OPTIONS_1_2
    words = words[1:] if words[:1] == ["serve"] else words
    options: dict[str, str] = {}
    models: list[str] = []
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            models.append(word)
        elif word in known:
            options[word] = words.pop(0)
        else:
            _usage(f"No such option: {word}")
    if len(models) != 1:
        _usage("Missing argument 'MODEL'." if not models else f"Got unexpected extra argument ({models[1]})")
    return models[0], options


def _usage(message: str) -> NoReturn:
    print("Usage: trtllm-serve serve [OPTIONS] MODEL\nTry 'trtllm-serve serve --help' for help.\n", flush=True)
    print(f"Error: {message}", flush=True)
    sys.exit(2)


def _read_config(options: dict[str, str], orders: Orders) -> dict[str, Any]:
    from tests.tuner.engines.tensorrt_llm import standin_programs

    file = options.get("--config") or options.get("--extra_llm_api_options")
    is_engine = options.get("--backend") in ("tensorrt", "trt")
    return standin_programs.read_config(file, orders, is_checked=not is_engine)


def _start(data: dict[str, Any], orders: Orders) -> None:
    """Goes through the phases of a start."""
    from tests.tuner.engines.tensorrt_llm import standin_programs

    pause = orders.start_seconds / 5
    say("Using LLM with PyTorch backend")
    standin_programs.fail_early(data, orders)
    say("Use 15.02 GB for model weights.")
    print("Loading safetensors weights in parallel: 100%|##########| 4/4 [00:00<00:00, 81.92it/s]", flush=True)
    time.sleep(pause)
    tokens = standin_programs.cache_tokens(data, orders)
    longest = data.get("max_seq_len") or 131072
    for held in (8224, tokens):
        if held < longest:
            say(f"Attention window size {longest} exceeds upper bound {held} for available blocks. Reducing to {held}.")
            say(f"Adjusted max_seq_len to {held}")
        print("[TensorRT-LLM][INFO] Number of tokens per block: 32.", flush=True)
        gib = held * 131072 / 2**30
        print(
            f"[TensorRT-LLM][INFO] [MemUsageChange] Allocated {gib:.2f} GiB for max tokens in paged KV cache ({held}).",
            flush=True,
        )
        batch, budget = data.get("max_batch_size", 2048), data.get("max_num_tokens", 8192)
        say(
            f"max_seq_len={min(held, longest)}, max_num_requests={batch}, max_num_tokens={budget}, max_batch_size={batch}"
        )
        say("[Autotuner] Autotuning process starts ...")
        time.sleep(pause)
        say("[Autotuner] Autotuning process ends")
        if data.get("cuda_graph_config", {}) is not None:
            say("Creating CUDA graph instances for 11 batch sizes.")
            time.sleep(pause)
        if held != tokens:
            say("Estimated max memory in KV cache : 48.83 GiB")


def _serve_api(model: str, name: str | None, data: dict[str, Any], orders: Orders, listener: socket.socket) -> None:
    from aiohttp import web

    from tests.tuner.engines.tensorrt_llm import standin_programs
    from tests.tuner.engines.tensorrt_llm.standin_api import Api

    machine = standin_programs.machine_of(model, data, orders)
    dies = orders.fault("rank_death", data) is not None
    rank = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(3600)"]
    ranks = [subprocess.Popen(rank) for _ in range(1 if dies else 0)]
    served = name or (Path(model).name if Path(model).is_dir() else model)
    api = Api(served, machine, orders, data, [process.pid for process in ranks], say)
    print(f"INFO:     Started server process [{os.getpid()}]", flush=True)
    print("INFO:     Application startup complete.", flush=True)
    print(f"INFO:     Uvicorn running on http://{listener.getsockname()[0]}:{listener.getsockname()[1]}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    web.run_app(api.app(), sock=listener, print=None, access_log=None, handle_signals=False)


if __name__ == "__main__":
    main(sys.argv[1:])
