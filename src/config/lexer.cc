#include "config/lexer.h"

#include <fmt/format.h>

#include <algorithm>

namespace har::config {
namespace {

bool is_octal(char c) { return c >= '0' && c <= '7'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// What ends an unquoted word.
bool ends_word(char c) { return is_control(c) || std::string_view(" \"'#+={}(),").find(c) != std::string_view::npos; }

bool is_variable_name(std::string_view name) {
  const auto fits = [](char c) { return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && !is_digit(name.front()) && std::all_of(name.begin(), name.end(), fits);
}

std::optional<TokenKind> punctuation(char c) {
  switch (c) {
    case '{':
      return TokenKind::kOpen;
    case '}':
      return TokenKind::kClose;
    case '(':
      return TokenKind::kOpenParenthesis;
    case ')':
      return TokenKind::kCloseParenthesis;
    case '=':
      return TokenKind::kEquals;
    case ',':
      return TokenKind::kComma;
    default:
      return std::nullopt;
  }
}

}  // namespace

Lexer::Lexer(std::string_view text, std::uint32_t file, std::uint32_t& order, const Expand& expand)
    : text_(text), file_(file), order_(order), expand_(expand) {
  if (text_.substr(0, 3) == "\xEF\xBB\xBF") position_ = 3;  // a byte order mark, as some editors leave it
}

Token Lexer::error(const Place& place, std::string what) {
  failed_ = Token{TokenKind::kError, std::move(what), place, place.line, {}, {}};
  return *failed_;
}

std::optional<Token> Lexer::skip_blanks_and_comments() {
  while (!ended()) {
    const char c = at();
    if (c == '\n') {
      ++line_;
      ++position_;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      ++position_;
    } else if (c == '#' || (c == '/' && at(1) == '/')) {
      position_ = std::min(text_.find('\n', position_), text_.size());
    } else if (c == '/' && at(1) == '*') {
      const auto end = text_.find("*/", position_ + 2);
      if (end == std::string_view::npos) {
        return error({file_, line_, ++order_}, "the comment that starts here does not end; close it with '*/'");
      }
      line_ += static_cast<int>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(position_),
                                           text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
      position_ = end + 2;
    } else {
      break;
    }
  }
  return std::nullopt;
}

Token Lexer::next() {
  if (failed_) return *failed_;
  if (auto unclosed = skip_blanks_and_comments()) return *unclosed;
  const Place place{file_, line_, ++order_};
  if (ended()) return {TokenKind::kEnd, {}, place, line_, {}, {}};
  const char c = at();
  if (const auto kind = punctuation(c)) {
    ++position_;
    return {*kind, std::string(1, c), place, line_, {}, {}};
  }
  if (c == '+') {
    if (at(1) != '=') return error(place, "a lone '+' means nothing here; write '+=', or put the text into quotes");
    position_ += 2;
    return {TokenKind::kPlusEquals, "+=", place, line_, {}, {}};
  }
  if (c == '"') return double_quoted(place);
  if (c == '\'') return single_quoted(place);
  return word(place);
}

Token Lexer::word(const Place& place) {
  if (at() == '$' && at(1) == '{') {
    auto value = variable(place);
    if (!value) return error(place, value.error().message);
    if (!ended() && !ends_word(at())) {
      return error(place, "text behind '${...}' without quotes; write it as one string: \"${VARIABLE}text\"");
    }
    return {TokenKind::kWord, std::move(*value), place, line_, {}, {}};
  }
  const std::size_t start = position_;
  while (!ended() && !ends_word(at())) ++position_;
  const auto text = text_.substr(start, position_ - start);
  if (!ended() && is_control(at()) && at() != '\n' && at() != '\r' && at() != '\t') {
    return error(place, fmt::format("a control character (\\x{:02x}) in the text; remove it",
                                    static_cast<unsigned>(static_cast<unsigned char>(at()))));
  }
  if (text.back() == '$' && at() == '{') {
    return error(place, "'${...}' within an unquoted word; write it as one string: \"text${VARIABLE}\"");
  }
  if (text.find("/*") != std::string_view::npos) {
    return error(place, "'/*' within a word; put a blank before the comment, or the text into quotes");
  }
  Token token{TokenKind::kWord, std::string(text), place, line_, {}, {}};
  if (at() == '#') behind_word(token);
  return token;
}

// '#' begins a comment, even right behind a word. But "192.0.2.1#5353" would lose its port without a word.
void Lexer::behind_word(Token& token) {
  if (is_digit(at(1))) {
    token.text += text_[position_++];
    while (is_digit(at())) token.text += text_[position_++];
    token.mistake = fmt::format("'#' begins a comment; put the text into quotes: \"{}\"", shown(token.text));
  } else if (at(1) != ' ' && at(1) != '\t' && at(1) != '\n' && at(1) != '\r' && at(1) != '\0') {
    token.warning = fmt::format("'#' right behind {} begins a comment; put a blank before it, or the text into quotes",
                                quoted(token.text));
  }
}

Token Lexer::single_quoted(const Place& place) {
  Token token{TokenKind::kWord, {}, place, line_, {}, {}};
  ++position_;
  while (!ended()) {
    char c = at();
    if (c == '\'') {
      ++position_;
      token.last_line = line_;
      return token;
    }
    if (c == '\0') return error({file_, line_, order_}, "a NUL octet in a string; remove it");
    if (c == '\\' && at(1) == '\n') {
      ++line_;
      position_ += 2;
      continue;
    }
    if (c == '\\' && (at(1) == '\'' || at(1) == '\\')) c = text_[++position_];
    if (c == '\n') ++line_;
    token.text += c;
    ++position_;
  }
  return error(place, "the string that starts here does not end; close it with a single quote");
}

Token Lexer::double_quoted(const Place& place) {
  Token token{TokenKind::kWord, {}, place, line_, {}, {}};
  ++position_;
  while (!ended()) {
    const char c = at();
    const Place here{file_, line_, order_};
    if (c == '"') {
      ++position_;
      token.last_line = line_;
      return token;
    }
    if (c == '\0') return error(here, "a NUL octet in a string; remove it");
    if (c == '\\') {
      ++position_;
      if (ended()) break;
      auto text = escape();
      if (!text) return error(here, text.error().message);
      token.text += *text;
    } else if (c == '$' && at(1) == '{') {
      auto value = variable(here);
      if (!value) return error(here, value.error().message);
      token.text += *value;
    } else {
      if (c == '\n') ++line_;
      token.text += c;
      ++position_;
    }
  }
  return error(place, "the string that starts here does not end; close it with a double quote");
}

Result<std::string> Lexer::escape() {
  const char c = at();
  if (is_digit(c)) {
    std::size_t digits = 0;
    unsigned value = 0;
    while (digits < 3 && is_octal(at(digits))) value = value * 8 + static_cast<unsigned>(at(digits++) - '0');
    if (digits == 0 || is_digit(at(digits)) || value > 255) {
      return failure("a backslash before digits takes octal ones up to \\377; write '\\\\' for a backslash");
    }
    if (value == 0) return failure("\\0 would end the string; remove it");
    position_ += digits;
    return std::string(1, static_cast<char>(value));
  }
  if (c == 'x' && hex_value(at(1)) >= 0) {
    int value = hex_value(at(1));
    position_ += 2;
    if (hex_value(at()) >= 0) value = value * 16 + hex_value(text_[position_++]);
    if (value == 0) return failure("\\x00 would end the string; remove it");
    return std::string(1, static_cast<char>(value));
  }
  if (c == '\0') return failure("a NUL octet in a string; remove it");
  ++position_;
  if (c == '\n') {  // the string goes on in the next line
    ++line_;
    return std::string();
  }
  constexpr std::string_view kNames = "abefnrtv";
  constexpr std::string_view kValues = "\a\b\x1b\f\n\r\t\v";
  const auto which = kNames.find(c);
  return std::string(1, which == std::string_view::npos ? c : kValues[which]);
}

Result<std::string> Lexer::variable(const Place& place) {
  const auto rest = text_.substr(position_ + 2);
  const auto end = rest.find_first_of("}\n");
  if (end == std::string_view::npos || rest[end] == '\n') {
    return failure("'${' is not closed on its line; add '}', or write \"\\${\" for the characters themselves");
  }
  const auto inside = rest.substr(0, end);
  const auto colon = inside.find(":-");
  const auto name = inside.substr(0, colon);
  if (!is_variable_name(name)) {
    return failure(fmt::format("{} is no name of a variable; write ${{NAME}} or ${{NAME:-text}}", quoted(name)));
  }
  position_ += 2 + end + 1;
  std::optional<std::string_view> fallback;
  if (colon != std::string_view::npos) fallback = inside.substr(colon + 2);
  return expand_(std::string(name), fallback, place);
}

}  // namespace har::config
