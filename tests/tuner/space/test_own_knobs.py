"""The knobs of measured engines and what they take."""

import pytest

from tuner.configuration import KNOBS, KnobValue
from tuner.space.own_knobs import EngineKnob, KnobKind, own_knobs


@pytest.mark.parametrize("engine", ["llama.cpp", "vllm", "sglang"])
def test_knobs_are_documented_and_take_what_is_searched(engine: str) -> None:
    knobs = own_knobs(engine, cpus=6)
    assert len({knob.name for knob in knobs}) == len(knobs)
    for knob in knobs:
        assert knob.meaning
        assert knob.is_common is (knob.name in KNOBS)
        assert all(knob.refused(value) is None for value in knob.values)
        assert knob.default is None or knob.refused(knob.default) is None


@pytest.mark.parametrize(("cpus", "threads"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8))])
def test_threads_are_searched_up_to_the_machine(cpus: int, threads: tuple[int, ...]) -> None:
    [knob] = [knob for knob in own_knobs("llama.cpp", cpus) if knob.name == "threads"]
    assert knob.values == threads


def test_weights_alone_need_another_build_of_llama_cpp() -> None:
    assert [knob.name for knob in own_knobs("llama.cpp") if knob.is_build_time] == ["weights"]


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        (KnobKind.WHOLE, 4, True),
        (KnobKind.WHOLE, 0, False),
        (KnobKind.WHOLE, True, False),
        (KnobKind.WHOLE, 2.0, False),
        (KnobKind.WHOLE, "4", False),
        (KnobKind.SHARE, 0.9, True),
        (KnobKind.SHARE, 1, True),
        (KnobKind.SHARE, 1.1, False),
        (KnobKind.SHARE, True, False),
        (KnobKind.SWITCH, False, True),
        (KnobKind.SWITCH, 0, False),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(kind: KnobKind, value: KnobValue, fits: bool) -> None:
    refused = EngineKnob("x", kind, (), "x").refused(value)
    assert (refused is None) is fits
    assert fits or "give" in str(refused)


def test_a_choice_names_what_is_near() -> None:
    knob = EngineKnob("kv_cache", KnobKind.CHOICE, ("f16",), "x", choices=("q8_0",))
    assert knob.refused("q8_0") is None
    assert "q8_0" in str(knob.refused("q8"))
    assert EngineKnob("weights", KnobKind.CHOICE, ("f16",), "x").refused("q4_k_m") is None


def test_the_knobs_of_a_command_are_its_own() -> None:
    [knob] = own_knobs("command", given={"depth": (1, 2)})
    assert (knob.name, knob.values) == ("depth", (1, 2))


def test_an_engine_that_is_not_started_from_here_has_none() -> None:
    with pytest.raises(KeyError):
        own_knobs("triton")
