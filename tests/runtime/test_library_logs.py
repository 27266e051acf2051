"""What libraries log: held back where it repeats itself, and never anything of ours."""

import logging

from runtime.library_logs import OncePer


def line(logger: str, message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord(logger, logging.ERROR, "file", 1, message, arguments, None)


def test_a_repeated_line_of_a_library_is_held_back() -> None:
    """The same message with other arguments is the same; another message or logger is not."""
    once = OncePer(60)
    lines = [
        line("aiokafka", "Unable to connect to %s", "a"),
        line("aiokafka", "Unable to connect to %s", "b"),
        line("aiokafka", "Unable to update metadata"),
        line("kafka", "Unable to connect to %s", "a"),
    ]

    assert [once.filter(record) for record in lines] == [True, False, True, True]


def test_it_comes_again_after_a_while() -> None:
    """What still goes wrong is still said."""
    once = OncePer(0)

    assert [once.filter(line("aiokafka", "Unable")) for _ in range(2)] == [True, True]


def test_our_own_lines_are_never_held_back() -> None:
    """Two refused releases are two lines."""
    once = OncePer(60)

    assert [once.filter(line("roomstream", "refused")) for _ in range(2)] == [True, True]
