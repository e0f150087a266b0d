// A plan of two experts as two plans, for consumers that configure each transformer by itself.
#pragma once

#include <cstdint>
#include <filesystem>

#include "plan/plan.h"

namespace sparsescope {

// Both run some of the plan's steps.
bool runs_two_experts(const Plan& plan);

// The steps of one expert, counted from 0. Expectations are left out: they hold for both together.
Plan plan_of_expert(const Plan& plan, int64_t expert);

// "dir/vsa.json" -> "dir/vsa.transformer.json", "dir/vsa.transformer_2.json"
std::filesystem::path path_of_expert(const std::filesystem::path& path, int64_t expert);
const char* name_of_expert(int64_t expert);  // the folder in a checkpoint of diffusers

}  // namespace sparsescope
