"""Secrets: which variables and files hold a value, in which order, and what is refused."""

import os
from pathlib import Path

import pytest

from automations.adapters.secrets import (
    SIZE_LIMIT,
    EnvironmentSecrets,
    reference_names,
    route_secret_names,
    variable_part,
)
from automations.errors import SecretUnavailable


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("github-releases", "GITHUB_RELEASES"),
        ("github/releases", "GITHUB_RELEASES"),
        ("a.b..c", "A_B_C"),
        ("__a__b__", "A_B"),
        ("-a-", "A"),
        ("größe", "GR_SSE"),
        ("9 lives", "9_LIVES"),
        ("...", ""),
        ("", ""),
    ],
)
def test_names_are_upper_cased_with_one_underscore_for_every_run_of_others(text: str, part: str) -> None:
    assert variable_part(text) == part


def test_a_route_s_own_variables_come_before_its_reference() -> None:
    assert route_secret_names("gh.releases", "secret://github/releases") == (
        "HASNA_AUTOMATIONS_WEBHOOK_SECRET_GH_RELEASES",
        "AUTOMATIONS_WEBHOOK_SECRET_GH_RELEASES",
        "HASNA_AUTOMATIONS_SECRET_GITHUB_RELEASES",
    )


def test_a_name_without_letters_or_digits_names_no_variable() -> None:
    assert route_secret_names("...", "secret:///") == ()
    assert route_secret_names("r", None) == ("HASNA_AUTOMATIONS_WEBHOOK_SECRET_R", "AUTOMATIONS_WEBHOOK_SECRET_R")
    assert reference_names("secret://a") == reference_names("a") == ("HASNA_AUTOMATIONS_SECRET_A",)


def test_the_first_variable_found_wins_and_brings_its_own_previous_value() -> None:
    names = route_secret_names("r", "secret://x")
    environment = {
        "HASNA_AUTOMATIONS_WEBHOOK_SECRET_R_PREVIOUS": "orphan",
        "AUTOMATIONS_WEBHOOK_SECRET_R": "now",
        "AUTOMATIONS_WEBHOOK_SECRET_R_PREVIOUS": "before",
        "HASNA_AUTOMATIONS_SECRET_X": "later",
    }
    assert EnvironmentSecrets(environment, None).resolve(names, "secret://x") == (b"now", b"before")


def test_an_empty_variable_counts_as_missing() -> None:
    environment = {"HASNA_AUTOMATIONS_WEBHOOK_SECRET_R": "", "AUTOMATIONS_WEBHOOK_SECRET_R": "v"}
    assert EnvironmentSecrets(environment, None).resolve(route_secret_names("r", None), None) == (b"v",)


def test_nothing_found_is_nothing() -> None:
    assert EnvironmentSecrets({}, None).resolve(reference_names("x"), "secret://x") == ()


def test_a_file_is_read_when_no_variable_is_set(tmp_path: Path) -> None:
    (tmp_path / "github").mkdir()
    (tmp_path / "github" / "releases").write_bytes(b"value\n")
    (tmp_path / "github" / "releases_PREVIOUS").write_bytes(b"old\r\n")
    names = reference_names("github/releases")
    secrets = EnvironmentSecrets({}, str(tmp_path))
    assert secrets.resolve(names, "secret://github/releases") == (b"value", b"old")
    from_variable = EnvironmentSecrets({names[0]: "v"}, str(tmp_path))
    assert from_variable.resolve(names, "secret://github/releases") == (b"v",)


@pytest.mark.parametrize(
    ("content", "values"),
    [(b"a\n\n", (b"a\n",)), (b" a ", (b" a ",)), (b"\n", ()), (b"", ()), (b"\xff\x00\n", (b"\xff\x00",))],
)
def test_only_the_final_newline_is_dropped(tmp_path: Path, content: bytes, values: tuple[bytes, ...]) -> None:
    (tmp_path / "s").write_bytes(content)
    assert EnvironmentSecrets({}, str(tmp_path)).resolve((), "s") == values


def test_a_rotated_file_counts_at_once(tmp_path: Path) -> None:
    secrets = EnvironmentSecrets({}, str(tmp_path))
    (tmp_path / "s").write_bytes(b"one")
    assert secrets.resolve((), "s") == (b"one",)
    (tmp_path / "s").write_bytes(b"two")
    assert secrets.resolve((), "s") == (b"two",)


@pytest.mark.parametrize("ref", ["../out", "a/../../out", "/etc/passwd", "a//b", ".", "a/./b", "", "a\0b", "a/"])
def test_a_reference_that_is_no_plain_relative_path_is_refused(tmp_path: Path, ref: str) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (tmp_path / "out").write_bytes(b"leaked")
    with pytest.raises(SecretUnavailable, match="not a plain relative path"):
        EnvironmentSecrets({}, str(root)).resolve((), f"secret://{ref}")


def test_a_link_out_of_the_directory_is_refused_and_one_inside_is_followed(tmp_path: Path) -> None:
    root = tmp_path / "in"
    (root / "..data").mkdir(parents=True)
    (root / "..data" / "real").write_bytes(b"mounted")
    (tmp_path / "out").write_bytes(b"leaked")
    (root / "inside").symlink_to("..data/real")
    (root / "outside").symlink_to(tmp_path / "out")
    (root / "folder").symlink_to(tmp_path)
    secrets = EnvironmentSecrets({}, str(root))
    assert secrets.resolve((), "inside") == (b"mounted",)
    for ref in ("outside", "folder/out"):
        with pytest.raises(SecretUnavailable, match="leads out") as raised:
            secrets.resolve((), ref)
        assert "leaked" not in str(raised.value)


def test_what_is_no_small_plain_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * (SIZE_LIMIT + 1))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    secrets = EnvironmentSecrets({}, str(tmp_path))
    for ref, why in {"big": "larger than", "folder": "not a plain file", "pipe": "not a plain", "loop": "read"}.items():
        with pytest.raises(SecretUnavailable, match=why):
            secrets.resolve((), ref)


def test_a_missing_directory_holds_nothing(tmp_path: Path) -> None:
    assert EnvironmentSecrets({}, str(tmp_path / "none")).resolve((), "secret://a") == ()


def test_a_repr_never_shows_a_value_and_given_values_are_remembered_for_redaction() -> None:
    secrets = EnvironmentSecrets({"A": "canary-value", "B": "unused"}, None)
    assert secrets.known() == ()
    secrets.resolve(("A",), None)
    secrets.resolve(("A",), None)
    assert secrets.known() == (b"canary-value",)
    assert "canary" not in repr(secrets)


def test_every_secret_is_known_for_redaction_before_anybody_asked_for_one(tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "hook").write_text("from-a-file\n")
    (tmp_path / "big").write_text("x" * (SIZE_LIMIT + 1))
    (tmp_path / "out").symlink_to("/etc/hostname")
    environment = {
        "HASNA_AUTOMATIONS_SECRET_A": "of-a-reference",
        "AUTOMATIONS_WEBHOOK_SECRET_R_PREVIOUS": "of-before",
        "HASNA_AUTOMATIONS_SECRET_EMPTY": "",
        "HOME": "/home/somebody",
    }
    secrets = EnvironmentSecrets(environment, str(tmp_path))
    assert set(secrets.known()) == {b"of-a-reference", b"of-before", b"from-a-file"}
