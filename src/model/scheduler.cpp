#include "model/scheduler.h"

#include <array>
#include <string_view>

#include "core/error.h"
#include "model/flow_euler.h"
#include "model/unipc.h"

namespace sparsescope {
namespace {

// Wan's own: what its pipeline uses where a checkpoint has no scheduler folder.
constexpr std::string_view kDefaultName = "unipc";
constexpr double kDefaultShift = 3.0;
constexpr int64_t kDefaultTrainTimesteps = 1000;

constexpr std::string_view kSupported =
    "supported: flow-euler (FlowMatchEulerDiscreteScheduler), unipc (UniPCMultistepScheduler)";

struct Setting {
  std::string_view key;
  std::string_view value;  // as JSON; what this program computes
};

// Options of the classes that would change the result; absent ones are fine.
constexpr std::array kEulerSettings = {
    Setting{"use_dynamic_shifting", "false"}, Setting{"invert_sigmas", "false"},
    Setting{"stochastic_sampling", "false"},  Setting{"use_karras_sigmas", "false"},
    Setting{"use_beta_sigmas", "false"},      Setting{"use_exponential_sigmas", "false"},
    Setting{"shift_terminal", "null"}};
constexpr std::array kUniPcSettings = {Setting{"prediction_type", "\"flow_prediction\""},
                                       Setting{"use_flow_sigmas", "true"},
                                       Setting{"solver_order", "2"},
                                       Setting{"solver_type", "\"bh2\""},
                                       Setting{"predict_x0", "true"},
                                       Setting{"lower_order_final", "true"},
                                       Setting{"final_sigmas_type", "\"zero\""},
                                       Setting{"thresholding", "false"},
                                       Setting{"disable_corrector", "[]"},
                                       Setting{"solver_p", "null"},
                                       Setting{"use_karras_sigmas", "false"},
                                       Setting{"use_beta_sigmas", "false"},
                                       Setting{"use_exponential_sigmas", "false"},
                                       Setting{"use_dynamic_shifting", "false"}};

std::string class_of(const std::optional<Json>& config) {
  if (!config || !config->is_object()) return {};
  const auto it = config->find("_class_name");
  return it != config->end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::string name_of_class(const std::string& class_name) {
  if (class_name == "FlowMatchEulerDiscreteScheduler") return "flow-euler";
  if (class_name == "UniPCMultistepScheduler") return "unipc";
  fail(ErrorKind::kUnsupported, "scheduler_config.json: class {} is not supported; {}",
       class_name.empty() ? "(none named)" : class_name, kSupported);
}

template <size_t N>
void check_settings(const Json& config, const std::array<Setting, N>& settings) {
  for (const Setting& setting : settings) {
    const auto it = config.find(std::string(setting.key));
    if (it == config.end() || it->is_null()) continue;
    const std::string found = it->dump();
    SPARSESCOPE_CHECK(ErrorKind::kUnsupported, found == setting.value,
                      "scheduler_config.json: {}: only {} is supported, found {}", setting.key,
                      setting.value, found);
  }
}

std::optional<double> positive_number(const std::optional<Json>& config, const std::string& key) {
  if (!config || !config->is_object()) return std::nullopt;
  const auto it = config->find(key);
  if (it == config->end() || it->is_null()) return std::nullopt;
  SPARSESCOPE_CHECK(ErrorKind::kData, it->is_number() && it->template get<double>() > 0,
                    "scheduler_config.json: {}: expected a positive number, found {}", key,
                    it->dump());
  return it->template get<double>();
}

// The classes spell the shift differently; an overridden class takes the other's value.
double shift_from(const std::optional<Json>& config, const std::string& name) {
  const bool unipc = name == "unipc";
  auto shift = positive_number(config, unipc ? "flow_shift" : "shift");
  if (!shift) shift = positive_number(config, unipc ? "shift" : "flow_shift");
  if (shift) return *shift;
  return config ? 1.0 : kDefaultShift;  // 1 is what both classes take for an absent key
}

}  // namespace

int64_t train_timesteps(const std::optional<Json>& config) {
  return static_cast<int64_t>(
      positive_number(config, "num_train_timesteps").value_or(kDefaultTrainTimesteps));
}

std::unique_ptr<Scheduler> make_scheduler(const std::optional<Json>& config,
                                          const std::string& name, int64_t steps,
                                          std::optional<double> shift) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, name.empty() || name == "flow-euler" || name == "unipc",
                    "scheduler {}: unknown; {}", name, kSupported);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !shift || *shift > 0,
                    "shift: expected a positive number, found {}", shift.value_or(0.0));
  const std::string class_name = class_of(config);
  const std::string chosen = !name.empty() ? name
                             : config      ? name_of_class(class_name)
                                           : std::string(kDefaultName);
  const double S = shift ? *shift : shift_from(config, chosen);
  const int64_t train = train_timesteps(config);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, steps >= 1 && steps <= train,
                    "steps: expected 1 to {}, found {}", train, steps);
  if (chosen == "flow-euler") {
    if (class_name == "FlowMatchEulerDiscreteScheduler") check_settings(*config, kEulerSettings);
    return make_flow_euler(steps, S, train);
  }
  if (class_name == "UniPCMultistepScheduler") check_settings(*config, kUniPcSettings);
  return make_unipc(steps, S, train);
}

}  // namespace sparsescope
