# SPDX-License-Identifier: MIT
"""The admin API under requests that are made from its own description: no 5xx, no answer that is not described, none that breaks its schema."""

from __future__ import annotations

import subprocess
import sys

import pytest
from harness import base_environment

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"


@pytest.mark.parametrize("seed", [1, 2])
def test_made_up_requests_get_described_answers(launch, fake, tmp_path, seed):
    server = launch()
    # Something is there under the first numbers of each kind.
    service = server.service(fake, keys=3)
    service.chat()
    server.admin.post("/admin/client-keys", json={"name": "somebody", "requests_per_minute": 60})
    server.admin.post("/admin/webhooks", json={"name": "nobody", "url": "http://127.0.0.1:9/", "shape": "generic"})
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", server.url + "/openapi.json", "-H", f"Authorization: Bearer {server.admin.token}", "--checks", CHECKS,
        # Events never end; a flood of wrong passwords shuts its address out.
        "--exclude-path", "/admin/events", "--exclude-path", "/admin/login", "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "20",
        "--seed", str(seed), "--warnings", "off", "--no-color", "--request-timeout", "30",
    ]  # fmt: skip
    run = subprocess.run(command, cwd=tmp_path, env=base_environment(), capture_output=True, text=True, timeout=400, stdin=subprocess.DEVNULL)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert "passed" in run.stdout and server.process.poll() is None
    assert "fatal" not in server.log.lower()
