// The handlers of the command table, by the file that holds them.
#pragma once

#include "worker/command/command.h"

namespace memento::handlers {

// string_handlers.cc
void set(CommandContext&, const Call&);
void get(CommandContext&, const Call&);
void getp(CommandContext&, const Call&);
void append(CommandContext&, const Call&);
void prepend(CommandContext&, const Call&);
void del(CommandContext&, const Call&);
void exists(CommandContext&, const Call&);

// number_handlers.cc
void inc(CommandContext&, const Call&);
void dec(CommandContext&, const Call&);
void incf(CommandContext&, const Call&);
void decf(CommandContext&, const Call&);

// expiry_handlers.cc
void expire(CommandContext&, const Call&);
void pexpire(CommandContext&, const Call&);
void ttl(CommandContext&, const Call&);
void pttl(CommandContext&, const Call&);
void persist(CommandContext&, const Call&);

// keyspace_handlers.cc
void count(CommandContext&, const Call&);
void keys(CommandContext&, const Call&);
void values(CommandContext&, const Call&);
void prefscan(CommandContext&, const Call&);
void fuzzyscan(CommandContext&, const Call&);
void keyspace(CommandContext&, const Call&);
void flush(CommandContext&, const Call&);

// connection_handlers.cc
void ping(CommandContext&, const Call&);
void echo(CommandContext&, const Call&);
void quit(CommandContext&, const Call&);
void select(CommandContext&, const Call&);
void hello(CommandContext&, const Call&);
void auth(CommandContext&, const Call&);
void reset(CommandContext&, const Call&);

// client_handlers.cc
void client_id(CommandContext&, const Call&);
void client_info(CommandContext&, const Call&);
void client_getname(CommandContext&, const Call&);
void client_setname(CommandContext&, const Call&);
void client_setinfo(CommandContext&, const Call&);
void client_reply(CommandContext&, const Call&);
void client_no_evict(CommandContext&, const Call&);
void client_no_touch(CommandContext&, const Call&);

// server_handlers.cc
void info(CommandContext&, const Call&);
void help(CommandContext&, const Call&);
void no_subcommand(CommandContext&, const Call&);
void subcommand_help(CommandContext&, const Call&);

}  // namespace memento::handlers
