"""The rights of the three processes, as the host sees them while the daemon works. What happens to a process that does
what it must not is shown by rights_tests (tests/rights/), which applies the same filters; here it is run as well."""
import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from lab import dnsclient
from lab.daemon import BUILD, SANITIZED, is_running
from lab.net import loopback, wait_until
from lab.own_network import add_addresses, in_own_network
from test_resolv_conf import own_etc

NET_BIND_SERVICE, SETPCAP, SETUID, SETGID, KILL, SYS_NICE = (1 << n for n in (10, 8, 7, 6, 5, 23))
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_filters = pytest.mark.skipif(SANITIZED, reason="no filters in sanitizer builds")


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}


def capabilities(pid, which):
    return int(status(pid)[which], 16)


def wait_until_sealed(daemon):
    def sealed():
        children = daemon.children()
        return len(children) == 2 and all(status(pid)["Seccomp"] == "2" for pid in children.values())

    wait_until(sealed, 3, what="filters")


def check_children(daemon):
    wait_until_sealed(daemon)
    for name, pid in daemon.children().items():
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            try:
                seen = status(f"{pid}/task/{task.name}")
            except (FileNotFoundError, ProcessLookupError):
                continue  # a thread for a moment's work, that is over
            assert (seen["Seccomp"], seen["NoNewPrivs"]) == ("2", "1"), (name, seen["Name"])
            for which in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                assert int(seen[which], 16) == 0, (name, which, seen[which])
            if os.geteuid() == 0:
                assert int(seen["CapBnd"], 16) == 0, (name, seen["CapBnd"])


def check_keeper(daemon, most):
    # It drops what it does not need once the answerer has its sockets.
    wait_until(lambda: capabilities(daemon.process.pid, "CapEff") & ~most == 0, 3, what="a keeper with few rights")
    assert capabilities(daemon.process.pid, "CapPrm") & ~most == 0
    if os.geteuid() == 0:
        assert capabilities(daemon.process.pid, "CapBnd") & ~most == 0


def replace(daemon, name):
    before = daemon.children()[name]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: daemon.children().get(name, before) != before, 3, what=f"a new {name}")


@needs_filters
def test_each_process_is_stopped_when_it_does_what_it_must_not():
    program = BUILD / "rights_tests"
    if not program.exists():
        pytest.skip(f"not built: ninja -C {BUILD} rights_tests")
    done = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"\[  PASSED  \] (\d+) tests", done.stdout).group(1)) > 20


@needs_filters
def test_rights_are_gone_from_the_start_and_stay_gone_over_reloads_and_deaths(lab):
    web = lab.web()
    upstream = lab.script({("x.test", "A"): ["192.0.2.1"]})
    daemon = lab.daemon(f"""
        nameservers = {{ {upstream.spec} }}
        workers = 2
        name a.test {{ candidate c {{ check_address = "{web.url}" }} }}""")
    check_children(daemon)
    check_keeper(daemon, NET_BIND_SERVICE | SETPCAP | SYS_NICE)
    daemon.reload()
    for name in ("hard-answerer", "hard-checker"):
        replace(daemon, name)
        check_children(daemon)
        assert daemon.addresses("a.test") == [web.address]
        assert daemon.addresses("x.test") == ["192.0.2.1"]
        assert dnsclient.addresses(daemon.ask("x.test", tcp=True)) == ["192.0.2.1"]
    daemon.reload()
    check_children(daemon)
    assert "right_kept" not in daemon.log()


@needs_filters
def test_the_answerer_is_bound_in_what_it_may_hold(lab):
    daemon = lab.daemon("nameservers = { 127.0.0.77 }")
    soft = {}

    def is_bound():  # it lets go when its workers run, which nobody who asks has to wait for
        limits = pathlib.Path(f"/proc/{daemon.children()['hard-answerer']}/limits").read_text()
        soft.update({line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()})
        return soft["Max core file size"] == soft["Max locked memory"] == soft["Max processes"] == "0"

    wait_until(is_bound, 2, what="the limits")
    assert (1 << 29) < int(soft["Max data size"]) < (1 << 32)


def policies(pid):
    """The scheduling policies of a process's threads, by number (sched(7))."""
    seen = []
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread for a moment's work, that is over
            seen.append(int(path.read_text().rsplit(")", 1)[1].split()[38]))
    return sorted(seen)


def may_go_first():
    """Whether real-time priorities are to be had here; tried by a child."""
    def ask():
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

    try:
        subprocess.run(["true"], preexec_fn=ask, check=True)
    except subprocess.SubprocessError:
        return False
    return os.sched_getscheduler(0) == os.SCHED_OTHER and os.nice(0) <= 0


@needs_root
@pytest.mark.skipif(not may_go_first(), reason="no real-time priorities here")
def test_workers_alone_have_a_real_time_priority_while_they_are_calm(lab):
    daemon = lab.daemon("nameservers = { 127.0.0.77 }\n workers = 2")

    def is_so():
        return policies(daemon.children()["hard-answerer"]) == [os.SCHED_OTHER, os.SCHED_RR, os.SCHED_RR]

    wait_until(is_so, 3, what="workers that go first")
    for pid in (daemon.process.pid, daemon.children()["hard-checker"]):
        assert set(policies(pid)) == {os.SCHED_OTHER}
    replace(daemon, "hard-answerer")  # by a keeper that has few capabilities left
    wait_until(is_so, 3, what="workers that go first again")
    assert "no_real_time" not in daemon.log()


def test_with_a_nice_value_of_the_operators_nobody_goes_first(lab):
    daemon = lab.daemon("nameservers = { 127.0.0.77 }", start=False)
    daemon.start(preexec_fn=lambda: os.nice(1))
    daemon.ask("x.test")
    since = time.monotonic()
    wait_until(lambda: time.monotonic() - since > 1.2, 3, what="two looks of a worker")
    assert set(policies(daemon.children()["hard-answerer"])) == {os.SCHED_OTHER}


@pytest.fixture
def open_folder():
    """A folder that another user may reach, unlike pytest's."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="har-rights-", dir="/tmp"))
    if not all(parent.stat().st_mode & 1 for parent in folder.parents):
        shutil.rmtree(folder)
        pytest.skip("another user may not even enter / here (a chroot in a folder of root's own)")
    yield folder
    shutil.rmtree(folder)


@needs_root
@needs_filters
@in_own_network
def test_with_a_user_of_its_own_children_come_and_go_and_a_low_port_can_still_be_bound(open_folder, lab):
    nobody = pwd.getpwnam("nobody")
    os.chmod(open_folder, 0o755)
    data = open_folder / "data"
    data.mkdir()
    os.chown(data, nobody.pw_uid, nobody.pw_gid)
    add_addresses("192.0.2.53")
    body = 'user = "nobody"\nnameservers = { 127.0.0.77 }'
    daemon = lab.daemon(body, listen=[loopback()], port=53, folder=open_folder / "hard", data_file=data / "har.db")
    check_children(daemon)
    check_keeper(daemon, NET_BIND_SERVICE | SETPCAP | SYS_NICE | SETUID | SETGID | KILL)
    for name, pid in daemon.children().items():
        assert status(pid)["Uid"].split() == [str(nobody.pw_uid)] * 4, name
        replace(daemon, name)
    check_children(daemon)
    daemon.listen.append("192.0.2.53")
    daemon.reload(body)
    dnsclient.ask(("192.0.2.53", 53), "x.test", timeout=5)
    assert "right_kept" not in daemon.log()
    # The kernel asks whether a dying keeper may end its children, and theirs is another user.
    children = daemon.children().values()
    daemon.process.kill()
    daemon.process.wait()
    for pid in children:
        wait_until(lambda p=pid: not is_running(p), 3, what=f"end of {pid}")


@needs_root
@needs_filters
def test_files_that_shut_root_out_are_said_and_still_read(open_folder, lab):
    nobody = pwd.getpwnam("nobody")
    folder = open_folder / "hard"
    daemon = lab.daemon("nameservers = { 127.0.0.77 }", start=False, folder=folder)
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    os.chmod(folder, 0o700)
    daemon.start()
    assert "step=CAP_DAC_OVERRIDE" in daemon.log()
    daemon.reload()
    assert capabilities(daemon.children()["hard-checker"], "CapEff") == 1 << 1
    assert capabilities(daemon.children()["hard-answerer"], "CapEff") == 0


@needs_root
@needs_filters
def test_a_folder_that_shuts_root_out_is_said_though_the_data_file_is_there_already(open_folder, lab):
    nobody = pwd.getpwnam("nobody")
    os.chmod(open_folder, 0o755)
    data = open_folder / "data"
    data.mkdir(mode=0o755)
    os.chown(data, nobody.pw_uid, nobody.pw_gid)
    daemon = lab.daemon("nameservers = { 127.0.0.77 }", folder=open_folder / "hard", data_file=data / "har.db")
    daemon.stop()
    assert daemon.data_file.stat().st_uid == 0
    daemon.start()
    assert "step=CAP_DAC_OVERRIDE" in daemon.log()
    accepted = pathlib.Path(f"{daemon.data_file}.conf")
    before = accepted.stat().st_mtime_ns
    daemon.reload("nameservers = { 127.0.0.78 }")
    wait_until(lambda: accepted.stat().st_mtime_ns != before, 3, what="a copy of the configuration")
    assert "store_trouble" not in daemon.log() and "readonly" not in daemon.log(), daemon.log()


@needs_root
@needs_filters
@in_own_network
def test_an_upstream_with_a_scope_is_found_though_the_c_library_may_not_have_its_usual_socket_for_that(lab):
    add_addresses("fe80::53")
    (own_etc(lab) / "resolv.conf").write_text("nameserver fe80::53%lo\n")
    lab.script({("x.test", "A"): ["192.0.2.1"]}, address="::", port=53)
    daemon = lab.daemon("", listen=["127.77.0.1"], port=5353)
    assert daemon.addresses("x.test") == ["192.0.2.1"]
