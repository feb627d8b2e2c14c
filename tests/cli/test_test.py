"""`test`: fixtures beside specs, played by the real engine without a store."""

from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree as ET

import pytest

from command_line import SPEC as PLAIN
from command_line import CommandLine, Ended

SPEC = """
schemaVersion: "1.0"
id: {id}
name: {id}
version: 1.0.0
inputs: {{type: object, required: [ref], properties: {{ref: {{type: string}}}}}}
triggers:
  - {{kind: event, source: ci, type: build, filter: {{ok: true}}}}
  - {{kind: webhook, source: github, type: push, route: {{signature: {{preset: github, secretRef: "secret://x"}}}}}}
  - {{kind: webhook, source: gitlab, type: push}}
  - {{kind: manual}}
  - {{kind: schedule, cron: "30 2 * * *", timezone: Europe/Berlin}}
actions:
  - id: build
    actionId: ci.build
    input: {{ref: "${{{{ has(event.data) ? event.data.ref : 'none' }}}}"}}
    retry: {{maxAttempts: 3, base: 1h, cap: 2h}}
  - id: ship
    actionId: ci.ship
    dependsOn: [build]
    approval: {{mode: manual, requiresApproval: true, count: 2}}
    input: {{built: "${{{{ steps.build.output.id }}}}"}}
finally:
  - {{id: tell, actionId: ci.tell, input: {{text: "${{{{ run.status }}}}"}}}}
"""


def play(automations: CommandLine, cases: str, *words: str) -> Ended:
    automations.write("a", SPEC)
    (automations.specs / "a.test.yaml").write_text("automation: a\ncases:\n" + dedent(cases))
    return automations(*words, "test")


PASSING = """
- name: an event goes through to the end
  event: {source: ci, type: build, data: {ok: true, ref: v1}}
  results: {build: {output: {id: 7}}, ship: {approve: [ada, grace]}}
  expect:
    fires: true
    runs: 1
    run: succeeded
    steps: {build: {input: {ref: v1}}, ship: {status: succeeded, input: {built: 7}}, tell: {input: {text: succeeded}}}
- name: one approval of two is not enough, nor is the same person twice
  event: {source: ci, type: build, data: {ok: true, ref: v1}}
  results: {build: {output: {id: 7}}, ship: {approve: [ada, ada]}}
  expect: {run: waiting_approval, steps: {ship: {status: waiting_approval}, tell: {status: blocked}}}
- name: a rejection fails the run
  event: {source: ci, type: build, data: {ok: true, ref: v1}}
  results: {build: {output: {id: 7}}, ship: {reject: ada, reason: not today}}
  expect: {run: failed, steps: {ship: {status: rejected}, tell: {input: {text: failed}}}}
- name: a route delivers what its trigger wants
  event: {source: github, type: push, data: {ref: v2}}
  expect: {runs: 1, steps: {build: {input: {ref: v2}, status: succeeded, attempts: 1}}}
- name: a webhook trigger without a route of its own fires too
  event: {source: gitlab, type: push, data: {ref: v3}}
  expect: {runs: 1, steps: {build: {input: {ref: v3}}}}
- name: the third attempt works, hours later on a clock that nobody waits for
  inputs: {ref: main}
  results: {build: [{error: BUSY}, {error: {code: BUSY, retryable: true}}, {output: {id: 1}}], ship: {approve: [ada, grace]}}
  expect: {run: succeeded, steps: {build: {status: succeeded, attempts: 3}}}
- name: what cannot be retried is not
  inputs: {ref: main}
  results: {build: {error: {code: BROKEN, message: no, retryable: false}}}
  expect: {run: failed, steps: {build: {status: dead, attempts: 1, error: BROKEN}, ship: {reason: upstream_failed}}}
- name: inputs that do not conform start nothing
  inputs: {ref: 7}
  expect: {fires: false, runs: 0}
- name: the gap of spring fires once, at its end, and the fold of autumn once
  schedule: {from: "2026-03-28T12:00:00Z", until: "2026-03-30T12:00:00Z"}
  expect: {runs: 2, ticks: ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]}
- name: the fold
  schedule: {from: "2026-10-24T12:00:00Z", until: "2026-10-25T12:00:00Z"}
  expect: {runs: 1, ticks: ["2026-10-25T02:30:00+02:00"], skipped: []}
- name: a time that is no tick fires nothing
  schedule: 2026-10-24T12:00:00Z
  expect: {fires: false}
- name: two events, one of them again
  events:
    - {id: one, source: ci, type: build, data: {ok: true, ref: a}}
    - {id: one, source: ci, type: build, data: {ok: true, ref: a}}
    - {after: 1d, source: ci, type: build, data: {ok: true, ref: b}}
  expect: {runs: [{steps: {build: {input: {ref: a}}}}, {run: failed, steps: {build: {input: {ref: b}}}}]}
"""


def test_cases_play_as_they_would_under_the_daemon(automations: CommandLine) -> None:
    ended = play(automations, PASSING)
    assert (ended.status, ended.err) == (0, ""), ended.out
    assert ended.out.splitlines()[-1] == "12 cases in 1 file: 12 passed, 0 failed"
    assert not automations.root.exists()


def test_a_failure_shows_both_values_and_where_the_expectation_stands(automations: CommandLine) -> None:
    ended = play(
        automations,
        """
        - name: wrong about the input
          event: {source: ci, type: build, data: {ok: true, ref: v1}}
          expect:
            steps:
              build: {input: {ref: v2}}
        - name: wrong about the trigger
          event: {source: ci, type: build, data: {ok: false}}
          expect: {fires: true}
        """,
    )
    assert ended.status == 1
    lines = ended.out.splitlines()
    assert "  ✗ wrong about the input" in lines
    at = lines.index("      automations.d/a.test.yaml:8  steps.build.input")
    assert lines[at + 1 : at + 3] == ['        - {"ref": "v2"}', '        + {"ref": "v1"}']
    assert any("filter.ok" in line and "False" in line for line in lines)
    assert lines[-1] == "2 cases in 1 file: 0 passed, 2 failed"


def test_programs_get_the_same(automations: CommandLine) -> None:
    cases = "- {name: n, inputs: {ref: x}, expect: {run: succeeded}}"
    answer = play(automations, cases, "--json").document
    (case,) = answer["cases"]
    assert (answer["passed"], answer["counts"]["failed"], case["line"], case["passed"]) == (False, 1, 3, False)
    (unmet,) = case["mismatches"]
    assert (unmet["path"], unmet["expected"], unmet["actual"], unmet["line"]) == ("run", "succeeded", "failed", 3)


def test_junit_is_written_beside(automations: CommandLine) -> None:
    play(automations, "- {name: n, inputs: {ref: x}, expect: {runs: 1}}")
    refused = automations.refused("test", "--junit", "out/report.xml", status=1)
    assert (refused["code"], refused["hint"]) == ("file_unwritable", "make the folder first")
    assert refused["error"].startswith("cannot write out/report.xml: out is not there (looked in ")
    Path("out").mkdir()
    assert automations("test", "--junit", "out/report.xml").status == 0
    root = ET.fromstring(Path("out/report.xml").read_text())  # noqa: S314  # our own
    assert root.get("tests") == "1"
    assert automations.refused("test", "--junit", "automations.d", status=1)["code"] == "file_unwritable"


def test_one_file_is_played_with_the_folder_around_it(automations: CommandLine) -> None:
    play(automations, "- {name: n, inputs: {ref: x}, expect: {runs: 1}}")
    below = automations.specs / "tests"
    below.mkdir()
    (below / "more.test.yaml").write_text("automation: a\ncases: [{name: m, inputs: {ref: x}, expect: {runs: 1}}]")
    assert [each["name"] for each in automations.json("test", "automations.d/a.test.yaml")["cases"]] == ["n"]
    assert [each["name"] for each in automations.json("test", "automations.d/tests/more.test.yaml")["cases"]] == ["m"]
    assert automations.refused("test", "automations.d/a.yaml", status=1)["error"].endswith("is not a test file")


def test_a_filter_picks_cases_by_name_and_picking_none_is_no_success(automations: CommandLine) -> None:
    play(automations, "- {name: one, inputs: {ref: x}, expect: {}}\n- {name: two, inputs: {ref: x}, expect: {}}")
    assert [each["name"] for each in automations.json("test", "--filter", "TWO")["cases"]] == ["two"]
    ended = automations("test", "--filter", "three")
    assert (ended.status, "no tests found in automations.d that match three" in ended.out) == (1, True)


def test_a_program_may_start_what_nobody_starts_by_hand(automations: CommandLine) -> None:
    automations.write("a", SPEC.replace("kind: manual", "kind: api"))
    cases = "automation: a\ncases: [{name: n, inputs: {ref: x}, expect: {fires: true, runs: 1}}]"
    (automations.specs / "a.test.yaml").write_text(cases)
    assert automations.json("test")["passed"] is True


def test_events_that_are_gathered_start_one_run_when_it_has_been_quiet(automations: CommandLine) -> None:
    gathered = PLAIN.replace(
        "type: {type}}}", "type: {type}, debounce: {{key: '${{{{ event.subject }}}}', quiet: 60s}}}}"
    )
    automations.write("g", gathered)
    (automations.specs / "g.test.yaml").write_text(
        dedent("""
        automation: g
        cases:
          - name: three in a minute, one later
            events:
              - {source: test, type: ticket, subject: a}
              - {after: 10s, source: test, type: ticket, subject: a}
              - {after: 10s, source: test, type: ticket, subject: a}
              - {after: 10m, source: test, type: ticket, subject: a}
            expect: {fires: true, runs: 2}
        """)
    )
    ended = automations("test")
    assert (ended.status, ended.err) == (0, ""), ended.out


PUSHES = """
automation: p
cases:
  - name: four pushes while the first is under way
    events:
      - {source: test, type: ticket}
      - {after: 5s, source: test, type: ticket}
      - {after: 5s, source: test, type: ticket}
      - {after: 5s, source: test, type: ticket}
    results: {only: {takes: 1m}}
    expect: {runs: RUNS}
"""
DONE, SUPERSEDED, CANCELLED = "{run: succeeded}", "{run: superseded}", "{run: cancelled}"


@pytest.mark.parametrize(
    ("overlap", "runs"),
    [
        ("queue", [DONE, DONE, DONE, DONE]),
        ("parallel", [DONE, DONE, DONE, DONE]),
        ("latest", [DONE, SUPERSEDED, SUPERSEDED, DONE]),
        ("cancel-running", [CANCELLED, CANCELLED, CANCELLED, DONE]),
    ],
)
def test_runs_meet_while_their_steps_take_time(automations: CommandLine, overlap: str, runs: list[str]) -> None:
    automations.write("p", PLAIN + f"concurrency: {{{{key: k, limit: 1, overlap: {overlap}}}}}\n")
    (automations.specs / "p.test.yaml").write_text(PUSHES.replace("RUNS", f"[{', '.join(runs)}]"))
    ended = automations("test")
    assert (ended.status, ended.err) == (0, ""), ended.out


def test_an_attempt_that_takes_longer_than_it_may_is_tried_again_and_given_up(automations: CommandLine) -> None:
    automations.write("t", PLAIN + "    timeout: 10m\n")
    cases = "automation: t\ncases: [{name: n, event: {source: test, type: ticket}, results: {only: {takes: 20m}}, "
    (automations.specs / "t.test.yaml").write_text(cases + "expect: {run: failed, steps: {only: {attempts: 2}}}}]")
    ended = automations("test")
    assert (ended.status, ended.err) == (0, ""), ended.out


def test_a_tree_without_tests_says_so(automations: CommandLine) -> None:
    automations.write("a", SPEC)
    ended = automations("test")
    assert ended.status == 0
    assert ended.out.startswith("no tests found in automations.d")


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("automation: b\ncases: [{name: n, inputs: {}, expect: {}}]", "test/unknown-automation", 1),
        ("automation: a\ncases:\n  - {name: n, inputs: {}, results: {bild: {}}, expect: {}}", "test/unknown-step", 3),
        ("automation: a\ncases:\n  - {name: n, expect: {}}", "spec/missing-key", 3),
        ("automation: a\ncases: [", "yaml/syntax", 2),
    ],
)
def test_a_bad_test_file_is_a_diagnostic_like_all_others(
    automations: CommandLine, text: str, code: str, line: int
) -> None:
    automations.write("a", SPEC)
    (automations.specs / "bad.test.yaml").write_text(text)
    ended = automations("--json", "test")
    assert ended.status == 1
    (found,) = ended.document["diagnostics"]
    assert (found["code"], found["line"]) == (code, line)


def test_a_schedule_that_fires_seldom_is_watched_for_as_long_as_it_takes(automations: CommandLine) -> None:
    yearly = PLAIN.replace("kind: event, source: test, type: {type}", 'kind: schedule, cron: "0 0 29 2 *"')
    automations.write("s", yearly)
    (automations.specs / "s.test.yaml").write_text(
        "automation: s\ncases:\n"
        '  - {name: long, schedule: {from: "2026-01-01T00:00:00Z", until: "2030-01-01T00:00:00Z"},\n'
        '     expect: {ticks: ["2028-02-29T00:00:00Z"], runs: 1}}\n'
    )
    assert automations("test").status == 0


def test_a_schedule_without_end_is_stopped_with_a_word(automations: CommandLine) -> None:
    automations.write("s", PLAIN.replace("kind: event, source: test, type: {type}", "kind: schedule, every: 1s"))
    (automations.specs / "s.test.yaml").write_text(
        "automation: s\ncases:\n"
        '  - {name: long, schedule: {from: "2026-01-01T00:00:00Z", until: "2027-01-01T00:00:00Z"}, expect: {}}'
    )
    ended = automations("test")
    assert ended.status == 1
    assert "the case goes on after" in ended.out


def test_an_event_that_is_none_fails_its_case_alone(automations: CommandLine) -> None:
    cases = """
    - {name: bad, event: {source: "", type: build}, expect: {fires: false}}
    - {name: good, inputs: {ref: x}, expect: {runs: 1}}
    """
    ended = play(automations, cases, "--json")
    assert [each["passed"] for each in ended.document["cases"]] == [False, True]
    assert ended.document["cases"][0]["error"] == "event source must not be empty"
