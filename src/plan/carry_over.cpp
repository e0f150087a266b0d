#include "plan/carry_over.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"

namespace sparsescope {
namespace {

int64_t nearest_count(int64_t count, int64_t of, int64_t new_of) {
  const double share = static_cast<double>(count) / static_cast<double>(of);
  return std::clamp<int64_t>(std::llround(share * static_cast<double>(new_of)), 1, new_of);
}

int64_t carry_extent(int64_t block, int64_t from, int64_t to, bool must_divide) {
  if (block == 0) return 0;  // an axis that the kind does not cut
  const auto blocks = [](int64_t axis, int64_t extent) {
    return static_cast<double>((axis + extent - 1) / extent);
  };
  const double wanted_blocks = blocks(from, block);
  const double wanted_extent =
      static_cast<double>(block) * static_cast<double>(to) / static_cast<double>(from);
  const auto misfit = [&](int64_t extent) {
    return std::pair(std::abs(std::log(blocks(to, extent) / wanted_blocks)),
                     std::abs(static_cast<double>(extent) - wanted_extent));
  };
  int64_t best = 1;
  for (int64_t extent = 2; extent <= to; ++extent) {
    if (must_divide && to % extent != 0) continue;
    if (misfit(extent) < misfit(best)) best = extent;
  }
  return best;
}

// The step of `from` at the same part of a run as this one of `to`.
int64_t source_of(int64_t step, int64_t from, int64_t to) {
  return (2 * step + 1) * from / (2 * to);
}

class Carrier {
 public:
  Carrier(const Plan& plan, const TokenGrid& grid, int64_t steps, std::optional<int64_t> boundary)
      : plan_(plan), grid_(grid), steps_(steps), boundary_(boundary) {}

  IndexRange operator()(const IndexRange& range) const {
    IndexRange carried{steps_, -1};
    for (int64_t step = 0; step < steps_; ++step) {
      if (!range.contains(source(step))) continue;
      carried.first = std::min(carried.first, step);
      carried.last = step;
    }
    return carried;
  }

  VsaParams operator()(VsaParams params) const {
    params.top_k = nearest_count(params.top_k, TileGrid(plan_.grid, plan_.tile).num_tiles(),
                                 TileGrid(grid_, plan_.tile).num_tiles());
    return params;
  }
  BsaParams operator()(const BsaParams& params) const { return params; }
  VmobaParams operator()(VmobaParams params) const {
    const int64_t blocks = partition_blocks(params.partition, plan_.grid).num_tiles();
    params.partition = carry_over(params.partition, plan_.grid, grid_);
    params.top_k =
        nearest_count(params.top_k, blocks, partition_blocks(params.partition, grid_).num_tiles());
    return params;
  }

 private:
  int64_t source(int64_t step) const {
    const auto& from = plan_.model.low_noise_from_step;
    if (!from || *from == 0 || *from == plan_.num_steps) {
      return source_of(step, plan_.num_steps, steps_);
    }
    if (step < *boundary_) return source_of(step, *from, *boundary_);
    return *from + source_of(step - *boundary_, plan_.num_steps - *from, steps_ - *boundary_);
  }

  const Plan& plan_;
  const TokenGrid& grid_;
  int64_t steps_;
  std::optional<int64_t> boundary_;  // of two experts, in the new run
};

// Where the second expert begins at the same part of the run.
std::optional<int64_t> carried_boundary(const Plan& plan, int64_t steps) {
  const auto& from = plan.model.low_noise_from_step;
  if (!from) return std::nullopt;
  int64_t step = 0;
  while (step < steps && source_of(step, plan.num_steps, steps) < *from) ++step;
  return step;
}

}  // namespace

Partition carry_over(const Partition& partition, const TokenGrid& from, const TokenGrid& to) {
  const bool must_divide = partition.kind != PartitionKind::kTemporal;
  const Partition carried{partition.kind,
                          {carry_extent(partition.block.t, from.t, to.t, must_divide),
                           carry_extent(partition.block.h, from.h, to.h, must_divide),
                           carry_extent(partition.block.w, from.w, to.w, must_divide)}};
  partition_blocks(carried, to);  // refuses what the grid does not take
  return carried;
}

Plan carry_over(const Plan& plan, const TokenGrid& grid, int64_t steps,
                std::optional<int64_t> low_noise_from_step) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, steps > 0, "plan: expected steps to carry over to, found {}",
                    steps);
  std::optional<int64_t> boundary = carried_boundary(plan, steps);
  if (boundary && low_noise_from_step) boundary = low_noise_from_step;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !boundary || (*boundary >= 0 && *boundary <= steps),
                    "plan: expected the low-noise expert to begin at one of {} steps, found {}",
                    steps, boundary.value_or(0));
  const Carrier carry(plan, grid, steps, boundary);
  Plan carried = plan;
  carried.model.low_noise_from_step = boundary;
  carried.grid = grid;
  carried.num_steps = steps;
  carried.dense_steps.clear();
  for (const int64_t step : plan.dense_steps) {
    const IndexRange range = carry(IndexRange{step, step});
    for (int64_t i = range.first; i <= range.last; ++i) carried.dense_steps.push_back(i);
  }
  carried.rules.clear();
  for (const PlanRule& rule : plan.rules) {
    const IndexRange range = carry(rule.steps);
    if (range.first > range.last) continue;
    carried.rules.push_back(
        {range, rule.layers, rule.heads,
         std::visit([&](const auto& params) { return MethodParams(carry(params)); }, rule.params)});
  }
  carried.evidence["carried_over"] = {{"grid", {plan.grid.t, plan.grid.h, plan.grid.w}},
                                      {"steps", plan.num_steps},
                                      {"expected", plan_to_json(plan).at("expected")}};
  carried.expected_density.reset();
  carried.expected_recall.reset();
  carried.expected_error.reset();
  return carried;
}

}  // namespace sparsescope
