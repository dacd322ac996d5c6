"""A gateway process in a temporary folder: the binary as an operator runs it. The tests see only its config, ports and logs."""

import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from . import terminal, tokens, wire

ROOT = pathlib.Path(__file__).resolve().parents[3]
ORIGIN = "lychgate.test/clients"


@functools.cache
def binary():
    """The binary that LYCHGATE names, or else the release build, built now; cargo reports its path."""
    named = os.environ.get("LYCHGATE")
    if named:
        return named
    command = ["cargo", "build", "--locked", "--release", "--message-format=json-render-diagnostics"]
    messages = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return next(path for line in messages.splitlines() if (path := json.loads(line).get("executable")))


def temporary_folder():
    """A new folder, in memory if possible, so that the trail does not wait for a busy disk."""
    memory = pathlib.Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 30
    return pathlib.Path(tempfile.mkdtemp(prefix="lychgate-clients-", dir=memory if usable else None))


def command(*arguments, cwd=None, stdin=None):
    """Runs a command to its end and returns the result of subprocess.run, as text."""
    return subprocess.run([binary(), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=wire.PATIENCE, input=stdin)


def toml(sections):
    """Formats a config file from sections, lists of sections, and values whose JSON is also TOML."""
    text = ""
    for name, section in sections.items():
        for one in section if isinstance(section, list) else [section]:
            text += f"[[{name}]]\n" if isinstance(section, list) else f"[{name}]\n"
            text += "".join(f"{json.dumps(key)} = {json.dumps(value)}\n" for key, value in one.items()) + "\n"
    return text


def issuer(**changes):
    """One `[[issuer]]`; a change to None removes a key."""
    good = {"issuer": tokens.ISSUER, "audience": [tokens.AUDIENCE], "algorithms": tokens.ALGORITHMS, "jwks_file": "keys.json"}
    return {key: value for key, value in {**good, **changes}.items() if value is not None}


class Gateway:
    """Starts on construction and accepts deletions unless `ready` is false; `stop` ends it by its process id."""

    def __init__(self, users, folder=None, ready=True, files=None, at_terminal=False, **sections):
        self._own, self._at_terminal, self.terminal = folder is None, at_terminal, None
        self.folder = pathlib.Path(folder) if folder else temporary_folder()
        self.sections = {
            "listen": {"address": "127.0.0.1:0"},
            "admin": {"address": "127.0.0.1:0"},
            "issuer": [issuer()],
            "domains.accounts": {tokens.ACCOUNT: users.origin, "87654321": users.origin},
            "audit": {"directory": "audit", "origin": ORIGIN, "key_file": "audit.key", "segment_bytes": "2MiB", "sync_timeout": "60s"},
            "log": {"format": "json"},
        }
        self.verifier = None
        if self._own:
            self.write("keys.json", tokens.key_set())
            made = command("audit", "keygen", "--origin", ORIGIN, "--out", "audit.key", cwd=self.folder)
            assert made.returncode == 0, made.stderr
            self.verifier = made.stdout.rstrip("\n")
        for name, text in (files or {}).items():
            self.write(name, text)
        self.configure(**sections)
        self.start(ready)

    def configure(self, **sections):
        """Writes the config; the arguments are complete sections to merge."""
        for name, section in sections.items():
            name = name.replace("__", ".")
            merged = section if isinstance(section, list) else {**self.sections.get(name, {}), **section}
            self.sections[name] = merged
        self.write("lychgate.toml", toml(self.sections))

    def write(self, name, text):
        (self.folder / name).write_text(text)

    @property
    def config(self):
        return str(self.folder / "lychgate.toml")

    def start(self, ready=True):
        self.log = self.folder / "stdout.log"
        with open(self.log, "ab") as out, open(self.folder / "stderr.log", "ab") as err:
            self._from = out.tell()
            command = [binary(), "run", "--config", self.config]
            if self._at_terminal:
                with terminal.Terminal(self.log) as self.terminal:
                    self.process = subprocess.Popen(command, stdout=self.terminal.end, stderr=err, env=terminal.environment())
            else:
                self.process = subprocess.Popen(command, stdout=out, stderr=err)
        self.address, self.admin = addresses(self.wait_for_line(r"\bserving\b"))
        if ready:
            self.wait_until(lambda: self.get("/readyz?for=deletions").status == 200, "ready for deletions")

    def logged(self):
        """The log since the last start."""
        return self.log.read_bytes()[self._from :].decode()

    def wait_for_line(self, pattern, seconds=wire.PATIENCE):
        """The first line of the log that matches this pattern."""
        found = []

        def look():
            if self.process.poll() is not None:
                raise AssertionError(f"the gateway ended: {self.logged()} {(self.folder / 'stderr.log').read_text()}")
            found[:] = [line for line in self.logged().splitlines(True) if re.search(pattern, line) and line.endswith("\n")]
            return found

        self.wait_until(look, pattern, seconds)
        return found[0]

    def wait_until(self, holds, what, seconds=wire.PATIENCE):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"not within {seconds} s: {what}"
            time.sleep(0.01)

    def get(self, target, *headers):
        """Sends a request to the admin listener."""
        host = "%s:%d" % self.admin
        return wire.send(self.admin, wire.request("GET", target, *headers, host=None if any(h.lower().startswith("host:") for h in headers) else host))

    def signal(self, number):
        os.kill(self.process.pid, number)

    def audit(self, *arguments):
        """Runs `lychgate audit …` on this gateway's folder."""
        return command("audit", *arguments, "--dir", self.folder / "audit")

    def deletions(self):
        """`audit list --json`, parsed."""
        listed = self.audit("list", "--json")
        assert listed.returncode == 0, listed.stderr
        return [json.loads(line) for line in listed.stdout.splitlines()]

    def end(self, seconds=wire.PATIENCE):
        """Sends SIGTERM and returns the exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def leaked(self):
        """The files that contain a token of this run, or a token's signature."""
        wanted = [part.encode() for token in tokens.MADE for part in (token.rsplit(".", 1)) if len(part) > 20]
        found = []
        for path in self.folder.rglob("*"):
            if path.is_file():
                data = path.read_bytes().replace(bytes(4096), b"")
                found += [str(path.relative_to(self.folder)) for part in wanted if part in data]
        return sorted(set(found))

    def stop(self):
        """Stops the gateway, checks that it ended well and left no token behind, and removes its folder."""
        try:
            code = self.end()
            leaked = self.leaked()
        finally:
            if self._own:
                shutil.rmtree(self.folder, ignore_errors=True)
        assert code == 0, f"the gateway ended with {code}"
        assert not leaked, f"a token stands in {leaked}"


def addresses(serving):
    """The addresses for callers and for the admin, from the line with "serving"; at a terminal that line is not JSON."""
    fields = json.loads(serving) if serving.startswith("{") else dict(re.findall(r"(\w+)=(\S+)", terminal.OWN.sub("", serving)))
    pairs = (fields[name].rsplit(":", 1) for name in ("address", "admin"))
    return [(host, int(port)) for host, port in pairs]
