"""The rules of the tree hold, and each of them can fail. Environment: HAR_ANSWERER, the program whose libraries are
looked at (left out when it is not built)."""
import os
import pathlib
import subprocess
import warnings

import pytest

import rules

SRC = pathlib.Path(__file__).resolve().parents[2] / "src"
RULES = [rules.unknown_folders, rules.wrong_includes, rules.impure, rules.libraries_elsewhere, rules.locks_elsewhere,
         rules.tests_in_the_product, rules.unguarded_headers]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_holds(rule):
    assert not (broken := list(rule(SRC))), "\n" + "\n".join(broken)


def test_there_is_something_to_look_at():
    assert len(rules.files(SRC)) > 50
    assert sum(len(rules.includes(path)) for path in rules.files(SRC)) > 300


def test_files_do_not_grow_two_ideas():
    for line in rules.long_files(SRC):
        warnings.warn(line)


def test_the_answerer_links_none_of_the_checkers_libraries():
    program = pathlib.Path(os.environ.get("HAR_ANSWERER", SRC.parent / "build" / "hard-answerer"))
    if not program.exists():
        pytest.skip(f"{program} is not built")
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    assert "libc.so" in linked
    for library in ("libssl", "libcrypto", "libgnutls", "libsqlite3"):
        assert library not in linked, linked


# A small tree in which all is well, and what must break it: (file, text, what the rule says of it).
GOOD = {
    "LAYERS": "# floors\nbase 0\ndns 1 pure\nnet 1\ntable 2 pure\nprobe 4\nstore 4\n",
    "base/a.h": "#pragma once\n#include <string>\n",
    "dns/a.h": '#pragma once\n// #include "net/a.h"\n#include <fmt/format.h>\n#include "base/a.h"\n#include "dns/b.h"\n',
    "dns/b.h": "#pragma once\n",
    "dns/testing.h": "#pragma once\n#include <gtest/gtest.h>\n",
    "dns/a_test.cc": '#include <thread>\n#include <mutex>\n#include "dns/testing.h"\n',
    "net/a.h": "#pragma once\n#include <event2/event.h>\n// SSL_new is named here\n",
    "net/mailbox.h": "#pragma once\n#include <mutex>\n",
    "table/a.h": "#pragma once\n#include <atomic>\n",
    "probe/a.cc": '#include <openssl/ssl.h>\n#include "net/a.h"\nSSL* x = SSL_new(0);\n',
    "store/a.cc": "#include <sqlite3.h>\n",
}
BAD = [
    (rules.unknown_folders, "extra/a.h", "#pragma once\n", "src/extra is not in LAYERS"),
    (rules.unknown_folders, "LAYERS", GOOD["LAYERS"] + "front 4\n", "LAYERS names front"),
    (rules.unknown_folders, "a.cc", "", "in no folder"),
    (rules.wrong_includes, "dns/c.cc", '#include "net/a.h"\n', "sideways"),
    (rules.wrong_includes, "base/c.cc", '#include "dns/a.h"\n', "up"),
    (rules.wrong_includes, "dns/c_test.cc", '  #  include "table/a.h"\n', "up"),
    (rules.wrong_includes, "dns/c.cc", '#include "b.h"\n', "no \"folder/file.h\""),
    (rules.wrong_includes, "dns/c.cc", "#include <base/a.h>\n", "it is ours"),
    (rules.impure, "dns/c.cc", "#include <unistd.h>\n", "<unistd.h> in a pure folder"),
    (rules.impure, "dns/c.cc", "#include <atomic>\n", "<atomic> in a pure folder"),
    (rules.impure, "table/c.cc", "#include <thread>\n", "<thread> in a pure folder"),
    (rules.impure, "dns/c.cc", "auto t = std::chrono::steady_clock::now();\n", "steady_clock::now"),
    (rules.libraries_elsewhere, "net/c.cc", "#include <openssl/ssl.h>\n", "OpenSSL is named in probe only"),
    (rules.libraries_elsewhere, "net/c.cc", "void f() { SSL_free(0); }\n", "OpenSSL is named in probe only"),
    (rules.libraries_elsewhere, "probe/c.cc", "#include <event2/event.h>\n", "libevent is named in net only"),
    (rules.libraries_elsewhere, "probe/c.cc", "#include <SQLiteCpp/SQLiteCpp.h>\n", "sqlite is named in store only"),
    (rules.locks_elsewhere, "net/c.cc", "#include <mutex>\n", "locks are in"),
    (rules.tests_in_the_product, "net/c.cc", "#include <gtest/gtest.h>\n", "gtest/gtest.h is for tests"),
    (rules.tests_in_the_product, "dns/c.cc", '#include "dns/testing.h"\n', "dns/testing.h is for tests"),
    (rules.unguarded_headers, "net/c.h", "int x;\n", "no #pragma once"),
    (rules.long_files, "net/c.cc", "\n" * 500, "500 lines"),
]


def make(folder, tree):
    for name, text in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_good_tree_breaks_no_rule(tmp_path):
    src = make(tmp_path, GOOD)
    assert [line for rule in [*RULES, rules.long_files] for line in rule(src)] == []


@pytest.mark.parametrize("rule,file,text,expected", BAD)
def test_each_rule_can_fail(tmp_path, rule, file, text, expected):
    lines = list(rule(make(tmp_path, GOOD | {file: text})))
    assert any(expected in line for line in lines), lines
