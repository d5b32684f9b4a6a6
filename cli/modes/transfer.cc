// See transfer.h.
#include "cli/modes/transfer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>

#include "cli/modes/key_scan.h"
#include "cli/modes/record.h"
#include "cli/modes/session.h"
#include "cli/net/interrupt.h"
#include "cli/net/pipeline.h"
#include "cli/show/progress.h"
#include "shm/os/clock.h"

namespace memento::cli {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;
constexpr std::uint64_t kErrorsShown = 100;

std::optional<RecordFormat> format_of(const Options& options) {
  const std::optional<RecordFormat> format =
      record_format_of(options.data_format.empty() ? options.data_path : "." + options.data_format);
  if (!format)
    complain("does " + options.data_path + " hold csv or jsonl? Its name does not tell; give --format");
  return format;
}

class Import {
 public:
  Import(Connection connection, const Options& options, int file, RecordFormat format)
      : options_(options),
        file_(file),
        reader_(format),
        pipeline_(std::move(connection), options.depth,
                  [this](std::uint64_t line, Reply& reply) { note(line, reply); }),
        progress_(size_of(file)) {}

  CliStatus run() {
    begin_ns_ = monotonic_time_ns();
    Outcome done = send_records();
    if (done) done = pipeline_.finish();
    progress_.clear();
    CliStatus status = error_count_ > 0 && !options_.ignores_errors ? CliStatus::kErrorReply : CliStatus::kOk;
    if (!done) status = complain_of(done.error(), options_.endpoint);
    const double took_s = std::max(static_cast<double>(monotonic_time_ns() - begin_ns_) / 1e9, 1e-9);
    std::fprintf(stderr, "%" PRIu64 " records stored in %.2f s: %.0f/s; %" PRIu64 " errors\n", stored_count_,
                 took_s, static_cast<double>(stored_count_) / took_s, error_count_);
    if (!done)
      complain("all before line " + std::to_string(resume_line()) + " was answered; go on with --from-line " +
               std::to_string(resume_line()));
    return status;
  }

 private:
  static std::uint64_t size_of(int file) {
    struct stat status {};
    return ::fstat(file, &status) == 0 && S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size)
                                                                  : 0;
  }

  /// The first line whose record may not be stored.
  std::uint64_t resume_line() const { return std::max(answered_line_ + 1, options_.from_line); }

  Outcome send_records() {
    std::string bytes(kReadBytes, '\0');
    for (;;) {
      const ssize_t got = ::read(file_, bytes.data(), bytes.size());
      if (is_interrupted()) return Error{ExitStatus::kRuntime, EINTR, "interrupted"};
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error("read(" + options_.data_path + ")");
      read_bytes_ += static_cast<std::uint64_t>(got);
      if (got == 0) reader_.end();
      reader_.feed(std::string_view(bytes).substr(0, static_cast<std::size_t>(got)));
      if (Outcome sent = send_whole_records(); !sent) return sent;
      if (got == 0) return Done{};
      if (progress_.is_due()) {
        progress_.show(read_bytes_, std::to_string(stored_count_) + " records, " +
                                        std::to_string(error_count_) + " errors");
      }
    }
  }

  Outcome send_whole_records() {
    Record record;
    for (;;) {
      const RecordReader::Outcome outcome = reader_.next(&record);
      if (outcome == RecordReader::Outcome::kIncomplete) return Done{};
      if (reader_.line() < options_.from_line) continue;
      if (outcome == RecordReader::Outcome::kBroken) {
        report(reader_.line(), reader_.error());
        continue;
      }
      Words words{"SET", std::move(record.key), std::move(record.value)};
      if (record.ttl_ms >= 0) words.insert(words.end(), {"PX", std::to_string(record.ttl_ms)});
      append_request(words, pipeline_.output());
      if (Outcome sent = pipeline_.sent(reader_.line()); !sent) return sent;
    }
  }

  void note(std::uint64_t line, const Reply& reply) {
    answered_line_ = line;
    if (reply.is_error()) return report(line, reply.text);
    ++stored_count_;
  }

  void report(std::uint64_t line, const std::string& why) {
    if (++error_count_ > kErrorsShown) return;
    progress_.clear();
    complain(options_.data_path + ":" + std::to_string(line) + ": " + without_controls(why));
    if (error_count_ == kErrorsShown) complain("more errors are counted, but not shown");
  }

  const Options& options_;
  int file_;
  RecordReader reader_;
  BulkPipeline pipeline_;
  Progress progress_;
  std::uint64_t read_bytes_ = 0;
  std::uint64_t stored_count_ = 0;
  std::uint64_t error_count_ = 0;
  std::uint64_t answered_line_ = 0;
  std::int64_t begin_ns_ = 0;
};

class Export {
 public:
  Export(Connection connection, const Options& options, RecordFormat format, std::FILE* file)
      : connection_(std::move(connection)),
        options_(options),
        format_(format),
        file_(file),
        total_(options.pattern == "*" ? count_keys(connection_) : 0),
        progress_(total_) {}

  Outcome run() {
    if (Outcome written = write(record_header(format_)); !written) return written;
    KeyScan scan(connection_, options_.pattern);
    std::vector<std::string> keys;
    for (;;) {
      const Result<bool> more = scan.next(&keys);
      if (!more) return more.error();
      if (!*more) break;
      if (Outcome written = write_keys(keys); !written) return written;
      if (is_interrupted()) return Error{ExitStatus::kRuntime, EINTR, "interrupted"};
      if (progress_.is_due()) progress_.show(count_, std::to_string(count_) + " records");
    }
    progress_.clear();
    if (std::fflush(file_) != 0) return system_error("write(" + options_.data_path + ")");
    return Done{};
  }

  std::uint64_t count() const { return count_; }
  std::uint64_t other_count() const { return other_count_; }

 private:
  Outcome write(const std::string& bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size()) return Done{};
    return system_error("write(" + options_.data_path + ")");
  }

  Outcome write_keys(const std::vector<std::string>& keys) {
    std::string requests;
    for (const std::string& key : keys) {
      append_request(Words{"GET", key}, &requests);
      append_request(Words{"PTTL", key}, &requests);
    }
    Result<std::vector<Reply>> replies = exchange(connection_, requests, 2 * keys.size());
    if (!replies) return replies.error();
    for (std::size_t i = 0; i < keys.size(); ++i) {
      Reply& value = (*replies)[2 * i];
      const std::int64_t ttl_ms = (*replies)[2 * i + 1].integer;
      if (value.is_error() && !value.text.starts_with("WRONGTYPE")) {
        return Error{ExitStatus::kRuntime, 0, "GET " + quote(keys[i]) + ": " + without_controls(value.text)};
      }
      if (value.is_error()) ++other_count_;
      if (value.is_error() || value.type == ReplyType::kNil || ttl_ms == -2) continue;
      const std::string line = record_line(Record{keys[i], std::move(value.text), ttl_ms}, format_);
      if (Outcome written = write(line); !written) return written;
      ++count_;
    }
    return Done{};
  }

  Connection connection_;
  const Options& options_;
  RecordFormat format_;
  std::FILE* file_;
  std::uint64_t total_;
  Progress progress_;
  std::uint64_t count_ = 0;
  std::uint64_t other_count_ = 0;  ///< keys that hold no string
};

}  // namespace

CliStatus run_import(const Options& options) {
  const std::optional<RecordFormat> format = format_of(options);
  if (!format) return CliStatus::kUsage;
  const bool is_stdin = options.data_path == "-";
  const Fd file(is_stdin ? ::dup(STDIN_FILENO) : ::open(options.data_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return complain(system_error("open(" + options.data_path + ")").message), CliStatus::kUsage;
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  return Import(std::move(*connection), options, file.get(), *format).run();
}

CliStatus run_export(const Options& options) {
  const bool is_stdout = options.data_path == "-";
  const std::optional<RecordFormat> format =
      is_stdout && options.data_format.empty() ? std::optional(RecordFormat::kCsv) : format_of(options);
  if (!format) return CliStatus::kUsage;
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  const std::string aside = options.data_path + ".part";
  std::FILE* file = is_stdout ? stdout : std::fopen(aside.c_str(), "we");
  if (file == nullptr) return complain(system_error("open(" + aside + ")").message), CliStatus::kUsage;
  Export run(std::move(*connection), options, *format, file);
  Outcome done = run.run();
  if (!is_stdout) {
    if (std::fclose(file) != 0 && done) done = system_error("write(" + aside + ")");
    if (done && ::rename(aside.c_str(), options.data_path.c_str()) != 0)
      done = system_error("rename(" + aside + ")");
    if (!done) ::unlink(aside.c_str());
  }
  if (!done) {
    const CliStatus status = complain_of(done.error(), options.endpoint);
    if (!is_stdout) complain(options.data_path + " was not changed");
    return status;
  }
  std::fprintf(stderr, "%" PRIu64 " records written\n", run.count());
  if (run.other_count() > 0)
    complain(std::to_string(run.other_count()) + " keys that hold no string were left out");
  return CliStatus::kOk;
}

}  // namespace memento::cli
