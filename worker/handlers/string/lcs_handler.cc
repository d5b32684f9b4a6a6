// LCS: the longest common subsequence of two values, by the textbook's table of lengths (Cormen et al.,
// section 14.4).
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/handlers/atomically.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

struct LcsOptions {
  bool wants_length = false;
  bool wants_matches = false;
  bool with_length = false;
  std::int64_t least = 0;  ///< matches shorter than this are left out
};

// Nothing: an error was written.
std::optional<LcsOptions> take_options(CommandContext& context, const Call& call) {
  const auto refuse = [&](std::string_view text) { return context.reply.error(text), std::nullopt; };
  LcsOptions options;
  for (std::size_t i = 3; i < call.count(); ++i) {
    if (is_word(call[i], "IDX")) {
      options.wants_matches = true;
    } else if (is_word(call[i], "LEN")) {
      options.wants_length = true;
    } else if (is_word(call[i], "WITHMATCHLEN")) {
      options.with_length = true;
    } else if (is_word(call[i], "MINMATCHLEN") && i + 1 < call.count()) {
      const std::optional<std::int64_t> least = parse_integer(call[++i]);
      if (!least) return refuse(kNotAnInteger);
      options.least = *least;
    } else {
      return refuse(kSyntaxError);
    }
  }
  if (options.wants_length && options.wants_matches)
    return refuse("ERR If you want both the length and indexes, please just use IDX.");
  return options;
}

/// A common piece that is contiguous in both values: where it begins in each, and its length.
struct Match {
  std::size_t a;
  std::size_t b;
  std::size_t length;
};

class CommonSubsequence {
 public:
  CommonSubsequence(std::string_view a, std::string_view b)
      : a_(a), b_(b), lengths_((a.size() + 1) * (b.size() + 1)) {
    // Neighbours differ by one at most, so a pair that is equal needs no case of its own: without a branch
    // that no processor could foretell this takes a fifth of the time.
    for (std::size_t i = 1; i <= a.size(); ++i) {
      const std::uint32_t* const above = &at(i - 1, 0);
      std::uint32_t* const row = &at(i, 0);
      const char letter = a[i - 1];
      std::uint32_t left = 0;
      for (std::size_t j = 1; j <= b.size(); ++j) {
        const std::uint32_t with_pair = above[j - 1] + (letter == b[j - 1] ? 1 : 0);
        left = std::max(std::max(above[j], left), with_pair);
        row[j] = left;
      }
    }
  }

  static std::uint64_t table_bytes(std::string_view a, std::string_view b) {
    return (a.size() + 1) * (b.size() + 1) * sizeof(std::uint32_t);
  }

  std::uint32_t length() { return at(a_.size(), b_.size()); }

  /// The matches from the end to the beginning.
  std::vector<Match> matches() {
    std::vector<Match> matches;
    std::size_t i = a_.size();
    std::size_t j = b_.size();
    bool continues = false;  // the pair behind this one belongs to the last match
    while (i > 0 && j > 0) {
      if (a_[i - 1] == b_[j - 1]) {
        --i, --j;
        if (continues) {
          --matches.back().a, --matches.back().b, ++matches.back().length;
        } else {
          matches.push_back(Match{i, j, 1});
        }
        continues = true;
      } else {
        continues = false;
        if (at(i - 1, j) > at(i, j - 1)) {
          --i;
        } else {
          --j;
        }
      }
    }
    return matches;
  }

  std::string text() {
    std::string text;
    const std::vector<Match> from_end = matches();
    for (auto match = from_end.rbegin(); match != from_end.rend(); ++match)
      text.append(a_.substr(match->a, match->length));
    return text;
  }

 private:
  std::uint32_t& at(std::size_t i, std::size_t j) { return lengths_[i * (b_.size() + 1) + j]; }

  std::string_view a_;
  std::string_view b_;
  std::vector<std::uint32_t> lengths_;
};

void answer_range(ReplyWriter& reply, std::size_t first, std::size_t length) {
  reply.begin_array(2);
  reply.integer(static_cast<std::int64_t>(first));
  reply.integer(static_cast<std::int64_t>(first + length - 1));
  reply.end();
}

void answer_matches(ReplyWriter& reply, CommonSubsequence& common, const LcsOptions& options) {
  std::vector<Match> matches = common.matches();
  std::erase_if(matches,
                [&](const Match& match) { return static_cast<std::int64_t>(match.length) < options.least; });
  reply.begin_map(2);
  reply.field("matches");
  reply.begin_array(matches.size());
  for (const Match& match : matches) {
    reply.begin_array(options.with_length ? 3 : 2);
    answer_range(reply, match.a, match.length);
    answer_range(reply, match.b, match.length);
    if (options.with_length) reply.integer(static_cast<std::int64_t>(match.length));
    reply.end();
  }
  reply.end();
  reply.field("len");
  reply.integer(common.length());
  reply.end();
}

}  // namespace

void lcs(CommandContext& context, const Call& call) {
  const std::optional<LcsOptions> options = take_options(context, call);
  if (!options) return;
  std::array<std::string, 2> values;
  const std::array<HashedKey, 2> keys{call.key, context.keyspace.hash(call[2])};
  read_together(
      context, keys, [] {},
      [&](std::size_t index, const EntryView* entry) {
        values[index].assign(entry != nullptr ? entry->value : "");
      });
  if (CommonSubsequence::table_bytes(values[0], values[1]) > context.keyspace.value_limit_bytes()) {
    return context.reply.error(
        "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
  }
  CommonSubsequence common(values[0], values[1]);
  if (options->wants_matches) return answer_matches(context.reply, common, *options);
  if (options->wants_length) return context.reply.integer(common.length());
  context.reply.bulk(common.text());
}

}  // namespace memento::handlers
