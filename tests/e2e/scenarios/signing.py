"""Requests as the services of the world sign them, with the secret of a test."""

import hashlib
import hmac
import json
from typing import Any

import httpx


def encoded(body: dict[str, Any]) -> bytes:
    """The bytes that are sent and signed."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def mac(secret: str, signed: bytes) -> str:
    """HMAC-SHA256 in hex."""
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def github(secret: str, body: bytes, *, delivery: str) -> dict[str, str]:
    """The headers of a delivery of GitHub."""
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": "pull_request",
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": f"sha256={mac(secret, body)}",
    }


def stripe(secrets: list[str], body: bytes, *, at: int) -> dict[str, str]:
    """The headers of Stripe: the time in seconds, and one `v1` for each secret that the endpoint has."""
    offered = ",".join(f"v1={mac(secret, f'{at}.'.encode() + body)}" for secret in secrets)
    return {"Content-Type": "application/json", "Stripe-Signature": f"t={at},{offered},v0={'0' * 64}"}


def post(port: int, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    """One request on loopback."""
    return httpx.post(f"http://127.0.0.1:{port}{path}", content=body, headers=headers, timeout=30)
