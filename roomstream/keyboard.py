"""Single key presses of a terminal."""

import codecs
import os
import re
import sys
import termios
import tty
from collections import deque
from typing import Self

END = "\x04"
"""The key of Ctrl-D; also what a terminal that is gone seems to press."""

# What arrows and function keys send; a lone escape too.
_SEQUENCE = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|O.)?")
_BACKSPACES = "\x7f\b"


class Keyboard:
    """Reads standard input key by key. A context manager: afterwards the terminal is as before."""

    def __init__(self) -> None:
        self._input = sys.stdin.fileno()
        self._typed: deque[str] = deque()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._input)
        tty.setcbreak(self._input)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    def key(self) -> str:
        """The next key; those that send several characters, such as arrows, are passed over."""
        while not self._typed:
            try:
                data = os.read(self._input, 1024)
            except OSError:  # the terminal was closed
                return END
            if not data:
                return END
            self._typed.extend(_SEQUENCE.sub("", self._decoder.decode(data)))
        return self._typed.popleft()

    def line(self, prompt: str) -> str:
        """The next line, which can be mended with backspace."""
        line = ""
        while True:
            sys.stdout.write(f"\r\x1b[K{prompt}{line}")
            sys.stdout.flush()
            key = self.key()
            if key in ("\n", "\r", END):
                return "" if key == END else line
            if key in _BACKSPACES:
                line = line[:-1]
            elif key.isprintable():
                line += key
