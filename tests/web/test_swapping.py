"""Definitions change while requests are answered: each request sees one version of them, whole."""

import json
from threading import Event, Thread

from web_server import Served, automation, eventually

PATHS = ("/webhooks/north", "/webhooks/south")
MAPPED = ", mapping: {dataPath: data, idPath: id}"


def crossed(version: int) -> dict[str, str]:
    """Two automations, whose paths change hands with every version."""
    paths = PATHS if version % 2 else PATHS[::-1]
    return {
        name: automation(name, MAPPED)
        .replace(f"path: /webhooks/{name}", f"path: {path}")
        .replace('version: "1.0.0"', f'version: "{version}.0.0"')
        for name, path in zip(("east", "west"), paths, strict=True)
    }


def test_while_paths_change_hands_every_request_starts_whoever_has_the_path_and_nobody_else(served: Served) -> None:
    served.declare(crossed(1))
    eventually(lambda: served.post(PATHS[0], b'{"id": "0-0", "data": {"p": 1}}')[0] == 202)
    over = Event()
    answers: dict[str, tuple[str, int]] = {"0-0": (PATHS[0], 202)}

    def keep_posting(sender: int) -> None:
        number = 1
        while not over.is_set():
            identity, path = f"{sender}-{number}", PATHS[number % 2]
            body = json.dumps({"id": identity, "data": {"p": 1}}).encode()
            status = 503
            while status == 503:  # its route changed while it was judged: as senders do, send it again
                status, _, _ = served.post(path, body)
            answers[identity] = (path, status)
            number += 1

    senders = [Thread(target=keep_posting, args=(each,)) for each in range(3)]
    for sender in senders:
        sender.start()
    version = 1
    while version < 30 or len(answers) < 300:
        version += 1
        served.declare(crossed(version))
    over.set()
    for sender in senders:
        sender.join(30)
    assert {status for _, status in answers.values()} == {202}
    bound = {(row["uid"], row["generation"]): json.loads(row["spec_json"]) for row in served.rows("generations")}
    events = {row["id"]: row["event_id"] for row in served.rows("events")}
    started: dict[str, list[str]] = {}
    for run in served.rows("runs"):
        spec = bound[run["automation_uid"], run["generation"]]
        started.setdefault(events[run["event_row_id"]], []).append(spec["triggers"][0]["route"]["path"])
    assert started == {identity: [path] for identity, (path, _) in answers.items()}
    assert {bound[run["automation_uid"], run["generation"]]["version"] for run in served.rows("runs")} > {"1.0.0"}
