// The keeper's rights, and steps that the system refuses.
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "app/answerer_rights.h"
#include "app/become_user.h"
#include "app/checker_rights.h"
#include "app/keeper_rights.h"
#include "rights/in_child.h"
#include "rights/steps.h"

namespace har::app {
namespace {

Enter enter(const std::string& user) {
  return [user](const Log& log) { drop_keeper_rights(user, {"/bin/true"}, Rights(log)); };
}

Capabilities of_status(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1), nullptr, 16);
  }
  return ~Capabilities{0};
}

bool has_all() { return geteuid() == 0 && (of_status("CapEff") & capability(CAP_SETPCAP)) != 0; }

constexpr Capabilities kAlways = capability(CAP_NET_BIND_SERVICE) | capability(CAP_SETPCAP) | capability(CAP_SYS_NICE);
constexpr Capabilities kForUser = capability(CAP_SETUID) | capability(CAP_SETGID) | capability(CAP_KILL);

class KeeperRights : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_all()) GTEST_SKIP() << "needs root";
  }
};

TEST_F(KeeperRights, AreFew) {
  for (const std::string user : {"", "nobody"}) {
    const Capabilities most = user.empty() ? kAlways : kAlways | kForUser;
    for (const char* field : {"CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"}) {
      const Ending ending = in_child(enter(user), [&] { return (of_status(field) & ~most) == 0 ? 0L : -1L; });
      EXPECT_TRUE(ending.went_on() && ending.log.empty()) << field << " " << ending;
    }
  }
}

TEST_F(KeeperRights, DoNotChangeTheHost) {
  EXPECT_EQ(in_child(enter(""), steps::mount_something).error, EPERM);
  EXPECT_EQ(in_child(enter(""), steps::change_the_root).error, EPERM);
  EXPECT_EQ(in_child(enter(""), steps::make_a_raw_socket).error, EPERM);
  EXPECT_EQ(in_child(enter(""), [] { return long{setgid(1)}; }).error, EPERM);
}

TEST_F(KeeperRights, BindAndStartAndEndChildren) {
  const Ending bound = in_child(enter(""), [] { return steps::bind_to("127.213.0.1", 53); });
  EXPECT_TRUE(bound.went_on()) << bound;
  const Ending started =
      in_child(enter(""), [] { return steps::fork_a_process() > 0 ? steps::start_a_program() : -1; });
  EXPECT_TRUE(started.went_on()) << started;
  const Ending ended = in_child(enter("nobody"), []() -> long {
    const pid_t child = fork();
    if (child == 0) {
      if (!become_user("nobody")) _exit(1);
      for (;;) pause();
    }
    for (struct stat of_child{}; of_child.st_uid == 0;) stat(("/proc/" + std::to_string(child)).c_str(), &of_child);
    return kill(child, SIGKILL);
  });
  EXPECT_TRUE(ended.went_on()) << ended;
}

// A start from somebody's home: the child that dies must be started again.
TEST_F(KeeperRights, StillReachAProgramInAFolderThatShutsOthersOut) {
  std::string folder = testing::TempDir() + "/har-rights-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string program = folder + "/program";
  std::ofstream(program) << "";
  chmod(program.c_str(), 0755);
  const passwd* nobody = getpwnam("nobody");
  ASSERT_NE(nobody, nullptr);
  ASSERT_EQ(chown(folder.c_str(), nobody->pw_uid, nobody->pw_gid), 0);
  const Ending ending = in_child([&](const Log& log) { drop_keeper_rights("", {program}, Rights(log)); },
                                 [&] { return long{faccessat(AT_FDCWD, program.c_str(), X_OK, AT_EACCESS)}; });
  EXPECT_TRUE(ending.went_on()) << ending;
  EXPECT_NE(ending.log.find("step=CAP_DAC_OVERRIDE"), std::string::npos) << ending;
  unlink(program.c_str());
  rmdir(folder.c_str());
}

// As in a container whose own rules allow none of it.
void refuse_everything() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  for (const int call : {SCMP_SYS(capset), SCMP_SYS(prctl), SCMP_SYS(prlimit64), SCMP_SYS(seccomp)}) {
    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0);
  }
  EXPECT_EQ(seccomp_load(filter), 0);
  seccomp_release(filter);
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(RefusedSteps, AreOneLineEachAndGoneWithout) {
#ifdef HAR_SANITIZED
  GTEST_SKIP() << "no filters in sanitizer builds";
#endif
  const Ending answerer = in_child(
      [](const Log& log) {
        refuse_everything();
        const Rights rights(log);
        Filter filter = answerer_filter();
        EXPECT_TRUE(drop_answerer_rights("", 1, rights));
        seal_answerer(filter, rights);
      },
      steps::look_at_a_path);
  EXPECT_TRUE(answerer.went_on()) << answerer;
  const Ending checker = in_child(
      [](const Log& log) {
        refuse_everything();
        const Rights rights(log);
        EXPECT_TRUE(drop_checker_rights("", {}, "/tmp/har.db", rights));
        checker_filter().load(rights);
      },
      steps::look_at_a_path);
  EXPECT_TRUE(checker.went_on()) << checker;
  for (const std::string& log : {answerer.log, checker.log}) {
    for (const char* step : {"capabilities", "no_new_privileges", "not_dumpable", "core_size", "system_call_filter"}) {
      EXPECT_EQ(count(log, std::string("step=") + step + " "), 1u) << step << " in\n" << log;
    }
  }
}

}  // namespace
}  // namespace har::app
