"""Cut a window of texts into batches that waste little padding."""

from collections.abc import Sequence

TOKEN_BUDGET = 256


def token_budget_batches(lengths: Sequence[int], budget: int = TOKEN_BUDGET) -> list[list[int]]:
    """
    Sort texts by length and close a batch before its padded size exceeds the budget.

    A batch is bounded by padded tokens (longest × count) rather than by rows, as in Hugging Face's
    text-embeddings-inference: short texts share a batch, long ones do not make them wait.

    Args:
        lengths: Tokens of each text.
        budget: Padded tokens of a batch; a single text may exceed it.

    Returns:
        Indices into `lengths`, each once, shortest texts first.
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[index] * (len(batch) + 1) > budget:
            batches.append(batch)
            batch = []
        batch.append(index)
    return [*batches, batch] if batch else batches
