"""What another price makes of trials that were evaluated at the old one: arithmetic, nothing is evaluated again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pydantic import ValidationError

from tuner.economics.cost import Tokens, with_economics
from tuner.errors import SpecError
from tuner.spec import Pricing
from tuner.spec_problems import problems_of
from tuner.trial import Measurement, Trial

_EXCLUSIVE: Final = ("gpu_hour_usd", "tier", "owned")


def changed_pricing(pricing: Pricing, changes: Mapping[str, float | str]) -> Pricing:
    """The pricing with some prices changed; a new way to price a GPU replaces the old one.

    Raises `SpecError` naming each price that is wrong.
    """
    kept = pricing.model_dump(exclude_none=True)
    if any(name in changes for name in _EXCLUSIVE):
        kept = {name: value for name, value in kept.items() if name not in _EXCLUSIVE}
    try:
        return Pricing.model_validate(kept | dict(changes))
    except ValidationError as error:
        raise SpecError(problems_of(error.errors(include_url=False), Pricing)) from None


def repriced(trials: Sequence[Trial], tokens: Tokens, pricing: Pricing) -> list[Trial]:
    """The trials with the figures that follow from prices computed anew."""
    found = []
    for trial in trials:
        measurement = with_economics(
            Measurement(trial.metrics, trial.provenance), trial.configuration.gpu, tokens, pricing
        )
        found.append(replace(trial, metrics=measurement.metrics, provenance=measurement.provenance))
    return found
