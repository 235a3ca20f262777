"""hard under test: writes its configuration, starts it, asks it, ends it."""
import os
import pathlib
import re
import signal
import subprocess
import time

from . import dnsclient
from .net import free_port, loopback, wait_until

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("HAR_BUILD", REPOSITORY / "build")).resolve()
HARD = BUILD / "hard"
SANITIZED = HARD.exists() and b"__asan_init" in HARD.read_bytes()  # slower: figures are not held against it


def run_hard(*arguments, timeout=10):
    """hard to its end: (exit code, stdout, stderr)."""
    done = subprocess.run([HARD, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stdout, done.stderr


class Daemon:
    """One daemon with a configuration file and a data file of its own in `folder`.

    `body` is the configuration but for the addresses and paths, which are written here.
    """

    def __init__(self, folder, body, listen=None, port=None, data_file=None, extra=""):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.listen = listen or [loopback()]
        self.port = port or free_port(*self.listen)
        self.data_file = pathlib.Path(data_file or self.folder / "har.db")
        self.extra = extra
        self.config = self.folder / "har.conf"
        self.log_path = self.folder / "log"
        self.process = None
        self.write_config(body)

    # ---- configuration

    def write_config(self, body, whole=False):
        if not whole:
            quoted = ", ".join(f'"{address}"' for address in self.listen)
            body = (
                f"dns_listen_port = {self.port}\n"
                f"dns_bind_interfaces = {{ {quoted} }}\n"
                f'data_file = "{self.data_file}"\n'
                f'control_socket = "{self.folder}/har.sock"\n'
                f"{self.extra}\n{body}\n"
            )
        self.config.write_text(body)

    def reload(self, body=None, expect="reloaded", whole=False):
        if body is not None:
            self.write_config(body, whole)
        before = len(self.log())
        self.process.send_signal(signal.SIGHUP)
        self.wait_for_log(f"event={expect}", since=before)

    # ---- life

    def start(self, wait=True, **how):
        """`how`: for Popen, beside or instead of what stands here."""
        log = open(self.log_path, "ab")
        self.log_start = os.path.getsize(self.log_path)
        self.started_at = time.monotonic()
        how = {"args": [HARD, self.config], "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log} | how
        self.process = subprocess.Popen(**how)
        log.close()
        if wait:
            self.wait_for_log("event=ready", timeout=6)
        return self

    def stop(self):
        """SIGTERM; returns the seconds until it ended. Fails unless it ends well."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=10)
        took = time.monotonic() - start
        assert code == 0, f"exit code {code}\n{self.log()}"
        return took

    def end(self):
        """For the end of a test: the same, where it still runs; and nothing went wrong unseen in any process."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.stop()
        log = self.log_path.read_text(errors="replace")
        assert not re.search("Sanitizer|runtime error|event=assertion_failed", log), log

    def kill_everything(self):
        """kill -9 of all three processes at the same instant."""
        children = list(self.children().values())
        for pid in [self.process.pid, *children]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=10)
        for pid in children:
            wait_until(lambda p=pid: not is_running(p), 5, what=f"end of {pid}")

    def children(self):
        """Process names to pids: {"hard-answerer": 1, "hard-checker": 2}."""
        found = {}
        for pid in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                found[pathlib.Path(f"/proc/{pid}/comm").read_text().strip()] = int(pid)
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def resident_kib(self, which="hard-answerer"):
        status = pathlib.Path(f"/proc/{self.children()[which]}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    # ---- log

    def log(self):
        with open(self.log_path, errors="replace") as file:
            file.seek(self.log_start)
            return file.read()

    def wait_for_log(self, pattern, timeout=5.0, since=0):
        def found():
            if re.search(pattern, self.log()[since:]):
                return True
            if self.process.poll() is not None:
                raise AssertionError(f"hard ended with {self.process.returncode}:\n{self.log()}")
            return False

        try:
            return wait_until(found, timeout, pause=0.005, what=f"log line {pattern!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    # ---- questions

    @property
    def server(self):
        return self.listen[0], self.port

    def ask(self, name, kind="A", **options):
        """A dns.message.Message; see dnsclient.ask."""
        return dnsclient.ask(self.server, name, kind, **options)

    def addresses(self, name, kind="A", **options):
        """The addresses in the answer, in its order."""
        return dnsclient.addresses(self.ask(name, kind, **options))

    def wait_for_answer(self, name, expected, timeout, kind="A"):
        """Asks until the answer is the list `expected`; returns the seconds that took."""
        seen = []

        def is_so():
            seen.append(self.addresses(name, kind))
            return seen[-1] == expected

        try:
            return wait_until(is_so, timeout, what=f"{name} {kind} -> {expected}")
        except AssertionError as error:
            raise AssertionError(f"{error}; last answer {seen[-1]}\n{self.log()}") from None


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
