"""requirements.lock is what the images install: every dependency, pinned within its bounds, by hash, from nowhere named."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINNED = {
    canonicalize_name(name): version for name, version in re.findall(r"^([\w.\[\]-]+)==([^\s;\\]+)", LOCK, re.MULTILINE)
}


def dependencies() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(text) for text in project["dependencies"]]


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    for wanted in dependencies():
        version = PINNED.get(canonicalize_name(wanted.name))
        assert version is not None, f"{wanted.name} is not in requirements.lock; run the uv export of the README"
        assert wanted.specifier.contains(version), f"{wanted} and requirements.lock's {version} disagree"


def test_dependencies_have_lower_bounds_and_capped_majors() -> None:
    for wanted in dependencies():
        operators = {specifier.operator for specifier in wanted.specifier}
        assert operators == {">=", "<"}, f"{wanted} needs a lower bound and a capped major"


def test_every_pin_has_a_hash_and_no_address() -> None:
    assert "://" not in LOCK
    for block in re.split(r"\n(?=\S)", LOCK):
        if re.match(r"[\w.\[\]-]+==", block):
            assert "--hash=sha256:" in block, block.splitlines()[0]
