"""Command-line options made from settings: one option per field, with its variable and default."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from runtime.settings import Settings, env_name, load

PANELS = {
    "KafkaSettings": "Kafka",
    "SharedSettings": "Deployment",
    "WorkerSettings": "Worker",
    "TrainerSettings": "Trainer",
}


def with_settings(*classes: type[Settings]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Give a command an option for every field of some settings.

    The command takes one instance of each class first, in this order, then its own parameters.
    Fields that are secrets have no option, since a command line is visible to all: they come from
    the environment.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(**given: Any) -> Any:
            loaded = [
                load(cls, **{name: given.pop(_key(cls, name), None) for name in _visible(cls)})
                for cls in classes
            ]
            return command(*loaded, **given)

        own = list(inspect.signature(command).parameters.values())[len(classes) :]
        made = [_parameter(cls, name) for cls in classes for name in _visible(cls)]
        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in [*own, *made]
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        del run.__wrapped__  # typer would look through it at the command's own parameters
        return run

    return decorate


def _visible(cls: type[Settings]) -> list[str]:
    return [
        name
        for name, field in cls.model_fields.items()
        if SecretStr not in _types(field.annotation)
    ]


def _key(cls: type[Settings], name: str) -> str:
    return env_name(cls, name).lower()


def _parameter(cls: type[Settings], name: str) -> inspect.Parameter:
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        envvar=env_name(cls, name),
        help=_help(cls, name),
        metavar=_metavar(cls.model_fields[name]),
        show_default=False,
        show_envvar=False,
        rich_help_panel=PANELS[cls.__name__],
    )
    return inspect.Parameter(
        _key(cls, name),
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, option],
    )


def _help(cls: type[Settings], name: str) -> str:
    """Description, choices, variable and default; columns of their own would cut long ones."""
    field = cls.model_fields[name]
    choices = f" One of {', '.join(_choices(field))}." if len(_choices(field)) > 1 else ""
    default = field.get_default(call_default_factory=True)
    says = "" if default in (None, "") else f", default {_shown(default)}"
    return f"{field.description}{choices} [{env_name(cls, name)}{says}]"


def _shown(value: object) -> str:
    if isinstance(value, Path):
        return str(value).replace(str(Path.home()), "~", 1)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _metavar(field: FieldInfo) -> str:
    types = _types(field.annotation)
    names = {bool: "true|false", int: "INT", float: "NUMBER", Path: "PATH"}
    found = next((names[kind] for kind in types if kind in names), "TEXT")
    return "CHOICE" if _choices(field) else found


def _choices(field: FieldInfo) -> list[str]:
    literals = [kind for kind in _types(field.annotation) if get_origin(kind) is Literal]
    return [str(choice) for kind in literals for choice in get_args(kind)]


def _types(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself."""
    if get_origin(annotation) is Literal:
        return (annotation,)
    return get_args(annotation) or (annotation,)
