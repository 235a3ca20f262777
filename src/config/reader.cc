#include "config/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <unordered_map>

#include "config/lexer.h"

namespace har::config {
namespace {

class Reader {
 public:
  Reader(const FileSource& source, const Environment& environment, Remarks& remarks,
         const std::function<void()>& progress)
      : source_(source), environment_(environment), remarks_(remarks), progress_(progress) {}

  Tree read(const std::string& path) {
    auto index = open(path);
    if (!index) {
      files_.push_back({path, {}});
      fail({0, 0, 0}, fmt::format("cannot be read: {}; name a file that can", index.error().message));
      files_.pop_back();
      tree_.paths = {path};
    } else if (files_[*index].text.size() > kMaxText) {
      fail({0, 0, 0}, fmt::format("more than {} octets of text; write less", kMaxText));
      tree_.paths = {path};
    } else {
      file(*index, tree_.items, 0, 0);
      for (const auto& one : files_) tree_.paths.push_back(one.path);
    }
    tree_.files.assign(std::make_move_iterator(files_.begin()), std::make_move_iterator(files_.end()));
    return std::move(tree_);
  }

 private:
  // The index of the file, which is read once however often it is included.
  Result<std::uint32_t> open(const std::string& path) {
    if (const auto known = by_path_.find(path); known != by_path_.end()) return known->second;
    auto text = source_(path);
    if (!text) return tl::unexpected<Error>(text.error());
    const auto index = static_cast<std::uint32_t>(files_.size());
    files_.push_back({path, std::move(*text)});
    by_path_.emplace(path, index);
    return index;
  }

  // libconfuse takes a relative path from the working directory, which says nothing for a daemon: the folder of the
  // including file comes first here.
  Result<std::uint32_t> open_included(const std::string& from, const std::string& path) {
    const auto slash = from.rfind('/');
    if (path.front() == '/' || slash == std::string::npos) return open(path);
    auto beside = open(from.substr(0, slash + 1) + path);
    if (beside) return beside;
    auto as_written = open(path);
    return as_written ? as_written : beside;
  }

  void fail(const Place& place, std::string what) {
    remarks_.mistake(place, std::move(what));
    tree_.whole = false;
  }
  bool failed() const { return !tree_.whole; }

  Result<std::string> expand(const std::string& name, std::optional<std::string_view> fallback, const Place& place) {
    auto known = variables_.find(name);
    if (known == variables_.end()) {
      known = variables_.emplace(name, environment_(name)).first;
      tree_.variables.emplace_back(name, known->second);
    }
    std::string value;
    if (known->second) {
      value = *known->second;  // set but empty counts as set, as in libconfuse
    } else if (fallback) {
      value = *fallback;
    } else {
      remarks_.warning(place,
                       fmt::format("the variable {} is not set and counts as empty; set it, or write ${{{}:-text}}",
                                   quoted(name), name));
    }
    if (value.find('\0') != std::string::npos) return failure("the variable's value holds a NUL octet; remove it");
    expanded_ += value.size();
    if (expanded_ > kMaxExpanded) {
      return failure(fmt::format("variables bring in more than {} octets; write less of them", kMaxExpanded));
    }
    return value;
  }

  Token next(Lexer& lexer) {
    Token token = lexer.next();
    if (token.kind == TokenKind::kError && !failed()) fail(token.place, token.text);
    if (!token.mistake.empty()) remarks_.mistake(token.place, std::move(token.mistake));
    if (!token.warning.empty()) remarks_.warning(token.place, std::move(token.warning));
    if (token.kind == TokenKind::kWord && token.last_line != token.place.line) {
      remarks_.warning(token.place,
                       fmt::format("a string goes on to line {}; is its closing quote missing here?", token.last_line));
    }
    return token;
  }

  void file(std::uint32_t index, std::vector<Item>& into, int includes, int sections) {
    text_read_ += files_[index].text.size();
    Lexer lexer(files_[index].text, index, order_, expand_);
    open_files_.push_back(index);
    statements(lexer, into, nullptr, includes, sections);
    ended_inside_ = false;  // the sections of the including file are another matter
    open_files_.pop_back();
  }

  // Up to the section's "}", or, with `section` null, to the end of the file.
  void statements(Lexer& lexer, std::vector<Item>& into, Item* section, int includes, int sections) {
    while (!failed()) {
      Token token = next(lexer);
      switch (token.kind) {
        case TokenKind::kWord:
          statement(lexer, std::move(token), into, includes, sections);
          break;
        case TokenKind::kClose:
          if (section != nullptr) return;
          fail(token.place, "'}' closes nothing; remove it, or a '{' is missing above");
          break;
        case TokenKind::kEnd:
          if (section != nullptr) unclosed(*section);
          return;
        case TokenKind::kError:
          return;
        case TokenKind::kComma:
          fail(token.place, "',' after a value; several values stand in braces: key = { a, b }");
          break;
        default:
          fail(token.place, fmt::format("{} where a key should stand; write 'key = value' or 'section {{ ... }}'",
                                        quoted(token.text)));
      }
    }
    if (section == nullptr) return;
    section->closed = false;
    if (ended_inside_) unclosed(*section);
  }

  // Each section that is open at the end of the file, not only the innermost: nobody knows which brace is missing.
  void unclosed(Item& section) {
    section.closed = false;
    ended_inside_ = true;
    const auto title = section.title ? " " + quoted(section.title->text) : "";
    fail(section.place,
         fmt::format("the section {}{} is not closed; add '}}' where it ends", quoted(section.key), title));
  }

  void statement(Lexer& lexer, Token key, std::vector<Item>& into, int includes, int sections) {
    if (key.text == ";") {  // a habit from named and nginx; everything behind it can still be read
      remarks_.mistake(key.place, "';' ends nothing here; remove it");
      return;
    }
    Token token = next(lexer);
    switch (token.kind) {
      case TokenKind::kError:
        return;
      case TokenKind::kEquals:
      case TokenKind::kPlusEquals: {
        Item item;
        item.key = std::move(key.text);
        item.place = key.place;
        item.append = token.kind == TokenKind::kPlusEquals;
        if (option(lexer, item)) into.push_back(std::move(item));
        return;
      }
      case TokenKind::kOpenParenthesis:
        call(lexer, key, into, includes, sections);
        return;
      case TokenKind::kOpen:
        this->section(lexer, std::move(key), std::nullopt, into, includes, sections);
        return;
      case TokenKind::kWord: {
        Text title{std::move(token.text), token.place};
        const Token open = next(lexer);
        if (open.kind == TokenKind::kOpen) {
          this->section(lexer, std::move(key), std::move(title), into, includes, sections);
        } else if (!failed()) {
          missing_equals(key, title, open);
        }
        return;
      }
      default:
        fail(key.place, fmt::format("{} has no value; write '{} = value'", quoted(key.text), shown(key.text)));
    }
  }

  void missing_equals(const Token& key, const Text& behind, const Token& next) {
    if (key.text == "include") {
      fail(key.place, fmt::format("include takes parentheses; write include(\"{}\")", shown(behind.text)));
    } else if (key.text == "name" || key.text == "candidate") {
      fail(key.place, fmt::format("'{{' is missing after '{} {}'; write '{} {} {{ ... }}'", key.text,
                                  shown(behind.text), key.text, shown(behind.text)));
    } else if (next.kind == TokenKind::kEquals || next.kind == TokenKind::kPlusEquals) {
      fail(key.place, fmt::format("{} stands alone before {}; write 'key = value', or quote a text with blanks",
                                  quoted(key.text), quoted(behind.text)));
    } else {
      fail(key.place, fmt::format("'=' is missing after {}; write '{} = {}'", quoted(key.text), shown(key.text),
                                  shown(behind.text)));
    }
  }

  bool option(Lexer& lexer, Item& item) {
    const Token first = next(lexer);
    if (first.kind == TokenKind::kWord) {
      item.values.push_back({first.text, first.place});
      return true;
    }
    if (first.kind == TokenKind::kOpen) return list(lexer, first.place, item);
    if (!failed()) {
      fail(item.place, fmt::format("{} has no value; write '{} = value'", quoted(item.key), shown(item.key)));
    }
    return false;
  }

  // Behind "{". A comma may follow the last value.
  bool list(Lexer& lexer, const Place& open, Item& item) {
    item.in_braces = true;
    bool comma = true;
    while (true) {
      Token token = next(lexer);
      switch (token.kind) {
        case TokenKind::kError:
          return false;
        case TokenKind::kClose:
          return true;
        case TokenKind::kEnd:
          fail(open, fmt::format("the list of {} is not closed; add '}}' behind its last value", quoted(item.key)));
          return false;
        case TokenKind::kComma:
          if (comma) {
            fail(token.place, "',' without a value before it; remove it");
            return false;
          }
          comma = true;
          break;
        case TokenKind::kWord:
          if (!comma) {
            fail(token.place, fmt::format("',' is missing before {}; write {{ a, b }}", quoted(token.text)));
            return false;
          }
          comma = false;
          item.values.push_back({std::move(token.text), token.place});
          break;
        default:
          fail(token.place,
               fmt::format("{} within the list of {}; write {{ a, b }}", quoted(token.text), quoted(item.key)));
          return false;
      }
    }
  }

  void section(Lexer& lexer, Token key, std::optional<Text> title, std::vector<Item>& into, int includes,
               int sections) {
    if (sections == kMaxSectionDepth) {
      fail(key.place,
           fmt::format("sections within sections, more than {} deep; is a '}}' missing above?", kMaxSectionDepth));
      return;
    }
    Item item;
    item.kind = Item::Kind::kSection;
    item.key = std::move(key.text);
    item.place = key.place;
    item.title = std::move(title);
    if (progress_ && sections == 0) progress_();
    statements(lexer, item.items, &item, includes, sections + 1);
    into.push_back(std::move(item));
  }

  // Behind "key(".
  void call(Lexer& lexer, const Token& key, std::vector<Item>& into, int includes, int sections) {
    if (key.text != "include") {
      fail(key.place, fmt::format("{} cannot be called; only include(\"file\") takes parentheses", quoted(key.text)));
      return;
    }
    const Token path = next(lexer);
    Token close = path.kind == TokenKind::kWord ? next(lexer) : path;
    if (close.kind == TokenKind::kComma) close = next(lexer);
    if (failed()) return;
    if (path.kind != TokenKind::kWord || close.kind != TokenKind::kCloseParenthesis || path.text.empty()) {
      fail(key.place, "include takes one file; write include(\"file\")");
      return;
    }
    include(path, into, includes, sections);
  }

  void include(const Token& path, std::vector<Item>& into, int includes, int sections) {
    std::string wanted = path.text;
    if (std::any_of(wanted.begin(), wanted.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; })) {
      fail(path.place, fmt::format("a control character in the file's name {}; remove it", quoted(wanted)));
      return;
    }
    if (wanted.front() == '~') {  // the pure part knows no users; HOME is what a shell takes for "~/"
      const auto home = wanted.substr(0, 2) == "~/" ? environment_("HOME") : std::nullopt;
      if (!home) {
        fail(path.place, fmt::format("{} cannot be resolved; write the whole path", quoted(wanted)));
        return;
      }
      if (variables_.emplace("HOME", home).second) tree_.variables.emplace_back("HOME", home);
      wanted = *home + wanted.substr(1);
    }
    if (++include_count_ > kMaxIncludes || includes == kMaxIncludeDepth) {
      fail(path.place, fmt::format("more than {} files within files, or {} in all; does a file include itself?",
                                   kMaxIncludeDepth, kMaxIncludes));
      return;
    }
    auto index = open_included(files_[path.place.file].path, wanted);
    if (!index) {
      // Not a matter of syntax: the rest is read, so that the other mistakes are seen as well.
      tree_.gaps = true;
      remarks_.mistake(path.place, fmt::format("cannot include {}: {}; name a file that can be read", quoted(path.text),
                                               index.error().message));
      return;
    }
    if (std::find(open_files_.begin(), open_files_.end(), *index) != open_files_.end()) {
      fail(path.place, fmt::format("{} includes itself; remove one of the include()s", quoted(files_[*index].path)));
      return;
    }
    if (files_[*index].text.size() > kMaxText - std::min(text_read_, kMaxText)) {
      fail(path.place, fmt::format("more than {} octets of text with {}; write less", kMaxText, quoted(path.text)));
      return;
    }
    file(*index, into, includes + 1, sections);
  }

  const FileSource& source_;
  const Environment& environment_;
  Remarks& remarks_;
  const std::function<void()>& progress_;
  const Expand expand_ = [this](const std::string& name, std::optional<std::string_view> fallback, const Place& place) {
    return expand(name, fallback, place);
  };

  Tree tree_;
  std::deque<SourceFile> files_;  // a deque: the lexers hold views into the texts
  std::unordered_map<std::string, std::uint32_t> by_path_;
  std::unordered_map<std::string, std::optional<std::string>> variables_;
  std::vector<std::uint32_t> open_files_;  // from the first to the one being read
  std::uint32_t order_ = 0;
  std::size_t text_read_ = 0;
  std::size_t expanded_ = 0;
  int include_count_ = 0;
  bool ended_inside_ = false;  // the file ended inside a section
};

}  // namespace

Tree read_tree(const std::string& path, const FileSource& files, const Environment& environment, Remarks& remarks,
               const std::function<void()>& progress) {
  return Reader(files, environment, remarks, progress).read(path);
}

}  // namespace har::config
