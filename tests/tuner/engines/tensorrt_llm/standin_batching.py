"""In-flight batching with known token times, so that knobs matter; test equipment, never a figure's source.

A step of `b` decoding requests and `p` prompt tokens lasts `a + b·B + c·p`, divided among the GPUs of a replica with
some loss, and shorter with smaller weights.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

STEP_SECONDS = 0.008
REQUEST_SECONDS = 0.00012
PROMPT_TOKEN_SECONDS = 0.00004
WEIGHTS = {"bfloat16": 1.0, "fp8": 0.65, "fp8_block": 0.68, "nvfp4": 0.45, "int4_awq": 0.55}


@dataclass
class Request:
    """One request; lengths in tokens."""

    prompt: int
    output: int
    prefilled: int = 0
    made: int = 0
    tokens: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)


@dataclass(frozen=True)
class Machine:
    """How fast a configuration is: what `trtllm-serve` was told, and the precision of its checkpoint."""

    tensor_parallel: int
    max_batch_size: int
    max_num_tokens: int
    chunked: bool
    cuda_graphs: bool
    cache_tokens: int
    weights: str
    speed: float

    @classmethod
    def of(cls, data: Mapping[str, Any], weights: str, cache_tokens: int, speed: float) -> "Machine":
        """The machine of a YAML file's content."""
        return cls(
            tensor_parallel=data.get("tensor_parallel_size", 1),
            max_batch_size=data.get("max_batch_size", 2048),
            max_num_tokens=data.get("max_num_tokens", 8192),
            chunked=data.get("enable_chunked_prefill", False),
            cuda_graphs=data.get("cuda_graph_config", {}) is not None,
            cache_tokens=cache_tokens,
            weights=weights,
            speed=speed,
        )

    def step_seconds(self, decoding: int, prompt_tokens: int) -> float:
        """How long a step lasts."""
        share = self.tensor_parallel**0.8
        factor = WEIGHTS.get(self.weights, 1.0) / share
        launch = 0.0 if self.cuda_graphs else 0.004
        step = STEP_SECONDS * factor + launch + REQUEST_SECONDS * decoding / share
        return float(step + PROMPT_TOKEN_SECONDS * factor * prompt_tokens) / self.speed


class Batching:
    """Runs requests together, step by step."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []
        self._woken = asyncio.Event()

    async def tokens(self, prompt: int, output: int) -> AsyncIterator[int]:
        """The numbers of a request's tokens as they are made."""
        request = Request(prompt, output)
        self._waiting.append(request)
        self._woken.set()
        for _ in range(output):
            yield await request.tokens.get()

    async def run(self) -> None:
        """Steps for ever."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._admit()
            if not self._running:
                self._woken.clear()
                if not self._waiting:
                    await self._woken.wait()
                due = loop.time()
                continue
            prompt_tokens = self._prefill()
            decoding = [one for one in self._running if one.prefilled >= one.prompt]
            due = max(due + self._machine.step_seconds(len(decoding), prompt_tokens), loop.time())
            await asyncio.sleep(due - loop.time())
            for request in decoding:
                request.made += 1
                request.tokens.put_nowait(request.made)
            self._running = [one for one in self._running if one.made < one.output]

    def _admit(self) -> None:
        held = sum(one.prompt + one.output for one in self._running)
        while self._waiting and len(self._running) < self._machine.max_batch_size:
            needed = self._waiting[0].prompt + self._waiting[0].output
            if self._running and held + needed > self._machine.cache_tokens:
                return
            held += needed
            self._running.append(self._waiting.popleft())

    def _prefill(self) -> int:
        """Computes prompts within the step's budget; prompts are whole where they are not chunked."""
        budget = self._machine.max_num_tokens - sum(1 for one in self._running if one.prefilled >= one.prompt)
        used = 0
        for request in self._running:
            left = request.prompt - request.prefilled
            if left <= 0:
                continue
            taken = min(left, budget - used) if self._machine.chunked else left
            if taken <= 0 or (used and used + taken > budget):
                break
            request.prefilled += taken
            used += taken
        return used
