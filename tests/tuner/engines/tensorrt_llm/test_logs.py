"""What is read from TensorRT-LLM's logs: each file in `logs/` is named by the failure that it tells of.

Made from recorded logs of 1.1 and 1.2 and the texts in TensorRT-LLM's sources (`failure_texts.py` has the places).
"""

from pathlib import Path

import pytest

from tuner.engines.failure_texts import FAILURE_PATTERNS
from tuner.engines.failures import named_by
from tuner.engines.tensorrt_llm.failure_texts import TENSORRT_LLM, TENSORRT_LLM_LAST
from tuner.engines.tensorrt_llm.start_log import parse_start, read_start, too_small

LOGS = Path(__file__).with_name("logs")
FAILED = sorted(LOGS.glob("*--*.log"))
PATTERNS = FAILURE_PATTERNS["tensorrt-llm"]


@pytest.mark.parametrize("path", FAILED, ids=lambda path: path.stem)
def test_a_log_names_its_failure(path: Path) -> None:
    failure = named_by(PATTERNS, path.read_text())
    assert failure is not None
    assert failure.kind == path.stem.partition("--")[0]


def test_every_pattern_has_a_log() -> None:
    lines = [line for path in FAILED for line in path.read_text().splitlines()]
    unseen = [
        known.expression.pattern
        for known in (*TENSORRT_LLM, *TENSORRT_LLM_LAST)
        if not any(known.expression.search(line) for line in lines)
    ]
    assert unseen == []


def test_a_start_that_went_well_names_no_failure() -> None:
    assert named_by(PATTERNS, (LOGS / "ready.log").read_text()) is None


def test_the_last_allocation_counts() -> None:
    start = read_start(LOGS / "ready.log")
    assert (start.cache_tokens, start.cache_gib, start.sequence_tokens) == (447_264, 54.6, 2112)
    assert too_small(start, 2048) is None


def test_phases_and_their_times_are_told() -> None:
    start = read_start(LOGS / "ready.log")
    assert start.phase == "serving"
    assert start.seconds["loading"] == 0.0 or start.seconds["loading"] > 0
    assert start.seconds["autotuner"] == 15.0
    assert set(start.seconds) >= {"starting", "loading", "kv_cache_sizing", "autotuner", "cuda_graphs"}


def test_a_start_half_way_tells_its_phase() -> None:
    text = (LOGS / "ready.log").read_text()
    assert parse_start(text[: text.index("Autotuning process ends")]).phase == "autotuner"
    assert parse_start("").facts()["start_phase"] is None


def test_a_cache_too_small_for_a_request_is_a_failure_with_a_mend() -> None:
    failure = too_small(read_start(LOGS / "small_cache.log"), 2048)
    assert failure is not None
    assert failure.kind == "out_of_memory"
    assert "1024 tokens, and a request needs 2048; use kv_cache fp8" in failure.detail


def test_what_the_log_does_not_say_is_no_failure() -> None:
    assert too_small(parse_start("Uvicorn running on http://127.0.0.1:1"), 2048) is None
