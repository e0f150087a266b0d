#include "stats/grouped_datasets.h"

#include <utility>

#include "stats/profile_datasets.h"

namespace sparsescope {

GroupWriter::GroupWriter(Hdf5File& file, std::string group, std::vector<std::string> axes)
    : file_(file), group_(std::move(group)), axes_(std::move(axes)) {}

template <typename T>
void GroupWriter::write(const std::string& name, const std::vector<T>& values,
                        const std::vector<int64_t>& shape, std::string_view unit,
                        std::string_view description) {
  std::vector<std::string> scales;
  for (size_t i = 0; i < axes_.size(); ++i) {
    scales.push_back(axes_[i] == "head" ? "/head" : group_ + "/" + axes_[i]);
    if (file_.exists(scales.back())) continue;
    write_scale(file_, scales.back(), axes_[i], describe_axis(axes_[i], shape[i]));
  }
  const std::string dataset = group_ + "/" + name;
  file_.write(dataset, values, shape);
  describe_dataset(file_, dataset, axes_, unit, description);
  attach_scales(file_, dataset, scales);
}

template void GroupWriter::write(const std::string&, const std::vector<float>&,
                                 const std::vector<int64_t>&, std::string_view, std::string_view);
template void GroupWriter::write(const std::string&, const std::vector<uint8_t>&,
                                 const std::vector<int64_t>&, std::string_view, std::string_view);

}  // namespace sparsescope
