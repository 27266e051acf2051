"""Options: every setting is one, except secrets."""

import re

import pytest
import typer
from pydantic import SecretStr
from typer.testing import CliRunner

from roomstream.cli import app
from roomstream.options import PANELS, with_settings
from runtime.settings import KafkaSettings, Settings, SharedSettings, env_name
from schemas.errors import ConfigurationError
from trainer.settings import TrainerSettings
from workers.settings import WorkerSettings

ALL = (KafkaSettings, SharedSettings, WorkerSettings, TrainerSettings)
SECRETS = {"KAFKA_SASL_PASSWORD", "KAFKA_SSL_KEY_PASSWORD"}
FIELDS = [(cls, name) for cls in ALL for name in cls.model_fields]
HELP = {"COLUMNS": "400", "TERM": "dumb", "NO_COLOR": "1"}


def command(*classes: type[Settings]) -> tuple[typer.Typer, list[tuple[object, ...]]]:
    """A command with the options of some settings, and what it was called with."""
    small, calls = typer.Typer(), list[tuple[object, ...]]()

    @small.command()
    @with_settings(*classes)
    def run(*loaded: Settings) -> None:
        calls.append(loaded)

    return small, calls


@pytest.fixture(scope="module")
def pages() -> str:
    """The help of both services."""
    shown = [CliRunner().invoke(app, [name, "--help"], env=HELP) for name in ("worker", "trainer")]
    return "\n".join(page.output for page in shown)


def shows(page: str, variable: str) -> bool:
    """Whether a page of help names a variable, alone or with a default."""
    return f"[{variable}]" in page or f"[{variable}, " in page


def is_secret(cls: type[Settings], name: str) -> bool:
    return "SecretStr" in str(cls.model_fields[name].annotation)


@pytest.mark.parametrize(
    ("cls", "name"),
    [pytest.param(*field, id=env_name(*field)) for field in FIELDS if not is_secret(*field)],
)
def test_every_setting_is_an_option_with_its_variable_and_help(
    cls: type[Settings], name: str, pages: str
) -> None:
    """On one line of --help: the option, what it means, the variable."""
    described = cls.model_fields[name].description or ""
    option = f"--{name.replace('_', '-')}"
    lines = [line for line in pages.splitlines() if shows(line, env_name(cls, name))]

    assert len(described) > 10
    assert lines
    assert all(re.search(rf"{option}\s", line) and described in line for line in lines)


def test_every_class_of_settings_has_a_panel() -> None:
    """So that --help is in order."""
    assert {cls.__name__ for cls in ALL} == PANELS.keys()


def test_secrets_are_no_options(pages: str) -> None:
    """A command line is visible to every user of the machine."""
    found = {env_name(*field) for field in FIELDS if is_secret(*field)}

    assert found == SECRETS
    assert not any(shows(pages, name) for name in SECRETS)
    assert not re.search(r"--(sasl|ssl-key)-password\s", pages)


def test_options_are_handed_to_the_command_as_settings() -> None:
    """An option wins over its variable, a variable over the default; types are those of the fields."""
    small, calls = command(KafkaSettings, WorkerSettings)
    done = CliRunner().invoke(
        small,
        ["--bootstrap-servers", "a:1", "--ssl-check-hostname", "false", "--max-window", "7"],
        env={"KAFKA_BOOTSTRAP_SERVERS": "b:2", "WORKER_THREADS": "3"},
    )
    ((kafka, worker),) = calls

    assert done.exit_code == 0
    assert isinstance(kafka, KafkaSettings)
    assert isinstance(worker, WorkerSettings)
    assert (kafka.bootstrap_servers, kafka.ssl_check_hostname) == ("a:1", False)
    assert (worker.max_window, worker.threads, worker.processes) == (7, 3, 1)


def test_secrets_come_from_the_environment() -> None:
    """They reach the settings all the same."""
    small, calls = command(KafkaSettings)
    CliRunner().invoke(small, [], env={"KAFKA_SSL_KEY_PASSWORD": "sesame"})
    ((kafka,),) = calls

    assert isinstance(kafka, KafkaSettings)
    assert kafka.ssl_key_password == SecretStr("sesame")


def test_a_value_that_cannot_be_is_told_by_its_variable() -> None:
    """The same error whether it came as an option or as a variable."""
    small, _ = command(WorkerSettings)
    runs = [
        CliRunner().invoke(small, ["--threads", "none"]),
        CliRunner().invoke(small, [], env={"WORKER_THREADS": "none"}),
    ]

    assert [run.exception.__class__ for run in runs] == [ConfigurationError] * 2
    assert len({str(run.exception) for run in runs}) == 1
    assert str(runs[0].exception).startswith("WORKER_THREADS: ")


def test_same_named_fields_of_two_classes_do_not_mix() -> None:
    """Both services have threads and a metrics port; a command takes one of them only."""
    shared = WorkerSettings.model_fields.keys() & TrainerSettings.model_fields.keys()

    assert {"threads", "metrics_port"} <= shared
    assert not {
        name
        for cls in (WorkerSettings, TrainerSettings)
        for other in (KafkaSettings, SharedSettings)
        for name in cls.model_fields.keys() & other.model_fields.keys()
    }
