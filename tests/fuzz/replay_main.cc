// Stands in for libFuzzer where the build has none: feeds a fuzz target every file of its corpus, in order of name, and
// as many mutations of each (HAR_REPLAY_MUTATIONS, of all together). The same inputs in every run, on every machine.
//   NAME_fuzz PATH...   PATH: a folder (files and mutations) or a file (only as it is: to see a finding again)
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace {

using Input = std::vector<std::uint8_t>;
namespace fs = std::filesystem;

constexpr std::size_t kMutations = HAR_REPLAY_MUTATIONS;
constexpr std::size_t kMaxSize = 65'535;

// splitmix64: the standard library's distributions differ between implementations.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }
  std::uint8_t octet() { return static_cast<std::uint8_t>(next()); }

 private:
  std::uint64_t state_;
};

// What is being tried, for the report of a crash; a signal handler has nothing else to ask.
const Input* tried = nullptr;

void report() {
  if (tried == nullptr) return;
  std::fprintf(stderr, "\nthe input was (hex):\n");
  for (const std::uint8_t octet : *tried) std::fprintf(stderr, "%02x", octet);
  std::fprintf(stderr, "\n");
  tried = nullptr;
}

void on_abort(int) { report(); }  // abort() ends the process when this returns

void try_input(const Input& input) {
  // A fresh block of exactly this size, so that the sanitizer sees a read behind the end.
  const Input exact(input.begin(), input.end());
  tried = &exact;
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  tried = nullptr;
}

// Numbers at which counts, sizes and pointers of binary formats tend to go wrong.
constexpr std::uint8_t kInteresting[] = {0, 1, 2, 11, 12, 16, 28, 41, 63, 64, 127, 128, 191, 192, 254, 255};

void mutate_once(Input& input, std::span<const Input> corpus, Dice& dice) {
  const auto offset = [&](std::size_t n) { return input.begin() + static_cast<std::ptrdiff_t>(n); };
  const std::size_t size = input.size();
  switch (size == 0 ? 4 : dice.below(9)) {
    case 0:
      input[dice.below(size)] ^= static_cast<std::uint8_t>(1U << dice.below(8));
      break;
    case 1:
      input[dice.below(size)] = dice.octet();
      break;
    case 2:
      input[dice.below(size)] = kInteresting[dice.below(std::size(kInteresting))];
      break;
    case 3:
      input.resize(dice.below(size + 1));
      break;
    case 4:
      for (std::size_t n = dice.below(24) + 1; n > 0; --n) input.push_back(dice.octet());
      break;
    case 5: {  // take a piece out
      const std::size_t from = dice.below(size);
      input.erase(offset(from), offset(from + 1 + dice.below(std::min<std::size_t>(size - from, 16))));
      break;
    }
    case 6: {  // a piece twice
      const std::size_t from = dice.below(size);
      const Input piece(offset(from), offset(from + 1 + dice.below(size - from)));
      input.insert(offset(dice.below(size + 1)), piece.begin(), piece.end());
      break;
    }
    case 7: {  // a piece over another
      const std::size_t from = dice.below(size);
      const std::size_t to = dice.below(size);
      const std::size_t n = 1 + dice.below(size - std::max(from, to));
      const Input piece(offset(from), offset(from + n));
      std::copy(piece.begin(), piece.end(), offset(to));
      break;
    }
    case 8: {  // this one's start, another one's end
      const Input& other = corpus[dice.below(corpus.size())];
      input.resize(dice.below(size + 1));
      if (!other.empty()) {
        input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(dice.below(other.size())), other.end());
      }
      break;
    }
  }
  if (input.size() > kMaxSize) input.resize(kMaxSize);
}

Input read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::exit(1);
  }
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<Input> read_folder(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());  // the folder's own order is the file system's
  std::vector<Input> inputs;
  for (const auto& path : paths) inputs.push_back(read(path));
  return inputs;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGABRT, on_abort);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(report);
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FOLDER|FILE...\n", argv[0]);
    return 2;
  }
  std::size_t tries = 0;
  for (int i = 1; i < argc; ++i) {
    if (!fs::exists(argv[i])) {
      std::fprintf(stderr, "%s: no such file or folder\n", argv[i]);
      return 1;
    }
    if (!fs::is_directory(argv[i])) {
      try_input(read(argv[i]));
      ++tries;
      continue;
    }
    const std::vector<Input> corpus = read_folder(argv[i]);
    if (corpus.empty()) {
      std::fprintf(stderr, "%s: an empty corpus tests nothing\n", argv[i]);
      return 1;
    }
    Dice dice(20'110'815);
    const std::size_t mutations = kMutations / corpus.size();
    for (const Input& seed : corpus) {
      try_input(seed);
      for (std::size_t m = 0; m < mutations; ++m) {
        Input input = seed;
        for (std::size_t n = dice.below(4) + 1; n > 0; --n) mutate_once(input, corpus, dice);
        try_input(input);
      }
      tries += 1 + mutations;
    }
  }
  std::printf("%zu inputs\n", tries);
  return 0;
}
