"""A log that is restored to an older state, removed, or repeatedly killed: the gateway detects the first two; after kills, the log extends every checkpoint ever kept."""

import json
import shutil
import time
import unittest

from support import gateway, killed, refusals, tlog, upstream

NEW = "lychgate.test/clients-2"


def setUpModule():
    global UP
    UP = upstream.Upstream()


def tearDownModule():
    UP.close()


class RolledBack(refusals.Refusals, unittest.TestCase):
    """The folder is restored to an older state or removed, while the seen file names a newer one."""

    def setUp(self):
        self.gate = gateway.Gateway(UP)
        self.addCleanup(shutil.rmtree, self.gate.folder)
        self.addCleanup(self.gate.end)
        self.key, self.audit = tlog.Key(self.gate.verifier), self.gate.folder / "audit"
        self.seen = self.gate.folder / "audit.key.seen"
        self.delete(1)

    def delete(self, user):
        """Sends one deletion and waits for a checkpoint that covers it."""
        got = killed.call(self.gate, "DELETE", user)
        self.assert_passed(got)
        index = int(got.headers["lychgate-receipt"].rpartition("/")[2])
        self.gate.wait_until(lambda: tlog.open_checkpoint(self.seen.read_bytes(), self.key)[0] > index + 1, "a checkpoint over it")
        return got

    def closed(self):
        self.gate.start(ready=False)
        self.gate.wait_until(lambda: b"rolled-back" in self.gate.get("/readyz?verbose").body, "rolled-back")
        got = killed.call(self.gate, "DELETE", 3)
        self.assertEqual((got.status, got.json()["cause"]), (503, "rolled-back"))
        self.assertEqual(killed.call(self.gate, "GET", 1).status, 200)
        self.gate.end()

    def given_up(self, seen):
        """Asserts that only `audit accept-loss` opens it again, under another name; its first entry has the newest checkpoint of the old log."""
        words = ["audit", "accept-loss", "--reason", "restored from a backup", "--config", self.gate.config]
        self.assertEqual(gateway.command(*words, "--origin", gateway.ORIGIN).returncode, 1, "not under the old name")
        key = gateway.command("audit", "keygen", "--origin", NEW, "--out", self.gate.folder / "new.key").stdout.strip()
        done = gateway.command(*words, "--origin", NEW, "--key-file", self.gate.folder / "new.key")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.gate.configure(audit={"origin": NEW, "key_file": "new.key"})
        self.gate.start()
        self.assert_passed(killed.call(self.gate, "DELETE", 4))
        self.gate.end()
        log = tlog.Log(self.audit, tlog.Key(key))
        first = json.loads(log.entries[0])
        self.assertEqual((first["kind"], first["old_origin"], first["reason"]), ("loss_accepted", gateway.ORIGIN, "restored from a backup"))
        self.assertEqual(first["old_checkpoint"].encode(), seen)

    def test_an_older_copy_is_detected_until_the_loss_is_accepted(self):
        older = self.gate.folder / "older"
        shutil.copytree(self.audit, older, ignore=shutil.ignore_patterns("control.sock"))
        self.delete(2)
        self.gate.process.kill()
        self.gate.process.wait()
        seen = self.seen.read_bytes()
        shutil.rmtree(self.audit)
        shutil.copytree(older, self.audit)
        for _ in range(2):
            self.closed()
            self.assertEqual(self.seen.read_bytes(), seen)
        self.gate.write("newer", seen.decode())
        done = self.gate.audit("verify", "--key", self.gate.verifier, "--against", self.gate.folder / "newer")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.given_up(seen)

    def test_a_missing_folder_is_detected_until_the_loss_is_accepted(self):
        self.assertEqual(self.gate.end(), 0)
        seen = self.seen.read_bytes()
        shutil.rmtree(self.audit)
        for _ in range(2):
            self.closed()
            self.assertEqual(self.seen.read_bytes(), seen)
        self.given_up(seen)

    def test_after_repeated_kills_every_checkpoint_and_receipt_holds(self):
        """Kills come under load and at any moment of a start. Each kept checkpoint is a prefix of the log that follows."""
        kept, answered = {}, []
        for number in range(5):
            load = killed.under_load(self.gate, self.key, first=1000 + number * 1_000_000)
            kept |= load.kept
            answered += load.answered
            self.gate.start(ready=False)
            time.sleep(0.03 * number)
            self.gate.process.kill()
            self.gate.process.wait()
            self.gate.start()
        self.gate.end()
        self.assertGreater(len(kept), 8)
        log = tlog.Log(self.audit, self.key)
        for size, data in kept.items():
            old = tlog.open_checkpoint(data, self.key)
            tlog.check_consistency(size, old[1], log.size, log.root, tlog.consistency(size, log.hashes))
        for data in list(kept.values())[:: len(kept) // 8]:
            self.gate.write("kept", data.decode())
            done = self.gate.audit("verify", "--key", self.gate.verifier, "--against", self.gate.folder / "kept")
            self.assertEqual(done.returncode, 0, done.stdout)
        closed = {one["users"][0]: one for one in self.gate.deletions()}
        self.assertNotIn("open", [one["outcome"] for one in closed.values()])
        for user, receipt in answered:
            self.assertEqual((closed[user]["outcome"], f"{gateway.ORIGIN}/{closed[user]['index']}"), ("deleted", receipt))


if __name__ == "__main__":
    unittest.main()
