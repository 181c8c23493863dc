"""SGLang, started by `python3 -m sglang.launch_server` in an environment of its own."""

from tuner.configuration import Configuration
from tuner.engines import sglang_flags
from tuner.engines.base import Launch
from tuner.engines.flagged import FlaggedEngine
from tuner.spec import Engine


class SglangEngine(FlaggedEngine):
    """SGLang's OpenAI-compatible server."""

    engine = Engine.SGLANG
    default_program = ("python3", "-m", "sglang.launch_server")
    version_paths = ("/server_info", "/get_server_info")

    def illegal_together(self, configuration: Configuration) -> str | None:
        """Rules that SGLang holds its own arguments to, and those that keep a figure honest."""
        return sglang_flags.illegal_together(self._model, configuration)

    def flags(self, launch: Launch, port: int) -> tuple[str, ...]:
        """What follows the program on the command line."""
        return sglang_flags.arguments(self._model, launch, port)
