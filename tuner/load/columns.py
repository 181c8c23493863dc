"""Per-request figures in columns, filled as requests end, so that a look at them takes no time from the load."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from tuner.load.records import RequestRecord
from tuner.load.statistics import Floats

MS: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Served:
    """Requests that were answered whole, in order of their end: moments in seconds, latencies in ms, tokens.

    `tpot_ms` is NaN where there is one token only.
    """

    ended: Floats
    ttft_ms: Floats
    tpot_ms: Floats
    request_latency_ms: Floats
    input_tokens: Floats
    output_tokens: Floats

    @property
    def streaming_seconds(self) -> Floats:
        """From the first to the last token."""
        return (self.request_latency_ms - self.ttft_ms) / MS

    def between(self, start: float, end: float) -> "Served":
        """Those that ended between two moments."""
        first, last = np.searchsorted(self.ended, [start, end])
        cut = slice(int(first), int(last))
        return Served(
            self.ended[cut],
            self.ttft_ms[cut],
            self.tpot_ms[cut],
            self.request_latency_ms[cut],
            self.input_tokens[cut],
            self.output_tokens[cut],
        )

    def __len__(self) -> int:
        return len(self.ended)


@dataclass(slots=True)
class Columns:
    """Grows by one row for each request that was answered whole; TPOT and latency end with the last token."""

    _rows: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, record: RequestRecord) -> None:
        """Takes a whole record with tokens and usage."""
        assert record.output_tokens is not None
        first, last = record.chunk_seconds[0], record.chunk_seconds[-1]
        after = record.output_tokens - 1
        self._rows.append(
            (
                record.ended,
                (first - record.scheduled) * MS,
                (last - first) * MS / after if after > 0 else float("nan"),
                (last - record.scheduled) * MS,
                record.input_tokens,
                record.output_tokens,
            )
        )

    def served(self) -> Served:
        """What there is so far."""
        table: npt.NDArray[np.float64] = np.array(self._rows, dtype=np.float64).reshape(-1, 6)
        ordered = table[np.argsort(table[:, 0], kind="stable")]
        return Served(*(np.ascontiguousarray(column) for column in ordered.T))
