"""Which of the machine's GPUs a worker may use: what CUDA_VISIBLE_DEVICES says, read as CUDA reads it."""

from collections.abc import Mapping, Sequence
from typing import Final

from tuner.power.errors import VisibleGpusError
from tuner.power.facts import Gpu

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
ORDER: Final = "CUDA_DEVICE_ORDER"
_BY_BUS: Final = "PCI_BUS_ID"
_MIG: Final = "MIG-"


def visible_gpus(gpus: Sequence[Gpu], environment: Mapping[str, str]) -> tuple[Gpu, ...]:
    """The GPUs that the environment leaves, in its order; all of them where it says nothing.

    Raises `VisibleGpusError` for a name that fits no GPU or several, for a MIG instance, and for numbers where CUDA
    counts otherwise than NVML does (fastest first; CUDA C++ Programming Guide, "CUDA Environment Variables").
    """
    given = environment.get(VISIBLE)
    if given is None:
        return tuple(gpus)
    words = [word.strip() for word in given.split(",") if word.strip()]
    if not words or words[0] == "-1":
        return ()
    if any(word.isdigit() for word in words):
        _check_order(gpus, environment)
    chosen = tuple(_gpu(word, gpus) for word in words)
    if len(set(chosen)) < len(chosen):
        raise VisibleGpusError(f"{VISIBLE}={given} names a GPU twice; name each once")
    return chosen


def _gpu(word: str, gpus: Sequence[Gpu]) -> Gpu:
    if word.startswith(_MIG):
        raise VisibleGpusError(
            f"{VISIBLE} names {word}; paretune measures whole GPUs, for MIG instances share power and energy counter"
        )
    found = [gpu for gpu in gpus if (gpu.index == int(word) if word.isdigit() else gpu.uuid.startswith(word))]
    if len(found) != 1:
        fits = "no GPU" if not found else "several GPUs"
        raise VisibleGpusError(f"{VISIBLE} names {word!r}, which fits {fits}; `nvidia-smi -L` lists their UUIDs")
    return found[0]


def _check_order(gpus: Sequence[Gpu], environment: Mapping[str, str]) -> None:
    if len({gpu.name for gpu in gpus}) > 1 and environment.get(ORDER) != _BY_BUS:
        raise VisibleGpusError(
            f"{VISIBLE} counts GPUs of several models, which CUDA and the driver number differently; "
            f"name them by UUID (`nvidia-smi -L`), or set {ORDER}={_BY_BUS}"
        )
