"""The trail as its readers get it: filters, exports read by csv and checked by jsonschema, and texts that attack terminals and spreadsheets."""

import csv
import io
import json
import pathlib
import re
import subprocess
import unittest

import jsonschema
from support import gateway, refusals, tokens, upstream, wire

PATH = wire.PATH
#: Of a token's texts none may hold a control character; what upstream says may.
HOSTILE = "=cmd|' /C calc'!A0 \u202eresu;=1,\"line\""
REVISION = b"=1+1\x9b2J\tx"
#: Everything but a line feed that a terminal might act on, and marks that turn the direction of writing.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
SCHEMA = json.loads((pathlib.Path(__file__).parent / "ocsf_user_management.schema.json").read_text())


def setUpModule():
    global UP, GATE
    UP = upstream.Upstream()
    GATE = gateway.Gateway(UP)


def tearDownModule():
    GATE.stop()
    UP.close()


def delete(gate=None, user=4711, if_match="17", **changes):
    gate = gate or GATE
    return wire.send(gate.address, wire.request("DELETE", f"{PATH}/{user}?v=4.0", f"Authorization: Bearer {tokens.token(**changes)}", f"If-Match: {if_match}"))


def batch(*users):
    body = json.dumps(users).encode()
    return wire.send(GATE.address, wire.request("DELETE", f"{PATH}?v=4.0", f"Authorization: Bearer {tokens.token()}", "If-Match: 17", body=body))


def listed(*arguments):
    done = GATE.audit("list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class Reading(refusals.Refusals, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        UP.reset()
        delete(user=1)
        UP.then(upstream.answer(404, b""))
        delete(user=2, sub="bob")
        UP.then(upstream.answer(503, b""))
        delete(user=3)
        delete(user=4, if_match="*")
        batch("5", "6", "7")
        UP.then(b"HTTP/1.1 200 OK\r\nac-revision: " + REVISION + b"\r\ncontent-length: 0\r\n\r\n")
        hostile = delete(user=8, sub=HOSTILE, if_match='"-1+1"')
        assert hostile.status == 200, (hostile.status, hostile.body)
        cls.all = listed()

    def users(self, *arguments):
        return [one["users"] for one in listed(*arguments)]

    def test_filters(self):
        cases = [(("--user", "6"), [["5", "6", "7"]]), (("--caller", "bob"), [["2"]]), (("--outcome", "not_found"), [["2"]]), (("--outcome", "failed"), [["3"]]),
                 (("--outcome", "refused"), [["4"]]), (("--code", "if-match-unconditional"), [["4"]]), (("--operation", "users.delete_batch"), [["5", "6", "7"]]), (("--account", "87654321"), []),
                 (("--limit", "2"), [["5", "6", "7"], ["8"]]), (("--since", "1h"), [one["users"] for one in self.all]), (("--until", "1h"), []),
                 (("--since", self.all[4]["time"]), [["5", "6", "7"], ["8"]]), (("--until", self.all[1]["time"]), [["1"]]), (("--caller", tokens.ISSUER, "--limit", "1"), [["8"]])]
        for arguments, users in cases:
            with self.subTest(arguments):
                self.assertEqual(self.users(*arguments), users)

    def test_an_answer_says_what_it_searched(self):
        done = GATE.audit("list", "--json", "--user", "none")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertRegex(done.stderr, r"searched entries 0 to \d+; ")

    def test_json_lines_are_those_of_list(self):
        done = GATE.audit("export")
        self.assertEqual([json.loads(line) for line in done.stdout.splitlines()], self.all)

    def test_csv_is_read_back_by_another_reader_and_holds_no_formula(self):
        done = subprocess.run([gateway.binary(), "audit", "export", "--format", "csv", "--dir", GATE.folder / "audit"], capture_output=True, timeout=30)
        text = done.stdout.decode()
        self.assertEqual((text.count("\r\n"), text.count("\n")), (len(self.all) + 1, len(self.all) + 1))
        records = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        self.assertEqual([record["users"].split() for record in records], [one["users"] for one in self.all])
        self.assertEqual([record["request_id"] for record in records], [one["request_id"] for one in self.all])
        self.assertEqual({record["origin"] for record in records}, {gateway.ORIGIN})
        for record in records:
            self.assertIsNone(record.get(None))
            for cell in record.values():
                self.assertNotRegex(cell, r"^\s*[=+\-@]")
                self.assertIsNone(RAW.search(cell), cell)
        self.assertTrue(records[5]["caller.subject"].startswith("'=cmd"))

    def test_ocsf_events_pass_a_schema_made_from_the_public_definition(self):
        done = GATE.audit("export", "--format", "ocsf")
        events = [json.loads(line) for line in done.stdout.splitlines()]
        check = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
        for event in events:
            self.assertEqual([error.message for error in check.iter_errors(event)], [])
        self.assertEqual([event["user"]["uid"] for event in events], ["1", "2", "3", "4", "5", "6", "7", "8"])
        self.assertEqual([event["status_id"] for event in events], [1, 2, 2, 2, 1, 1, 1, 1])
        self.assertEqual(len({event["metadata"]["uid"] for event in events}), 8)
        self.assertEqual(events[7]["actor"]["user"]["uid"], self.all[5]["caller"]["subject"])
        broken = {**events[0], "class_uid": 3001}
        self.assertTrue(list(check.iter_errors(broken)))

    def test_no_verb_writes_a_control_character(self):
        for verb in (("list",), ("list", "--json"), ("tail",), ("tail", "--json"), ("export",), ("export", "--format", "ocsf"), ("show", self.all[5]["request_id"]), ("show", str(self.all[5]["index"]), "--json")):
            done = GATE.audit(*verb)
            self.assertEqual(done.returncode, 0, done.stderr)
            for text in (done.stdout, done.stderr):
                self.assertIsNone(RAW.search(text), (verb, text))


if __name__ == "__main__":
    unittest.main()
