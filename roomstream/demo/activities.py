"""What happens side by side in a demo: threads that end together, and whose errors are heard."""

import threading
from collections.abc import Callable
from typing import Self


class Activities:
    """
    Threads that share one stop signal.

    An error in one of them stops the others; `check` raises it where the demo waits.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None

    def start(self, name: str, work: Callable[[threading.Event], None]) -> None:
        """Run `work(stopping)` beside the others until it returns."""

        def run() -> None:
            try:
                work(self.stopping)
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
                self._error = self._error or error
                self.stopping.set()

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def check(self) -> None:
        """Raise what one of them raised, if any."""
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join(timeout=20)
