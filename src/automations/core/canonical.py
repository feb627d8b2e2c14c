"""Canonical JSON and digests: two equal documents have one text and one digest, whatever order their keys came in.

Object keys are sorted by code point and no insignificant space is written, so the text is stable across runs and
machines. Integral floats are written as floats (`1.0`), because YAML `1` and `1.0` are different values to a filter.

orjson and hashlib are imported when first used: together they take longer to load than the interpreter to start, and
`queue claim` uses neither.
"""

from typing import Any

from automations.errors import StoreDamaged


def encode(value: Any) -> str:
    """Canonical JSON text of plain data (dict, list, str, int within 64 bits, float, bool, None).

    Raises TypeError for anything else.
    """
    import orjson  # noqa: PLC0415  # see the module's head

    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def encode_words(value: Any) -> str:
    """The same text as `encode` gives, for documents without floats, by the standard library.

    `queue fail` writes an error and a dead letter, and needs orjson for nothing else.
    """
    import json  # noqa: PLC0415  # see the module's head

    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def as_written(value: Any) -> str:
    """JSON text with the keys in the order in which their author wrote them: for what people will read again."""
    import orjson  # noqa: PLC0415  # see the module's head

    return orjson.dumps(value).decode()


def decode(text: str | bytes) -> Any:
    """Read back what `encode` wrote; for JSON from outside use `core.strict_json`. Raises StoreDamaged for what is no JSON."""
    import orjson  # noqa: PLC0415  # see the module's head

    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise StoreDamaged(_shown(text)) from None


def decode_words(text: str) -> Any:
    """The same by the standard library: for small documents, where orjson is needed for nothing else."""
    import json  # noqa: PLC0415  # see the module's head

    try:
        return json.loads(text)
    except ValueError:
        raise StoreDamaged(_shown(text)) from None


def _shown(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode(errors="replace")


def digest(value: Any) -> str:
    """`sha256:<hex>` of the canonical text."""
    import orjson  # noqa: PLC0415  # see the module's head

    return digest_bytes(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def digest_bytes(raw: bytes) -> str:
    """`sha256:<hex>` of raw bytes."""
    from hashlib import sha256  # noqa: PLC0415  # see the module's head

    return "sha256:" + sha256(raw).hexdigest()
