// See sim_disk.h.
#include "tests/simulator/sim_disk.h"

#include <stdexcept>

namespace memento::simulator {

void SimDisk::write_now(const bus::StoredState& state) { put(state); }

void SimDisk::write(bus::Persist persist, const Manner& manner, Answer answer) {
  if (under_way_)
    next_ = Next{std::move(persist), manner, std::move(answer)};
  else
    begin(std::move(persist), manner, std::move(answer));
}

void SimDisk::begin(bus::Persist persist, const Manner& manner, Answer answer) {
  under_way_ = std::move(persist);
  TimeNs takes_ns = random_.between(2 * kMillisecondNs, 15 * kMillisecondNs);
  if (random_.chance(manner.slow)) takes_ns = random_.between(50 * kMillisecondNs, 1500 * kMillisecondNs);
  if (random_.chance(manner.hangs))
    takes_ns = random_.between(4000 * kMillisecondNs, 10'000 * kMillisecondNs);
  const bool fails = random_.chance(manner.fails);
  queue_->after(takes_ns, [this, life = life_, fails, answer = std::move(answer)] {
    if (life != life_) return;
    if (fails) {
      lose_unwritten();
      return answer(std::nullopt);
    }
    put(under_way_->state);
    const bus::SaveTicket ticket = under_way_->ticket;
    under_way_.reset();
    if (next_) {
      Next next = std::move(*next_);
      next_.reset();
      begin(std::move(next.persist), next.manner, std::move(next.answer));
    }
    answer(ticket);
  });
}

void SimDisk::lose_unwritten() {
  ++life_;
  next_.reset();
  if (!under_way_) return;
  const std::uint64_t fate = random_.below(3);
  if (fate == 1) put(under_way_->state);
  if (fate == 2) {
    put(under_way_->state);
    tear();
  }
  under_way_.reset();
}

void SimDisk::erase() {
  lose_unwritten();
  files_ = {};
  next_number_ = 1;
}

void SimDisk::put(const bus::StoredState& state) {
  files_[next_number_ % 2] = bus::stored_state_bytes(state, next_number_);
  ++next_number_;
}

/// The file that was written last: cut, or with a hole.
void SimDisk::tear() {
  std::string& file = files_[(next_number_ - 1) % 2];
  const std::size_t place = random_.below(file.size());
  if (random_.chance(0.5))
    file.resize(place);
  else
    file[place] = static_cast<char>(file[place] ^ 0x40);
  --next_number_;  // the next write goes into the same file: the other one is the whole one
}

std::optional<bus::StoredState> SimDisk::read() const {
  std::optional<bus::StoredBlock> newest;
  bool is_there = false;
  for (const std::string& file : files_) {
    is_there |= !file.empty();
    Result<bus::StoredBlock> block = bus::read_stored_state(file);
    if (block && (!newest || block->number > newest->number)) newest = std::move(*block);
  }
  if (newest) return newest->state;
  if (is_there && !files_[0].empty() && !files_[1].empty())
    throw std::logic_error("both files of a state folder are torn");
  return std::nullopt;
}

}  // namespace memento::simulator
