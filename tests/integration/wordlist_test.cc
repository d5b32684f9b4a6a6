// Debian's word list through a socket: every word a key, its line number and the word reversed as the value.
// All is read back, before and after a worker is killed, and some of it expires.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

constexpr const char* kWordList = "/usr/share/dict/american-english";
constexpr std::size_t kBatch = 1000;

std::vector<std::string> read_words() {
  std::ifstream file(kWordList);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word);) words.push_back(word);
  return words;
}

std::string value_of(const std::vector<std::string>& words, std::size_t index) {
  return std::to_string(index + 1) + " " + std::string(words[index].rbegin(), words[index].rend());
}

/// Sends requests in pipelined batches; a batch whose connection broke is sent again as a whole.
class Pipeline {
 public:
  explicit Pipeline(const TestServer& server) : server_(server), client_(server.connect()) {}

  std::vector<std::string> ask(const std::vector<std::string>& requests) {
    for (;;) {
      std::vector<std::string> replies;
      if (try_ask(requests, &replies)) return replies;
      client_ = server_.connect();
    }
  }
  pid_t worker() { return worker_of(client_); }

 private:
  bool try_ask(const std::vector<std::string>& requests, std::vector<std::string>* replies) {
    for (const std::string& request : requests) {
      if (!client_.send_line(request)) return false;
    }
    while (replies->size() < requests.size()) {
      const Result<std::string> reply = client_.read_reply();
      if (!reply) return false;
      replies->push_back(*reply);
    }
    return true;
  }

  const TestServer& server_;
  Client client_;
};

class WordList : public ::testing::Test {
 protected:
  // Calls check(index, reply) for the answers to request(index), for each word.
  template <class MakeRequest, class Check>
  void for_each_word(Pipeline& pipeline, MakeRequest&& request, Check&& check) {
    for (std::size_t begin = 0; begin < words_.size(); begin += kBatch) {
      const std::size_t end = std::min(begin + kBatch, words_.size());
      std::vector<std::string> requests;
      for (std::size_t i = begin; i < end; ++i) requests.push_back(request(i));
      const std::vector<std::string> replies = pipeline.ask(requests);
      for (std::size_t i = begin; i < end; ++i) check(i, replies[i - begin]);
    }
  }

  const std::vector<std::string> words_ = read_words();
};

TEST_F(WordList, AllComesBack) {
  ASSERT_GT(words_.size(), 100'000u) << "is the package wamerican installed?";
  TestServer server;
  Pipeline pipeline(server);
  const auto get = [&](std::size_t i) { return "GET " + words_[i]; };
  const auto is_stored = [&](std::size_t i, const std::string& reply) {
    ASSERT_EQ(reply, value_of(words_, i)) << words_[i];
  };

  const std::size_t middle = words_.size() / 2;
  std::size_t stored = 0;
  for_each_word(
      pipeline, [&](std::size_t i) { return "SET " + words_[i] + " " + value_of(words_, i); },
      [&](std::size_t i, const std::string& reply) {
        ASSERT_EQ(reply, "OK");
        ++stored;
        if (i == middle / kBatch * kBatch) kill(pipeline.worker(), SIGKILL);
      });
  EXPECT_EQ(stored, words_.size());
  EXPECT_NE(server.log().find("killed"), std::string::npos);
  EXPECT_EQ(server.request("COUNT"), std::to_string(words_.size()));
  for_each_word(pipeline, get, is_stored);

  kill(pipeline.worker(), SIGKILL);
  for_each_word(pipeline, get, is_stored);
  EXPECT_EQ(server.request("COUNT"), std::to_string(words_.size()));

  // Every tenth word expires at once, every tenth after it in an hour.
  const auto tenth = [](std::size_t i) { return i % 10 == 0; };
  for_each_word(
      pipeline,
      [&](std::size_t i) {
        return tenth(i)      ? "PEXPIRE " + words_[i] + " 1"
               : i % 10 == 1 ? "EXPIRE " + words_[i] + " 3600"
                             : "PING x";
      },
      [&](std::size_t i, const std::string& reply) { ASSERT_EQ(reply, i % 10 < 2 ? "1" : "x"); });
  const std::size_t expired = (words_.size() + 9) / 10;
  EXPECT_TRUE(wait_until([&] { return server.request("COUNT") == std::to_string(words_.size() - expired); }))
      << "the sweep has not removed the expired words";
  for_each_word(pipeline, get, [&](std::size_t i, const std::string& reply) {
    ASSERT_EQ(reply, tenth(i) ? "(null)" : value_of(words_, i));
  });
  EXPECT_NE(server.request("INFO stats").find("expired_keys:" + std::to_string(expired) + "\n"),
            std::string::npos);
}

}  // namespace
}  // namespace memento::testing
