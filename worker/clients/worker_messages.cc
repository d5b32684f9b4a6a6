// See worker_messages.h.
#include "worker/clients/worker_messages.h"

namespace memento {
namespace {

std::string_view bytes_of(const MessageHeader& header) {
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

}  // namespace

bool WorkerMessages::send(MessageHeader header, std::string_view name, std::string_view payload,
                          const Processes& readers) {
  assert(!readers.test(process_));
  header.name_bytes = static_cast<std::uint32_t>(name.size());
  if (sizeof header + name.size() + payload.size() > MessageRing::kMessageLimitBytes) {
    header.is_lost = 1;
    payload = {};
  }
  return ring_.send({bytes_of(header), name, payload}, readers);
}

void WorkerMessages::send_or_close(MessageHeader header, std::string_view name, std::string_view payload,
                                   const Processes& readers) {
  if (send(header, name, payload, readers)) return;
  header.is_lost = 1;
  if (send(header, name, {}, readers)) {
    ++unsent_count_;
  } else {
    lose();
  }
}

void WorkerMessages::wake(const Processes& readers) {
  const std::uint32_t process_count = segment_.process_count();
  for (std::uint32_t process = 0; process < process_count; ++process) {
    if (readers.test(process)) ring_.wake(process);
  }
}

}  // namespace memento
