// `memento-cli cluster create | info | check | call`: the files of a cluster's nodes, what its nodes say of
// it, and one command on all of them. Nodes are found through the one that is connected to (CLUSTER NODES).
#pragma once

#include "cli/options.h"

namespace memento::cli {

/// options.command: "cluster", the verb, its words.
CliStatus run_cluster(const Options& options);

/// The file of one node: a line a node, `ADDRESS PORT NAME SELF`, PORT being the listen port plus 100.
std::string node_file_text(const std::vector<Address>& nodes, std::size_t self);

}  // namespace memento::cli
