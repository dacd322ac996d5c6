"""The trail for its readers: `audit verify` on intact, altered, forged and rolled-back copies; a restarted gateway; floods."""

import hashlib
import json
import re
import shutil
import signal
import socket
import unittest

from support import gateway, refusals, tlog, tokens, trail, upstream, wire

PATH = wire.PATH


def delete(gate, user=4711, token=None, if_match="17", **changes):
    token = token or tokens.token(**changes)
    return wire.send(gate.address, wire.request("DELETE", f"{PATH}/{user}?v=4.0", f"Authorization: Bearer {token}", f"If-Match: {if_match}"))


def setUpModule():
    global UP
    UP = upstream.Upstream()


def tearDownModule():
    UP.close()


class Altered(unittest.TestCase):
    """Each test alters a copy of the folder of one stopped gateway."""

    @classmethod
    def setUpClass(cls):
        cls.gate = gateway.Gateway(UP)
        cls.addClassCleanup(cls.gate.stop)
        cls.answers = [delete(cls.gate, user) for user in range(1, 6)]
        cls.code = cls.gate.end()
        cls.batches = list(trail.batches(cls.gate.folder / "audit"))

    def setUp(self):
        self.folder = gateway.temporary_folder() / "audit"
        self.addCleanup(shutil.rmtree, self.folder.parent)
        shutil.copytree(self.gate.folder / "audit", self.folder)

    def verify(self, *arguments):
        return gateway.command("audit", "verify", "--dir", self.folder, *arguments)

    def change(self, batch, alter):
        """Alters the bytes of a batch in the copy."""
        name, offset, length = batch[:3]
        path = self.folder / "journal" / name
        data = bytearray(path.read_bytes())
        data[offset : offset + length] = alter(data[offset : offset + length])
        path.write_bytes(data)

    def reads_whole(self):
        """Whether the independent reader accepts every batch."""
        try:
            return len(list(trail.batches(self.folder))) == len(self.batches)
        except ValueError:
            return False

    def test_a_whole_trail_verifies_with_every_kind_of_key(self):
        for arguments in ((), ("--key", self.gate.verifier), ("--key-file", self.gate.folder / "audit.key"), ("--json",)):
            done = self.verify(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)
        report = json.loads(self.verify("--json").stdout)
        self.assertEqual((report["verified"], report["trusts_folder"], report["summary"]["deleted"], report["summary"]["open"]), (True, True, 5, 0))
        self.assertEqual(self.code, 0)
        self.assertEqual(json.loads(self.batches[-1][4][-1])["kind"], "stopped")

    def test_a_flipped_bit_in_any_part_of_any_batch_is_found(self):
        for number, batch in enumerate(self.batches):
            length = batch[2]
            # Head, entries, tag, padding, digest: one of them in turn, in a segment with twelve batches.
            for at in [(0, 9, 17, 25, 33, 41, 60)[number % 7], 92 + number, 200, length - 64 - number, (length - 33, length - 32, length - 1)[number % 3]]:
                with self.subTest(batch=batch[:3], at=at):
                    self.setUp()
                    self.change(batch, lambda data: data[:at] + bytes([data[at] ^ 1 << number % 8]) + data[at + 1 :])
                    done = self.verify()
                    self.assertEqual(done.returncode, 1, done.stdout)
                    self.assertFalse(self.reads_whole())

    def test_a_dropped_doubled_or_swapped_batch_is_found(self):
        path = self.folder / "journal" / self.batches[0][0]
        whole = path.read_bytes()
        one, two = (slice(b[1], b[1] + b[2]) for b in self.batches[3:5])
        for data in (whole[: one.start] + whole[one.stop :], whole[: one.stop] + whole[one] + whole[two.start :], whole[: one.start] + whole[two] + whole[one] + whole[two.stop :]):
            path.write_bytes(data)
            self.assertEqual(self.verify().returncode, 1)

    def test_a_forged_batch_with_a_right_digest_has_a_wrong_tag(self):
        """A writer without the key can make the digests right again, but not the tag."""
        last = self.batches[-1]

        def forge(data):
            data = re.sub(rb'\.\d{6}Z"', b'.999999Z"', bytes(data[:-32]), count=1)
            return data + hashlib.sha256(data).digest()

        self.change(last, forge)
        self.assertTrue(self.reads_whole(), "to a reader without the key it is whole")
        self.assertEqual(self.verify().returncode, 1, "the log that was published holds another entry")
        (self.folder / "checkpoint").unlink()
        shutil.rmtree(self.folder / "tile")
        self.assertEqual(self.verify().returncode, 0, "before it is published, only the key tells")
        self.assertEqual(self.verify("--key-file", self.gate.folder / "audit.key").returncode, 1)

    def test_a_kept_receipt_detects_a_rollback_by_whole_batches(self):
        values = [self.answers[-1].headers[name] for name in refusals.RECEIPT]
        receipt = ("--key", self.gate.verifier, "--receipt", values[0], "--leaf", values[1], "--signature", values[2])
        self.assertEqual(self.verify(*receipt).returncode, 0)
        for batch in self.batches[-3:]:
            self.change(batch, lambda data: bytes(len(data)))
        self.assertEqual(self.verify(*receipt).returncode, 1)

    def test_a_missing_trail_and_another_key(self):
        stranger = gateway.command("audit", "keygen", "--origin", gateway.ORIGIN, "--out", self.folder.parent / "other.key").stdout.strip()
        self.assertEqual(self.verify("--key", stranger).returncode, 1)
        self.assertEqual(self.verify("--key", "no+key").returncode, 2)
        self.assertEqual(self.verify("--key", "no such file").returncode, 74)
        shutil.rmtree(self.folder / "journal")
        self.assertEqual(self.verify().returncode, 1)
        shutil.rmtree(self.folder)
        self.assertEqual(self.verify().returncode, 1)


class Continued(refusals.Refusals, unittest.TestCase):
    def test_a_killed_gateway_continues_its_log(self):
        """kill -9 with a deletion in flight: the next start closes it as unknown, crash, before it accepts deletions; old receipts hold."""
        gate = gateway.Gateway(UP)
        self.addCleanup(gate.stop)
        before = delete(gate)
        UP.reset()
        UP.then(upstream.HANG)

        with socket.create_connection(gate.address, timeout=wire.PATIENCE) as connection:
            connection.sendall(wire.request("DELETE", f"{PATH}/99?v=4.0", f"Authorization: Bearer {tokens.token()}", "If-Match: 1"))
            UP.wait(1)
            self.assertEqual(gate.deletions()[-1]["outcome"], "open")
            self.assertEqual(gate.audit("verify").returncode, 0, "beside a running gateway an open intent is no fault")
            gate.signal(signal.SIGKILL)
            gate.process.wait()
        self.assertEqual(gate.audit("verify").returncode, 0)
        gate.start()
        lost = [one for one in gate.deletions() if one["users"] == ["99"]]
        self.assertEqual([(one["outcome"], one["reason"], one["sent"]) for one in lost], [("unknown", "crash", "unknown")])
        after = delete(gate)
        self.assert_passed(after)
        done = gate.audit("verify", "--key-file", gate.folder / "audit.key")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        key, log = trail.Verifier(gate.verifier), tlog.Log(gate.folder / "audit", tlog.Key(gate.verifier))
        # After the restart, only the bundles have the entries that the checkpoint covered then.
        entries = {**dict(enumerate(log.entries)), **trail.journal(gate.folder / "audit")}
        for answer in (before, after):
            index, leaf = key.judge(answer.headers)
            closing = [entry for entry in entries.values() if json.loads(entry).get("intent") == index]
            self.assertEqual([trail.leaf(entry) for entry in closing], [leaf])
        self.assertEqual([seen.target for seen in UP.seen], [f"{PATH}/{user}?v=4.0".encode() for user in (99, 4711)], "nothing was sent again")

    def test_a_second_gateway_on_the_folder_serves_reads_and_refuses_deletions(self):
        first = gateway.Gateway(UP)
        self.addCleanup(first.stop)
        second = gateway.Gateway(UP, folder=first.folder, ready=False)
        UP.reset()
        self.assert_refused(delete(second), "audit-unavailable", cause="locked")
        self.assert_unseen(UP)
        read = wire.request("GET", f"{PATH}?v=4.0", f"Authorization: Bearer {tokens.token()}")
        self.assert_passed(wire.send(second.address, read))
        self.assertEqual([second.get(f"/readyz{query}").status for query in ("", "?for=deletions")], [200, 503])
        self.assertIn("locked", second.get("/readyz?for=deletions").body.decode())
        self.assert_passed(delete(first))
        self.assertEqual(second.end(), 0)
        self.assertEqual(first.audit("verify", "--key-file", first.folder / "audit.key").returncode, 0)

    def test_a_flood_of_refused_deletions_is_summed_up(self):
        """At most 60 refusals a minute of one caller have an entry. The rest, and those of unknown callers, are counted, and no count is lost."""
        gate = gateway.Gateway(UP)
        self.addCleanup(gate.stop)
        token = tokens.token()
        for _ in range(150):
            self.assert_refused(delete(gate, token=token, if_match="*"), "if-match-unconditional", scope="users.delete.unconditional")
        for _ in range(40):
            self.assert_refused(delete(gate, token="x.y.z"), "token-malformed")
        self.assertEqual(gate.end(), 0)
        entries = [json.loads(entry) for entry in trail.journal(gate.folder / "audit").values()]
        single = sum(entry["kind"] == "refused" for entry in entries)
        summed = [entry for entry in entries if entry["kind"] == "turned_away"]
        known = sum(entry["known_callers"].get("if-match-unconditional", 0) for entry in summed)
        unknown = sum(entry["unknown_callers"].get("token-malformed", 0) for entry in summed)
        self.assertEqual((single + known, unknown), (150, 40))
        self.assertLessEqual(single, 120, "60 a minute, in at most two minutes")
        self.assertLess(len(summed), 4)


if __name__ == "__main__":
    unittest.main()
