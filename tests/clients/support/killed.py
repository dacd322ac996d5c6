"""A gateway that is killed during deletions, and forged journal records by a writer without its key."""

import hashlib
import json
import os
import pathlib
import signal
import struct
import threading
import time

from . import tlog, tokens, trail, wire

#: Connections that delete at once, and what must have happened before the kill.
CALLERS, ANSWERED, CHECKPOINTS = 4, 40, 3


def call(gate, method, user):
    """Sends one request about a user on a new connection."""
    headers = [f"Authorization: Bearer {tokens.token()}", "If-Match: 17"]
    return wire.send(gate.address, wire.request(method, f"{wire.PATH}/{user}?v=4.0", *headers))


class Load:
    """Sends deletions one after another on several connections until the gateway has ended, and keeps checkpoints meanwhile."""

    def __init__(self, gate, key, first):
        self.gate, self.key, self.kept, self.over = gate, key, {}, threading.Event()
        self.answered, self.token = [], tokens.token()
        self.threads = [threading.Thread(target=self._delete, args=(first + number * 100_000,)) for number in range(CALLERS)]
        self.threads.append(threading.Thread(target=self._keep))
        for thread in self.threads:
            thread.start()

    def _delete(self, user):
        while not self.over.is_set():
            user += 1
            headers = [f"Authorization: Bearer {self.token}", "If-Match: 17"]
            try:
                got = wire.send(self.gate.address, wire.request("DELETE", f"{wire.PATH}/{user}?v=4.0", *headers))
            except (OSError, ValueError, wire.http.client.HTTPException):
                return
            if got.status == 200:
                self.answered.append((str(user), got.headers["lychgate-receipt"]))

    def _keep(self):
        path = self.gate.folder / "audit" / "checkpoint"
        while not self.over.wait(0.05):
            if path.exists():
                data = path.read_bytes()
                self.kept[tlog.open_checkpoint(data, self.key)[0]] = data

    def kill(self):
        """Kills the gateway without warning."""
        self.gate.process.kill()
        self.gate.process.wait()
        self.over.set()
        for thread in self.threads:
            thread.join()


def under_load(gate, key, first=1, beyond=0):
    """Kills the gateway after some answered deletions and kept checkpoints, once more than this many batches follow the newest checkpoint."""
    load, audit = Load(gate, key, first), gate.folder / "audit"

    def enough():
        if len(load.answered) < ANSWERED or len(load.kept) < CHECKPOINTS:
            return False
        if not beyond:
            return True
        if not has_batches(audit, key, beyond):
            return False
        # The gateway must not publish a checkpoint between this and the kill.
        halt(gate.process.pid)
        if has_batches(audit, key, beyond):
            return True
        gate.signal(signal.SIGCONT)
        return False

    try:
        gate.wait_until(enough, "there was load")
    finally:
        load.kill()
    return load


def halt(pid):
    """Stops a process, and waits until each of its threads has stopped."""
    os.kill(pid, signal.SIGSTOP)
    stats = list(pathlib.Path(f"/proc/{pid}/task").glob("*/stat"))
    while any(stat.read_text().rpartition(")")[2].split()[0] not in "TZX" for stat in stats):
        time.sleep(0.001)


def has_batches(audit, key, beyond):
    """Whether one segment has more than this many batches after the checkpoint, one of them with two entries."""
    try:
        batches = past_checkpoint(audit, key)
    except (ValueError, FileNotFoundError):
        return False  # The gateway was writing a batch, or began or pruned a segment between two reads.
    together = [batch for batch in batches if batch[0] == batches[0][0]]
    return len(together) > beyond and any(len(batch[4]) > 1 for batch in together)


def past_checkpoint(audit, key):
    """Offset, length, first index and entries of the journal's batches that no checkpoint covers."""
    size = tlog.open_checkpoint((audit / "checkpoint").read_bytes(), key)[0]
    return [batch for batch in trail.batches(audit) if batch[3] >= size]


class Journal:
    """The batches of one segment as a writer without the key can forge them: heads, chain and digests are right; the tags are the old ones."""

    def __init__(self, audit, name, offset):
        self.path, self.begin = audit / "journal" / name, offset
        self.data, self.batches = bytearray(self.path.read_bytes()), []
        while self.data[offset : offset + 8] == b"LYCHGJ\0\1":
            head = trail.HEAD.unpack_from(self.data, offset)
            at, entries = offset + trail.HEAD.size, []
            for _ in range(head[4]):
                size = struct.unpack_from(">H", self.data, at)[0]
                entries.append(bytes(self.data[at + 2 : at + 2 + size]))
                at += 2 + size
            self.batches.append([head, entries, bytes(self.data[at : at + 32])])
            offset += head[5]
        self.end = offset

    def write(self):
        """Writes the batches from the offset of the first on, chained and counted like the real writer."""
        first = self.batches[0][0]
        segment, sequence, index, link = first[1], first[2], first[3], first[6:]
        out = bytearray()
        for _, entries, tag in self.batches:
            body = b"".join(struct.pack(">H", len(entry)) + entry for entry in entries) + tag
            length = -(-(trail.HEAD.size + len(body) + 32) // trail.BLOCK) * trail.BLOCK
            head = trail.HEAD.pack(b"LYCHGJ\0\1", segment, sequence, index, len(entries), length, *link)
            batch = (head + body).ljust(length - 32, b"\0")
            digest = hashlib.sha256(batch).digest()
            link = (segment, self.begin + len(out), digest)
            out += batch + digest
            sequence, index = sequence + 1, index + len(entries)
        self.data[self.begin : self.end] = out.ljust(self.end - self.begin, b"\0")
        self.path.write_bytes(self.data)


def rewrite(journal, which):
    """Forges entries: intents name another user, outcomes another result."""
    entries = journal.batches[which][1]
    for at, entry in enumerate(entries):
        said = json.loads(entry)
        if said["kind"] == "intent":
            entries[at] = entry.replace(f'"{said["users"][0]}"'.encode(), b'"999"', 1)
        else:
            entries[at] = entry.replace(b'"deleted"', b'"not_found"', 1).replace(b'"status":200', b'"status":404', 1)


def swap_in_batch(journal, which):
    entries = journal.batches[which][1]
    entries.insert(0, entries.pop())


def take_from_batch(journal, which):
    journal.batches[which][1].pop(0)


def swap_batches(journal, which):
    journal.batches[which : which + 2] = journal.batches[which : which + 2][::-1]


def take_batch(journal, which):
    del journal.batches[which]


def add(journal, which):
    journal.batches[which][1].append(journal.batches[which][1][-1])
