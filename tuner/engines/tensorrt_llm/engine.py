"""TensorRT-LLM as an engine: `trtllm-serve` in its own environment, with every knob in one YAML file."""

import os
import shutil
import uuid
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final

from tuner.configuration import Configuration
from tuner.engines.artefacts import ArtefactCache, Artefacts
from tuner.engines.base import Artefact, Cancelled, Launch, never
from tuner.engines.errors import EngineFailedError, ProgramMissingError, StartCancelledError
from tuner.engines.hang import Patience
from tuner.engines.plan import ServerPlan
from tuner.engines.ports import HOST, free_port
from tuner.engines.running import LOG_NAME, ChoosePort
from tuner.engines.served import ServedEngine, ledger_of, version_at
from tuner.engines.tensorrt_llm.bench import BenchReport, BenchRun, run_bench, write_dataset
from tuner.engines.tensorrt_llm.builder import NO_EXAMPLES, NO_QUANTISER, Builder, Making
from tuner.engines.tensorrt_llm.checkpoints import find_checkpoint, shape_of
from tuner.engines.tensorrt_llm.deployment import arguments_of, to_yaml
from tuner.engines.tensorrt_llm.installation import BENCH, SERVE, Container, Installation, hub_folder
from tuner.engines.tensorrt_llm.legacy import engine_yaml, illegal_engine
from tuner.engines.tensorrt_llm.start_log import read_start, too_small
from tuner.engines.tensorrt_llm.versions import Generation, generation_of
from tuner.errors import SpecError
from tuner.space.hardware import Gpu, find_gpu
from tuner.space.models import ModelShape
from tuner.space.own_knobs import EngineKnob, own_knobs
from tuner.spec import Engine
from tuner.trial import Failure, FailureKind

CONFIG_NAME: Final = "trtllm-serve.yaml"
"""The engine's configuration in the trial's folder."""
BENCH_CONFIG_NAME: Final = "trtllm-bench.yaml"
DATASET_NAME: Final = "trtllm-bench.jsonl"

# loading and kernel tuning are long and may be silent; a container's work is not seen at all
_PATIENCE: Final = Patience(idle_seconds=180.0, silent_seconds=900.0)
_BLIND_PATIENCE: Final = Patience(idle_seconds=900.0, silent_seconds=900.0)


class TensorrtLlmEngine(ServedEngine):
    """TensorRT-LLM's OpenAI-compatible server, on its `pytorch` backend or, up to 1.2, on engines built beforehand."""

    unheard = frozenset({"chunked_prefill", "cuda_graphs"})

    def __init__(
        self,
        model: str,
        data_dir: Path,
        installation: Installation | None = None,
        artefacts: Artefacts | None = None,
        choose_port: ChoosePort = free_port,
    ) -> None:
        super().__init__(Engine.TENSORRT_LLM.value, model, data_dir, choose_port)
        self._installation = installation or Installation()
        kept = artefacts or Artefacts()
        folder = kept.folder_of(self.name, data_dir)
        self._builder = Builder(self._installation, ArtefactCache(folder, kept.most_bytes), ledger_of(data_dir))

    @cached_property
    def _version(self) -> str:
        return self._installation.ask_version()

    @property
    def version(self) -> str:
        """The installed version, asked once; `unknown` when the installation does not tell."""
        return self._version

    @property
    def generation(self) -> Generation:
        """What this version takes."""
        return generation_of(self.version)

    @property
    def knobs(self) -> tuple[EngineKnob, ...]:
        """The knobs it understands."""
        return own_knobs(self.name)

    def illegal_together(self, configuration: Configuration) -> str | None:
        """Why this version would refuse the arguments, or why the weights cannot be had, with the mend."""
        try:
            if configuration.knob("backend") == "tensorrt":
                refused = illegal_engine(configuration, self.generation, self.version)
            else:
                self._yaml(configuration, 1, reuses_blocks=True)
                refused = None
            return refused or self._idle_knob(configuration) or self._unavailable(configuration)
        except SpecError as error:
            return "; ".join(f"{problem.field}: {problem.message}" for problem in error.problems)

    def build(
        self, configuration: Configuration, cancelled: Cancelled = never, devices: tuple[str, ...] = ()
    ) -> Artefact:
        """The checkpoint of the asked precision, or an engine: given, or made once on the `devices` and kept.

        Raises `SpecError` when the model cannot be had so, `BuildError` when it cannot be made,
        `StartCancelledError` when asked to stop.
        """
        if cancelled():
            raise StartCancelledError(f"the build for {self.name} was called off")
        if configuration.knob("backend") == "tensorrt":
            plain = find_checkpoint(self._model, "bfloat16")
            return self._builder.engine(plain, configuration, self.version, Making(cancelled, devices))
        return self._builder.checkpoint(find_checkpoint(self._model, configuration.weights), Making(cancelled, devices))

    def plan(self, launch: Launch) -> ServerPlan:
        """The server of a launch; writes its configuration file."""
        config = launch.folder / CONFIG_NAME
        launch.folder.mkdir(parents=True, exist_ok=True)
        config.write_text(
            self._yaml(launch.configuration, launch.sequence_tokens, reuses_blocks=launch.shares_prefixes),
            encoding="utf-8",
        )
        run = uuid.uuid4().hex[:12]
        log = launch.folder / LOG_NAME

        def container(port: int) -> Container:
            return Container(f"paretune-{run}-{port}", launch.devices, self._folders(launch))

        return ServerPlan(
            engine=self.name,
            model=self._model,
            arguments=lambda port: self._installation.words(SERVE, self._serve(launch, config, port), container(port)),
            folder=launch.folder,
            artefact=launch.artefact,
            start_timeout_seconds=self.start_timeout(launch),
            patterns=self.failure_patterns,
            installed_version=self.version,
            devices=launch.devices,
            check=lambda _: too_small(read_start(log), launch.sequence_tokens),
            version=lambda address: version_at(address, "/version"),
            patience=_BLIND_PATIENCE if self._installation.is_container else _PATIENCE,
            stop=lambda port: self._installation.stop_words(container(port)),
            read=lambda path: {"backend": _backend(launch.configuration), **read_start(path).facts()},
            watches_health=True,
            is_container=self._installation.is_container,
        )

    def bench(
        self, launch: Launch, requests: Iterable[tuple[list[int], int]], cancelled: Cancelled = never
    ) -> BenchReport:
        """Measures offline, without a server: each request is the token ids of its prompt, and its output tokens.

        Raises `EngineFailedError` when it is refused, fails or leaves no report; `ProgramMissingError` where it is not
        installed; `StartCancelledError` when asked to stop.
        """
        configuration = launch.configuration
        refused = self.illegal(configuration)
        if configuration.knob("backend") == "tensorrt":
            refused = "trtllm-bench is used for backend pytorch alone; leave backend out, or use measuring.tool client"
        if refused is not None:
            raise EngineFailedError(Failure(FailureKind.UNSUPPORTED, refused))
        program = self._installation.words(BENCH, (), Container("bench"))[0]
        if shutil.which(program) is None:
            raise ProgramMissingError(self.missing(program))
        config = launch.folder / BENCH_CONFIG_NAME
        dataset = launch.folder / DATASET_NAME
        reuses = launch.shares_prefixes
        config.write_text(self._yaml(configuration, launch.sequence_tokens, reuses_blocks=reuses), encoding="utf-8")
        write_dataset(dataset, requests)
        run = BenchRun(self._model, configuration, config, dataset, launch.folder, launch.artefact.path, launch.devices)
        try:
            return run_bench(run, self._installation, ledger_of(self._data_dir), cancelled)
        finally:
            dataset.unlink()  # drawn from the job's seed, and large

    def missing(self, program: str) -> str:
        """What to do where the program is not installed."""
        return (
            f"{program} is not installed here; set PARETUNE_TRTLLM_COMMAND to how trtllm-serve is started in its own "
            "environment, or PARETUNE_TRTLLM_IMAGE to NVIDIA's release image (`paretune doctor` checks it)"
        )

    def _serve(self, launch: Launch, config: Path, port: int) -> tuple[str, ...]:
        # everything else stands in the file: up to 1.2 it beats flags in silence, since 1.3 flags beat it
        place = ("--config", str(config), "--host", HOST, "--port", str(port))
        path = launch.artefact.path
        if launch.configuration.knob("backend") == "tensorrt" and path is not None:
            return (str(path / "engine"), "--tokenizer", self._model, "--backend", "tensorrt", *place)
        named = ("--served_model_name", self._model) if self.generation.names_served_model else ()
        return (self._model if path is None else str(path), *place, *named)

    def _yaml(self, configuration: Configuration, sequence_tokens: int, *, reuses_blocks: bool) -> str:
        if configuration.knob("backend") == "tensorrt":
            return engine_yaml(configuration, reuses_blocks=reuses_blocks)
        arguments = arguments_of(
            configuration,
            sequence_tokens,
            self._shape,
            _gpu(configuration.gpu),
            reuses_blocks=reuses_blocks,
            version=self.generation.name,
        )
        return to_yaml(arguments)

    @cached_property
    def _shape(self) -> ModelShape | None:
        return shape_of(self._model)

    def _idle_knob(self, configuration: Configuration) -> str | None:
        experts = configuration.expert_parallel
        if experts > 1 and self._shape is not None and not self._shape.is_moe:
            return f"expert_parallel {experts} says nothing to {self._shape.name}, which has no experts; use 1"
        return None

    def _unavailable(self, configuration: Configuration) -> str | None:
        if configuration.knob("backend") == "tensorrt":
            find_checkpoint(self._model, "bfloat16")
            return None if self._installation.examples else f"backend tensorrt converts checkpoints; {NO_EXAMPLES}"
        found = find_checkpoint(self._model, configuration.weights)
        if found.must_be_made and self._installation.quantiser is None:
            return f"weights {configuration.weights} are not there, and would have to be made; {NO_QUANTISER}"
        if found.kv_cache in ("fp8", "nvfp4") and configuration.kv_cache == "bfloat16":
            return f"the checkpoint asks for a {found.kv_cache} KV cache; use kv_cache {found.kv_cache}"
        return None

    def _folders(self, launch: Launch) -> tuple[Path, ...]:
        model = Path(self._model).expanduser()
        given = (launch.folder, launch.artefact.path, model.resolve() if model.is_dir() else hub_folder(os.environ))
        return tuple(path for path in given if path is not None)


def _backend(configuration: Configuration) -> str:
    return str(configuration.knob("backend") or "pytorch")


def _gpu(name: str) -> Gpu | None:
    try:
        return find_gpu(name)
    except SpecError:
        return None
