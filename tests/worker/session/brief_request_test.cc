// Brief requests: what is told from the bytes at one pass is what the general parsers say.
#include "worker/session/brief_request.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <random>
#include <span>
#include <string>

#include "tests/resp_request.h"
#include "worker/wire/resp_codec.h"

namespace memento {
namespace {

using testing::resp_request;

constexpr RespLimits kLimits{
    .arguments = 1000, .bulk_bytes = 1 << 20, .request_bytes = 1 << 21, .is_authenticated = true};

using Words = std::array<std::string_view, kBriefWords>;

Arguments taken_words(const BriefRequest& brief, const Words& words) {
  const auto taken = std::span(words).first(brief.word_count);
  return {taken.begin(), taken.end()};
}

// Whether it was brief.
bool compare_frame(const std::string& bytes) {
  Words words;
  const BriefRequest brief = take_brief_frame(bytes, words.data());
  if (brief.command == nullptr) return false;
  RespParser parser;
  Arguments expected;
  std::deque<std::string> unquoted;
  std::size_t bytes_taken = 0;
  EXPECT_EQ(parser.parse(bytes, kLimits, &expected, &bytes_taken, &unquoted), RespParser::Outcome::kRequest);
  EXPECT_EQ(taken_words(brief, words), expected) << bytes;
  EXPECT_EQ(brief.bytes, bytes_taken) << bytes;
  EXPECT_EQ(brief.command, find_command(expected[0])) << bytes;
  return true;
}

// Whether it was brief.
bool compare_line(const std::string& bytes) {
  if (bytes.empty()) return false;
  const ShortLine line(bytes);
  if (!line.is_whole()) return false;
  Words words;
  const BriefRequest brief = take_brief_line(line, words.data());
  if (brief.command == nullptr) return false;
  Line general(line.text());
  Arguments expected{general.take_word()};
  const Command* const command = find_command(expected[0]);
  EXPECT_EQ(brief.command, command) << bytes;
  split_words(general, static_cast<std::size_t>(command->text_rest), &expected);
  EXPECT_EQ(taken_words(brief, words), expected) << bytes;
  return true;
}

TEST(BriefRequest, WhatIsUsualIsBrief) {
  const std::string tail = "*1\r\n";
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"GET", "k"},
                                             {"set", "key", ""},
                                             {"Setrange", "k", "0", "v"},
                                             {"SET", "k", std::string(99, 'v')}}) {
    EXPECT_TRUE(compare_frame(resp_request(words) + tail)) << resp_request(words);
    EXPECT_EQ(compare_frame(resp_request(words)), words.back().size() >= 2);
  }
  for (const std::string line :
       {"GET k", "get k", "SET k v", "SET k some words", "SET k ", "SETRANGE k 0 v"}) {
    EXPECT_TRUE(compare_line(line + "\n")) << line;
    EXPECT_TRUE(compare_line(line + "\r\n" + std::string(64, 'x'))) << line;
  }
}

TEST(BriefRequest, WhatIsNotAsUsualIsLeftToTheGeneralParsers) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"PING"},
                                             {"PING", "text"},
                                             {"MGET", "a", "b"},
                                             {"GET"},
                                             {"GET", "a", "b"},
                                             {"GETX", "a"},
                                             {std::string("GET\0", 4), "a"},
                                             {"GET", std::string(100, 'k')},
                                             {"SET", "k", "v", "EX", "10"}}) {
    EXPECT_FALSE(compare_frame(resp_request(words) + "*1\r\n")) << resp_request(words);
  }
  for (const std::string line : {"", " GET k", "GET  k", "GET k ", "GET", "SET k", "SET", "PING", "PING x",
                                 "MGET a b", "GET a b", "GETX a", "CLUSTER MYID"}) {
    EXPECT_FALSE(compare_line(line + "\n")) << line;
  }
}

// Bytes that are nearly a request, and cut at any place.
TEST(BriefRequest, SaysWhatTheGeneralParsersSay) {
  std::mt19937 random(7);
  const auto below = [&](std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random);
  };
  const std::vector<std::string> names = {"GET",      "set",  "INCR", "APPEND", "STRLEN",
                                          "SETRANGE", "PING", "MGET", "EXISTS"};
  const std::string odd = "*$\r\n 0123:-GSk";
  int brief_frames = 0;
  int brief_lines = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::vector<std::string> words{names[below(names.size())]};
    for (std::size_t count = below(4); count > 0; --count) {
      words.emplace_back(below(8) == 0 ? below(120) : below(12), 'k');
    }
    std::string frame = resp_request(words);
    std::string line;
    for (const std::string& word : words) line += word + std::string(below(20) == 0 ? 2 : 1, ' ');
    if (below(8) != 0) line.pop_back();
    line += below(2) == 0 ? "\n" : "\r\n";
    for (std::string* bytes : {&frame, &line}) {
      if (below(2) == 0) bytes->append(below(80), 'x');
      if (below(3) == 0) (*bytes)[below(bytes->size())] = odd[below(odd.size())];
      if (below(4) == 0) bytes->resize(below(bytes->size() + 1));
    }
    brief_frames += compare_frame(frame);
    brief_lines += compare_line(line);
    if (HasFailure()) return;
  }
  EXPECT_GT(brief_frames, 20'000);
  EXPECT_GT(brief_lines, 20'000);
}

}  // namespace
}  // namespace memento
