"""What is deployed is what the platforms take and what the program knows: schemas, linters, and our own declarations."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from automations.configuration import read
from automations.daemon.daemon import WEB_GRACE
from automations.daemon.drain import GRACE, STOPPING
from automations.settings import SETTINGS
from wheel import ROOT

DEPLOY = ROOT / "docs" / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
BIN = Path(sys.executable).parent
VARIABLES = {each.name for each in SETTINGS}
UNIT = DEPLOY / "systemd" / "automations.service"


def manifests() -> list[dict[str, Any]]:
    found = [each for file in KUBERNETES for each in yaml.safe_load_all(file.read_text())]
    return [each for each in found if each["kind"] != "Kustomization"]


def pods() -> list[dict[str, Any]]:
    return [each["spec"]["template"]["spec"] for each in manifests() if each["kind"] in ("Deployment", "StatefulSet")]


# ------------------------------------------------------------------ systemd


def test_systemd_takes_the_unit_and_calls_it_well_confined(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    unit = tmp_path / "automations.service"
    here = UNIT.read_text().replace("/opt/automations/bin", str(BIN))
    unit.write_text(re.sub(r"^(User|Group)=automations$", r"\1=root", here, flags=re.MULTILINE))  # it looks them up
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    words = [analyze, "security", "--offline=true", "--no-pager", "--threshold=25", str(unit)]  # tenths of its 0 to 10
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_waits_longer_than_a_drain_takes() -> None:
    found = re.search(r"^TimeoutStopSec=(\d+)s$", UNIT.read_text(), re.MULTILINE)
    assert found
    assert int(found[1]) > GRACE + WEB_GRACE + STOPPING
    assert {pod["terminationGracePeriodSeconds"] for pod in pods()} == {int(found[1])}
    assert compose()["services"]["daemon"]["stop_grace_period"] == f"{found[1]}s"


def test_the_settings_of_the_unit_are_settings() -> None:
    found = read(DEPLOY / "automations.toml")
    assert found.values["secrets_dir"] == "/etc/automations/secrets"
    assert [each["name"] for each in found.sources] == ["default"]


# ------------------------------------------------------------------ containers


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def test_the_linter_of_dockerfiles_has_nothing_to_say() -> None:
    linter = shutil.which("hadolint", path=str(BIN))
    if linter is None:
        pytest.skip("there is no hadolint for this platform")
    done = subprocess.run([linter, str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_takes_the_file() -> None:
    words = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_that_is_set_is_one_that_the_program_reads() -> None:
    named = set(re.findall(r"\b((?:HASNA_)?AUTOMATIONS_[A-Z_]+)=", (DEPLOY / "Dockerfile").read_text()))
    named |= {key for key in compose()["services"]["daemon"]["environment"] if "AUTOMATIONS" in key}
    named |= {each["name"] for pod in pods() for each in pod["containers"][0]["env"]}
    named |= set(re.findall(r"\b((?:HASNA_)?AUTOMATIONS_[A-Z_]+)=", UNIT.read_text()))
    assert named <= VARIABLES
    assert len(named) >= 5


def image_variables() -> set[str]:
    """What the image sets for every process in it."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
    return {pair.partition("=")[0] for line in re.findall(r"^ENV (.*)$", text, re.MULTILINE) for pair in line.split()}


def test_no_key_of_a_mounted_file_is_overridden_by_what_the_image_or_the_pods_set() -> None:
    """Variables win over the file, so the image takes for granted what it does in a file of its own."""
    (text,) = (each["data"]["automations.toml"] for each in manifests() if each["kind"] == "ConfigMap")
    said = tomllib.loads(text)
    keys = {f"{table}.{key}" for table, each in said.items() if isinstance(each, dict) for key in each}
    keys |= {key for key, each in said.items() if not isinstance(each, dict | list)}
    assert {"daemon.host", "daemon.port", "log_format"} <= keys
    known = {each.name: each.key for each in SETTINGS}
    everywhere = image_variables()
    assert "AUTOMATIONS_CONFIG" in everywhere
    assert {known[name] for name in everywhere if known.get(name)} == set()
    for pod in pods():
        assert not {known.get(each["name"]) for each in pod["containers"][0]["env"]} & keys


def test_the_image_begins_with_a_file_that_says_what_a_mounted_one_says_again() -> None:
    found = read(DEPLOY / "image.toml")
    (text,) = (each["data"]["automations.toml"] for each in manifests() if each["kind"] == "ConfigMap")
    said = tomllib.loads(text)
    assert found.values == {
        "data_dir": "/var/lib/automations",
        "log_format": said["log_format"],
        "daemon.host": said["daemon"]["host"],
        "daemon.port": said["daemon"]["port"],
    }
    mounted = next(each for each in pods()[0]["containers"][0]["volumeMounts"] if each["name"] == "configuration")
    assert f"AUTOMATIONS_CONFIG={mounted['mountPath']}/automations.toml" in (DEPLOY / "Dockerfile").read_text()


def test_every_service_of_compose_but_the_database_runs_confined_and_as_nobody() -> None:
    for name, service in compose()["services"].items():
        if name != "database":
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
    assert compose()["services"]["git-sync"]["user"] == "10001:10001"
    assert "USER 10001:10001" in (DEPLOY / "Dockerfile").read_text()


# ------------------------------------------------------------------ Kubernetes


@pytest.mark.parametrize("version", ["1.29", "1.33"])
@pytest.mark.parametrize("manifest", manifests(), ids=lambda each: f"{each['kind']} {each['metadata']['name']}")
def test_kubernetes_takes_a_manifest(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_the_kustomization_names_files_that_are_there() -> None:
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    there = {file.name for file in KUBERNETES} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == there - {"statefulset.yaml"}


@pytest.mark.parametrize("pod", pods(), ids=["deployment", "statefulset"])
def test_a_pod_runs_confined_and_is_probed_where_the_daemon_answers(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["enableServiceLinks"] is False
    for container in [*pod["initContainers"], *pod["containers"]]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    (daemon,) = pod["containers"]
    assert daemon["livenessProbe"]["httpGet"]["path"] == daemon["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert daemon["readinessProbe"]["httpGet"]["path"] == "/readyz"
    mounts = {each["name"]: each["mountPath"] for each in daemon["volumeMounts"]}
    state = next(each["value"] for each in daemon["env"] if each["name"] == "HASNA_AUTOMATIONS_DIR")
    assert mounts["state"] == state
    volumes = {each["name"] for each in pod["volumes"]}
    assert {each["name"] for each in daemon["volumeMounts"]} - {"state"} <= volumes


def test_the_configuration_fits_the_pods(tmp_path: Path) -> None:
    (configuration,) = (each for each in manifests() if each["kind"] == "ConfigMap")
    (secret,) = (each for each in manifests() if each["kind"] == "Secret")
    (service,) = (each for each in manifests() if each["kind"] == "Service")
    file = tmp_path / "automations.toml"
    file.write_text(configuration["data"]["automations.toml"])
    found = read(file)
    for pod in pods():
        (daemon,) = pod["containers"]
        mounts = {each["name"]: each["mountPath"] for each in daemon["volumeMounts"]}
        assert daemon["args"][:2] == ["--config", f"{mounts['configuration']}/automations.toml"]
        assert found.values["secrets_dir"] == mounts["secrets"]
        assert found.sources[0]["path"].startswith(f"{mounts['specs']}/current/")
        assert found.values["daemon.port"] == daemon["ports"][0]["containerPort"]
        assert service["spec"]["ports"][0]["targetPort"] == daemon["ports"][0]["name"]
        keys = {
            each["key"]
            for volume in pod["volumes"]
            if volume["name"] == "secrets"
            for each in volume["secret"]["items"]
        }
        assert keys <= set(secret["stringData"])
