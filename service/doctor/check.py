"""What one check found."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """`missing`: not there, and only needed for some of what paretune does. `broken`: there, or asked for, and wrong."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what was found, and what to do where it is not well.

    `is_needed`: without it not even a simulation runs.
    """

    name: str
    verdict: Verdict
    found: str
    mend: str = ""
    is_needed: bool = False

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return asdict(self)


def works(checks: list[Check]) -> bool:
    """Whether everything is well that is needed."""
    return all(check.verdict is Verdict.OK for check in checks if check.is_needed)
