"""
Settings: each is a field with a default and a description, and an environment variable.

The field is the one place for a setting. Its variable is the prefix of its class and its name in
capitals (`KAFKA_` + `BOOTSTRAP_SERVERS`); `roomstream.options` makes the command-line option of it.
A variable with a known prefix that is no field is an error, so that a typing mistake does not
silently mean the default. An empty variable counts as not set.
"""

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.errors import ConfigurationError

S = TypeVar("S", bound="Settings")

# Kafka's own scripts read these, and Kubernetes makes the others for every service of that name.
_KAFKAS_OWN = frozenset(
    "KAFKA_" + name
    for name in (
        "HOME",
        "OPTS",
        "HEAP_OPTS",
        "JVM_PERFORMANCE_OPTS",
        "LOG4J_OPTS",
        "GC_LOG_OPTS",
        "JMX_OPTS",
        "DEBUG",
    )
)
_SERVICE_LINK = re.compile(
    r"(?P<service>[A-Z][A-Z0-9_]*?)_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)"
)

# Secrets of AWS may hold a slash, hence what stands after a colon unless it is a port.
_CREDENTIALS = re.compile(r"[^/]*://[^/]*(@|:(?!\d+(/|$)))")


class Settings(BaseSettings):
    """The base of all settings. Read them with `load`."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, validate_default=True, env_ignore_empty=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options before environment before defaults; no files."""
        return init_settings, env_settings


class KafkaSettings(Settings):
    """How to reach Kafka."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_")

    bootstrap_servers: Annotated[
        str, Field(description="Brokers to connect to first: host:port, separated by commas.")
    ] = "localhost:9092"
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Field(description="Whether connections are encrypted (SSL) and authenticated (SASL)."),
    ] = "PLAINTEXT"
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
        Field(description="How to authenticate where the protocol is SASL."),
    ] = "SCRAM-SHA-512"
    sasl_username: Annotated[str | None, Field(description="Who to authenticate as.")] = None
    sasl_password: Annotated[SecretStr | None, Field(description="The password of that user.")] = (
        None
    )
    sasl_password_file: Annotated[
        Path | None, Field(description="A file that holds the password, such as a mounted secret.")
    ] = None
    ssl_cafile: Annotated[
        Path | None,
        Field(description="Certificates (PEM) to trust; those of the system if not given."),
    ] = None
    ssl_certfile: Annotated[
        Path | None, Field(description="The client's certificate (PEM), for mutual TLS.")
    ] = None
    ssl_keyfile: Annotated[
        Path | None, Field(description="The key (PEM) of the client's certificate.")
    ] = None
    ssl_key_password: Annotated[
        SecretStr | None, Field(description="The password of that key.")
    ] = None
    ssl_check_hostname: Annotated[
        bool, Field(description="Whether a broker's certificate must carry its host name.")
    ] = True

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if faults := [*self._sasl_faults(), *self._file_faults()]:
            raise ValueError("\n".join(faults))
        return self

    def _sasl_faults(self) -> Iterator[str]:
        if self.security_protocol.startswith("SASL"):
            if not self.sasl_username:
                yield "KAFKA_SASL_USERNAME is not set, but the protocol is SASL"
            if (self.sasl_password is None) == (self.sasl_password_file is None):
                yield "set one of KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE for SASL"

    def _file_faults(self) -> Iterator[str]:
        for name in ("sasl_password_file", "ssl_cafile", "ssl_certfile", "ssl_keyfile"):
            path: Path | None = getattr(self, name)
            if path is not None and (path.is_dir() or not os.access(path, os.R_OK)):
                yield f"{env_name(type(self), name)}: the file {path} cannot be read"
        if self.ssl_keyfile and not self.ssl_certfile:
            yield "KAFKA_SSL_KEYFILE is set, but its certificate, KAFKA_SSL_CERTFILE, is not"

    def password(self) -> str | None:
        """The SASL password, from the environment or its file."""
        if self.sasl_password_file is not None:
            return self.sasl_password_file.read_text(encoding="utf-8").rstrip("\r\n")
        return self.sasl_password.get_secret_value() if self.sasl_password else None


def data_folder() -> Path:
    """Where data is kept that nobody was told to keep elsewhere (XDG Base Directory)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "roomstream"


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roomstream"


class SharedSettings(Settings):
    """What all processes of a deployment share."""

    model_config = SettingsConfigDict(env_prefix="ROOMSTREAM_")

    store: Annotated[
        str,
        Field(
            description="Where releases are kept: file:///folder, s3://bucket/path, gs://bucket/path."
        ),
    ] = Field(default_factory=lambda: f"file://{data_folder() / 'store'}")
    topic_prefix: Annotated[
        str,
        Field(
            description="Put before the name of every topic, such as 'staging.'.",
            pattern=r"^[A-Za-z0-9._-]*$",
            max_length=200,
        ),
    ] = ""
    cache: Annotated[
        Path, Field(description="A local folder for downloaded parts of releases.")
    ] = Field(default_factory=lambda: _cache_folder() / "blobs")
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="The least level logged.")
    ] = "INFO"
    listen_host: Annotated[
        str,
        Field(
            description="Where probes and metrics listen; 0.0.0.0 for all addresses, as in a container."
        ),
    ] = "127.0.0.1"

    @field_validator("store")
    @classmethod
    def _address(cls, store: str) -> str:
        if _CREDENTIALS.match(store):
            raise ValueError(
                "the address holds credentials; it is announced on Kafka and logged. Leave out what "
                "stands before the @, and give them to the store's library: AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, ~/.aws/credentials, or GOOGLE_APPLICATION_CREDENTIALS"
            )
        if "://" not in store:
            raise ValueError(f"'{store}' is not an address; for a folder write file://{store}")
        if store.startswith("file://") and not store.startswith("file:///"):
            raise ValueError(
                f"'{store}' is relative; it is announced to other machines: use file:///…"
            )
        return store


def load(cls: type[S], **options: Any) -> S:
    """
    Read settings from options, then the environment, then defaults.

    Args:
        cls: The settings to read.
        options: By field name; those that are None were not given.

    Raises:
        ConfigurationError: Lists everything that is wrong, a line each.
    """
    faults = _misspelt(cls)
    try:
        settings = cls(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        faults += [_fault(cls, dict(detail)) for detail in error.errors()]
    if faults:
        raise ConfigurationError("\n".join(faults))
    return settings


def env_name(cls: type[Settings], field: str) -> str:
    """The environment variable of a field."""
    return f"{cls.model_config['env_prefix']}{field}".upper()


def settings_environment(settings: Settings) -> dict[str, str]:
    """Settings as environment variables, secrets included, to hand them to a child process."""
    environment = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if value is not None:
            environment[env_name(type(settings), name)] = str(value)
    return environment


def _misspelt(cls: type[Settings]) -> list[str]:
    prefix = str(cls.model_config["env_prefix"])
    known = {env_name(cls, field) for field in cls.model_fields}
    strangers = sorted(
        name
        for name in os.environ
        if name.startswith(prefix)
        and name not in known | _KAFKAS_OWN
        and not _is_service_link(name)
    )
    return [f"{name}: no such setting. {_nearest(name, known, prefix)}" for name in strangers]


def _is_service_link(name: str) -> bool:
    """Whether Kubernetes made the variable: it gives every service a host together with its ports."""
    link = _SERVICE_LINK.fullmatch(name)
    return link is not None and f"{link['service']}_SERVICE_HOST" in os.environ


def _nearest(name: str, known: set[str], prefix: str) -> str:
    # The prefix is the same in all of them: it makes nothing similar.
    endings = {each.removeprefix(prefix): each for each in known}
    near = difflib.get_close_matches(name.removeprefix(prefix), endings, n=1)
    if near:
        return f"Did you mean {endings[near[0]]}?"
    return f"Known are: {', '.join(sorted(known))}."


def _fault(cls: type[Settings], detail: dict[str, Any]) -> str:
    reason = str(detail["msg"]).removeprefix("Value error, ")
    location = detail["loc"]
    return f"{env_name(cls, str(location[0]))}: {reason}" if location else reason
