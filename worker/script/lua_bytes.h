// Bytes that a function of a library gathers for its result. They lie in a userdata of Lua's, so that they
// count against the script's memory, and go with its other garbage whatever ends the function. Unlike
// luaL_Buffer it leaves the stack alone, but for one place that it takes when it is made.
#pragma once

#include <cstddef>
#include <cstring>

#include "worker/script/lua.h"

namespace memento {

class LuaBytes {
 public:
  /// Takes the next place on the stack. REQUIRES: room for three more values on it whenever bytes are added.
  explicit LuaBytes(lua_State* lua) : lua_(lua) {
    lua_pushnil(lua);
    place_ = lua_gettop(lua);
  }
  LuaBytes(const LuaBytes&) = delete;
  LuaBytes& operator=(const LuaBytes&) = delete;

  std::size_t size() const { return size_; }
  const char* data() const { return data_; }

  void append(char byte) {
    if (size_ == capacity_) grow(1);
    data_[size_++] = byte;
  }
  void append(const char* bytes, std::size_t count) {
    if (count > capacity_ - size_) grow(count);
    std::memcpy(data_ + size_, bytes, count);
    size_ += count;
  }
  /// Makes room for so many bytes in all, where more than one piece is to come.
  void reserve(std::size_t capacity) {
    if (capacity > capacity_) grow(capacity - size_);
  }
  /// Pushes them as a string.
  void push() const { lua_pushlstring(lua_, data_, size_); }

 private:
  void grow(std::size_t count);

  static constexpr std::size_t kFirstBytes = 512;

  lua_State* lua_;
  int place_;
  std::size_t size_ = 0;
  std::size_t capacity_ = kFirstBytes;
  char first_[kFirstBytes];
  char* data_ = first_;
};

}  // namespace memento
