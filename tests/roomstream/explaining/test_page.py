"""An explanation as a page."""

from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from artefacts.store import Store
from roomstream.explaining.examples import Example, Examples
from roomstream.explaining.explanation import Explanation, explain
from roomstream.explaining.page import page, write_page
from schemas.errors import ConfigurationError
from tests.releases import tiny_release
from tests.roomstream.explaining.pairs import HOSTILE, pair
from tests.trainer.labels import AT

TITLE = "<script>fetch('https://evil.example')</script> \"Habitación\" & 'room' </style><!-- "
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser would find on a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Every element ends in the one that it began in."""
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def explanation(tmp_path: Path) -> Explanation:
    """One with everything in it."""
    parent, release = pair(Store(f"file://{tmp_path / 'store'}"))
    example = Example(
        text=TITLE,
        before="Private room",
        confidence_before=0.6,
        now=HOSTILE,
        confidence=0.9,
        truth="Private room",
        turn="became wrong",
        origin="held out",
    )
    examples = Examples(
        source=f"listings of {HOSTILE}",
        answered=5,
        turns={"became wrong": 1},
        shown=[example],
    )
    return explain(release, parent, examples)


def test_texts_of_listings_and_labels_stay_texts(explanation: Explanation) -> None:
    """Markup in a title or a class is shown as it was written, and nothing of it is an element."""
    found = Page(page(explanation, AT))

    assert TITLE in found.texts
    assert HOSTILE in found.texts
    assert found.all("script") == []
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert found.open == []


def test_a_page_needs_nothing_else(explanation: Explanation) -> None:
    """No element refers to anything, the style sheet neither, and the policy forbids it as well."""
    html = page(explanation, AT)
    found = Page(html)
    style = html[html.index("<style>") : html.index("</style>")]
    (policy,) = [each for each in found.all("meta") if "http-equiv" in each]

    assert not {"img", "link", "iframe", "object", "a", "base", "form"} & {
        tag for tag, _ in found.tags
    }
    assert not {"src", "href", "xlink:href", "srcset", "action"} & {
        name for _, attributes in found.tags for name in attributes
    }
    assert "url(" not in style
    assert "@import" not in style
    assert str(policy["content"]).startswith("default-src 'none';")


def test_pictures_and_tables_can_be_heard(explanation: Explanation) -> None:
    """Every picture has a title and a description, every cell a header, ids are unique."""
    found = Page(page(explanation, AT))
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]

    assert len(found.all("svg")) == 4
    for svg in found.all("svg"):
        assert svg["role"] == "img"
        assert set(str(svg["aria-labelledby"]).split()) <= set(ids)
    assert len(ids) == len(set(ids))
    assert len(found.all("caption")) == len(found.all("table")) == 5
    assert {each["scope"] for each in found.all("th")} == {"col", "row"}
    assert found.all("html") == [{"lang": "en"}]


def test_a_page_says_what_the_terminal_says(explanation: Explanation) -> None:
    """The figures, the gates with their reasons, and the answers that changed."""
    text = " ".join(Page(page(explanation, AT)).texts)

    for words in (
        "90.0% (87.0% to 93.0% with 95% confidence)",
        "Entire home/apt loses 4.0%",
        "became wrong",
        "Private room 60% → ",
        "0.610",
        "of unknown source",
    ):
        assert words in text


def test_a_first_release_has_a_page_too(tmp_path: Path) -> None:
    """Without parent, figures, gates or examples."""
    manifest = tiny_release(Store(f"file://{tmp_path / 'store'}"))
    found = Page(page(explain(manifest, None), AT))

    assert found.open == []
    assert "It has no parent: there is nothing to compare it with." in found.texts


def test_a_hundred_classes_are_all_in_the_table_and_the_largest_in_the_picture(
    explanation: Explanation,
) -> None:
    """A picture that nobody can read is none."""
    many = [
        msgspec.structs.replace(explanation.classes[0], name=f"class {number}")
        for number in range(100)
    ]
    found = Page(page(msgspec.structs.replace(explanation, classes=many), AT))

    assert len([text for text in found.texts if text == "class 99"]) == 1  # its row of the table
    assert any("The 20 of 100 that stand out most." in text for text in found.texts)


def test_a_file_that_cannot_be_written_is_named(explanation: Explanation, tmp_path: Path) -> None:
    """With the option that chooses another."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="--html"):
        write_page(tmp_path / "file" / "page.html", explanation, AT)
