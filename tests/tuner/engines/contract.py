"""What every engine does: the contract that its own test class inherits."""

import dataclasses
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tuner.engines.conftest import eventually, processes_with
from tuner.configuration import Configuration
from tuner.engines.base import LOG_TAIL_BYTES, Engine, Launch
from tuner.engines.errors import EngineFailedError, StartCancelledError
from tuner.engines.members import members
from tuner.engines.ports import is_free
from tuner.engines.served import ledger_of
from tuner.trial import FailureKind


@dataclass(frozen=True)
class Case:
    """An engine to test: a configuration that it starts quickly, and the data directory that it was opened with."""

    engine: Engine
    configuration: Configuration
    data_dir: Path

    def launch(self, folder: Path, **changes: object) -> Launch:
        artefact = self.engine.build(self.configuration)
        plain = Launch(self.configuration, artefact, sequence_tokens=200, folder=folder)
        return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


class EngineContract:
    """Given a `case` fixture, everything that callers of an engine rely on."""

    def test_its_knobs_take_the_values_that_are_searched(self, case: Case) -> None:
        knobs = case.engine.knobs
        assert len({knob.name for knob in knobs}) == len(knobs)
        for knob in knobs:
            assert knob.meaning
            assert [knob.refused(value) for value in knob.values] == [None] * len(knob.values)

    def test_a_legal_configuration_is_legal(self, case: Case) -> None:
        assert case.engine.illegal(case.configuration) is None

    def test_a_knob_that_it_does_not_have_is_named(self, case: Case) -> None:
        changed = dataclasses.replace(case.configuration, options=(("no_such_knob", 1),))
        assert "no_such_knob" in str(case.engine.illegal(changed))

    def test_an_illegal_configuration_is_refused_before_anything_starts(self, case: Case, tmp_path: Path) -> None:
        changed = dataclasses.replace(case.configuration, options=(("no_such_knob", 1),))
        with pytest.raises(EngineFailedError) as caught:
            case.engine.start(case.launch(tmp_path, configuration=changed))
        assert caught.value.failure.kind is FailureKind.UNSUPPORTED
        assert ledger_of(case.data_dir).records() == []

    def test_what_is_built_is_built_once(self, case: Case) -> None:
        first = case.engine.build(case.configuration)
        again = case.engine.build(case.configuration)
        assert again.path == first.path
        assert again.was_cached or again.build_seconds is None

    def test_a_build_can_be_called_off(self, case: Case) -> None:
        with pytest.raises(StartCancelledError):
            case.engine.build(case.configuration, lambda: True)

    def test_it_starts_answers_and_leaves_nothing(self, case: Case, tmp_path: Path, mark: str) -> None:
        with case.engine.start(case.launch(tmp_path / "trial")) as running:
            address = running.wait_ready()
            [record] = ledger_of(case.data_dir).records()
            assert (address.port, address.host) == (record.port, "127.0.0.1")
            assert running.wait_ready() == address
            assert address.model
            assert running.failure() is None
            assert isinstance(running.metrics(), dict)
            facts = running.facts()
            assert facts["engine"] == case.engine.name
            assert isinstance(facts["ready_seconds"], float)
            assert members(record.run, record.keeper)
        running.stop()
        assert members(record.run, record.keeper) == []
        assert processes_with(mark) == []
        assert is_free(address.port)
        assert ledger_of(case.data_dir).records() == []
        assert running.log_path.is_relative_to(tmp_path / "trial")
        assert len(running.log_tail().encode()) <= LOG_TAIL_BYTES
        assert running.failure() is None

    def test_it_can_be_stopped_while_it_starts(self, case: Case, tmp_path: Path, mark: str) -> None:
        case.engine.start(case.launch(tmp_path / "trial")).stop()
        assert processes_with(mark) == []
        assert ledger_of(case.data_dir).records() == []

    def test_a_start_can_be_called_off(self, case: Case, tmp_path: Path, mark: str) -> None:
        running = case.engine.start(case.launch(tmp_path / "trial"))
        with pytest.raises(StartCancelledError):
            running.wait_ready(lambda: True)
        assert processes_with(mark) == []

    def test_a_start_has_a_time_limit(self, case: Case, tmp_path: Path, mark: str) -> None:
        running = case.engine.start(case.launch(tmp_path / "trial", start_timeout_seconds=0.01))
        with pytest.raises(EngineFailedError) as caught:
            running.wait_ready()
        assert caught.value.failure.kind is FailureKind.START_TIMEOUT
        assert processes_with(mark) == []

    def test_its_death_is_seen_within_a_second(self, case: Case, tmp_path: Path) -> None:
        with case.engine.start(case.launch(tmp_path / "trial")) as running:
            running.wait_ready()
            [record] = ledger_of(case.data_dir).records()
            assert record.keeper is not None
            for process in members(record.run, record.keeper):
                if process.pid != record.keeper.pid:
                    os.kill(process.pid, signal.SIGKILL)
            assert eventually(lambda: running.failure() is not None, seconds=1.0)
            failure = running.failure()
            assert failure is not None
            assert failure.kind is FailureKind.CRASHED
            assert "SIGKILL" in failure.detail
