// ByteBuffer: bytes that grow at the end and are consumed at the front, without zero-filling what is about to
// be written. One owner, no sharing. Used for requests that came in part and for replies on their way out.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

namespace memento {

class ByteBuffer {
 public:
  /// Room for more is refused with std::bad_alloc: no request and no reply is as long.
  static constexpr std::size_t kLimitBytes = std::size_t{2} << 30;

  ByteBuffer() = default;
  ByteBuffer(ByteBuffer&& other) noexcept
      : bytes_(std::move(other.bytes_)),
        begin_(std::exchange(other.begin_, 0)),
        end_(std::exchange(other.end_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    ByteBuffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  void swap(ByteBuffer& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
    std::swap(capacity_, other.capacity_);
  }

  std::string_view view() const { return {bytes_.get() + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  std::size_t room() const { return capacity_ - end_; }
  std::size_t capacity() const { return capacity_; }

  /// At least `count` writable bytes at the end; follow with commit().
  char* reserve(std::size_t count) {
    if (capacity_ - end_ < count) make_room(count);
    return bytes_.get() + end_;
  }
  void commit(std::size_t count) { end_ += count; }

  void append(std::string_view text) {
    if (text.empty()) return;
    std::memcpy(reserve(text.size()), text.data(), text.size());
    end_ += text.size();
  }
  void append(char byte) {
    *reserve(1) = byte;
    ++end_;
  }

  /// Forgets everything after the first `count` bytes.
  void truncate(std::size_t count) { end_ = begin_ + count; }
  void consume(std::size_t count) {
    begin_ += count;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  /// Opens `count` bytes at `position`, to be written by the caller.
  char* insert_gap(std::size_t position, std::size_t count) {
    reserve(count);
    char* at = bytes_.get() + begin_ + position;
    std::memmove(at + count, at, size() - position);
    end_ += count;
    return at;
  }

  /// Gives memory back that an unusually large request or reply made it take. REQUIRES: empty().
  void shrink(std::size_t capacity_kept) {
    if (capacity_ <= capacity_kept) return;
    bytes_.reset();
    begin_ = end_ = capacity_ = 0;
  }

 private:
  struct Free {
    void operator()(char* bytes) const { std::free(bytes); }
  };

  [[gnu::noinline]] void make_room(std::size_t count) {
    const std::size_t used = size();
    if (begin_ >= used && capacity_ - used >= count) {  // the consumed front is large enough
      std::memmove(bytes_.get(), bytes_.get() + begin_, used);
    } else {
      if (count > kLimitBytes - used) throw std::bad_alloc();
      std::size_t capacity = capacity_ < 4096 ? 4096 : capacity_;
      while (capacity - used < count)
        capacity = capacity < kLimitBytes / 3 * 2 ? capacity + capacity / 2 : kLimitBytes;
      char* grown = static_cast<char*>(std::malloc(capacity));
      if (grown == nullptr) throw std::bad_alloc();
      if (used > 0) std::memcpy(grown, bytes_.get() + begin_, used);
      bytes_.reset(grown);
      capacity_ = capacity;
    }
    begin_ = 0;
    end_ = used;
  }

  std::unique_ptr<char[], Free> bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace memento
