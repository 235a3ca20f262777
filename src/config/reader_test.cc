#include "config/reader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/test_text.h"

namespace har::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The tree in one line: key=[value|...] and key(title){...}.
std::string shown(const std::vector<Item>& items) {
  std::string out;
  for (const auto& item : items) {
    if (!out.empty()) out += " ";
    out += item.key;
    if (item.kind == Item::Kind::kSection) {
      out += fmt::format("({}){{{}}}", item.title ? item.title->text : "", shown(item.items));
      continue;
    }
    out += item.append ? "+=[" : "=[";
    for (std::size_t i = 0; i < item.values.size(); ++i) out += (i > 0 ? "|" : "") + item.values[i].text;
    out += "]";
  }
  return out;
}

struct Read {
  Tree tree;
  std::string tree_text, mistakes, warnings;
};

Read read(std::vector<SourceFile> files, Variables variables = {}) {
  Remarks remarks;
  Read out;
  const auto first = files.front().path;
  out.tree = read_tree(first, bundle_source(std::move(files)), bundle_environment(std::move(variables)), remarks, {});
  out.tree_text = shown(out.tree.items);
  out.mistakes = said(remarks.mistakes(out.tree.paths));
  out.warnings = said(remarks.warnings(out.tree.paths));
  return out;
}

std::string tree_of(const std::string& text, Variables variables = {}) {
  auto one = read({{"t", text}}, std::move(variables));
  return one.mistakes.empty() ? one.tree_text : one.mistakes;
}

TEST(Reader, TakesTheOriginalsForms) {
  EXPECT_EQ(tree_of("nameservers = { 192.168.11.1 }\n"
                    "dns_bind_interfaces = { 127.0.0.1, ::1 }\n"
                    "name www.example.com {\n\tfailure_mode = all\n"
                    "\tcandidate www1 { check_address = \"http://www1/\" } }\n"),
            "nameservers=[192.168.11.1] dns_bind_interfaces=[127.0.0.1|::1] "
            "name(www.example.com){failure_mode=[all] candidate(www1){check_address=[http://www1/]}}");
}

TEST(Reader, NeedsNoLinesAndNoBlanks) {
  EXPECT_EQ(tree_of("a=b c+={d,e,}f{g=h}i j{}"), "a=[b] c+=[d|e] f(){g=[h]} i(j){}");
  EXPECT_EQ(tree_of("a\n=\nb\nc\nd\n{\n}\n"), "a=[b] c(d){}");
  EXPECT_EQ(tree_of(""), "");
  EXPECT_EQ(tree_of("a={}"), "a=[]");
}

TEST(Reader, PassesOverComments) {
  EXPECT_EQ(tree_of("# x\na = b # y\n// z\n/* 1\n 2 */ c = /* v */ d // w"), "a=[b] c=[d]");
  EXPECT_EQ(tree_of("a = { b, # one\n c // two\n }"), "a=[b|c]");
  EXPECT_EQ(tree_of("a = http://b/c#d\n"), "a=[http://b/c]") << "as libconfuse: # ends a word, // within one does not";
  EXPECT_EQ(tree_of("/***/a=b/**/"),
            "t:1: '/*' within a word; put a blank before the comment, or the text into quotes\n");
  EXPECT_EQ(tree_of("a = b\n/* c\n\n"), "t:2: the comment that starts here does not end; close it with '*/'\n");
}

TEST(Reader, DoesNotLoseAPortToAComment) {
  const auto one = read({{"t", "a = { 192.0.2.1#5353, b } c = d"}});
  EXPECT_EQ(one.mistakes, "t:1: '#' begins a comment; put the text into quotes: \"192.0.2.1#5353\"\n");
  EXPECT_EQ(one.tree_text, "a=[192.0.2.1#5353|b] c=[d]") << "and the rest is read";
  EXPECT_THAT(read({{"t", "a = b#c\nd = e # 5"}}).warnings, HasSubstr("t:1: '#' right behind 'b' begins a comment"));
  EXPECT_THAT(read({{"t", "a = b# c\nd = e #5\nf { g = h}#\n"}}).warnings, IsEmpty());
}

TEST(Reader, UnderstandsEscapes) {
  EXPECT_EQ(tree_of(R"(a = "x\ty\\z\"\q\x41g\101h\ei")"), "a=[x\ty\\z\"qAgAh\x1Bi]");
  EXPECT_EQ(tree_of("a = \"x\\\n  y\""), "a=[x  y]");
  EXPECT_EQ(tree_of(R"(a = 'x\ty\\z\'\q${A}')"), "a=[x\\ty\\z'\\q${A}]");
  EXPECT_EQ(tree_of("a = \"\" b = ''"), "a=[] b=[]");
  EXPECT_THAT(tree_of(R"(a = "\400")"), HasSubstr("t:1: "));
  EXPECT_THAT(tree_of(R"(a = "\18")"), HasSubstr("octal"));
  EXPECT_THAT(tree_of(R"(a = "\0")"), HasSubstr("t:1: "));
  EXPECT_THAT(tree_of(R"(a = "\x0")"), HasSubstr("t:1: "));
  EXPECT_EQ(tree_of(R"(a = "\x")"), "a=[x]");
}

TEST(Reader, ReportsAStringWithoutEndWhereItStarts) {
  EXPECT_THAT(tree_of("a = b\nc = \"d\n\n\n"), HasSubstr("t:2: the string that starts here does not end"));
  EXPECT_THAT(tree_of("a = b\nc = 'd\n\n\n"), HasSubstr("t:2: the string that starts here does not end"));
  EXPECT_THAT(tree_of("c = \"d\\"), HasSubstr("t:1: the string"));
}

TEST(Reader, WarnsOfAStringOverLines) {
  const auto one = read({{"t", "a = \"b\nc = \"d"}});
  EXPECT_THAT(one.warnings, HasSubstr("t:1: a string goes on to line 2"));
}

TEST(Reader, PutsVariablesIn) {
  const Variables variables{{"A", "va"}, {"EMPTY", ""}};
  EXPECT_EQ(tree_of("a = ${A} b = \"x${A}y\" name ${A} { }", variables), "a=[va] b=[xvay] name(va){}");
  EXPECT_EQ(tree_of("a = ${NO:-d e} b = \"${NO:-\"q\"}\"", variables), "a=[d e] b=[\"q\"]");
  EXPECT_EQ(tree_of("a = ${EMPTY:-d}", variables), "a=[]") << "set but empty counts as set, as in libconfuse";
  EXPECT_EQ(tree_of("a = $A b = \"$A\" c = \"\\${A}\"", variables), "a=[$A] b=[$A] c=[${A}]");
  EXPECT_THAT(tree_of("a = x${A}", variables), HasSubstr("t:1: '${...}' within an unquoted word"));
  EXPECT_THAT(tree_of("a = ${A}x", variables), HasSubstr("t:1: text behind '${...}'"));
  EXPECT_THAT(tree_of("a = ${A", variables), HasSubstr("not closed on its line"));
  EXPECT_THAT(tree_of("a = ${}", variables), HasSubstr("no name of a variable"));
  EXPECT_THAT(tree_of("a = \"${A-b}\"", variables), HasSubstr("no name of a variable"));
  const auto unset = read({{"t", "\na = ${NO}"}}, variables);
  EXPECT_EQ(unset.tree_text, "a=[]");
  EXPECT_THAT(unset.warnings, HasSubstr("t:2: the variable 'NO' is not set"));
}

TEST(Reader, KeepsLinesOfEveryItem) {
  const auto one = read({{"t", "a = b\n\nname\nx {\n c = \"d\ne\" f = { g,\nh }\n}"}});
  ASSERT_EQ(one.mistakes, "");
  EXPECT_EQ(one.tree.items[0].place.line, 1);
  const auto& name = one.tree.items[1];
  EXPECT_EQ(name.place.line, 3);
  EXPECT_EQ(name.title->place.line, 4);
  EXPECT_EQ(name.items[0].place.line, 5);
  EXPECT_EQ(name.items[1].place.line, 6);
  EXPECT_EQ(name.items[1].values[1].place.line, 7);
}

TEST(Reader, SaysWhatIsMissing) {
  EXPECT_THAT(tree_of("a b"), HasSubstr("t:1: '=' is missing after 'a'; write 'a = b'"));
  EXPECT_THAT(tree_of("\na b = c"), HasSubstr("t:2: 'a' stands alone before 'b'"));
  EXPECT_THAT(tree_of("a"), HasSubstr("'a' has no value"));
  EXPECT_THAT(tree_of("a ="), HasSubstr("'a' has no value"));
  EXPECT_THAT(tree_of("a = }"), HasSubstr("'a' has no value"));
  EXPECT_THAT(tree_of("a = { b c }"), HasSubstr("',' is missing before 'c'"));
  EXPECT_THAT(tree_of("a = { , c }"), HasSubstr("',' without a value before it"));
  EXPECT_THAT(tree_of("a = { b,, c }"), HasSubstr("',' without a value before it"));
  EXPECT_THAT(tree_of("a = { b { c } }"), HasSubstr("'{' within the list of 'a'"));
  EXPECT_THAT(tree_of("\na = {\nb"), HasSubstr("t:2: the list of 'a' is not closed"));
  EXPECT_THAT(tree_of("a = b, c = d"), HasSubstr("several values stand in braces"));
  EXPECT_THAT(tree_of("a = b }"), HasSubstr("'}' closes nothing"));
  EXPECT_THAT(tree_of("= b"), HasSubstr("'=' where a key should stand"));
  EXPECT_THAT(tree_of("name x y { }"), HasSubstr("'{' is missing after 'name x'"));
  EXPECT_THAT(tree_of("include \"f\""), HasSubstr("write include(\"f\")"));
  EXPECT_THAT(tree_of("a(b)"), HasSubstr("'a' cannot be called"));
  EXPECT_THAT(tree_of("a = b + c"), HasSubstr("a lone '+'"));
  EXPECT_THAT(tree_of("a = b\x01"), HasSubstr("control character (\\x01)"));
}

TEST(Reader, ReportsEverySectionThatIsOpenAtTheEnd) {
  EXPECT_EQ(tree_of("a = b\nname x {\n candidate y {\n c = d\n"),
            "t:2: the section 'name' 'x' is not closed; add '}' where it ends\n"
            "t:3: the section 'candidate' 'y' is not closed; add '}' where it ends\n");
}

TEST(Reader, ASectionNamedByControlCharactersIsReportedOnOneLine) {
  EXPECT_EQ(tree_of("\"a\n\x1b\" {"), "t:1: the section 'a\\x0a\\x1b' is not closed; add '}' where it ends\n");
}

TEST(Reader, GoesOnBehindASemicolon) {
  const auto one = read({{"t", "a = b ;\nname x { c = d ; };\n"}});
  EXPECT_EQ(one.mistakes, "t:1: ';' ends nothing here; remove it\nt:2: ';' ends nothing here; remove it\n");
  EXPECT_EQ(one.tree_text, "a=[b] name(x){c=[d]}");
}

TEST(Reader, KeepsWhatStandsBeforeASyntaxError) {
  const auto one = read({{"t", "a = b name x { c = d e }"}});
  EXPECT_FALSE(one.tree.whole);
  EXPECT_EQ(one.tree_text, "a=[b] name(x){c=[d]}");
  EXPECT_FALSE(one.tree.items[1].closed);
}

TEST(Include, ReadsBesideTheIncludingFileFirst) {
  const auto one = read({{"/etc/har/har.conf", "include(\"d/names.conf\") z = 1"},
                         {"/etc/har/d/names.conf", "include('more.conf') y = 1"},
                         {"/etc/har/d/more.conf", "x = 1"},
                         {"more.conf", "wrong = 1"}});
  EXPECT_EQ(one.mistakes, "");
  EXPECT_EQ(one.tree_text, "x=[1] y=[1] z=[1]");
  std::vector<std::string> paths;
  for (const auto& file : one.tree.files) paths.push_back(file.path);
  EXPECT_THAT(paths, ElementsAre("/etc/har/har.conf", "/etc/har/d/names.conf", "/etc/har/d/more.conf"));
  EXPECT_EQ(one.tree.items[0].place.file, 2u);
}

TEST(Include, FallsBackToThePathAsWritten) {
  EXPECT_EQ(read({{"conf/har.conf", "include(\"x\")"}, {"x", "a = b"}}).tree_text, "a=[b]");
  EXPECT_EQ(read({{"conf/har.conf", "include(\"/x\")"}, {"/x", "a = b"}}).tree_text, "a=[b]");
  EXPECT_EQ(read({{"t", "include(\"~/x\",)"}, {"/root/x", "a = b"}}, {{"HOME", "/root"}}).tree_text, "a=[b]");
  EXPECT_THAT(read({{"t", "include(\"~user/x\")"}}).mistakes, HasSubstr("write the whole path"));
}

TEST(Include, StandsInSectionsToo) {
  EXPECT_EQ(read({{"t", "name x { include(f) } name y { include(f) }"}, {"f", "a = b"}}).tree_text,
            "name(x){a=[b]} name(y){a=[b]}");
}

TEST(Include, NamesTheFileOfAMistake) {
  EXPECT_EQ(read({{"t", "\ninclude(f)\n}"}, {"f", "a = b\nc {\n"}}).mistakes,
            "f:2: the section 'c' is not closed; add '}' where it ends\n")
      << "and the including file's sections are another matter";
  EXPECT_EQ(read({{"t", "name x {\ninclude(f)\n}"}, {"f", "}"}}).mistakes,
            "f:1: '}' closes nothing; remove it, or a '{' is missing above\n");
}

TEST(Include, ThatCannotBeReadDoesNotEndTheReading) {
  const auto one = read({{"t", "include(nope)\na = b"}});
  EXPECT_EQ(one.mistakes,
            "t:1: cannot include 'nope': not among the files that were kept; name a file that can be read\n");
  EXPECT_EQ(one.tree_text, "a=[b]");
  EXPECT_TRUE(one.tree.whole);
}

TEST(Include, IsBounded) {
  EXPECT_THAT(read({{"t", "include(t)"}}).mistakes, HasSubstr("'t' includes itself"));
  EXPECT_THAT(read({{"t", "include(f)"}, {"f", "\ninclude(t)"}}).mistakes, HasSubstr("f:2: 't' includes itself"));
  std::vector<SourceFile> chain;
  for (int i = 0; i < 12; ++i) chain.push_back({fmt::format("f{}", i), fmt::format("include(f{})", i + 1)});
  EXPECT_THAT(read(chain).mistakes, HasSubstr("f10:1: more than 10 files within files"));
  // Two includes a file, ten deep, would be 1,024 files.
  std::vector<SourceFile> doubling;
  for (int i = 0; i < 10; ++i)
    doubling.push_back({fmt::format("f{}", i), fmt::format("include(f{0}) include(f{0})", i + 1)});
  doubling.push_back({"f10", ""});
  EXPECT_THAT(read(doubling).mistakes, HasSubstr("or 1000 in all"));
  std::string many = "a = b\n";
  for (int i = 0; i < 100; ++i) many += "include(big)\n";
  EXPECT_THAT(read({{"t", std::string(kMaxText + 1, ' ')}}).mistakes, HasSubstr("t: more than 67108864 octets"));
  EXPECT_THAT(read({{"t", many}, {"big", std::string(1u << 20, ' ')}}).mistakes, HasSubstr("octets of text"));
}

TEST(Reader, BoundsWhatVariablesBringIn) {
  std::string text = "a = \"";
  for (int i = 0; i < 100; ++i) text += "${A}";
  EXPECT_THAT(tree_of(text + "\"", {{"A", std::string(1u << 20, 'x')}}), HasSubstr("variables bring in more than"));
}

TEST(Reader, BoundsTheDepthOfSections) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "x { ";
  EXPECT_THAT(tree_of(text), HasSubstr("sections within sections, more than 16 deep"));
}

TEST(Reader, SaysThatTheFirstFileCannotBeRead) {
  const auto one = load("nope", bundle_source({}), {});
  EXPECT_EQ(said(one.mistakes), "nope: cannot be read: not among the files that were kept; name a file that can\n");
  EXPECT_TRUE(one.files.empty());
  EXPECT_EQ(one.config, nullptr);
}

TEST(Reader, TakesAByteOrderMarkAndCarriageReturns) {
  EXPECT_EQ(tree_of("\xEF\xBB\xBF"
                    "a = b\r\nc = { d,\r\n e }\r\n"),
            "a=[b] c=[d|e]");
}

}  // namespace
}  // namespace har::config
