"""Callers with valid tokens at full speed, who send nothing but what is refused, with long and ugly texts: the trail grows by a bounded amount, and says how many they were."""

import collections
import json
import re
import socket
import threading
import time
import unittest

from support import gateway, refusals, tlog, tokens, upstream, wire

SECONDS, CALLERS, THREADS = 6, 24, 4
#: Everything but a line feed that a terminal might act on, and marks that turn the direction of writing.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
#: As docs/trail.md states it: entries a minute, and bytes of the longest entry of a refusal and its hash.
ENTRIES_A_MINUTE, ENTRY_BYTES = 600, 6_000
IDS = list(range(9_000_000_000_000_000_000, 9_000_000_000_000_005_000))
UGLY = b'"\x80\x9b2J\xff' + b"\xe2\x80\xae" * 80 + b'"'


def setUpModule():
    global UP
    UP = upstream.Upstream()


def tearDownModule():
    UP.close()


def requests(token):
    """What one caller sends, over and over; nothing of it goes upstream."""
    bearer = b"Authorization: Bearer " + token.encode()
    one, all_of = f"{wire.PATH}/4711?v=4.0", f"{wire.PATH}?v=4.0"
    twice = json.dumps([*IDS[:4999], IDS[0]]).encode()
    long = json.dumps([*IDS[:4998], *("\\u001b" * 40,) * 2]).encode().replace(b"\\\\", b"\\")
    return [
        wire.request("DELETE", all_of, bearer, "If-Match: 1", body=twice),
        wire.request("DELETE", all_of, bearer, "If-Match: 1", body=long),
        wire.request("DELETE", all_of, bearer, "If-Match: *", body=json.dumps(IDS[:4000]).encode()),
        wire.request("DELETE", one, bearer, b"If-Match: ," + UGLY),
        wire.request("DELETE", one, bearer, b"If-Match: W/" + UGLY * 30),
        wire.request("DELETE", f"{wire.PATH}/%1B%5B2J%C2%9B?v=4.0", bearer, "If-Match: 1"),
        wire.request("DELETE", one.replace("12345678", "%E2%80%AE" * 30), bearer, "If-Match: 1"),
        wire.request("DELETE", f"{wire.PATH}/{'9' * 4000}?v=4.0", bearer, "If-Match: 1"),
        wire.request("DELETE", f"{wire.PATH}/1?v=%1B", bearer, b"If-Match: \"\x85\""),
        wire.request("POST", one, bearer, "If-Match: 1", b"X-HTTP-Method-Override: DELETE", b"User-Agent: \xc2\x9b2J", body=b"x"),
    ]


class Hostile(refusals.Refusals, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gate = gateway.Gateway(UP)
        cls.addClassCleanup(cls.gate.stop)
        subjects = [f"{number} \u202e\u2066=1+1|" + "\u202e\u00e9\"\\x" * (250 if number % 6 else 480) for number in range(CALLERS)]
        cls.sent = [requests(tokens.token(sub=subject, client_id=subject[:300], jti="\"\\" * 128)) for subject in subjects]
        cls.codes, cls.begun = collections.Counter(), time.monotonic()
        threads = [threading.Thread(target=cls.flood, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cls.gate.end()
        cls.entries = tlog.Log(cls.gate.folder / "audit", tlog.Key(cls.gate.verifier)).entries
        cls.minutes = int((time.monotonic() - cls.begun) // 60) + 1

    @classmethod
    def bytes(cls, below):
        return sum(path.stat().st_size for path in (cls.gate.folder / "audit" / below).rglob("*") if path.is_file())

    @classmethod
    def flood(cls, thread):
        connection, number, codes = None, thread, collections.Counter()
        while time.monotonic() < cls.begun + SECONDS:
            number += 1
            request = cls.sent[number % CALLERS][number // CALLERS % len(cls.sent[0])]
            try:
                connection = connection or socket.create_connection(cls.gate.address, timeout=10)
                connection.sendall(request)
                answer = wire.read(connection, "DELETE")
            except OSError:
                codes["broken off", 0] += 1
                connection = None
                continue
            codes[answer.headers.get("lychgate-refusal"), answer.status] += 1
            if answer.headers.get("connection") == "close":
                connection = connection.close()
        cls.codes.update(codes)

    def test_the_trail_grows_by_what_is_stated(self):
        """Each refusal of a known caller is on record, singly or in a sum, and the files hold no more than that."""
        refused = collections.Counter({code: count for (code, _), count in self.codes.items() if code != "token-malformed"})
        self.assertNotIn(None, refused, "nothing was to go upstream")
        self.assertNotIn("broken off", refused, "a connection that ends says so in its last answer")
        self.assertEqual(UP.seen, [])
        self.assertGreater(sum(refused.values()), 2 * ENTRIES_A_MINUTE, "no flood")
        singly, summed, bytes_ = collections.Counter(), collections.Counter(), 0
        for entry in self.entries:
            said = json.loads(entry)
            if said["kind"] == "refused":
                singly[said["code"]] += 1
                self.assertLessEqual(len(entry), ENTRY_BYTES)
            elif said["kind"] == "turned_away":
                summed.update(said["known_callers"])
                self.assertLessEqual(len(said["callers"]), 20)
            bytes_ += len(entry)
        self.assertEqual(singly + summed, refused)
        self.assertLessEqual(singly.total(), ENTRIES_A_MINUTE * self.minutes)
        self.assertGreater(singly.total(), ENTRIES_A_MINUTE / 2)
        self.assertLess(bytes_, self.minutes * ENTRIES_A_MINUTE * ENTRY_BYTES)
        # Partial tiles are copies; they go once the full one stands.
        self.assertLess(self.bytes("tile"), 4 * bytes_)
        self.assertLessEqual(self.bytes("journal"), 3 << 21)

    def test_terminals_see_no_control_character(self):
        shown = [self.gate.audit("list").stdout, self.gate.audit("tail").stdout, self.gate.audit("list", "--caller", "\x1b[2J").stderr]
        one = {json.loads(entry)["code"]: index for index, entry in enumerate(self.entries) if json.loads(entry)["kind"] == "refused"}
        shown += [self.gate.audit("show", index).stdout for index in one.values()]
        for text in shown:
            self.assertTrue(text)
            self.assertIsNone(RAW.search(text), RAW.search(text))


if __name__ == "__main__":
    unittest.main()
