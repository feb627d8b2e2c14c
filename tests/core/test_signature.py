"""Signatures: published examples, tables of hostile headers, and the law that only what was signed verifies."""

import hmac
import json
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.instant import SECOND
from automations.core.spec import schemas
from automations.core.spec.model import Signature
from automations.core.trigger.signature import (
    DEFAULT_HEADER,
    DEFAULT_TOLERANCE,
    MAX_CANDIDATES,
    PRESETS,
    Accepted,
    Headers,
    Rejected,
    verify,
)

VECTORS = json.loads((Path(__file__).parent.parent / "data/vectors/signatures.json").read_text())["cases"]

NOW = 1_700_000_000
BODY = b'{"a":1}'
SECRET = b"It's a Secret to Everybody"
STANDARD = b"whsec_" + b64encode(b"k" * 24)
EXPLICIT = Signature("secret://s")


def preset(name: str) -> Signature:
    return EXPLICIT if name == "explicit" else Signature("secret://s", preset=name)


def many(headers: dict[str, str]) -> dict[str, tuple[str, ...]]:
    return {name.lower(): (value,) for name, value in headers.items()}


def judge(
    signature: Signature,
    headers: Headers,
    *,
    body: bytes = BODY,
    now: float = NOW,
    secrets: tuple[bytes, ...] = (SECRET,),
) -> Accepted | Rejected:
    return verify(signature, secrets=secrets, headers=headers, body=body, now=int(now * SECOND))


def reason(*args: Any, **options: Any) -> str:
    verdict = judge(*args, **options)
    return verdict.reason if isinstance(verdict, Rejected) else "accepted"


def mac(signed: bytes, secret: bytes = SECRET) -> bytes:
    return hmac.digest(secret, signed, "sha256")


def b64(raw: bytes) -> str:
    return b64encode(raw).decode()


def sign(name: str, body: bytes = BODY, *, at: int = NOW, secret: bytes = SECRET) -> dict[str, tuple[str, ...]]:
    """The headers that an honest sender of each scheme makes; the standard one's key is 24 bytes of k."""
    stamp = str(at).encode()
    match name:
        case "explicit":
            headers = {"x-hasna-signature": mac(body, secret).hex()}
        case "github":
            headers = {"x-hub-signature-256": "sha256=" + mac(body, secret).hex()}
        case "shopify":
            headers = {"x-shopify-hmac-sha256": b64(mac(body, secret))}
        case "gitlab":
            headers = {"x-gitlab-token": secret.decode("latin-1")}
        case "slack":
            offer = "v0=" + mac(b"v0:" + stamp + b":" + body, secret).hex()
            headers = {"x-slack-signature": offer, "x-slack-request-timestamp": str(at)}
        case "stripe":
            headers = {"stripe-signature": f"t={at},v1={mac(stamp + b'.' + body, secret).hex()}"}
        case _:
            offer = "v1," + b64(mac(b"msg_1." + stamp + b"." + body, b"k" * 24))
            headers = {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": offer}
    return many(headers)


def secrets_of(name: str) -> tuple[bytes, ...]:
    return (STANDARD,) if name == "standard-webhooks" else (SECRET,)


SCHEMES = sorted(PRESETS | {"explicit"})
TIMED = ["slack", "standard-webhooks", "stripe"]
WITH_BODY = [name for name in SCHEMES if name != "gitlab"]
SIGNATURE_HEADER = {
    "explicit": "x-hasna-signature",
    "github": "x-hub-signature-256",
    "gitlab": "x-gitlab-token",
    "shopify": "x-shopify-hmac-sha256",
    "slack": "x-slack-signature",
    "standard-webhooks": "webhook-signature",
    "stripe": "stripe-signature",
}


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["preset"])
def test_a_published_example_verifies(case: dict[str, Any]) -> None:
    explicit = case["preset"] == "hmac-hex"
    signature = replace(EXPLICIT, header="X-Signature") if explicit else preset(case["preset"])
    verdict = judge(
        signature,
        many(case["headers"]),
        body=case["body"].encode(),
        now=case.get("now", NOW),
        secrets=(case["secret"].encode(),),
    )
    assert isinstance(verdict, Accepted) is case["valid"]


@pytest.mark.parametrize("name", SCHEMES)
def test_what_an_honest_sender_signs_is_accepted(name: str) -> None:
    verdict = judge(preset(name), sign(name), secrets=secrets_of(name))
    assert verdict == Accepted(
        name,
        signed_id="msg_1" if name == "standard-webhooks" else None,
        timestamp=NOW * SECOND if name in TIMED else None,
    )


@pytest.mark.parametrize("name", SCHEMES)
def test_the_previous_secret_verifies_too(name: str) -> None:
    current = b"whsec_" + b64encode(b"new" * 8)
    assert reason(preset(name), sign(name), secrets=(current, *secrets_of(name))) == "accepted"
    assert reason(preset(name), sign(name), secrets=(current,)) == "invalid"


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("secrets", [(), (b"",)], ids=["none", "empty"])
def test_without_a_secret_nothing_is_accepted(name: str, secrets: tuple[bytes, ...]) -> None:
    assert reason(preset(name), sign(name, secret=b""), secrets=secrets) in {"invalid", "missing"}
    assert reason(preset(name), sign(name), secrets=secrets) == "invalid"
    assert reason(preset(name), {}, secrets=secrets) == "missing"


@pytest.mark.parametrize("name", SCHEMES)
def test_every_header_of_a_scheme_must_be_there_once(name: str) -> None:
    good = sign(name)
    for header, (value,) in good.items():
        rest = {key: values for key, values in good.items() if key != header}
        assert reason(preset(name), rest, secrets=secrets_of(name)) == "missing"
        assert reason(preset(name), {**rest, header: ()}, secrets=secrets_of(name)) == "missing"
        assert reason(preset(name), {**rest, header: ("",)}, secrets=secrets_of(name)) == "missing"
        assert reason(preset(name), {**rest, header: (value, value)}, secrets=secrets_of(name)) == "invalid"
        assert reason(preset(name), {**rest, header: (f"{value}, {value}",)}, secrets=secrets_of(name)) == "invalid"


HEX = mac(BODY).hex()
B64 = b64(mac(BODY))

HOSTILE = {
    "too short": HEX[:-1],
    "too long": HEX + "0",
    "not hexadecimal": "g" * 64,
    "with a space": " " + HEX,
    "with a space inside": HEX[:2] + " " + HEX[3:],
    "with a line break": HEX + "\n",
    "with a prefix that nobody asked for": "sha256=" + HEX,
    "0x": "0x" + HEX[2:],
    "as Base64": B64,
    "full-width digits": "".join(chr(ord(char) + 0xFEE0) for char in HEX),
    "Arabic digits": "\u0661" * 64,
    "not ASCII": "é" * 64,
    "a comma": ",",
    "the empty list": "[]",
    "of another body": mac(b"other").hex(),
    "of the empty body": mac(b"").hex(),
    "the bare hash of the body": sha256(BODY).hexdigest(),
    "zeros": "0" * 64,
    "a megabyte": "a" * 1_000_000,
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_odd_hexadecimal_signature_is_invalid_and_never_a_bug(value: str) -> None:
    assert reason(EXPLICIT, {"x-hasna-signature": (value,)}) == "invalid"
    assert reason(preset("github"), {"x-hub-signature-256": ("sha256=" + value,)}) == "invalid"


@pytest.mark.parametrize(
    "value",
    [
        B64[:-1], B64 + "=", B64 + "\n", B64[:20] + "\n" + B64[20:], B64[:20] + "*" + B64[20:], B64.rstrip("="),
        "=" * 44, HEX, b64(mac(BODY)[:-1]), b64(mac(BODY) + b"x"), b64(HEX.encode()), "é" * 44,
        "-" * 43 + "=", "_" * 43 + "=",
    ],
)  # fmt: skip
def test_an_odd_base64_signature_is_invalid_and_never_a_bug(value: str) -> None:
    assert reason(preset("shopify"), {"x-shopify-hmac-sha256": (value,)}) == "invalid"


def test_a_digest_has_one_spelling_in_base64() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    accepted = [
        char
        for char in alphabet
        if reason(preset("shopify"), {"x-shopify-hmac-sha256": (B64[:42] + char + "=",)}) == "accepted"
    ]
    assert accepted == [B64[42]]


def test_upper_case_hexadecimal_is_the_same_digest() -> None:
    assert reason(EXPLICIT, {"x-hasna-signature": (HEX.upper(),)}) == "accepted"


def test_the_explicit_form_has_its_own_header_prefix_and_encoding() -> None:
    signature = replace(EXPLICIT, header="X-Mac", prefix="hmac ", encoding="base64")
    assert reason(signature, {"x-mac": ("hmac " + B64,)}) == "accepted"
    assert reason(signature, {"x-mac": (B64,)}) == "invalid"
    assert reason(signature, {"x-mac": ("HMAC " + B64,)}) == "invalid"
    assert reason(signature, {"x-hasna-signature": ("hmac " + B64,)}) == "missing"


def test_a_prefix_that_the_route_asks_for_must_be_there() -> None:
    signature = replace(EXPLICIT, prefix="sha256=")
    assert reason(signature, {"x-hasna-signature": ("sha256=" + HEX,)}) == "accepted"
    assert reason(signature, {"x-hasna-signature": (HEX,)}) == "invalid"


def test_the_explicit_form_can_sign_a_time_along_with_the_body() -> None:
    signature = replace(EXPLICIT, timestamp_header="X-Time", tolerance_seconds=10)
    headers = many({"X-Hasna-Signature": mac(b"%d." % NOW + BODY).hex(), "X-Time": str(NOW)})
    assert judge(signature, headers, now=NOW + 10) == Accepted("explicit", timestamp=NOW * SECOND)
    assert reason(signature, headers, now=NOW + 11) == "invalid"
    assert reason(signature, {**headers, "x-time": (str(NOW + 5),)}, now=NOW + 11) == "invalid"
    assert reason(signature, {"x-hasna-signature": (HEX,)}) == "missing"


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (NOW + 300, "accepted"),
        (NOW - 300, "accepted"),
        (NOW + 300.000001, "invalid"),
        (NOW - 301, "invalid"),
        (0, "invalid"),
    ],
)
def test_a_signed_time_may_be_five_minutes_away_either_way(name: str, now: float, verdict: str) -> None:
    assert reason(preset(name), sign(name), now=now, secrets=secrets_of(name)) == verdict


def test_a_route_may_narrow_the_tolerance_of_a_preset() -> None:
    narrow = replace(preset("slack"), tolerance_seconds=5)
    assert reason(narrow, sign("slack"), now=NOW + 5) == "accepted"
    assert reason(narrow, sign("slack"), now=NOW + 6) == "invalid"


STAMPS = [
    "+17",
    "-17",
    " 17",
    "17 ",
    "1_7",
    "\u0661\u0667",
    "\uff11\uff17",
    "1.7e1",
    "0x11",
    "",
    "17\n",
    "9" * 13,
    "9" * 5000,
    "now",
]


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_time_is_plain_ascii_digits_even_when_it_was_signed(stamp: str) -> None:
    raw = stamp.encode()
    slack = many(
        {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": "v0=" + mac(b"v0:" + raw + b":" + BODY).hex()}
    )
    stripe = many({"Stripe-Signature": f"t={stamp},v1={mac(raw + b'.' + BODY).hex()}"})
    offer = "v1," + b64(mac(b"msg_1." + raw + b"." + BODY, b"k" * 24))
    standard = many({"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": offer})
    assert reason(preset("slack"), slack, now=17) in {"invalid", "missing"}
    assert reason(preset("stripe"), stripe, now=17) == "invalid"
    assert reason(preset("standard-webhooks"), standard, now=17, secrets=(STANDARD,)) in {"invalid", "missing"}


GOOD = mac(b"%d." % NOW + BODY).hex()
BAD = "0" * 64

STRIPE = {
    "one of several": (f"t={NOW},v1={BAD},v1={GOOD}", "accepted"),
    "the first of several": (f"t={NOW},v1={GOOD},v1={BAD}", "accepted"),
    "right by v0 only": (f"t={NOW},v1={BAD},v0={GOOD}", "invalid"),
    "in any order": (f"v1={GOOD},t={NOW}", "accepted"),
    "beside v0": (f"t={NOW},v1={GOOD},v0={BAD}", "accepted"),
    "sixteen candidates": (f"t={NOW}," + f"v1={BAD}," * 15 + f"v1={GOOD}", "accepted"),
    "seventeen candidates": (f"t={NOW}," + f"v1={BAD}," * 16 + f"v1={GOOD}", "invalid"),
    "ten thousand candidates": (f"t={NOW}," + f"v1={BAD}," * 10_000 + f"v1={GOOD}", "invalid"),
    "v0 alone": (f"t={NOW},v0={GOOD}", "invalid"),
    "no time": (f"v1={GOOD}", "invalid"),
    "two times": (f"t={NOW},t={NOW},v1={GOOD}", "invalid"),
    "another time": (f"t={NOW + 1},v1={GOOD}", "invalid"),
    "no signature": (f"t={NOW}", "invalid"),
    "no equals sign": (f"t={NOW},v1{GOOD}", "invalid"),
    "a space after the comma": (f"t={NOW}, v1={GOOD}", "invalid"),
    "an empty element": (f"t={NOW},,v1={GOOD}", "invalid"),
    "a comma at the end": (f"t={NOW},v1={GOOD},", "invalid"),
    "an odd candidate": (f"t={NOW},v1=zz,v1={GOOD}", "invalid"),
    "a name without ASCII": (f"t={NOW},v\uff11={GOOD}", "invalid"),
}


@pytest.mark.parametrize(("value", "verdict"), STRIPE.values(), ids=STRIPE.keys())
def test_a_stripe_header_is_read_strictly(value: str, verdict: str) -> None:
    assert reason(preset("stripe"), {"stripe-signature": (value,)}) == verdict


RIGHT = "v1," + b64(mac(b"msg_1.%d." % NOW + BODY, b"k" * 24))
WRONG = "v1," + b64(b"\0" * 32)

STANDARD_HEADERS = {
    "one of several": (f"{WRONG} {RIGHT}", "accepted"),
    "beside an asymmetric one": (f"v1a,{b64(bytes(64))} {RIGHT}", "accepted"),
    "sixteen candidates": (f"{WRONG} " * (MAX_CANDIDATES - 1) + RIGHT, "accepted"),
    "seventeen candidates": (f"{WRONG} " * MAX_CANDIDATES + RIGHT, "invalid"),
    "no comma": (RIGHT.replace(",", ""), "invalid"),
    "a comma is not an equals sign": (RIGHT.replace(",", "=", 1), "invalid"),
    "an element without a comma": (f"{RIGHT} v1", "invalid"),
    "folded": (f"{WRONG}, {RIGHT}", "invalid"),
    "two spaces": (f"{WRONG}  {RIGHT}", "invalid"),
    "only an asymmetric one": (f"v1a,{b64(bytes(64))}", "invalid"),
    "no version": (RIGHT.removeprefix("v1,"), "invalid"),
    "Base64 for URLs": ("v1," + "_" * 43 + "=", "invalid"),
}


@pytest.mark.parametrize(("value", "verdict"), STANDARD_HEADERS.values(), ids=STANDARD_HEADERS.keys())
def test_a_standard_webhooks_header_is_read_strictly(value: str, verdict: str) -> None:
    headers = {**sign("standard-webhooks"), "webhook-signature": (value,)}
    assert reason(preset("standard-webhooks"), headers, secrets=(STANDARD,)) == verdict


def test_a_full_stop_in_a_signed_id_cannot_move_a_piece_of_the_body() -> None:
    body = b"%d.{}" % NOW
    honest = sign("standard-webhooks", body)
    assert reason(preset("standard-webhooks"), honest, body=body, secrets=(STANDARD,)) == "accepted"
    moved = {**honest, "webhook-id": (f"msg_1.{NOW}",)}
    assert reason(preset("standard-webhooks"), moved, body=b"{}", secrets=(STANDARD,)) == "invalid"


@pytest.mark.parametrize("secret", [b"whsec_", b"whsec_***", b"not base64!", b"whsec_YQ", "whsec_é".encode()])
def test_a_standard_webhooks_secret_that_is_no_key_accepts_nothing(secret: bytes) -> None:
    verdict = judge(preset("standard-webhooks"), sign("standard-webhooks"), secrets=(secret,))
    assert verdict == Rejected("invalid", "the route has no secret that this scheme can use")


def test_a_standard_webhooks_secret_may_come_without_its_prefix() -> None:
    assert reason(preset("standard-webhooks"), sign("standard-webhooks"), secrets=(b64encode(b"k" * 24),)) == "accepted"


@pytest.mark.parametrize(
    "token", ["", SECRET.decode() + " ", SECRET.decode()[:-1], SECRET.decode().upper(), "é", "\u20ac"]
)
def test_a_gitlab_token_must_be_the_secret_itself(token: str) -> None:
    assert reason(preset("gitlab"), {"x-gitlab-token": (token,)}) in {"invalid", "missing"}


def test_a_gitlab_token_beyond_ascii_is_compared_by_its_bytes() -> None:
    secret = "clé".encode()
    assert reason(preset("gitlab"), {"x-gitlab-token": (secret.decode("latin-1"),)}, secrets=(secret,)) == "accepted"


def test_an_unknown_preset_or_algorithm_fails_closed() -> None:
    assert reason(preset("svix"), sign("explicit")) == "invalid"
    assert reason(replace(EXPLICIT, algorithm="hmac-sha1"), sign("explicit")) == "invalid"


def test_a_rejection_says_what_to_look_at_and_shows_nothing_of_a_mac() -> None:
    skewed = judge(preset("slack"), sign("slack"), now=NOW + 412)
    assert skewed == Rejected("invalid", "rightly signed, but 412 s old; 300 s are allowed")
    early = judge(preset("slack"), sign("slack"), now=NOW - 412)
    assert early == Rejected("invalid", "rightly signed, but 412 s ahead of this clock; 300 s are allowed")
    wrong = judge(EXPLICIT, sign("explicit"), secrets=(b"a", b"b"))
    assert wrong == Rejected("invalid", "none of 1 signatures fits any of 2 secrets")
    for verdict in (skewed, early, wrong):
        assert isinstance(verdict, Rejected)
        assert HEX[:8] not in verdict.detail


def flipped(raw: bytes, bit: int) -> bytes:
    place, mask = bit // 8 % len(raw), 1 << bit % 8
    return raw[:place] + bytes([raw[place] ^ mask]) + raw[place + 1 :]


@given(st.sampled_from(WITH_BODY), st.binary(min_size=1, max_size=64), st.integers(0, 511))
def test_one_flipped_bit_of_the_body_is_rejected(name: str, body: bytes, bit: int) -> None:
    headers = sign(name, body)
    assert reason(preset(name), headers, body=body, secrets=secrets_of(name)) == "accepted"
    assert reason(preset(name), headers, body=flipped(body, bit), secrets=secrets_of(name)) == "invalid"


@given(st.binary(max_size=32), st.binary(min_size=1, max_size=32), st.integers(0, 255))
def test_one_flipped_bit_of_the_mac_is_rejected(body: bytes, secret: bytes, bit: int) -> None:
    digest = mac(body, secret)
    for signature, text in ((EXPLICIT, bytes.hex), (replace(EXPLICIT, encoding="base64"), b64)):
        good, bad = text(digest), text(flipped(digest, bit))
        assert reason(signature, {"x-hasna-signature": (good,)}, body=body, secrets=(secret,)) == "accepted"
        assert reason(signature, {"x-hasna-signature": (bad,)}, body=body, secrets=(secret,)) == "invalid"


@given(st.sampled_from(SCHEMES), st.data())
def test_whatever_the_headers_hold_there_is_a_verdict(name: str, data: st.DataObject) -> None:
    headers = dict(sign(name))
    header = data.draw(st.sampled_from(sorted(headers)))
    headers[header] = tuple(data.draw(st.lists(st.text(st.characters(max_codepoint=0x2FF)), max_size=2)))
    assert reason(preset(name), headers, secrets=secrets_of(name)) in {"missing", "invalid"}


def test_what_is_taken_where_a_spec_says_nothing_stands_in_the_schema() -> None:
    told = schemas.schema("automation")["$defs"]["signature"]["properties"]
    assert told["toleranceSeconds"]["default"] == DEFAULT_TOLERANCE
    assert told["header"]["default"] == DEFAULT_HEADER
