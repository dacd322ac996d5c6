"""The README's quick start as it stands: one shell runs its commands, from the installation to the proof of a deletion."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

from support import gateway

README = gateway.ROOT / "README.md"
#: Seconds for a build that finds nothing in cargo's target folder.
PATIENCE = 3600
#: The last line of the demo before it waits for Ctrl-C.
DEMO_SERVES = "\nlychgate audit verify --config "
#: Brings up the loopback interface of a new network namespace (SIOCSIFFLAGS, IFF_UP), then becomes the shell.
LOOPBACK = "import fcntl, os, socket, struct, sys; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH22x', b'lo', 1)); os.execvp(sys.argv[1], sys.argv[1:])"


def commands():
    """The commands of the quick start."""
    section = re.search(r"^## Quick start\n(.*?)^## ", README.read_text(), re.M | re.S)[1]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)
    return "".join(blocks)


def private_network():
    """A prefix that gives a command ports of its own, because the README's may be taken; empty where the system forbids it."""
    prefix = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"]), sys.executable, "-c", LOOPBACK]
    can = shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    return prefix if can else []


class QuickStart(unittest.TestCase):
    def setUp(self):
        gateway.binary()
        self.folder = gateway.temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("home", "temporary", "cargo/bin"):
            (self.folder / name).mkdir(parents=True)

    def environment(self):
        """A home, a temporary folder and an installation of its own; the user's toolchain and cargo settings."""
        home, name = pathlib.Path.home(), os.environ.get
        return {**os.environ, "HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "temporary"),
                "CARGO_HOME": name("CARGO_HOME", str(home / ".cargo")), "RUSTUP_HOME": name("RUSTUP_HOME", str(home / ".rustup")),
                "CARGO_INSTALL_ROOT": str(self.folder / "cargo"), "CARGO_NET_OFFLINE": "true",
                "PATH": f"{self.folder / 'cargo/bin'}:{name('PATH')}", "NO_PROXY": "127.0.0.1"}

    def run_shell(self, script):
        """Runs the script and ends its demo by SIGINT once that serves; returns what the terminal would show."""
        log = self.folder / "log"
        with open(log, "wb") as out:
            shell = subprocess.Popen([*private_network(), "bash", "-e", "-o", "pipefail", "-c", script], cwd=gateway.ROOT, env=self.environment(),
                                     stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        self.addCleanup(self.end_group, shell)
        end, demo = time.monotonic() + PATIENCE, None
        while shell.poll() is None:
            text = log.read_text(errors="replace")
            self.assertLess(time.monotonic(), end, text)
            if demo is None and DEMO_SERVES in text:
                demo = int(re.search(r"lychgate-demo-(\d+)", text)[1])
                os.kill(demo, signal.SIGINT)
            time.sleep(0.05)
        text = log.read_text(errors="replace")
        self.assertEqual(shell.returncode, 0, text)
        return text

    @staticmethod
    def end_group(shell):
        """Ends what the script left running, if it failed."""
        try:
            os.killpg(shell.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        shell.wait()

    def test_its_commands_lead_to_a_recorded_and_proved_deletion(self):
        before = set(os.listdir(gateway.ROOT))
        text = self.run_shell(commands())
        self.assertEqual(list((self.folder / "temporary").iterdir()), [], "the demo removed its folder")
        self.assertEqual(set(os.listdir(gateway.ROOT)), before, "the checkout is as it was")
        statuses = re.findall(r"^HTTP/1.1 (\d+)", text, re.M)
        self.assertEqual(statuses, ["200", "428", "200"], text)
        calls = re.findall(r'"(GET|DELETE) /api/account/12345678/configuration/le-users/users/4711\?v=4.0 HTTP/1.1" 200', text)
        self.assertEqual(calls, ["GET", "DELETE"], "what upstream saw")
        listed = [line for line in text.splitlines() if re.match(r"\d+ .* 4711 ", line)]
        self.assertEqual([re.findall("refused|deleted", line) for line in listed], [["refused"], ["deleted"]], text)
        self.assertEqual(len(re.findall("^the proof holds: ", text, re.M)), 1, text)
        self.assertEqual(len(re.findall("^the trail verifies", text, re.M)), 1, text)


if __name__ == "__main__":
    unittest.main()
