"""The loop of a demo: start the parts, let them work, and see that everything was dealt with."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence

from roomstream.demo.figures import quarter_accuracies
from roomstream.demo.fleet import log_tail
from roomstream.demo.learned import labels_taken
from roomstream.demo.messages import taxonomy
from roomstream.demo.options import DemoOptions
from roomstream.demo.parts import Parts, open_parts
from roomstream.demo.report import Report
from roomstream.demo.stage import Stage, open_stage
from roomstream.demo.view import Progress, View
from roomstream.listings import Message
from runtime.parent_death import dies_with_parent
from schemas.errors import RoomstreamError

TICK_SECONDS = 0.25
LAST_LABELS_SECONDS = 12.0


class OutOfTime(RoomstreamError):
    """The demo has not ended within its limit."""


class Loop:
    """
    A demo that runs once.

    Args:
        options: What it was told.
        messages: What it sends.
        view: Where it shows its progress.
    """

    def __init__(self, options: DemoOptions, messages: Sequence[Message], view: View) -> None:
        self._options, self._messages, self._view = options, messages, view
        self._started = time.monotonic()
        self._progress = Progress(messages=len(messages))

    def run(self) -> Report:
        """
        Run it.

        Raises:
            OutOfTime: Not even the base model was imported within the limit.
            RoomstreamError: A part cannot work.
        """
        self._step("Starting the broker")
        with open_stage(self._options) as stage:
            self._import_base(stage)
            with open_parts(self._options, self._messages, stage, self._progress) as parts:
                failure = self._perform(parts)
                self._step("Stopping the workers and the trainer")
            return self._report(parts, failure)

    def _import_base(self, stage: Stage) -> None:
        """Make the base release as an operator does; a process of its own gives its memory back."""
        self._step("Importing the base model: MiniLM, not trained on listings")
        labels = ",".join(taxonomy(self._messages))
        with stage.log("base-import").open("wb") as log:
            process = subprocess.Popen(
                stage.command("base", "import", "minilm", "--labels", labels),
                env=os.environ | stage.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=dies_with_parent(),
            )
        try:
            self._wait(lambda: process.poll() is not None)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            raise RoomstreamError(
                f"The base model could not be imported.\n{log_tail(stage, 'base-import')}"
            )

    def _perform(self, parts: Parts) -> str | None:
        """Let the parts work until all is dealt with; returns what went wrong."""
        try:
            self._step("Starting the workers and the trainer")
            self._wait(lambda: parts.fleet.ready, parts)
            parts.start()
            self._step("Listings arrive, people label, the workers learn")
            self._wait(lambda: parts.traffic.done and self._all_answered(parts), parts)
            self._step("All is answered; the last labels are learned")
            parts.people_stopping.set()
            self._wait(parts.people_gone.is_set, parts)
            parts.sender.flush()
            self._wait(lambda: self._all_learned(parts), parts)
            last = time.monotonic() + LAST_LABELS_SECONDS
            self._wait(lambda: not parts.clock.waiting or time.monotonic() > last, parts)
        except OutOfTime as error:
            return str(error)
        return None

    def _all_answered(self, parts: Parts) -> bool:
        # First the cheap question, since the other one asks the broker.
        return parts.traffic.unanswered == 0 and not parts.account().missing

    def _all_learned(self, parts: Parts) -> bool:
        return labels_taken(parts.stage.database).all >= parts.labels.sent

    def _report(self, parts: Parts, failure: str | None) -> Report:
        account = parts.account()
        taken = labels_taken(parts.stage.database)
        first, last = quarter_accuracies(parts.ledger.judged())
        return Report(
            events_sent=len(parts.ledger.sent),
            classified=account.classified,
            dead=account.dead,
            skipped=account.skipped,
            missing=len(account.missing),
            repeated=account.repeated,
            unexpected=list(account.unexpected),
            labels_sent=parts.labels.sent,
            labels_learned=taken.learned,
            labels_doubted=taken.doubted,
            releases=len(parts.releases.announced),
            reloads=parts.fleet.reloads,
            worker_restarts=parts.fleet.worker_restarts,
            trainer_restarts=parts.fleet.trainer_restarts,
            accuracy_first_quarter=first,
            accuracy_last_quarter=last,
            label_to_live_seconds_median=parts.clock.median_seconds,
            seconds=time.monotonic() - self._started,
            failure=failure,
            logs=parts.fleet.logs if failure else "\n".join(parts.fleet.crashes),
            topic_prefix=parts.stage.prefix,
            folder=str(parts.stage.folder) if self._options.keep else None,
        )

    def _step(self, text: str) -> None:
        self._progress.step = text
        self._view.update(self._progress)

    def _wait(self, done: Callable[[], bool], parts: Parts | None = None) -> None:
        while not done():
            if time.monotonic() - self._started > self._options.limit_seconds:
                raise OutOfTime(
                    f"The demo did not end within {self._options.limit_seconds:g} s "
                    f"(--limit-seconds) while: {self._progress.step}."
                )
            if parts is not None:
                parts.check()
                parts.show(self._progress)
            self._view.update(self._progress)
            time.sleep(TICK_SECONDS)
