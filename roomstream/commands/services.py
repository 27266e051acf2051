"""`roomstream worker` and `roomstream trainer`: the two services."""

from collections.abc import Callable

import structlog
import typer

from roomstream.options import with_settings
from runtime.logs import configure_logs
from runtime.settings import KafkaSettings, SharedSettings
from runtime.stopping import Stopped
from schemas.errors import ExitCode, RoomstreamError
from trainer.settings import TrainerSettings
from workers.settings import WorkerSettings

_log = structlog.get_logger(__name__)


@with_settings(KafkaSettings, SharedSettings, WorkerSettings)
def worker(kafka: KafkaSettings, shared: SharedSettings, settings: WorkerSettings) -> None:
    """
    Classify listings until SIGTERM, then drain.

    Logs are JSON lines on standard error; probes and metrics are on --metrics-port.
    """
    configure_logs("worker", shared.log_level, slot=settings.slot)

    def run() -> int:
        from workers.service import run_worker

        return run_worker(kafka, shared, settings)

    raise typer.Exit(_ended(run, "worker"))


@with_settings(KafkaSettings, SharedSettings, TrainerSettings)
def trainer(kafka: KafkaSettings, shared: SharedSettings, settings: TrainerSettings) -> None:
    """
    Learn from labelled events and publish releases until SIGTERM.

    Logs are JSON lines on standard error; probes and metrics are on --metrics-port.
    """
    configure_logs("trainer", shared.log_level)

    def run() -> int:
        from trainer.service import run_trainer

        return run_trainer(kafka, shared, settings)

    raise typer.Exit(_ended(run, "trainer"))


def _ended(run: Callable[[], int], extra: str) -> int:
    """Run a service; what ends it is a log line and an exit code."""
    try:
        return run()
    except Stopped:
        _log.info("stopped before it had begun")
        return ExitCode.DONE
    except RoomstreamError as error:
        _log.error("ended", why=str(error), exit_code=int(error.exit_code))
        return error.exit_code
    except ModuleNotFoundError as error:
        _log.error(
            "ended",
            why=f"{error}. Run pip install 'roomstream[{extra}]'.",
            exit_code=int(ExitCode.USAGE),
        )
        return ExitCode.USAGE
    except Exception:  # noqa: BLE001 - becomes a log line and an exit code
        _log.exception("ended: this is a bug", exit_code=int(ExitCode.FAILED))
        return ExitCode.FAILED
