"""The demo from its first word to its last."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Never

from rich.console import Console

from roomstream.demo.loop import Loop
from roomstream.demo.messages import load_messages
from roomstream.demo.options import WORKERS, DemoOptions
from roomstream.demo.report import Report, summary
from roomstream.demo.view import open_view
from runtime.logs import configure_logs
from schemas.errors import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_demo(options: DemoOptions) -> int:
    """
    Run the whole loop on this machine and say what happened.

    Returns:
        The exit code: 0 only if every message was accounted for, every label learned, and every
        worker took up releases without a stop.

    Raises:
        ConfigurationError: An option, or the file of listings, is wrong.
        RoomstreamError: A part of the loop cannot work; shows the end of its log.
    """
    console = Console()
    messages = load_messages(options)
    console.print(_introduction(options, len(messages)), highlight=False)
    configure_logs("demo", "ERROR")  # what happens is shown; what goes wrong is raised
    try:
        with _interruptible(), open_view(console) as view:
            report = Loop(options, messages, view).run()
    except KeyboardInterrupt:
        console.print("Stopped. No process is left running.")
        return ExitCode.FAILED
    if options.report is not None:
        report.write(options.report)
    _conclude(console, options, report)
    return ExitCode.FAILED if report.failed else ExitCode.DONE


def _introduction(options: DemoOptions, messages: int) -> str:
    what = f"listings of {options.listings}" if options.listings else "generated listings"
    return (
        f"roomstream demo: a broker, {WORKERS} workers and a trainer on this machine. "
        f"{messages:,} messages ({what}) are classified while people label about "
        f"{options.labelled:.0%} of them; the workers take up what is learned without a stop.\n"
        "It takes about two minutes and ends by itself; Ctrl-C stops it at any time."
    )


def _conclude(console: Console, options: DemoOptions, report: Report) -> None:
    console.print(summary(report))
    if report.logs:
        console.print(report.logs, markup=False, highlight=False, soft_wrap=True)
    if report.folder:
        console.print(f"Logs, releases and the trainer's database are in {report.folder}.")
    if options.report:
        console.print(f"The report is in {options.report}.", highlight=False)
    if report.failed:
        console.print("[bold red]Not as promised:[/]")
        for fault in report.failed:
            console.print(f"- {fault}", markup=False, highlight=False)
    else:
        console.print(
            "[bold green]All is as promised.[/] Next: 'Run it on your Kafka' in README.md, or "
            "'roomstream demo --listings FILE' with listings of yours."
        )


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Turn the first signal to stop into KeyboardInterrupt; the clean-up then runs in peace."""

    def interrupt(number: int, frame: FrameType | None) -> Never:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
