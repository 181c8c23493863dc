"""What the known server remembers: each request, and when it wrote each chunk of the answer."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.tuner.load.behaviour import Behaviour


class Wheel:
    """Timers rounded up to a millisecond, which all that are due in it share: cheap where each stream needs 50 a second."""

    def __init__(self) -> None:
        self._ticks: dict[int, list[Callable[[], None]]] = {}

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Calls at a moment of the monotonic clock, or up to a millisecond later."""
        tick = math.ceil(when * 1000)
        due = self._ticks.get(tick)
        if due is None:
            self._ticks[tick] = [call]
            asyncio.get_running_loop().call_at(tick / 1000, self._turn, tick)
        else:
            due.append(call)

    def _turn(self, tick: int) -> None:
        for call in self._ticks.pop(tick):
            call()


@dataclass(slots=True)
class Served:
    """One request as the server saw it: when it had read it, and when it wrote each chunk with how many tokens."""

    received: float
    prompt: list[int]
    output_tokens: int
    writes: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    complete: bool = False


@dataclass(slots=True)
class Known:
    """The state of one server: its behaviour, its log, and how many connections and requests it has seen."""

    behaviour: Behaviour
    served: list[Served] = field(default_factory=list)
    connections: int = 0
    refused: int = 0
    open: int = 0
    wheel: Wheel = field(default_factory=Wheel)

    def log(self) -> list[dict[str, Any]]:
        """The log as plain data; prompts by their length alone."""
        return [
            {
                "received": one.received,
                "prompt_tokens": len(one.prompt),
                "output_tokens": one.output_tokens,
                "writes": one.writes,
                "tokens": one.tokens,
                "complete": one.complete,
            }
            for one in self.served
        ]
