// What every dataset of a profile carries, so that the file explains itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/hdf5_file.h"
#include "stats/profile_schema.h"

namespace sparsescope {

// The attributes axes, unit and description.
void describe_dataset(Hdf5File& file, const std::string& dataset,
                      const std::vector<std::string>& axes, std::string_view unit,
                      std::string_view description);
// scales: the path of each axis's scale.
void attach_scales(Hdf5File& file, const std::string& dataset,
                   const std::vector<std::string>& scales);
// A dimension scale with its coordinates.
void write_scale(Hdf5File& file, const std::string& path, const std::string& name,
                 const Axis& axis);

}  // namespace sparsescope
