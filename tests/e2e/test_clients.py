"""Real clients: dig, glibc's resolver with its options, Python. /etc/resolv.conf of the test's own names us."""
import subprocess
import sys

from lab.own_network import bind_over, in_own_network

US = "127.77.0.1"


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=20, **options)


@in_own_network
def test_dig_and_glibc_get_what_they_ask_for(lab):
    resolv_conf = lab.folder / "resolv.conf"
    resolv_conf.write_text(f"nameserver {US}\n")
    bind_over("/etc/resolv.conf", resolv_conf)
    upstream = lab.script({
        ("plain.test", "A"): ["192.0.2.1"], ("plain.test", "AAAA"): ["2001:db8::1"],
        ("alias.test", "CNAME"): ["plain.test."], ("ours.test", "MX"): ["10 plain.test."],
    }, address="127.5.0.1")
    web = lab.web(address="127.6.0.1")
    down = "127.6.0.9"
    lab.daemon(f"""
        nameservers = {{ {upstream.spec} }}
        name ours.test {{ candidate c {{ check_address = "{web.url}" }} }}
        name empty.test {{ failure_mode = nodata candidate c {{ check_address = "tcp://{down}:1" }} }}
        """, listen=[US], port=53)

    # dig, as people use it
    assert run("dig", "+short", f"@{US}", "ours.test").stdout == "127.6.0.1\n"
    assert run("dig", "+short", "+tcp", f"@{US}", "oURs.test").stdout == "127.6.0.1\n"
    full = run("dig", f"@{US}", "ours.test", "AAAA").stdout
    assert "status: NOERROR" in full and "flags: qr aa rd ra" in full and "ANSWER: 0" in full and "AUTHORITY: 1" in full
    assert "WARNING" not in full
    assert run("dig", "+short", f"@{US}", "ours.test", "MX").stdout == "10 plain.test.\n"
    assert "status: NXDOMAIN" in run("dig", f"@{US}", "missing.test").stdout
    assert "EDE: 0" in run("dig", f"@{US}", "empty.test").stdout

    # glibc, with each of its options
    for options in ("", "single-request", "single-request-reopen", "use-vc", "no-aaaa", "edns0", "trust-ad", "rotate",
                    "timeout:1 attempts:1", "edns0 use-vc trust-ad"):
        resolv_conf.write_text(f"nameserver {US}\noptions {options}\n" if options else f"nameserver {US}\n")
        got = run("getent", "ahosts", "ours.test")
        assert {line.split()[0] for line in got.stdout.splitlines()} == {"127.6.0.1"}, (options, got)
        got = run("getent", "ahosts", "plain.test").stdout
        expected = {"192.0.2.1"} if "no-aaaa" in options else {"192.0.2.1", "2001:db8::1"}
        assert {line.split()[0] for line in got.splitlines()} == expected, (options, got)
        missing = run("getent", "ahosts", "empty.test")
        assert missing.returncode == 2, (options, missing)

    # search lists with ndots: the suffixed name is another one
    resolv_conf.write_text(f"nameserver {US}\nsearch svc.cluster.local cluster.local\noptions ndots:5\n")
    got = run("getent", "ahosts", "ours.test").stdout
    assert {line.split()[0] for line in got.splitlines()} == {"127.6.0.1"}
    assert ("ours.test.svc.cluster.local", "A") in upstream.seen

    code = "import socket; print(sorted({a[4][0] for a in socket.getaddrinfo('ours.test', 80)}))"
    got = run(sys.executable, "-c", code)
    assert got.stdout == "['127.6.0.1']\n", got
