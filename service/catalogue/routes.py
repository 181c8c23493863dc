"""The routes of what can be simulated."""

from fastapi import APIRouter

from service.catalogue.schemas import GpuView, HardwareView, ModelsView, ModelView
from service.problems import problem_responses

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get("/hardware", summary="GPU types that can be simulated", responses=problem_responses(503))
def list_hardware() -> HardwareView:
    """Memory, bandwidth, power, precisions, engines with kernel data, and the default price."""
    from tuner.economics.prices import gpu_hour_usd
    from tuner.space.hardware import known_gpus
    from tuner.space.precision import supported_weights

    return HardwareView(
        items=[
            GpuView(
                name=gpu.name,
                memory_gib=gpu.memory_gib,
                memory_bandwidth_gbps=gpu.memory_bandwidth_gbps,
                tdp_watts=gpu.tdp_watts,
                gpus_per_node=gpu.gpus_per_node,
                precisions=list(supported_weights(gpu)),
                engines=list(gpu.engines),
                gpu_hour_usd=gpu_hour_usd(gpu.name),
            )
            for gpu in known_gpus()
        ]
    )


@router.get("/models", summary="Models that can be simulated offline", responses=problem_responses(503))
def list_models() -> ModelsView:
    """Names and shapes; a checkpoint directory with a supported architecture works as well."""
    from tuner.space.models import known_models, model_shape

    return ModelsView(
        items=[ModelView.model_validate(model_shape(name), from_attributes=True) for name in known_models()]
    )
