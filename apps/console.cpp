#include "apps/console.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace sparsescope {
namespace {

constexpr double kSecondsBetweenLines = 5.0;
constexpr int kBarColumns = 24;
constexpr int kFallbackColumns = 80;

int terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kFallbackColumns;
  return size.ws_col;
}

bool is_terminal() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

spdlog::logger& logger() {
  static const auto instance = [] {
    auto created = spdlog::stderr_color_st("sparsescope");
    created->set_pattern("%^%l%$: %v");
    created->set_level(spdlog::level::trace);  // Console decides
    return created;
  }();
  return *instance;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

double fraction_of(const ProgressState& state) {
  if (state.total <= 0) return 0.0;
  return std::clamp(static_cast<double>(state.done) / static_cast<double>(state.total), 0.0, 1.0);
}

std::string remaining_text(const ProgressState& state) {
  if (state.remaining_seconds < 0 || state.done >= state.total) return "";
  return format_duration(state.remaining_seconds) + " left";
}

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::ceil(std::max(seconds, 0.0)));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, rest);
  return fmt::format("{}:{:02}", minutes, rest);
}

std::string format_bar(const ProgressState& state, int width) {
  const double fraction = fraction_of(state);
  const auto filled = static_cast<size_t>(fraction * kBarColumns);
  std::string line =
      fmt::format("[{}{}] {:3.0f} %", std::string(filled, '#'),
                  std::string(kBarColumns - filled, '.'), std::floor(100 * fraction));
  for (const std::string& part : {state.what, remaining_text(state)}) {
    if (!part.empty()) line += "  " + part;
  }
  if (width > 0 && line.size() > static_cast<size_t>(width))
    line.resize(static_cast<size_t>(width));
  return line;
}

std::string format_plain(const ProgressState& state) {
  std::string line = fmt::format("{}/{}", state.done, state.total);
  for (const std::string& part : {state.what, remaining_text(state)}) {
    if (!part.empty()) line += ", " + part;
  }
  return line;
}

double RemainingTime::update(int64_t done, int64_t total, double now_seconds) {
  if (total != total_ || done < last_done_) {
    total_ = total;
    first_done_ = done;
    first_seconds_ = now_seconds;
  }
  last_done_ = done;
  if (done <= first_done_) return -1;
  const double per_unit = (now_seconds - first_seconds_) / static_cast<double>(done - first_done_);
  return per_unit * static_cast<double>(total - done);
}

Console::Console() : terminal_(is_terminal()), start_(std::chrono::steady_clock::now()) {}

Console::~Console() { end_progress(); }

void Console::set_level(LogLevel level) { level_ = level; }

void Console::set_progress_enabled(bool enabled) { progress_enabled_ = enabled; }

void Console::message(LogLevel level, const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (level < level_ || level_ == LogLevel::kOff) return;
  const bool redraw = bar_visible_;
  erase_bar();
  logger().log(spdlog_level(level), text);
  if (redraw) draw_bar();
}

void Console::progress(int64_t done, int64_t total, const std::string& what) {
  const std::lock_guard lock(mutex_);
  if (!progress_enabled_) return;
  const double now = now_seconds();
  state_ = {done, total, what, remaining_.update(done, total, now)};
  if (terminal_) {
    erase_bar();
    draw_bar();
  } else if (last_line_seconds_ < 0 || now - last_line_seconds_ >= kSecondsBetweenLines ||
             done >= total) {
    std::fprintf(stderr, "%s\n", format_plain(state_).c_str());
    last_line_seconds_ = now;
  }
}

void Console::end_progress() {
  const std::lock_guard lock(mutex_);
  if (bar_visible_) std::fputc('\n', stderr);
  bar_visible_ = false;
}

void Console::erase_bar() {
  if (!bar_visible_) return;
  std::fputs("\r\x1b[2K", stderr);
  bar_visible_ = false;
}

void Console::draw_bar() {
  // One column less than the terminal has: a full line would wrap.
  std::fputs(format_bar(state_, terminal_columns() - 1).c_str(), stderr);
  std::fflush(stderr);
  bar_visible_ = true;
}

double Console::now_seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

}  // namespace sparsescope
