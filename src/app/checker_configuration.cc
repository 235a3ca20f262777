// Which configuration the checker runs on, and what is said of one: the file of the operator, the keeper's copy after
// the death of a predecessor, or the last accepted copy beside data_file.
#include <fmt/format.h>

#include <charconv>

#include "app/become_user.h"
#include "app/checker.h"
#include "app/config_files.h"
#include "net/clock.h"

namespace har::app {

// An exit code when there is no configuration to run on.
std::optional<int> Checker::choose_configuration(const std::string& path, bool& resume, const net::Message& hello,
                                                 Bundle& bundle) {
  if (resume) {
    const auto text = net::memory_to_text(hello.fds[0], Bundle::kMaxSize);
    auto kept = text ? Bundle::parse(*text) : tl::unexpected(text.error());
    if (!kept) {
      log_.error("kept_configuration_lost", {{"reason", kept.error().message}});
      return 1;
    }
    bundle = std::move(*kept);
    const auto loaded = bundle.load(load_options());
    config_ = loaded.config;
    if (config_) return std::nullopt;
    // Another version than the one that accepted it.
    report_mistakes(loaded);
    log_.error("kept_configuration_refused", {{"hint", "the file is read instead: mend it"}});
    resume = false;
  }
  auto loaded = load_from_disk(path, load_options());
  report_mistakes(loaded);
  if (!loaded.config) {
    auto copy = last_accepted(loaded.data_file_hint, path);
    if (!copy) return 2;
    bundle = std::move(copy->bundle);
    bundle.in_force.clear();  // this is a start: what the text says is in force
    loaded = bundle.load(load_options());
    if (!loaded.config) return 2;
    if (copy->owner != 0 && !is_user(loaded.config->user, copy->owner)) {
      log_.error("accepted_copy_refused", {{"file", accepted_copy_path(loaded.data_file_hint)},
                                           {"reason", "it belongs to another user than the one that it would run as"}});
      return 2;
    }
    log_.error("bad_configuration", {{"file", path},
                                     {"running_on", accepted_copy_path(loaded.data_file_hint)},
                                     {"hint", "mend the file, then reload"}});
  } else {
    bundle = Bundle::take(path, loaded);
  }
  config_ = loaded.config;
  return std::nullopt;
}

// Said, and written down for a checker that has to go on in our place.
void Checker::note_what_needs_a_restart(const config::Config& wanted, Bundle& bundle) const {
  const auto note = [&](const char* key, const std::string& in_force) {
    log_.warning("needs_restart", {{"key", key}});
    bundle.in_force.emplace_back(key, in_force);
  };
  if (wanted.workers != workers_) note("workers", fmt::format("{}", workers_));
  if (wanted.user != user_) note("user", user_);
  if (wanted.data_file != data_file_) note("data_file", data_file_);
  if (wanted.control_socket != control_socket_) note("control_socket", control_socket_);
}

// The user comes from the keeper, who trusts nobody in that.
void Checker::keep_what_is_in_force(const Bundle& bundle) {
  for (const auto& [key, value] : bundle.in_force) {
    if (key == "workers") std::from_chars(value.data(), value.data() + value.size(), workers_);
    if (key == "data_file") data_file_ = value;
    if (key == "control_socket") control_socket_ = value;
  }
}

config::LoadOptions Checker::load_options() {
  return {config_.get(), [this, next = net::now()]() mutable {
            const Instant now = net::now();
            if (now < next) return;
            next = now + std::chrono::seconds(1);
            beat();
          }};
}

void Checker::report_mistakes(const config::Loaded& loaded) const {
  // As `hard --check` prints them: these lines are for the person who has just edited the file.
  for (const auto& mistake : loaded.mistakes) log_.plain(mistake.to_string());
  if (!loaded.mistakes.empty()) return;
  for (const auto& warning : loaded.warnings) log_.warning("configuration", {{"at", warning.to_string()}});
}

}  // namespace har::app
