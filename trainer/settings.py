"""The settings of the trainer."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from runtime.settings import Settings, data_folder
from trainer.learner_names import LearnerName


class TrainerSettings(Settings):
    """How the trainer learns and when it publishes."""

    model_config = SettingsConfigDict(env_prefix="TRAINER_")

    database: Annotated[
        Path,
        Field(
            description="The SQLite file with labels, replay buffer, hold-out, learner and offsets."
        ),
    ] = Field(default_factory=lambda: data_folder() / "trainer.sqlite")
    learner: Annotated[
        LearnerName,
        Field(
            description="What learns. 'roomstream learners list' says what each is, 'roomstream "
            "learners compare' tries them on your own labels."
        ),
    ] = "mixture"
    metrics_port: Annotated[
        int,
        Field(
            ge=0, le=65535, description="Port of /metrics, /healthz and /readyz; 0: any free one."
        ),
    ] = 9200
    unknown_labels: Annotated[
        Literal["admit", "refuse"],
        Field(
            description="A label that no release knows becomes a class (admit), or its event a dead "
            "letter (refuse)."
        ),
    ] = "admit"
    max_classes: Annotated[
        int,
        Field(ge=2, le=10_000, description="Labels beyond so many classes become dead letters."),
    ] = 200
    replay_size: Annotated[
        int, Field(ge=1, description="The most labelled listings in the replay buffer.")
    ] = 10_000
    holdout_share: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="The share of listings kept from learning, to judge releases by.",
        ),
    ] = 0.1
    holdout_size: Annotated[
        int,
        Field(
            ge=1,
            description="The most listings in the hold-out. The oldest go first, but half of the places "
            "are shared out evenly among the classes.",
        ),
    ] = 1_000
    suspect_confidence: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="A label that contradicts a prediction with a higher score than this is held "
            "back until a second one of its listing says the same, or somebody accepts it with "
            "'roomstream labels accept'. 1: never.",
        ),
    ] = 0.8
    release_interval_seconds: Annotated[
        float, Field(ge=0, description="The least time between two candidates.")
    ] = 2.0
    keep_releases: Annotated[
        int,
        Field(
            ge=10,
            description="The store keeps so many of the newest releases, and those that serve or may be "
            "rolled back to; older ones of the trainer are removed.",
        ),
    ] = 200
    first_labels_per_class: Annotated[
        int,
        Field(
            ge=1,
            description="The first release waits for so many labels of every known class …",
        ),
    ] = 5
    first_labels: Annotated[int, Field(ge=1, description="… or for so many labels in all.")] = 100
    max_accuracy_loss: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="A candidate's hold-out accuracy may be so much lower than the live one's, "
            "with 95% confidence.",
        ),
    ] = 0.01
    max_recall_loss: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="The recall of a class on the hold-out may be so much lower than the live one's.",
        ),
    ] = 0.05
    max_calibration_loss: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="A candidate's expected calibration error may be so much higher than the live "
            "one's.",
        ),
    ] = 0.02
    min_recall_items: Annotated[
        int,
        Field(
            ge=1,
            description="Classes with fewer hold-out listings are judged together: a recall of three "
            "listings says little.",
        ),
    ] = 20
    noise_items: Annotated[
        int,
        Field(
            ge=0,
            description="A loss of so many hold-out listings is chance, however large a share of a "
            "small hold-out it is.",
        ),
    ] = 2
    promotion: Annotated[
        Literal["direct", "shadow", "canary"],
        Field(
            description="Where a candidate goes that passes its gates. direct: it is live. shadow: "
            "beside the live release, or canary: in its place, on a share of the listings, until labels "
            "promote or drop it."
        ),
    ] = "direct"
    challenger_share: Annotated[
        float,
        Field(gt=0, le=1, description="The share of listings that a release on trial takes."),
    ] = 0.1
    promotion_margin: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="By so much a release on trial may be less accurate than the live one. A small "
            "margin takes many labels to decide.",
        ),
    ] = 0.01
    promotion_error: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="The chance that a release on trial is made live though it is less accurate by "
            "the margin or more.",
        ),
    ] = 0.05
    rollback_error: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="The chance that a release is dropped or rolled back though it is not worse.",
        ),
    ] = 0.01
    max_batch: Annotated[
        int, Field(ge=1, le=4096, description="The most events of one mini-batch.")
    ] = 64
    session_timeout_seconds: Annotated[
        float,
        Field(
            ge=1,
            le=1800,
            description="A trainer that is not heard of for so long leads no more: one that stands by "
            "takes over.",
        ),
    ] = 10
    snapshot_every_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="The least time between two snapshots of the database in the store, from which "
            "another trainer takes over.",
        ),
    ] = 300
    threads: Annotated[int, Field(ge=1, le=64, description="Threads of one inference.")] = 1
    finetune_every_labels: Annotated[
        int,
        Field(
            ge=0,
            description="The encoder is fine-tuned after so many labels; 0: never for their number.",
        ),
    ] = 2_000
    finetune_drift_labels: Annotated[
        int,
        Field(
            ge=0,
            description="When the stream has changed, fine-tuning waits for so many labels more. Further "
            "changes meanwhile do not put it off.",
        ),
    ] = 500
    finetune_every_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="The encoder is fine-tuned so long after the last time, if there are new labels; "
            "0: never for the time.",
        ),
    ] = 0
    finetune_steps: Annotated[
        int,
        Field(
            ge=10, description="The most mini-batches of 32 listings that one fine-tuning learns."
        ),
    ] = 300
    finetune_threads: Annotated[
        int, Field(ge=1, le=64, description="Threads of the process that fine-tunes.")
    ] = 1
    finetune_cpu_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="The processor time that fine-tuning may take in a day (UTC), in seconds; what "
            "is not done by then goes on the next day. 0: no fine-tuning.",
        ),
    ] = 3_600
    release_wait_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="How long to wait at start for a release to be announced, and for brokers and a "
            "store that are out of reach.",
        ),
    ] = 60
    publish_limit_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="While releases cannot be published, such as with a store out of reach, the "
            "trainer learns on and tries again; for so long, then it ends with exit code 75.",
        ),
    ] = 1800
    watchdog_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="A step that takes longer than this, or brokers that are out of reach for "
            "longer, end the process with exit code 75.",
        ),
    ] = 120
