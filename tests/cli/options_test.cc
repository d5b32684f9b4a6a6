// The command line, URIs, the history file, and what the prompt knows of commands.
#include "cli/options.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "cli/modes/session.h"
#include "cli/prompt/catalog.h"
#include "cli/prompt/help.h"
#include "cli/prompt/history.h"
#include "tests/integration/test_server.h"

namespace memento::cli {
namespace {

using memento::testing::read_file;
using memento::testing::TemporaryFolder;

struct Parsed {
  Options options;
  std::optional<CliStatus> status;
  std::vector<std::string> argv;
};

Parsed parse(std::vector<std::string> arguments) {
  Parsed parsed;
  parsed.argv = std::move(arguments);
  parsed.argv.insert(parsed.argv.begin(), "memento-cli");
  std::vector<char*> argv;
  for (std::string& argument : parsed.argv) argv.push_back(argument.data());
  parsed.status = parse_options(static_cast<int>(argv.size()), argv.data(), &parsed.options);
  return parsed;
}

// Shows that all behind HOST and PORT, or behind the command's name, is the command.
TEST(CliOptions, CommandIsUntouched) {
  Parsed parsed = parse({"db.example.org", "7000", "INCF", "t", "-0.5", "--json"});
  EXPECT_EQ(parsed.status, std::nullopt);
  EXPECT_EQ(parsed.options.endpoint.address.to_string(), "db.example.org:7000");
  EXPECT_EQ(parsed.options.command, (Words{"INCF", "t", "-0.5", "--json"}));
  EXPECT_EQ(parsed.options.endpoint.protocol, WireProtocol::kText);

  parsed = parse({"--json", "localhost", "7000", "--pretty", "-r", "3", "get", "-x"});
  EXPECT_EQ(parsed.options.command, (Words{"get", "-x"}));
  EXPECT_EQ(parsed.options.format.format, OutputFormat::kJson);
  EXPECT_TRUE(parsed.options.format.pretty);
  EXPECT_EQ(parsed.options.repeat_count, 3U);
  EXPECT_EQ(parsed.options.endpoint.address.port, 7000);
  EXPECT_EQ(parsed.options.endpoint.protocol, WireProtocol::kResp3);
}

// Shows when the first word is the command and when it is a host.
TEST(CliOptions, HostOrCommand) {
  EXPECT_EQ(parse({"GET", "42"}).options.command, (Words{"GET", "42"}));
  EXPECT_EQ(parse({"LPUSH", "list", "1"}).options.command, (Words{"LPUSH", "list", "1"}));
  EXPECT_EQ(parse({"-p", "7000", "host", "42"}).options.command, (Words{"host", "42"}));
  EXPECT_EQ(parse({"db.example.org", "PING"}).options.endpoint.address.host, "db.example.org");
  EXPECT_EQ(parse({"top"}).options.mode, Mode::kTop);
  EXPECT_EQ(parse({"127.0.0.1", "7000", "cluster", "check"}).options.mode, Mode::kCluster);
  EXPECT_EQ(parse({"127.0.0.1", "7000", "CLUSTER", "INFO"}).options.mode, Mode::kCommand);
  EXPECT_EQ(parse({"--subscribe", "a", "b"}).options.command, (Words{"a", "b"}));
}

TEST(CliOptions, WrongUsage) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--no-such-option"},
                                             {"-p", "70000"},
                                             {"--raw", "--json", "GET", "a"},
                                             {"--stat", "--scan"},
                                             {"--scan", "GET", "a"},
                                             {"--scan", "--prefix", "a", "--fuzzy", "b"},
                                             {"-u", "http://x"},
                                             {"-u", "rediss://x"},
                                             {"-u", "redis://x", "--protocol", "text", "GET", "a"}}) {
    EXPECT_EQ(parse(arguments).status, CliStatus::kUsage) << arguments[0];
  }
}

TEST(CliOptions, PatternsOfKeys) {
  EXPECT_EQ(parse({"--scan", "--prefix", "a*"}).options.pattern, "a\\**");
  EXPECT_EQ(parse({"--scan", "--fuzzy", "a?"}).options.pattern, "*a*\\?*");
}

TEST(CliOptions, Databases) {
  EXPECT_EQ(parse({"-n", "3", "GET", "a"}).options.endpoint.database, 3);
  EXPECT_EQ(parse({"--db", "4", "GET", "a"}).options.endpoint.database, 4);
  EXPECT_EQ(parse({"-n", "x", "GET", "a"}).status, CliStatus::kUsage);
}

// Shows that `ps` will not show a password.
TEST(CliOptions, PasswordsAreOverwritten) {
  Parsed parsed = parse({"-a", "secret", "-u", "redis://:hidden@127.0.0.1", "GET", "a"});
  EXPECT_EQ(parsed.options.endpoint.password, "secret");
  EXPECT_EQ(parsed.argv[2], "xxxxxx");
  EXPECT_EQ(parsed.argv[4], "redis://xxxxxxx@127.0.0.1");
}

TEST(CliOptions, Environment) {
  setenv("MEMENTO_URI", "memento://:pw@db:7001", 1);
  setenv("MEMENTO_PORT", "7002", 1);
  const Parsed parsed = parse({"GET", "a"});
  const Parsed wins = parse({"-p", "7003", "GET", "a"});
  unsetenv("MEMENTO_URI");
  unsetenv("MEMENTO_PORT");
  EXPECT_EQ(parsed.options.endpoint.address.to_string(), "db:7002");
  EXPECT_EQ(parsed.options.endpoint.password, "pw");
  EXPECT_EQ(wins.options.endpoint.address.port, 7003);
}

TEST(CliEndpoint, Uris) {
  Endpoint endpoint;
  ASSERT_TRUE(parse_uri("redis://us%65r:p%40ss@[::1]:7000/3?x=y", &endpoint));
  EXPECT_EQ(endpoint.address.to_string(), "[::1]:7000");
  EXPECT_EQ(endpoint.user, "user");
  EXPECT_EQ(endpoint.password, "p@ss");
  EXPECT_EQ(endpoint.database, 3);
  EXPECT_TRUE(endpoint.is_foreign);
  ASSERT_TRUE(parse_uri("redis://host", &endpoint));
  EXPECT_EQ(endpoint.address.to_string(), "host:6379");
  ASSERT_TRUE(parse_uri("memento://", &endpoint));
  EXPECT_EQ(endpoint.address.to_string(), "127.0.0.1:6737");
  ASSERT_TRUE(parse_uri("unix:///run/a%20b.sock", &endpoint));
  EXPECT_EQ(endpoint.socket_path, "/run/a b.sock");
  for (const char* wrong :
       {"redis://:%4@h", "redis://h:0", "redis://h:x", "redis://h/x", "redis://[::1", "unix://", "h:1"}) {
    Endpoint unchanged;
    EXPECT_FALSE(parse_uri(wrong, &unchanged)) << wrong;
    EXPECT_EQ(unchanged.to_string(), Endpoint().to_string());
  }
}

// Shows that lines outlive the prompt in a file for its owner alone, passwords are not among them, and links
// are not followed.
TEST(CliHistory, PrivateFile) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/history";
  std::ofstream(path) << "GET old\n";
  ::chmod(path.c_str(), 0644);
  {
    History history(path);
    EXPECT_EQ(history.lines(), std::vector<std::string>{"GET old"});
    EXPECT_TRUE(history.add("SET a 1"));
    EXPECT_FALSE(history.add("SET a 1"));
    for (const char* secret :
         {"AUTH pw", "auth default pw", "HELLO 3 AUTH default pw", "CONFIG SET requirepass pw",
          "config set 'requirepass\" pw", ":connect redis://:pw@host", "ACL SETUSER a >pw"}) {
      EXPECT_FALSE(history.add(secret)) << secret;
    }
  }
  EXPECT_EQ(read_file(path), "GET old\nSET a 1\n");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);

  const std::string link = folder.path() + "/link";
  ASSERT_EQ(::symlink(path.c_str(), link.c_str()), 0);
  History through_link(link);
  EXPECT_NE(through_link.problem(), "");
  EXPECT_TRUE(through_link.add("GET b"));
  EXPECT_EQ(read_file(path), "GET old\nSET a 1\n");
}

// Shows that the file is shortened to the newest lines once it is much longer than what is kept.
TEST(CliHistory, FileStaysShort) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/history";
  std::ofstream file(path);
  for (int i = 0; i < 5000; ++i) file << "GET " << i << "\n";
  file.close();
  EXPECT_EQ(History(path).lines().front(), "GET 3000");
  const std::string kept = read_file(path);
  EXPECT_TRUE(kept.starts_with("GET 3000\n"));
  EXPECT_TRUE(kept.ends_with("GET 4999\n"));
}

TEST(CliCatalog, CompletionAndHints) {
  const Catalog catalog;
  EXPECT_EQ(catalog.completions({"getr"}), std::vector<std::string>{"GETRANGE"});
  EXPECT_EQ(catalog.completions({"client", "unp"}), std::vector<std::string>{"UNPAUSE"});
  EXPECT_EQ(catalog.completions({"SET", "k", "v", "k"}), std::vector<std::string>{"KEEPTTL"});
  EXPECT_EQ(catalog.completions({"help", "psetex"}), std::vector<std::string>{"PSETEX"});
  EXPECT_EQ(catalog.completions({"nosuch", "x"}), std::vector<std::string>{});
  EXPECT_EQ(catalog.hint({"getrange"}, false), " key start end");
  EXPECT_EQ(catalog.hint({"getrange", "k"}, true), "start end");
  EXPECT_EQ(catalog.hint({"getrange", "k", "0", "1"}, false), "");
  EXPECT_EQ(catalog.hint({"expire", "k", "10", "nx"}, false), "");
  EXPECT_EQ(catalog.hint({"set", "k", "v", "ex"}, true), "s");
  EXPECT_EQ(catalog.hint({"config", "get"}, true), "glob [glob ...]");
  EXPECT_EQ(catalog.hint({"nosuch"}, true), "");
}

// Shows that another server's COMMAND DOCS are understood, in RESP2's form too, and nonsense is not.
TEST(CliCatalog, DocumentsOfAnotherServer) {
  ReplyParser parser;
  parser.feed(
      "*2\r\n$5\r\nlpush\r\n*6\r\n$7\r\nsummary\r\n$4\r\nPush\r\n$5\r\ngroup\r\n$4\r\nlist\r\n$"
      "9\r\narguments\r\n*2\r\n"
      "*4\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n"
      "*6\r\n$4\r\nname\r\n$7\r\nelement\r\n$4\r\ntype\r\n$6\r\nstring\r\n$5\r\nflags\r\n*1\r\n+"
      "multiple\r\n");
  Reply docs;
  ASSERT_EQ(parser.next(&docs), ReplyParser::Outcome::kReply);
  Catalog catalog;
  catalog.replace_by(docs);
  EXPECT_EQ(catalog.hint({"lpush"}, true), "key element [element ...]");
  EXPECT_EQ(help_text(catalog, {"lpush"}, false),
            "  LPUSH key element [element ...]\n  Push\n  Group: list\n");
  catalog.replace_by(Reply{.type = ReplyType::kError, .text = "ERR", .elements = {}});
  EXPECT_EQ(catalog.entries().size(), 1U);
}

// Shows that help comes from the server's table: each of its commands is in it.
TEST(CliCatalog, HelpHasAllCommands) {
  const Catalog catalog;
  const std::string text = help_text(catalog, {}, false);
  EXPECT_GT(catalog.entries().size(), 100U);
  for (const CommandEntry& entry : catalog.entries()) {
    if (entry.name.find(' ') != std::string::npos) continue;
    EXPECT_NE(text.find("  " + entry.name + " "), std::string::npos) << entry.name;
  }
  EXPECT_NE(help_text(catalog, {"SET"}, false).find("SET key value [NX | XX | IFEQ comparison]"),
            std::string::npos);
  EXPECT_NE(help_text(catalog, {"client"}, false).find("CLIENT KILL"), std::string::npos);
  EXPECT_NE(help_text(catalog, {"nosuch"}, false).find("no command or group"), std::string::npos);
}

TEST(CliSession, WordsOfALine) {
  EXPECT_EQ(*words_of("SET k \"a \\x41\\n\" 'b c' "), (Words{"SET", "k", "a A\n", "b c"}));
  EXPECT_FALSE(words_of("SET k \"a"));
}

}  // namespace
}  // namespace memento::cli
