"""The route of estimates."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from service.estimates.schemas import EstimateBody, EstimateView
from service.estimates.simulator import Simulator
from service.problems import problem_responses

router = APIRouter(prefix="/v1/estimates", tags=["estimates"])


def _simulator(request: Request) -> Simulator:
    simulator = request.app.state.simulator
    assert isinstance(simulator, Simulator)
    return simulator


@router.post("", summary="Simulate one configuration", responses=problem_responses(413, 422, 503))
def estimate_one(body: EstimateBody, simulator: Annotated[Simulator, Depends(_simulator)]) -> EstimateView:
    """Figures of one configuration at once; the first call on a GPU loads its kernel data and takes seconds."""
    return EstimateView.of(*simulator.estimate(body))
