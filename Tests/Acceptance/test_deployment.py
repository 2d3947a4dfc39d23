# SPDX-License-Identifier: MIT
"""The files of deploy/: they parse, agree with each other and with the program, and are as strict as they say."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml
from harness import REPOSITORY, server_binary

DEPLOY = REPOSITORY / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
COMPOSE = ["compose.yaml", "compose.replicas.yaml"]


def documents(path):
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def known_variables() -> set[str]:
    return set(re.findall(r"^#([A-Z_]+)=", (DEPLOY / "rotator.env.example").read_text(), re.M))


def shell_list(name: str) -> list[str]:
    """A bash array of deploy/lib.sh."""
    return re.search(rf"^{name}=\(([^)]*)\)", (DEPLOY / "lib.sh").read_text(), re.M)[1].split()


# --- The Dockerfile -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    """Its instructions, lines that go on put together."""
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def packages_of(instruction: str) -> set[str]:
    return set(re.search(r"--no-install-recommends\s+(.*?)\s+&&", instruction)[1].split())


def test_the_image_is_built_with_the_packages_and_flags_of_the_build(dockerfile):
    runs = [argument for name, argument in dockerfile if name == "RUN"]
    build = next(one for one in runs if "pkg-config" in one)
    assert packages_of(build) == set(shell_list("SERVER_PACKAGES"))
    compiled = next(one for one in runs if "swift build" in one)
    for call in re.findall(r"swift build ([^&)]*)", compiled):
        assert call.replace("--show-bin-path", "").split() == shell_list("RELEASE_FLAGS")


def test_the_image_holds_the_libraries_that_the_binary_loads(dockerfile):
    installed = packages_of([argument for name, argument in dockerfile if name == "RUN"][-1])
    needed = set()
    direct = re.findall(r"NEEDED\)\s+Shared library: \[([^]]+)\]", subprocess.run(["readelf", "-d", server_binary()], capture_output=True, text=True, check=True).stdout) \
        if shutil.which("readelf") else []  # fmt: skip
    assert direct, "readelf lists what the binary loads"
    listed = subprocess.run(["ldd", server_binary()], capture_output=True, text=True, check=True).stdout
    for library in direct:
        path = re.search(rf"{re.escape(library)} => (\S+)", listed)
        if not path or "swift" in path[1]:
            continue
        real = subprocess.run(["readlink", "-f", path[1]], capture_output=True, text=True, check=True).stdout.strip()
        for candidate in (path[1], real, real.removeprefix("/usr")):
            owner = subprocess.run(["dpkg", "-S", candidate], capture_output=True, text=True)
            if owner.returncode == 0:
                needed.add(owner.stdout.split(":")[0])
                break
    # In every Debian image.
    needed -= {"libc6", "libgcc-s1"}
    assert needed and needed <= installed, f"missing in the image: {needed - installed}"


def test_the_image_runs_the_binary_itself_and_not_as_root(dockerfile):
    last = {name: argument for name, argument in dockerfile}
    binary = re.search(r"COPY --from=build \S+ (\S+)", "\n".join(" ".join(one) for one in dockerfile))[1]
    assert last["ENTRYPOINT"] == f'["{binary}"]' and f'CMD ["{binary}", "healthcheck"]' in last["HEALTHCHECK"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert last["STOPSIGNAL"] == "SIGTERM"
    environment = dict(pair.split("=", 1) for pair in last["ENV"].split())
    assert set(environment) <= known_variables() and environment["BACKEND_HOST"] == "0.0.0.0"
    assert environment["BACKEND_PORT"] == last["EXPOSE"]
    assert last["VOLUME"] == f'["{environment["DATA_DIR"]}"]' and last["WORKDIR"] == environment["DATA_DIR"]


# --- Compose --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPOSE)
def test_a_compose_file_is_whole(name):
    [file] = documents(DEPLOY / name)
    services, volumes = file["services"], set(file["volumes"])
    for service, what in services.items():
        assert "image" in what, service
        for volume in what.get("volumes", []):
            source = volume.split(":")[0]
            assert source in volumes or (DEPLOY / source).exists(), volume
        for other in what.get("depends_on", []):
            assert other in services
            if isinstance(what["depends_on"], dict):
                assert "healthcheck" in services[other], f"{service} waits for the health of {other}"
        if what["image"] == "api-key-rotator":
            assert set(what.get("environment", {})) <= known_variables()
            assert what["read_only"] and what["cap_drop"] == ["ALL"] and "no-new-privileges:true" in what["security_opt"]
            grace = int(what["environment"]["SHUTDOWN_GRACE_SECONDS"])
            assert int(what["stop_grace_period"].removesuffix("s")) > grace


def test_replicas_share_their_stores_and_stand_behind_the_balancer():
    [file] = documents(DEPLOY / "compose.replicas.yaml")
    replicas = {name: what for name, what in file["services"].items() if what["image"] == "api-key-rotator"}
    assert len(replicas) == 2
    assert len({str(sorted(what["environment"].items())) for what in replicas.values()}) == 1
    caddyfile = (DEPLOY / "Caddyfile").read_text()
    upstreams = re.search(r"reverse_proxy (.*) \{", caddyfile)[1].split()
    assert upstreams == [f"{name}:8000" for name in replicas]
    assert "health_uri /admin/app-config" in caddyfile, "200 while a replica takes requests, also from memory"
    assert "flush_interval -1" in caddyfile
    redis = " ".join(file["services"]["redis"]["command"])
    assert "appendonly yes" in redis and "noeviction" in redis


# --- systemd --------------------------------------------------------------------------------------------------------------------------

UNIT = DEPLOY / "systemd" / "rotator-server.service"


@pytest.fixture(scope="module")
def unit(tmp_path_factory):
    """The unit with a binary that exists, so that systemd has nothing else to say."""
    path = tmp_path_factory.mktemp("unit") / UNIT.name
    path.write_text(UNIT.read_text().replace("ExecStart=/usr/local/bin/rotator-server", "ExecStart=/bin/true"))
    return path


def test_systemd_understands_every_line_of_the_unit(unit):
    told = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert told.returncode == 0 and UNIT.name not in told.stderr, told.stderr


def test_the_unit_is_hardened(unit):
    told = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", str(unit)], capture_output=True, text=True)
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", told.stdout)[1])
    assert told.returncode == 0 and exposure <= 2.0


def test_the_unit_leaves_time_for_the_drain_and_does_not_restart_what_cannot_start():
    text = UNIT.read_text()
    assert int(re.search(r"^TimeoutStopSec=(\d+)", text, re.M)[1]) > 30
    assert re.search(r"^RestartPreventExitStatus=78$", text, re.M)
    # The one that is not the program's own is that of its runtime.
    assert set(re.findall(r"^Environment=([A-Z_]+)=", text, re.M)) <= known_variables() | {"LIBDISPATCH_LOG"}


# --- Kubernetes -----------------------------------------------------------------------------------------------------------------------


def manifests() -> dict[str, dict]:
    return {one["kind"]: one for path in MANIFESTS for one in documents(path)}


@pytest.mark.parametrize("path", [path for path in MANIFESTS if path.name != "kustomization.yaml"], ids=lambda path: path.name)
def test_a_manifest_fits_its_schema(path):
    import kubernetes_validate

    for document in documents(path):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_the_manifests_belong_together():
    found = manifests()
    listed = found.pop("Kustomization")
    assert sorted(listed["resources"]) == sorted(path.name for path in MANIFESTS if path.name != "kustomization.yaml")
    deployment = found["Deployment"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    for selector in (
        deployment["selector"]["matchLabels"], found["Service"]["spec"]["selector"], found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):  # fmt: skip
        assert selector.items() <= labels.items()
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]
    assert found["HorizontalPodAutoscaler"]["spec"]["minReplicas"] >= 2
    assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1, "one at a time, however many there are"


def test_a_pod_is_restricted_probed_where_there_is_something_and_given_time():
    found = manifests()
    pod = found["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]} and container["securityContext"]["allowPrivilegeEscalation"] is False
    ports = {port["name"] for port in container["ports"]}
    probes = {kind: container[kind + "Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    assert all(probe["port"] in ports for probe in probes.values())
    assert probes["startup"]["path"] == "/readyz", "no requests before the catalogue has been read"
    assert probes["readiness"]["path"] == probes["liveness"]["path"] == "/healthz", "a database's outage takes no replica out"
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    grace = int(found["ConfigMap"]["data"]["SHUTDOWN_GRACE_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > pause + grace


def test_the_variables_of_a_cluster_are_ones_that_the_program_reads():
    found = manifests()
    assert set(found["ConfigMap"]["data"]) | set(found["Secret"]["stringData"]) <= known_variables()


def test_the_example_secrets_are_refused(tmp_path):
    from harness import run_server

    told = run_server(tmp_path, **manifests()["Secret"]["stringData"])
    assert told.returncode == 78
    for name in ("ENCRYPTION_KEY", "GLOBAL_PROXY_KEYS", "DATABASE_URL"):
        assert f"{name}: " in told.stderr


# --- The runbook ----------------------------------------------------------------------------------------------------------------------


def test_the_runbook_names_files_and_variables_that_exist():
    text = (DEPLOY / "RUNBOOK.md").read_text()
    # What the operator makes, and kubectl's name of the Deployment.
    made = {"deploy/rotator.env", "deploy/replicas.env", "deploy/rotator"}
    for path in set(re.findall(r"deploy/[\w./-]+\w", text)) - made:
        assert (REPOSITORY / path).exists(), path
    named = set(re.findall(r"\b([A-Z]{3,}(?:_[A-Z]+)+)=", text)) - {"NEW_KEY"}
    assert named <= known_variables() | {"ENCRYPTION_KEYS_ACCEPTED"}, named - known_variables()
