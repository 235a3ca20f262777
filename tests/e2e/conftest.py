"""The end-to-end tests: /usr/bin/python3 -m pytest tests/e2e, with the programs of build/ or of $HAR_BUILD. Needs
python3-pytest, python3-dnspython, nginx-light, nsd, openssl, dnsutils and iproute2; as root also the tests that need a
network of their own. Some two minutes; loopback only, no fixed port outside networks of their own.

Here are their fixtures: everything made through them ends with its test or module, whatever happens."""
import contextlib
import time

import pytest

from lab.daemon import HARD, Daemon
from lab.upstream import Nsd, Script
from lab.web import Nginx, WebServer, start_all


def pytest_sessionstart(session):
    if not HARD.exists():
        pytest.exit(f"{HARD} is missing: build it first, or say where it is in HAR_BUILD", returncode=2)


class Lab:
    """Makes the parts of a test in its folder and ends them in reverse."""

    def __init__(self, folder):
        self.folder = folder
        self._parts = contextlib.ExitStack()
        self._count = 0

    def _own(self, part):
        self._parts.callback(part.end)
        return part

    def _new_folder(self, kind):
        self._count += 1
        return self.folder / f"{kind}{self._count}"

    def daemon(self, body, start=True, folder=None, **options):
        daemon = self._own(Daemon(folder or self._new_folder("hard"), body, **options))
        return daemon.start() if start else daemon

    def nsd(self, records="", **options):
        return self._own(Nsd(self._new_folder("nsd"), records, **options)).start()

    def script(self, *arguments, **options):
        return self._own(Script(*arguments, **options).start())

    def web(self, **options):
        return self._own(WebServer(**options)).start()

    def webs(self, *options):
        return start_all(*(self._own(WebServer(**o)) for o in options))

    def nginx(self, servers):
        return self._own(Nginx(self._new_folder("nginx"), servers)).start()

    def end(self):
        self._parts.close()


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    yield lab
    lab.end()


@pytest.fixture(scope="module")
def module_lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.end()


@pytest.fixture(scope="session")
def withdrawal(tmp_path_factory):
    """Two candidates whose names stop resolving when the session begins: a.test gets NXDOMAIN, b.test silence. The
    server goes on. What becomes of it is seen a minute later; nobody waits meanwhile."""
    lab = Lab(tmp_path_factory.mktemp("withdrawal"))
    lab.web_server = lab.web()
    address = lab.web_server.address
    withdrawn = []

    def act(query, tcp):
        if query.question[0].name.to_text() == "b.test." and withdrawn:
            return None
        return lab.upstream.answer(query, tcp)

    lab.upstream = lab.script({("a.test", "A"): [address], ("b.test", "A"): [address]}, act=act)
    port = lab.web_server.port
    lab.hard = lab.daemon(f"""
        nameservers = {{ {lab.upstream.spec} }}
        defaults {{ failure_mode = nodata check_frequency = 0.2 }}
        name a.ours.test {{ candidate c {{ check_address = "http://a.test:{port}/" }} }}
        name b.ours.test {{ candidate c {{ check_address = "http://b.test:{port}/" }} }}""")

    class Withdrawal:
        daemon, web, upstream = lab.hard, lab.web_server, lab.upstream
        first_answer = lab.hard.addresses("a.ours.test")

    lab.upstream.records = {("unrelated.test", "A"): ["192.0.2.1"]}
    withdrawn.append(True)
    Withdrawal.withdrawn_at = time.monotonic()
    yield Withdrawal
    lab.end()


@pytest.fixture(scope="session", autouse=True)
def begin_what_takes_long(request):
    if any("withdrawal" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("withdrawal")
