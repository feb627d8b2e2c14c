"""Risks: the catalogue of what a plan warns of. Codes are stable; `docs/reference/hazards.md` is written from here.

A notice is worth a look, a danger stops a reviewer, and what is refused stops `apply` until its exact override is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RiskSeverity = Literal["notice", "danger"]


@dataclass(frozen=True, slots=True)
class Risk:
    """One kind of hazard: `title` is a few words, `text` says what happens and what to do about it."""

    code: str
    severity: RiskSeverity
    title: str
    text: str
    refused: bool = False


_ALL = (
    Risk(
        "AU001",
        "danger",
        "much is destroyed",
        "More automations would be deleted, switched off or left without a trigger than is likely to be meant: more than "
        "ten, more than a fifth of what the source owns (one is always allowed), or all of several, or even the only one "
        "when no file declares anything any more; what the last ten minutes destroyed counts "
        "too. It is what a wrong directory, a half-finished checkout or a bad merge looks like. "
        "If it is meant, say the exact number: `automations apply --allow-deletes=4`. A fifth that slips in later is "
        "refused again; a general force does not exist.",
        refused=True,
    ),
    Risk(
        "AU100",
        "danger",
        "an automation is deleted",
        "Its file is gone, or no longer declares it. Its triggers let go of their events and routes, and work in flight "
        "goes the way of its `lifecycle.onDelete`. History stays, and for 30 days the same id coming back finds it. If a "
        "file was renamed nothing is deleted, because the `id` is what counts; if the `id` was changed, put "
        "`lifecycle: {renamedFrom: OLD}` into the new file, and history moves with it.",
    ),
    Risk(
        "AU101",
        "danger",
        "the last trigger goes",
        "No event, webhook or schedule starts this automation any more; it would only run when somebody starts it by hand.",
    ),
    Risk(
        "AU102",
        "danger",
        "an automation is switched off",
        "Its `status` becomes `paused` or `archived`: it keeps everything, but nothing starts it.",
    ),
    Risk(
        "AU103",
        "notice",
        "a trigger goes",
        "A trigger is removed, or another takes its place that fires at other times or for other events. What it "
        "started, only the remaining ones may still start.",
    ),
    Risk(
        "AU104",
        "notice",
        "an automation is switched on",
        "Its `status` becomes `active` again. Events that came meanwhile are not made up for.",
    ),
    Risk(
        "AU105",
        "notice",
        "suspended",
        "Somebody suspended it (`automations suspend`), perhaps before it was deleted or under the id that it had. A plan "
        "does not change that: what it applies here stays without "
        "effect until `automations resume` or the end that is named.",
    ),
    Risk(
        "AU106",
        "danger",
        "the source is suspended",
        "Somebody suspended the whole source (`automations suspend source:NAME`), and its loop leaves it alone. An apply by "
        "hand does not wait for the end of that: what it commits takes effect at once. Ask whoever is named, or wait for "
        "`automations resume` or the end that is named.",
    ),
    Risk(
        "AU203",
        "notice",
        "a webhook's address changes",
        "The path of a route is another. Senders that still post to the old one get 410 (gone) for thirty days.",
    ),
    Risk(
        "AU204",
        "danger",
        "the dedupe key changes",
        "What makes two deliveries the same event is worked out in another way, or in the scope of another route id. A "
        "delivery that is repeated across the change may start a second run.",
    ),
    Risk(
        "AU205",
        "danger",
        "a schedule's identity or time zone changes",
        "A slot is known by automation, trigger id and nominal instant. With another trigger id (an index, where none is "
        "written) or another zone the schedule is a new one: it begins at the time of the apply and catches nothing up, and "
        "a slot near the change may fire twice or not at all.",
    ),
    Risk(
        "AU206",
        "danger",
        "the concurrency key changes",
        "Without `concurrency` any number of runs go on side by side. With another key, runs that hold a slot under "
        "the old key do not count under the new one: until they end, more runs than the limit may go on side by side.",
    ),
    Risk(
        "AU207",
        "notice",
        "a condition of a trigger is dropped",
        "A `filter` or `expr` is removed altogether, or a source, type or subject now matches anything: it fires for more "
        "events. `automations plan --replay 7d` shows for which.",
    ),
    Risk(
        "AU310",
        "danger",
        "a route loses its signature",
        "A webhook route that was signed is not signed any more, under whatever path and id it goes on, or another automation "
        "takes its path without a signature. Whoever knows its address may post to it and start runs. Put the `signature` "
        "back, or be sure that something in front of the server proves who sends.",
    ),
    Risk(
        "AU311",
        "notice",
        "a route takes unsigned requests",
        "A new webhook route has no `signature`. That is fine on a network where only trusted programs reach the server; "
        "on any other give it one: `signature: {secretRef: secret://team/name}` or a `preset`.",
    ),
    Risk(
        "AU312",
        "notice",
        "a secret reference changes",
        "A signature is checked with another secret. Put its value in place before applying, and keep the old one as "
        "`<NAME>_PREVIOUS` while senders change over.",
    ),
    Risk(
        "AU313",
        "danger",
        "a signature is weakened",
        "The way a request proves its sender changes: another preset or algorithm, a longer tolerance, no time stamp, or "
        "repeated deliveries are no longer rejected.",
    ),
    Risk(
        "AU320",
        "danger",
        "an approval is removed or weakened",
        "A step that waited for people, itself or because a step before it did, waits for nobody or for fewer, for anybody "
        "instead of named roles, lets people approve their own runs, or goes on by itself when the time is over. Another "
        "approval that is not weaker makes up for one that goes, if it stands before the same step.",
    ),
    Risk(
        "AU330",
        "danger",
        "an action is carried out elsewhere",
        "An action's manifest runs another command, or calls another host, than before; or steps take a version that does "
        "instead of the one that they took. The plan names them: they follow with their next run.",
    ),
    Risk(
        "AU331",
        "danger",
        "an action reaches further",
        "An action's manifest, or the version that steps take instead of another, inherits more of the environment, may call "
        "more hosts, or names a secret that the former did not.",
    ),
    Risk(
        "AU332",
        "danger",
        "an action is deleted that is in use",
        "A manifest goes, and steps that took it find none any more: no version of their action is left, or not the one that "
        "they name. Their next runs wait for an external runner, those of other owners' automations too. Keep that version until "
        "nobody takes it any more; the plan names who does.",
    ),
    Risk(
        "AU333",
        "danger",
        "a step does not fit the manifest that it takes",
        "A step that is itself unchanged takes another manifest, and what it hands in, or what later steps read of it, does "
        "not fit that one. It is no error here because no file of this source says so: another owner's does, or one that is "
        "not applied. Its runs will fail at that step. Publish what does not fit under another action's id, or have its "
        "owner name the former version with `manifestVersion` first.",
    ),
    Risk(
        "AU400",
        "notice",
        "retries or time limits are lowered while work is under way",
        "A step's attempts or time, or the run's time, become fewer. Work in flight keeps what it started with; runs that "
        "start after the apply have less.",
    ),
    Risk(
        "AU401",
        "danger",
        "work in flight is cancelled",
        "The lifecycle of the spec that is replaced says `onUpdate: cancel-queued`, `onDelete: cancel-queued` or "
        "`cancel-all`, and there are runs that it applies to: `cancel-queued` to those of which nothing was handed out yet, "
        "`cancel-all` to every one. What was done so far is not undone. A takeover without another change, a move and a "
        "deleted automation that comes back cancel nothing.",
    ),
    Risk(
        "AU402",
        "notice",
        "what callers must hand in changes",
        "The schema of `inputs` changes. Programs that start this automation by hand or by API may be refused.",
    ),
    Risk(
        "AU500",
        "notice",
        "another owner's automation is taken over",
        "From now on this source's files say what it is; the previous owner may no longer change it.",
    ),
    Risk(
        "AU501",
        "danger",
        "a rejected version comes back",
        "Somebody rolled this automation back from exactly the version that the files still declare. The loop does not "
        "bring it back by itself; applying this plan does.",
    ),
    Risk(
        "AU502",
        "notice",
        "protection is removed",
        "`lifecycle.protect` goes. Once that is applied, the automation may be deleted by removing its file.",
    ),
    Risk(
        "AU503",
        "danger",
        "a protected automation is deleted",
        "It is protected in the state, and `--unprotect` names it.",
    ),
)

RISKS: Mapping[str, Risk] = {risk.code: risk for risk in _ALL}
"""By code."""
