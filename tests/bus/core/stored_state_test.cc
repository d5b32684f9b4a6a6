// What a node must not forget: its bytes, and which part of it is on disk.
#include "bus/core/stored_state.h"

#include <gtest/gtest.h>

#include "tests/bus/core/sample_document.h"

namespace memento::bus {
namespace {

StoredState sample_state() {
  StoredState state;
  state.uuid = sample_uuid(3);
  state.ready = {sample_uuid(1), sample_uuid(2)};
  state.term = 12;
  state.generation = 5;
  state.accepted = std::make_shared<const Document>(sample_document(3, 3));
  return state;
}

// Shows that a block is read back the same, with a document and without.
TEST(BusStoredState, BytesAndBack) {
  StoredState state = sample_state();
  for (const bool has_document : {true, false}) {
    if (!has_document) state.accepted = nullptr;
    const Result<StoredBlock> block = read_stored_state(stored_state_bytes(state, 77));
    ASSERT_TRUE(block) << block.error().message;
    EXPECT_EQ(block->number, 77U);
    EXPECT_EQ(block->state.uuid, state.uuid);
    EXPECT_EQ(block->state.ready, state.ready);
    EXPECT_EQ(block->state.term, state.term);
    EXPECT_EQ(block->state.generation, state.generation);
    ASSERT_EQ(block->state.accepted != nullptr, has_document);
    if (has_document) {
      EXPECT_EQ(*block->state.accepted, *state.accepted);
    }
  }
}

// Shows that a block that was cut anywhere, or has one byte changed, is refused: the other file counts then.
TEST(BusStoredState, TornBlocks) {
  const std::string bytes = stored_state_bytes(sample_state(), 1);
  for (std::size_t place = 0; place < bytes.size(); ++place) {
    EXPECT_FALSE(read_stored_state(bytes.substr(0, place))) << place;
    std::string changed = bytes;
    changed[place] = static_cast<char>(changed[place] ^ 1);
    EXPECT_FALSE(read_stored_state(changed)) << place;
  }
}

// Shows that a change is asked to be written once, that a later write contains an earlier one, and that the
// term on disk is the one that was written.
TEST(BusStateWriter, Tickets) {
  StateWriter writer(sample_state());
  std::optional<Persist> persist;
  const SaveTicket none = writer.save(0, persist);
  EXPECT_FALSE(persist);
  EXPECT_TRUE(writer.is_on_disk(none));

  writer.set_term(13);
  const SaveTicket first = writer.save(10, persist);
  ASSERT_TRUE(persist);
  EXPECT_EQ(persist->ticket, first);
  EXPECT_EQ(persist->state.term, 13U);
  persist.reset();
  EXPECT_EQ(writer.save(11, persist), first);  // nothing new
  EXPECT_FALSE(persist);
  writer.set_term(14);
  const SaveTicket second = writer.save(12, persist);
  EXPECT_GT(second, first);
  EXPECT_EQ(writer.waits_since(), 10);
  EXPECT_EQ(writer.term_on_disk(), 12U);

  writer.on_persisted(second);
  EXPECT_TRUE(writer.is_on_disk(first));
  EXPECT_EQ(writer.term_on_disk(), 14U);
  EXPECT_EQ(writer.waits_since(), kNever);
}

}  // namespace
}  // namespace memento::bus
