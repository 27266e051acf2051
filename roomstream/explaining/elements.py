"""HTML and SVG as trees: text can only get into them escaped."""

from xml.etree.ElementTree import Element

Child = Element | str


def element(tag: str, *children: Child, **attributes: object) -> Element:
    """
    Make an element.

    Args:
        tag: Its name.
        children: Elements and texts, in order.
        attributes: `_` in a name becomes `-`, one at its end is left out: `class_`.
    """
    made = Element(tag, {_name(key): _value(value) for key, value in attributes.items()})
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + child
        else:
            made.text = (made.text or "") + child
    return made


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
