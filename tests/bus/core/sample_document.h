// A document for tests: members a, b, c ..., of which the first are the voters.
#pragma once

#include "bus/core/document.h"

namespace memento::bus {

inline Uuid sample_uuid(std::uint64_t number) { return Uuid{{number, ~number}}; }

inline Document sample_document(std::size_t member_count, std::size_t voter_count,
                                std::size_t slot_count = 8) {
  Document document;
  document.cluster_id.fill(7);
  document.key = {0, 1};
  for (std::size_t place = 0; place < member_count; ++place) {
    Member member;
    member.number = document.next_number++;
    member.uuid = sample_uuid(member.number + 1);
    member.name = std::string(1, static_cast<char>('a' + place));
    member.address = "10.0.0." + std::to_string(place + 1);
    member.port = 6737;
    member.bus_port = 6837;
    document.members.push_back(member);
    if (place < voter_count) insert_sorted(document.voters_accepted, member.uuid);
  }
  document.voters_committed = document.voters_accepted;
  for (std::size_t slot = 0; slot < slot_count; ++slot) {
    SlotEntry entry;
    entry.primary = static_cast<MemberIndex>(slot * member_count / slot_count);
    entry.in_sync[0].member = entry.primary;
    entry.targets[0] = entry.primary;
    entry.epoch = entry.changes = 1;
    document.slots.push_back(entry);
  }
  return document;
}

}  // namespace memento::bus
