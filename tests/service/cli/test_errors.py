import pytest

from service.cli.errors import BadUsageError, FailedError, NoFeasibleError, outcome_of
from service.client import RefusedError, UnreachableError
from service.errors import NotFound
from tuner.errors import KernelDataError, SpecError, SpecProblem


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FailedError("x"), 1),
        (BadUsageError("x"), 2),
        (NoFeasibleError("x"), 3),
        (UnreachableError("x"), 4),
        (RefusedError(422, "x"), 2),
        (RefusedError(404, "x"), 1),
        (RefusedError(409, "x"), 1),
        (NotFound("x"), 1),
        (KernelDataError("x"), 1),
        (SpecError.of("", "x"), 2),
    ],
)
def test_every_error_has_its_exit_code(error: Exception, code: int) -> None:
    outcome = outcome_of(error)

    assert outcome is not None
    assert outcome.exit_code == code
    assert outcome.lines == ["x"] or outcome.lines == ("x",)


def test_every_wrong_field_has_its_line() -> None:
    outcome = outcome_of(SpecError([SpecProblem("a", "no"), SpecProblem("b", "never")]))

    assert outcome is not None
    assert outcome.lines == ["a: no", "b: never"]


def test_a_fault_of_our_code_is_not_explained_away() -> None:
    assert outcome_of(ZeroDivisionError()) is None
