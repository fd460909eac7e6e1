# SPDX-License-Identifier: Apache-2.0
"""Signed commands as docs/formats/signature.md says, made with the openssl tool instead of our code."""
import hashlib
import subprocess
import time
import uuid

import fleet_client


def make(**changes):
    types = fleet_client.messages("command")
    now = int(time.time() * 1000)
    values = {
        "id": uuid.uuid4().bytes,
        "verb": types.COMMAND_VERB_RESYNC,
        "host_ids": ["alpha"],
        "not_before_unix_ms": now,
        "expires_unix_ms": now + 60000,
        "issuer": "tester",
        "reason": "test",
    }
    values.update(changes)
    return types.Command(**values)


def key_id(key):
    """Of a private key's file: the end of SubjectPublicKeyInfo is the raw public key."""
    der = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    return "ed25519:" + hashlib.sha256(der[-32:]).hexdigest()[:16]


def seal(site, command, key=None, spoil=None):
    types = fleet_client.messages("command")
    key = key or site.signing_key
    body = command if isinstance(command, bytes) else command.SerializeToString()
    folder = site.dir / "sign"
    folder.mkdir(exist_ok=True)
    (folder / "input").write_bytes(b"pathbell-command-v1\0" + body)
    subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", str(folder / "input"), "-out", str(folder / "signature")], check=True)
    signature = (folder / "signature").read_bytes()
    if spoil == "signature":
        signature = bytes([signature[0] ^ 1]) + signature[1:]
    if spoil == "body":
        body = types.Command.FromString(body)
        body.reason = "something else"
        body = body.SerializeToString()
    return types.SignedCommand(command=body, signatures=[types.Signature(key_id=key_id(key), signature=signature)]).SerializeToString()
