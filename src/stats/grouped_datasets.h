// Datasets of a group that share their axes. The scales of these stand at the root of the file,
// like those of all axes; where one of another extent has the name, in the group.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/hdf5_file.h"

namespace sparsescope {

inline const std::vector<std::string> kLatentAxes = {"channel", "frame", "latent_height",
                                                     "latent_width"};
inline const std::vector<std::string> kVideoAxes = {"frame", "height", "width", "rgb"};
inline constexpr std::string_view kPixelUnit = "1/255";

class GroupWriter {
 public:
  // group: "/latents"
  GroupWriter(Hdf5File& file, std::string group, std::vector<std::string> axes);

  // With axes, unit and description; scales that are not there yet are written.
  template <typename T>
  void write(const std::string& name, const std::vector<T>& values,
             const std::vector<int64_t>& shape, std::string_view unit,
             std::string_view description);

 private:
  std::string scale_of(const std::string& axis, int64_t extent);

  Hdf5File& file_;
  std::string group_;
  std::vector<std::string> axes_;
};

}  // namespace sparsescope
