"""Where a file's parse events come from: our own scanner for JSON, libyaml for all else.

Events, not documents: libyaml's event parser keeps its own stack on the heap, while PyYAML's C composer recurses and
crashes the process on a few thousand nested brackets.
"""

import re
from typing import Final, Protocol

import orjson
from yaml.events import Event

from automations.core.spec.json_events import JsonEvents
from automations.core.spec.syntax import UnreadableError

try:
    from yaml._yaml import CParser
except ImportError as error:
    raise ImportError(
        "PyYAML was built without libyaml, which reading specs needs; install a PyYAML wheel for this platform, "
        "or libyaml's headers before building it"
    ) from error

_BRACKET: Final = re.compile(rb"[ \t\r\n]*+[{\[]")
_ODD_BREAK: Final = re.compile("[\x85\u2028\u2029]")
_TAG_DIRECTIVE: Final = re.compile(r"(?:^|(?<=[\r\n]))%TAG")


class Events(Protocol):
    """A puller of parse events."""

    def get_event(self) -> Event | None:
        """Give the next event, None after the last. Raises yaml.YAMLError or UnreadableError."""
        ...


def is_json(raw: bytes, file: str) -> bool:
    """Tell whether JSON's own grammar reads `raw`: the file's name asks for it, or the text is an object or list of JSON.

    So a text means the same on standard input as in a file, whatever its name. What only looks like JSON is YAML's.
    """
    return file.lower().endswith(".json") or (_BRACKET.match(raw) is not None and _parses(raw))


def _parses(raw: bytes) -> bool:
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError:
        return False
    return True


def open_events(raw: bytes, file: str) -> Events:
    """Start the events of `raw`, which is UTF-8 without a byte order mark."""
    return JsonEvents(raw.decode(), file) if is_json(raw, file) else CParser(raw)


def foreseen(raw: bytes, text: str) -> UnreadableError | None:
    """Find what libyaml would read without complaint, but otherwise than YAML 1.2, or for far too long."""
    if b"%TAG" in raw and (found := _TAG_DIRECTIVE.search(text)):
        # libyaml compares each directive with all before it: 800 KB of them keep it busy for seconds.
        hint = "Remove it; only core tags exist here."
        return UnreadableError("yaml/tag", "%TAG directives are not allowed", index=found.start(), hint=hint)
    if not raw.isascii() and (found := _ODD_BREAK.search(text)):
        # Line breaks to libyaml (YAML 1.1), plain text to YAML 1.2: a comment could hide what another reader obeys.
        name = f"U+{ord(found.group()):04X}"
        hint = "Remove it, or write it as an escape (\\N, \\L or \\P) in double quotes."
        message = f"the line separator {name} is not allowed in a YAML file"
        return UnreadableError("yaml/character", message, index=found.start(), hint=hint)
    return None
