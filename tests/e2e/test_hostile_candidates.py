"""Web servers and zones of candidates that mean no good, all at once, beside healthy ones: each gets the verdict that is
due, and takes neither memory nor time from the others."""
import concurrent.futures
import pathlib
import sqlite3
import struct
import subprocess
import sys
import time

import pytest

from lab.daemon import SANITIZED
from lab.net import free_port, loopback
from lab.pki import Authority

FREQUENCY = 0.5
WATCHED = 4.0  # seconds of checks that are judged
RECORDS = 4000  # what 64 KiB over TCP hold

# what: (the server's behaviour, https, expect_body, state, a word of the reason)
CASES = {
    "silent": ("silent", False, "", "down", "timeout waiting for the response"),
    "silent-tls": ("silent", True, "", "down", "timeout in the TLS handshake"),
    "slow-head": ("slow-head", False, "", "down", "timeout waiting for the response"),
    "slow-body": ("slow-body", False, "ready", "down", "timeout in the body"),
    "slow-body-unread": ("slow-body", False, "", "up", "first observation: ok"),
    "endless-head": ("endless-head", False, "", "down", "head too long"),
    "endless-line": ("endless-line", False, "", "down", "not HTTP"),
    "endless-interim": ("endless-interim", False, "", "down", "head too long"),
    "endless-body": ("endless-body", False, "ready", "down", "body not as expected"),
    "endless-body-unread": ("endless-body", False, "", "up", "first observation: ok"),
    "too-long": ("too-long", False, "never", "down", "body cut short"),
    "too-short": ("too-short", False, "ready", "down", "body not as expected"),
    "negative": ("negative", False, "ready", "down", "not HTTP"),
    "twice": ("twice", False, "never", "down", "body cut short"),
    "enormous": ("enormous", False, "never", "down", "not HTTP"),
    "bad-chunks": ("bad-chunks", False, "ready", "down", "body malformed"),
    "garbage": ("garbage", False, "", "down", "not HTTP"),
    "garbage-tls": ("garbage-at-once", True, "", "down", "TLS handshake failed"),
    "closes": ("closes", False, "", "down", "no response"),
    "reset-at-once": ("reset-at-once", False, "", "down", ("reset", "connection broke")),  # before we look, or after
    "reset-after-request": ("reset-after-request", False, "", "down", "connection broke"),
    "reset-in-head": ("reset-in-head", False, "", "down", "connection broke"),
    "reset-in-body": ("reset-in-body", False, "ready", "down", "connection broke"),
    "redirect": ("redirect:", False, "", "down", "status 302"),
    "expired": ("tls:expired", True, "", "down", "certificate expired"),
    "wrong-name": ("tls:wrong-name", True, "", "down", "certificate is for another name"),
    "self-signed": ("tls:self-signed", True, "", "down", "certificate self-signed"),
}


class Hostile:
    def __init__(self, port, servers):
        script = pathlib.Path(__file__).parent / "lab" / "hostile_web.py"
        self.process = subprocess.Popen([sys.executable, script, str(port), *servers], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def many_addresses(query, tcp):
    """As many records as a message holds; over UDP it is truncated."""
    wire = query.to_wire()
    question = wire[12:wire.index(b"\0", 12) + 5]
    is_a = question[-4:-2] == b"\0\1"
    head = wire[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, RECORDS if tcp and is_a else 0, 0, 0)
    if not tcp:
        return head[:2] + b"\x83\x80" + head[4:] + question
    if not is_a:
        return head + question
    # 127.192.0.0 and on: nobody listens there.
    return head + question + b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\x05\0\x04" + bytes((127, 192, n // 250, n % 250 + 1))
                                      for n in range(RECORDS))


@pytest.fixture(scope="module")
def seen(module_lab):
    """What the data file says after a while, and what it cost."""
    lab = module_lab
    authority = Authority(lab.folder / "pki")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        certificates = {
            "expired": pool.submit(authority.issue, "expired", "expired.test", end="20210101000000Z").result(),
            "wrong-name": pool.submit(authority.issue, "wrong-name", "someone-else.test").result(),
            "self-signed": pool.submit(authority.self_signed, "self-signed", "self-signed.test").result(),
        }
    forbidden, healthy, also_healthy = lab.webs({}, {}, {})
    at = {case: loopback() for case in CASES}
    port = free_port(*at.values())
    servers = []
    for case, (how, *_) in CASES.items():
        if how.startswith("tls:"):
            certificate, key = certificates[how.removeprefix("tls:")]
            how = f"tls:{certificate}:{key}"
        servers.append(f"{at[case]}={how}{forbidden.url if how == 'redirect:' else ''}")
    lab._own(Hostile(port, servers))
    upstream = lab.script(act=many_addresses)
    names = "".join(f"""
        name {case}.ours.test {{ {f'expect_body = "{body}"' if body else ''}
          candidate c {{ check_address = "http{'s' if tls else ''}://{at[case]}:{port}/" check_host = {case}.test }} }}"""
                    for case, (_, tls, body, _, _) in CASES.items())
    daemon = lab.daemon(f"""
        nameservers = {{ {upstream.spec} }}
        defaults {{ failure_mode = nodata check_frequency = {FREQUENCY} check_ca_file = "{authority.certificate}" }}
        {names}
        name many.ours.test {{ candidate many.test {{ check_port = {port} check_frequency = 2 }} }}
        name healthy.ours.test {{
          candidate one {{ check_address = "{healthy.url}" }} candidate two {{ check_address = "{also_healthy.url}" }} }}""")
    pids = daemon.children()
    time.sleep(1)
    memory = daemon.resident_kib("hard-checker")
    time.sleep(WATCHED)

    class Seen:
        pass

    seen = Seen()
    seen.grown_kib = daemon.resident_kib("hard-checker") - memory
    seen.memory_kib = memory
    seen.pids_stay = daemon.children() == pids
    seen.forbidden_requests = forbidden.requests()[0]
    seen.answer = daemon.addresses("healthy.ours.test")
    seen.healthy = {healthy.address, also_healthy.address}
    seen.hostile_answers = {case: daemon.addresses(f"{case}.ours.test") for case in CASES}
    seen.at = at
    daemon.stop()
    with sqlite3.connect(f"file:{daemon.data_file}?mode=ro", uri=True) as database:
        seen.candidates = {row[0]: row[1:] for row in database.execute(
            "select name, state, last_check_status from candidates where name not like 'many%'")}
        seen.events = {row[0]: row[1:] for row in database.execute(
            "select name, new, reason from events where kind = 'state' order by time")}
        seen.many = database.execute("select count(*) from candidates where name = 'many.ours.test'").fetchone()[0]
        seen.times = {}
        for address, when in database.execute(
                "select address, time from samples where name = 'healthy.ours.test' order by time"):
            seen.times.setdefault(address, []).append(when)
    return seen


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_is_right(seen, case):
    _, _, _, state, reason = CASES[case]
    assert seen.candidates[f"{case}.ours.test"][0] == state, seen.candidates[f"{case}.ours.test"]
    assert seen.hostile_answers[case] == ([seen.at[case]] if state == "up" else [])
    new, said = seen.events[f"{case}.ours.test"]
    reasons = (reason,) if isinstance(reason, str) else reason
    assert new == state and any(one in said for one in reasons), said


def test_a_redirect_is_not_followed(seen):
    assert seen.forbidden_requests == 0


def test_of_thousands_of_addresses_64_are_taken(seen):
    assert seen.many == 64


def test_memory_is_bounded_and_nobody_dies(seen):
    assert seen.pids_stay
    if not SANITIZED:
        assert seen.memory_kib < 32 * 1024 and seen.grown_kib < 2 * 1024


def test_the_healthy_beside_them_are_checked_on_schedule(seen):
    assert set(seen.answer) <= seen.healthy and seen.answer
    assert set(seen.times) == seen.healthy
    for times in seen.times.values():
        gaps = [b - a for a, b in zip(times, times[1:])]
        assert len(gaps) >= WATCHED / FREQUENCY - 1
        assert max(gaps) < (3 if SANITIZED else 1.5) * FREQUENCY, gaps
