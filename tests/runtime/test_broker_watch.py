"""An idle process notices that its brokers are gone."""

import time

import pytest

from runtime.broker_watch import BrokerWatch
from runtime.settings import KafkaSettings
from schemas.errors import TryAgain
from tests.processes import eventually, own_port


def test_a_watch_gives_up_after_its_limit() -> None:
    """Brokers that cannot be reached are named at once and given up after the limit."""
    address = f"127.0.0.1:{own_port()}"
    watch = BrokerWatch(KafkaSettings(bootstrap_servers=address), limit_seconds=0.8)
    eventually(lambda: address in watch.fault, "it is named")
    watch.check()
    time.sleep(0.8)

    with pytest.raises(TryAgain, match=address):
        watch.check()
    watch.close()
