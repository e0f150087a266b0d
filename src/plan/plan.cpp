#include "plan/plan.h"

#include <algorithm>

#include "core/atomic_file.h"

namespace sparsescope {

const PlanRule* Plan::rule_for(int64_t step, int64_t layer, int64_t head) const {
  if (std::find(dense_steps.begin(), dense_steps.end(), step) != dense_steps.end()) return nullptr;
  if (std::find(dense_layers.begin(), dense_layers.end(), layer) != dense_layers.end()) {
    return nullptr;
  }
  const auto in_force = std::find_if(rules.rbegin(), rules.rend(), [&](const PlanRule& rule) {
    return rule.steps.contains(step) && rule.layers.contains(layer) && rule.heads.contains(head);
  });
  return in_force == rules.rend() ? nullptr : &*in_force;
}

std::string to_string(Method method) {
  switch (method) {
    case Method::kDense:
      return "dense";
    case Method::kBsa:
      return "bsa";
    case Method::kVsa:
      return "vsa";
    case Method::kVmoba:
      return "vmoba";
  }
  return "";
}

std::string to_string(TileChoice choice) {
  switch (choice) {
    case TileChoice::kPooled:
      return "pooled";
    case TileChoice::kRandom:
      return "random";
    case TileChoice::kOracle:
      return "row_oracle";
  }
  return "";
}

std::string to_string(VmobaPool pool) {
  switch (pool) {
    case VmobaPool::kQueryHead:
      return "query_head";
    case VmobaPool::kHeadGlobal:
      return "head_global";
    case VmobaPool::kBlock:
      return "block";
    case VmobaPool::kOverall:
      return "overall";
  }
  return "";
}

std::string to_string(VmobaSelect select) {
  return select == VmobaSelect::kTopK ? "topk" : "threshold";
}

Plan read_plan(const std::filesystem::path& path) {
  return plan_from_json(read_json_file(path), path.string());
}

void write_plan(const std::filesystem::path& path, const Plan& plan, bool replace) {
  write_text_atomically(path, plan_to_json(plan).dump(2) + "\n", replace);
}

}  // namespace sparsescope
