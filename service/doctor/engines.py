"""Checks of the engines, and of the models they load."""

import importlib.util
import os
import shutil
import subprocess
from importlib.metadata import version
from typing import Final

from service.doctor.check import Check, Verdict
from service.settings import Settings
from service.workers.engines import tensorrt_llm_of
from tuner.engines.tensorrt_llm.installation import SERVE, Container, Installation, hub_folder
from tuner.engines.tensorrt_llm.real_class import differences, fields_there
from tuner.engines.tensorrt_llm.versions import generation_of

TENSORRT_LLM: Final = "TensorRT-LLM"
_SECONDS: Final = 30.0
_MOST_SHOWN: Final = 8


def check_tensorrt_llm(settings: Settings) -> list[Check]:
    """TensorRT-LLM is there, which version, whether it takes what we write, and whether it can quantise."""
    installation = tensorrt_llm_of(settings)
    absent = _absent(installation)
    if absent is not None:
        return [absent]
    installed = installation.ask_version()
    if installed == "unknown":
        mend = "run `python3 -c 'import tensorrt_llm'` in its environment; mend that, or the setting"
        return [Check(TENSORRT_LLM, Verdict.BROKEN, "it does not tell its version", mend)]
    generation = generation_of(installed)
    found = f"{installed}, driven as {generation.name}"
    return [Check(TENSORRT_LLM, Verdict.OK, found), _arguments(installation, installed), _quantiser(installation)]


def check_llama_cpp() -> Check:
    """llama.cpp's server, for measuring on a CPU."""
    if importlib.util.find_spec("xllamacpp") is None:
        return Check("llama.cpp", Verdict.MISSING, "not installed", "install paretune[cpu]")
    return Check("llama.cpp", Verdict.OK, f"xllamacpp {version('xllamacpp')}")


def check_models() -> Check:
    """Models that are here already, and a token for those that are not."""
    hub = hub_folder(os.environ)
    fetched = len(list((hub / "hub").glob("models--*")))
    has_token = bool(os.environ.get("HF_TOKEN")) or (hub / "token").is_file()
    token = "a token" if has_token else "no token"
    found = f"{fetched} models in {hub}, {token} for the model hub"
    if not fetched and not has_token:
        return Check(
            "model access", Verdict.MISSING, found, "set HF_TOKEN, or name a checkpoint directory as the model"
        )
    return Check("model access", Verdict.OK, found)


def _absent(installation: Installation) -> Check | None:
    if installation.image is None:
        program = installation.words(SERVE, (), Container("doctor"))[0]
        if shutil.which(program) is not None:
            return None
        mend = "set PARETUNE_TRTLLM_COMMAND, or PARETUNE_TRTLLM_IMAGE; docs/gpu.md shows both"
        return Check(TENSORRT_LLM, Verdict.MISSING, f"{program} is not on PATH", mend)
    if shutil.which("docker") is None:
        return Check(
            TENSORRT_LLM, Verdict.MISSING, "docker is not on PATH", "install docker and NVIDIA's container toolkit"
        )
    if not _has_image(installation.image):
        return Check(
            TENSORRT_LLM, Verdict.MISSING, f"{installation.image} is not here", f"docker pull {installation.image}"
        )
    return None


def _has_image(image: str) -> bool:
    try:
        asked = subprocess.run(  # noqa: S603
            ("docker", "image", "inspect", image),  # noqa: S607
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _arguments(installation: Installation, installed: str) -> Check:
    name = "TensorRT-LLM arguments"
    there = fields_there(installation)
    if there is None:
        return Check(name, Verdict.MISSING, "its class cannot be imported here", "ask on a machine with a GPU")
    unknown, gone = differences(there, generation_of(installed).arguments)
    if not unknown and not gone:
        return Check(name, Verdict.OK, f"the {len(there)} fields that paretune knows")
    found = (
        f"{len(unknown)} fields unknown to paretune{_some(unknown)}; {len(gone)} that this version lacks{_some(gone)}"
    )
    return Check(name, Verdict.OK if not gone else Verdict.BROKEN, found, "leave these out of `space` and of files")


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_SHOWN])
    return f" ({shown}{', …' if len(names) > _MOST_SHOWN else ''})" if names else ""


def _quantiser(installation: Installation) -> Check:
    if installation.quantiser is not None:
        return Check("quantisation", Verdict.OK, f"by {installation.quantiser}")
    mend = "set PARETUNE_TRTLLM_QUANTISER to Model Optimizer's examples/llm_ptq/hf_ptq.py in TensorRT-LLM's environment"
    return Check("quantisation", Verdict.MISSING, "quantised checkpoints must be given", mend)
