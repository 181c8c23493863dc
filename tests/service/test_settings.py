"""Settings: the environment variables of the contract, and clear words about wrong ones."""

from pathlib import Path

import pytest

from service.errors import SettingsError
from service.settings import LogFormat, Settings, load_settings


def test_the_defaults_are_a_sqlite_file_in_the_data_folder_on_loopback(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    assert settings.url.render_as_string() == f"sqlite:///{tmp_path}/paretune.db"
    assert (settings.host, settings.port, settings.log_format) == ("127.0.0.1", 8321, LogFormat.TEXT)
    assert settings.migrates


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_any_postgresql_url_gets_the_driver_we_ship(tmp_path: Path, scheme: str) -> None:
    settings = Settings(data_dir=tmp_path, database_url=f"{scheme}://u:p@host/name")

    assert settings.url.drivername == "postgresql+psycopg"
    assert not settings.migrates


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("DATABASE_URL", "mysql://host/name", "postgresql://"),
        ("DATABASE_URL", "nonsense", "no database URL"),
        ("DATABASE_URL", "sqlite://", "in memory"),
        ("PORT", "99999", "65535"),
        ("LOG_FORMAT", "xml", "'text' or 'json'"),
        ("EXECUTOR", "ray", "use local"),
        ("API_KEYS", "secret", "not supported yet"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str) -> None:
    monkeypatch.setenv(f"PARETUNE_{variable}", value)

    with pytest.raises(SettingsError, match=words) as caught:
        load_settings()

    assert [problem.field for problem in caught.value.problems] == [f"PARETUNE_{variable}"]
