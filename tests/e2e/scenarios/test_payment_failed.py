"""Stripe tells of failed payments; each customer is written to in order, and about each failure once."""

import copy
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from automations.adapters.clock import SystemClock
from automations.core.instant import SECOND
from e2e.conftest import PATIENCE, Site, until
from e2e.jobs import gone
from e2e.scenarios.conftest import Scenario
from e2e.scenarios.signing import encoded, post, stripe

OLD, NEW = "whsec_of_yesterday", "whsec_of_today"


@pytest.fixture
def billing(staged: Callable[[str], Scenario]) -> Scenario:
    scenario = staged("payment-failed")
    scenario.site.environment["AUTOMATIONS_WEBHOOK_SECRET_STRIPE"] = NEW
    return scenario


def serve(site: Site, *words: str) -> tuple[subprocess.Popen[str], int]:
    daemon, started = site.start("serve", "automations.d", "--port", "0", *words)
    return daemon, int(started["port"])


def failure(scenario: Scenario, number: int, *, customer: str = "cus_a", **keys: Any) -> bytes:
    body = copy.deepcopy(scenario.document("requests/payment_failed.json"))
    body |= {"id": f"evt_{number}", **keys}
    body["data"]["object"] |= {"customer": customer, "attempt_count": number}
    return encoded(body)


def deliver(port: int, body: bytes, *, secrets: tuple[str, ...] = (OLD, NEW), age: int = 0) -> httpx.Response:
    now = SystemClock().now() // SECOND
    return post(port, "/webhooks/stripe", body, stripe(list(secrets), body, at=now - age))


def run_of(answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    return str(answer.json()["materialized"][0]["runId"])


def kill(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=PATIENCE)


def mail(customer: str, number: int) -> str:
    return f"{customer}: Payment {number} of R-1 failed."


def test_one_customer_is_written_to_in_order_while_others_do_not_wait(billing: Scenario) -> None:
    site = billing.site
    held = billing.world / "hold-cus_a"
    held.touch()
    _, port = serve(site)
    first, second, third = (run_of(deliver(port, failure(billing, number))) for number in (1, 2, 3))
    other = run_of(deliver(port, failure(billing, 4, customer="cus_b")))
    assert site.over(other)["status"] == "succeeded"
    until(lambda: len(billing.written("mails")) == 2, what="the first customer is written to as well")
    assert [site.run(run)["status"] for run in (first, second, third)] == ["running", "pending", "pending"]
    held.unlink()
    assert [site.over(run)["status"] for run in (first, second, third)] == ["succeeded"] * 3
    assert [line for line in billing.written("mails") if line.startswith("cus_a")] == [
        mail("cus_a", number) for number in (1, 2, 3)
    ]


def test_a_delivery_that_is_sent_again_sends_nothing_twice_also_after_a_kill(billing: Scenario) -> None:
    site = billing.site
    daemon, port = serve(site)
    body = failure(billing, 1)
    run = run_of(deliver(port, body))
    assert run_of(deliver(port, body)) == run
    assert site.over(run)["status"] == "succeeded"
    kill(daemon)
    _, port = serve(site)
    again = deliver(port, body)
    assert (run_of(again), again.json()["duplicate"]) == (run, True)
    assert [each["id"] for each in site.runs()] == [run]
    assert billing.written("mails") == [mail("cus_a", 1)]


def test_a_kill_between_the_mail_and_its_receipt_sends_nothing_twice(billing: Scenario) -> None:
    site = billing.site
    held = billing.world / "hold-cus_a"
    held.touch()
    daemon, port = serve(site, "--no-worker")
    worker, _ = site.start("worker", "automations.d", "--lease-ms", "2000", program="automations")
    body = failure(billing, 1)
    run = run_of(deliver(port, body))
    until((billing.world / "pid-cus_a").exists, what="the mail is sent")
    next_run = run_of(deliver(port, failure(billing, 2)))
    kill(worker)
    kill(daemon)
    until(lambda: gone((billing.world / "pid-cus_a").read_text().strip()), what="its process goes with it")
    held.unlink()
    _, port = serve(site)
    assert run_of(deliver(port, body)) == run
    assert [site.over(each)["status"] for each in (run, next_run)] == ["succeeded", "succeeded"]
    assert site.step(run, "mail")["result"]["output"] == {"new": False}
    assert billing.written("mails") == [mail("cus_a", 1), mail("cus_a", 2)]


def test_what_stripe_did_not_sign_just_now_is_refused(billing: Scenario) -> None:
    _, port = serve(billing.site)
    body = failure(billing, 1)
    assert deliver(port, body, secrets=(OLD,)).status_code == 401
    assert deliver(port, body, age=301).status_code == 401
    assert deliver(port, body, age=-900).status_code == 401
    only_v0 = {"Stripe-Signature": stripe([NEW], body, at=SystemClock().now() // SECOND)["Stripe-Signature"]}
    stamp, _, zero = only_v0["Stripe-Signature"].split(",")
    assert post(port, "/webhooks/stripe", body, {"Stripe-Signature": f"{stamp},{zero}"}).status_code == 401
    assert deliver(port, failure(billing, 1, livemode=False)).status_code == 202
    assert billing.site.runs() == []
