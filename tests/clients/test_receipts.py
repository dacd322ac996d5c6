"""Receipts and entries, checked by a reader that shares no code with the gateway: Ed25519 with `cryptography`, leaves from the entries' bytes."""

import base64
import hashlib
import json
import stat
import unittest

import httpx
from support import gateway, refusals, tlog, tokens, trail, upstream, wire

PATH = wire.PATH
FIELDS = ["index", "time", "request_id", "operation", "account", "users", "caller", "token_id", "if_match", "decision", "code", "outcome", "reason", "sent", "status",
          "revision", "domain", "attempts", "client_ip", "config", "closing_index", "group", "rule", "reconciled"]


def setUpModule():
    global UP, GATE, KEY
    UP = upstream.Upstream()
    GATE = gateway.Gateway(UP, limits={"max_deletions": 4})
    KEY = trail.Verifier(GATE.verifier)


def tearDownModule():
    GATE.stop()
    UP.close()


def delete(target=f"{PATH}/4711?v=4.0", content=None, if_match="17", **changes):
    headers = {"Authorization": f"Bearer {tokens.token(**changes)}", "If-Match": if_match}
    with httpx.Client(base_url="http://%s:%d" % GATE.address, trust_env=False, timeout=wire.PATIENCE) as client:
        return client.request("DELETE", target, headers=headers, content=content)


def shown(what):
    """`audit show --json`: index, leaf, the printed bytes of the entry, and the entry."""
    printed = GATE.audit("show", what, "--json")
    lines = []
    for line in printed.stdout.splitlines():
        one = json.loads(line)
        text = line[line.index('"entry":') + len('"entry":') : -1]
        lines.append((one["index"], one["leaf"], text.encode(), one["entry"]))
    return lines


def entry_of(answer):
    found = [one for one in GATE.deletions() if one["request_id"] == answer.headers["x-request-id"]]
    assert len(found) == 1, found
    return found[0]


class Receipts(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()

    def test_the_printed_key_is_a_c2sp_verifier_key_and_the_key_file_is_private(self):
        self.assertEqual(KEY.origin, gateway.ORIGIN)
        self.assertEqual((GATE.folder / "audit" / "verifier").read_text().strip(), GATE.verifier)
        self.assertEqual(stat.S_IMODE((GATE.folder / "audit.key").stat().st_mode), 0o600)
        again = gateway.command("audit", "keygen", "--origin", gateway.ORIGIN, "--out", GATE.folder / "audit.key")
        self.assertEqual((again.returncode, again.stdout), (74, ""))

    def test_a_receipt_is_genuine_and_its_leaf_is_the_closing_entrys(self):
        for status, outcome in ((200, "deleted"), (204, "deleted"), (404, "not_found"), (409, "rejected"), (412, "rejected"), (302, "rejected"), (500, "failed"), (503, "failed")):
            with self.subTest(status=status):
                UP.then(upstream.answer(status, b"", [("ac-revision", "r-5")]))
                got = delete()
                self.assert_passed(got, status)
                index, leaf = KEY.judge(got.headers)
                entry = entry_of(got)
                self.assertEqual((entry["index"], entry["outcome"], entry["status"], entry["revision"], entry["sent"]), (index, outcome, status, "r-5", "yes"))
                (at, intent_leaf, intent, said), (closing, closing_leaf, outcome_bytes, ended) = shown(got.headers["lychgate-receipt"])
                self.assertEqual((at, closing), (index, entry["closing_index"]))
                self.assertEqual(trail.leaf(outcome_bytes), leaf)
                self.assertEqual(base64.b64encode(trail.leaf(outcome_bytes)).decode(), closing_leaf)
                self.assertEqual(base64.b64encode(trail.leaf(intent)).decode(), intent_leaf)
                self.assertEqual((said["kind"], ended["kind"], ended["intent"], ended["leaves"]), ("intent", "outcome", index, [intent_leaf]))

    def test_audit_verify_agrees_with_the_independent_reader(self):
        got = delete()
        good = {name: got.headers[name] for name in refusals.RECEIPT}
        other = delete()

        def judged(headers):
            values = [headers[name] for name in refusals.RECEIPT]
            return GATE.audit("verify", "--key", GATE.verifier, "--receipt", values[0], "--leaf", values[1], "--signature", values[2]).returncode

        self.assertEqual((judged(good), KEY.judge(good)[0]), (0, entry_of(got)["index"]))
        for name in refusals.RECEIPT:
            bad = {**good, name: other.headers[name]}
            self.assertIsNone(KEY.judge(bad))
            self.assertEqual(judged(bad), 1, name)
        bit = bytearray(base64.b64decode(good["lychgate-receipt-signature"]))
        bit[40] ^= 4
        bad = {**good, "lychgate-receipt-signature": base64.b64encode(bit).decode()}
        self.assertEqual((judged(bad), KEY.judge(bad)), (1, None))

    def test_every_journal_entry_has_the_printed_leaf(self):
        """Reads the journal's batches from the description of the format: digests and chain are valid, no index is missing, each entry is one JSON object."""
        delete()
        refused = delete(if_match="*").headers["x-request-id"]
        # The answer to a refusal does not wait for its record.
        GATE.wait_until(lambda: any(one["request_id"] == refused for one in GATE.deletions()), "the refusal on record")
        listed, entries = GATE.deletions(), trail.journal(GATE.folder / "audit")
        self.assertEqual(sorted(entries), list(range(len(entries))))
        kinds = [json.loads(data)["kind"] for data in entries.values()]
        self.assertLessEqual({"started", "config", "intent", "outcome", "refused"}, set(kinds))
        times = [json.loads(data)["time"] for data in entries.values()]
        self.assertEqual(times, sorted(times))
        for one in listed:
            for index, leaf, data, entry in shown(str(one["index"])):
                self.assertEqual((entries[index], base64.b64encode(trail.leaf(entries[index])).decode()), (data, leaf))
                self.assertEqual(entry["time"][-1], "Z")
                self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")

    def test_text_beyond_ascii_is_hashed_unchanged(self):
        got = delete(sub="Ada \u00dc \u202e \u2713", client_id="c\u00e9", if_match="1")
        entries = trail.journal(GATE.folder / "audit")
        entry = entry_of(got)
        self.assertEqual(entry["caller"]["subject"], "Ada \u00dc \u202e \u2713")
        self.assertEqual(trail.leaf(entries[entry["closing_index"]]), KEY.judge(got.headers)[1])
        people = GATE.audit("show", str(entry["index"])).stdout + GATE.audit("list").stdout
        self.assertNotIn("\u202e", people, "what turns text around is escaped for people")

    def test_a_long_text_is_shortened_and_has_its_hash(self):
        subject = "s" * 300
        entry = entry_of(delete(sub=subject))
        self.assertEqual(entry["caller"]["subject"], subject[:256])
        cut = shown(str(entry["index"]))[0][3]["cut"]
        self.assertEqual(cut["caller.subject"], {"bytes": 300, "sha256": hashlib.sha256(subject.encode()).hexdigest()})


class Listed(refusals.Refusals, unittest.TestCase):
    """`audit list --json` has exactly the documented fields, in order."""

    def setUp(self):
        UP.reset()

    def check(self, answer, **wanted):
        entry = entry_of(answer)
        self.assertEqual(list(entry), FIELDS)
        base = {"operation": "users.delete", "account": tokens.ACCOUNT, "users": ["4711"], "caller": {"issuer": tokens.ISSUER, "subject": "ada", "client": "nightly-cleanup"},
                "if_match": "17", "code": None, "reason": None, "client_ip": "127.0.0.1", "group": None, "rule": None, "reconciled": None}
        for name, value in {**base, **wanted}.items():
            self.assertEqual(entry[name], value, name)
        self.assertRegex(entry["config"], "^[0-9a-f]{64}$")
        return entry

    def test_forwarded(self):
        entry = self.check(delete(jti="the-id"), decision="forwarded", outcome="deleted", sent="yes", status=200, revision="18", domain=UP.origin, attempts=1, token_id="the-id")
        self.assertGreater(entry["closing_index"], entry["index"])

    def test_refused(self):
        nothing = dict(outcome=None, sent="no", status=None, revision=None, attempts=0, closing_index=None, decision="refused")
        self.check(delete(if_match="*"), if_match="*", code="if-match-unconditional", **nothing)
        self.check(delete(f"{PATH.replace('12345678', '99')}/4711?v=4.0"), account="99", code="account-forbidden", **nothing)
        self.check(delete(f"{PATH}/4711"), code="version-missing", **nothing)
        self.check(delete(f"{PATH}/01?v=4.0"), users=["01"], code="user-id-invalid", **nothing)
        self.check(delete(f"{PATH}?v=4.0", content=b"[1,1]"), operation="users.delete_batch", users=[], code="body-invalid", **nothing)

    def test_unknown(self):
        UP.then(upstream.CLOSE)
        got = delete()
        self.assert_refused(got, "upstream-protocol", sent="unknown", receipt=True)
        entry = self.check(got, decision="forwarded", outcome="unknown", reason="connection_lost", sent="unknown", status=None, revision=None, attempts=1)
        self.assertEqual(KEY.judge(got.headers), (entry["index"], trail.leaf(trail.journal(GATE.folder / "audit")[entry["closing_index"]])))

    def test_a_small_batch_is_one_object_with_its_users(self):
        got = delete(f"{PATH}?v=4.0", content=b'["3", 1,2]')
        self.check(got, operation="users.delete_batch", users=["3", "1", "2"], decision="forwarded", outcome="deleted", sent="yes")

    def test_a_large_batch_has_several_intents_and_one_object_in_the_list(self):
        """5,000 ids of 19 digits: several intents in one journal batch, one outcome with the leaf of every part, one receipt."""
        ids = [str(9_000_000_000_000_000_000 + number) for number in range(5000)]
        content = json.dumps(ids, separators=(",", ":")).encode()
        got = delete(f"{PATH}?v=4.0", content=content)
        self.assert_passed(got)
        self.assertEqual(UP.seen[0].body, content)
        entry = entry_of(got)
        self.assertEqual((entry["users"], entry["outcome"], entry["operation"]), (ids, "deleted", "users.delete_batch"))
        self.assertTrue(entry["group"])
        *parts, (closing, _, closing_bytes, outcome) = shown(got.headers["x-request-id"])
        self.assertGreater(len(parts), 1)
        self.assertEqual([(one[3]["part"], one[3]["parts"], one[3]["group"]) for one in parts], [(number, len(parts), entry["group"]) for number in range(1, len(parts) + 1)])
        self.assertEqual([user for one in parts for user in one[3]["users"]], ids)
        self.assertEqual([one[0] for one in parts], list(range(entry["index"], entry["index"] + len(parts))))
        self.assertTrue(all(len(one[2]) <= 48_000 for one in parts))
        holding = {offset for _, offset, _, first, entries in trail.batches(GATE.folder / "audit") for one in parts if first <= one[0] < first + len(entries)}
        self.assertEqual(len(holding), 1, "all parts stand in one batch")
        self.assertEqual(outcome["leaves"], [base64.b64encode(trail.leaf(one[2])).decode() for one in parts])
        self.assertEqual((outcome["intent"], closing), (entry["index"], entry["closing_index"]))
        self.assertEqual(KEY.judge(got.headers), (entry["index"], trail.leaf(closing_bytes)))
        self.assertEqual(GATE.audit("verify").returncode, 0)
        self.check_proof_of_two_files(got.headers["lychgate-receipt"], closing_bytes, [one[2] for one in parts])

    def check_proof_of_two_files(self, receipt, closing, parts):
        """Both entries are too long for one file, so that the intents stand in a second one."""
        path, key = GATE.folder / "batch.tlog-proof", tlog.Key(GATE.verifier)
        apart = path.with_name(path.name + ".intent")
        made = GATE.audit("prove", receipt, "--out", path)
        self.assertEqual((made.returncode, made.stdout), (0, ""), made.stderr)
        self.assertEqual(trail.deletion_in_proof(path.read_bytes(), key)[1:], (closing, None))
        whole = apart.read_bytes()
        self.assertEqual(trail.deletion_in_proof(path.read_bytes(), key, whole)[1:], (closing, parts))
        for at in range(0, len(whole), 97):
            bad = whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
            self.assertRaises(tlog.Refused, trail.deletion_in_proof, path.read_bytes(), key, bad)
        verify = ("audit", "verify", "--json", "--proof", path, "--key", GATE.verifier)
        self.assertEqual(json.loads(gateway.command(*verify).stdout)["proof"]["deletion"]["users"][-1], "9000000000000004999")
        self.assertEqual(GATE.audit("prove", receipt, "--out", path).returncode, 74, "it exists")
        apart.write_bytes(whole[:-1])
        self.assertEqual(gateway.command(*verify).returncode, 1)
        apart.unlink()
        alone = gateway.command(*verify)
        self.assertEqual((alone.returncode, json.loads(alone.stdout)["proof"]["missing"]), (0, "intent"))

    def test_filters(self):
        got = delete(f"{PATH}/31337?v=4.0")
        for arguments in (("--user", "31337"), ("--user", "31337", "--outcome", "deleted", "--limit", "1"), ("--user", "31337", "--account", tokens.ACCOUNT, "--caller", "ada")):
            listed = GATE.audit("list", "--json", *arguments).stdout.splitlines()
            self.assertEqual([json.loads(line)["request_id"] for line in listed], [got.headers["x-request-id"]])
        self.assertEqual(GATE.audit("list", "--json", "--user", "31338").stdout, "")


if __name__ == "__main__":
    unittest.main()
