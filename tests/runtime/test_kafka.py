"""Connections: the same settings for every client library."""

import ssl
from pathlib import Path

import faust
import pytest
import trustme

from runtime.kafka import kafka_arguments, ssl_context
from runtime.settings import KafkaSettings, load
from schemas.errors import ConfigurationError
from tests.certificates import pkcs8
from workers.faust_delivery import _credentials

SASL = {"sasl_username": "ana", "sasl_password": "pässword"}


def test_plaintext_needs_no_more_than_addresses() -> None:
    """Neither library is told of TLS or a user; spaces and a last comma are forgiven."""
    kafka = load(KafkaSettings, bootstrap_servers="a:1, b:2,")

    assert kafka_arguments(kafka) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }
    assert _credentials(kafka) is None


def test_tls_gives_both_libraries_a_context(cafile: Path) -> None:
    """Both trust the same authority, and nobody else."""
    kafka = load(KafkaSettings, security_protocol="SSL", ssl_cafile=cafile)
    arguments, credentials = kafka_arguments(kafka), _credentials(kafka)

    assert isinstance(credentials, faust.SSLCredentials)
    assert arguments.keys() == {
        "bootstrap_servers",
        "security_protocol",
        "ssl_context",
        "ssl_check_hostname",
    }
    for context in (arguments["ssl_context"], credentials.context):
        assert len(context.get_ca_certs()) == 1
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_sasl_gives_both_libraries_the_same_user(
    protocol: str, mechanism: str, cafile: Path
) -> None:
    """Name, password and mechanism; TLS only where the protocol says so."""
    kafka = load(
        KafkaSettings,
        security_protocol=protocol,
        sasl_mechanism=mechanism,
        ssl_cafile=cafile,
        **SASL,
    )
    arguments, credentials = kafka_arguments(kafka), _credentials(kafka)
    encrypted = protocol == "SASL_SSL"

    assert (protocol, mechanism, "ana", "pässword") == (
        arguments["security_protocol"],
        arguments["sasl_mechanism"],
        arguments["sasl_plain_username"],
        arguments["sasl_plain_password"],
    )
    assert (protocol, mechanism, "ana", "pässword") == (
        credentials.protocol.value,
        credentials.mechanism.value,
        credentials.username,
        credentials.password,
    )
    assert encrypted == ("ssl_context" in arguments) == (credentials.ssl_context is not None)


def test_the_hosts_name_is_not_checked_where_that_is_switched_off() -> None:
    """The certificate itself still is."""
    context = ssl_context(load(KafkaSettings, security_protocol="SSL", ssl_check_hostname="false"))

    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_REQUIRED)


def test_a_clients_certificate_is_loaded(authority: trustme.CA, tmp_path: Path) -> None:
    """Certificate and key may be two files or one."""
    leaf, both = authority.issue_cert("client"), tmp_path / "both.pem"
    leaf.private_key_and_cert_chain_pem.write_to_path(both)
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    leaf.cert_chain_pems[0].write_to_path(certificate)
    leaf.private_key_pem.write_to_path(key)

    assert ssl_context(load(KafkaSettings, ssl_certfile=both))
    assert ssl_context(load(KafkaSettings, ssl_certfile=certificate, ssl_keyfile=key))


def test_files_that_are_no_certificates_are_told(tmp_path: Path, cafile: Path) -> None:
    """Whichever of them it is, and a key that is not of that certificate."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for options in ({"ssl_cafile": nonsense}, {"ssl_certfile": nonsense}, {"ssl_certfile": cafile}):
        with pytest.raises(ConfigurationError, match="must be PEM files that belong together"):
            kafka_arguments(load(KafkaSettings, security_protocol="SSL", **options))


def test_an_encrypted_key_without_its_password_is_told(
    authority: trustme.CA, tmp_path: Path
) -> None:
    """Nobody is asked for it on a terminal; with the password it works."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    leaf = authority.issue_cert("client")
    key.write_bytes(pkcs8(leaf, b"sesame"))
    leaf.cert_chain_pems[0].write_to_path(certificate)
    files = {"ssl_certfile": certificate, "ssl_keyfile": key}

    assert ssl_context(load(KafkaSettings, **files, ssl_key_password="sesame"))
    for password in (None, "wrong"):
        with pytest.raises(ConfigurationError, match="KAFKA_SSL_KEY_PASSWORD"):
            ssl_context(load(KafkaSettings, **files, ssl_key_password=password))
