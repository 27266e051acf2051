"""Probes and metrics on one port: /healthz, /readyz and /metrics."""

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from schemas.errors import ConfigurationError


class Health:
    """
    What a process needs before it may get traffic, condition by condition.

    Args:
        conditions: The names of all conditions; none is met at first.
    """

    def __init__(self, *conditions: str) -> None:
        self._lock = threading.Lock()
        self._conditions = dict.fromkeys(conditions, (False, "starting"))

    def set(self, condition: str, ok: bool, why: str) -> None:
        """Say whether a condition is met, and why."""
        with self._lock:
            self._conditions[condition] = (ok, why)

    @property
    def ready(self) -> bool:
        """Whether every condition is met."""
        with self._lock:
            return all(ok for ok, _ in self._conditions.values())

    def report(self) -> dict[str, Any]:
        """All conditions with their reasons, as `/readyz` shows them."""
        with self._lock:
            conditions = {
                name: {"ok": ok, "why": why} for name, (ok, why) in self._conditions.items()
            }
        return {"ready": all(item["ok"] for item in conditions.values()), "conditions": conditions}


class Port:
    """
    Serves probes and metrics until it is closed.

    `/healthz` answers 200 as long as the process lives, `/readyz` 200 or 503 with the conditions,
    `/metrics` what Prometheus reads.

    Args:
        host: The address to listen on.
        port: The port; 0 for any free one.
        health: What `/readyz` reports.
        registry: What `/metrics` shows.
        option: The setting to change where the port is taken.

    Raises:
        ConfigurationError: The port is taken or not allowed.
    """

    def __init__(
        self, host: str, port: int, health: Health, registry: CollectorRegistry, option: str
    ) -> None:
        # Of every counter it would show one more series, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(health, registry))
        except OSError as error:
            raise ConfigurationError(
                f"Probes and metrics cannot listen on {host}:{port}: {error.strerror}. Stop what "
                f"uses the port, or choose another with {option}."
            ) from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="probes", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(health: Health, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # a client that says nothing is let go
        server_version = "roomstream"
        sys_version = ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/healthz":
                self._answer(HTTPStatus.OK, "application/json", b'{"alive": true}')
            elif path == "/readyz":
                report = health.report()
                status = HTTPStatus.OK if report["ready"] else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, "application/json", json.dumps(report).encode())
            elif path == "/metrics":
                encoder, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(HTTPStatus.OK, content_type, encoder(registry))
            else:
                self._answer(
                    HTTPStatus.NOT_FOUND, "text/plain", b"Try /healthz, /readyz or /metrics.\n"
                )

        do_HEAD = do_GET  # noqa: N815 - http.server calls it so

        def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes every few seconds are not worth a line."""

    return Handler
