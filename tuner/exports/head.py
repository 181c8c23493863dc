"""The head of every exported file: the job, the trial, and the figures it stands for."""

from collections.abc import Iterator

from tuner.exports.base import ExportContext
from tuner.metrics import METRICS
from tuner.spec_workload import NormalLength, TraceLength, Workload


def one_line(text: str) -> str:
    """The text on one line: every character that is not printable is written as its escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def comment(lines: list[str]) -> str:
    """The lines as `#` comments; none of them can end its comment."""
    return "".join(f"# {one_line(line)}".rstrip() + "\n" for line in lines)


def head(context: ExportContext, what: str) -> list[str]:
    """What the file is, and what it stands for, one fact a line."""
    spec, configuration = context.spec, context.trial.configuration
    name = f" ({spec.name})" if spec.name else ""
    gpus = f"{configuration.gpus} × {configuration.gpu}"
    if configuration.replicas > 1:
        gpus += f", as {configuration.replicas} replicas of {configuration.gpus_per_replica}"
    return [
        f"paretune: {what}",
        "",
        f"job: {context.job_id}{name}",
        f"trial: {context.trial.number} (picked as {context.pick}), {context.trial.state.value}",
        f"model: {spec.model}",
        f"engine: {configuration.engine}",
        f"gpu: {gpus}",
        f"workload: {workload_phrase(spec.workload)}; {configuration.concurrency} requests in flight per replica",
        *figure_lines(context),
    ]


def figure_lines(context: ExportContext) -> Iterator[str]:
    """Each known figure with its unit and provenance, a measured one with its 95 % confidence interval."""
    trial = context.trial
    known = [key for key in METRICS if key in trial.metrics]
    yield "figures:" if known else "figures: none"
    for key in known:
        provenance = trial.provenance.get(key)
        source = provenance.value if provenance is not None else "provenance unknown"
        if (interval := trial.intervals.get(key)) is not None:
            source += f", 95 % within {interval[0]:.6g} to {interval[1]:.6g}"
        yield f"  {key}: {trial.metrics[key]:.6g} {METRICS[key].unit} ({source})"


def workload_phrase(workload: Workload) -> str:
    """The workload in words: lengths in tokens, and the load on the whole deployment."""
    lengths = ", ".join(f"{side} {_length_phrase(getattr(workload, f'{side}_tokens'))}" for side in ("input", "output"))
    prefix = f" ({workload.shared_prefix:.0%} of each prompt in common)" if workload.shared_prefix else ""
    if workload.request_rate is not None:
        shape = "" if workload.burstiness == 1.0 else f", burstiness {workload.burstiness}"
        return f"{lengths} tokens{prefix}, {workload.request_rate:g} requests/s{shape}"
    return f"{lengths} tokens{prefix}, concurrency {workload.concurrency or 'auto'}"


def _length_phrase(length: int | NormalLength | TraceLength) -> str:
    if isinstance(length, NormalLength):
        return f"{length.mean} ± {length.stdev:g}"
    return f"of trace {length.trace}" if isinstance(length, TraceLength) else str(length)
