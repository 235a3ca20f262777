#include "config/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "config/candidate_rules.h"
#include "config/check_pool.h"
#include "config/schema.h"
#include "config/scope.h"
#include "config/value.h"

namespace har::config {
namespace {

std::string where_it_belongs(const Option& option) {
  if (option.where == kAtTop) return "outside of all sections";
  if (option.where == kInName) return "in a name or in 'defaults { }'";
  if (option.where == kInCandidate) return "in a candidate";
  return "in a name, in a candidate or in 'defaults { }'";
}

bool is_section_key(std::string_view key) { return key == "name" || key == "candidate" || key == "defaults"; }

// What a name's section comes to, before its candidates are known.
struct NameDraft {
  Name name;
  CheckDraft check;
};

struct CandidateDraft {
  Candidate candidate;
  CheckDraft check;
  Scope scope;
  const Item* section;
};

class Checker {
 public:
  Checker(const Tree& tree, Remarks& remarks, const LoadOptions& options)
      : tree_(tree), remarks_(remarks), options_(options), checks_(options.before) {}

  Config run() {
    top_ = Draft{&config_, &nameservers_, &binds_, nullptr, nullptr, nullptr};
    // `defaults` and the options outside of all sections count wherever they stand: before the names.
    for (const auto& item : tree_.items) {
      if (item.kind == Item::Kind::kSection) {
        if (meant(item, kAtTop) == "defaults") defaults(item);
      } else {
        one_option(item, kAtTop, top_scope_, top_);
      }
    }
    config_.names.reserve(tree_.items.size());  // nearly all of them are names
    for (const auto& item : tree_.items) {
      if (item.kind != Item::Kind::kSection) continue;
      const auto key = meant(item, kAtTop);
      if (item.key != key || (key != "name" && key != "defaults"))
        wrong_section(item, "outside of all sections", kAtTop);
      if (key == "name") name(item);
      if (options_.progress) options_.progress();
    }
    finish_top();
    return std::move(config_);
  }

 private:
  // "line 3", or "FILE:3" from another file.
  std::string position(const Place& of, const Place& seen_from) const {
    if (of.file == seen_from.file || of.file >= tree_.paths.size()) return fmt::format("line {}", of.line);
    return fmt::format("{}:{}", tree_.paths[of.file], of.line);
  }

  std::string_view suggestion(const std::string& key, Where where) {
    auto& known = suggestions_[static_cast<std::size_t>(where)];
    auto found = known.find(key);
    if (found == known.end()) found = known.emplace(key, suggest_key(key, where)).first;
    return found->second;
  }

  // The section that is meant: a misspelt one is reported, and what stands in it is checked all the same.
  std::string_view meant(const Item& item, Where where) {
    if (is_section_key(item.key) || find_option(item.key) != nullptr) return item.key;
    const auto near = suggestion(item.key, where);
    return is_section_key(near) ? near : std::string_view(item.key);
  }

  void unknown(const Item& item, Where where) {
    const auto near = suggestion(item.key, where);
    if (near.empty()) {
      remarks_.mistake(item.place,
                       fmt::format("{} is no key that is known here; remove it, or see har.conf(5)", quoted(item.key)));
      return;
    }
    const auto* option = find_option(near);
    const auto belongs = option != nullptr && (option->where & where) == 0
                             ? fmt::format(", which stands {}", where_it_belongs(*option))
                             : std::string();
    remarks_.mistake(item.place, fmt::format("{} is unknown; did you mean '{}'{}?", quoted(item.key), near, belongs));
  }

  void wrong_section(const Item& item, std::string_view here, Where where) {
    if (item.key == "candidate") {
      remarks_.mistake(item.place, fmt::format("a candidate {}; write it inside its name {{ }}", here));
    } else if (is_section_key(item.key)) {
      remarks_.mistake(item.place, fmt::format("'{}' {}; write it outside of all sections, or is a '}}' missing above?",
                                               item.key, here));
    } else if (const auto* option = find_option(item.key)) {
      remarks_.mistake(item.place, fmt::format("'{}' is no section; write '{} = {}'", item.key, item.key,
                                               option->standard.empty() ? option->sample : option->standard));
    } else {
      unknown(item, where);
    }
  }

  void one_option(const Item& item, Where where, Scope& scope, Draft& draft) {
    const auto* option = find_option(item.key);
    if (option == nullptr) {
      if (item.key == "include") {
        remarks_.mistake(item.place, "include takes parentheses; write include(\"file\")");
      } else if (is_section_key(item.key)) {
        remarks_.mistake(item.place, fmt::format("'{}' is a section; write '{} {{ ... }}'", item.key,
                                                 item.key == "defaults" ? item.key : item.key + " www.example.com"));
      } else {
        unknown(item, where);
      }
      return;
    }
    if ((option->where & where) == 0) {
      remarks_.mistake(item.place,
                       fmt::format("{} cannot stand here; write it {}", item.key, where_it_belongs(*option)));
      return;
    }
    if (const auto* before = scope.own(option->id); before != nullptr && !item.append) {
      remarks_.warning(item.place, fmt::format("{} replaces the value given before ({}); remove one of them", item.key,
                                               position(before->place, item.place)));
    }
    scope.give(option->id, item);
    read_option(*option, item, draft, remarks_);
  }

  void defaults(const Item& section) {
    if (section.title) {
      remarks_.mistake(section.title->place, fmt::format("'defaults' has no title; write 'defaults {{' without {}",
                                                         quoted(section.title->text)));
    }
    if (defaults_ != nullptr) {
      remarks_.mistake(section.place, fmt::format("'defaults' is given twice, first on {}; join them",
                                                  position(defaults_->place, section.place)));
    } else {
      defaults_ = &section;
    }
    Draft draft{&config_, &nameservers_, &binds_, &base_.name, &base_.check, nullptr};
    for (const auto& item : section.items) {
      if (item.kind == Item::Kind::kOption) {
        one_option(item, kInName, base_scope_, draft);
      } else {
        wrong_section(item, "inside 'defaults'", kInName);
      }
    }
  }

  void name(const Item& section) {
    NameDraft draft = base_;
    Scope scope(&base_scope_);
    const std::size_t mistakes = remarks_.mistake_count();
    title_of_name(section, draft.name);

    Draft target{&config_, &nameservers_, &binds_, &draft.name, &draft.check, nullptr};
    for (const auto& item : section.items) {
      if (item.kind == Item::Kind::kOption) one_option(item, kInName, scope, target);
    }
    std::vector<CandidateDraft> candidates;
    std::unordered_map<std::string, const Item*> titles;
    const Item* stray = nullptr;
    for (const auto& item : section.items) {
      if (item.kind != Item::Kind::kSection) continue;
      const auto key = meant(item, kInName);
      if (key == "candidate") {
        if (item.key != key) wrong_section(item, "inside a name", kInName);
        candidate(item, draft.check, scope, candidates, titles);
      } else if (key == "name") {
        // A brace is missing somewhere above: once is enough, and the names that follow are read as if they stood
        // right.
        if (stray == nullptr)
          wrong_section(item, fmt::format("inside the section of line {}", section.place.line), kInName);
        stray = &item;
        name(item);
      } else {
        wrong_section(item, "inside a name", kInName);
      }
    }
    if (candidates.empty() && section.closed && !tree_.gaps) {
      remarks_.mistake(section.place, fmt::format("name {} has no candidate; write at least one candidate {{ }}",
                                                  quoted(section.title ? section.title->text : "")));
    }
    if (tree_.whole && !tree_.gaps) rules_of_name(section, draft, scope, candidates);
    if (remarks_.mistake_count() != mistakes) return;  // what is not whole is not kept
    draft.name.line = section.place.line;
    draft.name.candidates.reserve(candidates.size());
    for (auto& one : candidates) draft.name.candidates.push_back(std::move(one.candidate));
    config_.names.push_back(std::move(draft.name));
  }

  void title_of_name(const Item& section, Name& name) {
    if (!section.title) {
      remarks_.mistake(section.place, "a name without its host name; write 'name www.example.com {'");
      return;
    }
    auto host = parse_host_name(section.title->text);
    if (!host) {
      remarks_.mistake(section.title->place, fmt::format("name: {}", host.error().message));
      return;
    }
    const auto [known, fresh] = names_.emplace(*host, &section);
    if (!fresh) {
      remarks_.mistake(section.title->place,
                       fmt::format("name {} is given twice, first on {}; join them", quoted(section.title->text),
                                   position(known->second->place, section.place)));
    }
    name.host = std::move(*host);
  }

  void candidate(const Item& section, const CheckDraft& base, const Scope& outer,
                 std::vector<CandidateDraft>& candidates, std::unordered_map<std::string, const Item*>& titles) {
    CandidateDraft draft{{}, base, Scope(&outer), &section};
    title_of_candidate(section, draft.candidate, titles);
    draft.candidate.line = section.place.line;
    Draft target{&config_, &nameservers_, &binds_, nullptr, &draft.check, &draft.candidate};
    for (const auto& item : section.items) {
      if (item.kind == Item::Kind::kOption) {
        one_option(item, kInCandidate, draft.scope, target);
      } else {
        wrong_section(item, fmt::format("inside the candidate of line {}", section.place.line), kInCandidate);
        // As in name(): the brace that is missing was this candidate's.
        if (item.key == "name") name(item);
      }
    }
    candidates.push_back(std::move(draft));
  }

  void title_of_candidate(const Item& section, Candidate& candidate,
                          std::unordered_map<std::string, const Item*>& titles) {
    if (!section.title || section.title->text.empty()) {
      remarks_.mistake(section.place, "a candidate without a title; write 'candidate www1.example.com {'");
      return;
    }
    const std::string& title = section.title->text;
    if (title.size() > 255 ||
        std::any_of(title.begin(), title.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; })) {
      remarks_.mistake(section.title->place, fmt::format("candidate {}: a title has at most 255 octets and no control "
                                                         "characters; write another",
                                                         quoted(title)));
      return;
    }
    candidate.title = title;
    std::string folded = title;
    for (char& c : folded) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (folded.size() > 1 && folded.back() == '.') folded.pop_back();
    const auto [known, fresh] = titles.emplace(std::move(folded), &section);
    if (!fresh) {
      remarks_.mistake(section.title->place,
                       fmt::format("candidate {} is given twice in this name, first on {}; remove one, "
                                   "or give it another title and a check_address",
                                   quoted(title), position(known->second->place, section.place)));
    }
  }

  void rules_of_name(const Item& section, NameDraft& draft, const Scope& scope,
                     std::vector<CandidateDraft>& candidates) {
    const Name& name = draft.name;
    const auto* mode = scope.own(Key::kFailureMode);
    const auto* fixed = scope.own(Key::kFixedAddresses);
    if (name.failure_mode == FailureMode::kFixed && name.fixed_addresses.empty() &&
        (fixed == nullptr || fixed->values.empty())) {
      remarks_.mistake(mode != nullptr ? mode->place : section.place,
                       "failure_mode = fixed without fixed_addresses; write fixed_addresses = { 192.0.2.10 }");
    }
    if (fixed != nullptr && !name.fixed_addresses.empty() && name.failure_mode != FailureMode::kFixed) {
      remarks_.warning(fixed->place, "fixed_addresses count only with failure_mode = fixed");
    }
    if (const auto* item = scope.own(Key::kGroupRttThreshold);
        item != nullptr && name.selection_method != SelectionMethod::kGroupRttRr) {
      remarks_.warning(item->place, "group_rtt_threshold counts only with selection_method = group_rtt_rr");
    }
    for (const auto key : {Key::kSwitchMargin, Key::kSwitchMarginMin, Key::kSwitchDwell}) {
      const auto* item = scope.own(key);
      if (item != nullptr && name.selection_method != SelectionMethod::kBestRtt) {
        remarks_.warning(item->place, fmt::format("{} counts only with selection_method = best_rtt", item->key));
      }
    }
    bool any_http = candidates.empty();
    for (auto& one : candidates) {
      if (!one.section->title) continue;
      auto check = finish_check(one.check, *one.section->title, one.scope, remarks_);
      if (!check) {
        any_http = true;  // not known: nothing can be said about the name's options
        continue;
      }
      any_http = any_http || check->method != CheckMethod::kTcp;
      remark_useless(*check, one.scope, name.selection_method, remarks_);
      slow_when_silent(*check, name.thresholds, one);
      one.candidate.check = checks_.share(std::move(*check));
    }
    if (any_http) return;
    for (const auto key : http_only_keys()) {
      if (const auto* item = scope.own(key)) {
        remarks_.mistake(item->place,
                         fmt::format("{} says nothing: every check of this name is a TCP check; remove it, or "
                                     "check by http",
                                     item->key));
      }
    }
  }

  // At most `fall` checks run at one time: with these figures a silent endpoint cannot be asked as often as the file
  // says.
  void slow_when_silent(const Check& check, const Thresholds& thresholds, const CandidateDraft& one) {
    if (check.timeout <= check.frequency * static_cast<int>(thresholds.fall)) return;
    const auto* item = one.scope.any(Key::kCheckTimeout);
    remarks_.warning(
        item != nullptr ? item->place : one.section->place,
        fmt::format("check_timeout ({:.12g}) is more than check_frequency times fall ({:.12g}); a silent host is "
                    "checked less often than that",
                    to_seconds(check.timeout), to_seconds(check.frequency) * thresholds.fall));
  }

  void finish_top() {
    for (const auto& one : nameservers_) config_.nameservers.push_back(one.value);
    for (const auto& one : binds_) config_.dns_bind_interfaces.push_back(one.value);
    config_.bind_default_v6 = only_added_to(Key::kDnsBindInterfaces);
    config_.allow_clients_added = only_added_to(Key::kAllowClients);
    if (!tree_.whole || tree_.gaps) return;  // the rest of the file might have made it right
    for (const auto& one : nameservers_) {
      if (one.value.port == config_.dns_listen_port && listens_on(one.value.ip)) {
        remarks_.mistake(one.place, fmt::format("nameservers: {} is hard itself; write the address of another resolver",
                                                quoted(one.value.to_string())));
      }
    }
    const auto* http = top_scope_.own(Key::kHttpListen);
    if (config_.http_listen && config_.http_listen->port == config_.dns_listen_port &&
        listens_on(config_.http_listen->ip)) {
      remarks_.mistake(http->place, "http_listen: hard answers DNS at this address and port; write another port");
    }
    if (config_.names.empty() && remarks_.mistake_count() == 0) {
      remarks_.warning({}, "no name is configured; everything is forwarded");
    }
  }

  bool listens_on(const IpAddress& address) const {
    if (config_.dns_bind_interfaces.empty()) {
      return address == *IpAddress::parse("127.0.0.1") || address == *IpAddress::parse("::1");
    }
    return std::any_of(config_.dns_bind_interfaces.begin(), config_.dns_bind_interfaces.end(),
                       [&](const IpAddress& bound) {
                         return bound == address ||
                                (bound.is_unspecified() && bound.family == address.family && address.is_loopback());
                       });
  }

  // Given outside of all sections, and always with "+=".
  bool only_added_to(Key key) const {
    bool given = false;
    for (const auto& item : tree_.items) {
      if (item.kind != Item::Kind::kOption || item.key != option(key).key) continue;
      if (!item.append) return false;
      given = true;
    }
    return given;
  }

  const Tree& tree_;
  Remarks& remarks_;
  const LoadOptions& options_;
  CheckPool checks_;
  Config config_;
  std::vector<Placed<IpPort>> nameservers_;
  std::vector<Placed<IpAddress>> binds_;
  Draft top_;
  Scope top_scope_;
  NameDraft base_;  // with `defaults` applied
  Scope base_scope_;
  const Item* defaults_ = nullptr;
  std::unordered_map<std::string, const Item*> names_;
  std::array<std::unordered_map<std::string, std::string_view>, 8> suggestions_;  // by Where
};

}  // namespace

Config check_tree(const Tree& tree, Remarks& remarks, const LoadOptions& options) {
  return Checker(tree, remarks, options).run();
}

}  // namespace har::config
