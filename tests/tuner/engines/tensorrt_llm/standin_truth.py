"""What the stand-in's users would see, played by the scheduling simulator itself in no time; test equipment.

It is the answer of the stand-in's `trtllm-bench`, and what measurements of its `trtllm-serve` are held against.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.tuner.engines.tensorrt_llm.standin_batching import LAUNCH_MS, Machine
from tuner.simulator.latency.arrivals import Traffic
from tuner.simulator.latency.limits import EngineLimits
from tuner.simulator.latency.scheduling import simulate
from tuner.simulator.latency.timeline import Timeline


@dataclass(frozen=True)
class _Clock:
    """The step times of a machine, in the words of the scheduler (ms)."""

    machine: Machine

    def decode(self, requests: int, mean_length: float) -> float:
        """A generation-only step."""
        return self.machine.steps.times.decode(requests, mean_length) + self._launch_ms

    def mixed(self, context_tokens: int, requests: int, mean_length: float, prefix_work: float = 0.0) -> float:
        """A step that prefills too."""
        times = self.machine.steps.times
        return times.mixed(context_tokens, requests, mean_length, prefix_work) + self._launch_ms

    @property
    def _launch_ms(self) -> float:
        return 0.0 if self.machine.cuda_graphs else LAUNCH_MS


def played(machine: Machine, requests: Sequence[tuple[int, int]], concurrency: int, spread_ms: float = 0.0) -> Timeline:
    """One lane's share of requests (prompt and output tokens each) in a closed loop; times as at speed 1.

    All users start at once, or evenly over `spread_ms`.
    """
    lanes = machine.lanes
    limits = EngineLimits(
        max_batch_size=machine.max_batch_size // lanes,
        max_num_tokens=machine.max_num_tokens // lanes,
        chunked_prefill=machine.chunked,
        kv_tokens=machine.cache_tokens // lanes,
        host=machine.steps.host,
    )
    share = np.array(requests[::lanes], dtype=np.int64)
    users = min(-(-concurrency // lanes), len(share))
    sent = np.linspace(0.0, spread_ms, users, endpoint=False)
    return simulate(_Clock(machine), limits, Traffic(share[:, 0], share[:, 1], sent, users))
