"""report.html: the recommendations, the frontier and its picture on one page that needs nothing else."""

from html import escape
from string import Template
from typing import Final

from service.cli.figures import heading, metric_of, sensible, span
from service.cli.knobs import phrase
from service.cli.results import Results
from service.cli.scatter import scatter
from service.cli.summary import savings
from service.cli.tables import metrics_shown
from service.client import TrialAnswer

_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: .875rem; } .wide { overflow-x: auto; }
th, td { padding: .25rem .75rem; text-align: right; border-bottom: 1px solid #d9dee4; white-space: nowrap; }
th:first-child, td:first-child, th:last-child, td:last-child { text-align: left; }
svg { max-width: 100%; height: auto; } .note { color: #57606a; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="note">$about</p>
$savings
<h2>Recommendations</h2>
$recommendations
<h2>Frontier</h2>
$picture
$frontier
</body>
</html>
""")


def page(results: Results) -> str:
    """The whole page; every text of the user's is escaped."""
    spec = results.job["spec"]
    constraints = spec.get("constraints")
    metrics = metrics_shown(results.frontier["objectives"], list(constraints) if isinstance(constraints, dict) else [])
    points = results.frontier["points"]
    if not points:
        sentences = ["No configuration meets the constraints; result.json and trials.csv say what was evaluated."]
    else:
        sentences = savings(results.job, results.picks)
    picks = [(f"{name} ({trial['number']})", trial) for name, trial in results.picks.items()]
    return _PAGE.substitute(
        title=escape(f"{spec.get('name') or spec.get('model')}: what to deploy"),
        about=escape(_about(results)),
        savings="".join(f"<p>{escape(sentence)}</p>" for sentence in sentences),
        recommendations=_table("pick (trial)", picks, metrics),
        picture=scatter(points, results.picks, metric_of("cost"), "tpot_mean_ms"),
        frontier=_table("trial", [(str(point["number"]), point) for point in points], metrics),
    )


def _about(results: Results) -> str:
    spec, progress = results.job["spec"], results.job["progress"]
    limits = spec.get("constraints")
    bounds = ", ".join(f"{metric} {bound:g}" for metric, bound in limits.items()) if isinstance(limits, dict) else ""
    return (
        f"Job {results.job['id']}: {spec.get('model')}, {progress['evaluated']:,} configurations evaluated, "
        f"{len(results.frontier['points'])} on the frontier" + (f"; limits: {bounds}" if bounds else "")
    )


def _table(label: str, rows: list[tuple[str, TrialAnswer]], metrics: list[str]) -> str:
    if not rows:
        return '<p class="note">none</p>'
    known = [metric for metric in metrics if any(metric in trial["metrics"] for _, trial in rows)]
    heads = [label, *(heading(metric).replace("\n", " ") for metric in known), "configuration"]
    body = "".join(
        _row([name, *(_figure(trial, metric) for metric in known), phrase(trial["configuration"])])
        for name, trial in rows
    )
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    if not any(metric in (trial.get("intervals") or {}) for _, trial in rows for metric in known):
        return table
    return f'{table}<p class="note">In parentheses: the 95 % confidence interval of a measured figure.</p>'


def _figure(trial: TrialAnswer, metric: str) -> str:
    source = trial["provenance"].get(metric)
    text = sensible(trial["metrics"].get(metric)) + span((trial.get("intervals") or {}).get(metric))
    return f"{text} {source}" if source else text


def _row(cells: list[str]) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
