#include "plan/kernel_costs.h"

#include <fmt/format.h>

#include "core/atomic_file.h"

namespace sparsescope {
namespace {

bool alike(const VsaParams& a, const VsaParams& b) { return a.choice == b.choice; }
bool alike(const BsaParams& a, const BsaParams& b) { return a.query_keep == b.query_keep; }
bool alike(const VmobaParams& a, const VmobaParams& b) {
  return a.partition == b.partition && a.select == b.select && a.pool == b.pool;
}

}  // namespace

Method method_of(const MethodParams& params) {
  if (std::holds_alternative<VsaParams>(params)) return Method::kVsa;
  return std::holds_alternative<BsaParams>(params) ? Method::kBsa : Method::kVmoba;
}

bool same_kind(const MethodParams& a, const MethodParams& b) {
  return a.index() == b.index() && std::visit(
                                       [&b](const auto& params) {
                                         using Params = std::decay_t<decltype(params)>;
                                         return alike(params, std::get<Params>(b));
                                       },
                                       a);
}

std::string kind_name(const MethodParams& params) {
  const std::string method = to_string(method_of(params));
  if (const auto* vsa = std::get_if<VsaParams>(&params)) {
    return vsa->choice == TileChoice::kPooled ? method : method + " " + to_string(vsa->choice);
  }
  if (const auto* bsa = std::get_if<BsaParams>(&params)) {
    return fmt::format("{} query_keep {}", method, bsa->query_keep);
  }
  const auto& vmoba = std::get<VmobaParams>(params);
  return fmt::format("{} {} {} {}", method, to_string(vmoba.partition), to_string(vmoba.select),
                     to_string(vmoba.pool));
}

KernelCosts scaled(KernelCosts costs, double factor) {
  for (CostSeries& series : costs.series) {
    for (CostPoint& point : series.points) {
      point.selection_ms *= factor;
      point.kernel_ms *= factor;
      point.spread_ms *= factor;
    }
  }
  return costs;
}

KernelCosts read_costs(const std::filesystem::path& path) {
  return costs_from_json(read_json_file(path), path.string());
}

void write_costs(const std::filesystem::path& path, const KernelCosts& costs, bool replace) {
  write_text_atomically(path, costs_to_json(costs).dump(1) + "\n", replace);
}

}  // namespace sparsescope
