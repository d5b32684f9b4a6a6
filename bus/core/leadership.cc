// See leadership.h.
#include "bus/core/leadership.h"

#include <algorithm>

#include "bus/core/plant.h"

namespace memento::bus {

std::uint64_t Leadership::note_sending(TimeNs now) {
  sent_.push_back(now);
  if (sent_.size() > kNumbersKept) sent_.pop_front();
  return ++number_;
}

std::optional<TimeNs> Leadership::sent_at(std::uint64_t number) const {
  if (number > number_ || number_ - number >= sent_.size()) return std::nullopt;
  return sent_[sent_.size() - 1 - (number_ - number)];
}

void Leadership::note_answer(const Uuid& member, std::uint64_t number, TimeNs now) {
  std::optional<TimeNs> sent = sent_at(number);
  if (!sent) return;
  if (planted(Plant::kAckReceipt)) sent = now;
  const auto [contact, is_new] = contacts_.try_emplace(member, Contact{*sent, now});
  contact->second.answered = std::max(contact->second.answered, *sent);
  contact->second.heard = now;
}

std::optional<TimeNs> Leadership::answered(const Uuid& member) const {
  const auto contact = contacts_.find(member);
  return contact == contacts_.end() ? std::nullopt : std::optional(contact->second.answered);
}

TimeNs Leadership::heard(const Uuid& member) const {
  const auto contact = contacts_.find(member);
  return contact == contacts_.end() ? since_ : contact->second.heard;
}

std::optional<TimeNs> Leadership::confirmed_by(const VoterSet& set) const {
  std::vector<TimeNs> times;
  for (const Uuid& voter : set)
    if (const std::optional<TimeNs> time = answered(voter)) times.push_back(*time);
  const std::size_t majority = set.size() / 2 + 1;
  if (times.size() < majority) return std::nullopt;
  std::ranges::nth_element(times, times.begin() + static_cast<std::ptrdiff_t>(majority - 1),
                           std::greater<>());
  return times[majority - 1];
}

std::optional<TimeNs> Leadership::confirmed_by(const VoterSet& accepted, const VoterSet& committed) const {
  const std::optional<TimeNs> one = confirmed_by(accepted);
  const std::optional<TimeNs> other = confirmed_by(committed);
  if (!one || !other) return std::nullopt;
  return std::min(*one, *other);
}

}  // namespace memento::bus
