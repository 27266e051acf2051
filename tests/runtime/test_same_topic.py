"""A topic that was deleted and created again is another one, on both brokers."""

import os
import signal
import time
from contextlib import closing

import pytest

from roomstream.brokers import EmbeddedBroker
from runtime import same_topic
from runtime.kafka import admin_client
from runtime.same_topic import SameTopic
from runtime.settings import KafkaSettings, load
from runtime.topics import create_topics
from schemas.errors import TryAgain
from schemas.topics import Topic
from tests.processes import eventually


def raises(same: SameTopic) -> bool:
    """Whether a check finds another topic."""
    try:
        same.check()
    except TryAgain as error:
        return "deleted and created again" in str(error)
    return False


def test_brokers_that_are_silent_are_not_waited_for_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look that failed counts for a second too: in an outage every window would wait for one."""
    monkeypatch.setattr(same_topic, "_REQUEST_MS", 1500)
    monkeypatch.setattr(same_topic, "_IDLE_SECONDS", 60)  # nobody else looks
    with EmbeddedBroker() as broker:
        kafka = load(KafkaSettings, bootstrap_servers=broker.bootstrap_servers)
        create_topics(kafka, "", partitions=1, replication_factor=1)
        with closing(SameTopic(kafka, "listings")) as same:
            time.sleep(1.1)  # it looks at most once a second
            os.kill(broker.pid, signal.SIGSTOP)
            begun = time.monotonic()
            same.check()
            failed = time.monotonic()
            same.check()
            again = time.monotonic()
            os.kill(broker.pid, signal.SIGCONT)

    assert failed - begun > 1
    assert again - failed < 0.5


def test_another_topic_of_the_same_name_is_noticed(
    kafka_settings: KafkaSettings, topics: str
) -> None:
    """While it is gone nothing is said, since it may come back; then every check raises."""
    name = Topic.LISTINGS.named(topics)
    with closing(SameTopic(kafka_settings, name)) as same:
        same.check()
        with admin_client(kafka_settings) as admin:
            admin.delete_topics([name])
        time.sleep(1.1)  # it looks at most once a second
        assert not raises(same)
        create_topics(kafka_settings, topics, 4, 1)

        eventually(lambda: raises(same), "the other topic is noticed", 10)
        with pytest.raises(TryAgain, match=name):
            same.check()
