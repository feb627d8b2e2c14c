"""Names that changes are recorded under: what one may be, and that the system's own are taken."""

import pytest

from automations.core.actor import LONGEST_NAME, is_name, unfit


@pytest.mark.parametrize(
    "name", ["ada", "github:ada", "Ada Lovelace", "uid:0", "ünï", "expiry-job", "automations-ci", "daemonic"]
)
def test_people_and_jobs_choose_their_names_freely(name: str) -> None:
    assert unfit(name) == ""


@pytest.mark.parametrize(
    "name", ["expiry", "Expiry", "automations", "daemon", "daemon:specs", "token:ci", "TOKEN:ci", "worker:a:1"]
)
def test_the_systems_own_names_are_taken(name: str) -> None:
    assert unfit(name) == f"must not be {name}: changes that the system makes by itself are recorded under that name"


@pytest.mark.parametrize("name", ["", " ", " ada", "ada ", "a\x1b[2J", "a\nb", "a\u202eb", "x" * (LONGEST_NAME + 1)])
def test_what_cannot_be_read_back_is_no_name(name: str) -> None:
    assert not is_name(name)
    assert unfit(name).isprintable()
    assert unfit(name).startswith("must be a name (1 to 200 printable characters")
