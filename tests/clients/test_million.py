"""A log of a million entries, written by the test: `audit verify` takes less than 10 s and little memory, `audit prove` less than 1 s. With LYCHGATE_FULL."""

import base64
import datetime
import json
import os
import resource
import shutil
import subprocess
import time
import unittest

from support import gateway, tlog, trail
from test_tlog import KEY, checkpoint

ENTRIES = 1_000_000
MEMORY = 64 << 20
DELETION = {
    "operation": "users.delete", "account": "12345678", "users": ["9000000000000000001"], "caller": {"issuer": "https://login.example.com/", "subject": "alice@example.com", "client": "console"},
    "token_id": "0f9d1c1e-5a1b-7c3d-8e9f-0a1b2c3d4e5f", "if_match": "42", "domain": "https://va.ac.example.net", "client_ip": "127.0.0.1", "config": "ab" * 32,
}


def entries(count):
    """Deletions, each closed at once, 200 per second."""
    rest, begin = json.dumps(DELETION, separators=(",", ":"))[1:], datetime.datetime(2026, 11, 24, tzinfo=datetime.timezone.utc)
    for number in range(0, count, 2):
        at = (begin + datetime.timedelta(microseconds=number * 2500)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        intent = f'{{"time":"{at}","kind":"intent","request_id":"request {number}",{rest}'.encode()
        leaf = base64.b64encode(tlog.leaf(intent)).decode()
        yield intent
        yield (f'{{"time":"{at}","kind":"outcome","intent":{number},"leaves":["{leaf}"],"request_id":"request {number}","outcome":"deleted",'
               '"reason":null,"sent":"yes","status":200,"revision":"43","attempts":1}').encode()


def write(folder, count):
    """Writes checkpoint, tiles and bundles, one bundle at a time; no journal, as in an auditor's copy."""
    rows, bundle = [[]], b""

    def put(level, index, data, width=256):
        path = folder / tlog.tile_path(level, index, width)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    for index, entry in enumerate(entries(count)):
        rows[0].append(tlog.leaf(entry))
        bundle += len(entry).to_bytes(2, "big") + entry
        if index % 256 == 255 or index == count - 1:
            put("entries", index // 256, bundle, index % 256 + 1)
            bundle = b""
    (folder / "checkpoint").write_bytes(checkpoint(rows[0]))
    while rows[-1]:
        for index, width in tlog.tiles(len(rows[-1])):
            put(len(rows) - 1, index, b"".join(rows[-1][256 * index :][:width]), width)
        rows.append([tlog.root(rows[-1][at : at + 256]) for at in range(0, len(rows[-1]) - 255, 256)])
    (folder / "verifier").write_text(KEY + "\n")


@unittest.skipUnless("LYCHGATE_FULL" in os.environ, "takes a minute")
class Million(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = gateway.temporary_folder()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        write(cls.folder, ENTRIES)

    def run_for(self, seconds, *arguments):
        """Runs a command with 64 MiB of memory and returns its output; only its own CPU time counts."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        bounded = lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        done = subprocess.run([gateway.binary(), "audit", *arguments, "--dir", self.folder], capture_output=True, text=True, timeout=300, preexec_fn=bounded)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertLess(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds)
        return done.stdout

    def test_verify(self):
        begun = time.monotonic()
        report = json.loads(self.run_for(10, "verify", "--json", "--key", KEY))
        self.assertEqual((report["verified"], report["summary"]["covered"], report["summary"]["deleted"]), (True, ENTRIES, ENTRIES // 2))
        print(f"{ENTRIES} entries verified in {time.monotonic() - begun:.1f} s", end=" ", flush=True)

    def test_prove(self):
        for what in ("lychgate.test/log/999998", "request 777776", "3"):
            trail.deletion_in_proof(self.run_for(2, "prove", what).encode(), tlog.Key(KEY))

    def test_there_are_fewer_than_10_000_files(self):
        self.assertLess(sum(path.is_file() for path in self.folder.rglob("*")), 10_000)


if __name__ == "__main__":
    unittest.main()
