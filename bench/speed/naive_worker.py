"""
What people write today: a Faust agent that calls a Hugging Face pipeline.

One text a call, or as many as `take` gives in half a second; JSON in, JSON out, and the settings that
Faust and transformers come with. The pipeline has one thread, as our worker has.

    python -m bench.speed.naive_worker SERVERS LISTINGS CLASSIFIED MODEL BATCH PORT
"""

import sys
import tempfile
from typing import Any

import faust
import torch
import transformers


def app_of(
    servers: str, listings: str, classified: str, model: str, batch: int, port: int
) -> faust.App:
    """
    Make the app.

    Args:
        servers: Brokers, as host:port.
        listings: The topic to read.
        classified: The topic to write.
        model: A folder.
        batch: Texts of a call.
        port: Of Faust's web server, which cannot be turned off.
    """
    make: Any = transformers.pipeline
    classify = make("text-classification", model, device="cpu", top_k=None)
    app = faust.App(
        f"naive-{classified}",
        broker=f"kafka://{servers}",
        value_serializer="json",
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="naive-worker-"),
        topic_disable_leader=True,
        web_port=port,
    )
    source, sink = app.topic(listings), app.topic(classified)

    def answer(event: dict[str, Any], scores: list[dict[str, Any]]) -> dict[str, Any]:
        best = max(scores, key=lambda each: each["score"])
        return {
            "listing_id": event["listing_id"],
            "label": best["label"],
            "scores": {each["label"]: each["score"] for each in scores},
        }

    async def one_by_one(stream: faust.StreamT[dict[str, Any]]) -> None:
        async for event in stream:
            (scores,) = classify([event["title"]])
            await sink.send(key=event["listing_id"], value=answer(event, scores))

    async def in_batches(stream: faust.StreamT[dict[str, Any]]) -> None:
        async for events in stream.take(batch, within=0.5):
            scores = classify([event["title"] for event in events], batch_size=batch)
            for event, each in zip(events, scores, strict=True):
                await sink.send(key=event["listing_id"], value=answer(event, each))

    app.agent(source)(one_by_one if batch == 1 else in_batches)
    return app


def main() -> None:
    """Run until it is killed."""
    servers, listings, classified, model, batch, port = sys.argv[1:]
    torch.set_num_threads(1)
    app = app_of(servers, listings, classified, model, int(batch), int(port))
    faust.Worker(app, loglevel="ERROR", quiet=True).execute_from_commandline()


if __name__ == "__main__":
    main()
