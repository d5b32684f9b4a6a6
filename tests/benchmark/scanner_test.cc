// The reply scanners: every stream is cut in two at each byte, and into single bytes, and must give the same
// replies.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "benchmark/memcached_scanner.h"
#include "benchmark/resp_scanner.h"
#include "benchmark/text_scanner.h"

namespace memento {
namespace {

struct Seen {
  ReplyKind kind;
  std::string text;
  bool operator==(const Seen&) const = default;
};
void PrintTo(const Seen& seen, std::ostream* out) {
  *out << static_cast<int>(seen.kind) << " \"" << seen.text << '"';
}

template <class Scanner>
bool feed(Scanner& scanner, std::string_view piece, std::vector<Seen>& seen) {
  return scanner.feed(piece, [&seen](const Reply& reply) {
    seen.push_back({reply.kind, std::string(reply.text)});
  });
}

/// Kinds only: what a scanner that keeps no values must still tell.
std::vector<ReplyKind> kinds_of(const std::vector<Seen>& seen) {
  std::vector<ReplyKind> kinds;
  kinds.reserve(seen.size());
  for (const Seen& reply : seen) kinds.push_back(reply.kind);
  return kinds;
}

template <class Scanner>
void expect_at_each_cut(const std::string& stream, const std::vector<Seen>& expected) {
  const auto whole = std::string_view(stream);
  for (const bool keeps_values : {true, false}) {
    for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
      Scanner scanner(keeps_values);
      std::vector<Seen> seen;
      ASSERT_TRUE(feed(scanner, whole.substr(0, cut), seen)) << "cut at " << cut;
      ASSERT_TRUE(feed(scanner, whole.substr(cut), seen)) << "cut at " << cut;
      EXPECT_EQ(kinds_of(seen), kinds_of(expected)) << "cut at " << cut;
      if (keeps_values || cut == 0) {
        EXPECT_EQ(seen, expected) << "cut at " << cut;
      }
    }
    Scanner scanner(keeps_values);
    std::vector<Seen> seen;
    for (std::size_t at = 0; at < whole.size(); ++at) ASSERT_TRUE(feed(scanner, whole.substr(at, 1), seen));
    EXPECT_EQ(kinds_of(seen), kinds_of(expected)) << "byte by byte";
    if (keeps_values) {
      EXPECT_EQ(seen, expected) << "byte by byte";
    }
  }
}

template <class Scanner>
bool is_refused(const std::string& stream) {
  Scanner scanner(true);
  std::vector<Seen> seen;
  return !feed(scanner, stream, seen);
}

// Shows values, an inner line end, an empty reply, a lone \r, errors and the null that is none.
TEST(TextScanner, AtEachCut) {
  expect_at_each_cut<TextScanner>(
      "OK\r\n(null)\r\nb\na\r\n(error) no\nmore\r\n\r\n(Out of memory)\r\n1\r2\r\n",
      {{ReplyKind::kValue, "OK"},
       {ReplyKind::kNil, "(null)"},
       {ReplyKind::kValue, "b\na"},
       {ReplyKind::kError, "(error) no\nmore"},
       {ReplyKind::kValue, ""},
       {ReplyKind::kError, "(Out of memory)"},
       {ReplyKind::kValue, "1\r2"}});
}

// Shows that a long reply cut in pieces is told right though only its beginning is kept.
TEST(TextScanner, LongErrorKeepsItsBeginning) {
  TextScanner scanner;
  std::vector<Seen> seen;
  const std::string text = "(error) " + std::string(500, 'e');
  feed(scanner, text.substr(0, 300), seen);
  feed(scanner, text.substr(300) + "\r\nOK\r\n", seen);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].kind, ReplyKind::kError);
  EXPECT_EQ(seen[0].text, text.substr(0, CutLine::kKeptSizeBytes));
  EXPECT_EQ(seen[1].text, "OK");
}

// Shows every type of RESP2 and RESP3: lines, values with line ends inside, both nulls, nested and empty
// aggregates.
TEST(RespScanner, AtEachCut) {
  expect_at_each_cut<RespScanner>(
      "+OK\r\n$5\r\nab\r\nc\r\n$-1\r\n-ERR no\r\n:42\r\n$0\r\n\r\n_\r\n*2\r\n*1\r\n$1\r\na\r\n:1\r\n"
      "%1\r\n+k\r\n~2\r\n:1\r\n_\r\n*0\r\n*-1\r\n!6\r\nERR "
      "ab\r\n=7\r\ntxt:abc\r\n#t\r\n,1.5\r\n(123\r\n+end\r\n",
      {{ReplyKind::kStatus, "OK"},
       {ReplyKind::kValue, "ab\r\nc"},
       {ReplyKind::kNil, ""},
       {ReplyKind::kError, "ERR no"},
       {ReplyKind::kValue, "42"},
       {ReplyKind::kValue, ""},
       {ReplyKind::kNil, ""},
       {ReplyKind::kValue, ""},
       {ReplyKind::kValue, ""},
       {ReplyKind::kValue, ""},
       {ReplyKind::kNil, ""},
       {ReplyKind::kError, "ERR ab"},
       {ReplyKind::kValue, "txt:abc"},
       {ReplyKind::kValue, "t"},
       {ReplyKind::kValue, "1.5"},
       {ReplyKind::kValue, "123"},
       {ReplyKind::kStatus, "end"}});
}

// Shows that what is not RESP is told, not counted.
TEST(RespScanner, RefusesOtherBytes) {
  for (const char* stream : {"OK\r\n", "$x\r\n", "$-2\r\n", "\r\n", "*1x\r\n", "VALUE a 0 1\r\n"}) {
    EXPECT_TRUE(is_refused<RespScanner>(stream)) << stream;
  }
}

// Shows hits, misses, a value that looks like the end, stored and the errors.
TEST(MemcachedScanner, AtEachCut) {
  const std::string key(200, 'k');
  expect_at_each_cut<MemcachedScanner>(
      "VALUE " + key + " 0 3\r\nabc\r\nEND\r\nEND\r\nSTORED\r\n" +
          "VALUE a 0 5\r\nEND\r\n\r\nEND\r\nSERVER_ERROR out of memory\r\nERROR\r\n" +
          "VALUE a 0 0\r\n\r\nEND\r\nNOT_STORED\r\n",
      {{ReplyKind::kValue, "abc"},
       {ReplyKind::kNil, "END"},
       {ReplyKind::kStatus, "STORED"},
       {ReplyKind::kValue, "END\r\n"},
       {ReplyKind::kError, "SERVER_ERROR out of memory"},
       {ReplyKind::kError, "ERROR"},
       {ReplyKind::kValue, ""},
       {ReplyKind::kError, "NOT_STORED"}});
}

TEST(MemcachedScanner, RefusesOtherBytes) {
  for (const char* stream : {"OK\r\n", "VALUE a 0 x\r\n", "VALUE a 0 1\r\na\r\nSTORED\r\n"}) {
    EXPECT_TRUE(is_refused<MemcachedScanner>(stream)) << stream;
  }
}

}  // namespace
}  // namespace memento
