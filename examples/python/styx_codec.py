"""Opens what Styx seals, with the keys of its data directory. Needs: pip install temporalio cryptography

Sends in the clear, which a server with `codec: optional` takes: Styx seals what it answers and what it starts by itself.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Dict, List, Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

SEALED = b"binary/styx-sealed"


class StyxCodec(PayloadCodec):
    def __init__(self, home: Path) -> None:
        self.directory = home / "keys"
        self.keys: Dict[str, AESGCM] = {}

    def _key(self, key_id: str) -> AESGCM:
        # Made when Styx first needs one, and added to by `styx keys rotate`.
        if key_id not in self.keys:
            for file in self.directory.glob("payload.*"):
                secret = base64.b64decode(json.loads(file.read_text())["secret"])
                found = hashlib.sha256(b"styx payload key\0" + secret).hexdigest()[:16]
                self.keys[found] = AESGCM(secret)
        if key_id not in self.keys:
            raise KeyError(f"no key {key_id} in {self.directory}: copy it with `styx keys export` and `import`")
        return self.keys[key_id]

    async def encode(self, payloads: Sequence[Payload]) -> List[Payload]:
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> List[Payload]:
        return [self._open(payload) for payload in payloads]

    def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != SEALED:
            return payload
        key_id = payload.metadata["key"].decode()
        bound = payload.metadata["for"].decode()
        # Nonce (12 bytes), tag (16), ciphertext; AESGCM wants the tag at the end.
        nonce, tag, text = payload.data[:12], payload.data[12:28], payload.data[28:]
        purpose = f"styx payload 1\0{key_id}\0{bound}".encode()
        return Payload.FromString(self._key(key_id).decrypt(nonce, text + tag, purpose))
