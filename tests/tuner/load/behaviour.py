"""How the known server answers, and what it can do wrong."""

from dataclasses import dataclass
from enum import StrEnum


class Misbehaviour(StrEnum):
    """What goes wrong in the middle of a stream, after `after_tokens` tokens."""

    STALL = "stall"
    DROP = "drop"
    RESET = "reset"
    CLEAN_END = "clean_end"
    STREAM_ERROR = "stream_error"
    LIE_OUTPUT = "lie_output"
    LIE_PROMPT = "lie_prompt"
    NO_USAGE = "no_usage"
    SHORT = "short"
    GARBAGE = "garbage"
    PINGS_ONLY = "pings_only"


class Counting(StrEnum):
    """How the server says, chunk by chunk, how many tokens there are so far."""

    NONE = "none"
    USAGE = "usage"
    TIMINGS = "timings"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the server answers: seconds to the first token, seconds between tokens, and what it does wrong."""

    ttft_seconds: float = 0.02
    token_seconds: float = 0.002
    tokens_per_chunk: int = 1
    counting: Counting = Counting.NONE
    misbehaviour: Misbehaviour | None = None
    after_tokens: int = 3
    healthy_requests: int = 0
    refusals: int = 0
    accept_seconds: float = 0.0
    dribble_bytes: int = 0
    vocabulary: int | None = 1000
    token_prompts: bool = True
    known_fields: frozenset[str] | None = None
    key: str | None = None
