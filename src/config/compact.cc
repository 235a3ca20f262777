#include "config/compact.h"

#include <algorithm>
#include <vector>

namespace har::config {

namespace {

// Which shared objects there are, by address, and a copy of each that is not kept. Sorted vectors, filled in one go: a
// tree's nodes would lie between the copies.
template <class T>
class Copies {
 public:
  void keep(const Shared<T>& object) { kept_.push_back(&*object); }
  void want(const Shared<T>& object) { wanted_.push_back(&*object); }

  // After the last want().
  template <class Copy>
  void make(Copy copy) {
    sort(kept_);
    sort(wanted_);
    std::erase_if(wanted_, [&](const T* object) { return std::binary_search(kept_.begin(), kept_.end(), object); });
    copies_.reserve(wanted_.size());
    for (const T* const object : wanted_) copies_.push_back(copy(*object));
  }

  Shared<T> of(const Shared<T>& object) const {
    const auto at = std::lower_bound(wanted_.begin(), wanted_.end(), &*object);
    if (at == wanted_.end() || *at != &*object) return object;
    return copies_[static_cast<std::size_t>(at - wanted_.begin())];
  }

 private:
  static void sort(std::vector<const T*>& objects) {
    std::sort(objects.begin(), objects.end());
    objects.erase(std::unique(objects.begin(), objects.end()), objects.end());
  }
  std::vector<const T*> kept_, wanted_;
  std::vector<Shared<T>> copies_;  // of wanted_
};

template <class Use>
void for_each_check(const Config& config, Use use) {
  for (const Name& name : config.names) {
    for (const Candidate& candidate : name.candidates) use(candidate.check);
  }
}

}  // namespace

std::shared_ptr<const Config> compact_copy(const Config& config, const Config* before) {
  Copies<HttpCheck> https;
  Copies<Check> checks;
  if (before != nullptr) {
    for_each_check(*before, [&](const SharedCheck& check) {
      checks.keep(check);
      https.keep(check->http);
    });
  }
  for_each_check(config, [&](const SharedCheck& check) {
    checks.want(check);
    https.want(check->http);
  });
  https.make([](const HttpCheck& http) { return Shared<HttpCheck>(http); });
  checks.make([&](Check check) {
    check.http = https.of(check.http);
    return SharedCheck(std::move(check));
  });
  auto out = std::make_shared<Config>(config);
  for (Name& name : out->names) {
    for (Candidate& candidate : name.candidates) candidate.check = checks.of(candidate.check);
  }
  return out;
}

}  // namespace har::config
