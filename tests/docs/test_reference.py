"""What the documentation says of the code is what the code says of itself."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from service.settings import Settings
from tuner.configuration import KNOBS
from tuner.metrics import METRICS
from tuner.spec import Budget, Command, Hardware, JobSpec, Measuring, Owned, Pricing, Replay
from tuner.spec_workload import Workload

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PARTS: dict[str, type[BaseModel]] = {
    "hardware": Hardware,
    "workload": Workload,
    "pricing": Pricing,
    "budget": Budget,
    "replay": Replay,
    "command": Command,
    "measuring": Measuring,
}


def test_the_generated_files_are_current() -> None:
    """Given the code as it is, when the generator checks its files, then none is stale."""
    found = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={name: value for name, value in os.environ.items() if not name.startswith("PARETUNE_")},
    )

    assert found.returncode == 0, found.stderr


def test_every_knob_is_documented() -> None:
    """Given the knobs of a configuration, then each has a row."""
    page = (DOCS / "reference" / "knobs.md").read_text(encoding="utf-8")

    assert [knob for knob in KNOBS if f"| `{knob}` |" not in page] == []


def test_every_metric_is_documented() -> None:
    """Given the metrics, then each has a row."""
    page = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")

    assert [key for key in METRICS if f"| `{key}` |" not in page] == []


def test_every_setting_is_documented() -> None:
    """Given the settings, and the variables that the code reads beside them, then each has a row."""
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    named = {f"PARETUNE_{name.upper()}" for name in Settings.model_fields}
    read = {
        name
        for path in (ROOT / "service").rglob("*.py")
        for name in re.findall(r"\"(PARETUNE_[A-Z_]*[A-Z])\"", path.read_text(encoding="utf-8"))
    }

    assert [name for name in sorted(named | read) if f"| `{name}` |" not in page] == []


def test_every_field_of_a_job_spec_is_documented() -> None:
    """Given the fields of a job spec, then the page on it names each by its path."""
    page = (DOCS / "job-spec.md").read_text(encoding="utf-8")
    spec = [*_paths(JobSpec), *(f"pricing.owned.{name}" for name in Owned.model_fields)]

    assert [path for path in spec if f"`{path}`" not in page] == []


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *DOCS.rglob("*.md")]), ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Given a page, then every relative link on it names a file, and a heading of it where it has a fragment."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        name, _, fragment = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists() or (fragment and fragment not in _anchors(target)):
            broken.append(link)

    assert broken == []


def _paths(model: type[BaseModel]) -> Iterator[str]:
    for name in model.model_fields:
        if name in PARTS:
            yield from (f"{name}.{part}" for part in PARTS[name].model_fields if part != "owned")
        else:
            yield name


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
