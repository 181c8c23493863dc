"""Errors of the tuning library, each with the mend in its message.

TunerError
├── SpecError             what the user asked for cannot be done; carries one SpecProblem per wrong field
├── KernelDataError       the kernel data cannot be loaded at all (a fault of the machine)
└── ExportError           this trial cannot be written in this format
"""

from collections.abc import Sequence
from dataclasses import dataclass


class TunerError(Exception):
    """Root of every error raised by `tuner`."""


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """One wrong field of a job spec.

    `field` is the dotted path (`space.tensor_parallel`), `message` says what is wrong and what would be right.
    """

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class SpecError(TunerError):
    """The job spec is wrong; `problems` names each wrong field and its mend."""

    def __init__(self, problems: Sequence[SpecProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type["SpecError"], tuple[tuple[SpecProblem, ...]]]:
        """Crosses process borders whole: by its problems, not by its message."""
        return type(self), (self.problems,)

    @classmethod
    def of(cls, field: str, message: str) -> "SpecError":
        """The error of a single wrong field."""
        return cls([SpecProblem(field, message)])


class KernelDataError(TunerError):
    """The kernel data of a GPU and an engine cannot be loaded on this machine."""


class ExportError(TunerError):
    """A trial cannot be written in the asked format."""
