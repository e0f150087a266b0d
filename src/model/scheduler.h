// Samplers of flow models: the noise grid and the update of one step. Formulas and golden values:
// the diffusers classes FlowMatchEulerDiscreteScheduler and UniPCMultistepScheduler.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/host_tensor.h"
#include "core/json_io.h"

namespace sparsescope {

// The latent between two steps and what a multistep method remembers; enough to go on after a stop.
struct TrajectoryState {
  int64_t next_step = 0;
  HostTensor latents;               // [1, C, F, Hl, Wl]
  std::vector<HostTensor> history;  // UniPC: x0 predictions, newest first, then the last sample
  std::vector<int64_t> counters;    // UniPC: orders
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  virtual std::string name() const = 0;  // "flow-euler", "unipc"
  virtual double shift() const = 0;
  virtual const std::vector<double>& timesteps() const = 0;  // [n], as fed to the model
  virtual const std::vector<double>& sigmas() const = 0;     // [n + 1], the last one 0
  // Applies the guided model output of step state.next_step.
  virtual void advance(TrajectoryState& state, const HostTensor& model_output) const = 0;
};

// Of scheduler_config.json, else the class's own default. Timesteps lie on this scale.
int64_t train_timesteps(const std::optional<Json>& config);

// name "flow-euler", "unipc", or empty for the config's class; steps n; shift from the config
// unless given. Error(kUnsupported) for other classes, listing these.
std::unique_ptr<Scheduler> make_scheduler(const std::optional<Json>& config,
                                          const std::string& name, int64_t steps,
                                          std::optional<double> shift);

}  // namespace sparsescope
