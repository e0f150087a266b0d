// A validation of a small plan on the small transformer, and the comparison of two reports.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"
#include "support/temp_dir.h"
#include "unit/validate/tiny_transformer.h"
#include "validate/validate.h"

namespace sparsescope::testing {

inline constexpr TokenGrid kGrid{2, 4, 4};  // 4 tiles of 2,2,2

inline Plan tiny_plan(int64_t top_k) {
  Plan plan;
  plan.model = {.family = "wan", .layers = 2, .heads = 2, .head_dim = 8, .checkpoint_hash = "tiny"};
  plan.grid = kGrid;
  plan.tile = {2, 2, 2};
  plan.num_steps = 3;
  plan.method = top_k == 0 ? Method::kDense : Method::kVsa;
  if (top_k > 0) plan.rules = {{{0, 2}, {0, 1}, {0, 1}, VsaParams{.top_k = top_k}}};
  return plan;
}

struct TinyRun {
  CheckpointFolder folder;
  TinyTransformer model;
  PromptSet prompts{.names = {"a", "b"},
                    .conditional = {HostTensor::zeros({1, 1, 1}), HostTensor::zeros({1, 1, 1})},
                    .unconditional = {HostTensor::zeros({1, 1, 1}), HostTensor::zeros({1, 1, 1})},
                    .source_hash = ""};
  SamplingOptions sampling{.steps = 3,
                           .guidance = 2.0,
                           .scheduler = "flow-euler",
                           .shift = 3.0,
                           .seed = 7,
                           .latent_shape = {1, 4, 2, 4, 4}};
  std::vector<std::string> notes;
  int64_t last_done = 0, total = 0;
  TempDir temp;
  OutputOptions out{.path = temp / "report.json", .replace = true};
  std::filesystem::path videos;
  RemovalUnits removal;
  std::function<bool()> stop_requested;

  ValidationReport validate(const Plan& plan, const std::string& require = "", int threads = 2) {
    ThreadPool pool(threads);
    RunMonitor monitor;
    monitor.note = [&](const std::string& text) { notes.push_back(text); };
    monitor.stop_requested = stop_requested;
    monitor.progress = [&](int64_t done, int64_t all, const std::string&) {
      last_done = done;
      total = all;
    };
    return run_validation({.folder = folder,
                           .model = model,
                           .plan = plan,
                           .plan_hash = "p",
                           .prompts = prompts,
                           .sampling = sampling,
                           .latents = {},
                           .requirements = parse_requirements(require),
                           .impl = Impl::kReference,
                           .pool = pool,
                           .precision = "fp32",
                           .out = out,
                           .videos = videos,
                           .removal = removal},
                          monitor);
  }

  ErrorKind error_of(const Plan& plan, const std::string& require = "") {
    try {
      validate(plan, require);
    } catch (const Error& error) {
      return error.kind();
    }
    ADD_FAILURE() << "no error";
    return ErrorKind::kInternal;
  }
};

// Sites and video of the same numbers, bit for bit; times are left out.
inline void expect_same_measurements(const ValidationReport& found,
                                     const ValidationReport& expected) {
  Json left = report_to_json(found), right = report_to_json(expected);
  for (Json* json : {&left, &right}) {
    for (const char* name : {"time_dense_ms", "time_sparse_ms", "time_selection_ms", "speedup"}) {
      json->at("summary").erase(name);
    }
    for (Json& clip : json->at("clips")) clip.erase("speedup");
  }
  EXPECT_EQ(left, right);
}

}  // namespace sparsescope::testing
