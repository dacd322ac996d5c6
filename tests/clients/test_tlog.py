"""The trail as a C2SP log, checked by an implementation of the specifications that shares no code with the gateway. Published vectors first check that implementation."""

import base64
import hashlib
import json
import shutil
import unittest

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support import gateway, refusals, tlog, tokens, trail, upstream, wire

KEY = "lychgate.test/log+cb21ebc1+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
SEED = bytes(range(32))
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "773885a613489e24ce2cf76199d6a423f042e4bbf12d7eecee912ef276c65701",
    2: "5a47662fd8a317d96049a3f9f47c55dc67ca66051baa3683dbb19b2fe09a07b0",
    3: "94fbd0dd836f50301692e6d0eade728ee19ec52bfff1606ed807c8575d5aaa19",
    5: "7caa345dbd892a66454d6c6512ea3c3ea3f0d3ec21be3fc2e2375705fd38f672",
    256: "da6596d95369f5fef322ab8e4e0da3b0b50236aa9c8a3b1d246f7411c9e2e32e",
    257: "5c1fdfe835358022f2392de478dbe053fc130cfe1d3a082879a90cf6bf14bf7e",
}
CONSISTENT = {
    3: "57c79f4f31ae029c5d4bd30b073c27c94df93438b2b4697e1e1eef5bc0394a41 61ca1139f6815841d5baf2d0d2d9bd9dfee97c898dd6f7ba0c0aa941ee6c01eb "
    "5a47662fd8a317d96049a3f9f47c55dc67ca66051baa3683dbb19b2fe09a07b0 485335db7cfec965f15ff745fc625c41d5ea2646936930165828f73dd4b68854",
    2: "ddbde80fccdeb3198ef69b8e1f0934fbce296c6babfb738574a4f62972266793 485335db7cfec965f15ff745fc625c41d5ea2646936930165828f73dd4b68854",
}
PROOF = """c2sp.org/tlog-proof@v1
extra ZW50cnkgMw==
index 3
V8efTzGuApxdS9MLBzwnyU35NDiytGl+Hh7vW8A5SkE=
WkdmL9ijF9lgSaP59HxV3GfKZgUbqjaD27GbL+CaB7A=
SFM123z+yWXxX/dF/GJcQdXqJkaTaTAWWCj3PdS2iFQ=

lychgate.test/log
5
fKo0Xb2JKmZFTWxlEuo8PqPw0+whvj/C4jdXBf049nI=

— lychgate.test/log yyHrwWLRa0Rw2BaHc4fqmrHY0wG5iCZeW9RVJgwSEGheUEmS2f2PE06Vg4QYnqEl6jtA8wIb2/IMAraTq738plPFpQo=
""".encode()
COSIGNED = "— lychgate.test/witness ex/8PAAAAABkGFDLyOEFf/rrelyIbjVZDdKSCwXA82UNun9kdRbMGve83jIRlUBnkhnYpb+Fv4Bfr+oNYFfu3wkCLDNYxQfDzYByCA==\n".encode()


def entries(count):
    return [f"entry {number}".encode() for number in range(count)]


def leaves(count):
    return [tlog.leaf(entry) for entry in entries(count)]


def hashes(text):
    return [bytes.fromhex(word) for word in text.split()]


def signed(text, name="lychgate.test/log", seed=SEED):
    """A note with this text, signed by the published test key or by another key."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = b"\1" + private.public_key().public_bytes_raw()
    line = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4] + private.sign(text)
    return text + f"\n— {name} {base64.b64encode(line).decode()}\n".encode()


def checkpoint(hashes_of, origin="lychgate.test/log"):
    return signed(f"{origin}\n{len(hashes_of)}\n{base64.b64encode(tlog.root(hashes_of)).decode()}\n".encode())


def write(folder, of, size):
    """Writes the published files of a log with these entries at this size; existing files stay."""
    rows, level = [("entries", [len(entry).to_bytes(2, "big") + entry for entry in of[:size]])], 0
    below = [tlog.leaf(entry) for entry in of[:size]]
    while below:
        rows.append((level, below))
        below, level = [tlog.root(below[at : at + 256]) for at in range(0, len(below) - 255, 256)], level + 1
    for name, row in rows:
        for index, width in tlog.tiles(len(row)):
            path = folder / tlog.tile_path(name, index, width)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(row[256 * index :][:width]))
    (folder / "checkpoint").write_bytes(checkpoint([tlog.leaf(entry) for entry in of[:size]]))


class Vectors(unittest.TestCase):
    """The published vectors of the specifications."""

    def setUp(self):
        self.key = tlog.Key(KEY)

    def test_roots(self):
        for size, wanted in ROOTS.items():
            self.assertEqual(tlog.root(leaves(size)).hex(), wanted, size)

    def test_consistency_proofs(self):
        for old, wanted in CONSISTENT.items():
            self.assertEqual(tlog.consistency(old, leaves(5)), hashes(wanted))
            tlog.check_consistency(old, bytes.fromhex(ROOTS[old]), 5, bytes.fromhex(ROOTS[5]), hashes(wanted))

    def test_the_path_of_entry_256_of_257_is_one_hash(self):
        self.assertEqual(tlog.inclusion(256, leaves(257)), hashes(ROOTS[256]))

    def test_every_proof_up_to_40_holds_and_no_altered_one_does(self):
        for size in range(1, 41):
            all_of, top = leaves(size), tlog.root(leaves(size))
            for index in range(size):
                path = tlog.inclusion(index, all_of)
                tlog.check_inclusion(all_of[index], index, size, path, top)
                for bad in (path[:-1], [*path, path[0]], [top, *path[1:]]) if path else ([top],):
                    self.assertRaises(tlog.Refused, tlog.check_inclusion, all_of[index], index, size, bad, top)
                old, proof = tlog.root(all_of[: index + 1]), tlog.consistency(index + 1, all_of)
                tlog.check_consistency(index + 1, old, size, top, proof)
                self.assertRaises(tlog.Refused, tlog.check_consistency, index + 1, tlog.EMPTY, size, top, proof)
                self.assertRaises(tlog.Refused, tlog.check_consistency, index + 1, old, size, top, [*proof, old])

    def test_the_proof_of_entry_3_in_5(self):
        self.assertEqual((len(PROOF), hashlib.sha256(PROOF).hexdigest()), (367, "9f0d377a7275ac2102b3f352c01c01329760b21aef152efb08c673ceb2d92d66"))
        self.assertEqual(tlog.check_proof(PROOF, self.key), (3, b"entry 3"))
        signed_checkpoint = tlog.read_proof(PROOF)[3]
        self.assertEqual((len(signed_checkpoint), signed_checkpoint), (181, checkpoint(leaves(5))))

    def test_every_flipped_bit_of_the_proof_is_found(self):
        for bit in range(len(PROOF) * 8):
            bad = bytearray(PROOF)
            bad[bit // 8] ^= 1 << bit % 8
            with self.assertRaises(tlog.Refused, msg=f"bit {bit}"):
                tlog.check_proof(bytes(bad), self.key)

    def test_a_witness_signature_is_skipped_and_a_wrong_own_one_is_not(self):
        self.assertEqual(tlog.check_proof(PROOF + COSIGNED, self.key), (3, b"entry 3"))
        own = signed(b"another text\n").split(b"\n\n")[1]
        for bad in (PROOF + own, PROOF.rpartition(b"\n\n")[0] + b"\n\n" + COSIGNED, PROOF + b"rubbish\n", PROOF[:-1]):
            self.assertRaises(tlog.Refused, tlog.check_proof, bad, self.key)

    def test_paths(self):
        self.assertEqual([tlog.tile_path(0, index) for index in (5, 999, 1000, 1234067)], ["tile/0/005", "tile/0/999", "tile/0/x001/000", "tile/0/x001/x234/067"])
        self.assertEqual(tlog.tile_path("entries", 273, 112), "tile/entries/273.p/112")
        self.assertEqual([tlog.tiles(size) for size in (0, 1, 256, 257)], [[], [(0, 1)], [(0, 256)], [(0, 256), (1, 1)]])


class OwnLog(unittest.TestCase):
    """A folder that the test wrote: intact it verifies, and every kind of damage is found."""

    def setUp(self):
        self.folder = gateway.temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder)
        self.key = tlog.Key(KEY)
        for size in (2, 5, 257):
            write(self.folder, entries(257), size)

    def test_it_verifies_with_the_published_root(self):
        log = tlog.Log(self.folder, self.key)
        self.assertEqual((log.size, log.root.hex(), log.entries), (257, ROOTS[257], entries(257)))
        self.assertEqual(log.all_files(), 9)
        self.assertEqual(hashlib.sha256((self.folder / "tile/0/000.p/5").read_bytes()).hexdigest(), "adc29509b5dc0780aec3699d4682c1a9f11b45bb58e041d834924b8c4bf31098")
        self.assertEqual((self.folder / "tile/entries/000.p/2").read_bytes().hex(), "0007656e74727920300007656e7472792031")

    def test_a_missing_partial_tile_is_read_from_the_full_one(self):
        old = checkpoint(leaves(5))
        shutil.rmtree(self.folder / "tile/0/000.p")
        shutil.rmtree(self.folder / "tile/entries/000.p")
        self.assertEqual(tlog.Log(self.folder, self.key, old).size, 5)

    def test_a_flipped_bit_in_any_file_is_found(self):
        for path in sorted(self.folder.rglob("*")):
            if not path.is_file():
                continue
            whole = path.read_bytes()
            for at in {0, 1, len(whole) // 2, len(whole) - 1}:
                path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
                with self.assertRaises(tlog.Refused, msg=f"{path} {at}"):
                    tlog.Log(self.folder, self.key).all_files()
            path.write_bytes(whole[:-1])
            with self.assertRaises(tlog.Refused, msg=f"{path} cut"):
                tlog.Log(self.folder, self.key).all_files()
            path.write_bytes(whole)
        tlog.Log(self.folder, self.key).all_files()


class RealLog(refusals.Refusals, unittest.TestCase):
    """A folder that a gateway wrote, beyond a full tile and through a restart, read by the independent reader."""

    @classmethod
    def setUpClass(cls):
        cls.up = upstream.Upstream()
        cls.addClassCleanup(cls.up.close)
        cls.gate = gateway.Gateway(cls.up)
        cls.addClassCleanup(cls.gate.stop)
        cls.key = tlog.Key(cls.gate.verifier)
        cls.audit = cls.gate.folder / "audit"
        cls.kept, cls.answers = [], []
        for count in (1, 9, 130):
            cls.answers += [cls.delete(user) for user in range(1, count + 1)]
            cls.kept.append(cls.checkpoint_over(len(cls.answers) * 2))
        cls.gate.end()
        cls.gate.start()
        cls.answers.append(cls.delete(4711))
        cls.gate.end()
        cls.kept.append((cls.audit / "checkpoint").read_bytes())

    @classmethod
    def delete(cls, user):
        headers = f"Authorization: Bearer {tokens.token()}", "If-Match: 17"
        return wire.send(cls.gate.address, wire.request("DELETE", f"{wire.PATH}/{user}?v=4.0", *headers))

    @classmethod
    def checkpoint_over(cls, size):
        """The newest checkpoint, once it covers this many entries."""
        path = cls.audit / "checkpoint"
        cls.gate.wait_until(lambda: path.exists() and tlog.open_checkpoint(path.read_bytes(), cls.key)[0] >= size, f"a checkpoint over {size} entries")
        return path.read_bytes()

    def log(self):
        return tlog.Log(self.audit, self.key)

    def test_both_compute_the_same_root(self):
        log = self.log()
        self.assertGreater(log.size, 280)
        self.assertGreater(log.all_files(), 6)
        report = json.loads(self.gate.audit("verify", "--key", self.gate.verifier, "--json").stdout)
        self.assertEqual((report["verified"], report["summary"]["covered"], report["summary"]["root"]), (True, log.size, base64.b64encode(log.root).decode()))

    def test_after_a_stop_the_checkpoint_covers_the_whole_journal(self):
        log, journal = self.log(), trail.journal(self.audit)
        self.assertEqual({index: log.entries[index] for index in journal}, journal)
        self.assertEqual(json.loads(log.entries[-1])["kind"], "stopped")

    def test_every_kept_checkpoint_is_a_prefix_of_the_log(self):
        log = self.log()
        sizes = [tlog.open_checkpoint(kept, self.key) for kept in self.kept]
        self.assertEqual(sizes, sorted(sizes))
        for (old, old_root), (size, root) in zip(sizes, sizes[1:]):
            tlog.check_consistency(old, old_root, size, root, tlog.consistency(old, log.hashes[:size]))
        for kept in self.kept:
            (self.gate.folder / "kept").write_bytes(kept)
            done = self.gate.audit("verify", "--key", self.gate.verifier, "--against", self.gate.folder / "kept")
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_newer_checkpoint_detects_a_shortened_log(self):
        copy = gateway.temporary_folder() / "audit"
        self.addCleanup(shutil.rmtree, copy.parent)
        shutil.copytree(self.audit, copy)
        (copy / "checkpoint").write_bytes(self.kept[1])
        (copy.parent / "newer").write_bytes(self.kept[2])
        done = gateway.command("audit", "verify", "--dir", copy, "--key", self.gate.verifier, "--against", copy.parent / "newer")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("rolled back", done.stdout)

    def test_every_proof_of_the_gateway_verifies(self):
        log = self.log()
        for answer in [self.answers[0], self.answers[20], self.answers[-1]]:
            receipt, leaf = answer.headers["lychgate-receipt"], answer.headers["lychgate-receipt-leaf"]
            index = int(receipt.rpartition("/")[2])
            for arguments in ((receipt,), (receipt, "--leaf", leaf), (answer.headers["x-request-id"],)):
                self.assertEqual(self.proved(*arguments), tlog.unbase64(leaf, 32), arguments)
            for arguments in ((receipt, "--entry", "intent"), (index,), (receipt, "--entry", "intent", "--leaf", leaf)):
                self.assertEqual(self.proved(*arguments), log.hashes[index], arguments)
            other = base64.b64encode(log.hashes[0]).decode()
            self.assertEqual(self.gate.audit("prove", receipt, "--leaf", other).returncode, 1)

    def test_a_proof_can_be_made_from_the_admin_listener(self):
        self.gate.start()
        self.addCleanup(self.gate.end)
        answer = self.delete(4712)
        receipt, leaf = answer.headers["lychgate-receipt"], answer.headers["lychgate-receipt-leaf"]
        made = gateway.command("audit", "prove", receipt, "--leaf", leaf, "--key", self.gate.verifier, "--dir", "http://%s:%d" % self.gate.admin)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(tlog.leaf(trail.deletion_in_proof(made.stdout.encode(), self.key)[1]), tlog.unbase64(leaf, 32))

    def test_each_changed_byte_of_a_proof_is_found(self):
        """By the independent verifier in every byte, by the gateway's own in some."""
        made = self.gate.audit("prove", self.answers[20].headers["lychgate-receipt"]).stdout.encode()
        self.assertEqual(len(trail.deletion_in_proof(made, self.key)[2]), 1)
        path = self.gate.folder / "changed.tlog-proof"
        for at in range(len(made)):
            bad = made[:at] + bytes([made[at] ^ 1 << at % 8]) + made[at + 1 :]
            self.assertRaises(tlog.Refused, trail.deletion_in_proof, bad, self.key)
            if at % 100 == 0:
                path.write_bytes(bad)
                self.assertEqual(gateway.command("audit", "verify", "--proof", path, "--key", self.gate.verifier).returncode, 1, at)

    def proved(self, *arguments):
        """The leaf of the entry that `audit prove` proves. `audit verify --proof` must agree, and reject a changed proof."""
        made = self.gate.audit("prove", *arguments)
        self.assertEqual(made.returncode, 0, made.stderr)
        index, entry, intents = trail.deletion_in_proof(made.stdout.encode(), self.key)
        entries, said = self.log().entries, json.loads(entry)
        self.assertEqual(entry, entries[index])
        self.assertEqual(intents, [entries[said["intent"]]] if said["kind"] == "outcome" else None)
        path = self.gate.folder / "a.tlog-proof"
        path.write_bytes(made.stdout.encode())
        self.assertEqual(gateway.command("audit", "verify", "--proof", path, "--key", self.gate.verifier).returncode, 0)
        path.write_bytes(made.stdout.replace(f"index {index}", f"index {index + 1}").encode())
        self.assertEqual(gateway.command("audit", "verify", "--proof", path, "--key", self.gate.verifier).returncode, 1)
        return tlog.leaf(entry)


if __name__ == "__main__":
    unittest.main()
