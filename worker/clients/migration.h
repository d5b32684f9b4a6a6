// Migration: one MIGRATE under way. The handler says what another server is to be asked, the event loop asks
// it and notes the answers, and then the request is executed again. Data; runs in workers.
//
// A key is here until the other server has it: it is removed when that said OK and it was not changed since
// it was sent. One that was changed meanwhile is sent again, so a migration may take several rounds, on one
// connection. What was sent of one that is gone meanwhile stays there: another MIGRATE may have moved it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shm/keyspace/keyspace.h"
#include "shm/os/byte_buffer.h"
#include "shm/os/fd.h"

namespace memento {

struct MigratedKey {
  std::string name;
  ChangeMark mark{};  ///< as it was sent
};

struct Migration {
  enum class Stage : std::uint8_t { kConnects, kTalks, kDone };

  std::string host;
  std::uint16_t port = 0;
  std::int64_t timeout_ms = 0;    ///< of silence of the other server
  std::int64_t deadline_ms = 0;   ///< monotonic; moves when it takes or says something
  std::vector<MigratedKey> keys;  ///< what each round sends, in the order of the answers
  int repeated_count = 0;         ///< rounds behind the first
  std::size_t settled_count = 0;  ///< of this round's keys, those that are done with: the handler may have to
                                  ///< wait between them (JournalFull)
  std::vector<MigratedKey> again;  ///< of these, those to be sent once more
  bool is_out_of_memory = false;
  bool has_lost_keys = false;     ///< some were sent and are gone here, not by this migration
  std::size_t preface_count = 0;  ///< answers to AUTH and SELECT, before the keys' own; of the first round

  Stage stage = Stage::kConnects;
  Fd socket;
  ByteBuffer requests;               ///< yet to be sent
  ByteBuffer received;               ///< an answer that is not whole
  std::size_t expected_count = 0;    ///< of this round's answers
  std::vector<std::string> answers;  ///< of this round: their first lines, with the type
  const char* failure = nullptr;     ///< why there are fewer answers than expected
};

}  // namespace memento
