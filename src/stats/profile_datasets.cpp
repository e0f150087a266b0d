#include "stats/profile_datasets.h"

#include <fmt/ranges.h>

namespace sparsescope {

void describe_dataset(Hdf5File& file, const std::string& dataset,
                      const std::vector<std::string>& axes, std::string_view unit,
                      std::string_view description) {
  file.set_attribute(dataset, "axes", fmt::format("{}", fmt::join(axes, " ")));
  file.set_attribute(dataset, "unit", std::string(unit));
  file.set_attribute(dataset, "description", std::string(description));
}

void attach_scales(Hdf5File& file, const std::string& dataset,
                   const std::vector<std::string>& scales) {
  for (size_t i = 0; i < scales.size(); ++i) {
    file.attach_scale(dataset, static_cast<int64_t>(i), scales[i]);
  }
}

void write_scale(Hdf5File& file, const std::string& path, const std::string& name,
                 const Axis& axis) {
  if (!axis.labels.empty()) {
    file.write_strings(path, axis.labels);
  } else if (!axis.values.empty()) {
    file.write(path, axis.values, {std::ssize(axis.values)});
  } else {
    file.write(path, axis.indices, {std::ssize(axis.indices)});
  }
  file.make_scale(path, name);
  describe_dataset(file, path, {name}, axis.unit, axis.description);
}

}  // namespace sparsescope
