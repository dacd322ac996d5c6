"""A killed gateway whose records after the checkpoint are forged, with right digests but without the key: deletions stay refused, and the gateway signs nothing over the forged records."""

import shutil
import time
import unittest

from support import gateway, killed, refusals, tlog, upstream


def setUpModule():
    global UP
    UP = upstream.Upstream()


def tearDownModule():
    UP.close()


class Forged(refusals.Refusals, unittest.TestCase):
    """One killed gateway; each test forges records in a copy of its folder."""

    @classmethod
    def setUpClass(cls):
        cls.gate = gateway.Gateway(UP)
        cls.addClassCleanup(shutil.rmtree, cls.gate.folder)
        cls.key = tlog.Key(cls.gate.verifier)
        cls.load = killed.under_load(cls.gate, cls.key, beyond=6)

    def copy(self):
        folder = gateway.temporary_folder()
        self.addCleanup(shutil.rmtree, folder)
        return shutil.copytree(self.gate.folder, folder, ignore=shutil.ignore_patterns("control.sock"), dirs_exist_ok=True)

    def started(self, folder):
        gate = gateway.Gateway(UP, folder=folder, ready=False)
        self.addCleanup(gate.end)
        return gate

    def refused(self, gate, cause):
        gate.wait_until(lambda: cause.encode() in gate.get("/readyz?verbose").body, cause)
        got = killed.call(gate, "DELETE", 1)
        self.assertEqual((got.status, got.json()["code"], got.json()["cause"], got.json()["sent"]), (503, "audit-unavailable", cause, "no"))
        self.assertEqual(killed.call(gate, "GET", 1).status, 200)
        self.assertEqual((gate.get("/readyz").status, gate.get("/readyz?for=deletions").status), (200, 503))

    def damaged(self, folder, what):
        """Asserts that the gateway starts, keeps refusing deletions, and signs nothing over the forged records."""
        before = [(folder / name).read_bytes() for name in ("audit/checkpoint", "audit.key.seen")]
        gate = self.started(folder)
        with self.subTest(what):
            self.refused(gate, "damaged")
            time.sleep(1.3)
            self.refused(gate, "damaged")
            gate.end()
            after = [(folder / name).read_bytes() for name in ("audit/checkpoint", "audit.key.seen")]
            self.assertEqual(after, before)
            judged = gate.audit("verify", "--key-file", folder / "audit.key")
            self.assertEqual(judged.returncode, 1, judged.stdout)
            self.assertIn("journal", judged.stdout + judged.stderr)

    def forged(self, how, which, least=1):
        folder = self.copy()
        name, offset = killed.past_checkpoint(folder / "audit", self.key)[0][:2]
        journal = killed.Journal(folder / "audit", name, offset)
        count = len(journal.batches)
        at = which % count
        if least > 1:
            at = next(at for at in [*range(at, count), *range(at)] if len(journal.batches[at][1]) >= least)
        how(journal, at)
        journal.write()
        self.damaged(folder, f"{how.__name__} {at} of {count}")

    def test_without_forgery_it_continues_every_kept_checkpoint(self):
        gate = self.started(self.copy())
        gate.wait_until(lambda: gate.get("/readyz?for=deletions").status == 200, "ready")
        self.assert_passed(killed.call(gate, "DELETE", 4711))
        gate.end()
        closed = {one["users"][0]: one for one in gate.deletions()}
        for user, receipt in self.load.answered:
            self.assertEqual((closed[user]["outcome"], f"{gateway.ORIGIN}/{closed[user]['index']}"), ("deleted", receipt))
        for data in self.load.kept.values():
            gate.write("kept", data.decode())
            done = gate.audit("verify", "--key", self.gate.verifier, "--against", gate.folder / "kept")
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_forger_without_changes_writes_the_same_bytes(self):
        folder = self.copy()
        name, offset = killed.past_checkpoint(folder / "audit", self.key)[0][:2]
        journal = killed.Journal(folder / "audit", name, offset)
        before = journal.path.read_bytes()
        journal.write()
        self.assertEqual(journal.path.read_bytes(), before)

    def test_records_rewritten(self):
        self.forged(killed.rewrite, 2)
        self.forged(killed.rewrite, 0)

    def test_the_last_record_rewritten(self):
        self.forged(killed.rewrite, -1)

    def test_a_record_removed_or_inserted(self):
        self.forged(killed.take_from_batch, 1, least=2)
        self.forged(killed.add, 2)

    def test_records_swapped(self):
        self.forged(killed.swap_in_batch, 1, least=2)
        self.forged(killed.swap_batches, 1)

    def test_a_batch_removed_between_others(self):
        self.forged(killed.take_batch, 2)
        self.forged(killed.take_batch, 0)

    def test_a_batch_zeroed_between_others(self):
        folder = self.copy()
        name, offset, length = killed.past_checkpoint(folder / "audit", self.key)[2][:3]
        with open(folder / "audit" / "journal" / name, "r+b") as file:
            file.seek(offset)
            file.write(bytes(length))
        self.damaged(folder, "zeroed")

    def test_a_flipped_byte_in_an_answered_record(self):
        folder = self.copy()
        name, offset = killed.past_checkpoint(folder / "audit", self.key)[2][:2]
        path = folder / "audit" / "journal" / name
        data = bytearray(path.read_bytes())
        data[offset + 200] ^= 1
        path.write_bytes(data)
        self.damaged(folder, "flipped")
        self.assertEqual(path.read_bytes(), data, "nothing is cut")


if __name__ == "__main__":
    unittest.main()
