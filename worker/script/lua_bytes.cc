// See lua_bytes.h.
#include "worker/script/lua_bytes.h"

#include <algorithm>
#include <cstdint>

#include "worker/script/script_limits.h"

namespace memento {

void LuaBytes::grow(std::size_t count) {
  if (count > SIZE_MAX / 4 - size_) raise_out_of_memory(lua_);
  const std::size_t capacity = std::max(2 * capacity_, size_ + count);
  auto* data = static_cast<char*>(lua_newuserdata(lua_, capacity));
  std::memcpy(data, data_, size_);
  lua_replace(lua_, place_);  // what was there is garbage now
  data_ = data;
  capacity_ = capacity;
}

}  // namespace memento
