#include "stats/grouped_datasets.h"

#include <utility>

#include "core/error.h"
#include "stats/profile_datasets.h"

namespace sparsescope {

GroupWriter::GroupWriter(Hdf5File& file, std::string group, std::vector<std::string> axes)
    : file_(file), group_(std::move(group)), axes_(std::move(axes)) {}

// Written where it is not there yet.
std::string GroupWriter::scale_of(const std::string& axis, int64_t extent) {
  for (const std::string& path : {"/" + axis, group_ + "/" + axis}) {
    if (!file_.exists(path)) {
      write_scale(file_, path, axis, describe_axis(axis, extent));
      return path;
    }
    if (file_.info(path).shape == std::vector<int64_t>{extent}) return path;
  }
  fail(ErrorKind::kInternal, "{}: the axis {} of {} places has another length", group_, axis,
       extent);
}

template <typename T>
void GroupWriter::write(const std::string& name, const std::vector<T>& values,
                        const std::vector<int64_t>& shape, std::string_view unit,
                        std::string_view description) {
  std::vector<std::string> scales;
  for (size_t i = 0; i < axes_.size(); ++i) {
    scales.push_back(scale_of(axes_[i], shape[i]));
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
