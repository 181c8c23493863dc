"""Where TensorRT-LLM is: in an environment of its own, reached by a command prefix or in a container image."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tuner.engines.environment import RUN_VARIABLE, clean_environment
from tuner.errors import SpecError

SERVE: Final = "trtllm-serve"
BENCH: Final = "trtllm-bench"
BUILD: Final = "trtllm-build"
PYTHON: Final = "python3"

_ASK_VERSION: Final = "from importlib.metadata import version; print(version('tensorrt_llm'))"
_ASK_SECONDS: Final = 120.0
_PASSED: Final = (RUN_VARIABLE, "HF_TOKEN", "HF_HUB_OFFLINE", "PYTHONUNBUFFERED")
"""Variables that a container is given, by name, so that no secret stands in a command line."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container to run: its name, the GPUs it sees (empty: all), and folders that it sees under the same path."""

    name: str
    devices: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Installation:
    """How TensorRT-LLM's programs are started.

    `command`: what is written before a program's name (`conda run -n trtllm`), or the path of `trtllm-serve` itself,
    whose neighbours the other programs are. `image`: a container image, used in place of a command. `quantiser`: the
    path there of Model Optimizer's `hf_ptq.py`. `examples`: the path there of TensorRT-LLM 1.2's `examples` folder.
    """

    command: tuple[str, ...] = ()
    image: str | None = None
    quantiser: str | None = None
    examples: str | None = None

    @classmethod
    def of(cls, command: str = "", image: str = "", quantiser: str = "", examples: str = "") -> Self:
        """From settings as text, empty where not set; raises `SpecError` when they contradict one another."""
        if command and image:
            raise SpecError.of("PARETUNE_TRTLLM_IMAGE", "PARETUNE_TRTLLM_COMMAND is set too; unset one of the two")
        try:
            words = tuple(shlex.split(command))
        except ValueError as error:
            raise SpecError.of("PARETUNE_TRTLLM_COMMAND", f"{error}; close the quotes") from None
        return cls(words, image or None, quantiser or None, examples or None)

    @property
    def is_container(self) -> bool:
        """Whether programs run in a container."""
        return self.image is not None

    def words(self, program: str, arguments: Sequence[str], container: Container) -> tuple[str, ...]:
        """The argument list that starts a program; `container` says how, where that is one."""
        if self.image is not None:
            return (*_docker_run(self.image, container), program, *arguments)
        if self.command and Path(self.command[-1]).name.startswith(SERVE):
            return (*self.command[:-1], _neighbour(self.command[-1], program), *arguments)
        return (*self.command, program, *arguments)

    def stop_words(self, container: Container) -> tuple[str, ...]:
        """What ends the container by its name; empty without one."""
        return ("docker", "rm", "--force", container.name) if self.is_container else ()

    def ask_version(self) -> str:
        """The installed version, asked of the package's metadata; `unknown` when nobody answers in two minutes."""
        told = self.ask_python(_ASK_VERSION, "version", _ASK_SECONDS)
        lines = told.stdout.split() if told is not None else []
        return lines[-1] if told is not None and told.returncode == 0 and lines else "unknown"

    def ask_python(self, code: str, what: str, seconds: float) -> "subprocess.CompletedProcess[str] | None":
        """What the installation's Python prints when it runs `code`; `None` when it cannot, or not in so many seconds."""
        words = self.words(PYTHON, ("-c", code), Container(f"paretune-{what}-{os.getpid()}"))
        try:
            return subprocess.run(  # noqa: S603
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
                env=clean_environment(os.environ, {}, what),
            )
        except (OSError, subprocess.TimeoutExpired):
            return None


def hub_folder(environment: Mapping[str, str]) -> Path:
    """Where the model hub's client keeps what it has fetched."""
    home = environment.get("HF_HOME")
    return Path(home) if home else Path(environment.get("HOME", "/root")) / ".cache" / "huggingface"


def _neighbour(serve: str, program: str) -> str:
    folder = Path(serve).parent
    return str(folder / program) if folder != Path() else program


def _docker_run(image: str, container: Container) -> tuple[str, ...]:
    # docker reads the value of --gpus as CSV: several devices need quotes of their own
    gpus = f'"device={",".join(container.devices)}"' if container.devices else "all"
    words = ["docker", "run", "--rm", "--init", "--name", container.name, "--gpus", gpus]
    words += ["--network", "host", "--ipc", "host", "--ulimit", "memlock=-1", "--ulimit", "stack=67108864"]
    for name in _PASSED:
        words += ["--env", name]
    for folder in dict.fromkeys(container.folders):
        words += ["--volume", f"{folder}:{folder}"]
    return (*words, image)
