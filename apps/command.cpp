#include "apps/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <string_view>
#include <thread>

#include "apps/console.h"
#include "core/error.h"
#include "kernels/cuda/cuda_attention.h"
#include "model/torch_backend.h"

namespace sparsescope {
namespace {

constexpr int kMaxThreads = 1024;

volatile std::sig_atomic_t stop_flag = 0;

void on_stop_signal(int) { stop_flag = 1; }

// The first signal asks for a stop at the next safe point; the handler is then gone, so that a
// second one ends the program at once.
void install_stop_handler() {
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void write_line(const std::string& text) {
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
      ((!text.empty() && text.back() == '\n') || std::fputc('\n', stdout) != EOF) &&
      std::fflush(stdout) == 0;
  SPARSESCOPE_CHECK(ErrorKind::kResource, written, "standard output cannot be written");
}

std::string check_device(const std::string& text) {
  if (text == "auto") return "";
  try {
    parse_device(text);
    return "";
  } catch (const Error&) {
    return fmt::format("expected cpu, cuda, cuda:<number> or auto, found '{}'", text);
  }
}

}  // namespace

Dtype CommandContext::compute_dtype() const {
  if (common.dtype == "bf16") return Dtype::kBF16;
  if (common.dtype == "fp16") return Dtype::kF16;
  return common.dtype.empty() && device().is_cuda() ? Dtype::kBF16 : Dtype::kF32;
}

Device CommandContext::device() const {
  if (common.device != "auto") return parse_device(common.device);
  const auto& gpus = cuda::devices().usable;
  if (common.dtype == "fp32" || gpus.empty()) return {};
  const Device first{MemorySpace::kDevice, gpus.front().index};
  return why_no_torch_device(first).empty() ? first : Device{};
}

void CommandContext::prefer_full_precision() {
  if (common.device == "auto" && common.dtype.empty()) common.dtype = "fp32";
}

int CommandContext::threads() const {
  if (common.threads > 0) return common.threads;
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

RunMonitor CommandContext::monitor() {
  install_stop_handler();
  return {.progress = [console = console](
                          int64_t done, int64_t total,
                          const std::string& what) { console->progress(done, total, what); },
          .note = [console = console](
                      const std::string& text) { console->message(LogLevel::kInfo, text); },
          .stop_requested = [] { return stop_flag != 0; }};
}

void CommandContext::print(const std::string& text) const {
  if (common.json) return;
  console->end_progress();
  write_line(text);
}

void CommandContext::print_json(const Json& json) const {
  if (!common.json) return;
  console->end_progress();
  write_line(json.dump(2, ' ', false, Json::error_handler_t::replace));
}

void CommandContext::warn(const std::string& text) const {
  console->message(LogLevel::kWarn, text);
}

CLI::App* add_command(CLI::App& root, CommandContext& context, const std::string& name,
                      const std::string& description, const std::string& example) {
  CLI::App* command = root.add_subcommand(name, description);
  CommonOptions& common = context.common;
  const std::string group = "Common options";
  command->add_option("--device", common.device, "Where to compute: cpu, cuda[:i] or auto")
      ->check(CLI::Validator(check_device, "", "device"))
      ->group(group);
  command->add_option("--threads", common.threads, "Threads; 0 takes all cores")
      ->check(CLI::Range(0, kMaxThreads))
      ->group(group);
  command->add_option("--seed", common.seed, "Seed of everything that is drawn")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
  command->add_option("--dtype", common.dtype, "Compute type; statistics stay fp32 or wider")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
      ->group(group);
  command
      ->add_option("--progress", common.progress, "A bar (plain lines off a terminal), or nothing")
      ->check(CLI::IsMember({"auto", "never"}))
      ->group(group);
  command->add_flag("--json", common.json, "One JSON object on standard output, nothing else there")
      ->group(group);
  command
      ->add_option("--log-level", common.log_level, "Messages on standard error from this level on")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}))
      ->group(group);
  command->footer("Example:\n  " + example);
  return command;
}

}  // namespace sparsescope
