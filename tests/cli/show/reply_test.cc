// The parser of replies: every type, any cut, and servers that send nonsense or never stop.
#include "cli/show/reply.h"

#include <gtest/gtest.h>

#include "cli/show/format.h"

namespace memento::cli {
namespace {

std::vector<Reply> parse(std::string_view bytes, bool is_text = false) {
  ReplyParser parser(is_text);
  parser.feed(bytes);
  std::vector<Reply> replies;
  Reply reply;
  while (parser.next(&reply) == ReplyParser::Outcome::kReply) replies.push_back(reply);
  EXPECT_EQ(parser.error(), "");
  EXPECT_EQ(parser.pending_bytes(), 0U);
  return replies;
}

std::string error_of(std::string_view bytes, ReplyLimits limits = {}) {
  ReplyParser parser(false, limits);
  parser.feed(bytes);
  Reply reply;
  ReplyParser::Outcome outcome;
  while ((outcome = parser.next(&reply)) == ReplyParser::Outcome::kReply) {
  }
  EXPECT_EQ(outcome, ReplyParser::Outcome::kBroken) << bytes;
  return parser.error();
}

std::string shown(const Reply& reply) { return format_reply(reply, {}); }

constexpr std::string_view kEachType =
    "+OK\r\n-ERR no\r\n:-42\r\n$5\r\na\r\nbc\r\n$-1\r\n*-1\r\n_\r\n,1.5\r\n#t\r\n(12345678901234567890\r\n"
    "=8\r\ntxt:a\nbc\r\n*2\r\n:1\r\n*1\r\n$0\r\n\r\n%1\r\n+k\r\n~2\r\n:1\r\n:2\r\n>1\r\n+p\r\n|1\r\n+a\r\n:"
    "1\r\n:7\r\n!3\r\nbad\r\n";

// Shows what each type of RESP2 and RESP3 becomes, wherever the bytes are cut.
TEST(CliReply, EachTypeCutAnywhere) {
  const std::vector<std::string> expected = {"OK\n",
                                             "(error) ERR no\n",
                                             "(integer) -42\n",
                                             "\"a\\r\\nbc\"\n",
                                             "(null)\n",
                                             "(null)\n",
                                             "(null)\n",
                                             "(double) 1.5\n",
                                             "(true)\n",
                                             "(big number) 12345678901234567890\n",
                                             "a\nbc\n",
                                             "1) (integer) 1\n2) 1) \"\"\n",
                                             "1# k => \n   1~ (integer) 1\n   2~ (integer) 2\n",
                                             "1) p\n",
                                             "(integer) 7\n",
                                             "(error) bad\n"};
  for (std::size_t cut = 0; cut <= kEachType.size(); ++cut) {
    ReplyParser parser;
    std::vector<std::string> got;
    for (const std::string_view piece : {kEachType.substr(0, cut), kEachType.substr(cut)}) {
      parser.feed(piece);
      Reply reply;
      while (parser.next(&reply) == ReplyParser::Outcome::kReply) got.push_back(shown(reply));
    }
    ASSERT_EQ(got, expected) << "cut at " << cut << ": " << parser.error();
  }
}

TEST(CliReply, TextProtocol) {
  const std::vector<Reply> replies =
      parse("OK\r\n(null)\r\na\nb\r\n(error) no\r\n(Unknown command)\r\n\r\n", true);
  ASSERT_EQ(replies.size(), 6U);
  const ReplyType expected[] = {ReplyType::kText,  ReplyType::kNil,   ReplyType::kText,
                                ReplyType::kError, ReplyType::kError, ReplyType::kText};
  for (std::size_t i = 0; i < replies.size(); ++i) EXPECT_EQ(replies[i].type, expected[i]) << i;
  EXPECT_EQ(replies[2].text, "a\nb");
}

// Shows that what is no RESP is an error that names it, and stays one.
TEST(CliReply, NonsenseIsAnError) {
  EXPECT_EQ(error_of("HTTP/1.1 400\r\n"), "the server sent the byte 'H' where a reply should begin");
  EXPECT_EQ(error_of(":12x\r\n"), "the server sent the integer \"12x\"");
  EXPECT_EQ(error_of("$-2\r\n"), "the server sent the length \"-2\"");
  EXPECT_EQ(error_of("*9999999999999999999999\r\n"), "the server sent the count \"9999999999999999999999\"");
  EXPECT_EQ(error_of("$1\r\nab\r\n"), "the server sent a string that is longer than its length says");
  EXPECT_EQ(error_of("#x\r\n"), "the server sent the boolean \"x\"");
  EXPECT_EQ(error_of("+OK\r\n\r\n"), "the server sent an empty line where a reply should begin");
  EXPECT_EQ(error_of("=2\r\nab\r\n"), "the server sent a verbatim string without its format");
}

// Shows that limits hold for servers that never stop: a line, arrays in arrays, a string's length, many small
// elements.
TEST(CliReply, EndlessRepliesEnd) {
  EXPECT_NE(error_of("+" + std::string(100'000, 'x')).find("a line that does not end"), std::string::npos);
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "*1\r\n";
  EXPECT_NE(error_of(deep).find("more than 64 arrays"), std::string::npos);
  EXPECT_NE(error_of("$9000000000000000000\r\n").find("a string of 9000000000000000000 bytes"),
            std::string::npos);
  std::string many = "*1000000\r\n";
  for (int i = 0; i < 100'000; ++i) many += "_\r\n";
  EXPECT_NE(error_of(many, {.depth = 4, .reply_bytes = 1 << 20}).find("a reply of more than 1 MiB"),
            std::string::npos);
}

// Shows that a declared count or length costs nothing: it waits for the bytes.
TEST(CliReply, DeclaredSizesReserveNothing) {
  for (const char* begun : {"*2000000000\r\n", "%1000000000\r\n+a\r\n", "$1000000000\r\nabc"}) {
    ReplyParser parser;
    parser.feed(begun);
    Reply reply;
    EXPECT_EQ(parser.next(&reply), ReplyParser::Outcome::kIncomplete);
    EXPECT_GT(parser.pending_bytes(), 0U);
  }
}

TEST(CliFormat, MachineFormats) {
  const std::vector<Reply> replies = parse("*4\r\n$3\r\na\"b\r\n$-1\r\n:5\r\n$2\r\n\xff\n\r\n");
  EXPECT_EQ(format_reply(replies[0], {.format = OutputFormat::kRaw}), "a\"b\n\n5\n\xff\n\n");
  EXPECT_EQ(format_reply(replies[0], {.format = OutputFormat::kJson}), "[\"a\\\"b\",null,5,\"\u00ff\\n\"]\n");
  EXPECT_EQ(format_reply(replies[0], {.format = OutputFormat::kCsv}), "\"a\"\"b\",,5,\"\xff\n\"\n");
  EXPECT_EQ(format_reply(replies[0], {.format = OutputFormat::kQuoted}),
            "\"a\\\"b\"\n(null)\n5\n\"\\xff\\n\"\n");
  EXPECT_EQ(format_reply(replies[0], {.format = OutputFormat::kNull}), std::string("a\"b\0\0"
                                                                                   "5\0\xff\n\0",
                                                                                   10));
  const std::vector<Reply> map = parse("%2\r\n+a\r\n#f\r\n+b\r\n,inf\r\n");
  EXPECT_EQ(format_reply(map[0], {.format = OutputFormat::kJson}), "{\"a\":false,\"b\":\"inf\"}\n");
}

// Shows that nothing a server sends steers the terminal when shown by type, and that UTF-8 stays readable.
TEST(CliFormat, NoControlCharactersByType) {
  const std::vector<Reply> replies =
      parse("+a\x1b[31m\r\n$6\r\n\x1b]0;\xc2\x9b\r\n$3\r\n\xc3\xbc!\r\n-ERR \x07\r\n");
  EXPECT_EQ(shown(replies[0]), "a\\x1b[31m\n");
  EXPECT_EQ(shown(replies[1]), "\"\\x1b]0;\\xc2\\x9b\"\n");
  EXPECT_EQ(shown(replies[2]), "\"\u00fc!\"\n");
  EXPECT_EQ(shown(replies[3]), "(error) ERR \\x07\n");
}

TEST(CliFormat, PrettyJson) {
  const std::vector<Reply> replies = parse("$13\r\n{\"a\":[1,null]\r\n$14\r\n{\"a\":[1,null]}\r\n");
  EXPECT_EQ(format_reply(replies[0], {.pretty = true}), "\"{\\\"a\\\":[1,null]\"\n");  // not JSON: as it is
  EXPECT_EQ(format_reply(replies[1], {.pretty = true}), "{\n  \"a\": [\n    1,\n    null\n  ]\n}\n");
  EXPECT_EQ(pretty_json("{\"a\":1}", true), "{\n  \x1b[34m\"a\"\x1b[0m: \x1b[36m1\x1b[0m\n}");
  EXPECT_EQ(pretty_json(std::string(100'000, '['), false), std::nullopt);
}

}  // namespace
}  // namespace memento::cli
