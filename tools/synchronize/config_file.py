"""One YAML file of the config repository while it is read: checks parts of it against the contracts, collects mistakes."""

import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from common.contracts.clusters import ClusterCreate
from common.contracts.deployments import Gates
from common.contracts.probers import MatrixAxis, ProberConfigPut, ProberCreate, ProberSettings
from tools.synchronize.errors import Mistake
from tools.synchronize.plain_yaml import Place
from tools.synchronize.yaml_document import YamlDocument, parsed_yaml

Model = TypeVar("Model", bound=BaseModel)

_MODELS: tuple[type[BaseModel], ...] = (
    ClusterCreate, Gates, MatrixAxis, ProberConfigPut, ProberCreate, ProberSettings,
)  # fmt: skip
_NEVER_WRITTEN = {"slug", "files", "managed_by"}
_WRITTEN = {name for model in _MODELS for name in model.model_fields} - _NEVER_WRITTEN | {
    "configs",
    "use",
    "handed_over",
}


class ConfigFile:
    """The file's top mapping in `values`, and every mistake that was found so far in `mistakes`."""

    def __init__(self, path: Path, *, optional: bool = False) -> None:
        """With `optional` a file that is not there is an empty one."""
        self.path = path
        self.mistakes: list[Mistake] = []
        absent = optional and not path.exists()
        self._document = YamlDocument() if absent else _parsed(path)
        for line, place, text in self._document.mistakes:
            self.mistakes.append(Mistake(str(path), line, _dotted(place), text))
        self.values = self._mapping(self._document.value, ())

    @property
    def is_readable(self) -> bool:
        """Whether there is anything in it worth a check: after a mistake in the syntax there is not."""
        return isinstance(self._document.value, dict) or not self.mistakes

    def take_mapping(self, name: str) -> dict[str, JsonValue]:
        """Remove a mapping from `values`, so that the rest can be checked alone; absent or null is empty."""
        return self._mapping(self.values.pop(name, None), (name,))

    def checked(
        self,
        model: type[Model],
        values: JsonValue,
        *,
        place: Place = (),
        given: Mapping[str, object],
        owner_of: "Callable[[Place], ConfigFile] | None" = None,
    ) -> Model | None:
        """The contract made of the file's values and of what is given from elsewhere; None after a mistake.

        `owner_of`: in which file a value stands, if the values are those of several.
        """
        owner_of = owner_of or (lambda _: self)
        found = len(self.mistakes)
        written = self._mapping(values, place)
        if len(self.mistakes) > found:
            return None
        for name in sorted(given.keys() & written.keys()):
            owner_of((*place, name)).mistake((*place, name), _unknown(name))
        try:
            made = model.model_validate({**written, **given})
        except ValidationError as error:
            _add(error, written, place, owner_of)
            return None
        is_given_twice = bool(given.keys() & written.keys())
        return None if is_given_twice or len(self.mistakes) > found else made

    def mistake(self, place: Place, text: str) -> None:
        """Remember a mistake at a place of the file."""
        line = self._document.line_of(place)
        self.mistakes.append(Mistake(str(self.path), line, _dotted(place), text))

    def _mapping(self, value: JsonValue, place: Place) -> dict[str, JsonValue]:
        if isinstance(value, dict):
            return dict(value)
        if value is not None:
            self.mistake(place, f"expected a mapping, given {_shown(value)}")
        return {}


def _add(
    error: ValidationError,
    written: Mapping[str, JsonValue],
    place: Place,
    owner_of: Callable[[Place], ConfigFile],
) -> None:
    expected: dict[Place, list[str]] = {}
    given: dict[Place, Any] = {}
    for detail in error.errors():
        where = (*place, *_place_in(written, detail))
        expected.setdefault(where, []).append(_expected(detail))
        given[where] = detail
    for where, texts in expected.items():
        text = " or ".join(dict.fromkeys(texts)) + _given(given[where])
        owner_of(where).mistake(where, text)


def _parsed(path: Path) -> YamlDocument:
    try:
        return parsed_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return YamlDocument(mistakes=[(0, (), "no UTF-8 text")])
    except OSError as error:
        return YamlDocument(mistakes=[(0, (), f"cannot be read: {error.strerror}")])


def _place_in(written: JsonValue | Mapping[str, JsonValue], detail: ErrorDetails) -> Place:
    """Where in the file an error is: pydantic's path without the names of types that it adds."""
    place: Place = ()
    value: Any = written
    for part in detail["loc"]:
        inside = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        if inside:
            place, value = (*place, part), value[part]
    return (*place, detail["loc"][-1]) if detail["type"] == "missing" else place


def _expected(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return _unknown(str(detail["loc"][-1]))
    if detail["type"] == "missing":
        return "is missing"
    text = detail["msg"].removeprefix("Value error, ")
    return text.replace("Input should be ", "expected ").replace(
        "String should ", "expected a text that should "
    )


def _unknown(name: str) -> str:
    near = get_close_matches(name, _WRITTEN, n=1)
    return f"unknown field{f', did you mean {near[0]}?' if near else ''}"


def _given(detail: ErrorDetails) -> str:
    if detail["type"] in ("missing", "extra_forbidden") or isinstance(
        detail["input"], list | tuple
    ):
        return ""
    return f", given {_shown(detail['input'])}"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _dotted(place: Place) -> str:
    return ".".join(str(part) for part in place)
