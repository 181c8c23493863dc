"""What every request of a simulated run lived through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tuner.simulator.latency.arrivals import FloatArray, IntArray


@dataclass(frozen=True)
class Timeline:
    """What every request lived through; arrays in the order the requests were sent, times in ms.

    ``step_gaps_ms`` and ``step_tokens``: gaps between tokens as decoding requests saw them, and how many times each;
    ``step_ends_ms``: when the steps behind them ended.
    ``unserved``: numbers of requests that can never fit (prompt above the token budget, or above the KV cache).
    """

    sent_ms: FloatArray
    first_token_ms: FloatArray
    end_ms: FloatArray
    input_tokens: IntArray
    output_tokens: IntArray
    step_gaps_ms: FloatArray
    step_ends_ms: FloatArray
    step_tokens: FloatArray
    peak_requests: int
    peak_kv_tokens: int
    evictions: int
    longest_queue: int
    final_queue: int
    unserved: tuple[int, ...] = ()

    @property
    def ttft_ms(self) -> FloatArray:
        """Time to first token."""
        return self.first_token_ms - self.sent_ms

    @property
    def request_latency_ms(self) -> FloatArray:
        """Time to the last token."""
        return self.end_ms - self.sent_ms

    @property
    def tpot_ms(self) -> FloatArray:
        """Mean time per output token after the first; NaN for answers of one token."""
        gaps = (self.output_tokens - 1).astype(np.float64)
        tpot: FloatArray = np.full(len(gaps), np.nan)
        np.divide(self.end_ms - self.first_token_ms, gaps, out=tpot, where=gaps > 0)
        return tpot
