# SPDX-License-Identifier: MIT
"""Changing the master key: sealed anew batch by batch, interrupted and taken up again, under running replicas."""

from __future__ import annotations

import signal
import subprocess

import pytest
from harness import ADMIN_PASSWORD, PROXY_KEY, Replicas, Rotator, base_environment, run_server, server_binary
from servers import Place, Stores

OLD, NEW, OTHER = "11" * 32, "22" * 32, "33" * 32
CANARY = "sk-canary-of-the-change-of-keys-0123456789"


def rekey(directory, timeout=60, **environment):
    return run_server(directory, "rekey", timeout=timeout, **environment)


def filled(server: Rotator, fake, keys: int):
    """A service with so many keys, one of them the canary, and a header that is sealed."""
    service = server.service(fake, keys=[], kind="GENERIC", extra_headers={"X-Team": "blue"})
    values = [f"sk-{number:06d}-0123456789abcdef" for number in range(keys - 1)] + [CANARY]
    server.admin.call("POST", f"/admin/proxy-configs/{service.id}/keys/batch", expect=200, json={"keys": values})
    return service, sorted(values)


def exported(server: Rotator, service: int) -> list[str]:
    return sorted(server.admin.call("GET", f"/admin/proxy-configs/{service}/keys/export", expect=200).text.split())


def test_the_embedded_store_is_sealed_anew_in_pieces_that_can_be_killed(launch, fake, tmp_path):
    directory = tmp_path / "one"
    server = launch(directory=directory, ENCRYPTION_KEY=OLD)
    service, values = filled(server, fake, 20_000)
    held = rekey(directory, ENCRYPTION_KEY=NEW, ENCRYPTION_KEYS_ACCEPTED=OLD)
    assert held.returncode == 1 and "stop it" in held.stderr + held.stdout
    server.stop()
    # Killed in the middle, then interrupted, then run to its end.
    for number in (signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen(
            [server_binary(), "rekey"], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=base_environment() | {"DATA_DIR": str(directory / "data"), "ENCRYPTION_KEY": NEW, "ENCRYPTION_KEYS_ACCEPTED": OLD},
        )  # fmt: skip
        assert process.stdout and "sealed anew" in process.stdout.readline()
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode != 0
    # In between both keys are needed, and neither alone will do.
    for alone in (OLD, NEW):
        refused = run_server(directory, ENCRYPTION_KEY=alone)
        assert refused.returncode == 78 and "ENCRYPTION_KEY" in refused.stderr
    done = rekey(directory, ENCRYPTION_KEY=NEW, ENCRYPTION_KEYS_ACCEPTED=OLD)
    assert done.returncode == 0 and "none left" in done.stdout
    again = rekey(directory, ENCRYPTION_KEY=NEW)
    assert again.returncode == 0 and "0 values sealed anew, none left" in again.stdout
    assert run_server(directory, ENCRYPTION_KEY=OLD).returncode == 78
    server = launch(directory=directory, ENCRYPTION_KEY=NEW)
    assert exported(server, service.id) == values
    # A value is found again by its new digest.
    assert server.admin.call("POST", f"/admin/proxy-configs/{service.id}/keys", json={"key_value": CANARY}).status_code == 409
    assert CANARY not in done.stdout + done.stderr + held.stdout + held.stderr + refused.stderr


def test_a_value_under_an_unknown_key_is_exit_78(launch, fake, tmp_path):
    directory = tmp_path / "one"
    server = launch(directory=directory, ENCRYPTION_KEY=OLD)
    filled(server, fake, 3)
    server.stop()
    told = rekey(directory, ENCRYPTION_KEY=NEW, ENCRYPTION_KEYS_ACCEPTED=OTHER)
    assert told.returncode == 78 and "ENCRYPTION_KEY" in told.stderr + told.stdout
    assert launch(directory=directory, ENCRYPTION_KEY=OLD).admin.get("/admin/proxy-configs")["items"]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("combination", ["postgres", "redis"])
def test_replicas_go_on_while_their_store_is_sealed_anew(combination, fake, tmp_path):
    stores = Stores(combination)
    replicas = None
    try:
        environment = dict(Place(stores).environment) | {"ENCRYPTION_KEY": OLD, "ENCRYPTION_KEYS_ACCEPTED": NEW}
        replicas = Replicas(tmp_path, 2, **environment)
        service, values = filled(replicas[0], fake, 2_000)
        # Replica 2 seals under the new key already; both read both.
        replicas[1].stop()
        replicas[1].environment |= {"ENCRYPTION_KEY": NEW, "ENCRYPTION_KEYS_ACCEPTED": OLD}
        replicas[1].start()
        late = "sk-added-by-the-second-replica-0123456789"
        replicas[1].admin.call("POST", f"/admin/proxy-configs/{service.id}/keys", expect=201, json={"key_value": late})
        told = rekey(tmp_path / "rekey", ADMIN_PASSWORD=ADMIN_PASSWORD, **(environment | {"ENCRYPTION_KEY": NEW, "ENCRYPTION_KEYS_ACCEPTED": OLD}))
        assert told.returncode == 0 and "none left" in told.stdout, told.stdout + told.stderr
        # The first replica, whose own key is the old one, still reads what is written, and finds a value that is there.
        assert replicas[0].admin.call("POST", f"/admin/proxy-configs/{service.id}/keys", json={"key_value": CANARY}).status_code == 409
        for replica in replicas:
            replica.stop()
            replica.environment |= {"ENCRYPTION_KEY": NEW}
            replica.environment.pop("ENCRYPTION_KEYS_ACCEPTED", None)
            replica.start()
            assert exported(replica, service.id) == sorted(values + [late])
            answer = replica.http.get(f"{replica.url}/proxy/{service.slug}/echo", headers={"X-Proxy-Key": PROXY_KEY})
            assert answer.status_code == 200
    finally:
        if replicas:
            replicas.kill()
        stores.close()
