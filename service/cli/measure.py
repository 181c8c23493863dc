"""`paretune measure`: loads an engine that is already running, and prints what its users would see."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.output import AsJson

if TYPE_CHECKING:
    from tuner.load.arrivals import Arrivals
    from tuner.load.endpoint import Endpoint
    from tuner.load.plan import Plan
    from tuner.load.result import LoadResult
    from tuner.load.workload import Load


def measure(
    url: Annotated[str, typer.Option(metavar="URL", help="Where the engine listens, such as http://127.0.0.1:8000.")],
    model: Annotated[str, typer.Option(metavar="M", help="The name that the engine serves its model by.")],
    input_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Prompt length.")],
    output_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Output length.")],
    concurrency: Annotated[
        int | None, typer.Option(metavar="C", min=1, help="Requests always in flight; or give --request-rate.")
    ] = None,
    request_rate: Annotated[
        float | None, typer.Option(metavar="R", help="Requests per second; or give --concurrency.")
    ] = None,
    burstiness: Annotated[
        str, typer.Option(metavar="B", help="Shape of the gaps at a rate: 1 is Poisson, less is bursty; or constant.")
    ] = "1",
    seconds: Annotated[float, typer.Option(metavar="S", min=1, help="Most seconds of load, warm-up included.")] = 60.0,
    precision: Annotated[
        float, typer.Option(metavar="P", help="Stop sooner once the 95 % intervals are this narrow (half width).")
    ] = 0.03,
    gpus: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="GPUs that the engine uses, for figures per GPU.")
    ] = None,
    shared_prefix: Annotated[
        float, typer.Option(metavar="X", min=0, max=1, help="Share of each prompt that all have in common.")
    ] = 0.0,
    chat: Annotated[bool, typer.Option("--chat", help="Ask /v1/chat/completions, not /v1/completions.")] = False,
    tokenizer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="tokenizer.json, where the engine takes no token ids.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(metavar="KEY", envvar="PARETUNE_ENGINE_API_KEY", help="The engine's key.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl.gz", help="Write a record of each request.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Draws the arrivals.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Load an engine that is already running and print its metrics.

    Exit code 4 when nothing answers at the URL.
    """
    from service.cli.errors import BadUsageError
    from service.cli.load_report import document, print_report
    from service.cli.output import print_json
    from tuner.load.endpoint import Endpoint, Interface
    from tuner.load.plan import Plan
    from tuner.load.workload import Fixed, Load

    if not 0 < precision <= 1:
        raise BadUsageError(f"--precision {precision:g} is no share; give 0.03 for 3 %")
    endpoint = Endpoint(url, model, api_key, Interface.CHAT if chat else Interface.COMPLETIONS)
    load = Load(
        Fixed(input_tokens), Fixed(output_tokens), _arrivals(concurrency, request_rate, burstiness), shared_prefix, seed
    )
    plan = Plan(seconds=seconds, precision=precision, gpus=gpus, tokenizer=tokenizer)
    result = _run(endpoint, load, plan, records)
    if as_json:
        print_json(document(endpoint, load, result))
    else:
        print_report(endpoint, result)


def _arrivals(concurrency: int | None, request_rate: float | None, burstiness: str) -> "Arrivals":
    from service.cli.errors import BadUsageError
    from tuner.load.arrivals import Closed, Open

    if (concurrency is None) == (request_rate is None):
        raise BadUsageError("give either --concurrency or --request-rate")
    if concurrency is not None and burstiness != "1":
        raise BadUsageError("--burstiness shapes the arrivals of a --request-rate; give one, or leave it out")
    if concurrency is not None:
        return Closed(concurrency)
    if request_rate is None or not 0 < request_rate <= 1e6:
        raise BadUsageError(f"--request-rate is {request_rate}; give requests per second, more than 0")
    return Open(request_rate, None if burstiness == "constant" else _shape(burstiness))


def _shape(burstiness: str) -> float:
    from service.cli.errors import BadUsageError

    try:
        shape = float(burstiness)
    except ValueError:
        shape = 0.0
    if not 0 < shape <= 1000:
        raise BadUsageError(f"--burstiness {burstiness} is no shape; give a number above 0, at most 1000, or constant")
    return shape


def _run(endpoint: "Endpoint", load: "Load", plan: "Plan", records: Path | None) -> "LoadResult":
    """Measures in a thread, so that a Ctrl-C, which an event loop would swallow, ends the load in good order."""
    from concurrent.futures import ThreadPoolExecutor

    from service.cli.errors import BadUsageError
    from service.cli.load_progress import shown_load
    from tuner.load.measure import measure_load

    if records is not None and not records.resolve().parent.is_dir():
        raise BadUsageError(f"{records.parent} is no folder; make it, or give --records another place")
    stop = threading.Event()
    with shown_load() as show, ThreadPoolExecutor(1) as pool:
        measuring = pool.submit(
            measure_load, endpoint, load, plan, cancelled=stop.is_set, progress=show, records_path=records
        )
        try:
            return measuring.result()
        finally:
            stop.set()
