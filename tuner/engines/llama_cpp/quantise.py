"""Writes a GGUF model with its weight matrices in another type, by the `gguf` package's own arithmetic.

`xllamacpp` offers no quantising; K-quants need llama.cpp's, so they are served from files alone. Which tensors stay
finer follows llama.cpp's `llama-quantize` (`src/llama-quant.cpp`): vectors and routers as they are, the output matrix in
Q8_0 where the rest is below that (llama.cpp: Q6_K). What a coarse source has lost does not come back: f16 out of a
q4_1 file is as fast as f16 and as good as q4_1.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy

from tuner.engines.base import Cancelled, never
from tuner.engines.errors import BuildError, StartCancelledError

if TYPE_CHECKING:
    import gguf

VERSION: Final = "1"
"""Of what is written: another one is another file."""

_BELOW_Q8: Final = ("q5_1", "q5_0", "q4_1", "q4_0")
_AS_THEY_ARE: Final = ("_norm", "ffn_gate_inp", "ssm_", "rope_", "time_mix", "position_embd")
_OUTPUT: Final = "output.weight"
_EMBEDDING: Final = "token_embd.weight"


def requantise(source: Path, target: Path, weights: str, cancelled: Cancelled = never) -> None:
    """Writes `source` to `target` with its weight matrices as `weights` (`f16`, `q8_0` …).

    Holds one tensor at a time in memory. Raises `BuildError` when the source cannot be read or the target not written,
    `StartCancelledError` when asked to stop.
    """
    import gguf

    try:
        reader = gguf.GGUFReader(source)
        if reader.get_field(gguf.Keys.Split.LLM_KV_SPLIT_COUNT) is not None:
            raise BuildError(
                f"{source.name} is one of several files of a model; merge them with llama-gguf-split --merge"
            )
        _write(reader, target, weights, cancelled)
    except (OSError, ValueError, KeyError, IndexError, NotImplementedError) as error:
        raise BuildError(
            f"cannot convert {source.name} to {weights}: {error}; name a file that holds {weights}"
        ) from error


def _write(reader: "gguf.GGUFReader", target: Path, weights: str, cancelled: Cancelled) -> None:
    import gguf

    named = reader.get_field(gguf.Keys.General.ARCHITECTURE)
    if named is None:
        raise ValueError("it names no architecture")
    writer = gguf.GGUFWriter(target, str(named.contents()), endianess=reader.endianess)
    _copy_fields(reader, writer, weights)
    is_tied = all(tensor.name != _OUTPUT for tensor in reader.tensors)
    kinds = [_kind_of(tensor, weights, _EMBEDDING if is_tied else _OUTPUT) for tensor in reader.tensors]
    for tensor, kind in zip(reader.tensors, kinds, strict=True):
        shape = tuple(int(size) for size in reversed(tensor.shape))
        block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        size_bytes = tensor.n_elements // block * block_bytes
        writer.add_tensor_info(tensor.name, shape, numpy.dtype(numpy.float32), size_bytes, raw_dtype=kind)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor, kind in zip(reader.tensors, kinds, strict=True):
            if cancelled():
                raise StartCancelledError(f"the conversion to {weights} was called off")
            writer.write_tensor_data(_converted(tensor, kind))
    finally:
        writer.close()


def _copy_fields(reader: "gguf.GGUFReader", writer: "gguf.GGUFWriter", weights: str) -> None:
    import gguf

    written = (gguf.Keys.General.ARCHITECTURE, gguf.Keys.General.FILE_TYPE, gguf.Keys.General.QUANTIZATION_VERSION)
    for name, field in reader.fields.items():
        if name in written or name.startswith("GGUF."):
            continue
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
    writer.add_file_type(gguf.LlamaFileType["ALL_F32" if weights == "f32" else f"MOSTLY_{weights.upper()}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _kind_of(tensor: "gguf.ReaderTensor", weights: str, output: str) -> "gguf.GGMLQuantizationType":
    import gguf

    is_matrix = len(tensor.shape) > 1 and tensor.name.endswith(".weight")
    if not is_matrix or any(part in tensor.name for part in _AS_THEY_ARE):
        return tensor.tensor_type
    wanted = "q8_0" if tensor.name == output and weights in _BELOW_Q8 else weights
    kind = gguf.GGMLQuantizationType[wanted.upper()]
    divides = int(tensor.shape[0]) % gguf.GGML_QUANT_SIZES[kind][0] == 0
    return kind if divides else gguf.GGMLQuantizationType.F16


def _converted(tensor: "gguf.ReaderTensor", kind: "gguf.GGMLQuantizationType") -> "numpy.ndarray[Any, Any]":
    import gguf

    if tensor.tensor_type == kind:
        return tensor.data
    return gguf.quantize(gguf.dequantize(tensor.data, tensor.tensor_type), kind)
