"""How late the client itself was: its event loop, its sends, and its share of a core."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TICK_SECONDS: Final = 0.01
"""How often the event loop is asked how late it is."""
LAG_FLOOR_MS: Final = 2.0
"""A mean lag below this is never the limit: the loop's timers are up to 1 ms late by themselves (epoll's resolution), and
1 ms more is seen beside an engine that keeps all cores of a small machine busy."""
LAG_SHARE: Final = 0.1
"""A mean lag above this share of the time per output token bends what is measured."""
BUSY_SHARE: Final = 0.9
"""A client thread that computes for more than this share of the time is the limit, whatever its lags say."""
SEND_FLOOR_MS: Final = 10.0
SEND_SHARE: Final = 0.05
"""A median send later than both the floor and this share of the TTFT makes the arrivals another load than asked."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """The client's own lateness in a window: lag of its event loop, delay of its sends (ms), busy share of a core (0 to 1)."""

    loop_lag_mean_ms: float
    loop_lag_p99_ms: float
    loop_lag_max_ms: float
    send_delay_p50_ms: float
    send_delay_p99_ms: float
    busy_share: float


class LoopWatch:
    """Asks the event loop every 10 ms how late it is; a task of the load that is cancelled at its end."""

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._lags: list[float] = []
        self._busy: list[tuple[float, float]] = []

    async def watch(self) -> None:
        """Notes lags for ever; to be run as a task on the loop's own thread."""
        loop = asyncio.get_running_loop()
        while True:
            self._busy.append((loop.time(), time.thread_time()))
            due = loop.time() + TICK_SECONDS
            woken = loop.create_future()
            timer = loop.call_at(due, woken.set_result, None)
            try:
                await woken
            finally:
                timer.cancel()
            self._moments.append(due)
            self._lags.append(loop.time() - due)

    def lateness(self, start: float, end: float, send_delays: Sequence[float]) -> Lateness:
        """The lateness between two moments of the monotonic clock; delays in seconds, of the requests sent in it."""
        moments = np.asarray(self._moments)
        lags = with_missed(np.asarray(self._lags)[(moments >= start) & (moments <= end)]) * 1000.0
        lags = lags if len(lags) else np.zeros(1)
        delays = np.asarray(send_delays if len(send_delays) else [0.0]) * 1000.0
        return Lateness(
            loop_lag_mean_ms=float(lags.mean()),
            loop_lag_p99_ms=float(np.quantile(lags, 0.99)),
            loop_lag_max_ms=float(lags.max()),
            send_delay_p50_ms=float(np.median(delays)),
            send_delay_p99_ms=float(np.quantile(delays, 0.99)),
            busy_share=self._share(start, end),
        )

    def _share(self, start: float, end: float) -> float:
        inside = [mark for mark in self._busy if start <= mark[0] <= end]
        if len(inside) < 2 or inside[-1][0] <= inside[0][0]:
            return 0.0
        return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])


def with_missed(lags: Floats) -> Floats:
    """The lags in seconds, and beside each long one those of the ticks that it kept from being asked.

    Without them a loop that stands still for a second would count as one late tick, not as a hundred (Tene's
    coordinated omission).
    """
    missed = np.floor(lags / TICK_SECONDS).astype(int)
    places = np.arange(missed.sum()) - np.repeat(np.cumsum(missed) - missed, missed)
    return np.concatenate((lags, np.repeat(lags, missed) - (places + 1) * TICK_SECONDS))


def limit_of(lateness: Lateness, tpot_p50_ms: float | None, ttft_p50_ms: float | None) -> str | None:
    """Why the client was the limit of a measurement, in one sentence; `None` when it was not."""
    if lateness.busy_share > BUSY_SHARE:
        return f"it computed for {lateness.busy_share:.0%} of the time on its one core"
    if tpot_p50_ms is not None and lateness.loop_lag_mean_ms > max(LAG_FLOOR_MS, LAG_SHARE * tpot_p50_ms):
        return f"its event loop lagged by {lateness.loop_lag_mean_ms:.1f} ms, at {tpot_p50_ms:.1f} ms a token"
    if ttft_p50_ms is not None and lateness.send_delay_p50_ms > max(SEND_FLOOR_MS, SEND_SHARE * ttft_p50_ms):
        return f"half of its requests were sent more than {lateness.send_delay_p50_ms:.0f} ms late"
    return None
