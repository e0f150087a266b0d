// The options about a sampling run that profile and validate share, and their way into a request.
#pragma once

#include <string>

#include "apps/command.h"
#include "stats/sampling_request.h"

namespace sparsescope {

struct SamplingTexts {
  std::string video, grid;  // as typed; empty: not given
};

// What --help says about the values that hold where an option is not given.
struct SamplingDefaults {
  std::string size;  // of --video and --grid; may be empty
  std::string steps, guidance, guidance_2, shift, scheduler;
};

// Of a run that the checkpoint alone decides.
SamplingDefaults checkpoint_defaults();

// Returns the CHECKPOINT option, which not every command requires.
CLI::Option* add_sampling_options(CLI::App& command, SamplingRequest& request, SamplingTexts& texts,
                                  const SamplingDefaults& defaults);

void add_max_memory_option(CLI::App& command, SamplingRequest& request);

// Puts the parsed texts and the common options (seed, threads, dtype) into the request.
void complete_sampling_request(const CommandContext& context, const SamplingTexts& texts,
                               SamplingRequest& request);

}  // namespace sparsescope
