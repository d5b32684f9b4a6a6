// Scripts and libraries of functions on disk: what was loaded comes back with the data, from the journal and
// from a snapshot; what was only evaluated does not.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/data/data_server.h"

namespace memento::testing {
namespace {

std::string library(const std::string& name, const std::string& result, std::size_t padding = 0) {
  return "#!lua name=" + name + "\n--" + std::string(padding, 'x') + "\nredis.register_function('" + name +
         "', function() return '" + result + "' end)";
}
void load(const TestServer& server, const std::string& text) {
  EXPECT_FALSE(ask(server, {"FUNCTION", "LOAD", text}).starts_with("ERR"));
}
void replace(const TestServer& server, const std::string& text) {
  EXPECT_FALSE(ask(server, {"FUNCTION", "LOAD", "REPLACE", text}).starts_with("ERR"));
}
std::string call(const TestServer& server, const std::string& name) {
  return server.request("FCALL " + name + " 0");
}
bool has_script(const TestServer& server, const std::string& sha1) {
  return server.request("SCRIPT EXISTS " + sha1).starts_with("1");
}

// Shows that libraries and loaded scripts come back from the journal alone: as they were changed, replaced
// and removed; and that a script that was only evaluated is forgotten.
TEST(Texts, ComeBackFromTheJournal) {
  DataServer data({"--fsync", "always"});
  TestServer& server = data.server();
  const std::string kept = server.request("SCRIPT LOAD return'kept'");
  const std::string evaluated = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";  // of "return 1"
  EXPECT_EQ(ask(server, {"EVAL", "return 1", "0"}), "1");
  ASSERT_TRUE(has_script(server, kept));
  ASSERT_TRUE(has_script(server, evaluated));
  for (const char* name : {"one", "two", "three"}) load(server, library(name, "old"));
  replace(server, library("two", "new"));
  EXPECT_EQ(server.request("FUNCTION DELETE three"), "OK");
  data.reboot();
  EXPECT_TRUE(has_script(server, kept));
  EXPECT_FALSE(has_script(server, evaluated));
  EXPECT_EQ(server.request("EVALSHA " + kept + " 0"), "kept");
  EXPECT_EQ(call(server, "one"), "old");
  EXPECT_EQ(call(server, "two"), "new");
  EXPECT_TRUE(call(server, "three").starts_with("(error)"));
  EXPECT_EQ(server.request("SCRIPT FLUSH"), "OK");
  data.reboot();
  EXPECT_FALSE(has_script(server, kept));
  EXPECT_EQ(call(server, "one"), "old");
  EXPECT_EQ(server.request("FUNCTION FLUSH"), "OK");
  data.reboot();
  EXPECT_TRUE(call(server, "one").starts_with("(error)"));
}

// Shows the same of a snapshot, with changes behind it, and of a library that is longer than a frame's piece.
TEST(Texts, ComeBackFromASnapshot) {
  DataServer data({"--fsync", "always"});
  TestServer& server = data.server();
  const std::string kept = server.request("SCRIPT LOAD return'kept'");
  load(server, library("one", "old"));
  load(server, library("long", "1", 300'000));
  load(server, library("gone", "1"));
  EXPECT_EQ(server.request("SAVE"), "OK");
  EXPECT_EQ(server.request("FUNCTION DELETE gone"), "OK");
  replace(server, library("long", "2", 600'000));
  data.reboot();
  EXPECT_TRUE(has_script(server, kept));
  EXPECT_EQ(call(server, "one"), "old");
  EXPECT_EQ(call(server, "long"), "2");
  EXPECT_TRUE(call(server, "gone").starts_with("(error)"));
  EXPECT_EQ(server.request("SAVE"), "OK");
  data.reboot();
  EXPECT_EQ(call(server, "long"), "2");
  EXPECT_EQ(call(server, "one"), "old");
}

// Shows that texts of a server that had no folder come into one, though it has no keys; and that what is in
// memory is used where it is still there.
TEST(Texts, OfAServerWithoutAFolder) {
  const TemporaryFolder outer;
  TestServer before({"--dir", outer.path() + "/memory"});
  load(before, library("one", "old"));
  EXPECT_EQ(before.stop(), 0);
  DataServer data({"--dir", outer.path() + "/memory"});
  TestServer& server = data.server();
  EXPECT_EQ(call(server, "one"), "old");
  EXPECT_TRUE(wait_until([&] {
    return server.request("INFO persistence").find("rdb_saves:1") != std::string::npos;
  })) << server.log();
  EXPECT_EQ(server.stop(), 0);
  std::filesystem::remove_all(outer.path() + "/memory");
  data.start();
  EXPECT_EQ(call(server, "one"), "old");
}

// Shows that libraries for which no ring ever has room together are refused, and nothing is changed.
TEST(Texts, TooLongForTheJournal) {
  DataServer data({"--journal-ring", "16MiB", "--fsync", "always"});
  TestServer& server = data.server();
  for (const char* name : {"a", "b", "c", "d", "e"}) load(server, library(name, "1", 900'000));
  const std::string dump = ask(server, {"FUNCTION", "DUMP"});
  replace(server, library("a", "2"));
  const std::string reply = ask(server, {"FUNCTION", "RESTORE", dump, "REPLACE"});
  EXPECT_TRUE(reply.find("a quarter of the journal's ring") != std::string::npos) << reply.substr(0, 200);
  EXPECT_EQ(call(server, "a"), "2");
  EXPECT_EQ(call(server, "e"), "1");
  load(server, library("f", "1", 900'000));
  data.reboot();
  EXPECT_EQ(call(server, "a"), "2");
  EXPECT_EQ(call(server, "f"), "1");
}

}  // namespace
}  // namespace memento::testing
