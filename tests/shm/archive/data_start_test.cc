// Which data a start begins with, by what it finds.
#include "shm/archive/data_start.h"

#include <gtest/gtest.h>

namespace memento {
namespace {

constexpr std::uint64_t kLast = 7;   // the binding of the last start
constexpr std::uint64_t kOther = 9;  // of one that the state folder does not know

Manifest manifest_of(std::uint64_t binding) {
  Manifest manifest;
  manifest.state = ManifestState::kValid;
  manifest.binding = binding;
  return manifest;
}

/// As a server left it that ran with all three: state folder, data folder, memory.
FoundData left_by_server() {
  FoundData found;
  found.folder = "/data";
  found.segment = "/dev/shm/memento/segment";
  found.state_folder = "/state";
  found.bindings = {kLast};
  found.newest_file = 3;
  found.manifest = manifest_of(kLast);
  found.files = {2, 3};
  found.is_attached = true;
  found.keys = 5;
  found.binding = kLast;
  found.file = 3;
  return found;
}

FoundData without_memory(FoundData found) {
  found.is_attached = false;
  found.keys = found.binding = found.file = 0;
  return found;
}

StartDecision decide(const FoundData& found) { return decide_start(found, {}); }

// Shows that what a server left goes on, from memory when that is there and from disk when not.
TEST(DataStart, GoesOnWithWhatWasLeft) {
  EXPECT_EQ(decide(left_by_server()).start, DataStart::kGoesOn);
  const StartDecision reboot = decide(without_memory(left_by_server()));
  EXPECT_EQ(reboot.start, DataStart::kLoads);
  EXPECT_FALSE(reboot.sets_segment_aside);
}

// Shows that a start that was cut off, with its binding only in some of the places, is followed by another.
TEST(DataStart, GoesOnBehindAStartThatWasCutOff) {
  FoundData found = left_by_server();
  found.bindings = {kLast, 8};
  EXPECT_EQ(decide(found).start, DataStart::kGoesOn);
  found.manifest->binding = 8;
  EXPECT_EQ(decide(found).start, DataStart::kGoesOn);
  found.binding = 8;
  EXPECT_EQ(decide(found).start, DataStart::kGoesOn);
  EXPECT_EQ(decide(without_memory(found)).start, DataStart::kLoads);
}

// Shows that the first start begins with nothing, and one of a server that had no folder with what it has.
TEST(DataStart, Begins) {
  FoundData found;
  EXPECT_EQ(decide(found).start, DataStart::kBegins);
  found.is_attached = true;
  found.keys = 5;
  const StartDecision decision = decide(found);
  EXPECT_EQ(decision.start, DataStart::kBegins);
  EXPECT_FALSE(decision.sets_segment_aside);
  EXPECT_FALSE(decision.sets_folder_aside);
}

// Shows that what was loaded in part counts for nothing.
TEST(DataStart, LoadsAgain) {
  FoundData found = left_by_server();
  found.is_half_loaded = true;
  const StartDecision decision = decide(found);
  EXPECT_EQ(decision.start, DataStart::kLoads);
  EXPECT_FALSE(decision.sets_segment_aside);
}

// Shows that memory that is not of the last start gives way to the folder that is.
TEST(DataStart, SetsStaleMemoryAside) {
  FoundData found = left_by_server();
  found.binding = kOther;
  const StartDecision decision = decide(found);
  EXPECT_EQ(decision.start, DataStart::kLoads);
  EXPECT_TRUE(decision.sets_segment_aside);
  EXPECT_NE(decision.text.find(found.segment), std::string::npos);
}

// Shows that a folder that was copied back while memory is there is set aside, and that without memory it is
// refused, unless somebody says that it is wanted.
TEST(DataStart, DoesNotTrustACopy) {
  FoundData found = left_by_server();
  found.manifest->binding = kOther;
  EXPECT_EQ(decide(found).start, DataStart::kBegins);
  EXPECT_TRUE(decide(found).sets_folder_aside);
  FoundData older = left_by_server();  // made while the server ran: the same binding, but a file is missing
  older.files = {2};
  EXPECT_EQ(decide(older).start, DataStart::kBegins);
  EXPECT_TRUE(decide(older).sets_folder_aside);
  for (const FoundData& copy : {without_memory(found), without_memory(older)}) {
    const StartDecision decision = decide(copy);
    EXPECT_EQ(decision.start, DataStart::kIsRefused);
    EXPECT_NE(decision.text.find("--recover detached"), std::string::npos);
    EXPECT_EQ(decide_start(copy, {.takes_detached = true}).start, DataStart::kLoads);
    const StartDecision fresh = decide_start(copy, {.is_fresh = true});
    EXPECT_EQ(fresh.start, DataStart::kBegins);
    EXPECT_TRUE(fresh.sets_folder_aside);
  }
}

// Shows that keys of a server that ran without the folder are not given up for it, nor the folder for them.
TEST(DataStart, RefusesToChoose) {
  FoundData found = left_by_server();
  found.binding = 0;
  const StartDecision decision = decide(found);
  EXPECT_EQ(decision.start, DataStart::kIsRefused);
  EXPECT_NE(decision.text.find("5 keys in memory"), std::string::npos);
  const StartDecision taken = decide_start(found, {.takes_detached = true});
  EXPECT_EQ(taken.start, DataStart::kLoads);
  EXPECT_TRUE(taken.sets_segment_aside);
  found.keys = 0;  // nothing to lose
  EXPECT_EQ(decide(found).start, DataStart::kLoads);
}

// Shows that without its state folder a server trusts memory and data folder when they agree, or only one is
// there.
TEST(DataStart, DoesWithoutTheStateFolder) {
  FoundData found = left_by_server();
  found.bindings.reset();
  found.newest_file.reset();
  EXPECT_EQ(decide(found).start, DataStart::kGoesOn);
  EXPECT_EQ(decide(without_memory(found)).start, DataStart::kLoads);
  found.manifest->binding = kOther;
  EXPECT_EQ(decide(found).start, DataStart::kIsRefused);
  found.manifest.reset();
  found.files.clear();
  EXPECT_EQ(decide(found).start, DataStart::kBegins);
}

// Shows that files that nobody can account for are neither used nor overwritten.
TEST(DataStart, RefusesAFolderWithoutManifest) {
  FoundData found = without_memory(left_by_server());
  found.manifest.reset();
  EXPECT_EQ(decide(found).start, DataStart::kIsRefused);
  EXPECT_NE(decide(found).text.find("no MANIFEST"), std::string::npos);
}

// Shows that a folder whose first snapshot was never complete is not taken for data.
TEST(DataStart, BeginsBehindAFirstSnapshotThatFailed) {
  FoundData found = left_by_server();
  found.manifest->state = ManifestState::kVoid;
  EXPECT_EQ(decide(found).start, DataStart::kBegins);
  EXPECT_FALSE(decide(found).sets_segment_aside);
  EXPECT_FALSE(decide(found).sets_folder_aside);
  const StartDecision decision = decide(without_memory(found));
  EXPECT_EQ(decision.start, DataStart::kBegins);
  EXPECT_NE(decision.text.find("no whole data"), std::string::npos);
}

}  // namespace
}  // namespace memento
