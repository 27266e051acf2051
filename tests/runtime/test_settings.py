"""Settings: where each comes from, what is refused, and what is never shown."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from runtime.settings import (
    KafkaSettings,
    Settings,
    SharedSettings,
    load,
    settings_environment,
)
from schemas.errors import ConfigurationError

SECRET = "hunter2-and-a-half"
SASL = {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "ana"}


def refusal(cls: type[Settings], **options: object) -> str:
    """What `load` says about settings that are wrong."""
    with pytest.raises(ConfigurationError) as raised:
        load(cls, **options)
    return str(raised.value)


def test_defaults_are_enough() -> None:
    """Without options and variables Kafka is on this machine, and data in the user's folders."""
    kafka, shared = load(KafkaSettings), load(SharedSettings)

    assert (kafka.bootstrap_servers, kafka.security_protocol) == ("localhost:9092", "PLAINTEXT")
    assert re.fullmatch(r"file:///.*/data/roomstream/store", shared.store)
    assert (shared.topic_prefix, shared.listen_host) == ("", "127.0.0.1")


def test_a_variable_beats_the_default_and_an_option_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The nearest to the command wins; an option that is None was not given."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9092")
    found = [load(KafkaSettings, bootstrap_servers=given) for given in (None, "other:1")]

    assert [kafka.bootstrap_servers for kafka in found] == ["kafka-1:9092", "other:1"]


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """`KAFKA_SASL_PASSWORD: ${PASSWORD:-}` of a compose file leaves the default in force."""
    monkeypatch.setenv("KAFKA_SSL_CAFILE", "")
    monkeypatch.setenv("ROOMSTREAM_LOG_LEVEL", "")

    assert load(KafkaSettings).ssl_cafile is None
    assert load(SharedSettings).log_level == "INFO"


def test_settings_cannot_be_changed() -> None:
    """What was loaded is what every part of the process sees."""
    kafka = load(KafkaSettings)

    with pytest.raises(ValidationError, match="frozen"):
        setattr(kafka, "bootstrap_servers", "other:1")  # noqa: B010 - mypy knows that it fails


@pytest.mark.parametrize(
    ("cls", "variable", "meant"),
    [
        (KafkaSettings, "KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        (KafkaSettings, "KAFKA_SSL_CA_FILE", "KAFKA_SSL_CAFILE"),
        (KafkaSettings, "KAFKA_PASSWORD", "KAFKA_SASL_PASSWORD"),
        (SharedSettings, "ROOMSTREAM_LOGLEVEL", "ROOMSTREAM_LOG_LEVEL"),
    ],
)
def test_a_misspelt_variable_is_an_error(
    monkeypatch: pytest.MonkeyPatch, cls: type[Settings], variable: str, meant: str
) -> None:
    """It would otherwise silently mean the default; what was meant is suggested."""
    monkeypatch.setenv(variable, "x")

    assert refusal(cls) == f"{variable}: no such setting. Did you mean {meant}?"


def test_a_strange_variable_shows_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is near, all are listed."""
    monkeypatch.setenv("ROOMSTREAM_COLOUR", "x")

    assert "Known are: ROOMSTREAM_CACHE, ROOMSTREAM_LISTEN_HOST," in refusal(SharedSettings)


@pytest.mark.parametrize("name", ["KAFKA_HOME", "KAFKA_HEAP_OPTS", "KAFKA_JMX_OPTS"])
def test_variables_of_kafkas_own_scripts_are_none_of_ours(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A machine with a Kafka on it has them."""
    monkeypatch.setenv(name, "x")

    assert load(KafkaSettings) == KafkaSettings()


@pytest.mark.parametrize("service", ["KAFKA", "KAFKA_BROKER", "KAFKA_0"])
def test_service_links_of_kubernetes_are_none_of_ours(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    """Kubernetes makes such variables in every pod for every service, whatever it is called."""
    for ending in (
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_TCP_CLIENT",
        "PORT",
        "PORT_9092_TCP",
        "PORT_9092_TCP_ADDR",
    ):
        monkeypatch.setenv(f"{service}_{ending}", "x")

    assert load(KafkaSettings) == KafkaSettings()


def test_only_a_service_makes_a_service_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port without the host that Kubernetes would set beside it is a typing mistake."""
    monkeypatch.setenv("KAFKA_PORT", "9092")

    assert "KAFKA_PORT: no such setting" in refusal(KafkaSettings)


def test_all_faults_are_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each, so that mending takes one round."""
    monkeypatch.setenv("ROOMSTREAM_STORES", "x")
    faults = refusal(
        SharedSettings, store="folder", topic_prefix="a b", log_level="LOUD"
    ).splitlines()

    assert [fault.partition(":")[0] for fault in faults] == [
        "ROOMSTREAM_STORES",
        "ROOMSTREAM_STORE",
        "ROOMSTREAM_TOPIC_PREFIX",
        "ROOMSTREAM_LOG_LEVEL",
    ]


@pytest.mark.parametrize(
    ("store", "why"), [("folder", "for a folder write file://"), ("file://here", "is relative")]
)
def test_a_store_is_an_address_for_every_machine(store: str, why: str) -> None:
    """It is announced to workers elsewhere: a bare or relative path means nothing to them."""
    assert why in refusal(SharedSettings, store=store)


@pytest.mark.parametrize("name", ["AKIA7:{}@", "{}@", "AKIA7:a/{}@"])
def test_a_store_holds_no_credentials(name: str) -> None:
    """Its address is announced and logged; the refusal says where they belong, and shows none."""
    said = refusal(SharedSettings, store=f"s3://{name.format(SECRET)}bucket/releases")

    assert "holds credentials" in said
    assert "AWS_SECRET_ACCESS_KEY" in said
    assert SECRET not in said
    assert "AKIA7" not in said


@pytest.mark.parametrize(
    "store", ["file:///home/ana@work", "s3://b/a@2", "hdfs://namenode:8020/a:b"]
)
def test_an_at_sign_elsewhere_is_no_credential(store: str) -> None:
    """Neither in a path, nor a port."""
    assert load(SharedSettings, store=store).store == store


def test_sasl_needs_a_user_and_one_password(tmp_path: Path) -> None:
    """All that is missing is said together; two passwords are as wrong as none."""
    file = tmp_path / "password"
    file.write_text(SECRET)
    none = refusal(KafkaSettings, security_protocol="SASL_SSL")
    both = refusal(KafkaSettings, **SASL, sasl_password=SECRET, sasl_password_file=file)

    assert "KAFKA_SASL_USERNAME is not set" in none
    assert "set one of KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE" in none
    assert both == "set one of KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE for SASL"


@pytest.mark.parametrize("written", ["word\n", "word", "word\r\n", "pass word\n", "pässword\n"])
def test_a_password_file_holds_one_line(tmp_path: Path, written: str) -> None:
    """The line break that editors add is not part of the password; spaces are."""
    file = tmp_path / "password"
    file.write_text(written, encoding="utf-8", newline="")
    kafka = load(KafkaSettings, **SASL, sasl_password_file=file)

    assert written.strip("\r\n") == kafka.password()


def test_files_must_be_readable_and_whole(tmp_path: Path) -> None:
    """Every file that is missing, a folder, or without its counterpart is named."""
    faults = refusal(
        KafkaSettings, ssl_cafile=tmp_path / "none.pem", ssl_keyfile=tmp_path
    ).splitlines()

    assert [
        f"KAFKA_SSL_CAFILE: the file {tmp_path / 'none.pem'} cannot be read",
        f"KAFKA_SSL_KEYFILE: the file {tmp_path} cannot be read",
        "KAFKA_SSL_KEYFILE is set, but its certificate, KAFKA_SSL_CERTFILE, is not",
    ] == faults


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither settings, printed or logged, nor what is said about faults contains them."""
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", SECRET)
    monkeypatch.setenv("KAFKA_SSL_KEY_PASSWORD", SECRET)
    kafka = load(KafkaSettings, **SASL)
    monkeypatch.setenv("KAFKA_SASL_PASSWORDS", SECRET)
    faults = refusal(KafkaSettings, security_protocol="SASL_SSL", ssl_check_hostname="perhaps")

    assert kafka.password() == SECRET
    assert SECRET not in f"{kafka!r} {kafka} {kafka.model_dump()} {faults}"


class Process(Settings):
    """Fields of every kind that settings have."""

    model_config = SettingsConfigDict(env_prefix="PROCESS_")

    count: int = 1
    share: float = 0.5
    on: bool = True
    off: bool = False
    path: Path = Path("a")
    nothing: int | None = None


def test_settings_survive_the_way_to_a_child_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, booleans, paths, secrets and what is not set read back as they were."""
    given = [
        Process(count=3, share=1e-9, on=False, off=True, path=Path("/b c")),
        load(KafkaSettings, **SASL, sasl_password=SECRET, ssl_check_hostname=False),
        load(SharedSettings, topic_prefix="t.", cache=Path("/tmp/x")),  # noqa: S108 - only a name
    ]
    for settings in given:
        for name, value in settings_environment(settings).items():
            monkeypatch.setenv(name, value)

    assert given == [load(type(settings)) for settings in given]
    assert "PROCESS_NOTHING" not in settings_environment(given[0])
    assert settings_environment(given[1])["KAFKA_SASL_PASSWORD"] == SECRET
