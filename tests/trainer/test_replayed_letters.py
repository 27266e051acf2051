"""Labels and deletions that died come back to a real trainer."""

from roomstream.letter_replay import Replay
from roomstream.letters import Choice
from runtime.dead_letters import read_dead_letter
from schemas.codec import SCHEMA_HEADER
from schemas.topics import Topic
from tests.kafka_io import message, read_until, send
from tests.processes import eventually
from tests.trainer.labels import deletion, labelled, learned_numbers
from tests.trainer.process import Deployment
from tests.workers.brokers import ON_KAFKA

QUICK = {"release_interval_seconds": 0.2, "first_labels_per_class": 3}


@ON_KAFKA
def test_a_refused_label_is_learned_once_it_is_admitted(deployment: Deployment) -> None:
    """What still cannot be handled, here a deletion of a newer roomstream, dies again until given up."""
    prefix = deployment.shared.topic_prefix
    replay = Replay(deployment.kafka, prefix, Choice(disposition="systemic"), max_attempts=2)
    deployment.ready(unknown_labels="refuse", **QUICK)
    numbers = learned_numbers(3)
    deployment.send(*(labelled(number, label="Houseboat") for number in numbers))
    key, value, _ = message(deletion(numbers[0]), f"l-{numbers[0]}")
    newer = [(SCHEMA_HEADER, b"deletion/9")]
    send(deployment.kafka, Topic.DELETIONS.named(prefix), [(key, value, newer)])
    eventually(lambda: deployment.events("dead") == 4, "dead letters")
    assert deployment.stop() == 0

    deployment.ready(unknown_labels="admit", **QUICK)
    first = replay.run()
    eventually(lambda: deployment.events("learned") == 3, "the labels are learned")
    eventually(lambda: deployment.events("dead") == 1, "the deletion dies again")
    letters = read_until(
        deployment.kafka, prefix, Topic.DEAD, lambda found: len(found) >= 4 + 4 + 1
    )
    second = replay.run()

    assert deployment.stop() == 0
    assert first.sent == 4
    assert (second.sent, second.already_replayed, second.given_up) == (0, 4, 1)
    again = [read_dead_letter(x) for x in letters if x.value and read_dead_letter(x).attempts == 2]
    assert [x.topic for x in again] == [Topic.DELETIONS.named(prefix)]
