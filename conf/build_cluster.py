#!/usr/bin/env python3
"""build_cluster.py HOST:PORT HOST:PORT ...: writes node0.conf, node1.conf and so on into the current folder, the files that
the nodes of a cluster are started with (memento -c -f node0.conf). PORT is a node's bus port, its listen port plus 100, as in
the files. A file that is there already is never overwritten: nothing is written then."""
import argparse
import os
import sys

BUS_PORT_OFFSET = 100
PORT_LIMIT = 65335


def parse_node(text):
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or any(c.isspace() or c == "#" for c in host):
        raise argparse.ArgumentTypeError(f"'{text}' is not HOST:PORT")
    if not port.isascii() or not port.isdigit() or not BUS_PORT_OFFSET < int(port) <= PORT_LIMIT:
        raise argparse.ArgumentTypeError(
            f"'{text}': the bus port is the listen port plus {BUS_PORT_OFFSET}, {BUS_PORT_OFFSET + 1} to {PORT_LIMIT}")
    return host, int(port)


def text_of(nodes, self_index):
    lines = ["# ADDRESS PORT NAME SELF; PORT is the bus port, the listen port plus 100"]
    lines += [f"{host} {port} node{i} {int(i == self_index)}" for i, (host, port) in enumerate(nodes)]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nodes", metavar="HOST:PORT", nargs="+", type=parse_node)
    parser.add_argument("-o", "--output", metavar="FOLDER", default=".", help="where to write the files")
    arguments = parser.parse_args()
    nodes = arguments.nodes
    if len(set(nodes)) != len(nodes):
        parser.error("two nodes have the same address and port")
    paths = [os.path.join(arguments.output, f"node{i}.conf") for i in range(len(nodes))]
    taken = [path for path in paths if os.path.lexists(path)]
    if taken:
        print(f"build_cluster.py: {', '.join(taken)} exist already; move them away, or choose another folder with -o",
              file=sys.stderr)
        return 1
    for i, path in enumerate(paths):
        with open(path, "x", encoding="ascii") as file:
            file.write(text_of(nodes, i))
    print(f"wrote {', '.join(paths)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
