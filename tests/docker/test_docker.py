"""The images and the compose file, as far as they can be checked without a daemon."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from service.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
HOSTS = ("pypi.org", "pythonhosted", "pypi.nvidia", "npmjs", "conda.anaconda", "crates.io")

Text = Annotated[str, Field(min_length=1)]


class Strict(BaseModel):
    """Nothing but what the compose specification names."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Health(Strict):
    """`healthcheck`."""

    test: list[Text] | None = None
    interval: Text | None = None
    timeout: Text | None = None
    retries: int | None = None
    disable: bool = False


class Build(Strict):
    """`build`."""

    context: Text
    dockerfile: Text


class Dependency(Strict):
    """`depends_on`, long form."""

    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class Service(Strict):
    """A service, as far as ours are made of."""

    image: Text
    build: Build | None = None
    command: list[Text] = []
    environment: dict[Text, str] = {}
    ports: list[Annotated[str, Field(pattern=r"^127\.0\.0\.1:\d+:\d+$")]] = []
    volumes: list[Annotated[str, Field(pattern=r":/")]] = []
    healthcheck: Health | None = None
    depends_on: dict[Text, Dependency] = {}
    ipc: Literal["host"] | None = None
    ulimits: dict[Text, int] = {}
    deploy: dict[Text, Any] = {}
    stop_grace_period: Text | None = None
    restart: Literal["unless-stopped"] | None = None


class Compose(BaseModel):
    """A compose file; keys that begin with `x-` are its own."""

    name: Text
    services: dict[Text, Service]
    volumes: dict[Text, None]


@pytest.fixture(scope="module")
def compose() -> Compose:
    """The compose file, read."""
    return Compose.model_validate(yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([str(hadolint), str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_installs_the_lock_by_hash_and_copies_what_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "--require-hashes" in text
    assert "requirements.lock" in text
    for line in text.splitlines():
        if line.startswith("COPY "):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), line


def test_the_version_that_is_installed_is_ours() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = next(line for line in project.splitlines() if line.startswith("version = ")).split('"')[1]
    for path in DOCKERFILES:
        assert f"paretune=={version}" in path.read_text(encoding="utf-8")


def test_no_package_registry_is_named() -> None:
    for path in (*DOCKER.iterdir(), ROOT / ".dockerignore", ROOT / "docs" / "gpu.md"):
        assert not [host for host in HOSTS if host in path.read_text(encoding="utf-8")]


def test_what_the_compose_file_names_is_there(compose: Compose) -> None:
    for name, service in compose.services.items():
        if service.build is not None:
            assert (DOCKER / service.build.context / service.build.dockerfile).is_file(), name
        assert set(service.depends_on) <= set(compose.services), name
        named = {mount.partition(":")[0] for mount in service.volumes if not mount.startswith("$")}
        assert named <= set(compose.volumes), name


def test_its_settings_exist(compose: Compose) -> None:
    known = {f"PARETUNE_{name.upper()}" for name in Settings.model_fields}
    for service in compose.services.values():
        assert {name for name in service.environment if name.startswith("PARETUNE_")} <= known


def test_its_commands_exist(compose: Compose) -> None:
    import typer.main

    from service.cli.app import app

    commands = getattr(typer.main.get_command(app), "commands", {})
    ours = [service.command for service in compose.services.values() if service.command]
    assert [words[0] for words in ours if words[0] not in commands] == []


def test_the_worker_has_the_gpus_and_the_database_waits_for_health(compose: Compose) -> None:
    devices = compose.services["worker"].deploy["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    assert compose.services["migrate"].depends_on["database"].condition == "service_healthy"
