"""A reader of receipts, of the journal and of the entries in a proof, written from the formats' descriptions without the gateway's code."""

import base64
import hashlib
import json
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from . import tlog

BLOCK = 4096
HEAD = struct.Struct(">8sQQQIIQQ32s")


def leaf(entry):
    """RFC 6962: the hash of an entry as a leaf."""
    return hashlib.sha256(b"\0" + entry).digest()


def b64(text):
    """Decodes base64 that has only one valid spelling."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError(f"not the one spelling: {text}")
    return data


class Verifier:
    """A C2SP verifier key: NAME+HASH+BASE64."""

    def __init__(self, line):
        self.origin, identity, body = line.split("+", 2)
        data = b64(body)
        if len(data) != 33 or data[0] != 1:
            raise ValueError("not an Ed25519 key")
        self.id = hashlib.sha256(self.origin.encode() + b"\n" + data).digest()[:4]
        if self.id.hex() != identity:
            raise ValueError("the key's id is not its hash")
        self.public = Ed25519PublicKey.from_public_bytes(data[1:])

    def judge(self, headers):
        """Index and leaf of a genuine receipt, else None."""
        receipt, leaf_text, signature = (headers[name] for name in
                                         ("lychgate-receipt", "lychgate-receipt-leaf", "lychgate-receipt-signature"))
        origin, _, digits = receipt.rpartition("/")
        line = b64(signature)
        if origin != self.origin or str(int(digits)) != digits or line[:4] != self.id or len(b64(leaf_text)) != 32:
            return None
        try:
            self.public.verify(line[4:], f"lychgate-receipt\n{receipt}\n{leaf_text}\n".encode())
        except InvalidSignature:
            return None
        return int(digits), b64(leaf_text)


def batches(folder):
    """Segment, offset, length, first index and entries' bytes of every batch, in order. Digests and chain must be valid."""
    places = {}
    for path in sorted((folder / "journal").iterdir()):
        data, offset = path.read_bytes(), 0
        while len(head := data[offset : offset + HEAD.size]) == HEAD.size and head.startswith(b"LYCHGJ\0\1"):
            _, segment, _, first, count, length, from_segment, from_offset, previous = HEAD.unpack(head)
            batch = data[offset : offset + length]
            digest = hashlib.sha256(batch[:-32]).digest()
            if digest != batch[-32:] or length % BLOCK or segment != int(path.name):
                raise ValueError(f"{path.name}:{offset}: the digest does not hold")
            # The gateway may have removed earlier segments.
            if places and from_segment and places.get((from_segment, from_offset)) != previous:
                raise ValueError(f"{path.name}:{offset}: the chain does not hold")
            places[segment, offset] = digest
            at, entries = HEAD.size, []
            for _ in range(count):
                size = int.from_bytes(batch[at : at + 2], "big")
                entries.append(batch[at + 2 : at + 2 + size])
                at += 2 + size
            yield path.name, offset, length, first, entries
            offset += length


def journal(folder):
    """Every entry's bytes by index; a later batch with the same entry replaces the earlier one."""
    return {first + place: entry for _, _, _, first, entries in batches(folder) for place, entry in enumerate(entries)}


def deletion_in_proof(data, key, apart=None):
    """The index and bytes of the proved entry, and the bytes of the intents that it closes: those in the proof, or those apart. None: there are none at hand."""
    extra, index, path, checkpoint = tlog.read_proof(data)
    tlog.must(extra is not None, "the proof holds no entry")
    entry, feed, within = extra.partition(b"\n")
    size, root = tlog.open_checkpoint(checkpoint, key)
    tlog.check_inclusion(tlog.leaf(entry), index, size, path, root)
    intents, said = within if feed else apart, json.loads(entry)
    if intents is None:
        return index, entry, None
    tlog.must(said["kind"] == "outcome", "bytes follow an entry that closes nothing")
    intents = intents.split(b"\n")
    tlog.must([base64.b64encode(tlog.leaf(intent)).decode() for intent in intents] == said["leaves"], "the intents are not those that the closing entry names")
    tlog.must(all(json.loads(intent)["kind"] == "intent" for intent in intents), "the closing entry names another entry than an intent")
    return index, entry, intents
