// The handlers of the command table, by the file that holds them.
#pragma once

#include "worker/handlers/context.h"

namespace memento::handlers {

// string_handlers.cc
void set(CommandContext&, const Call&);
void setnx(CommandContext&, const Call&);
void setex(CommandContext&, const Call&);
void psetex(CommandContext&, const Call&);
void get(CommandContext&, const Call&);
void getp(CommandContext&, const Call&);
void getset(CommandContext&, const Call&);
void getdel(CommandContext&, const Call&);
void delifeq(CommandContext&, const Call&);
void getex(CommandContext&, const Call&);

// range_handlers.cc
void append(CommandContext&, const Call&);
void prepend(CommandContext&, const Call&);
void strlen(CommandContext&, const Call&);
void getrange(CommandContext&, const Call&);
void setrange(CommandContext&, const Call&);

// multi_key_handlers.cc
void mget(CommandContext&, const Call&);
void mset(CommandContext&, const Call&);
void msetnx(CommandContext&, const Call&);
void rename(CommandContext&, const Call&);
void renamenx(CommandContext&, const Call&);
void copy(CommandContext&, const Call&);
void move_key(CommandContext&, const Call&);

// lcs_handler.cc
void lcs(CommandContext&, const Call&);

// key_handlers.cc
void del(CommandContext&, const Call&);
void exists(CommandContext&, const Call&);
void type(CommandContext&, const Call&);
void object_encoding(CommandContext&, const Call&);
void object_refcount(CommandContext&, const Call&);
void object_idletime(CommandContext&, const Call&);
void object_freq(CommandContext&, const Call&);
void debug_object(CommandContext&, const Call&);
void memory_usage(CommandContext&, const Call&);

// dump_handlers.cc
void dump(CommandContext&, const Call&);
void migrate(CommandContext&, const Call&);
void restore(CommandContext&, const Call&);

// number_handlers.cc
void inc(CommandContext&, const Call&);
void dec(CommandContext&, const Call&);
void incf(CommandContext&, const Call&);
void decf(CommandContext&, const Call&);
void incr(CommandContext&, const Call&);
void decr(CommandContext&, const Call&);
void incrby(CommandContext&, const Call&);
void decrby(CommandContext&, const Call&);
void incrbyfloat(CommandContext&, const Call&);

// bit_handlers.cc
void getbit(CommandContext&, const Call&);
void setbit(CommandContext&, const Call&);
void bitcount(CommandContext&, const Call&);
void bitpos(CommandContext&, const Call&);

// bitop_handler.cc
void bitop(CommandContext&, const Call&);

// bitfield_handlers.cc
void bitfield(CommandContext&, const Call&);
void bitfield_ro(CommandContext&, const Call&);

// hyperloglog_handlers.cc
void pfadd(CommandContext&, const Call&);
void pfcount(CommandContext&, const Call&);
void pfmerge(CommandContext&, const Call&);

// expiry_handlers.cc
void expire(CommandContext&, const Call&);
void pexpire(CommandContext&, const Call&);
void expireat(CommandContext&, const Call&);
void pexpireat(CommandContext&, const Call&);
void ttl(CommandContext&, const Call&);
void pttl(CommandContext&, const Call&);
void expiretime(CommandContext&, const Call&);
void pexpiretime(CommandContext&, const Call&);
void persist(CommandContext&, const Call&);

// keyspace_handlers.cc
void count(CommandContext&, const Call&);
void keys(CommandContext&, const Call&);
void values(CommandContext&, const Call&);
void prefscan(CommandContext&, const Call&);
void fuzzyscan(CommandContext&, const Call&);
void keyspace(CommandContext&, const Call&);
void flush(CommandContext&, const Call&);

// scan_handlers.cc
void scan(CommandContext&, const Call&);
void randomkey(CommandContext&, const Call&);

// transaction_handlers.cc
void multi(CommandContext&, const Call&);
void discard(CommandContext&, const Call&);
void watch(CommandContext&, const Call&);
void unwatch(CommandContext&, const Call&);
void exec(CommandContext&, const Call&);

// debug_handlers.cc
void debug_sleep(CommandContext&, const Call&);
void debug_protocol(CommandContext&, const Call&);
void debug_set_active_expire(CommandContext&, const Call&);

// pubsub_handlers.cc
void subscribe(CommandContext&, const Call&);
void ssubscribe(CommandContext&, const Call&);
void psubscribe(CommandContext&, const Call&);
void sub(CommandContext&, const Call&);
void unsubscribe(CommandContext&, const Call&);
void sunsubscribe(CommandContext&, const Call&);
void punsubscribe(CommandContext&, const Call&);
void unsub(CommandContext&, const Call&);
void tail(CommandContext&, const Call&);
void publish(CommandContext&, const Call&);
void spublish(CommandContext&, const Call&);
void pubsub_channels(CommandContext&, const Call&);
void pubsub_numsub(CommandContext&, const Call&);
void pubsub_shardchannels(CommandContext&, const Call&);
void pubsub_shardnumsub(CommandContext&, const Call&);
void pubsub_numpat(CommandContext&, const Call&);

// connection_handlers.cc
void ping(CommandContext&, const Call&);
void echo(CommandContext&, const Call&);
void quit(CommandContext&, const Call&);
void select(CommandContext&, const Call&);
void auth(CommandContext&, const Call&);
void hello(CommandContext&, const Call&);
void reset(CommandContext&, const Call&);

// client_handlers.cc
void client_id(CommandContext&, const Call&);
void client_info(CommandContext&, const Call&);
void client_caching(CommandContext&, const Call&);
void client_getname(CommandContext&, const Call&);
void client_getredir(CommandContext&, const Call&);
void client_setname(CommandContext&, const Call&);
void client_setinfo(CommandContext&, const Call&);
void client_reply(CommandContext&, const Call&);
void client_no_evict(CommandContext&, const Call&);
void client_no_touch(CommandContext&, const Call&);
void client_tracking(CommandContext&, const Call&);
void client_trackinginfo(CommandContext&, const Call&);
void client_unblock(CommandContext&, const Call&);

// client_list_handlers.cc
void client_list(CommandContext&, const Call&);
void client_kill(CommandContext&, const Call&);
void client_pause(CommandContext&, const Call&);
void client_unpause(CommandContext&, const Call&);

// monitor_handler.cc
void monitor(CommandContext&, const Call&);

// config_handlers.cc
void config_get(CommandContext&, const Call&);
void config_rewrite(CommandContext&, const Call&);
void config_set(CommandContext&, const Call&);
void config_resetstat(CommandContext&, const Call&);

// catalog_handlers.cc
void command_all(CommandContext&, const Call&);
void command_count(CommandContext&, const Call&);
void command_info(CommandContext&, const Call&);
void command_docs(CommandContext&, const Call&);
void command_list(CommandContext&, const Call&);
void command_getkeys(CommandContext&, const Call&);
void command_getkeysandflags(CommandContext&, const Call&);

// slow_handlers.cc
void slowlog_get(CommandContext& context, const Call& call);
void slowlog_len(CommandContext& context, const Call& call);
void slowlog_reset(CommandContext& context, const Call& call);
void latency_latest(CommandContext& context, const Call& call);
void latency_history(CommandContext& context, const Call& call);
void latency_reset(CommandContext& context, const Call& call);
void latency_doctor(CommandContext& context, const Call& call);
void latency_histogram(CommandContext& context, const Call& call);

// tool_handlers.cc
void role(CommandContext&, const Call&);
void wait(CommandContext&, const Call&);
void waitaof(CommandContext&, const Call&);
void lastsave(CommandContext&, const Call&);
void save(CommandContext&, const Call&);
void bgsave(CommandContext&, const Call&);
void bgrewriteaof(CommandContext&, const Call&);
void no_replication(CommandContext&, const Call&);
void replicaof(CommandContext&, const Call&);
void shutdown(CommandContext&, const Call&);
void module_list(CommandContext&, const Call&);
void memory_stats(CommandContext&, const Call&);
void memory_doctor(CommandContext&, const Call&);
void memory_purge(CommandContext&, const Call&);
void memory_malloc_stats(CommandContext&, const Call&);

// server_handlers.cc
void info(CommandContext&, const Call&);
void help(CommandContext&, const Call&);
void no_subcommand(CommandContext&, const Call&);
void subcommand_help(CommandContext&, const Call&);
void time(CommandContext&, const Call&);
void flushall(CommandContext&, const Call&);
void flushdb(CommandContext&, const Call&);
void swapdb(CommandContext&, const Call&);
void lolwut(CommandContext&, const Call&);

// cluster_handlers.cc
void cluster_slots(CommandContext& context, const Call& call);
void cluster_shards(CommandContext& context, const Call& call);
void cluster_nodes(CommandContext& context, const Call& call);
void cluster_info(CommandContext& context, const Call& call);
void cluster_myid(CommandContext& context, const Call& call);
void cluster_keyslot(CommandContext& context, const Call& call);
void cluster_countkeysinslot(CommandContext& context, const Call& call);
void cluster_getkeysinslot(CommandContext& context, const Call& call);
void cluster_randomkey(CommandContext& context, const Call& call);
void cluster_links(CommandContext& context, const Call& call);
void cluster_ok(CommandContext& context, const Call& call);
void clusterinfo(CommandContext& context, const Call& call);

// function_handlers.cc
void fcall(CommandContext&, const Call&);
void fcall_ro(CommandContext&, const Call&);
void function_delete(CommandContext&, const Call&);
void function_dump(CommandContext&, const Call&);
void function_flush(CommandContext&, const Call&);
void function_kill(CommandContext&, const Call&);
void function_list(CommandContext&, const Call&);
void function_load(CommandContext&, const Call&);
void function_restore(CommandContext&, const Call&);
void function_stats(CommandContext&, const Call&);

// script_handlers.cc
void eval(CommandContext&, const Call&);
void evalsha(CommandContext&, const Call&);
void eval_ro(CommandContext&, const Call&);
void evalsha_ro(CommandContext&, const Call&);
void script_debug(CommandContext&, const Call&);
void script_exists(CommandContext&, const Call&);
void script_flush(CommandContext&, const Call&);
void script_kill(CommandContext&, const Call&);
void script_load(CommandContext&, const Call&);
void script_show(CommandContext&, const Call&);

}  // namespace memento::handlers
