"""llama.cpp's server out of the `xllamacpp` wheel, with the flags of `llama-server` that paretune sets.

Started by file: `python -I server.py --model FILE --port N …`. Runs until it is ended by a signal. The flags are
llama-server's own (llama.cpp `tools/server/README.md`, looked up 2026-11), so that the same words start a `llama-server`
built from source.
"""

import argparse
import os
import signal
import sys
from typing import Any


def main(words: list[str]) -> None:
    """Serves the model of the command line until the process is ended."""
    import xllamacpp

    server = xllamacpp.Server(parameters(_parser().parse_args(words), xllamacpp))
    print(f"serving on {server.listening_address}", flush=True)
    while True:
        signal.pause()


def parameters(flags: argparse.Namespace, library: Any) -> Any:
    """The server's parameter object; raises `AttributeError` for a type that this llama.cpp does not know."""
    given = library.CommonParams()
    given.model.path = flags.model
    given.model_alias = {flags.alias or flags.model}
    given.hostnames, given.port = [flags.host], flags.port
    given.n_parallel, given.n_ctx = flags.parallel, flags.ctx_size
    given.n_batch, given.n_ubatch = flags.batch_size, flags.ubatch_size
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = flags.threads
    given.cache_type_k = _ggml_type(flags.cache_type_k, library)
    given.cache_type_v = _ggml_type(flags.cache_type_v, library)
    given.flash_attn_type = getattr(
        library.llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{_ATTENTION[flags.flash_attn]}"
    )
    look_up = flags.spec_type.replace("-", "_").upper()
    given.speculative.types = [getattr(library.common_speculative_type, f"COMMON_SPECULATIVE_TYPE_{look_up}")]
    given.cache_prompt, given.cache_ram_mib = flags.cache_prompt, flags.cache_ram
    given.endpoint_metrics, given.endpoint_slots = flags.metrics, True
    # the server would choose a smaller context by itself where memory is short; here that is a failure to learn from
    given.fit_params, given.kv_unified = False, False
    given.ui, given.reuse_port = False, False
    given.load_mode = getattr(library.llama_load_mode, f"LLAMA_LOAD_MODE_{flags.load_mode.upper()}")
    return given


_ATTENTION = {"on": "ENABLED", "off": "DISABLED", "auto": "AUTO"}


def _ggml_type(name: str, library: Any) -> Any:
    return getattr(library.ggml_type, f"GGML_TYPE_{name.upper()}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="llama.cpp's server out of the xllamacpp wheel", allow_abbrev=False)
    parser.add_argument("--model", required=True)
    parser.add_argument("--alias")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--ctx-size", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--ubatch-size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--flash-attn", choices=tuple(_ATTENTION), default="auto")
    parser.add_argument("--cache-type-k", default="f16")
    parser.add_argument("--cache-type-v", default="f16")
    parser.add_argument("--spec-type", default="none")
    parser.add_argument("--cache-prompt", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--cache-ram", type=int, default=8192)
    parser.add_argument("--metrics", action="store_true")
    parser.add_argument("--load-mode", choices=("auto", "none", "mmap", "mlock"), default="auto")
    parser.add_argument("--no-kv-unified", action="store_true", help="always so here; llama-server is told")
    parser.add_argument("--fit", choices=("off",), default="off", help="always so here; llama-server is told")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
