"""Reading of the configuration and its sections from values, YAML and the command line."""

from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import ValidationError

from molclr.config.fields import Section
from molclr.config.run import Config
from molclr.errors import MolclrError

AnySection = TypeVar("AnySection", bound=Section)

SUFFIXES_OF_SECTIONS = (".yaml", ".yml")
"""File suffixes by which the command line recognizes the path of a section."""


def _load(text: str) -> Any:
    """Read YAML. Raises MolclrError for a repeated key, of which other readers keep the last, and yaml.YAMLError."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _check_keys(root, set())
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _check_keys(node: yaml.Node, visited: set[int]) -> None:
    """Raise MolclrError if a mapping in a tree of YAML has a key twice. visited: nodes that were checked, such as anchors."""
    if id(node) in visited or not isinstance(node, yaml.CollectionNode):
        return
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        given = set[tuple[str, str]]()
        for key, value in node.value:
            known = (key.tag, str(key.value))
            if known in given and not known[0].endswith(":merge"):
                raise MolclrError(f"the key '{key.value}' in line {key.start_mark.line + 1} is already given above")
            given.add(known)
            _check_keys(value, visited)
    else:
        for value in node.value:
            _check_keys(value, visited)


def require_unique_keys(path: Path) -> None:
    """Raise MolclrError if a YAML file has a key twice in one mapping. Other errors are left to its reader."""
    try:
        _load(path.read_text(encoding="utf-8"))
    except MolclrError as error:
        raise MolclrError(f"{path}: {error}; remove one of them.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return


def parse_section(section: type[AnySection], values: Any, source: str) -> AnySection:
    """Validate `values` as a `section`. Raises MolclrError, which names `source` and the key, for an invalid value."""
    try:
        return section.model_validate(values if values is not None else {})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise MolclrError(f"{source}: the key '{key}' is missing; add it.") from None
        if first["type"] == "extra_forbidden":
            known = ", ".join(_fields_beside(section, first["loc"]))
            raise MolclrError(f"{source}: unknown key '{key}'; the keys here are {known}.") from None
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "value_error" and isinstance(first["input"], dict):  # An error that concerns several keys.
            where = f"'{key}': " if key else ""
        else:
            given = first["input"] if not isinstance(first["input"], dict) else "{...}"
            where = f"'{key}' is {given!r}: "
        raise MolclrError(f"{source}: {where}{message[:1].lower()}{message[1:]}.") from None


def parse_settings(section: type[AnySection], text: str, option: str = "--settings") -> AnySection:
    """Validate the argument of `option`: inline YAML or JSON, or the path of a YAML file.

    The file has the keys of the section, or is a configuration of the workflow with this section.
    """
    source = option
    if text.endswith(SUFFIXES_OF_SECTIONS):
        path = Path(text)
        if not path.is_file():
            raise MolclrError(f"{option}: the file '{text}' does not exist; correct the path.")
        source, text = text, path.read_text()
    try:
        values = _load(text)
    except MolclrError as error:
        raise MolclrError(f"{source}: {error}; remove one of them.") from None
    except yaml.YAMLError:
        values = text
    if not isinstance(values, dict | None):
        raise MolclrError(
            f"{source}: the value is not a YAML mapping; write {{key: value}}, or the path of a YAML file."
        )
    name = _name_in_configuration(section)
    if values and name in values and set(values) <= set(Config.model_fields):
        source, values = f"{source}, {name}", values[name]
    return parse_section(section, values, source)


def _name_in_configuration(section: type[Section]) -> str | None:
    """Return the key of a section in a configuration; None unless exactly one key has this type."""
    kinds = {name: field.annotation for name, field in Config.model_fields.items()}
    names = [name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, section)]
    return names[0] if len(names) == 1 else None


def _fields_beside(section: type[Section], location: tuple[str | int, ...]) -> list[str]:
    """List the valid keys at the location of an unknown key."""
    for part in location[:-1]:
        field = section.model_fields.get(str(part))  # None for keys of a dict, such as names of benchmarks
        annotation = field.annotation if field else None
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        if isinstance(annotation, type) and issubclass(annotation, Section):
            section = annotation
    return list(section.model_fields)
