// What inspect says of a video's cost: fields that are printed a line each, and what people read as
// tables and --json holds as lists.
#pragma once

#include <string>
#include <vector>

#include "core/json_io.h"
#include "model/cost_methods.h"

namespace sparsescope {

// "25.8 GFLOP", "2.25 MiB": in the unit that leaves one to four digits before the point.
std::string format_flops(double flops);
std::string format_bytes(double bytes);

Json forward_cost_json(const TransformerShape& shape, const TokenGrid& grid,
                       const ForwardCost& cost);
Json forward_cost_details_json(const ForwardCost& cost, const std::vector<MethodCost>& methods);
std::string forward_cost_tables(const ForwardCost& cost, const std::vector<MethodCost>& methods);

}  // namespace sparsescope
