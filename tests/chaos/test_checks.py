"""The checks of the chaos suite find what they are there for."""

import socket
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runtime.records import Record
from schemas.codec import encode
from schemas.events import Classification, InputPosition
from tests.chaos.proxy import Harm, Proxy
from tests.chaos.run import Done
from tests.chaos.schedule import Kind
from tests.workers.listings import out_of_order

CUT = Done(100, 5, Kind.CUT_BOTH, ["worker-0"], 2)


def answer(listing: str, offset: int) -> Record:
    """An answer to an input of a listing."""
    event = Classification(
        event_id=f"e-{offset}",
        listing_id=listing,
        label="Hotel room",
        scores={"Hotel room": 1.0},
        confidence=1.0,
        needs_review=False,
        release="r",
        input=InputPosition(topic="listings", partition=0, offset=offset),
        classified_at=datetime.now(UTC),
    )
    value, header = encode(event)
    return Record("classified", 0, offset, b"key", value, (header,), 0)


def test_a_late_answer_is_out_of_order_and_a_repeat_is_not() -> None:
    """Other listings may come between, and what was answered in order may come again."""
    in_order = [answer("a", 1), answer("b", 5), answer("a", 3), answer("a", 1), answer("b", 6)]

    assert out_of_order(in_order) == []
    assert out_of_order([*in_order, answer("a", 2)]) == ["e-2"]


@pytest.mark.parametrize(
    ("other", "meets"),
    [
        (replace(CUT, at=103, kind=Kind.KILL_WORKER, seconds=0), True),
        (replace(CUT, at=92, kind=Kind.STOP_WORKER, seconds=9), True),
        (replace(CUT, at=92, kind=Kind.STOP_WORKER, seconds=7), False),
        (replace(CUT, at=103, kind=Kind.KILL_WORKER, victims=["worker-1"]), False),
    ],
)
def test_a_cut_of_a_worker_that_does_not_run_is_seen(other: Done, meets: bool) -> None:
    """A kill or a pause of the same worker in the same time."""
    assert CUT.meets(other) == other.meets(CUT) == meets


def test_a_cut_lasts_until_its_own_end() -> None:
    """Two cuts at once: nothing comes back before both are healed."""
    server = socket.create_server(("127.0.0.1", 0))
    with server, Proxy(server.getsockname()[1]) as proxy:
        client = socket.create_connection(("127.0.0.1", proxy.port), timeout=0.3)
        broker, _ = server.accept()
        short, long = Harm(answers=True), Harm(answers=True)
        proxy.harms += [short, long]
        broker.sendall(b"answer")
        proxy.harms.remove(short)
        with client, broker:
            with pytest.raises(TimeoutError):
                client.recv(10)
            proxy.harms.remove(long)
            assert client.recv(10) == b"answer"
