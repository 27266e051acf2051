"""The settings of a worker."""

import socket
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from runtime.settings import Settings

# Group and slot make a transactional id and a group instance id as they are: those of two workers differ,
# and begin as permissions say.
_NAME = r"^[A-Za-z0-9._-]+$"


class WorkerSettings(Settings):
    """How a worker runs."""

    model_config = SettingsConfigDict(env_prefix="WORKER_")

    delivery: Annotated[
        Literal["at-least-once", "exactly-once"],
        Field(
            description="at-least-once: no event is lost; a crash repeats at most one window, with "
            "the same input position. exactly-once: results and offsets are one Kafka transaction; "
            "read them with isolation.level=read_committed."
        ),
    ] = "at-least-once"
    group: Annotated[
        str,
        Field(
            pattern=_NAME,
            description="The consumer group that all workers share; the topic prefix is put before it.",
        ),
    ] = "roomstream-workers"
    slot: Annotated[
        str,
        Field(
            pattern=_NAME,
            max_length=100,
            description="This worker's name: the same after every restart, and no other worker's. By "
            "default the name of the host, which a StatefulSet keeps.",
        ),
    ] = Field(default_factory=socket.gethostname)
    processes: Annotated[
        int,
        Field(
            ge=1, le=256, description="Worker processes to supervise; one per core is the fastest."
        ),
    ] = 1
    threads: Annotated[
        int, Field(ge=1, le=64, description="Threads of one inference within a process.")
    ] = 1
    recent_texts: Annotated[
        int,
        Field(
            ge=0,
            description="The features of so many texts are remembered: a title that comes again is not "
            "run through the encoder. Each takes 2 to 4 KiB. 0: none.",
        ),
    ] = 10_000
    metrics_port: Annotated[
        int,
        Field(
            ge=0,
            le=65535,
            description="Port of /metrics, /healthz and /readyz; process number i of several uses "
            "port + i. 0 takes any free one.",
        ),
    ] = 9100
    latency_budget_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=60,
            description="How long one window may take; its size follows from it. With a backlog it may "
            "take an eighth of the time that the backlog needs, up to 4 s, if that is longer.",
        ),
    ] = 0.5
    max_window: Annotated[
        int,
        Field(
            ge=1,
            le=4096,
            description="The most events of one window; at-least-once takes up to 256.",
        ),
    ] = 2048
    review_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="The share of answers that ask for review whatever their scores, drawn at "
            "random, so that labels are an unbiased sample.",
        ),
    ] = 0.02
    review_budget: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="The share of answers that ask for review because they are uncertain: those of "
            "the highest entropy of late, such as 0.05. It takes the place of the release's threshold; "
            "if it is not set, every answer under that threshold asks, however many there are.",
        ),
    ] = None
    explore: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="The share of answers that show another label than the best, so that feedback "
            "tells what other labels would be worth. Every answer then says in 'propensity' how "
            "likely its label was shown.",
        ),
    ] = 0.0
    release_wait_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="How long to wait at start for a release to be announced, and for brokers and a "
            "store that are out of reach.",
        ),
    ] = 60
    session_timeout_seconds: Annotated[
        float,
        Field(
            ge=6,
            le=300,
            description="After so long without a sign of life Kafka gives this worker's partitions to "
            "others.",
        ),
    ] = 10
    watchdog_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="A window that takes longer than this, or brokers that are out of reach for "
            "longer, end the process with exit code 75.",
        ),
    ] = 60
    challenger_cost: Annotated[
        float,
        Field(
            gt=0,
            description="A release on channel canary or shadow is dropped when it takes more than so "
            "many times as long for a listing as the live one.",
        ),
    ] = 5.0
    circuit_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="When a larger share of the last listings fails for what may be mended, such as "
            "a broken release, the worker pauses instead of sending them to the dead-letter topic. 1 "
            "switches this off.",
        ),
    ] = 0.5
    circuit_events: Annotated[
        int, Field(ge=1, le=100_000, description="How many of the last listings that share is of.")
    ] = 100

    @property
    def poll_interval_seconds(self) -> float:
        """How long a member of the group may take between two polls: the watchdog ends it before."""
        return max(self.watchdog_seconds + 10, self.session_timeout_seconds)

    def consumer_group(self, prefix: str) -> str:
        """The group's name on the broker: deployments with other topics share none."""
        return prefix + self.group
