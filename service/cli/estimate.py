"""`paretune estimate`: configurations simulated in this process, without a service."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.output import AsJson

if TYPE_CHECKING:
    from tuner.configuration import Configuration, KnobValue
    from tuner.trial import Measurement


def estimate(
    model: Annotated[str | None, typer.Option(metavar="M", help="A known model, or a checkpoint directory.")] = None,
    gpu: Annotated[str | None, typer.Option(metavar="G", help="GPU type, such as h100_sxm.")] = None,
    input_tokens: Annotated[int | None, typer.Option(metavar="N", help="Prompt length.")] = None,
    output_tokens: Annotated[int | None, typer.Option(metavar="N", help="Output length.")] = None,
    concurrency: Annotated[int | None, typer.Option(metavar="C", help="Requests in flight per replica.")] = None,
    engine: Annotated[str, typer.Option(metavar="E", help="Inference engine.")] = "tensorrt-llm",
    knobs: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A knob that differs from its default.")
    ] = None,
    batch: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Requests as JSON Lines (- for standard input); lines out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate one configuration, or a batch of them, at once.

    Exit code 3 when the one configuration cannot run.
    """
    from service.cli.errors import BadUsageError

    asked = {
        "model": model,
        "gpu": gpu,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "concurrency": concurrency,
    }
    if batch is not None:
        given = [name for name, value in {**asked, "set": knobs or None}.items() if value is not None]
        if given:
            raise BadUsageError(f"--batch takes everything from its file; leave --{given[0].replace('_', '-')} out")
        from service.cli.estimate_batch import run_batch

        run_batch(batch)
        return
    missing = [f"--{name.replace('_', '-')}" for name, value in asked.items() if value is None]
    if missing:
        raise BadUsageError(f"{', '.join(missing)} missing; give each, or --batch FILE")
    _one({**asked, "engine": engine, "configuration": parse_knobs(knobs or [])}, as_json=as_json)


def parse_knobs(settings: list[str]) -> "dict[str, KnobValue]":
    """The knobs of `KEY=VALUE` arguments; values are read as YAML does. Raises `BadUsageError`."""
    import yaml

    from service.cli.errors import BadUsageError

    knobs: dict[str, KnobValue] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = None
        if not equals or not key.strip() or not isinstance(value, str | int | float | bool):
            raise BadUsageError(f"--set {setting!r} is no KEY=VALUE; write it like --set tensor_parallel=2")
        knobs[key.strip()] = value
    return knobs


def _one(asked: dict[str, object], *, as_json: bool) -> None:
    from service.cli.errors import NoFeasibleError
    from service.cli.estimate_batch import answer_of, request_of
    from service.cli.output import print_json
    from tuner.evaluators.estimate import simulate_one
    from tuner.simulator.kernel_data import KernelData

    configuration, found = simulate_one(request_of(asked), KernelData())
    if as_json:
        print_json({"configuration": configuration.to_dict(), **answer_of(found)})
    elif found.failure is None:
        _show(configuration, found)
    if found.failure is not None:
        raise NoFeasibleError(f"{found.failure.kind.value}: {found.failure.detail}")


def _show(configuration: "Configuration", found: "Measurement") -> None:
    from service.cli.figures import sensible
    from service.cli.knobs import phrase
    from tuner.metrics import METRICS

    typer.echo(phrase(configuration.to_dict()))
    for key in METRICS:
        if key in found.metrics:
            source = found.provenance[key].value if key in found.provenance else ""
            typer.echo(f"  {key:<42}{sensible(found.metrics[key]):>12} {METRICS[key].unit:<18}{source}".rstrip())
