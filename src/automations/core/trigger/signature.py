"""Webhook signatures: whether a request proves that its sender knows the route's secret.

Pure verification over the raw bytes. Every scheme says how to read a request into a claim (what was signed, which
digests the sender offers, when) and how a secret turns what was signed into the digest to expect; one function does the
comparing. All fail closed: an unknown preset, a header sent twice, an odd element or an unusable secret is a rejection.

Sources: GitHub "Validating webhook deliveries"; Stripe "Verify webhook signatures manually"; Slack "Verifying requests
from Slack"; Shopify "Verify webhooks"; Standard Webhooks 1.0.0; GitLab "Webhooks" (secret token).
"""

import hmac
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from automations.core.instant import SECOND
from automations.core.spec.model import Signature

Headers = Mapping[str, tuple[str, ...]]
"""Lower-case names to all their values in order, decoded as Latin-1, without the space around them."""

DELIVERY_HEADERS: Mapping[str, str] = {"github": "x-github-delivery", "standard-webhooks": "webhook-id"}
"""Presets whose sender names every delivery, and the header (lower-case) that does."""

DEFAULT_HEADER = "x-hasna-signature"
DEFAULT_TOLERANCE = 300
"""Seconds that a signed timestamp may be away from now, in either direction."""
MAX_CANDIDATES = 16
"""Signatures that one request may offer."""

_HEX_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
# 32 bytes are 43 characters, of which the last carries four bits: the rest of it must be zero, so that there is one
# text for one digest.
_BASE64_DIGEST = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")
_SECONDS = re.compile(r"[0-9]{1,12}")  # int() alone would take "+17", " 1_7 " and other scripts' digits
_STRIPE_ELEMENT = re.compile(r"([a-z][a-z0-9]{0,15})=([0-9A-Za-z]{1,256})")
_STANDARD_ELEMENT = re.compile(r"(v[0-9]{1,3}[a-z]?),([A-Za-z0-9+/=_-]{1,1024})")
# Printable ASCII without the full stop that separates what is signed: Standard Webhooks, "Signature scheme".
_STANDARD_ID = re.compile(r"[!-\-/-~]{1,256}")
_STANDARD_PREFIX = b"whsec_"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The sender knows the secret. `timestamp` (microseconds) and `signed_id` are set if the signature covers them."""

    scheme: str
    signed_id: str | None = None
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """It is not proven. `detail` is for an operator, never for the sender, and holds nothing of a secret or a MAC."""

    reason: Literal["missing", "invalid"]
    detail: str


@dataclass(frozen=True, slots=True)
class _Claim:
    signed: bytes
    offers: tuple[bytes, ...]
    seconds: int | None = None
    signed_id: str | None = None


class _Unreadable(Exception):
    """Not an error of the program but a verdict on its way out of a reader."""

    def __init__(self, reason: Literal["missing", "invalid"], detail: str) -> None:
        super().__init__(detail)
        self.verdict = Rejected(reason, detail)


def verify(
    signature: Signature, *, secrets: tuple[bytes, ...], headers: Headers, body: bytes, now: int
) -> Accepted | Rejected:
    """Judge a request by its raw `body` and its headers; `now` is in microseconds.

    Every secret (current first, then previous) is tried against every offered signature in constant time. Without a
    secret nothing is accepted; a request without a signature is `missing` even then.
    """
    name = signature.preset or "explicit"
    scheme = _SCHEMES.get(name)
    if scheme is None or signature.algorithm != "hmac-sha256":
        return Rejected("invalid", f"the route asks for {name} with {signature.algorithm}, which is not known here")
    read, expect = scheme
    try:
        claim = read(signature, headers, body)
    except _Unreadable as unreadable:
        return unreadable.verdict
    expected = [digest for secret in secrets if secret and (digest := expect(secret, claim.signed))]
    if not expected:
        return Rejected("invalid", "the route has no secret that this scheme can use")
    proven = False
    for digest in expected:
        for offer in claim.offers:
            proven |= hmac.compare_digest(digest, offer)
    if not proven:
        return Rejected("invalid", f"none of {len(claim.offers)} signatures fits any of {len(expected)} secrets")
    return _in_time(signature, name, claim=claim, now=now)


def _in_time(signature: Signature, name: str, *, claim: _Claim, now: int) -> Accepted | Rejected:
    if claim.seconds is None:
        return Accepted(name, claim.signed_id)
    tolerance = DEFAULT_TOLERANCE if signature.tolerance_seconds is None else signature.tolerance_seconds
    away = now - claim.seconds * SECOND
    if abs(away) > tolerance * SECOND:
        direction = "old" if away > 0 else "ahead of this clock"
        return Rejected(
            "invalid", f"rightly signed, but {abs(away) // SECOND} s {direction}; {tolerance} s are allowed"
        )
    return Accepted(name, claim.signed_id, claim.seconds * SECOND)


# How a secret becomes the expected digest; None if it is of no use.


def _mac(secret: bytes, signed: bytes) -> bytes | None:
    return hmac.digest(secret, signed, "sha256")


def _standard_mac(secret: bytes, signed: bytes) -> bytes | None:
    try:
        key = b64decode(secret.removeprefix(_STANDARD_PREFIX), validate=True)
    except Base64Error:
        return None
    return hmac.digest(key, signed, "sha256") if key else None


def _token_digest(secret: bytes, _signed: bytes) -> bytes | None:
    return sha256(secret).digest()


# How a request becomes a claim.


def _read_explicit(signature: Signature, headers: Headers, body: bytes) -> _Claim:
    text = _one(headers, (signature.header or DEFAULT_HEADER).lower())
    prefix = signature.prefix or ""
    if not text.startswith(prefix):
        raise _Unreadable("invalid", f"the signature does not begin with {prefix}")
    decode = _from_base64 if signature.encoding == "base64" else _from_hex
    offers = (decode(text[len(prefix) :]),)
    if signature.timestamp_header is None:
        return _Claim(body, offers)
    stamp, seconds = _timestamp(_one(headers, signature.timestamp_header.lower()))
    return _Claim(stamp + b"." + body, offers, seconds)


def _read_github(_signature: Signature, headers: Headers, body: bytes) -> _Claim:
    text = _one(headers, "x-hub-signature-256")
    if not text.startswith("sha256="):
        raise _Unreadable("invalid", "the signature does not begin with sha256=")
    return _Claim(body, (_from_hex(text.removeprefix("sha256=")),))


def _read_shopify(_signature: Signature, headers: Headers, body: bytes) -> _Claim:
    return _Claim(body, (_from_base64(_one(headers, "x-shopify-hmac-sha256")),))


def _read_slack(_signature: Signature, headers: Headers, body: bytes) -> _Claim:
    text = _one(headers, "x-slack-signature")
    stamp, seconds = _timestamp(_one(headers, "x-slack-request-timestamp"))
    if not text.startswith("v0="):
        raise _Unreadable("invalid", "the signature does not begin with v0=")
    return _Claim(b"v0:" + stamp + b":" + body, (_from_hex(text.removeprefix("v0=")),), seconds)


def _read_stripe(_signature: Signature, headers: Headers, body: bytes) -> _Claim:
    elements = _elements(_one(headers, "stripe-signature"), ",", _STRIPE_ELEMENT)
    stamps = [value for key, value in elements if key == "t"]
    if len(stamps) != 1:
        raise _Unreadable("invalid", f"stripe-signature holds {len(stamps)} timestamps instead of one")
    stamp, seconds = _timestamp(stamps[0])
    # v0 is a test-mode scheme that must never count.
    offers = tuple(_from_hex(value) for key, value in elements if key == "v1")
    return _Claim(stamp + b"." + body, offers, seconds)


def _read_standard(_signature: Signature, headers: Headers, body: bytes) -> _Claim:
    elements = _elements(_one(headers, "webhook-signature"), " ", _STANDARD_ELEMENT)
    stamp, seconds = _timestamp(_one(headers, "webhook-timestamp"))
    identity = _one(headers, "webhook-id")
    if not _STANDARD_ID.fullmatch(identity):
        raise _Unreadable("invalid", "webhook-id is not short printable ASCII without full stops")
    # v1a and whatever comes later are signatures of other algorithms.
    offers = tuple(_from_base64(value) for key, value in elements if key == "v1")
    return _Claim(identity.encode() + b"." + stamp + b"." + body, offers, seconds, identity)


def _read_gitlab(_signature: Signature, headers: Headers, _body: bytes) -> _Claim:
    token = _one(headers, "x-gitlab-token")
    try:
        # Digests of equal length are compared, so that not even the length of the token shows in the time taken.
        return _Claim(b"", (sha256(token.encode("latin-1")).digest(),))
    except UnicodeEncodeError:
        raise _Unreadable("invalid", "x-gitlab-token is not Latin-1") from None


_SCHEMES: Mapping[str, tuple[Callable[[Signature, Headers, bytes], _Claim], Callable[[bytes, bytes], bytes | None]]] = {
    "explicit": (_read_explicit, _mac),
    "github": (_read_github, _mac),
    "stripe": (_read_stripe, _mac),
    "slack": (_read_slack, _mac),
    "shopify": (_read_shopify, _mac),
    "standard-webhooks": (_read_standard, _standard_mac),
    "gitlab": (_read_gitlab, _token_digest),
}

PRESETS = frozenset(_SCHEMES) - {"explicit"}
"""The names that a spec may give as `preset`."""


def _one(headers: Headers, name: str) -> str:
    values = headers.get(name, ())
    if len(values) > 1:
        raise _Unreadable("invalid", f"{name} was sent {len(values)} times")
    if not values or not values[0]:
        raise _Unreadable("missing", f"{name} was not sent or is empty")
    return values[0]


def _elements(text: str, separator: str, shape: re.Pattern[str]) -> list[tuple[str, str]]:
    """Split a header that may hold several signatures. One odd element spoils it: two headers may be folded into it."""
    parts = text.split(separator, 2 * MAX_CANDIDATES)
    found = [shape.fullmatch(part) for part in parts]
    elements = [(match[1], match[2]) for match in found if match]
    if len(elements) != len(parts):
        raise _Unreadable("invalid", "an element of the signature header is not of the scheme's form")
    offered = sum(key == "v1" for key, _ in elements)
    if not 1 <= offered <= MAX_CANDIDATES:
        raise _Unreadable(
            "invalid", f"the signature header offers {offered} v1 signatures instead of 1 to {MAX_CANDIDATES}"
        )
    return elements


def _timestamp(text: str) -> tuple[bytes, int]:
    if not _SECONDS.fullmatch(text):
        raise _Unreadable("invalid", "the timestamp is not seconds since 1970 in plain digits")
    return text.encode(), int(text)


def _from_hex(text: str) -> bytes:
    if not _HEX_DIGEST.fullmatch(text):
        raise _Unreadable("invalid", "the signature is not 64 hexadecimal digits")
    return bytes.fromhex(text)


def _from_base64(text: str) -> bytes:
    if not _BASE64_DIGEST.fullmatch(text):
        raise _Unreadable("invalid", "the signature is not the Base64 of 32 bytes")
    return b64decode(text, validate=True)
