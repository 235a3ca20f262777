"""SIGUSR2: the daemon becomes the program that stands in its place now, and no query is lost.

An upgrade from an earlier version, whose table may have another layout: with HAR_BUILD_BEFORE, a folder with its programs."""
import os
import pathlib
import shutil
import signal
import subprocess
import time

import dns.message
import pytest

from lab import dnsclient
from lab.daemon import BUILD, is_running
from lab.net import wait_until

PROGRAMS = ("hard", "hard-answerer", "hard-checker")


class KeptConnection:
    """One TCP connection, a question at a time."""

    def __init__(self, server):
        self._socket = dnsclient.tcp_socket(server)

    def ask(self, name):
        self._socket.sendall(dnsclient.frame(dnsclient.query(name).to_wire()))
        return dns.message.from_wire(dnsclient.receive_message(self._socket))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()


def install(folder, build=BUILD):
    """Copies of the programs, each put into its place whole, as package managers do."""
    folder.mkdir(exist_ok=True)
    for name in PROGRAMS:
        shutil.copy2(build / name, folder / f"{name}.new")
        os.replace(folder / f"{name}.new", folder / name)


def make_world(lab, tmp_path, build):
    class World:
        pass

    world = World()
    world.folder = tmp_path / "sbin"
    install(world.folder, build)
    world.first, world.second = lab.webs({}, {})
    world.upstream = lab.script({("x.test", "A"): ["192.0.2.1"]})
    world.body = f"""
        nameservers = {{ {world.upstream.spec} }}
        name a.test {{ selection_method = failover check_frequency = 0.5
          candidate one {{ check_address = "{world.first.url}" }}
          candidate two {{ check_address = "{world.second.url}" }}
        }}"""
    world.daemon = lab.daemon(world.body, start=False)
    daemon = world.daemon
    log = open(daemon.log_path, "ab")
    daemon.log_start = 0
    daemon.process = subprocess.Popen([world.folder / "hard", daemon.config], stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log)
    log.close()
    daemon.wait_for_log("event=ready", timeout=6)
    return world


@pytest.fixture
def world(lab, tmp_path):
    return make_world(lab, tmp_path, BUILD)


def upgrade(daemon, expect="event=upgrade_done", timeout=8):
    before = len(daemon.log())
    daemon.process.send_signal(signal.SIGUSR2)
    daemon.wait_for_log(expect, timeout=timeout, since=before)


def test_an_upgrade_under_load_loses_no_query_and_replaces_every_process(world):
    daemon = world.daemon
    own = dnsclient.query("a.test").to_wire()
    other = dnsclient.query("x.test").to_wire()
    with dnsclient.Load(daemon.server, own, interval=0.001) as a, dnsclient.Load(daemon.server, other) as b:
        for _ in range(3):
            before = daemon.children()
            install(world.folder)
            upgrade(daemon)
            after = daemon.children()
            assert set(after) == set(before) == {"hard-answerer", "hard-checker"}
            assert not set(after.values()) & set(before.values())
            assert not any(is_running(pid) for pid in before.values())
            assert os.readlink(f"/proc/{daemon.process.pid}/exe") == str(world.folder / "hard"), "the new file"
    assert len(a.replies) > 100 and len(b.replies) > 50
    assert not a.lost() and not b.lost()
    assert max(took for _, took, _ in a.replies) < 0.5
    world.first.kill()
    daemon.wait_for_answer("a.test", [world.second.address], 6)
    daemon.reload()


@pytest.mark.skipif("HAR_BUILD_BEFORE" not in os.environ, reason="HAR_BUILD_BEFORE says where an earlier version is")
def test_an_earlier_version_becomes_this_one_under_load_and_this_one_that_again(lab, tmp_path):
    earlier = pathlib.Path(os.environ["HAR_BUILD_BEFORE"])
    world = make_world(lab, tmp_path, earlier)
    daemon = world.daemon
    own = dnsclient.query("a.test").to_wire()
    other = dnsclient.query("x.test").to_wire()
    with dnsclient.Load(daemon.server, own, interval=0.001) as a, dnsclient.Load(daemon.server, other) as b:
        for build in (BUILD, earlier, BUILD):
            install(world.folder, build)
            upgrade(daemon)
    assert not a.lost() and not b.lost()
    for _, _, wire in a.replies:
        assert dnsclient.addresses(dns.message.from_wire(wire)) == [world.first.address]
    world.first.kill()
    daemon.wait_for_answer("a.test", [world.second.address], 6)


def test_a_connection_kept_over_an_upgrade_is_answered_on(world):
    daemon = world.daemon
    with KeptConnection(daemon.server) as kept:
        assert kept.ask("a.test")
        before = len(daemon.log())
        old_answerer = daemon.children()["hard-answerer"]
        daemon.process.send_signal(signal.SIGUSR2)
        daemon.wait_for_log("event=upgraded", since=before)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert dnsclient.addresses(kept.ask("a.test")) == [world.first.address]
            assert dnsclient.addresses(kept.ask("x.test")) == ["192.0.2.1"]
            time.sleep(0.02)
        assert is_running(old_answerer), "it has a connection still"
        assert "event=upgrade_done" not in daemon.log()[before:]
    daemon.wait_for_log("event=upgrade_done", since=before)
    assert not is_running(old_answerer)


@pytest.mark.parametrize("program", ["hard", "hard-checker"])
def test_a_program_that_cannot_start_does_not_become_the_daemon(world, program):
    daemon = world.daemon
    before = daemon.children()
    os.rename(world.folder / program, world.folder / f"{program}.kept")
    (world.folder / program).write_text("not a program\n")
    if program == "hard":
        (world.folder / program).chmod(0o755)
    upgrade(daemon, "event=upgrade_refused")
    assert daemon.children() == before
    assert daemon.addresses("a.test") == [world.first.address]
    os.replace(world.folder / f"{program}.kept", world.folder / program)
    upgrade(daemon)


def test_an_upgrade_asked_for_during_a_reload_waits_for_its_end(world):
    daemon = world.daemon
    for reloads in (1, 3):
        before = len(daemon.log())
        body = world.body + f'name new{reloads}.test {{ candidate c {{ check_address = "{world.second.url}" }} }}'
        daemon.write_config(body)
        for _ in range(reloads):
            daemon.process.send_signal(signal.SIGHUP)
            time.sleep(0.01)  # signals of one kind are one, until they are read
        daemon.process.send_signal(signal.SIGUSR2)
        daemon.wait_for_log("event=upgrade_done", timeout=8, since=before)
        assert "event=reloaded" in daemon.log()[before:]
        assert daemon.addresses("a.test") == [world.first.address]
        daemon.wait_for_answer(f"new{reloads}.test", [world.second.address], 5)


def test_the_signal_is_the_keepers_alone(world):
    children = world.daemon.children()
    for pid in children.values():
        os.kill(pid, signal.SIGUSR2)
    assert world.daemon.addresses("a.test") == [world.first.address]
    upgrade(world.daemon)  # by now they would be dead
    assert "process_ended" not in world.daemon.log()


def test_sigterm_in_the_middle_of_an_upgrade_ends_everything(world):
    daemon = world.daemon
    with KeptConnection(daemon.server) as kept:
        assert kept.ask("a.test")
        before = len(daemon.log())
        daemon.process.send_signal(signal.SIGUSR2)
        daemon.wait_for_log("process=answerer event=.*|event=upgraded", since=before)
        children = [*daemon.children().values()]
        assert daemon.stop() < 1.5
        wait_until(lambda: not any(is_running(pid) for pid in children), 2, what="the end of all")


def test_a_new_checker_that_finds_a_table_of_another_layout_lays_out_a_new_one(world):
    daemon = world.daemon
    keeper = daemon.process.pid
    for number in os.listdir(f"/proc/{keeper}/fd"):
        path = f"/proc/{keeper}/fd/{number}"
        if os.readlink(path).startswith("/memfd:har-table"):
            with open(path, "r+b") as table:
                table.seek(8)  # behind the magic number
                table.write((99).to_bytes(4, "little"))
    with dnsclient.Load(daemon.server, dnsclient.query("a.test").to_wire(), interval=0.002) as load:
        os.kill(daemon.children()["hard-checker"], signal.SIGKILL)
        daemon.wait_for_log("event=table_refused.*99", timeout=3)
        daemon.wait_for_log("event=running names=1 generation=2 resumed=no", timeout=3)
        world.first.kill()
        daemon.wait_for_answer("a.test", [world.second.address], 6)
    assert not load.lost()
    # And the next one finds a table that it knows.
    os.kill(daemon.children()["hard-checker"], signal.SIGKILL)
    daemon.wait_for_log("event=running names=1 generation=2 resumed=yes", timeout=3)
    assert daemon.addresses("a.test") == [world.second.address]
