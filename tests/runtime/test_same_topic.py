"""A topic that was deleted and created again is another one, on both brokers."""

import time
from contextlib import closing

import pytest

from runtime.kafka import admin_client
from runtime.same_topic import SameTopic
from runtime.settings import KafkaSettings
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
        time.sleep(1.1)
        with pytest.raises(TryAgain, match=name):
            same.check()
