#include "apps/compare_plan.h"

#include <fmt/format.h>

#include <cmath>

#include "apps/interval_json.h"
#include "derive/plan_transfer.h"

namespace sparsescope {
namespace {

Json to_json(const PlanOutcome& outcome) {
  return {{"density", outcome.mean.density},
          {"density_interval", to_json(outcome.density)},
          {"recall", outcome.mean.recall},
          {"recall_interval", to_json(outcome.recall)}};
}

std::string text(double mean, const std::optional<Interval>& interval) {
  if (!interval) return fmt::format("{:.4f}", mean);
  return fmt::format("{:.4f} ({:.4f} .. {:.4f})", mean, interval->low, interval->high);
}

void print_line(const CommandContext& context, const std::string& name,
                const PlanOutcome& outcome) {
  context.print(fmt::format("{:<34}{:<28}{}", name, text(outcome.mean.density, outcome.density),
                            text(outcome.mean.recall, outcome.recall)));
}

}  // namespace

Json compare_plan(const CommandContext& context, const Profile& a, const Profile& b,
                  const std::filesystem::path& path, double confidence) {
  const PlanTransfer transfer = transfer_plan(a, b, read_plan(path), confidence);
  context.print(fmt::format("\n{:<34}{:<28}recall", path.filename().string(), "density"));
  print_line(context, "on A", transfer.on_a);
  print_line(context, "carried over to B", transfer.on_b);
  if (transfer.own) {
    print_line(context, "B's own plan at that density", *transfer.own);
    const double lost = transfer.own->mean.recall - transfer.on_b.mean.recall;
    context.print(fmt::format("the transfer {} {:.4f} of the recall", lost >= 0 ? "loses" : "gains",
                              std::abs(lost)));
  } else {
    context.print("B gives no plan of its own: " + transfer.why_no_own);
  }
  return {{"plan", path.string()},
          {"on_a", to_json(transfer.on_a)},
          {"on_b", to_json(transfer.on_b)},
          {"own", transfer.own ? to_json(*transfer.own) : Json(nullptr)},
          {"why_no_own", transfer.why_no_own}};
}

}  // namespace sparsescope
