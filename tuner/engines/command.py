"""Any OpenAI-compatible server, started by the job spec's own command."""

from pathlib import Path

from tuner.configuration import KNOBS, Configuration
from tuner.engines.base import Launch
from tuner.engines.command_line import PLACES, filled, places_of
from tuner.engines.plan import ServerPlan
from tuner.engines.ports import free_port
from tuner.engines.running import ChoosePort
from tuner.engines.served import ServedEngine
from tuner.errors import SpecError
from tuner.space.own_knobs import EngineKnob, own_knobs
from tuner.spec import Command, Engine
from tuner.spec_problems import near


class CommandEngine(ServedEngine):
    """A server of which only its command is known."""

    def __init__(self, model: str, data_dir: Path, command: Command, choose_port: ChoosePort = free_port) -> None:
        """Raises `SpecError` for a placeholder that names nothing, or a knob that stands in no argument."""
        super().__init__(Engine.COMMAND.value, model, data_dir, choose_port)
        _check(command)
        self._command = command

    @property
    def knobs(self) -> tuple[EngineKnob, ...]:
        """The knobs of the command, then the common ones that stand in its arguments."""
        given = {name: tuple(values) for name, values in self._command.knobs.items()}
        used = {name: () for name in sorted(places_of(self._command)) if name in KNOBS and name not in given}
        return own_knobs(self.name, given=given | used)

    @property
    def start_timeout_seconds(self) -> float:
        """Longest start, unless the launch says otherwise."""
        return 600.0

    def plan(self, launch: Launch) -> ServerPlan:
        """The command with its placeholders filled in."""
        return ServerPlan(
            engine=self.name,
            model=self._model,
            arguments=lambda port: filled(self._command, self._model, launch, port),
            folder=launch.folder,
            artefact=launch.artefact,
            start_timeout_seconds=self.start_timeout(launch),
            patterns=self.failure_patterns,
            environment=self._command.environment,
            devices=launch.devices,
            ready_path=self._command.ready,
            metrics_path="/metrics",
        )

    def illegal_together(self, configuration: Configuration) -> str | None:
        """A placeholder without a value cannot be filled in."""
        unset = sorted(places_of(self._command) - set(PLACES) - set(configuration.to_dict()))
        return f"the command needs a value of {unset[0]}; give it in command.knobs or space" if unset else None

    def missing(self, program: str) -> str:
        """What to do where the program is not installed."""
        return f"{program} of command.arguments is no program here; give its path, or install it"


def _check(command: Command) -> None:
    places = places_of(command)
    known = {*PLACES, *KNOBS, *command.knobs}
    for place in sorted(places - known):
        raise SpecError.of(
            "command.arguments", f"{{{place}}} is neither a knob nor {', '.join(PLACES)}; {near(place, known)}"
        )
    for knob in command.knobs:
        if knob not in places:
            raise SpecError.of(
                f"command.knobs.{knob}", f"no argument holds {{{knob}}}; write it where its value belongs"
            )
    if "port" not in places:
        raise SpecError.of("command.arguments", "the port is chosen for each start; write {port} where it belongs")
