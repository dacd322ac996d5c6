"""Misbehaving clients: a log that nobody reads, thousands of idle connections, and many callers that reset while upstream hangs."""

import json
import resource
import socket
import subprocess
import threading
import unittest

import httpx
from support import gateway, refusals, tokens, trail, upstream, wire

PATH = wire.PATH
RESET = b"\1\0\0\0\0\0\0\0"


def setUpModule():
    global UP
    UP = upstream.Upstream()


def tearDownModule():
    UP.close()


def resident(process, field="VmRSS"):
    """Resident memory in KiB."""
    with open(f"/proc/{process.pid}/status") as status:
        return int(next(line for line in status if line.startswith(field)).split()[1])


def deletion(user, token):
    return wire.request("DELETE", f"{PATH}/{user}?v=4.0", f"Authorization: Bearer {token}", "If-Match: 1")


def connections(gate):
    """The number of open connections from callers."""
    page = gate.get("/metrics").body.decode()
    return next(int(line.split(" ")[1]) for line in page.splitlines() if line.startswith("lychgate_connections "))


class Load(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()

    def test_requests_continue_while_nobody_reads_standard_output(self):
        """The pipe is full long before the last request. SIGTERM still ends the gateway with 0."""
        gate = gateway.Gateway(UP)
        self.addCleanup(gate.stop)
        self.assertEqual(gate.end(), 0)
        gate.process = subprocess.Popen([gateway.binary(), "run", "--config", gate.config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(gate.process.stdout.close)
        serving = next(line for line in gate.process.stdout if b'"serving"' in line)
        gate.address, gate.admin = gateway.addresses(serving.decode())
        gate.wait_until(lambda: gate.get("/readyz?for=deletions").status == 200, "ready")
        token = tokens.token()
        with httpx.Client(base_url="http://%s:%d" % gate.address, trust_env=False, timeout=wire.PATIENCE, headers={"Authorization": f"Bearer {token}", "If-Match": "1"}) as client:
            # With 300 bytes a line, about two hundred lines fill the kernel's 64 KiB.
            for number in range(1, 1201):
                got = client.request("DELETE" if number % 100 == 0 else "GET", f"{PATH}/{number}?v=4.0")
                self.assert_passed(got)
        self.assertEqual(gate.end(), 0)
        self.assertEqual(sum(one["outcome"] == "deleted" for one in gate.deletions()), 12)

    def test_a_thousand_idle_connections_stay_below_30_mib(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 3000:
            self.skipTest("too few files may be open")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
        gate = gateway.Gateway(UP)
        self.addCleanup(gate.stop)
        connections = []
        self.addCleanup(lambda: [one.close() for one in connections])
        request = wire.request("GET", f"{PATH}?v=4.0", f"Authorization: Bearer {tokens.token()}")
        for _ in range(1000):
            connection = socket.create_connection(gate.address, timeout=wire.PATIENCE)
            connections.append(connection)
            connection.sendall(request)
            self.assertEqual(connection.recv(12), b"HTTP/1.1 200")
        # The program text of a debug build already takes half of that, so the test then counts only the memory that the process allocated.
        field = "VmRSS" if "/release/" in gateway.binary() else "RssAnon"
        self.assertLess(resident(gate.process, field), 30 * 1024)

    def test_many_callers_that_reset_while_upstream_hangs(self):
        """Deletions in flight stay within the bound, each deletion at upstream has its intent, and refusals are recorded singly or in a count."""
        gate = gateway.Gateway(UP, limits={"max_deletions": 16}, upstream={"head_timeout": "10m", "total_timeout": "10m"})
        self.addCleanup(gate.stop)
        # Upstream hangs, then closes.
        hangs = upstream.Held(threading.Event(), upstream.CLOSE)
        UP.default, kept = hangs, UP.default
        self.addCleanup(setattr, UP, "default", kept)
        token, most, before = tokens.token(), 0, resident(gate.process)
        for number in range(1, 601):
            with socket.create_connection(gate.address, timeout=wire.PATIENCE) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                connection.sendall(deletion(number, token))
                if number <= 16:
                    UP.wait(number)
            most = max(most, len(UP.seen))
        self.assertEqual((most, len(UP.seen)), (16, 16))
        self.assertLess(resident(gate.process) - before, 64 * 1024)
        # This answer shows that the queue of new connections is empty, so only hanging callers remain.
        self.assertEqual(wire.send(gate.address, wire.request("GET", "/")).status, 404)
        gate.wait_until(lambda: connections(gate) <= 16, "the crowd has gone")
        UP.default = kept
        hangs.released.set()
        gate.wait_until(lambda: all(one["outcome"] != "open" for one in gate.deletions()), "all are closed")
        self.assert_passed(wire.send(gate.address, deletion(4711, token)))
        self.assertEqual(gate.end(), 0)
        listed = gate.deletions()
        forwarded = {one["users"][0]: one["outcome"] for one in listed if one["decision"] == "forwarded"}
        self.assertEqual(forwarded, {**{str(number): "unknown" for number in range(1, 17)}, "4711": "deleted"})
        single = [one["code"] for one in listed if one["decision"] == "refused"]
        page = trail.journal(gate.folder / "audit").values()
        summed = sum(sum(entry["known_callers"].values()) for entry in map(json.loads, page) if entry["kind"] == "turned_away")
        self.assertEqual(set(single), {"overloaded"})
        # If a reset overtakes its own request, the gateway reads and records nothing.
        self.assertLessEqual(len(single) + summed, 600 - 16)
        self.assertGreater(len(single) + summed, 50)
        self.assertEqual(gate.audit("verify", "--key-file", gate.folder / "audit.key").returncode, 0)


if __name__ == "__main__":
    unittest.main()
