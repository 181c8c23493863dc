"""What the settings say of engines and of this machine, as the tuner takes it."""

from typing import Final

from service.settings import Settings
from service.workers.measurements import folder_of
from tuner.engines.artefacts import Artefacts
from tuner.engines.served import ledger_of
from tuner.engines.sweeper import sweep
from tuner.engines.tensorrt_llm.installation import Installation
from tuner.evaluators.source import Workshop
from tuner.power.journal import journal_of
from tuner.power.restoring import restore_left

GIB: Final = 1024**3


def tensorrt_llm_of(settings: Settings) -> Installation:
    """Where TensorRT-LLM is; raises `SpecError` when settings contradict one another."""
    return Installation.of(
        settings.trtllm_command, settings.trtllm_image, settings.trtllm_quantiser, settings.trtllm_examples
    )


def artefacts_of(settings: Settings) -> Artefacts:
    """Where artefacts are kept and how large together."""
    return Artefacts(settings.artefacts_dir, int(settings.artefacts_gib * GIB))


def workshop_of(settings: Settings, job_id: str) -> Workshop:
    """Where a job's engines are built and run; raises `SpecError` when settings contradict one another."""
    data_dir = settings.data_dir.expanduser()
    return Workshop(
        data_dir,
        folder_of(data_dir, job_id),
        tensorrt_llm_of(settings),
        artefacts_of(settings),
        settings.machine_folder,
        settings.allow_power_control,
    )


def clear_up(settings: Settings) -> None:
    """Ends servers and puts back the power of GPUs that a worker which was killed left behind."""
    sweep(ledger_of(settings.data_dir.expanduser()))
    restore_left(journal_of(settings.machine_folder))
