#include "validate/report_numbers.h"

#include <algorithm>

namespace sparsescope {
namespace {

constexpr double kRounding = 1e-6;  // by which sums of rounded shares may pass 1

}  // namespace

double finite(double value) { return std::min(value, kInfiniteError); }

Json optional_number(const std::optional<double>& value) {
  return value ? Json(finite(*value)) : Json(nullptr);
}

double read_value(const JsonPlace& place, const std::string& name) {
  const NaturalRange range = natural_range(name);
  return place.number(std::max(range.low, -kInfiniteError),
                      std::min(range.high + kRounding, kInfiniteError));
}

std::optional<double> read_bound(const JsonPlace& place, const std::string& name) {
  if (place.is_null()) return std::nullopt;
  return read_value(place, name);
}

void put_summary_value(Json& object, const std::string& name, const SummaryValue& value) {
  object[name] = finite(value.value);
  if (!value.has_interval) return;
  object[name + "_low"] = optional_number(value.low);
  object[name + "_high"] = optional_number(value.high);
}

size_t take_summary_value(const JsonPlace& object, const std::string& name, SummaryValue& value) {
  value.value = read_value(object.at(name), name);
  value.has_interval = object.find(name + "_low").has_value();
  if (!value.has_interval) return 1;
  value.low = read_bound(object.at(name + "_low"), name);
  value.high = read_bound(object.at(name + "_high"), name);
  return 3;
}

}  // namespace sparsescope
