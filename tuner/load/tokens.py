"""When single tokens came, from the moments of the chunks that held them."""

from collections.abc import Sequence

import numpy as np

from tuner.load.records import RequestRecord
from tuner.load.statistics import Floats


def output_between(records: Sequence[RequestRecord], edges: Floats) -> Floats:
    """Output tokens that came between each two neighbouring moments, from requests whole and cut, not from failed ones."""
    counted = [record for record in records if record.error is None and record.chunk_seconds]
    if not counted:
        return np.zeros(len(edges) - 1)
    moments = np.concatenate([np.asarray(record.chunk_seconds) for record in counted])
    weights = np.concatenate([_chunk_weights(record) for record in counted])
    return np.histogram(moments, bins=edges, weights=weights)[0].astype(np.float64)


def gaps_between(records: Sequence[RequestRecord], start: float, end: float) -> tuple[Floats, float]:
    """Gaps between tokens in ms, in order of time, that ended between two moments; and how sure they are (0 to 1).

    A chunk of several tokens counts as that many equal gaps, where the engine says how many. Where it does not, a
    request's gaps are known only if it had as many chunks as tokens; the second figure is the share of such requests.
    """
    several = [record for record in records if record.error is None and len(record.chunk_seconds) > 1]
    known = [record for record in several if record.chunk_tokens is not None or _is_token_by_token(record)]
    if not known:
        return np.zeros(0), 0.0
    moments, gaps = zip(*(_gaps(record) for record in known), strict=True)
    at, found = np.concatenate(moments), np.concatenate(gaps) * 1000.0
    inside = (at >= start) & (at <= end)
    return found[inside][np.argsort(at[inside], kind="stable")], len(known) / len(several)


def _is_token_by_token(record: RequestRecord) -> bool:
    """Whether each chunk held one token; of a request that was cut nobody knows the count, and it is taken as one."""
    return record.cut or record.output_tokens == len(record.chunk_seconds)


def _gaps(record: RequestRecord) -> tuple[Floats, Floats]:
    times = np.asarray(record.chunk_seconds)
    between = np.diff(times)
    if record.chunk_tokens is None:
        return times[1:], between
    held = np.maximum(np.asarray(record.chunk_tokens[1:]), 1)
    return np.repeat(times[1:], held), np.repeat(between / held, held)


def _chunk_weights(record: RequestRecord) -> Floats:
    """Tokens of each chunk: as the engine says, else the request's spread over its chunks, else one each."""
    if record.chunk_tokens is not None:
        return np.asarray(record.chunk_tokens, dtype=np.float64)
    chunks = len(record.chunk_seconds)
    tokens = record.output_tokens if record.output_tokens is not None else chunks
    return np.full(chunks, tokens / chunks)
