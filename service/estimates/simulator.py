"""The simulator of an API process: loaded with the first estimate, kept until the process ends."""

import threading
from typing import TYPE_CHECKING

from pydantic import ValidationError

from service.estimates.schemas import EstimateBody
from tuner.configuration import Configuration
from tuner.errors import SpecError
from tuner.spec_problems import problems_of
from tuner.trial import Measurement

if TYPE_CHECKING:
    from tuner.simulator.kernel_data import KernelData


class Simulator:
    """Simulates one configuration at a time: the kernel data keeps caches that threads must not share."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._kernels: KernelData | None = None

    def estimate(self, body: EstimateBody) -> tuple[Configuration, Measurement]:
        """The whole configuration and its figures.

        Raises `SpecError` naming each wrong field, `KernelDataError` when the machine lacks the data.
        """
        from tuner.evaluators.estimate import EstimateRequest, simulate_one
        from tuner.simulator.kernel_data import KernelData

        try:
            request = EstimateRequest.model_validate(body.model_dump())
        except ValidationError as error:
            raise SpecError(problems_of(error.errors(include_url=False), EstimateRequest)) from None
        with self._turn:
            if self._kernels is None:
                self._kernels = KernelData()
            return simulate_one(request, self._kernels)
