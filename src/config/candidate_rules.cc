#include "config/candidate_rules.h"

#include <fmt/format.h>

namespace har::config {
namespace {

constexpr Key kHttpOnly[] = {Key::kCheckPath,   Key::kCheckHost,    Key::kCheckHeaders, Key::kCheckTlsVerify,
                             Key::kCheckCaFile, Key::kExpectStatus, Key::kExpectBody};
constexpr Key kTlsOnly[] = {Key::kCheckTlsVerify, Key::kCheckCaFile};

std::uint16_t default_port(CheckMethod method) { return method == CheckMethod::kHttps ? 443 : 80; }

// check_method, check_port and check_path of this very candidate beside its check_address: one of them is wrong, and
// only the operator knows which. Inherited ones give way.
bool contradicts_address(const Scope& scope, Remarks& remarks) {
  bool any = false;
  for (const auto key : {Key::kCheckMethod, Key::kCheckPort, Key::kCheckPath}) {
    if (const auto* item = scope.own(key)) {
      remarks.mistake(item->place,
                      fmt::format("{} beside check_address; say it in check_address, and remove this line", item->key));
      any = true;
    }
  }
  return any;
}

std::optional<CheckAddress> target(const CheckDraft& draft, const Text& title, const Scope& scope, Remarks& remarks) {
  if (scope.own(Key::kCheckAddress) != nullptr) {
    if (contradicts_address(scope, remarks) || !draft.address) return std::nullopt;
    return draft.address;
  }
  CheckAddress out;
  auto host = parse_check_host(title.text);
  if (!host) {
    remarks.mistake(title.place, fmt::format("candidate: {} (or give it a check_address)", host.error().message));
    return std::nullopt;
  }
  out.host = std::move(*host);
  out.method = draft.method.value_or(CheckMethod::kHttp);
  if (out.method == CheckMethod::kTcp && !draft.port) {
    // A check_port that could not be read has its own mistake.
    if (scope.any(Key::kCheckPort) == nullptr) {
      remarks.mistake(title.place, fmt::format("candidate {}: a TCP check needs check_port; write one, or "
                                               "check_address = \"tcp://host:port\"",
                                               quoted(title.text)));
    }
    return std::nullopt;
  }
  out.port = draft.port.value_or(default_port(out.method));
  out.path = draft.path.value_or("/");
  return out;
}

bool paces_fit(const Check& check, const Scope& scope, const Text& title, Remarks& remarks) {
  if (check.frequency_changing <= check.frequency) return true;
  int changing = 0, frequency = 0;
  const auto* slow = scope.any(Key::kCheckFrequencyChanging, &changing);
  const auto* fast = scope.any(Key::kCheckFrequency, &frequency);
  const auto* innermost = slow == nullptr || (fast != nullptr && frequency < changing) ? fast : slow;
  remarks.mistake(
      innermost != nullptr ? innermost->place : title.place,
      fmt::format("check_frequency_changing ({:.12g}) is more than check_frequency ({:.12g}); write a smaller "
                  "one, or leave it out for a quarter",
                  to_seconds(check.frequency_changing), to_seconds(check.frequency)));
  return false;
}

}  // namespace

std::span<const Key> http_only_keys() { return kHttpOnly; }

std::optional<Check> finish_check(const CheckDraft& draft, const Text& title, const Scope& scope, Remarks& remarks) {
  const auto address = target(draft, title, scope, remarks);
  Check out = draft.check;
  out.frequency_changing = draft.frequency_changing.value_or(out.frequency / 4);
  const bool paces = paces_fit(out, scope, title, remarks);
  if (!address || !paces) return std::nullopt;
  out.method = address->method;
  out.host = address->host;
  out.port = address->port;
  HttpCheck http = *draft.check.http;
  if (out.method == CheckMethod::kTcp) {
    http = HttpCheck{};
    http.path.clear();
    out.http_host.clear();
  } else {
    http.path = address->path;
    out.http_host = draft.http_host.empty() ? out.host : draft.http_host;
  }
  if (out.method != CheckMethod::kHttps) {
    out.tls_verify = Check{}.tls_verify;
    http.ca_file.clear();
  }
  out.http = std::move(http);
  return out;
}

void remark_useless(const Check& check, const Scope& scope, SelectionMethod selection, Remarks& remarks) {
  if (check.method == CheckMethod::kTcp) {
    for (const auto key : kHttpOnly) {
      if (const auto* item = scope.own(key)) {
        remarks.mistake(item->place,
                        fmt::format("{} says nothing to a TCP check; remove it, or check by http", item->key));
      }
    }
  } else if (check.method == CheckMethod::kHttp) {
    for (const auto key : kTlsOnly) {
      if (const auto* item = scope.own(key)) {
        remarks.warning(item->place,
                        fmt::format("{} says nothing to a check by http; remove it, or check by https", item->key));
      }
    }
  }
  if (const auto* weight = scope.own(Key::kWeight); weight != nullptr && selection != SelectionMethod::kWeighted) {
    remarks.warning(weight->place, "weight counts only with selection_method = weighted");
  }
}

}  // namespace har::config
