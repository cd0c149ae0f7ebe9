"""Settings: what READMEs promise is what the classes hold, and mistakes are told all at once."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from settings import (
    AgentSettings,
    AgentToolSettings,
    ApiSettings,
    CreatorSettings,
    MeeseeksSettings,
    SolomonStandInSettings,
    SynchronizeSettings,
)

ROOT = Path(__file__).resolve().parents[2]


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, timedelta):
        value = f"{value.total_seconds():g}"
    if field.is_required() or field.default_factory or value in (None, ""):
        return ""
    return f"`{value}`"


def settings_table(settings: type[BaseModel]) -> list[str]:
    """The rows of a README's settings table."""
    return [
        f"| `{field.validation_alias or f'MR_PROBER_{name.upper()}'}` | {_default(field)} | {field.description} |".replace(
            "|  |", "| |"
        )
        for name, field in settings.model_fields.items()
    ]


@pytest.mark.parametrize(
    ("readme", "settings"),
    [
        ("api/README.md", [ApiSettings]),
        ("creator/README.md", [CreatorSettings]),
        ("agent/README.md", [AgentSettings]),
        ("solomon_stand_in/README.md", [SolomonStandInSettings]),
        ("tools/README.md", [SynchronizeSettings, AgentToolSettings, MeeseeksSettings]),
    ],
)
def test_the_settings_table_of_a_readme_is_that_of_its_classes(
    readme: str, settings: list[type[BaseModel]]
) -> None:
    rows = [
        " ".join(line.split()).replace("|  |", "| |")
        for line in (ROOT / readme).read_text().splitlines()
        if line.startswith(("| `MR_PROBER_", "| `S3_"))
    ]
    # What several tools share stands in their README once.
    assert sorted(rows) == sorted({row for one in settings for row in settings_table(one)})


@pytest.fixture
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("MR_PROBER_", "S3_")):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("_clean_environment")
def test_defaults_suit_a_first_local_run() -> None:
    settings = ApiSettings()
    assert settings.database_url.get_secret_value() == "sqlite:///database.sqlite"
    assert (settings.environment, settings.api_host, settings.api_port) == (
        "local",
        "127.0.0.1",
        8080,
    )


@pytest.mark.usefixtures("_clean_environment")
def test_what_is_given_goes_before_the_environment_and_an_empty_variable_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MR_PROBER_API_PORT", "9090")
    monkeypatch.setenv("MR_PROBER_API_HOST", "")
    settings = ApiSettings()
    assert (settings.api_port, settings.api_host) == (9090, "127.0.0.1")
    assert ApiSettings(api_port=9191).api_port == 9191


@pytest.mark.usefixtures("_clean_environment")
def test_durations_are_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MR_PROBER_CREATOR_POLL_INTERVAL", "0.5")
    assert CreatorSettings().creator_poll_interval == timedelta(seconds=0.5)


@pytest.mark.usefixtures("_clean_environment")
@pytest.mark.parametrize("value", ["soon", "nan", "inf", "1e30", "-1"])
def test_what_is_no_duration_is_a_mistake_like_any_other(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MR_PROBER_CREATOR_POLL_INTERVAL", value)
    with pytest.raises(ValidationError):
        CreatorSettings()


@pytest.mark.usefixtures("_clean_environment")
def test_all_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MR_PROBER_API_PORT", "http")
    monkeypatch.setenv("MR_PROBER_LOG_LEVEL", "LOUD")
    with pytest.raises(ValidationError) as mistakes:
        ApiSettings()
    assert {error["loc"][0] for error in mistakes.value.errors()} == {"api_port", "log_level"}


@pytest.mark.usefixtures("_clean_environment")
def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MR_PROBER_DATABASE_URL", "postgresql+psycopg://user:planted@localhost/x")
    assert "planted" not in repr(ApiSettings())


@pytest.mark.usefixtures("_clean_environment")
def test_s3_needs_both_keys_under_their_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ACCESS_KEY_ID", "id")
    with pytest.raises(ValidationError, match="set both or neither"):
        ApiSettings()
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "planted")
    for settings in (ApiSettings(), CreatorSettings()):
        assert settings.s3_secret_access_key is not None
        assert settings.s3_secret_access_key.get_secret_value() == "planted"
        assert "planted" not in repr(settings)


@pytest.mark.usefixtures("_clean_environment")
@pytest.mark.parametrize("name", ["development", "pre/prod", "Prod", "../prod"])
def test_an_environment_is_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MR_PROBER_ENVIRONMENT", name)
    with pytest.raises(ValidationError):
        CreatorSettings()


@pytest.mark.usefixtures("_clean_environment")
def test_a_key_of_the_states_is_whole_and_not_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MR_PROBER_S3_STATES_ACCESS_KEY_ID", "id")
    with pytest.raises(ValidationError, match="set both or neither"):
        CreatorSettings()
    monkeypatch.setenv("MR_PROBER_S3_STATES_SECRET_ACCESS_KEY", "planted")
    with pytest.raises(ValidationError, match="files are in S3 as well"):
        CreatorSettings()
    monkeypatch.setenv("S3_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "other")
    assert "planted" not in repr(CreatorSettings())
