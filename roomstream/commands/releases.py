"""`roomstream releases`: what is live, why, since when; and changing it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from artefacts.errors import ReleaseError, ReleaseMissing
from artefacts.manifest import Manifest, Quantisation
from artefacts.store import Store
from roomstream.commands.output import Json, moment, out, print_json, print_table, tell
from roomstream.explaining.page import write_page
from roomstream.explaining.terminal import print_explanation
from roomstream.lineage import deleted_later, place
from roomstream.live import LIVE, Channel, make_live, on_channels, put_on_channel
from roomstream.options import with_settings
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ConfigurationError, ExitCode
from schemas.events import ReleaseAnnouncement

app = typer.Typer(no_args_is_help=True, help="What is live, why, since when; and changing it.")

Why = Annotated[str | None, typer.Option(max=1_000, help="The reason, for those who ask later.")]


@app.command("list")
@with_settings(KafkaSettings, SharedSettings)
def show_all(
    kafka: KafkaSettings,
    shared: SharedSettings,
    refused: Annotated[
        bool,
        typer.Option(
            "--refused",
            help="List the last candidates that failed their gates instead. The trainer's database has "
            "them (TRAINER_DATABASE), so run this on its machine.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the releases of the store, oldest first, and mark what is live or on trial."""
    if refused:
        _show_refused(as_json)
        return
    serving = on_channels(kafka, shared)
    store = Store(shared.store)
    manifests = [store.manifest(release) for release in store.releases()]
    if as_json:
        print_json([_facts(manifest, serving) for manifest in manifests])
        return
    print_table(
        ("release", "learner", "labels", "gates passed", "state"),
        [
            (
                manifest.release,
                manifest.learner,
                f"{sum(manifest.lineage.labels_by_class.values()):,}",
                _gates(manifest),
                _state(manifest, serving),
            )
            for manifest in manifests
        ],
    )
    if not manifests:
        out.print("There is none. Make one with 'roomstream base import'.")


@app.command("show")
@with_settings(KafkaSettings, SharedSettings)
def show(
    kafka: KafkaSettings,
    shared: SharedSettings,
    release: Annotated[str, typer.Argument(help="Its id; without it the live one.")] = "live",
    examples: Annotated[
        int,
        typer.Option(
            min=0,
            help="The most answers to show that changed. They are looked for among the listings that the "
            "trainer's database keeps (TRAINER_DATABASE) if it is on this machine, else among listings "
            "that are made up. 0: do not look.",
        ),
    ] = 10,
    html: Annotated[
        Path | None,
        typer.Option(
            help="Write it as a page with pictures to this file instead. The examples on it are texts of "
            "listings, which no deletion can reach there; --examples 0 leaves them out."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a release: what it is, and what changed against its parent."""
    from roomstream.explaining.comparing import explained, found

    serving = on_channels(kafka, shared)
    store = Store(shared.store)
    manifest = found(_id(release, serving.get(LIVE)), store)
    explanation = explained(manifest, store, shared.cache, examples)
    if html is not None:
        write_page(html, explanation, manifest.created_at)
    if as_json:
        details = {"manifest": manifest, "explanation": explanation}
        deleted = [
            {"first_without": name, **msgspec.to_builtins(part)}
            for name, part in deleted_later(manifest, store)
        ]
        facts = _facts(manifest, serving) | {"deleted_later": deleted}
        print_json(facts | msgspec.to_builtins(details))
    elif html is not None:
        out.print(f"Wrote {html}: open it in a browser.", markup=False, soft_wrap=True)
    else:
        _describe(manifest, serving, store)
        print_explanation(explanation)


@app.command("promote")
@with_settings(KafkaSettings, SharedSettings)
def promote(
    kafka: KafkaSettings,
    shared: SharedSettings,
    release: Annotated[str, typer.Argument(help="Its id.")],
    why: Why = None,
    pin: Annotated[
        bool,
        typer.Option("--pin", help="The trainer decides nothing about it until you promote again."),
    ] = False,
    channel: Annotated[
        Channel,
        typer.Option(
            help="live: it answers. canary: it answers a share of the listings. shadow: its answers to "
            "a share go to 'classified.shadow'."
        ),
    ] = LIVE,
    share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of the listings, for canary and shadow.")
    ] = 0.1,
    as_json: Json = False,
) -> None:
    """
    Make a release live, or put it on trial. Without --pin, the trainer goes on from there.

    It rolls back a live release, and drops one on trial, that labels show to be worse, and makes one
    live that they show not to be.
    """
    taken = 1.0 if channel == LIVE else share
    if not taken:
        raise ConfigurationError(
            "A trial needs a share above 0; 'roomstream releases rollback' ends it."
        )
    reason = why or "promoted by an operator"
    announced = put_on_channel(kafka, shared, release, reason, pin, channel, taken)
    where = "live" if channel == LIVE else f"on trial as {channel} with {taken:.0%} of the listings"
    text = f"Release {release} is {where}{' and pinned' if pin else ''}."
    tell(as_json, msgspec.to_builtins(announced), text)


@app.command("rollback")
@with_settings(KafkaSettings, SharedSettings)
def rollback(
    kafka: KafkaSettings,
    shared: SharedSettings,
    to: Annotated[
        str | None, typer.Option(help="A release; without it the one before the live one.")
    ] = None,
    why: Why = None,
    channel: Annotated[
        Channel, typer.Option(help="canary or shadow: end the trial of the release that is there.")
    ] = LIVE,
    as_json: Json = False,
) -> None:
    """Go back to an earlier release, and pin it, so that the trainer does not undo it; or end a trial."""
    serving = on_channels(kafka, shared)
    if channel != LIVE:
        _end_trial(kafka, shared, serving.get(channel), channel, why, as_json)
        return
    live = serving.get(LIVE)
    current = _id("live", live)
    target = to or Store(shared.store).manifest(current).parent
    if target is None:
        raise ConfigurationError(
            f"Release {current} has none before it. Choose one of 'roomstream releases list' with --to."
        )
    announced = make_live(kafka, shared, target, why or f"rolled back from {current}", pinned=True)
    tell(
        as_json,
        msgspec.to_builtins(announced),
        f"Release {target} is live and pinned instead of {current}. The trainer learns on but announces "
        "nothing until you run 'roomstream releases promote'.",
    )


@app.command("verify")
@with_settings(SharedSettings)
def verify(
    shared: SharedSettings,
    releases: Annotated[
        list[str] | None, typer.Argument(help="Their ids; without any, all of the store.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read every part of releases, check digests, load them and run their golden inputs here."""
    store = Store(shared.store)
    faults = {}
    for release in releases or store.releases():
        faults[release] = _fault(store, release)
        if not as_json:
            out.print(_verdict(release, faults[release]), soft_wrap=True)
    if as_json:
        print_json([{"release": name, "fault": fault} for name, fault in faults.items()])
    if any(faults.values()):
        raise typer.Exit(ExitCode.RELEASE)


def _show_refused(as_json: bool) -> None:
    from roomstream.explaining.comparing import refused

    manifests = refused()
    if as_json:
        print_json([_facts(manifest, {}) for manifest in manifests])
        return
    print_table(
        ("candidate", "learner", "labels", "gates passed", "refused by"),
        [
            (
                manifest.release,
                manifest.learner,
                f"{sum(manifest.lineage.labels_by_class.values()):,}",
                _gates(manifest),
                ", ".join(result.gate for result in manifest.evaluation if not result.passed),
            )
            for manifest in manifests
        ],
    )
    if manifests:
        out.print("'roomstream releases show ID' says why.")
    else:
        out.print("No candidate was refused.")


def _end_trial(
    kafka: KafkaSettings,
    shared: SharedSettings,
    trial: ReleaseAnnouncement | None,
    channel: Channel,
    why: str | None,
    as_json: bool,
) -> None:
    if trial is None:
        raise ReleaseMissing(f"No release is on trial as {channel}: there is nothing to end.")
    release = trial.release
    reason = why or "ended by an operator"
    ended = put_on_channel(kafka, shared, release, reason, channel=channel, share=0.0)
    text = f"The trial of release {release} as {channel} has ended."
    tell(as_json, msgspec.to_builtins(ended), text)


def _fault(store: Store, release: str) -> str | None:
    """What is wrong with a release, if anything."""
    from artefacts.classifier import Classifier

    try:
        manifest = store.manifest(release)
        for blob in manifest.blobs.values():
            store.get(blob)
        Classifier.load(manifest, store.get)
    except ReleaseError as error:
        return str(error)
    return None


def _verdict(release: str, fault: str | None) -> str:
    return (
        f"[red]refused[/] {release}: {escape(fault)}" if fault else f"[green]ok[/]      {release}"
    )


def _id(release: str, live: ReleaseAnnouncement | None) -> str:
    if release != "live":
        return release
    if live is None:
        raise ReleaseMissing(
            "No release is live. Make one with 'roomstream base import', or announce one of "
            "'roomstream releases list' with 'roomstream releases promote'."
        )
    return live.release


def _facts(manifest: Manifest, serving: Mapping[str, ReleaseAnnouncement]) -> dict[str, object]:
    live = serving.get(LIVE)
    is_live = live is not None and live.release == manifest.release
    return {
        "release": manifest.release,
        "created_at": manifest.created_at.isoformat(),
        "labels": manifest.labels,
        "learner": manifest.learner,
        "parent": manifest.parent,
        "base_model": manifest.base_model,
        "quantisation": msgspec.to_builtins(manifest.quantisation),
        "labels_by_class": manifest.lineage.labels_by_class,
        "evaluation": msgspec.to_builtins(manifest.evaluation),
        "quality": msgspec.to_builtins(manifest.quality),
        "live": is_live,
        "pinned": is_live and live is not None and live.pinned,
        "why": live.why if is_live and live is not None else None,
        "epoch": live.epoch if is_live and live is not None else None,
        "on_trial": {
            channel: found.share
            for channel, found in serving.items()
            if channel != LIVE and found.release == manifest.release
        },
    }


def _gates(manifest: Manifest) -> str:
    if not manifest.evaluation:
        return "none"
    passed = sum(result.passed for result in manifest.evaluation)
    return f"{passed} of {len(manifest.evaluation)}"


def _state(manifest: Manifest, serving: Mapping[str, ReleaseAnnouncement]) -> str:
    return "; ".join(
        _since(channel, found)
        for channel, found in serving.items()
        if found.release == manifest.release
    )


def _since(channel: str, announced: ReleaseAnnouncement) -> str:
    where = "live" if channel == LIVE else f"{channel} of {announced.share:.0%}"
    pinned = ", pinned" if announced.pinned else ""
    by = f"the trainer, epoch {announced.epoch}" if announced.epoch else "an operator"
    return f"{where} since {moment(announced.announced_at)} by {by}{pinned}: {announced.why}"


def _describe(manifest: Manifest, serving: Mapping[str, ReleaseAnnouncement], store: Store) -> None:
    print_table(
        ("release", manifest.release),
        [
            ("state", _state(manifest, serving) or "not live"),
            ("created", moment(manifest.created_at)),
            ("base model", manifest.base_model),
            ("precision", _precision(manifest.quantisation)),
            ("learner", manifest.learner),
            ("parent", manifest.parent or "none"),
            ("max length", f"{manifest.max_length} tokens"),
            ("review below", f"{manifest.review_below:.0%} confidence"),
            ("classes", ", ".join(manifest.labels)),
            *(
                (
                    "learned",
                    f"{part.topic}[{part.partition}] offsets {part.first} to {part.next - 1}",
                )
                for part in manifest.lineage.ranges
            ),
            *_deletions(manifest, store),
            *(("made with", f"{name} {version}") for name, version in manifest.versions.items()),
        ],
    )


def _precision(quantisation: Quantisation | None) -> str:
    if quantisation is None:
        return "32-bit floats"
    return (
        f"8-bit integers: features lose {quantisation.loss:.4f} (1 - cosine), accepted are "
        f"{quantisation.accepted:g}"
    )


def _deletions(manifest: Manifest, store: Store) -> list[tuple[str, str]]:
    """What is to be said of listings that were deleted, by the places of their labels."""
    lineage = manifest.lineage
    inside = [f"it still has {place(part)}" for part in lineage.deleted_inside]
    since = [f"the first release without {place(part)}" for part in lineage.deleted_since]
    later = [
        f"it had learned {place(part)}; {first} is the first release without"
        for first, part in deleted_later(manifest, store)
    ]
    return [("deleted", text) for text in (*since, *inside, *later)]
