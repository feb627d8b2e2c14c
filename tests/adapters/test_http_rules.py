"""The pure rules of the http executor: addresses, requests, waits."""

from typing import Any

import pytest

from automations.adapters.executors.addresses import denied, listed, resolve
from automations.adapters.executors.http_answer import LONGEST_WAIT, retry_after
from automations.adapters.executors.http_request import build, header_safe
from automations.core.instant import SECOND, parse_iso
from automations.core.run.execution import Invocation
from automations.core.spec.model import Binding
from automations.errors import InvalidInput

NOW = parse_iso("2026-11-23T12:00:00Z")


def invocation(config: dict[str, Any], *, key: str = "k", **data: Any) -> Invocation:
    return Invocation(
        action_row_id="row",
        run_id="run",
        automation_id="automation",
        step_id="step",
        action_id="action",
        manifest_version="1.0.0",
        idempotency_key=key,
        attempt=1,
        fence=7,
        input=data,
        binding=Binding("http", config),
    )


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.9.10", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.1.1", "private"),
        ("fd00:ec2::254", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("100.64.0.1", "reserved"),
        ("100.100.100.200", "reserved"),
        ("100.127.255.255", "reserved"),
        ("168.63.129.16", "reserved"),
        ("192.0.0.192", "reserved"),
        ("0.0.0.0", "unspecified"),  # noqa: S104  # an address that is refused, not listened on
        ("::", "unspecified"),
        ("0.1.2.3", "private"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "private"),
        ("240.0.0.1", "private"),
        ("198.18.0.1", "private"),
        ("203.0.113.1", "private"),
        ("2001:db8::1", "private"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::7f00:1", "reserved"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:1::1", "reserved"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a00:1::1", "private"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "private"),
        ("fec0::1", "reserved"),
        ("5f00::1", "reserved"),
        ("nonsense", "not an address"),
        ("2130706433", "not an address"),
        ("1.1.1.1", ""),
        ("93.184.215.14", ""),
        ("100.63.255.255", ""),
        ("100.128.0.0", ""),
        ("2606:4700::1111", ""),
        ("::ffff:1.1.1.1", ""),
        ("64:ff9b::101:101", ""),
        ("2002:101:101::1", ""),
    ],
)
def test_only_public_addresses_may_be_called(address: str, why: str) -> None:
    assert denied(address) == why


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "0x7f000001", "127.1", "017700000001", "127.0.0.1", "localhost"]
)
def test_every_spelling_of_loopback_is_judged_by_what_it_resolves_to(host: str) -> None:
    assert {denied(address) for address in resolve(host, 80)} == {"loopback"}


@pytest.mark.parametrize(
    ("host", "port", "allowed", "expected"),
    [
        ("internal.example", 80, ["internal.example"], True),
        ("internal.example", 80, ["Internal.Example."], True),
        ("internal.example", 8080, ["internal.example:8080"], True),
        ("internal.example", 80, ["internal.example:8080"], False),
        ("xinternal.example", 80, ["internal.example"], False),
        ("internal.example.org", 80, ["internal.example"], False),
        ("2130706433", 80, ["127.0.0.1"], False),
        ("::1", 80, ["[::1]"], True),
        ("::1", 8080, ["[::1]:8080"], True),
        ("::1", 80, ["[::1]:8080"], False),
        ("a", 80, [], False),
        ("a", 80, ["", "*", ":80"], False),
    ],
)
def test_a_list_names_hosts_exactly(host: str, port: int, allowed: list[str], expected: bool) -> None:
    assert listed(host, port, allowed=allowed) is expected


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "//example.org/",
        "example.org",
        "http://",
        "http:///path",
        "http://./",
        "http://user:pass@example.org/",
        "http://@example.org/",
        "http://example.org\\@127.0.0.1/",
        "http://example.org%2f@127.0.0.1/",
        "http://ex%2eample.org/",
        "http://[fe80::1%25eth0]/",
        "http://exa mple.org/",
        "http://example.org\r\nX: y/",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://[::1/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "",
        7,
        None,
    ],
)
def test_a_url_that_is_not_plain_http_to_a_host_is_refused(url: Any) -> None:
    with pytest.raises(InvalidInput, match="url"):
        build(invocation({"url": url}))


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://Example.ORG/a", "example.org", 80, "example.org"),
        ("http://localhost./", "localhost", 80, "localhost"),
        ("https://example.org:443/", "example.org", 443, "example.org"),
        ("https://example.org:8443/", "example.org", 8443, "example.org:8443"),
        ("http://[::ffff:127.0.0.1]:8080/", "::ffff:127.0.0.1", 8080, "[::ffff:127.0.0.1]:8080"),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, "xn--bcher-kva.example"),
    ],
)
def test_a_host_has_one_spelling(url: str, host: str, port: int, authority: str) -> None:
    made = build(invocation({"url": url}))
    assert (made.host, made.port, made.authority) == (host, port, authority)


def test_the_input_is_the_json_body_where_a_body_belongs() -> None:
    for method in ("POST", "PUT", "PATCH"):
        made = build(invocation({"url": "https://e.org/x?a=1", "method": method}, a=[1, "ü"]))
        assert made.body == '{"a":[1,"ü"]}'.encode()
        assert made.headers["content-type"] == "application/json"
        assert str(made.url) == "https://e.org/x?a=1"


def test_the_input_is_the_query_where_no_body_belongs_and_cannot_replace_what_the_manifest_fixed() -> None:
    config = {"url": "https://e.org/x?tenant=acme&empty", "method": "GET"}
    made = build(invocation(config, tenant="evil", empty="x", q="a b&c", n=3, yes=True, none=None, deep={"k": [1]}))
    assert made.body is None
    assert "content-type" not in made.headers
    query = made.url.query.decode()
    assert query == "tenant=acme&empty&q=a+b%26c&n=3&yes=true&deep=%7B%22k%22%3A%5B1%5D%7D"


def test_the_key_and_the_fence_go_with_every_request_and_cannot_be_set() -> None:
    config = {"url": "https://e.org/", "headers": {"Idempotency-Key": "mine", "X-Team": "sre", "X-N": 3}}
    made = build(invocation(config, key="deploys:ev 1\r\nX: ü%"))
    assert made.headers["idempotency-key"] == "deploys:ev%201%0D%0AX:%20%C3%BC%25"
    assert made.headers["x-automation-fence"] == "7"
    assert made.headers["x-team"] == "sre"
    assert made.headers["x-n"] == "3"


def test_different_keys_stay_different_in_a_header() -> None:
    assert len({header_safe(key) for key in ("a b", "a%20b", "a+b", "a\tb")}) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"headers": {"Host": "other"}},
        {"headers": {"content-length": "1"}},
        {"headers": {"X-A": "a\r\nX-B: b"}},
        {"headers": {"X-A": "ü"}},
        {"headers": {"X-A": ["a"]}},
        {"headers": "X-A: a"},
        {"method": "TRACE"},
        {"allowHosts": "a"},
    ],
)
def test_a_binding_that_does_not_fit_is_refused_by_the_name_of_its_field(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(change))[:6]):
        build(invocation({"url": "https://e.org/", **change}))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        ("120", 120 * SECOND),
        (" 5 ", 5 * SECOND),
        ("3600", LONGEST_WAIT),
        ("9999999999", LONGEST_WAIT),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30 * SECOND),
        ("Monday, 23-Nov-26 12:00:30 GMT", 30 * SECOND),
        ("Mon Nov 23 12:00:30 2026", 30 * SECOND),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("Tue, 24 Nov 2026 12:00:00 GMT", LONGEST_WAIT),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("\u0661\u0667", None),
        ("5, 6", None),
        ("99999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(value: str, expected: int | None) -> None:
    assert retry_after(value, now=NOW) == expected
