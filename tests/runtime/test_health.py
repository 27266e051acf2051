"""Probes and metrics over real HTTP."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import psutil
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from runtime.health import Health, Port
from schemas.errors import ConfigurationError


@dataclass
class Answer:
    """What a port answers."""

    status: int
    content_type: str
    length: int
    body: str


def ask(port: int, path: str, method: str = "GET", accept: str = "*/*") -> Answer:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request(method, path, headers={"Accept": accept})
        answer = connection.getresponse()
        return Answer(
            answer.status,
            answer.headers["Content-Type"],
            int(answer.headers["Content-Length"]),
            answer.read().decode(),
        )


@pytest.fixture
def health() -> Health:
    return Health("release", "partitions")


@pytest.fixture
def port(health: Health) -> Iterator[int]:
    registry = CollectorRegistry()
    Counter("roomstream_tests", "A counter of this test.", registry=registry).inc(3)
    with closing(Port("127.0.0.1", 0, health, registry, "WORKER_METRICS_PORT")) as server:
        yield server.port


def test_a_process_that_lives_says_so(port: int) -> None:
    """/healthz is 200 whatever the conditions are."""
    assert Answer(200, "application/json", 15, '{"alive": true}') == ask(port, "/healthz")


def test_a_process_is_ready_once_every_condition_is_met(port: int, health: Health) -> None:
    """503 turns into 200 with the last of them, and back when one is lost; each has its reason."""
    statuses = [ask(port, "/readyz").status]
    health.set("release", ok=True, why="r-1")
    half = json.loads(ask(port, "/readyz").body)
    health.set("partitions", ok=True, why="2 assigned")
    statuses.append(ask(port, "/readyz?verbose").status)
    assert health.ready
    health.set("release", ok=False, why="lost")
    statuses.append(ask(port, "/readyz").status)

    assert statuses == [503, 200, 503]
    assert half == {
        "ready": False,
        "conditions": {
            "release": {"ok": True, "why": "r-1"},
            "partitions": {"ok": False, "why": "starting"},
        },
    }


def test_metrics_are_in_prometheus_text_format(port: int) -> None:
    """What an old scraper asks for."""
    answer = ask(port, "/metrics")
    families = [family for family in plain(answer.body) if family.name == "roomstream_tests"]

    assert answer.content_type.startswith("text/plain")
    assert [(sample.name, sample.value) for family in families for sample in family.samples] == [
        ("roomstream_tests_total", 3.0)
    ]


def test_metrics_are_in_openmetrics_format_for_who_asks(port: int) -> None:
    """What Prometheus asks for today."""
    answer = ask(port, "/metrics", accept="application/openmetrics-text; version=1.0.0")
    (family,) = openmetrics(answer.body)  # type: ignore[no-untyped-call] # theirs has no types

    assert answer.content_type.startswith("application/openmetrics-text")
    assert (family.name, family.samples[0].value) == ("roomstream_tests", 3.0)


def test_another_path_shows_the_way(port: int) -> None:
    """404, with the paths that there are."""
    answer = ask(port, "/")

    assert (answer.status, answer.body) == (404, "Try /healthz, /readyz or /metrics.\n")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/other"])
def test_head_answers_as_get_without_the_body(port: int, path: str) -> None:
    """Load balancers ask so; the length is that of the body that GET gives."""
    get, head = ask(port, path), ask(port, path, "HEAD")

    assert (get.status, get.content_type, get.length, "") == (
        head.status,
        head.content_type,
        head.length,
        head.body,
    )


def test_many_can_ask_one_after_another_and_at_once(port: int) -> None:
    """A client that connects and says nothing keeps nobody else waiting."""
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as silent:
        silent.connect()

        assert [ask(port, "/healthz").status for _ in range(5)] == [200] * 5


def test_a_taken_port_names_the_option(port: int, health: Health) -> None:
    """The address, the system's words, and what to set."""
    with pytest.raises(ConfigurationError) as raised:
        Port("127.0.0.1", port, health, CollectorRegistry(), "WORKER_METRICS_PORT")

    assert str(raised.value) == (
        f"Probes and metrics cannot listen on 127.0.0.1:{port}: Address already in use. Stop what "
        "uses the port, or choose another with WORKER_METRICS_PORT."
    )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
def test_an_address_that_is_not_ours_names_it(host: str, health: Health) -> None:
    """Not a traceback."""
    with pytest.raises(ConfigurationError, match=rf"cannot listen on {host}:0: .+ROOMSTREAM"):
        Port(host, 0, health, CollectorRegistry(), "ROOMSTREAM_LISTEN_HOST")


def test_it_listens_where_it_was_told_only(port: int) -> None:
    """On loopback nobody else on the network reaches it."""
    listening = {
        connection.laddr
        for connection in psutil.Process().net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }

    assert {("127.0.0.1", port)} == listening


def test_a_closed_port_is_free_again(health: Health) -> None:
    """A restart in the same process may listen on it."""
    registry, taken = CollectorRegistry(), 0
    for _ in range(2):
        with closing(Port("127.0.0.1", taken, health, registry, "PORT")) as server:
            taken = server.port
            ask(taken, "/healthz")

    with pytest.raises(ConnectionRefusedError):
        ask(taken, "/healthz")
