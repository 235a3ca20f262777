"""Machines that are short of something, odd or stopped: it goes on, or says clearly why it does not."""
import itertools
import os
import re
import resource
import signal
import socket
import time

import dns.exception
import dns.message
import pytest

from lab import dnsclient
from lab.daemon import HARD, SANITIZED
from lab.net import loopback, wait_until
from lab.own_network import bind_over, in_own_network
from lab.surroundings import (ignoring_signals, limited, without_netlink_and_inotify, without_standard_descriptors)


def names(*webs, frequency=0.5):
    candidates = "".join(f'candidate c{i} {{ check_address = "{web.url}" }}\n' for i, web in enumerate(webs))
    return f"name a.test {{ selection_method = failover check_frequency = {frequency}\n{candidates} }}\n"


def processes(daemon):
    return {"hard": daemon.process.pid, **daemon.children()}


def cpu_seconds(daemon):
    ticks = 0
    for pid in processes(daemon).values():
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_for_first_answer(daemon, address):
    """Without its log, which may be nowhere."""
    def answers():
        try:
            return daemon.addresses("a.test", timeout=0.2) == [address]
        except OSError:
            return False
        except dns.exception.Timeout:
            return False

    wait_until(answers, 6, what="the first answer")


# ---- odd surroundings

def test_it_does_not_matter_how_it_is_started(lab):
    web = lab.web()
    gone = lab.folder / "gone"
    gone.mkdir()
    odd = {
        "no standard descriptors": {"preexec_fn": without_standard_descriptors},
        "signals ignored": {"preexec_fn": ignoring_signals},
        "an empty environment": {"env": {}},
        "a language that is not there": {"env": {"LC_ALL": "tr_TR.UTF-8", "LANG": "xx_YY", "TZ": ":/../garbage\x01"}},
        "a closed umask": {"preexec_fn": lambda: os.umask(0o777)},
        "an open umask": {"preexec_fn": lambda: os.umask(0)},
        "a folder that is gone": {"cwd": gone, "preexec_fn": gone.rmdir},
    }
    daemons = {}
    for what, how in odd.items():
        daemons[what] = lab.daemon('nameservers = { "127.0.0.1#1" }\n' + names(web), start=False)
        daemons[what].start(wait=False, **how)
    relative = daemons["a relative path"] = lab.daemon('nameservers = { "127.0.0.1#1" }\n' + names(web), start=False)
    relative.start(wait=False, args=[HARD, "har.conf"], cwd=relative.folder)
    killed = {}
    for what, daemon in daemons.items():
        wait_for_first_answer(daemon, web.address)
        killed[what] = daemon.children()["hard-checker"]
        os.kill(killed[what], signal.SIGKILL)  # and started again
    for what, daemon in daemons.items():
        wait_until(lambda: daemon.children().get("hard-checker", killed[what]) != killed[what], 3,
                   what=f"{what}: another checker")
        assert daemon.addresses("a.test") == [web.address], what
        for name, pid in processes(daemon).items():
            for fd in range(3):
                path = os.readlink(f"/proc/{pid}/fd/{fd}")
                assert path in ("/dev/null", str(daemon.log_path)), (what, name, fd, path)
        for file in daemon.folder.glob("har.db*"):
            assert file.stat().st_mode & 0o777 == 0o640, (what, file)
        assert daemon.stop() < 1.5, what


def test_a_reload_works_below_nohup(lab):
    web = lab.web()
    daemon = lab.daemon(names(web), start=False)
    daemon.start(preexec_fn=ignoring_signals)
    daemon.reload(names(web) + names(web).replace("a.test", "b.test"))
    assert daemon.addresses("b.test") == [web.address]


# ---- descriptors

def test_too_few_descriptors_are_a_clear_end(lab):
    daemon = lab.daemon(names(lab.web()), start=False)
    daemon.start(wait=False, preexec_fn=limited(resource.RLIMIT_NOFILE, 24))
    assert daemon.process.wait(timeout=5) == 1
    assert "RLIMIT_NOFILE allows 24 open files" in daemon.log() and "at least 32" in daemon.log()


def test_with_few_descriptors_it_answers_checks_and_forwards(lab):
    first, second, *others = lab.webs(*({} for _ in range(4)))
    upstream = lab.script({("x.test", "A"): ["192.0.2.1"]})
    many = "".join(f'name n{n}-{i}.test {{ candidate c {{ check_address = "{web.url}{i}" }} }}\n'
                   for n, web in enumerate(others) for i in range(40))
    daemon = lab.daemon(f"nameservers = {{ {upstream.spec} }}\n" + names(first, second) + many, start=False)
    daemon.start(preexec_fn=limited(resource.RLIMIT_NOFILE, 64))
    daemon.wait_for_log("event=tcp_connections_limited")
    assert "event=probes_limited" in daemon.log()
    connections = []
    try:
        for _ in range(200):
            connections.append(socket.create_connection(daemon.server, timeout=1))
        before = cpu_seconds(daemon)
        first.kill()
        daemon.wait_for_answer("a.test", [second.address], 5)
        for _ in range(50):
            assert daemon.addresses("a.test") == [second.address]
            assert daemon.addresses("x.test") == ["192.0.2.1"]
            assert daemon.addresses("a.test", tcp=True) == [second.address]
        assert cpu_seconds(daemon) - before < (6 if SANITIZED else 2), "no busy loop"
    finally:
        for connection in connections:
            connection.close()
    daemon.reload()
    assert daemon.addresses("a.test") == [second.address]


def test_every_process_raises_its_limit_of_descriptors(lab):
    daemon = lab.daemon(names(lab.web()), start=False)
    daemon.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512)))
    for name, pid in processes(daemon).items():
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (512, 512), name


def leave_free(pid, count):
    """Lets a process open so many descriptors more, and no others."""
    used = {int(number) for number in os.listdir(f"/proc/{pid}/fd")}
    free = (number for number in itertools.count() if number not in used)
    limit = next(itertools.islice(free, count, None))  # the first that is not to be had
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


def test_a_reload_that_would_leave_the_keeper_without_descriptors_is_refused(lab):
    first, second = lab.webs({}, {})
    daemon = lab.daemon(names(first, second))
    more = names(first, second) + names(second).replace("a.test", "b.test")
    before = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    leave_free(daemon.process.pid, 2)  # for the table and the counters, not for what follows
    daemon.reload(more, expect="reload_refused")
    assert "more open files are needed: Too many open files (see RLIMIT_NOFILE)" in daemon.log()
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, before)
    first.kill()
    daemon.wait_for_answer("a.test", [second.address], 6)  # the checker writes to the table that is served
    daemon.reload(more)
    daemon.wait_for_answer("b.test", [second.address], 3)


def ask_all_addresses(daemon, web):
    """For a name of ours over UDP and TCP; and once each for one that is forwarded: every such query may open a socket."""
    for tcp in (False, True):
        for address in daemon.listen:
            assert dnsclient.addresses(dnsclient.ask((address, daemon.port), "a.test", tcp=tcp)) == [web.address]
        assert daemon.addresses("x.test", tcp=tcp) == ["192.0.2.1"]


def test_the_least_descriptors_are_enough_for_two_addresses_and_a_reload(lab):
    web = lab.web()
    upstream = lab.script({("x.test", "A"): ["192.0.2.1"]})
    body = f"nameservers = {{ {upstream.spec} }}\n" + names(web)
    daemon = lab.daemon(body, start=False, listen=[loopback(), loopback()])
    daemon.start(preexec_fn=limited(resource.RLIMIT_NOFILE, 32))
    before = processes(daemon)
    for _ in range(3):
        ask_all_addresses(daemon, web)
        daemon.reload()
    ask_all_addresses(daemon, web)
    assert processes(daemon) == before


def needed_files(daemon, allowed):
    return int(re.findall(f"the answerer needs ([0-9]+) open files, and RLIMIT_NOFILE allows {allowed}", daemon.log())[-1])


@pytest.mark.parametrize("workers", [1, 3])
def test_more_addresses_than_the_answerer_has_descriptors_for_are_refused_with_their_number(lab, workers):
    web = lab.web()
    upstream = lab.script({("x.test", "A"): ["192.0.2.1"]})
    daemon = lab.daemon(f"nameservers = {{ {upstream.spec} }}\n" + names(web), start=False,
                        listen=[loopback() for _ in range(9)], extra=f"workers = {workers}")
    daemon.start(wait=False, preexec_fn=limited(resource.RLIMIT_NOFILE, 32))
    assert daemon.process.wait(timeout=5) == 1
    enough = needed_files(daemon, 32)
    daemon.start(preexec_fn=limited(resource.RLIMIT_NOFILE, enough))
    before = processes(daemon)
    ask_all_addresses(daemon, web)
    daemon.reload(expect="reload_refused")
    enough_for_reload = needed_files(daemon, enough)
    ask_all_addresses(daemon, web)
    assert processes(daemon) == before
    daemon.stop()
    daemon.start(preexec_fn=limited(resource.RLIMIT_NOFILE, enough_for_reload))
    before = processes(daemon)
    daemon.reload()
    ask_all_addresses(daemon, web)
    assert processes(daemon) == before and "sockets_refused" not in daemon.log()
    daemon.stop()
    # However many clients connect, they leave what the next reload needs.
    daemon.start(preexec_fn=limited(resource.RLIMIT_NOFILE, enough_for_reload + 4 * workers))
    before = processes(daemon)
    connections = [socket.create_connection(daemon.server, timeout=1) for _ in range(50)]
    ask_all_addresses(daemon, web)
    daemon.reload()
    ask_all_addresses(daemon, web)
    assert processes(daemon) == before and "sockets_refused" not in daemon.log()
    for connection in connections:
        connection.close()


def test_a_reload_to_more_addresses_than_there_are_descriptors_for_leaves_the_old_ones_serving(lab):
    web = lab.web()
    daemon = lab.daemon(names(web), start=False)
    daemon.start(preexec_fn=limited(resource.RLIMIT_NOFILE, 64))
    before = processes(daemon)
    listen = daemon.listen
    daemon.listen = listen + [loopback() for _ in range(60)]
    daemon.reload(names(web), expect="reload_refused")
    assert needed_files(daemon, 64) > 64
    assert daemon.addresses("a.test") == [web.address]
    assert processes(daemon) == before and "event=process_ended" not in daemon.log()
    daemon.listen = listen
    daemon.reload(names(web))


# ---- memory

@pytest.mark.skipif(SANITIZED, reason="a sanitizer's shadow memory has no limit")
def test_too_little_memory_is_a_clear_end(lab):
    daemon = lab.daemon(names(lab.web()), start=False)
    daemon.start(wait=False, preexec_fn=limited(resource.RLIMIT_DATA, 4 << 20))
    assert daemon.process.wait(timeout=5) == 1
    assert re.search("event=out_of_(memory|threads) process=hard-checker", daemon.log()), daemon.log()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's shadow memory has no limit")
def test_a_reload_that_needs_more_memory_than_there_is_leaves_the_old_table_serving(lab):
    web = lab.web()
    daemon = lab.daemon(names(web))
    checker = daemon.children()["hard-checker"]
    data = int(re.search(r"VmData:\s+(\d+)", open(f"/proc/{checker}/status").read()).group(1)) * 1024
    resource.prlimit(checker, resource.RLIMIT_DATA, (data + (1 << 20), data + (1 << 20)))
    many = "".join(names(web).replace("a.test", f"n{i}.test") for i in range(20_000))
    with dnsclient.Load(daemon.server, dnsclient.query("a.test").to_wire(), interval=0.002) as load:
        daemon.write_config(names(web) + many)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for_log("event=out_of_memory process=hard-checker", timeout=10)
        daemon.wait_for_log("event=running names=1 .*resumed=yes", timeout=5)
    assert not load.lost()
    assert daemon.addresses("a.test") == [web.address]


def test_a_reload_beyond_the_limit_of_file_sizes_is_refused(lab):
    web = lab.web()
    daemon = lab.daemon(names(web), start=False)
    daemon.start(preexec_fn=limited(resource.RLIMIT_FSIZE, 200_000))
    before = processes(daemon)
    daemon.reload("".join(names(web).replace("a.test", f"n{i}.test") for i in range(2000)), expect="reload_refused")
    assert "File too large" in daemon.log()
    assert daemon.addresses("a.test") == [web.address]
    assert processes(daemon) == before


# ---- stopped

def test_all_processes_stopped_for_seconds_make_nothing_fall_and_ask_anew_at_once(lab):
    webs = lab.webs(*({} for _ in range(3)))

    def act(query, tcp):
        if query.question[0].name.to_text() == "a.x.test.":
            time.sleep(0.3)  # then we are stopped
        return upstream.answer(query, tcp)

    upstream = lab.script({("x.test", "A"): ["192.0.2.1"], ("a.x.test", "A"): ["192.0.2.2"]}, act=act)
    slow, quick = names(*webs, frequency=20), names(webs[0]).replace("a.test", "b.test")
    daemon = lab.daemon(f"nameservers = {{ {upstream.spec} }}\n" + slow + quick)
    daemon.wait_for_answer("a.test", [webs[0].address], 3)
    before = len(daemon.log())
    pids = processes(daemon)
    with dnsclient.udp_socket(daemon.server) as waiting, dnsclient.udp_socket(daemon.server) as under_way:
        under_way.send(dnsclient.query("a.x.test").to_wire())
        wait_until(lambda: ("a.x.test", "A") in upstream.seen, 1, pause=0.001, what="a query under way")
        for pid in pids.values():
            os.kill(pid, signal.SIGSTOP)
        waiting.send(dnsclient.query("a.test").to_wire())
        time.sleep(5.5)
        asked = [web.requests()[0] for web in webs]
        for pid in pids.values():
            os.kill(pid, signal.SIGCONT)
        assert dnsclient.addresses(dns.message.from_wire(waiting.recv(4096))) == [webs[0].address]
        # Its time is up, but its reply was there.
        assert dnsclient.addresses(dns.message.from_wire(under_way.recv(4096))) == ["192.0.2.2"]
    wait_until(lambda: all(web.requests()[0] > n for web, n in zip(webs, asked)), 0.6, what="a fresh round")
    assert daemon.addresses("a.test") == daemon.addresses("b.test") == [webs[0].address]
    assert daemon.addresses("x.test") == ["192.0.2.1"]
    assert processes(daemon) == pids
    assert "event=endpoint_down" not in daemon.log()[before:] and "network_lost" not in daemon.log()[before:]
    daemon.wait_for_log("event=network_changed what=(stopped|resumed)", since=before)


# ---- what the kernel may refuse

@in_own_network
def test_without_netlink_and_inotify_it_goes_on_with_one_line_each(lab):
    etc = lab.folder / "etc"
    etc.mkdir()
    bind_over("/etc", etc)
    lab.script({("x.test", "A"): ["192.0.2.1"]}, address="127.5.0.1", port=53)
    (etc / "resolv.conf").write_text("nameserver 127.5.0.1\n")
    first, second = lab.webs({}, {})
    daemon = lab.daemon(names(first, second), start=False)
    daemon.start(preexec_fn=without_netlink_and_inotify)
    assert daemon.addresses("x.test") == ["192.0.2.1"]
    first.kill()
    daemon.wait_for_answer("a.test", [second.address], 4)
    os.kill(daemon.children()["hard-checker"], signal.SIGKILL)
    daemon.wait_for_log("resumed=yes")
    for line in ("event=network_not_followed", "event=resolv_conf_not_followed"):
        assert daemon.log().count(line) == 2, daemon.log()  # of each checker
    assert "network_lost" not in daemon.log()


@in_own_network
def test_without_a_free_port_nobody_goes_down(lab):
    """All local ports of a busy host are taken: that says nothing of those whom we would have asked."""
    web = lab.web()
    daemon = lab.daemon(names(web, frequency=0.2))
    daemon.wait_for_answer("a.test", [web.address], 3)
    ports = range(61000, 61008)
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as limits:
            limits.write(f"{ports[0]} {ports[-1]}")
    except OSError as error:
        pytest.skip(f"the kernel's range of ports cannot be set here: {error}")
    taken = []
    for port in ports:
        taken.append(socket.socket())
        taken[-1].bind(("0.0.0.0", port))
    daemon.wait_for_log("event=probe_not_started error=\"no free local port\"", timeout=2)
    time.sleep(1.5)  # more probes than `fall`
    assert daemon.addresses("a.test") == [web.address]
    assert "event=endpoint_down" not in daemon.log(), daemon.log()
    for one in taken:
        one.close()
    before = web.requests()[0]
    wait_until(lambda: web.requests()[0] > before, 2, what="a new check")
    assert "event=endpoint_down" not in daemon.log(), daemon.log()
