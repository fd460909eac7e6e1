# SPDX-License-Identifier: Apache-2.0
"""Writing over HTTP: off by default, by bearer token, with the client's own signature."""
import base64
import http.client
import json
import os
import uuid

import fleet_client
import pytest
from conftest import wait_until
from test_campaign_service import campaign
from test_commands import make, seal

TOKEN = "a-token-of-more-than-32-characters-in-one-line"


def token_file(site, name, text):
    path = site.dir / name
    path.write_text(text + "\n")
    os.chmod(path, 0o600)
    return str(path)


@pytest.fixture
def writable(site):
    site.start_aggregator(
        http={"listen": "127.0.0.1:0", "writers": [
            {"name": "tester", "token_file": token_file(site, "token", TOKEN)},
            {"name": "looker", "token_file": token_file(site, "other", "x" * 40)}]},
        default_role="viewer")
    site.start_agent("alpha")
    site.wait_connected("alpha")
    return site


def call(site, method, path, body=None, token=TOKEN, kind="application/json"):
    connection = http.client.HTTPConnection(site.http, timeout=30)
    headers = {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None:
        headers["Content-Type"] = kind
        body = body if isinstance(body, (str, bytes)) else json.dumps(body)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text)


def test_a_command_and_its_cancellation(writable):
    site = writable
    command = make(site)
    envelope = base64.b64encode(seal(site, command)).decode()
    status, answer = call(site, "POST", "/api/v1/commands", {"envelope": envelope})
    assert status == 200, answer
    name = str(uuid.UUID(bytes=command.id))
    assert answer["command"]["command_id"] == name and answer["command"]["submitted_by"] == "tester"
    wait_until(lambda: call(site, "GET", f"/api/v1/commands/{name}")[1].get("finished"), "the command to finish")
    status, answer = call(site, "POST", f"/api/v1/commands/{name}/cancel", {"reason": "late"})
    assert status == 200 and answer["too_late"] == 1
    status, answer = call(site, "GET", "/api/v1/audit?limit=100")
    assert status == 200 and len(answer["head_hash"]) == 64
    by_token = [record for record in answer["records"] if record["actor"] == "http:tester"]
    assert [record["action"] for record in by_token] == ["command.submit", "command.cancel"]


def test_a_campaign(writable):
    site = writable
    campaign_id, envelopes = campaign(site, hosts=["alpha"])
    status, answer = call(site, "POST", "/api/v1/campaigns", {"envelopes": [base64.b64encode(e).decode() for e in envelopes]})
    assert status == 200 and answer["total"] == 1, answer
    name = str(uuid.UUID(bytes=campaign_id))
    one = wait_until(lambda: (c := call(site, "GET", f"/api/v1/campaigns/{name}")[1]).get("failed") == 1 and c, "alpha's end")
    assert one["campaign_id"] == name
    assert [c["campaign_id"] for c in call(site, "GET", "/api/v1/campaigns")[1]["campaigns"]] == [name]
    status, answer = call(site, "POST", f"/api/v1/campaigns/{name}/control", {"action": "halt", "reason": "x"})
    assert status == 409, answer  # it has ended
    status, answer = call(site, "POST", "/api/v1/campaigns/plan", {"host_globs": ["al*"], "verb": "resync"})
    assert status == 200 and [h["host_id"] for h in answer["hosts"]] == ["alpha"] and answer["hosts"][0]["connected"]
    status, answer = call(site, "POST", "/api/v1/campaigns/plan", {"target": "nqn.none", "verb": "nvme.reset"})
    assert status == 200 and "told nothing about their storage" in answer["reason"]


def test_who_may_not(writable):
    site = writable
    body = {"envelope": "aGVsbG8="}
    assert call(site, "POST", "/api/v1/commands", body, token=None)[0] == 401
    assert call(site, "POST", "/api/v1/commands", body, token=TOKEN + "x")[0] == 401
    assert call(site, "POST", "/api/v1/commands", body, token="x" * 40)[0] == 403
    assert call(site, "GET", "/api/v1/audit", token=None)[0] == 401
    assert call(site, "GET", "/api/v1/audit", token="x" * 40)[0] == 403
    assert call(site, "POST", "/api/v1/commands", body, kind="text/plain")[0] == 415
    assert call(site, "POST", "/api/v1/commands", "{")[0] == 400
    assert call(site, "POST", "/api/v1/commands", {"envelope": "aGVsbG8=", "more": 1})[0] == 400
    assert call(site, "POST", "/api/v1/commands", body)[0] == 400  # no envelope in it
    assert call(site, "POST", "/api/v1/hosts", {})[0] == 405
    assert call(site, "POST", "/api/v1/commands", "x" * (3 << 20))[0] == 413
    assert call(site, "GET", "/api/v1/commands/nonsense")[0] == 404
    assert call(site, "GET", f"/api/v1/campaigns/{uuid.uuid4()}")[0] == 404
    records = wait_until(lambda: len(r := [x for x in call(site, "GET", "/api/v1/audit")[1]["records"] if x["action"] == "refused"]) >= 6 and r, "the audit")
    assert {record["actor"] for record in records} == {"http:", "http:looker", "http:tester"}


def test_off_by_default(site):
    site.start_aggregator()
    status, answer = call(site, "POST", "/api/v1/commands", {"envelope": "aGVsbG8="})
    assert status == 403 and "http.writers" in answer["error"]
    assert call(site, "GET", "/api/v1/audit")[0] == 403
    assert call(site, "GET", "/api/v1/campaigns") == (200, {"campaigns": []})
