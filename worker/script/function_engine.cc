// See function_engine.h.
#include "worker/script/function_engine.h"

#include <time.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "worker/script/script_host.h"
#include "worker/text/words.h"
#include "worker/wire/word_list.h"

namespace memento {
namespace {

constexpr std::int64_t kLoadLimitNs = 500'000'000;  // as in Redis
constexpr const char* kTextsAreBusy = "BUSY another worker is keeping a library; try again";
constexpr const char* kNoRoom = "OOM there is no room for the library's text";
constexpr const char* kNoMemory = "OOM there is no memory for an interpreter";

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// A library that is loaded calls no commands, and what it logs is dropped, since each worker loads it.
class LoadHost : public ScriptHost {
 public:
  std::string_view call(std::span<const std::string_view>, Protocol) override { return "-ERR\r\n"; }
  bool has_command(std::span<const std::string_view>) override { return false; }
  void log(ScriptLogLevel, std::string_view) override {}
  const char* stop_reason() noexcept override {
    return now_ns() > end_ns_ ? "ERR FUNCTION LOAD timeout" : nullptr;
  }

 private:
  const std::int64_t end_ns_ = now_ns() + kLoadLimitNs;
};

std::string error_of(TextStore::Put put) {
  if (put == TextStore::Put::kBusy) return kTextsAreBusy;
  if (put == TextStore::Put::kTooLong) return TextStore::kIsTooLong;
  return put == TextStore::Put::kNoRoom ? kNoRoom : "";
}

// A record of the TextStore: the text, and of each function its name, its flags, whether it has a
// description, and that.
std::string make_record(const FunctionLibrary& library, std::string_view text) {
  std::vector<std::string_view> words{text};
  std::vector<std::array<char, 2>> marks(library.functions.size());
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const LibraryFunction& function = library.functions[i];
    marks[i] = {static_cast<char>(function.flags), function.description ? '1' : '0'};
    const std::string_view description =
        function.description ? std::string_view(*function.description) : std::string_view();
    words.insert(words.end(), {function.name, {marks[i].data(), marks[i].size()}, description});
  }
  std::string record(word_list_bytes(words), '\0');
  write_word_list(words, record.data());
  return record;
}

}  // namespace

bool FunctionEngine::make_interpreter() {
  if (interpreter_ == nullptr) interpreter_ = std::make_unique<Interpreter>();
  if (!interpreter_->is_usable()) interpreter_.reset();
  return interpreter_ != nullptr;
}

void FunctionEngine::take(std::string_view name, std::string_view record, Entry* entry) {
  const std::uint64_t hash = XXH3_64bits(record.data(), record.size());
  if (hash == entry->text_hash && !entry->library.name.empty()) return;
  unload(entry);
  entry->text_hash = hash;
  entry->library = {std::string(name), {}};
  std::vector<std::string_view> words;
  if (!take_word_list(&record, &words)) return;
  for (std::size_t i = 1; i + 2 < words.size() && words[i + 1].size() == 2; i += 3) {
    LibraryFunction function{std::string(words[i]), std::nullopt, static_cast<std::uint8_t>(words[i + 1][0]),
                             LUA_NOREF};
    if (words[i + 1][1] == '1') function.description = words[i + 2];
    entry->library.functions.push_back(std::move(function));
  }
}

void FunctionEngine::unload(Entry* entry) {
  if (!entry->is_loaded) return;
  for (LibraryFunction& function : entry->library.functions)
    interpreter_->forget(std::exchange(function.chunk, LUA_NOREF));
  entry->is_loaded = false;
}

// Takes what any worker has changed. Libraries that were not changed stay loaded.
void FunctionEngine::sync() {
  const std::uint64_t generation = texts_.generation(TextGroup::kLibrary);
  if (generation == generation_) return;
  generation_ = generation;
  by_function_.clear();
  Entries before;
  std::swap(before, entries_);
  texts_.each(TextGroup::kLibrary, [&](std::string_view name, std::string_view record) {
    const auto old = before.find(name);
    Entry& entry = old == before.end() ? entries_[std::string(name)]
                                       : entries_.insert(before.extract(old)).position->second;
    take(name, record, &entry);
  });
  for (auto& [name, entry] : before) unload(&entry);
  // Two workers may have taken the same name of a function at the same time: the first library has it.
  for (const auto& [name, entry] : entries_) {
    for (std::size_t i = 0; i < entry.library.functions.size(); ++i) {
      Place& place =
          by_function_.try_emplace(lower_case(entry.library.functions[i].name), Place{name, i}).first->second;
      if (place.library == name) place.index = i;  // of names that differ by their case alone the last
    }
  }
}

const FunctionEngine::Entries& FunctionEngine::entries() {
  sync();
  return entries_;
}

std::string FunctionEngine::text(std::string_view name) {
  std::optional<std::string_view> record = texts_.find(TextGroup::kLibrary, name);
  std::vector<std::string_view> words;
  if (!record || !take_word_list(&*record, &words) || words.empty()) return "";
  return std::string(words[0]);
}

// Runs the text, to see what it registers.
std::string FunctionEngine::make_draft(std::string_view text, ScriptHost& host, Draft* draft) {
  std::string_view body = text;
  std::string error = take_library_line(&body, &draft->library.name);
  if (!error.empty()) return "ERR " + error;
  if (!make_interpreter()) return kNoMemory;
  error = interpreter_->load_library(body, host, &draft->library);
  if (!error.empty()) return "ERR " + error;
  for (LibraryFunction& function : draft->library.functions) interpreter_->forget(function.chunk);
  if (draft->library.functions.empty()) return "ERR No functions registered";
  draft->record = make_record(draft->library, text);
  return "";
}

std::string FunctionEngine::find_conflict(std::span<const Draft> drafts, Policy policy) {
  std::map<std::string, std::string_view> taken;  // a function's name in lower case, its library
  const auto is_replaced = [&](std::string_view name) {
    return policy == Policy::kFlush || std::any_of(drafts.begin(), drafts.end(), [&](const Draft& draft) {
             return draft.library.name == name;
           });
  };
  for (const auto& [function, place] : by_function_) {
    if (!is_replaced(place.library)) taken.emplace(function, place.library);
  }
  for (const Draft& draft : drafts) {
    if (policy == Policy::kAppend && entries_.contains(draft.library.name))
      return "ERR Library " + draft.library.name + " already exists";
    for (const LibraryFunction& function : draft.library.functions) {
      if (taken.emplace(lower_case(function.name), draft.library.name).first->second != draft.library.name)
        return "ERR Function " + function.name + " already exists";
    }
  }
  return "";
}

// So that the journal, when it has no room for all, has none for the first.
std::string FunctionEngine::check_room(std::span<const Draft> drafts) {
  std::uint64_t bytes = 1;
  for (const Draft& draft : drafts) bytes += 1 + draft.library.name.size() + draft.record.size();
  return texts_.journal_takes(drafts.size() + 1, bytes) ? "" : TextStore::kIsTooLong;
}

std::string FunctionEngine::put(std::span<const Draft> drafts) {
  for (const Draft& draft : drafts) {
    const TextStore::Put put =
        texts_.put(TextGroup::kLibrary, draft.library.name, draft.record, TextStore::Keep::kKept);
    if (std::string error = error_of(put); !error.empty()) return error;
  }
  return "";
}

FunctionEngine::Snapshot FunctionEngine::snapshot() {
  Snapshot snapshot;
  texts_.each(TextGroup::kLibrary,
              [&](std::string_view name, std::string_view record) { snapshot.emplace(name, record); });
  return snapshot;
}

void FunctionEngine::note_changes(const Snapshot& before, LibraryChanges* changes) {
  const Snapshot now = snapshot();
  const auto record_in = [](const Snapshot& libraries, const std::string& name) {
    const auto found = libraries.find(name);
    return found == libraries.end() ? std::nullopt : std::optional(found->second);
  };
  const auto note = [&](const std::string& name) {
    const std::optional<std::string> old = record_in(before, name);
    std::optional<std::string> made = record_in(now, name);
    if (old == made) return;
    LibraryChange& change = changes->try_emplace(name, LibraryChange{old, {}}).first->second;
    change.after = std::move(made);
  };
  for (const auto& [name, record] : before) note(name);
  for (const auto& [name, record] : now) note(name);
}

void FunctionEngine::take_back(const LibraryChanges& changes) {
  for (const auto& [name, change] : changes) {
    if (texts_.find(TextGroup::kLibrary, name) != change.after) continue;
    if (change.before) {
      texts_.put(TextGroup::kLibrary, name, *change.before, TextStore::Keep::kKept);
    } else {
      texts_.erase(TextGroup::kLibrary, name);
    }
  }
}

std::string FunctionEngine::load(std::string_view text, Policy policy, std::string* name) {
  sync();
  drop_large_state();
  std::string_view body = text;
  if (std::string error = take_library_line(&body, name); !error.empty()) return "ERR " + error;
  if (policy == Policy::kAppend && entries_.contains(*name))
    return "ERR Library '" + *name + "' already exists";
  LoadHost host;
  Draft draft;
  std::string error = make_draft(text, host, &draft);
  if (error.empty()) error = find_conflict({&draft, 1}, policy);
  return error.empty() ? put({&draft, 1}) : error;
}

std::string FunctionEngine::restore(std::span<const std::string> texts, Policy policy) {
  sync();
  drop_large_state();
  LoadHost host;  // the time is that of all together
  std::vector<Draft> drafts(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (std::string error = make_draft(texts[i], host, &drafts[i]); !error.empty()) return error;
    const auto is_same = [&](const Draft& other) { return other.library.name == drafts[i].library.name; };
    if (std::any_of(drafts.begin(), drafts.begin() + static_cast<std::ptrdiff_t>(i), is_same))
      return "ERR Library " + drafts[i].library.name + " already exists";
  }
  if (std::string error = find_conflict(drafts, policy); !error.empty()) return error;
  if (std::string error = check_room(drafts); !error.empty()) return error;
  if (policy == Policy::kFlush) {
    if (std::string error = clear(); !error.empty()) return error;
  }
  return put(drafts);
}

std::string FunctionEngine::erase(std::string_view name) {
  sync();
  if (entries_.find(name) == entries_.end()) return "ERR Library not found";
  return error_of(texts_.erase(TextGroup::kLibrary, name));
}

std::string FunctionEngine::clear() { return error_of(texts_.clear(TextGroup::kLibrary)); }

// The libraries are loaded anew, when they are called next.
void FunctionEngine::drop_large_state() {
  constexpr std::size_t kKeptLimitBytes = Interpreter::kMemoryLimitBytes / 2;
  if (interpreter_ == nullptr || interpreter_->memory_used_bytes() <= kKeptLimitBytes) [[likely]]
    return;
  interpreter_->collect();
  if (interpreter_->memory_used_bytes() <= kKeptLimitBytes) return;
  for (auto& [name, entry] : entries_) unload(&entry);
  interpreter_.reset();
}

const LibraryFunction* FunctionEngine::find(std::string_view name, std::string* error) {
  sync();
  drop_large_state();
  const auto found = by_function_.find(lower_case(name.substr(0, FunctionLibrary::kNameLimitBytes + 1)));
  if (found == by_function_.end()) return nullptr;
  Entry& entry = entries_.find(found->second.library)->second;
  if (!entry.is_loaded) *error = load_functions(&entry);
  const LibraryFunction& function = entry.library.functions[found->second.index];
  return error->empty() && function.chunk != LUA_NOREF ? &function : nullptr;
}

// Runs the library's text in this worker. What it registers this time counts by the names that it registered
// when it was taken.
std::string FunctionEngine::load_functions(Entry* entry) {
  const std::string library_text = text(entry->library.name);
  LoadHost host;
  FunctionLibrary now;
  std::string_view body = library_text;
  std::string error = take_library_line(&body, &now.name);
  if (error.empty() && !make_interpreter()) error = "no memory for an interpreter";
  if (error.empty()) error = interpreter_->load_library(body, host, &now);
  if (!error.empty()) return error;
  std::map<std::string_view, LibraryFunction*> by_name;
  for (LibraryFunction& function : now.functions) by_name.emplace(function.name, &function);
  for (LibraryFunction& function : entry->library.functions) {
    const auto same = by_name.find(function.name);
    if (same != by_name.end()) std::swap(same->second->chunk, function.chunk);
  }
  for (const LibraryFunction& function : now.functions) interpreter_->forget(function.chunk);
  entry->is_loaded = true;
  return "";
}

}  // namespace memento
