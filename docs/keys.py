"""Put the tables of all keys into docs/configuration.md, from the descriptions in molclr/config:

python docs/keys.py
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from molclr.config import Config

PAGE = Path(__file__).parent / "configuration.md"
BEGIN = "<!-- keys: begin -->"
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def renewed(page: str) -> str:
    """Return the page with the tables of the present keys after the mark."""
    return page.partition(BEGIN)[0] + "\n".join([BEGIN, *tables_of_keys(), ""])


def tables_of_keys() -> Iterator[str]:
    """Return Markdown: every key with its default, its values and its description, in one table for each section."""
    schema = Config.model_json_schema()
    yield from _table("", schema, schema["$defs"])


def _table(section: str, schema: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    nested = []
    yield f"\n### {f'`{section}`' if section else 'Top level'}\n"
    yield f"{schema['description'].splitlines()[0]}\n"
    yield "| key | default | values | description |"
    yield "|---|---|---|---|"
    for key, entry in schema["properties"].items():
        reference = entry.get("$ref") or entry.get("additionalProperties", {}).get("$ref")
        if reference:
            name = key if "$ref" in entry else f"{key}.NAME"
            nested.append((".".join(filter(None, [section, name])), definitions[reference.rpartition("/")[2]]))
        yield _row(key, entry, key in schema.get("required", []))
    for name, definition in nested:
        yield from _table(name, definition, definitions)


def _row(key: str, entry: dict[str, Any], required: bool) -> str:
    default = "section" if "$ref" in entry else "required" if required else f"`{_in_yaml(entry.get('default'))}`"
    values = "keys below" if "$ref" in entry else _values(entry)
    return f"| `{key}` | {default} | {values} | {entry['description'].replace('|', '/')} |"


def _in_yaml(value: Any) -> str:
    """Format a default as in a configuration; 1.0e-5 instead of 1e-05, which YAML 1.1 takes for text."""
    if isinstance(value, float) and 0 < abs(value) < 1e-2:
        digits, exponent = f"{value:.1e}".split("e")
        return f"{digits}e{int(exponent)}"
    return value if value and isinstance(value, str) else json.dumps(value)


def _values(entry: dict[str, Any]) -> str:
    """Describe the values of a key."""
    if "anyOf" in entry:
        return " or ".join(_values(one) for one in entry["anyOf"])
    if "enum" in entry or "const" in entry:
        return ", ".join(f"`{value}`" for value in entry.get("enum", [entry.get("const")]))
    kind = {"array": "list", "object": "mapping", "boolean": "`true`, `false`"}.get(entry["type"], entry["type"])
    if entry["type"] == "array" and "items" in entry:
        first, *rest = _values(entry["items"]).split(" ", 1)
        kind += " ".join([f" of {first}s", *rest])
    limits = [f"{sign} {entry[name]:g}" for name, sign in LIMITS.items() if name in entry]
    return " ".join([kind, ", ".join(limits)]).strip()


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
