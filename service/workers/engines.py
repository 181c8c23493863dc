"""What the settings say of engines, as the tuner takes it."""

from typing import Final

from service.settings import Settings
from tuner.engines.artefacts import Artefacts
from tuner.engines.tensorrt_llm.installation import Installation

GIB: Final = 1024**3


def tensorrt_llm_of(settings: Settings) -> Installation:
    """Where TensorRT-LLM is; raises `SpecError` when settings contradict one another."""
    return Installation.of(
        settings.trtllm_command, settings.trtllm_image, settings.trtllm_quantiser, settings.trtllm_examples
    )


def artefacts_of(settings: Settings, devices: tuple[str, ...] = ()) -> Artefacts:
    """Where artefacts are kept and how large together; `devices` are the GPUs that a build may use."""
    return Artefacts(settings.artefacts_dir, int(settings.artefacts_gib * GIB), devices)
