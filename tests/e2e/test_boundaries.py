"""What one process of the daemon, once hostile bytes have taken it over, cannot make of the others; and what the daemon
takes from whoever starts it."""
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import textwrap

import dns.exception
import pytest

from lab.daemon import BUILD, HARD
from lab.net import free_port, loopback, wait_until
from test_rights import needs_root, open_folder  # noqa: F401  (a fixture)

USER = "nobody"

# A checker that has been taken over: asks for what it must not get, and dies so that its successor is started. Speaks
# the protocol of src/app/messages.h; what it sees goes to a file.
HOSTILE_CHECKER = """
    import ctypes, os, pwd, socket, struct, sys, time

    HELLO, PREPARE, PREPARED, REFUSED, COMMIT = 1, 2, 3, 4, 5
    keeper = socket.socket(fileno=3)
    notes = open({notes!r}, "a", buffering=1)

    def receive():
        body, fds, _, _ = socket.recv_fds(keeper, 65540, 200)
        return struct.unpack("<I", body[:4])[0], body[4:], fds

    def number(n):
        return struct.pack("<Q", n)

    def text(value):
        return number(len(value)) + value

    def prepare(user):
        address = number(4) + text(socket.inet_aton({address!r}).ljust(16, b"\\0")) + number({port}) + number(0) * 2
        keeper.send(struct.pack("<I", PREPARE) + number(1) + number(0) + number(4096) * 2 + text(user) + number(2) +
                    number(1) + address)
        kind = receive()[0]
        notes.write(f"prepare as {{user.decode() or 'whoever'}}: {{'prepared' if kind == PREPARED else 'refused'}}\\n")

    keeper.setblocking(True)
    kind, body, fds = receive()
    resume, size = struct.unpack("<QQ", body[:16])
    user = body[16 + size + 8 + 8:].decode()
    notes.write(f"hello: resume {{resume}} as {{user or 'whoever'}}\\n")
    if resume:
        time.sleep(60)
    prepare({user!r}.encode())
    bundle = os.memfd_create("bundle")
    os.write(bundle, b"har accepted configuration 1\\n")
    socket.send_fds(keeper, [struct.pack("<I", COMMIT) + number(1)], [bundle])
    prepare(b"")
    prepare(b"root")
    os._exit(1)
"""


def test_a_checker_that_was_taken_over_cannot_have_its_successor_started_as_somebody_else(lab, tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    for program in ("hard", "hard-answerer"):
        shutil.copy(BUILD / program, folder)
    notes = tmp_path / "notes"
    address = loopback()
    script = textwrap.dedent(HOSTILE_CHECKER).format(notes=str(notes), address=address, port=free_port(address),
                                                     user=USER)
    checker = folder / "hard-checker"
    checker.write_text(f"#!{sys.executable}\n{script}")
    checker.chmod(0o755)
    config = tmp_path / "har.conf"
    config.write_text("# read by nobody here\n")
    log = tmp_path / "log"
    with open(log, "wb") as out:
        daemon = subprocess.Popen([folder / "hard", config], stdout=out, stderr=out)

    def there_is_a_second():
        assert daemon.poll() is None, f"the daemon ended with {daemon.returncode}"
        return notes.exists() and "resume 1" in notes.read_text()

    try:
        wait_until(there_is_a_second, 10, what="a second checker")
    except AssertionError:
        print(log.read_text(), notes.read_text() if notes.exists() else "no checker has said a word")
        raise
    finally:
        daemon.terminate()
        daemon.wait(timeout=10)
    assert notes.read_text().splitlines() == [
        "hello: resume 0 as whoever",
        f"prepare as {USER}: prepared",
        "prepare as whoever: refused",
        "prepare as root: refused",
        f"hello: resume 1 as {USER}",
    ]
    assert "event=prepare_refused" in log.read_text()


@needs_root
def test_an_accepted_copy_that_the_daemons_user_has_written_does_not_run_as_root(open_folder, lab):  # noqa: F811
    nobody = pwd.getpwnam(USER)
    os.chmod(open_folder, 0o755)
    data = open_folder / "data"
    data.mkdir()
    os.chown(data, nobody.pw_uid, nobody.pw_gid)
    daemon = lab.daemon(f'user = "{USER}"\nnameservers = {{ 127.0.0.77 }}', folder=open_folder / "hard",
                        data_file=data / "har.db")
    copy = data / "har.db.conf"
    wait_until(copy.exists, 2, what="the accepted copy")
    assert copy.stat().st_uid == nobody.pw_uid
    daemon.stop()
    good = copy.read_text()
    daemon.config.write_text(daemon.config.read_text() + "mistake\n")
    daemon.start()  # an honest copy still runs
    assert "running_on=" in daemon.log()
    daemon.stop()

    def without_the_user(text):
        """The same, one line less: the daemon would stay root."""
        head, rest = text.split("file ", 1)
        sizes, rest = rest.split("\n", 1)
        path_size, size = map(int, sizes.split())
        path, body = rest[:path_size], rest[path_size + 1:path_size + 1 + size]
        less = body.replace(f'user = "{USER}"\n', "")
        assert less != body
        return f"{head}file {path_size} {len(less)}\n{path}\n{less}\n"

    copy.write_text(without_the_user(good))
    daemon.start(wait=False)
    assert daemon.process.wait(timeout=10) == 2
    assert "event=accepted_copy_refused" in daemon.log()


def links_of(pid):
    out = {}
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            out[int(fd.name)] = os.readlink(fd)
        except FileNotFoundError:
            pass
    return out


def test_the_children_get_no_descriptor_that_the_keeper_was_started_with(lab, tmp_path):
    daemon = lab.daemon("nameservers = { 127.0.0.77 }", start=False)
    secret = tmp_path / "secret"
    secret.write_text("of whoever starts the daemon")
    with open(secret) as inherited, open(daemon.log_path, "ab") as log:
        daemon.log_start = 0
        daemon.process = subprocess.Popen([HARD, daemon.config], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                          pass_fds=[inherited.fileno()])
        daemon.wait_for_log("event=ready", timeout=6)
    for name, pid in daemon.children().items():
        assert str(secret) not in links_of(pid).values(), name


def test_with_its_standard_descriptors_closed_no_socket_of_ours_takes_their_numbers(lab):
    web = lab.web()
    daemon = lab.daemon(f"""
        nameservers = {{ 127.0.0.77 }}
        name a.test {{ candidate c {{ check_address = "{web.url}" }} }}""", start=False)
    daemon.process = subprocess.Popen(["sh", "-c", 'exec "$0" "$1" 0<&- 1>&- 2>&-', HARD, daemon.config])
    daemon.log_path.touch()
    daemon.log_start = 0
    wait_until(lambda: len(daemon.children()) == 2, 5, what="its children")

    def answers():  # there is no log that would tell when its sockets are there
        try:
            return daemon.addresses("a.test", timeout=0.3) == [web.address]
        except dns.exception.Timeout:
            return False

    wait_until(answers, 6, what="an answer")
    for pid in [daemon.process.pid, *daemon.children().values()]:
        seen = links_of(pid)
        assert [seen.get(number) for number in range(3)] == ["/dev/null"] * 3, (pid, seen)


# Executes hard where /proc is empty, in the working directory: by the name that is given, which the kernel then knows.
WITHOUT_PROC = """mount --bind "$1" /proc && exec "$2" -c 'import os, sys; os.execv(sys.argv[1], sys.argv[1:])' "$3" "$4" "$5" """


@needs_root
def test_without_proc_it_runs_what_stands_beside_it_and_never_what_lies_in_the_working_directory(tmp_path):
    programs, here, empty = tmp_path / "programs", tmp_path / "here", tmp_path / "empty"
    for folder in (programs, here, empty):
        folder.mkdir()
    shutil.copy(HARD, programs)
    shutil.copy(HARD, here)
    for folder in (programs, here):
        checker = folder / "hard-checker"
        checker.write_text(f"#!/bin/sh\necho of {folder.name}\n")
        checker.chmod(0o755)

    def check(name, working_directory=here):
        return subprocess.run(["unshare", "-m", "sh", "-c", WITHOUT_PROC, "sh", empty, sys.executable, name, "--check",
                               tmp_path / "har.conf"], cwd=working_directory, capture_output=True, text=True, timeout=10)

    if check(programs / "hard").stderr.startswith(("unshare:", "mount:")):
        pytest.skip("no mounts of one's own here")
    assert check(programs / "hard").stdout == "of programs\n"
    assert check("./hard", programs).stdout == "of programs\n"
    refused = check("hard")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "event=cannot_start" in refused.stderr and "/proc/self/exe" in refused.stderr
