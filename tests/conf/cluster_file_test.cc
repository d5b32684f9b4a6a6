// The file that names a cluster's nodes: what it comes to, and its errors by line.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "conf/options.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

class ClusterFileTest : public ::testing::Test {
 protected:
  ParsedCommandLine parse(const std::string& text, std::vector<std::string> more = {}) {
    std::ofstream(folder_.path() + "/nodes") << text;
    std::vector<std::string> arguments = {"-c", "-f", "nodes"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return parse_command_line(arguments, folder_.path());
  }
  // The errors of a file, a line each.
  std::string errors(const std::string& text, std::vector<std::string> more = {}) {
    const ParsedCommandLine parsed = parse(text, std::move(more));
    EXPECT_TRUE(parsed.ends);
    EXPECT_EQ(parsed.status, ExitStatus::kConfig);
    return parsed.text;
  }

  TemporaryFolder folder_;
};

constexpr const char* kTwo = "# the nodes\n\n127.0.0.1\t7100  one 0\n 127.0.0.1 7101 two 1  # this one\n";

// Shows that comments, empty lines and any white space are taken, and that address and port follow from this node's line.
TEST_F(ClusterFileTest, NodesAndSelf) {
  const ParsedCommandLine parsed = parse(kTwo);
  ASSERT_FALSE(parsed.ends) << parsed.text;
  EXPECT_EQ(parsed.options.nodes.nodes, (std::vector<ClusterNode>{{"127.0.0.1", 7100, "one"}, {"127.0.0.1", 7101, "two"}}));
  EXPECT_EQ(parsed.options.nodes.self, 1u);
  EXPECT_EQ(parsed.options.port, 7001);
  EXPECT_EQ(parse(kTwo, {"-p", "7001", "-a", "127.0.0.2"}).options.address, "127.0.0.2");
}

// Shows that -i chooses this node, whatever the file says.
TEST_F(ClusterFileTest, ANameChoosesTheNode) {
  EXPECT_EQ(parse(kTwo, {"-i", "one"}).options.nodes.self, 0u);
  EXPECT_EQ(parse("127.0.0.1 7100 one 1\n127.0.0.1 7101 two 1\n", {"-i", "two"}).options.nodes.self, 1u);
  EXPECT_EQ(errors(kTwo, {"-i", "three"}), "nodes:4: no node is called three, as -i says\n");
}

// Shows that each error names file and line, and that all of a file's errors are told.
TEST_F(ClusterFileTest, ErrorsNameTheLine) {
  EXPECT_EQ(errors("127.0.0.1 7100 one\n127.0.0.1 7101 two 1\n"),
            "nodes:1: a node has 4 fields, ADDRESS PORT NAME SELF; here are 3\n");
  EXPECT_EQ(errors("127.0.0.1 7100 one 1\n127.0.0.1 7101 two 1\n"), "nodes:2: SELF is 1 in line 1 already\n");
  EXPECT_EQ(errors("127.0.0.1 7100 one 0\n"), "nodes:1: no line has SELF 1; mark this node's, or name it with -i\n");
  EXPECT_EQ(errors(""), "nodes:1: no line has SELF 1; mark this node's, or name it with -i\n");
  EXPECT_EQ(errors("127.0.0.1 7100 one 1\n\n127.0.0.1 7101 one 0\n"), "nodes:3: the name one stands in line 1 already\n");
  EXPECT_EQ(errors("127.0.0.1 7100 one 1\n127.0.0.1 7100 two 0\n"),
            "nodes:2: the address 127.0.0.1 7100 stands in line 1 already\n");
  EXPECT_EQ(errors("999.1.1.1 7100 one 1\n"), "nodes:1: '999.1.1.1' is not an address\n");
  EXPECT_EQ(errors("127.0.0.1 7100 one yes\n"), "nodes:1: SELF is 1 for this node, else 0; not 'yes'\n");
  EXPECT_EQ(errors("127.0.0.1 7100 o/ne 1\n"),
            "nodes:1: 'o/ne' is not a name: up to 63 letters, digits, '-', '_', '.'\n");
  for (const std::string port : {"x", "100", "65336", "70000", "-1", "7100x"}) {
    EXPECT_EQ(errors("127.0.0.1 " + port + " one 1\n"),
              "nodes:1: '" + port + "' is not a bus port, the listen port plus 100 (101 to 65335)\n");
  }
  EXPECT_EQ(errors("a b\n127.0.0.1 1 c 1\n"),
            "nodes:1: a node has 4 fields, ADDRESS PORT NAME SELF; here are 2\n"
            "nodes:2: '1' is not a bus port, the listen port plus 100 (101 to 65335)\n");
}

// Shows that -p has to agree with this node's line, and leave room for the other ports.
TEST_F(ClusterFileTest, ThePortHasToMatch) {
  EXPECT_FALSE(parse(kTwo, {"-p", "7001"}).ends);
  EXPECT_EQ(errors(kTwo, {"-p", "7000"}), "nodes:4: the bus port 7101 belongs to the listen port 7001, but -p says 7000\n");
  EXPECT_NE(errors(kTwo, {"-p", "65336"}).find("65335"), std::string::npos);
}

// Shows that a file that cannot be read is named, the default one too.
TEST_F(ClusterFileTest, AMissingFileIsNamed) {
  EXPECT_EQ(parse_command_line({"-c", "-f", "/nowhere/nodes"}, "/").text,
            "/nowhere/nodes: cannot be read; name the file of the cluster's nodes with -f\n");
  setenv("HOME", folder_.path().c_str(), 1);
  EXPECT_EQ(parse_command_line({"-c"}, "/").text,
            folder_.path() + "/.memento: cannot be read; name the file of the cluster's nodes with -f\n");
  std::ofstream(folder_.path() + "/.memento") << kTwo;
  EXPECT_FALSE(parse_command_line({"-c"}, "/").ends);
}

// Shows that the samples and what the generator writes are files that nodes start with, and that nothing is overwritten.
TEST_F(ClusterFileTest, SamplesAndGenerator) {
  const std::string conf = std::filesystem::absolute("conf");
  const Finished made = run_program("/usr/bin/python3", {conf + "/build_cluster.py", "127.0.0.1:7100", "127.0.0.1:7200"}, folder_.path());
  ASSERT_EQ(made.status, 0) << made.errors;
  for (int i = 0; i < 2; ++i) {
    const ParsedCommandLine parsed = parse_command_line({"-c", "-f", "node" + std::to_string(i) + ".conf"}, folder_.path());
    ASSERT_FALSE(parsed.ends) << parsed.text;
    EXPECT_EQ(parsed.options.port, 7000 + 100 * i);
    EXPECT_EQ(parsed.options.nodes.nodes.size(), 2u);
  }
  EXPECT_EQ(run_program("/usr/bin/python3", {conf + "/build_cluster.py", "127.0.0.1:7300"}, folder_.path()).status, 1);
  EXPECT_NE(read_file(folder_.path() + "/node0.conf").find("7100"), std::string::npos);
  for (int i = 0; i < 3; ++i) {
    const ParsedCommandLine parsed = parse_command_line({"-c", "-f", conf + "/node" + std::to_string(i) + ".conf"}, "/");
    EXPECT_FALSE(parsed.ends) << parsed.text;
    EXPECT_EQ(parsed.options.nodes.self, static_cast<std::size_t>(i));
  }
}

}  // namespace
}  // namespace memento::testing
