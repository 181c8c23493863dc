"""`paretune estimate --batch`: JSON Lines in, JSON Lines out, in order; a bad line does not stop the others."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pydantic import ValidationError

from service.cli.errors import BadUsageError
from tuner.errors import SpecError
from tuner.evaluators.estimate import EstimateRequest, simulate_one
from tuner.simulator.kernel_data import KernelData
from tuner.spec_problems import problems_of
from tuner.trial import FailureKind, Measurement


def run_batch(path: Path) -> None:
    """Answers every line of a file (`-`: standard input) on standard output; empty lines are passed over."""
    with _opened(path) as lines:
        for answer in answers(lines, KernelData()):
            sys.stdout.write(json.dumps(answer, ensure_ascii=False, allow_nan=False) + "\n")


def answers(lines: Iterable[str], kernels: KernelData) -> Iterator[dict[str, object]]:
    """One answer per line that is not empty."""
    for line in lines:
        if line.strip():
            yield _answer(line, kernels)


def answer_of(found: Measurement) -> dict[str, object]:
    """A simulated configuration as the contract writes it."""
    if found.failure is not None:
        return {"failure": found.failure.kind.value, "detail": found.failure.detail}
    return {"metrics": dict(found.metrics), "provenance": {key: kind.value for key, kind in found.provenance.items()}}


def request_of(data: object) -> EstimateRequest:
    """The request of plain data; raises `SpecError` naming each wrong field."""
    try:
        return EstimateRequest.model_validate(data)
    except ValidationError as error:
        raise SpecError(problems_of(error.errors(include_url=False), EstimateRequest)) from None


def _answer(line: str, kernels: KernelData) -> dict[str, object]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        return _refused(f"the line is not valid JSON ({error}); mend it")
    if not isinstance(data, dict):
        return _refused("the line is no JSON object; start with model, gpu, input_tokens, output_tokens, concurrency")
    try:
        _, found = simulate_one(request_of(data), kernels)
    except SpecError as error:
        return _refused(str(error))
    return answer_of(found)


def _refused(detail: str) -> dict[str, object]:
    return {"failure": FailureKind.UNSUPPORTED.value, "detail": detail}


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        yield sys.stdin
        return
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadUsageError(f"cannot read {path} ({error.strerror}); name a file of JSON Lines, or -") from None
    with file:
        yield file
