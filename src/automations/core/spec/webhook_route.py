"""Rules for routes that are made from options rather than from a spec; the words are the original's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_SLASHES = re.compile(r"/{2,}")
_ENCODINGS = ("hex", "base64")
_KNOWN = frozenset({"algorithm", "secretRef", "header", "prefix", "encoding"})


def id_problem(identity: str) -> str | None:
    """What is wrong with a route's id, or None."""
    if _ID.fullmatch(identity):
        return None
    return (
        "webhook route id must start with an alphanumeric character and contain only letters, numbers, dots, underscores, "
        "colons, or dashes"
    )


def normalised_path(path: str) -> str:
    """A path with runs of slashes made one and none at its end, as the original kept them."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"


def signature_problem(signature: Mapping[str, Any]) -> str | None:
    """What is wrong with a signature block, or None. A secret itself, or any unknown field, has no place in it."""
    unknown = sorted(set(signature) - _KNOWN)
    if unknown:
        return f"webhook signature has a field that is not allowed: {unknown[0]}"
    ref = signature.get("secretRef", "")
    if not isinstance(ref, str) or not ref.startswith("secret://") or ref == "secret://":
        return "webhook signature secretRef must be a secret:// reference"
    if signature.get("encoding", "hex") not in _ENCODINGS:
        return f"unsupported webhook signature encoding: {signature['encoding']}"
    return None
