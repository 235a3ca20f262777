// Text to tokens: libconfuse's words, strings, comments and variables. One file at a time; knows nothing of includes.
// Differences from libconfuse, each because it drops or swallows text there without a word: '*' belongs to words; a
// lone
// '+', a control character and an unclosed comment or ${ are errors; ${...} ends on its line; a comment may stand
// anywhere between tokens (there: only between statements); "192.0.2.1#53" without quotes is a mistake (there: a
// comment). Thread: one load().  Tested by: reader_test.cc, tests/oracle_config/
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "config/remarks.h"

namespace har::config {

enum class TokenKind : std::uint8_t {
  kEnd,
  kWord,  // quoted or not, after escapes and variables
  kOpen,
  kClose,
  kOpenParenthesis,
  kCloseParenthesis,
  kEquals,
  kPlusEquals,
  kComma,
  kError,  // `text` says what is wrong; reading ends here
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  Place place;
  int last_line = 0;    // of a string over several lines
  std::string mistake;  // wrong, but clear enough to read on
  std::string warning;
};

// The value of a variable: ${name} or ${name:-fallback}. Fails when too much has been expanded.
using Expand =
    std::function<Result<std::string>(const std::string& name, std::optional<std::string_view> fallback, const Place&)>;

class Lexer {
 public:
  // `order` counts tokens across files and belongs to the caller.
  Lexer(std::string_view text, std::uint32_t file, std::uint32_t& order, const Expand& expand);

  Token next();  // after kEnd or kError: the same again

 private:
  char at(std::size_t ahead = 0) const { return ahead < text_.size() - position_ ? text_[position_ + ahead] : '\0'; }
  bool ended() const { return position_ == text_.size(); }
  std::optional<Token> skip_blanks_and_comments();  // an error token, if a comment does not end
  Token error(const Place& place, std::string what);
  Token single_quoted(const Place& place);
  Token double_quoted(const Place& place);
  Token word(const Place& place);
  void behind_word(Token& token);
  // At the '$' of "${": the value; moves behind the '}'.
  Result<std::string> variable(const Place& place);
  // At the character behind a backslash within double quotes.
  Result<std::string> escape();

  std::string_view text_;
  std::size_t position_ = 0;
  int line_ = 1;
  std::uint32_t file_;
  std::uint32_t& order_;
  const Expand& expand_;
  std::optional<Token> failed_;
};

}  // namespace har::config
