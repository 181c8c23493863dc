"""vLLM, started by `vllm serve` in an environment of its own."""

from tuner.configuration import Configuration
from tuner.engines import vllm_flags
from tuner.engines.base import Launch
from tuner.engines.flagged import FlaggedEngine
from tuner.spec import Engine


class VllmEngine(FlaggedEngine):
    """vLLM's OpenAI-compatible server."""

    engine = Engine.VLLM
    default_program = ("vllm",)
    version_paths = ("/version",)

    def illegal_together(self, configuration: Configuration) -> str | None:
        """Rules that vLLM holds its own arguments to, and those that keep a figure honest."""
        return vllm_flags.illegal_together(self._model, configuration)

    def flags(self, launch: Launch, port: int) -> tuple[str, ...]:
        """What follows the program on the command line."""
        return vllm_flags.arguments(self._model, launch, port)
