// bench costs ... --out COSTS.json: what sparse settings cost in time at a shape, for plans.
#pragma once

#include "apps/command.h"

namespace sparsescope {

void add_bench_costs(CLI::App& bench, CommandContext& context);

}  // namespace sparsescope
