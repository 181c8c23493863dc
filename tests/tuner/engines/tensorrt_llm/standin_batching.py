"""In-flight batching in real time, step by step, with the step times of the scheduling simulator; test equipment.

Attention ranks and pipeline lanes are alike: requests and prompt tokens are divided evenly among them. Without CUDA
graphs, which the kernel data does not know, every step waits for its kernels to be launched.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.tuner.engines.tensorrt_llm.standin_steps import Steps
from tuner.configuration import Configuration

LAUNCH_MS: Final = 4.0
"""The stand-in's own: enough to tell a configuration without CUDA graphs from one with them."""

MOST_BEHIND_SECONDS: Final = 0.2


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
    """How fast a configuration is, and what its scheduler may do, over all lanes; `speed` divides its times."""

    steps: Steps
    lanes: int
    max_batch_size: int
    max_num_tokens: int
    chunked: bool
    cuda_graphs: bool
    cache_tokens: int
    speed: float = 1.0

    @classmethod
    def of(
        cls, data: Mapping[str, Any], configuration: Configuration, steps: Steps, cache_tokens: int, speed: float
    ) -> "Machine":
        """The machine of a YAML file's content, which `configuration` repeats in our words."""
        lanes = configuration.data_parallel_ranks * configuration.pipeline_parallel
        return cls(
            steps=steps,
            lanes=lanes,
            max_batch_size=data.get("max_batch_size", 2048) * lanes,
            max_num_tokens=data.get("max_num_tokens", 8192) * lanes,
            chunked=data.get("enable_chunked_prefill", False),
            cuda_graphs=data.get("cuda_graph_config", {}) is not None,
            cache_tokens=cache_tokens,
            speed=speed,
        )

    def step_seconds(self, decoding: int, mean_length: float, prompt_tokens: int, prefix_work: float = 0.0) -> float:
        """How long a step lasts; see `StepTimes.mixed`."""
        times, host, requests = self.steps.times, self.steps.host, -(-decoding // self.lanes)
        if prompt_tokens:
            share = -(-prompt_tokens // self.lanes)
            step_ms = times.mixed(share, requests, mean_length, prefix_work / self.lanes)
            step_ms = max(step_ms, host.prefill_floor_ms)
        else:
            step_ms = times.decode(requests, mean_length)
        launch_ms = 0.0 if self.cuda_graphs else LAUNCH_MS
        return (step_ms + host.step_ms + launch_ms) / 1000 / self.speed

    def intake_seconds(self, prompt: int) -> float:
        """From a request's arrival until it can be scheduled, one beside the other."""
        host = self.steps.host
        side = host.intake_ms + host.intake_ms_per_token * prompt + host.first_token_ms
        return (side + host.serial_ms + host.serial_ms_per_token * prompt) / 1000 / self.speed


class Batching:
    """Runs requests together, step by step; `stop` ends that, and whoever waits for a token waits for ever."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []
        self._woken = asyncio.Event()
        self._stopped = False

    def stop(self) -> None:
        """Makes no step any more, as when a rank is gone and the others wait for it."""
        self._stopped = True

    async def tokens(self, prompt: int, output: int) -> AsyncIterator[int]:
        """The numbers of a request's tokens as they are made."""
        await asyncio.sleep(self._machine.intake_seconds(prompt))
        request = Request(prompt, output)
        self._waiting.append(request)
        self._woken.set()
        for _ in range(output):
            yield await request.tokens.get()

    async def run(self) -> None:
        """Steps until it is stopped."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._stopped:
            self._admit()
            if not self._running:
                self._woken.clear()
                if not self._waiting:
                    await self._woken.wait()
                due = loop.time()
                continue
            # late wake-ups do not add up, so that tokens keep the simulated pace; a machine that stood still is forgiven
            due = max(due + self._step(), loop.time() - MOST_BEHIND_SECONDS)
            await asyncio.sleep(due - loop.time())
            for request in self._running:
                if request.prefilled >= request.prompt:
                    request.made += 1
                    request.tokens.put_nowait(request.made)
            self._running = [one for one in self._running if one.made < one.output]

    def _step(self) -> float:
        """Schedules a step; gives its seconds."""
        decoding = [one for one in self._running if one.prefilled >= one.prompt]
        length = sum(one.prompt + one.made for one in decoding) / len(decoding) if decoding else 0.0
        prompt_tokens, prefix_work = self._prefill(len(decoding))
        return self._machine.step_seconds(len(decoding), length, prompt_tokens, prefix_work)

    def _admit(self) -> None:
        held = sum(one.prompt + one.output for one in self._running)
        while self._waiting and len(self._running) < self._machine.max_batch_size:
            needed = self._waiting[0].prompt + self._waiting[0].output
            if self._running and held + needed > self._machine.cache_tokens:
                return
            held += needed
            self._running.append(self._waiting.popleft())

    def _prefill(self, decoding: int) -> tuple[int, float]:
        """Computes prompts within the step's budget (whole where they are not chunked): tokens, and prefix work."""
        budget = self._machine.max_num_tokens - decoding
        used, work = 0, 0.0
        for request in self._running:
            left = request.prompt - request.prefilled
            if left <= 0:
                continue
            taken = min(left, budget - used) if self._machine.chunked else left
            if taken <= 0 or (used and used + taken > budget):
                break
            work += taken * request.prefilled
            request.prefilled += taken
            used += taken
        return used, work
