// The options: defaults, precedence, and every kind of error with its place and text.
#include "conf/options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "conf/config_rewrite.h"
#include "conf/machine.h"
#include "conf/password.h"
#include "conf/password_source.h"
#include "conf/size_text.h"

namespace memento {
namespace {

/// A configuration file for one test.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) {
    const int file = mkstemp(path_);
    EXPECT_GE(file, 0);
    close(file);
    std::ofstream(path_) << text;
  }
  ~ConfigFile() { unlink(path_); }
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/memento-conf-XXXXXX";
};

ParsedCommandLine parse(const std::vector<std::string>& arguments) {
  return parse_command_line(arguments, "/start");
}

ParsedCommandLine parse_file(const std::string& text, std::vector<std::string> arguments = {}) {
  const ConfigFile file(text);
  arguments.insert(arguments.begin(), {"-C", file.path()});
  ParsedCommandLine parsed = parse(arguments);
  // Messages name the file, whose name is made up.
  for (std::size_t at = 0; (at = parsed.text.find(file.path())) != std::string::npos;) {
    parsed.text.replace(at, file.path().size(), "FILE");
  }
  return parsed;
}

// Shows the documented defaults.
TEST(ConfOptions, Defaults) {
  const ParsedCommandLine parsed = parse({});
  ASSERT_FALSE(parsed.ends) << parsed.text;
  const Options& options = parsed.options;
  EXPECT_EQ(options.address, "127.0.0.1");
  EXPECT_EQ(options.port, 6737);
  EXPECT_EQ(options.workers, std::min(usable_cpu_count(), 128u));
  EXPECT_EQ(options.memory_bytes, usable_memory_bytes() / 2);
  EXPECT_EQ(options.directory, "/dev/shm/memento-6737");
  EXPECT_EQ(options.value_limit_bytes, 512ull << 20);
  EXPECT_EQ(options.max_clients, 10000);
  EXPECT_EQ(options.databases, 16u);
  EXPECT_EQ(options.quit_timeout_s, 10);
  EXPECT_EQ(options.lock_timeout_s, 5);
  EXPECT_EQ(options.slow_after_us, 10'000);
  EXPECT_EQ(options.slow_shown, 128);
  EXPECT_EQ(options.latency_after_ms, 0);
  EXPECT_EQ(options.key_events, "");
  EXPECT_EQ(options.eviction, EvictionPolicy::kNoEviction);
  EXPECT_EQ(options.debug_command, DebugPolicy::kNo);
  EXPECT_FALSE(options.daemon || options.fresh || options.test_only);
  EXPECT_TRUE(options.pid_file.empty() && options.log_file.empty());
}

// Shows that short and long names set the same things, and relative paths become absolute.
TEST(ConfOptions, ShortAndLongNames) {
  const auto check = [](const std::vector<std::string>& arguments) {
    const ParsedCommandLine parsed = parse(arguments);
    ASSERT_FALSE(parsed.ends) << parsed.text;
    EXPECT_EQ(parsed.options.address, "::1");
    EXPECT_EQ(parsed.options.port, 7000);
    EXPECT_EQ(parsed.options.workers, 3u);
    EXPECT_EQ(parsed.options.memory_bytes, 1ull << 30);
    EXPECT_EQ(parsed.options.directory, "/dev/shm/memento-7000");
    EXPECT_TRUE(parsed.options.daemon);
    EXPECT_TRUE(parsed.options.pid_file.starts_with("/") && parsed.options.pid_file.ends_with("/p"));
    EXPECT_TRUE(parsed.options.log_file.starts_with("/") && parsed.options.log_file.ends_with("/l"));
  };
  check({"-a", "::1", "-p", "7000", "-w", "3", "-m", "1g", "-d", "-P", "p", "-l", "./l"});
  check({"--address", "::1", "--port=7000", "--workers", "3", "--memory", "1GiB", "--daemon", "--pidfile",
         "p", "--logfile", "l"});
}

// Shows that the file's values hold where the command line says nothing.
TEST(ConfOptions, CommandLineWinsOverFile) {
  const ParsedCommandLine parsed = parse_file(
      "# comment\n\n  port\t7001  \nworkers 5\r\ndaemon yes\nquit-timeout 0\ndir /dev/shm/some where\n",
      {"-p", "7002"});
  ASSERT_FALSE(parsed.ends) << parsed.text;
  EXPECT_EQ(parsed.options.port, 7002);
  EXPECT_EQ(parsed.options.workers, 5u);
  EXPECT_TRUE(parsed.options.daemon);
  EXPECT_EQ(parsed.options.quit_timeout_s, 0);
  EXPECT_EQ(parsed.options.directory, "/dev/shm/some where");
}

// Shows what a value in the file becomes: quotes are taken away, escapes in double quotes mean what they mean
// to Redis, and a value without quotes is the rest of the line as it stands.
TEST(ConfOptions, QuotedValues) {
  const auto password = [](const std::string& value) {
    const ParsedCommandLine parsed = parse_file("requirepass " + value + "\n");
    return parsed.ends ? parsed.text : parsed.options.password;
  };
  EXPECT_EQ(password("\"pw\""), "pw");
  EXPECT_EQ(password("'pw'  \r"), "pw");
  EXPECT_EQ(password("\"two words, # and = too\""), "two words, # and = too");
  EXPECT_EQ(password(R"("\x41\x7f\xG1\n\r\t\a\b\"\\\q")"), "A\x7fxG1\n\r\t\a\b\"\\q");
  EXPECT_EQ(password(R"("a\x00b")"), std::string("a\0b", 3));
  EXPECT_EQ(password(R"('it\'s \n "so"')"), "it's \\n \"so\"");
  EXPECT_EQ(password("two words"), "two words");
  EXPECT_EQ(password("pa\"ss'"), "pa\"ss'");
  EXPECT_EQ(password("\"=pw\""), "=pw");
  EXPECT_EQ(password("pw="), "pw=");
  EXPECT_EQ(password("\"[1,2]\""), "[1,2]");
  EXPECT_EQ(password("[1,2]"), "[1,2]");
  EXPECT_EQ(password("--fresh"), "--fresh");
  EXPECT_EQ(password("\"pw"), "FILE:1: requirepass: the closing \" is missing\n");
  EXPECT_EQ(password("\"pw\\\""), "FILE:1: requirepass: the closing \" is missing\n");
  EXPECT_EQ(password("'pw' x"), "FILE:1: requirepass: there is more after the closing '\n");
  EXPECT_EQ(password("\"\""),
            "FILE:1: requirepass: the value is empty; leave the line out for the default\n");
  EXPECT_EQ(parse_file("port \"7001\"\n").options.port, 7001);
}

// Shows that '=' between a name and its value is an error, and how it is written instead.
TEST(ConfOptions, EqualsSignsAreNoSeparator) {
  const std::string advice =
      "'=' does not belong between a name and its value; write 'requirepass VALUE' (a value that begins with "
      "'=' stands in quotes)\n";
  EXPECT_EQ(parse_file("# a file\nrequirepass = pw\n").text, "FILE:2: " + advice);
  EXPECT_EQ(parse_file("requirepass=pw\n").text, "FILE:1: " + advice);
  EXPECT_EQ(parse_file("requirepass =pw\nfoo=1\n").text, "FILE:1: " + advice + "FILE:2: unknown key 'foo'\n");
}

// Shows that -t lists every error of a file with its line, and ends with 78.
TEST(ConfOptions, EveryErrorOfTheFileIsListed) {
  const ParsedCommandLine parsed = parse_file(
      "port 70000\nfoo bar\nworkers\nmemory 4q\naddress ::1\nmemory 1m\nworkers 129\nmax-clients x\nport 67 "
      "37\ndaemon maybe\ntest 1\n",
      {"-t"});
  EXPECT_TRUE(parsed.ends);
  EXPECT_EQ(parsed.status, ExitStatus::kConfig);
  EXPECT_EQ(parsed.text,
            "FILE:1: port: '70000' is not a port (1 to 65535)\n"
            "FILE:2: unknown key 'foo'\n"
            "FILE:3: workers: the value is missing\n"
            "FILE:4: memory: '4q' is not a size such as 512MiB or 4g\n"
            "FILE:6: memory: '1m' is too small, at least 16.0 MiB are needed\n"
            "FILE:7: workers: '129' is not a number of workers (1 to 128)\n"
            "FILE:8: max-clients: 'x' is not a number of clients (1 to 1000000)\n"
            "FILE:9: port: '67 37' is not a port (1 to 65535)\n"
            "FILE:10: daemon: 'maybe' is not yes or no\n"
            "FILE:11: unknown key 'test'\n");
}

// Shows that -t is content with a good configuration.
TEST(ConfOptions, TestOfAGoodFile) {
  const ParsedCommandLine parsed = parse_file("port 7001\n", {"--test"});
  EXPECT_TRUE(parsed.ends);
  EXPECT_EQ(parsed.status, ExitStatus::kOk);
  EXPECT_EQ(parsed.text, "FILE: ok\n");
  EXPECT_EQ(parse({"-t"}).status, ExitStatus::kOk);
}

// Shows that an unreadable file is a configuration error.
TEST(ConfOptions, MissingFile) {
  for (const char* path : {"/nonexistent/memento.conf", "/tmp"}) {
    const ParsedCommandLine parsed = parse({"-C", path});
    EXPECT_EQ(parsed.status, ExitStatus::kConfig);
    EXPECT_EQ(parsed.text, std::string(path) + ": cannot be read; name a readable file with -C\n");
  }
}

// Shows that a wrong command line ends with 64 and a hint.
TEST(ConfOptions, UsageErrors) {
  const std::vector<std::vector<std::string>> wrong = {{"--bogus"},
                                                       {"-p"},
                                                       {"-p", "0"},
                                                       {"-p", "x"},
                                                       {"-w", "0"},
                                                       {"-m", "1"},
                                                       {"stray"},
                                                       {"-a", ""},
                                                       {"--value-limit", "2g"},
                                                       {"-p", "99999999999999999999"}};
  for (const std::vector<std::string>& arguments : wrong) {
    const ParsedCommandLine parsed = parse(arguments);
    EXPECT_TRUE(parsed.ends) << arguments.front();
    EXPECT_EQ(parsed.status, ExitStatus::kUsage) << arguments.front();
    EXPECT_TRUE(parsed.text.starts_with("memento: ") &&
                parsed.text.ends_with("; memento --help lists the options\n"))
        << parsed.text;
  }
}

// Shows that the cluster's options are refused without -c.
TEST(ConfOptions, NodesNeedClusterMode) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"-f", "nodes"}, {"-i", "one"}}) {
    const ParsedCommandLine parsed = parse(arguments);
    EXPECT_EQ(parsed.status, ExitStatus::kUsage);
    EXPECT_NE(parsed.text.find("add -c"), std::string::npos) << parsed.text;
  }
}

// Shows that the journal is shown only when it is asked for, and that a configuration file cannot do that.
TEST(ConfOptions, ShowJournal) {
  const ParsedCommandLine parsed = parse({"--show-journal", "folder", "--check"});
  ASSERT_FALSE(parsed.ends) << parsed.text;
  EXPECT_EQ(parsed.options.show_journal, "folder");
  EXPECT_TRUE(parsed.options.check_journal);
  for (const char* alone : {"--check", "--cut"}) {
    EXPECT_EQ(parse({alone}).status, ExitStatus::kUsage);
    EXPECT_NE(parse({alone}).text.find("requires --show-journal"), std::string::npos) << parse({alone}).text;
  }
  EXPECT_TRUE(parse_file("show-journal folder\n").ends);
}

TEST(ConfOptions, HelpAndVersion) {
  EXPECT_EQ(parse({"-v"}).text.substr(0, 8), "memento ");
  EXPECT_EQ(parse({"-v"}).status, ExitStatus::kOk);
  const ParsedCommandLine help = parse({"-h"});
  EXPECT_EQ(help.status, ExitStatus::kOk);
  for (const std::string& key : config_keys())
    EXPECT_NE(help.text.find("--" + key), std::string::npos) << key;
}

// Shows that the sample file holds every key with its default, commented out, and is valid when it isn't.
TEST(ConfOptions, SampleFileIsComplete) {
  std::ifstream sample("conf/memento.conf");
  ASSERT_TRUE(sample) << "the tests run in the top folder";
  std::string text;
  std::vector<std::string> keys;
  for (std::string line; std::getline(sample, line);) {
    if (!line.starts_with("#") || line.starts_with("# ") || line == "#") {
      EXPECT_TRUE(line.empty() || line.starts_with("#")) << line;
      continue;
    }
    text += line.substr(1) + "\n";
    keys.push_back(line.substr(1, line.find(' ') - 1));
  }
  std::vector<std::string> expected = config_keys();
  std::ranges::sort(expected);
  std::ranges::sort(keys);
  EXPECT_EQ(keys, expected);
  const ParsedCommandLine parsed = parse_file(text);
  ASSERT_FALSE(parsed.ends) << parsed.text;
  const Options defaults = parse({}).options;
  EXPECT_EQ(parsed.options.address, defaults.address);
  EXPECT_EQ(parsed.options.port, defaults.port);
  EXPECT_EQ(parsed.options.directory, defaults.directory);
  EXPECT_EQ(parsed.options.value_limit_bytes, defaults.value_limit_bytes);
  EXPECT_EQ(parsed.options.max_clients, defaults.max_clients);
  EXPECT_EQ(parsed.options.quit_timeout_s, defaults.quit_timeout_s);
  EXPECT_EQ(parsed.options.lock_timeout_s, defaults.lock_timeout_s);
  EXPECT_EQ(parsed.options.slow_after_us, defaults.slow_after_us);
  EXPECT_EQ(parsed.options.slow_shown, defaults.slow_shown);
  EXPECT_EQ(parsed.options.latency_after_ms, defaults.latency_after_ms);
  EXPECT_EQ(parsed.options.eviction, defaults.eviction);
  EXPECT_EQ(parsed.options.daemon, defaults.daemon);
}

// Shows the thresholds of SLOWLOG and LATENCY in a file, and what is none.
TEST(ConfOptions, Thresholds) {
  const Options given =
      parse_file("slowlog-log-slower-than -1\nslowlog-max-len 0\nlatency-monitor-threshold 250\n").options;
  EXPECT_EQ(given.slow_after_us, -1);
  EXPECT_EQ(given.slow_shown, 0);
  EXPECT_EQ(given.latency_after_ms, 250);
  EXPECT_EQ(parse_file("slowlog-log-slower-than -2\nlatency-monitor-threshold x\n", {"-t"}).text,
            "FILE:1: slowlog-log-slower-than: '-2' is not a number of microseconds (-1 to 86400000000)\n"
            "FILE:2: latency-monitor-threshold: 'x' is not a number of milliseconds (0 to 86400000)\n");
}

// Shows the letters of the events that clients are told, and what is none.
TEST(ConfOptions, KeyEvents) {
  EXPECT_EQ(parse_file("notify-keyspace-events KEA\n").options.key_events, "KEA");
  EXPECT_EQ(parse_file("notify-keyspace-events KEq\n", {"-t"}).text,
            "FILE:1: notify-keyspace-events: 'KEq': only letters of Ag$lshzxeKEtmdn can be\n");
}

// Shows that changes of a file replace the line that counts, add one where there is none, take away what is
// to go, leave all else, and are read back as they were meant.
TEST(ConfRewrite, ChangesLines) {
  const std::string text = "# a comment\ntimeout 1\n\n  timeout   5\nrequirepass old\nport 7000";
  const std::string password = "two \"words\" \\ # \x01\xff";
  EXPECT_EQ(changed_config(text, {{"timeout", "60"}, {"hz", "20"}, {"requirepass", ""}, {"maxmemory", "1"}}),
            "# a comment\ntimeout 1\n\ntimeout 60\nport 7000\n# Set by CONFIG REWRITE\nhz 20\nmaxmemory 1\n");
  const std::string changed = changed_config(text, {{"requirepass", password}});
  EXPECT_EQ(parse_file(changed).options.password, password) << changed;
  EXPECT_EQ(changed_config("", {}), "");
}

// Shows that a change which no server could be started with is refused, and leaves the file as it is.
TEST(ConfRewrite, RefusesWhatCannotBeRead) {
  const std::string path = ::testing::TempDir() + "rewritten." + std::to_string(getpid());
  std::ofstream(path) << "# ours\ntimeout 1\n";
  const Outcome refused = rewrite_config_file(path, {{"hz", "501"}});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(path + ":4: hz: '501'"), std::string::npos)
      << refused.error().message;
  EXPECT_TRUE(rewrite_config_file(path, {{"hz", "500"}}));
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), "# ours\ntimeout 1\n# Set by CONFIG REWRITE\nhz 500\n");
  std::filesystem::remove(path);
}

// Shows both eviction policies, and what is none.
TEST(ConfOptions, EvictionPolicies) {
  EXPECT_EQ(parse({"--eviction", "allkeys"}).options.eviction, EvictionPolicy::kAllKeys);
  EXPECT_EQ(parse({"--eviction", "noeviction"}).options.eviction, EvictionPolicy::kNoEviction);
  const ParsedCommandLine wrong = parse({"--eviction", "lru"});
  EXPECT_EQ(wrong.status, ExitStatus::kUsage);
  EXPECT_NE(wrong.text.find("'lru' is not an eviction policy (noeviction or allkeys)"), std::string::npos)
      << wrong.text;
}

// Shows where the password comes from and which source wins; that a bad one is named; what matches it.
TEST(ConfPassword, Sources) {
  const auto found = [](const Options& options) {
    const Result<std::string> password = find_password(options);
    return password ? *password : "error: " + password.error().message;
  };
  unsetenv("MEMENTO_REQUIREPASS");
  const ConfigFile file("from file\r\nsecond line\n");
  const ConfigFile empty("\nx\n");
  EXPECT_EQ(found(parse({}).options), "");
  setenv("MEMENTO_REQUIREPASS", "from environment", 1);
  EXPECT_EQ(found(parse({}).options), "from environment");
  EXPECT_EQ(found(parse({"--requirepass-file", file.path()}).options), "from file");
  EXPECT_EQ(found(parse_file("requirepass given\nrequirepass-file " + file.path() + "\n").options), "given");
  EXPECT_EQ(found(parse({"--requirepass", std::string(512, 'x')}).options),
            "error: requirepass: the password is longer than 511 bytes");
  EXPECT_TRUE(found(parse({"--requirepass-file", empty.path()}).options).ends_with("is empty"));
  const ParsedCommandLine checked = parse({"-t", "--requirepass-file", "/nowhere/x"});
  EXPECT_EQ(checked.status, ExitStatus::kConfig);
  EXPECT_EQ(checked.text, "memento: /nowhere/x (requirepass-file): cannot be read\n");
  unsetenv("MEMENTO_REQUIREPASS");
  EXPECT_FALSE(parse_file("protected-mode no\n").options.protected_mode);
  EXPECT_EQ(parse_file("").options.tcp_keepalive_s, 300);
  EXPECT_EQ(parse_file("tcp-keepalive 0\n").options.tcp_keepalive_s, 0);
  EXPECT_TRUE(parse_file("tcp-keepalive 32768\n").ends);
  EXPECT_EQ(parse_file("inline-replies resp\n").options.inline_replies, InlineReplies::kResp);
  EXPECT_EQ(parse_file("inline-replies text\n").options.inline_replies, InlineReplies::kText);
  EXPECT_TRUE(parse_file("inline-replies RESP\n").ends);
  EXPECT_FALSE(parse_file("huge-pages no\n").options.huge_pages);
  EXPECT_TRUE(parse_file("huge-pages 2\n").ends);
  EXPECT_TRUE(parse_file("protected-mode maybe\n").ends);
  EXPECT_EQ(parse_file("enable-debug-command local\n").options.debug_command, DebugPolicy::kLocal);
  EXPECT_EQ(parse_file("enable-debug-command yes\n").options.debug_command, DebugPolicy::kYes);
  EXPECT_TRUE(parse_file("enable-debug-command maybe\n").ends);

  Password password;
  EXPECT_FALSE(password.is_set());
  for (const std::string& text : {std::string("secret"), std::string(511, 'p'), std::string("se\0cret", 7)}) {
    password.set(text, 7);
    EXPECT_TRUE(password.is_set());
    EXPECT_TRUE(password.matches(text));
    EXPECT_EQ(password.text(), text);
    for (const std::string& other :
         {text + "x", text.substr(1), text + std::string(1, '\0'), std::string(), std::string(600, 'p')}) {
      EXPECT_FALSE(password.matches(other));
    }
  }
}

// Shows that two processes that set passwords at the same time leave one of them whole, and that a reader
// sees no mixture: two threads set passwords of one letter each, of different lengths.
TEST(ConfPassword, SettersAtOnceDoNotTearIt) {
  Password password;
  std::atomic<bool> ends{false};
  const auto set_many = [&](std::uint32_t setter, char first) {
    for (int i = 0; i < 1'000'000; ++i) {
      const int letter = i % 13;
      password.set(
          std::string(static_cast<std::size_t>(100 + 30 * letter), static_cast<char>(first + letter)),
          setter);
    }
  };
  std::thread reader([&] {
    while (!ends) {
      const std::string text = password.text();
      if (text.empty()) continue;
      ASSERT_EQ(text, std::string(text.size(), text[0]));
      ASSERT_EQ(text.size(), static_cast<std::size_t>(100 + 30 * ((text[0] - 'A') % 32 % 13)));
    }
  });
  std::thread one(set_many, 1, 'a');
  std::thread two(set_many, 2, 'N');
  one.join();
  two.join();
  ends = true;
  reader.join();
  EXPECT_TRUE(password.is_set());
}

// Shows sizes with and without units, and what is none.
TEST(ConfSize, ParsesAndFormats) {
  const auto size = [](const char* text) {
    const std::optional<std::uint64_t> bytes = parse_size(text);
    return bytes ? static_cast<std::int64_t>(*bytes) : -1;
  };
  EXPECT_EQ(size("0"), 0);
  EXPECT_EQ(size("123"), 123);
  EXPECT_EQ(size("123b"), 123);
  for (const char* text : {"3m", "3M", "3mb", "3MB", "3MiB", "3072k"}) EXPECT_EQ(size(text), 3 << 20) << text;
  EXPECT_EQ(size("2g"), 2ll << 30);
  EXPECT_EQ(size("1TiB"), 1ll << 40);
  for (const char* text :
       {"", "k", "-1", "1.5g", "1 g", "1gg", "1ki", "1x", "99999999999999999999", "17179869184g"}) {
    EXPECT_EQ(size(text), -1) << text;
  }
  EXPECT_EQ(format_size(512), "512 B");
  EXPECT_EQ(format_size(12ull << 30), "12.0 GiB");
  EXPECT_EQ(format_size((3ull << 20) / 2), "1.5 MiB");
}

}  // namespace
}  // namespace memento
