"""C2SP transparency logs, read and judged from the texts alone: signed-note, tlog-checkpoint, tlog-tiles, tlog-proof, RFC 6962 section 2.1.

No code of the gateway's is in it. Everything that is not in the one right form is `Refused`, with the place named.
"""

import base64
import binascii
import hashlib
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FULL = 256
EMPTY = hashlib.sha256(b"").digest()
PROOF = b"c2sp.org/tlog-proof@v1\n"


class Refused(Exception):
    """The verification failed; the text gives the reason."""


def must(holds, why):
    if not holds:
        raise Refused(why)


def unbase64(text, length=None):
    """Decodes padded base64 of the standard alphabet in its only valid spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Refused(f"no base64: {text!r}") from error
    must(base64.b64encode(data) == (text if isinstance(text, bytes) else text.encode()), f"base64 in another spelling: {text!r}")
    must(length in (None, len(data)), f"{len(data)} bytes where {length} belong")
    return data


def decimal(text):
    must(re.fullmatch(rb"0|[1-9][0-9]*", text), f"no number: {text!r}")
    return int(text)


# -- RFC 6962 section 2.1


def leaf(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(count):
    """The largest power of two below the number."""
    return 1 << (count - 1).bit_length() - 1


def root(hashes):
    if len(hashes) < 2:
        return hashes[0] if hashes else EMPTY
    half = split(len(hashes))
    return node(root(hashes[:half]), root(hashes[half:]))


def inclusion(index, hashes):
    """The path of a leaf, from its sibling to the child of the root."""
    if len(hashes) == 1:
        return []
    half = split(len(hashes))
    if index < half:
        return [*inclusion(index, hashes[:half]), root(hashes[half:])]
    return [*inclusion(index - half, hashes[half:]), root(hashes[:half])]


def consistency(size, hashes, whole=True):
    """The proof that the first `size` leaves are a prefix of all."""
    if size == len(hashes):
        return [] if whole else [root(hashes)]
    half = split(len(hashes))
    if size <= half:
        return [*consistency(size, hashes[:half], whole), root(hashes[half:])]
    return [*consistency(size - half, hashes[half:], False), root(hashes[:half])]


def check_inclusion(leaf_hash, index, size, path, expected):
    must(index < size, f"entry {index} is not in a log of {size}")
    f, s, r = index, size - 1, leaf_hash
    for h in path:
        must(s, "the path is too long")
        if f & 1 or f == s:
            r = node(h, r)
            while f and not f & 1:
                f, s = f >> 1, s >> 1
        else:
            r = node(r, h)
        f, s = f >> 1, s >> 1
    must(s == 0, "the path is too short")
    must(r == expected, f"entry {index} is not what the checkpoint covers")


def check_consistency(old_size, old_root, size, new_root, proof):
    must(old_size <= size, f"rolled back from {old_size} to {size}")
    if old_size in (0, size):
        must(not proof and old_root == (new_root if old_size == size else EMPTY), "another history")
        return
    must(proof, "the proof is empty")
    if old_size & (old_size - 1) == 0:
        proof = [old_root, *proof]
    f, s = old_size - 1, size - 1
    while f & 1:
        f, s = f >> 1, s >> 1
    x = y = proof[0]
    for h in proof[1:]:
        must(s, "the proof is too long")
        if f & 1 or f == s:
            x, y = node(h, x), node(h, y)
            while f and not f & 1:
                f, s = f >> 1, s >> 1
        else:
            y = node(y, h)
        f, s = f >> 1, s >> 1
    must(s == 0 and x == old_root and y == new_root, "another history")


# -- signed-note and tlog-checkpoint


class Key:
    """A verifier key, NAME+HASH+BASE64, of Ed25519."""

    def __init__(self, line):
        parts = line.split("+", 2)
        must(len(parts) == 3, f"no verifier key: {line!r}")
        self.name, identity, body = parts
        data = unbase64(body, 33)
        must(data[0] == 1, "not an Ed25519 key")
        self.id = hashlib.sha256(self.name.encode() + b"\n" + data).digest()[:4]
        must(self.id.hex() == identity, "the key's id does not fit it")
        self.public = Ed25519PublicKey.from_public_bytes(data[1:])

    def holds(self, text, signature):
        try:
            self.public.verify(signature, text)
        except InvalidSignature:
            return False
        return True


def open_note(data, key):
    """The text of a note that this key has signed; lines of other keys are skipped."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise Refused("a note is UTF-8") from error
    must(not any(byte < 32 and byte != 10 for byte in data), "a note holds no control byte")
    at = data.rfind(b"\n\n")
    must(at > 0 and data.endswith(b"\n") and at + 2 < len(data), "a note is a text, an empty line, and signatures")
    text, lines = data[: at + 1], data[at + 2 : -1].split(b"\n")
    known = 0
    for line in lines:
        match = re.fullmatch(rb"\xe2\x80\x94 ([^ +]+) ([A-Za-z0-9+/=]+)", line)
        must(match, f"no signature line: {line!r}")
        bytes_ = unbase64(match[2])
        must(len(bytes_) > 4, "a signature without a signature")
        if match[1].decode() == key.name and bytes_[:4] == key.id:
            must(key.holds(text, bytes_[4:]), f"{key.name}'s signature is wrong")
            known += 1
    must(known, f"{key.name} has not signed it")
    return text


def open_checkpoint(data, key):
    """Size and root of a checkpoint of the log with the key's name."""
    lines = open_note(data, key).split(b"\n")
    must(len(lines) == 4 and lines[3] == b"", "a checkpoint here has three lines: origin, size, root")
    must(lines[0].decode() == key.name, f"a checkpoint of {lines[0].decode()}")
    size, root_hash = decimal(lines[1]), unbase64(lines[2], 32)
    must(size or root_hash == EMPTY, "an empty log has the empty tree's root")
    return size, root_hash


# -- tlog-proof


def read_proof(data):
    """The extra bytes or None, the index, the path, and the checkpoint's bytes."""
    must(data.startswith(PROOF), "no tlog-proof of version 1")
    head, separator, checkpoint = data[len(PROOF) :].partition(b"\n\n")
    must(separator, "a proof without a checkpoint")
    lines = head.split(b"\n")
    extra = unbase64(lines.pop(0)[6:]) if lines[0].startswith(b"extra ") else None
    must(lines and lines[0].startswith(b"index "), "a proof without an index")
    return extra, decimal(lines[0][6:]), [unbase64(line, 32) for line in lines[1:]], checkpoint


def check_proof(data, key, entry=None):
    """The index and the bytes of the proved entry: the given bytes, or those on the proof's extra line."""
    extra, index, path, checkpoint = read_proof(data)
    size, root_hash = open_checkpoint(checkpoint, key)
    entry = extra if entry is None else entry
    must(entry is not None, "the proof holds no entry, and none is given")
    check_inclusion(leaf(entry), index, size, path, root_hash)
    return index, entry


# -- tlog-tiles


def tile_path(level, index, width=FULL):
    """The path of a hash tile, or of a bundle at level "entries"."""
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03}")
    return f"tile/{level}/{'/'.join(groups)}" + ("" if width == FULL else f".p/{width}")


def tiles(count):
    """Index and width of each tile for this many hashes."""
    return [(index, FULL) for index in range(count // FULL)] + ([(count // FULL, count % FULL)] if count % FULL else [])


def unbundle(data, count, place):
    entries, at = [], 0
    for _ in range(count):
        size = int.from_bytes(data[at : at + 2], "big")
        entry = data[at + 2 : at + 2 + size]
        must(len(data) >= at + 2 and len(entry) == size, f"{place} is cut off")
        entries.append(entry)
        at += 2 + size
    must(at == len(data), f"{place} holds more than its {count} entries")
    return entries


class Log:
    """A log's folder with its checkpoint. Construction reads and recomputes all of it."""

    def __init__(self, folder, key, checkpoint=None):
        self.folder = folder
        self.size, self.root = open_checkpoint((folder / "checkpoint").read_bytes() if checkpoint is None else checkpoint, key)
        self.entries = [entry for index, width in tiles(self.size) for entry in self._bundle(index, width)]
        self.hashes = [leaf(entry) for entry in self.entries]
        below, level = self.hashes, 0
        while below:
            for index, width in tiles(len(below)):
                place = tile_path(level, index, width)
                must(self._tile(level, index, width) == below[index * FULL :][:width], f"{place} is not what the entries give")
            below, level = [root(below[index * FULL :][:FULL]) for index in range(len(below) // FULL)], level + 1
        must(root(self.hashes) == self.root, "the entries do not give the checkpoint's root")

    def _read(self, level, index, width):
        """Reads the full tile if a partial one is missing, as clients do."""
        for path in (tile_path(level, index, width), tile_path(level, index)):
            if (self.folder / path).exists():
                return path, (self.folder / path).read_bytes()
        raise Refused(f"{tile_path(level, index, width)} is missing")

    def _tile(self, level, index, width):
        place, data = self._read(level, index, width)
        must(len(data) == 32 * (width if ".p/" in place else FULL), f"{place} has {len(data)} bytes")
        return [data[at : at + 32] for at in range(0, 32 * width, 32)]

    def _bundle(self, index, width):
        place, data = self._read("entries", index, width)
        return unbundle(data, width if ".p/" in place else FULL, place)[:width]

    def all_files(self):
        """Reads every tile in the folder, even beyond the checkpoint's, and returns their number."""
        count = 0
        for path in sorted((self.folder / "tile").rglob("*")):
            if not path.is_file():
                continue
            place = str(path.relative_to(self.folder))
            match = re.fullmatch(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", place)
            must(match, f"{place} is no tile")
            index, width = int(re.sub("[x/]", "", match[2])), int(match[3] or FULL)
            must(tile_path(match[1], index, width) == place, f"{place} is no tile's name")
            self._one_file(match[1], index, width, place, path.read_bytes())
            count += 1
        return count

    def _one_file(self, level, index, width, place, data):
        if level == "entries":
            have, known = unbundle(data, width, place), self.entries
        else:
            must(len(data) == 32 * width, f"{place} has {len(data)} bytes")
            have, known = [data[at : at + 32] for at in range(0, len(data), 32)], self.hashes
            for _ in range(int(level)):
                known = [root(known[at : at + FULL]) for at in range(0, len(known) - FULL + 1, FULL)]
        covered = known[index * FULL :][:width]
        must(have[: len(covered)] == covered, f"{place} is not what the entries give")
