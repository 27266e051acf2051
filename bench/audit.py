"""
How long the audit takes over many listings on a real Kafka, and how much memory.

It writes the listings and what workers would have made of them (answers, one dead letter in a hundred,
one tombstone in a thousand), then runs `roomstream audit` in a process of its own.

    make bench-audit
    make bench-audit ARGS="--events 100000 --json audit.json"
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from aiokafka import AIOKafkaProducer
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata
from rich.console import Console
from rich.progress import track

from bench.brokers import kafka_node
from bench.delivery import PARTITIONS
from bench.machine import machine
from runtime.dead_letters import dead_letter
from runtime.kafka import kafka_arguments
from runtime.records import Outbound, Record
from runtime.settings import KafkaSettings
from runtime.topics import create_topics
from schemas.codec import encode
from schemas.events import Classification, InputPosition
from schemas.topics import Topic
from workers.settings import WorkerSettings

LETTER_EVERY, TOMBSTONE_EVERY = 100, 1_000
MOST_SECONDS = 300
MOST_BYTES = 2  # of memory for an event
MOST_BUFFER_MEGABYTES = 24  # of what is being read, however much there is
AT = datetime(2026, 11, 24, 9, tzinfo=UTC)


def inputs(topic: str, count: int) -> Iterator[Record]:
    """Listings in the order that they are sent, spread evenly over the partitions."""
    for number in range(count):
        offset, partition = divmod(number, PARTITIONS)
        value = None if offset % TOMBSTONE_EVERY == 0 else b"{}".ljust(200)
        yield Record(topic, partition, offset, f"l-{number}".encode(), value, (), 0)


def result(prefix: str, record: Record) -> Outbound | None:
    """What a worker would have made of a listing."""
    if record.value is None:
        return None
    if record.offset % LETTER_EVERY == 1:
        dead = Topic.DEAD.named(prefix)
        return dead_letter(dead, record, stage="decode", error="missing_field", message="no title")
    listing = (record.key or b"").decode()
    answer = Classification(
        event_id=f"e-{listing}",
        listing_id=listing,
        label="Private room",
        scores={"Entire home/apt": 0.1, "Private room": 0.8, "Shared room": 0.1},
        confidence=0.8,
        needs_review=False,
        release="20261124T090000.000Z-0123abcd",
        input=InputPosition(topic=record.topic, partition=record.partition, offset=record.offset),
        classified_at=AT,
    )
    value, header = encode(answer)
    return Outbound(Topic.CLASSIFIED.named(prefix), record.key, value, (header,))


async def write(kafka: KafkaSettings, prefix: str, records: Iterable[Record]) -> None:
    """Be the producers and the workers."""
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, linger_ms=20, max_batch_size=1 << 18
    )
    async with producer:
        for record in records:
            await producer.send(record.topic, record.value, record.key, record.partition)
            made = result(prefix, record)
            if made:
                await producer.send(made.topic, made.value, made.key, headers=list(made.headers))


def commit(kafka: KafkaSettings, topic: str, group: str, events: int) -> None:
    """Say that the workers have handled all of them."""
    with closing(KafkaConsumer(**kafka_arguments(kafka), group_id=group)) as consumer:
        places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        consumer.commit({place: OffsetAndMetadata(end, "", -1) for place, end in ends.items()})
    if sum(ends.values()) != events:
        raise RuntimeError(f"{sum(ends.values())} listings were written, not {events}.")


def peak_megabytes(process: "subprocess.Popen[bytes]") -> float:
    """Wait for a process; the most memory that it had. `ru_maxrss` begins with what its parent has."""
    status, most = Path(f"/proc/{process.pid}/status"), 0
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        most = int(found[1]) if found else most
        time.sleep(0.02)
    return round(most / 1024, 1)


def audited(kafka: KafkaSettings, prefix: str, events: int) -> dict[str, float | bool]:
    """Run the command; its seconds, the most memory that it took, and what it says."""
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ROOMSTREAM_TOPIC_PREFIX": prefix,
    }
    command = [sys.executable, "-m", "roomstream", "audit", "--json"]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environment, stdout=output)
        megabytes = peak_megabytes(process)
        seconds = time.perf_counter() - started
        output.seek(0)
        report = json.load(output)
    parts = report["partitions"]
    judged = sum(each[kind] for each in parts for kind in ("answered", "dead", "skipped"))
    return {
        "whole": report["whole"] and judged == events,
        "seconds": round(seconds, 1),
        "events_per_second": round(events / seconds),
        "peak_megabytes": megabytes,
    }


def main() -> None:
    """Write, audit, print, and fail if it is not whole or takes too long or too much memory."""
    parser = argparse.ArgumentParser(
        prog="make bench-audit", description=(__doc__ or "").strip().splitlines()[0]
    )
    parser.add_argument("--bootstrap-servers", help="a Kafka; else one is started from KAFKA_HOME")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    prefix = f"bench-{uuid.uuid4().hex[:8]}."
    topic = Topic.LISTINGS.named(prefix)
    group = prefix + WorkerSettings.model_fields["group"].default
    with kafka_node(given.bootstrap_servers) as servers:
        kafka = KafkaSettings(bootstrap_servers=servers)
        create_topics(kafka, prefix, PARTITIONS, replication_factor=1)
        commit(kafka, topic, group, 0)
        idle = audited(kafka, prefix, 0)["peak_megabytes"]
        records = track(
            inputs(topic, given.events),
            "Writing",
            given.events,
            console=Console(stderr=True),
            transient=True,
        )
        asyncio.run(write(kafka, prefix, records))
        commit(kafka, topic, group, given.events)
        found = audited(kafka, prefix, given.events) | {"idle_megabytes": idle}
    about = {"events": given.events, **machine("kafka-python", "crc32c")}
    lines = ["| | |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in found.items())]
    lines += ["", ", ".join(f"{key} {value}" for key, value in about.items())]
    Console(soft_wrap=True, highlight=False).print("\n".join(lines), markup=False)
    if given.json:
        given.json.write_text(json.dumps({"about": about, "figures": found}, indent=2) + "\n")
    most = idle + MOST_BUFFER_MEGABYTES + MOST_BYTES * given.events / 1e6
    if not found["whole"] or found["seconds"] > MOST_SECONDS or found["peak_megabytes"] > most:
        sys.exit(f"Not whole, or not within {MOST_SECONDS} s and {most:.0f} MB.")


if __name__ == "__main__":
    main()
