"""The door to `aiconfigurator-core`: databases of measured kernel times, and engines whose steps they price.

The package's traps are closed here: one backend object per model configuration (its cache is not keyed by model), no
name handed over that would be looked up on a network, heads and layers checked by the rules of the space before a
model is built, and each of its exceptions turned into a failure of the configuration.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiconfigurator_core.sdk import common, config, perf_database
from aiconfigurator_core.sdk.backends import factory
from aiconfigurator_core.sdk.errors import (
    EmpiricalNotImplementedError,
    PerfDataNotAvailableError,
    SolNotImplementedError,
)
from aiconfigurator_core.sdk.models import attention_op_keys, check_is_moe, get_model, get_model_family
from aiconfigurator_core.sdk.rust_engine_step import _cached_engine_handle

from tuner.configuration import Configuration
from tuner.errors import KernelDataError
from tuner.simulator.latency.steps import StepEngine
from tuner.space.hardware import SIMULATOR_BACKENDS
from tuner.space.models import ModelShape, bundled_configs
from tuner.space.precision import WEIGHTS
from tuner.spec import Engine
from tuner.trial import Failure, FailureKind

_NO_DATA: Final = (
    PerfDataNotAvailableError,
    EmpiricalNotImplementedError,
    SolNotImplementedError,
    NotImplementedError,
    AssertionError,
    ValueError,
    KeyError,
)
"""What the package raises where its data, or its model of an architecture, ends."""

_ENGINES_KEPT: Final = 64
"""Engines held at once; each is a few hundred kilobytes, and a sweep visits one after the other."""


class UnsupportedError(Exception):
    """The kernel data cannot price a configuration; `failure` says why."""

    def __init__(self, detail: str) -> None:
        self.failure = Failure(FailureKind.UNSUPPORTED, detail)
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class KernelEngine:
    """One engine in the words of the package: its model, database, own backend object and compiled step engine."""

    model: Any
    database: Any
    backend: Any
    steps: StepEngine
    gpu_memory_bytes: float


@contextmanager
def failures_named() -> Iterator[None]:
    """Turns what the package raises where its data ends into `UnsupportedError`."""
    try:
        yield
    except _NO_DATA as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise UnsupportedError(f"no kernel data: {words[:300]}") from error


class KernelData:
    """Databases and engines, loaded once each; safe to use from several threads."""

    def __init__(self) -> None:
        logging.getLogger("aiconfigurator_core").setLevel(logging.ERROR)
        common.DefaultHFModels.update(
            bundled_configs()
        )  # four of them are not listed, and would be looked up on a network
        self._lock = threading.Lock()
        self._databases: dict[tuple[str, str], Any] = {}
        self._engines: OrderedDict[tuple[object, ...], KernelEngine] = OrderedDict()

    def database(self, engine: str, gpu: str) -> Any:
        """The database of measured kernels; raises `KernelDataError` when it cannot be loaded."""
        backend = SIMULATOR_BACKENDS[Engine(engine)]
        with self._lock:
            if (engine, gpu) not in self._databases:
                self._databases[engine, gpu] = _load_database(backend, gpu)
            return self._databases[engine, gpu]

    def engine(self, configuration: Configuration, model: ModelShape) -> KernelEngine:
        """The engine of a configuration's deployment (its load does not matter).

        Raises `UnsupportedError` where the kernel data ends, `KernelDataError` when it cannot be loaded at all.
        """
        c = configuration
        parallel = (c.tensor_parallel, c.pipeline_parallel, c.expert_parallel, c.attention_dp)
        key = (model.simulator_name, c.engine, c.gpu, *parallel, c.weights, c.kv_cache)
        database = self.database(c.engine, c.gpu)
        with self._lock:
            if key not in self._engines:
                self._engines[key] = self._build(c, model, database)
                if len(self._engines) > _ENGINES_KEPT:
                    self._engines.popitem(last=False)
            return self._engines[key]

    def _build(self, configuration: Configuration, model: ModelShape, database: Any) -> KernelEngine:
        backend = SIMULATOR_BACKENDS[Engine(configuration.engine)]
        with failures_named():
            built = get_model(model.simulator_name, _model_config(configuration, model, database), backend)
            steps = _cached_engine_handle(built, database)
        memory = float(database.system_spec["gpu"]["mem_capacity"])
        return KernelEngine(built, database, factory.get_backend(backend), steps, memory)


def _load_database(backend: str, gpu: str) -> Any:
    # the maintained default; the package's own look-up of the latest reads 225 files (0.6 s) to find the same
    slots = perf_database.get_version_slots(gpu, backend)
    version = None if slots is None else slots["current"]
    if version is None:
        raise KernelDataError(f"aiconfigurator-core has no {backend} data for {gpu}; run `uv sync` to mend the package")
    database = perf_database.get_database_view(gpu, backend, version, allow_missing_data=False, database_mode="SILICON")
    if database is None:
        raise KernelDataError(f"the {backend} data of {gpu} cannot be loaded; run `uv sync` to mend the package")
    return database


def _model_config(configuration: Configuration, model: ModelShape, database: Any) -> Any:
    """The package's model configuration of a deployment.

    A checkpoint served in its own quantisation keeps what its files say of each layer; any other precision is set for
    all of them. Context attention runs in FP8 where the KV cache is FP8 and the kernel data has it, as TensorRT-LLM
    does; MLA has bfloat16 data alone.
    """
    c = configuration
    precision = WEIGHTS[c.weights]
    as_shipped = c.weights == model.checkpoint_weights and c.weights not in {"bfloat16", "mxfp4"}
    ranks = c.data_parallel_ranks
    routed = check_is_moe(model.simulator_name)  # some families want these sizes even of their dense models
    context_op, _ = attention_op_keys(get_model_family(model.simulator_name), SIMULATOR_BACKENDS[Engine(c.engine)])
    fp8 = c.kv_cache == "fp8" and "fp8" in perf_database.context_fmha_supported_modes(  # asking loads a table: 0.7 s
        database, context_op, common.KVCacheQuantMode.fp8
    )
    return config.ModelConfig(
        tp_size=c.tensor_parallel // ranks,
        pp_size=c.pipeline_parallel,
        gemm_quant_mode=None if as_shipped else common.GEMMQuantMode[precision.gemm],
        moe_quant_mode=None if as_shipped else common.MoEQuantMode[_expert_kernel(c, precision.moe, database)],
        kvcache_quant_mode=common.KVCacheQuantMode[c.kv_cache],
        fmha_quant_mode=common.FMHAQuantMode["fp8" if fp8 else "bfloat16"],
        moe_tp_size=c.tensor_parallel // c.expert_parallel if routed else None,
        moe_ep_size=c.expert_parallel if routed else None,
        attention_dp_size=ranks,
    )


def _expert_kernel(configuration: Configuration, plain: str, database: Any) -> str:
    """The expert kernel of a weight precision: MXFP4 weights meet MXFP8 activations where the GPU and engine can.

    vLLM's tables hold no such kernel for the models that ship in MXFP4.
    """
    fused = "w4a8_mxfp4_mxfp8"
    if configuration.weights != "mxfp4" or configuration.engine == Engine.VLLM:
        return plain  # without asking the database, which loads a table for the answer: 1.4 s
    return fused if fused in database.supported_quant_mode["moe"] else plain
