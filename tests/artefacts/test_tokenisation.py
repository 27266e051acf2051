"""Texts become token ids, and what is no tokenizer is refused."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artefacts.errors import InferenceError, ReleaseRefused
from artefacts.tokenisation import Tokenizer, Tokens
from tests import strategies
from tests.releases import tiny_tokenizer

UNKNOWN, START, END = 1, 2, 3
MAX_LENGTH = 16
tokenizer = Tokenizer(tiny_tokenizer(), MAX_LENGTH)


def ids(text: str) -> list[int]:
    """The ids of a text without the special tokens around it."""
    (tokens,) = tokenizer.encode([text])
    assert (tokens.ids[0], tokens.ids[-1]) == (START, END)
    return tokens.ids[1:-1]


def changed(**parts: Any) -> bytes:
    """The tiny tokenizer with other parts."""
    return json.dumps(json.loads(tiny_tokenizer()) | parts).encode()


def test_case_and_accents_do_not_matter() -> None:
    """An uncased tokenizer reads Spanish and English as people write it."""
    assert ids("habitacion privada con balcon") == ids("HABITACIÓN  Privada\ncon balcón")
    assert ids("Entire flat near the centro") == ids("entire FLAT near the céntro")
    assert UNKNOWN not in ids("Entire flat near the centro")


def test_emojis_are_one_unknown_token_each() -> None:
    """What the vocabulary lacks is unknown, and the words around it are read."""
    assert [*ids("loft"), UNKNOWN, *ids("view")] == ids("loft 🌿 view")


def test_an_empty_text_is_its_special_tokens() -> None:
    """There is always something to infer from."""
    assert [Tokens([START, END], truncated=False)] == tokenizer.encode([""])


def test_no_text_gives_no_tokens() -> None:
    """A window may be empty."""
    assert tokenizer.encode([]) == []


def test_baked_in_padding_is_removed() -> None:
    """The file pads to 32; each text keeps its own length."""
    assert [len(tokens.ids) for tokens in tokenizer.encode(["loft", "a loft here"])] == [3, 5]


def test_baked_in_truncation_is_removed() -> None:
    """The file cuts at 32, but the manifest decides: 100 words are 102 tokens."""
    (tokens,) = Tokenizer(tiny_tokenizer(), 200).encode(["room " * 100])

    assert (len(tokens.ids), tokens.truncated) == (102, False)


def test_a_cut_text_says_so() -> None:
    """Fourteen words and two special tokens fit into 16, fifteen do not and lose their end."""
    whole, cut = tokenizer.encode(["room " * 14, "room " * 14 + "loft"])

    assert (len(whole.ids), whole.truncated) == (MAX_LENGTH, False)
    assert (whole.ids, True) == (cut.ids, cut.truncated)


@given(texts=st.lists(strategies.texts(300), max_size=5))
def test_any_text_is_encoded_within_the_limit(texts: list[str]) -> None:
    """Any characters give 2 to `max_length` ids, the same alone as in company."""
    together = tokenizer.encode(texts)

    assert together == [tokenizer.encode([text])[0] for text in texts]
    assert all(2 <= len(tokens.ids) <= MAX_LENGTH for tokens in together)


def test_padding_is_the_tokenizers_own() -> None:
    """BERT's and RoBERTa's padding tokens are known; without one it is 0."""
    vocabulary = {"[UNK]": 0, "[CLS]": 2, "[SEP]": 3}
    model = json.loads(tiny_tokenizer())["model"]

    def pad_id(**more: int) -> int:
        data = changed(model=model | {"vocab": vocabulary | more})
        return Tokenizer(data, MAX_LENGTH).pad_id

    assert [pad_id(**{"[PAD]": 5}), pad_id(**{"<pad>": 7}), pad_id()] == [5, 7, 0]


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xfe", b"{}", b"null", b"[" * 10_000, tiny_tokenizer()[:-9], changed(model=None)],
)
def test_what_is_no_tokenizer_is_refused(data: bytes) -> None:
    """Any other file is refused with its name and the next step."""
    with pytest.raises(ReleaseRefused, match=r"tokenizer\.json cannot be read.*Publish"):
        Tokenizer(data, MAX_LENGTH)


@given(data=strategies.damaged(tiny_tokenizer()))
def test_a_damaged_tokenizer_is_refused_or_works(data: bytes) -> None:
    """No damage gets past our two errors, not even one at which the library's Rust code panics."""
    with contextlib.suppress(ReleaseRefused, InferenceError):
        Tokenizer(data, MAX_LENGTH).encode(["Habitación doble", ""])


@pytest.mark.parametrize(
    "broken",
    [
        changed(model=json.loads(tiny_tokenizer())["model"] | {"vocab": {}}),
        changed(
            post_processor=json.loads(tiny_tokenizer())["post_processor"] | {"special_tokens": {}}
        ),
    ],
    ids=["no unknown token", "panic"],
)
def test_a_tokenizer_without_an_answer_fails_the_batch(broken: bytes) -> None:
    """It can be read, but not used: the pipeline looks for the culprit, a load refuses it."""
    with pytest.raises(InferenceError, match=r"tokenizer\.json cannot encode a text"):
        Tokenizer(broken, MAX_LENGTH).encode(["loft"])


def test_half_an_emoji_fails_its_batch() -> None:
    """A lone surrogate, as from a shell that is not UTF-8, is an error with a name."""
    with pytest.raises(InferenceError):
        tokenizer.encode(["loft", "\ud83c"])


def test_no_threads_are_started(tmp_path: Path) -> None:
    """A window is encoded on the calling thread, though nobody has set a variable."""
    (tmp_path / "tokenizer.json").write_bytes(tiny_tokenizer())
    program = """
import os, pathlib, sys
from artefacts.tokenisation import Tokenizer
Tokenizer(pathlib.Path(sys.argv[1]).read_bytes(), 16).encode(["loft", "piso"] * 500)
print(len(os.listdir("/proc/self/task")))
"""
    environment = {key: value for key, value in os.environ.items() if "TOKENIZERS" not in key}
    found = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "tokenizer.json"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )

    assert found.stdout.split() == ["1"]
