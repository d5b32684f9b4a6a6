// See text_encoder.h.
#include "worker/wire/text_encoder.h"

namespace memento {

void TextEncoder::begin(ByteBuffer& output) {
  if (depth_ == 0) outermost_begin_ = output.size();
  if (after_field_) {
    output.truncate(output.size() - 1);
    output.append('\n');
    after_field_ = false;
  }
  ++depth_;
}

void TextEncoder::end(ByteBuffer& output) {
  if (--depth_ > 0) return;
  if (output.size() > outermost_begin_) output.truncate(output.size() - 1);
  output.append("\r\n");
}

void TextEncoder::field(ByteBuffer& output, std::string_view name) {
  indent(output);
  output.append(name);
  output.append(": ");
  after_field_ = true;
}

void TextEncoder::line(ByteBuffer& output, std::string_view bytes) {
  if (!after_field_) indent(output);
  after_field_ = false;
  output.append(bytes);
  output.append('\n');
}

void TextEncoder::indent(ByteBuffer& output) {
  for (int i = 1; i < depth_; ++i) output.append("  ");
}

}  // namespace memento
