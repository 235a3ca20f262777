"""The configuration: the original's file, mistakes, the last accepted copy."""
import re

from lab.daemon import REPOSITORY, Daemon, run_hard
from lab.net import loopback

ORIGINAL = """\
nameservers = { 192.168.11.1 }
dns_bind_interfaces = { 127.0.0.1, ::1 }
name www.example.com {
\tcheck_frequency = 30
        selection_method = group_rtt_rr
\tfailure_mode = all
\tcandidate www1.east.example.com {
\t\tcheck_address = "http://www1.east.example.com/"
\t}
\tcandidate www1.west.example.com {
\t\tcheck_address = "http://www1.west.example.com/"
\t}
}
"""


def check(tmp_path, text):
    file = tmp_path / "har.conf"
    file.write_text(text)
    return run_hard("--check", file)


def test_the_originals_example_is_accepted_as_it_stands(tmp_path):
    code, out, err = check(tmp_path, ORIGINAL)
    assert code == 0, out + err


def test_ten_mistakes_give_ten_lines_and_exit_code_2(tmp_path):
    mistakes = """\
nameservers = { 192.0.2.300 }
dns_listen_port = 70000
no_such_key = 1
name a.test {
  chek_frequency = 2
  failure_mode = sometimes
  candidate one { check_address = "gopher://one.test/" }
  candidate two { check_address = "http://two.test/" tier = -1 }
  candidate two { check_address = "http://two.test/" }
}
name A.test. { candidate x { check_address = "http://x.test/" } }
name b.test { failure_mode = fixed candidate y { check_address = "http://y.test/" check_frequency = fast } }
"""
    for code, out, err in (check(tmp_path, mistakes), run_hard(tmp_path / "har.conf")):
        lines = [line for line in (out + err).splitlines() if re.match(r"\S*har\.conf:\d+: ", line)]
        assert code == 2
        reported = sorted(int(line.split(":")[1]) for line in lines)
        assert set(range(1, 4)) <= set(reported)
        assert {5, 6, 7, 8, 9, 11, 12} <= set(reported), lines
        assert len(lines) >= 10
        assert any("check_frequency" in line for line in lines if ":5:" in line), "the near miss is suggested"


def test_a_file_cut_inside_a_section_is_a_mistake(tmp_path):
    code, out, err = check(tmp_path, ORIGINAL[: ORIGINAL.index("candidate www1.west")])
    assert code == 2
    assert re.search(r"har\.conf:\d+: ", out + err)


def test_bad_usage_is_exit_code_2(tmp_path):
    assert run_hard("--no-such-option")[0] == 2
    assert run_hard("a", "b")[0] == 2
    assert run_hard(tmp_path / "missing.conf")[0] == 2
    assert run_hard("--check", tmp_path / "missing.conf")[0] == 2
    code, out, _ = run_hard("--version")
    assert code == 0 and out.startswith("hard ")


def test_a_bad_file_at_the_start_means_running_on_the_last_accepted_copy(lab):
    web = lab.web()
    body = f'nameservers = {{ "{loopback()}" }}\nname a.test {{ candidate one {{ check_address = "{web.url}" }} }}'
    daemon = lab.daemon(body)
    assert daemon.addresses("a.test") == [web.address]
    daemon.stop()
    # data_file must still be found in what is there.
    daemon.config.write_text(daemon.config.read_text() + "\nname a.test {\n")
    daemon.start()
    assert "event=bad_configuration" in daemon.log()
    assert daemon.addresses("a.test") == [web.address]


def test_the_projects_example_file_is_good():
    for example in (REPOSITORY / "conf").glob("*.conf*"):
        code, out, err = run_hard("--check", example)
        assert code == 0, f"{example}: {out}{err}"
