// Reading: everything that a file claims is checked before it is believed.
#include <hdf5_hl.h>

#include <algorithm>
#include <functional>

#include "core/error.h"
#include "core/hdf5_file.h"
#include "core/hdf5_handle.h"
#include "core/tensor_view.h"

namespace sparsescope {
namespace {

using hdf5::Handle;

// Deflate packs at most 1032 to 1; a dataset that claims more than its stored bytes can hold is
// refused before its size is allocated.
constexpr uint64_t kMaxCompression = 1100;

[[noreturn]] void fail_read(const Hdf5File& file, const std::string& object) {
  fail(ErrorKind::kData, "{}: {} cannot be read: {}", file.path().string(), object,
       hdf5::last_error());
}

// Follows hard links only: soft and external ones may lead into other files.
bool hard_path_exists(hid_t file, const std::string& name) {
  for (size_t end = name.find('/', 1);; end = name.find('/', end + 1)) {
    const std::string part = name.substr(0, end);
    H5L_info_t link;
    if (part != "/" &&
        (H5Lexists(file, part.c_str(), H5P_DEFAULT) <= 0 ||
         H5Lget_info(file, part.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)) {
      H5Eclear2(H5E_DEFAULT);
      return false;
    }
    if (end == std::string::npos) return true;
  }
}

Handle open_object(const Hdf5File& file, hid_t id, const std::string& name, H5I_type_t kind) {
  SPARSESCOPE_CHECK(ErrorKind::kData, hard_path_exists(id, name),
                    "{}: expected {}, which is missing", file.path().string(), name);
  Handle object(H5Oopen(id, name.c_str(), H5P_DEFAULT), H5Oclose);
  if (!object) fail_read(file, name);
  SPARSESCOPE_CHECK(ErrorKind::kData, kind == H5I_BADID || H5Iget_type(object.id()) == kind,
                    "{}: {}: expected a {}", file.path().string(), name,
                    kind == H5I_GROUP ? "group" : "dataset");
  return object;
}

Hdf5Type type_of(hid_t type) {
  const size_t bytes = H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      return bytes == 4 ? Hdf5Type::kFloat : bytes == 8 ? Hdf5Type::kDouble : Hdf5Type::kOther;
    case H5T_INTEGER:
      if (bytes == 1 && H5Tget_sign(type) == H5T_SGN_NONE) return Hdf5Type::kUint8;
      return bytes == 8 && H5Tget_sign(type) == H5T_SGN_2 ? Hdf5Type::kInt64 : Hdf5Type::kOther;
    case H5T_STRING:
      return H5Tis_variable_str(type) > 0 ? Hdf5Type::kString : Hdf5Type::kOther;
    default:
      return Hdf5Type::kOther;
  }
}

const char* type_name(Hdf5Type type) {
  switch (type) {
    case Hdf5Type::kFloat:
      return "float32";
    case Hdf5Type::kDouble:
      return "float64";
    case Hdf5Type::kUint8:
      return "uint8";
    case Hdf5Type::kInt64:
      return "int64";
    case Hdf5Type::kString:
      return "text";
    case Hdf5Type::kOther:
      break;
  }
  return "another type";
}

std::vector<int64_t> shape_of(const Hdf5File& file, const std::string& name, hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0) fail_read(file, name);
  std::vector<hsize_t> extents(static_cast<size_t>(rank));
  if (rank > 0 && H5Sget_simple_extent_dims(space, extents.data(), nullptr) < 0) {
    fail_read(file, name);
  }
  for (const hsize_t extent : extents) {
    SPARSESCOPE_CHECK(ErrorKind::kData, extent <= (hsize_t{1} << 40),
                      "{}: {}: an axis of {} elements is not plausible", file.path().string(), name,
                      extent);
  }
  return {extents.begin(), extents.end()};
}

Handle open_dataset(const Hdf5File& file, hid_t id, const std::string& name, Hdf5Type type,
                    const std::vector<int64_t>& shape) {
  Handle dataset = open_object(file, id, name, H5I_DATASET);
  const Hdf5DatasetInfo found = file.info(name);
  SPARSESCOPE_CHECK(ErrorKind::kData, found.type == type && found.shape == shape,
                    "{}: {}: expected {} {}, found {} {}", file.path().string(), name,
                    type_name(type), shape_to_string(shape), type_name(found.type),
                    shape_to_string(found.shape));
  const Handle properties(H5Dget_create_plist(dataset.id()), H5Pclose);
  const H5D_layout_t layout = H5Pget_layout(properties.id());
  SPARSESCOPE_CHECK(
      ErrorKind::kData, layout != H5D_VIRTUAL && H5Pget_external_count(properties.id()) == 0,
      "{}: {}: data that lie in other files are not read", file.path().string(), name);
  return dataset;
}

// Product of the extents times the element's size, if the stored bytes can hold that much.
uint64_t plausible_count(const Hdf5File& file, const std::string& name, hid_t dataset,
                         const std::vector<int64_t>& shape, size_t element_bytes) {
  const uint64_t most = kMaxCompression * H5Dget_storage_size(dataset) / element_bytes;
  uint64_t count = 1;
  for (const int64_t extent : shape) {
    if (extent == 0) return 0;
    SPARSESCOPE_CHECK(ErrorKind::kData, count <= most / static_cast<uint64_t>(extent),
                      "{}: {}: declares {} but holds only {} bytes", file.path().string(), name,
                      shape_to_string(shape), H5Dget_storage_size(dataset));
    count *= static_cast<uint64_t>(extent);
  }
  return count;
}

Handle open_attribute(const Hdf5File& file, hid_t id, const std::string& object,
                      const std::string& name) {
  const Handle owner = open_object(file, id, object, H5I_BADID);
  SPARSESCOPE_CHECK(ErrorKind::kData, H5Aexists(owner.id(), name.c_str()) > 0,
                    "{}: {}: expected the attribute {}, which is missing", file.path().string(),
                    object, name);
  Handle attribute(H5Aopen(owner.id(), name.c_str(), H5P_DEFAULT), H5Aclose);
  if (!attribute) fail_read(file, object + "@" + name);
  return attribute;
}

Handle open_attribute(const Hdf5File& file, hid_t id, const std::string& object,
                      const std::string& name, Hdf5Type type, int64_t count) {
  Handle attribute = open_attribute(file, id, object, name);
  const Handle stored(H5Aget_type(attribute.id()), H5Tclose);
  const Handle space(H5Aget_space(attribute.id()), H5Sclose);
  SPARSESCOPE_CHECK(ErrorKind::kData,
                    type_of(stored.id()) == type &&
                        H5Sget_simple_extent_npoints(space.id()) == static_cast<hssize_t>(count),
                    "{}: {}: the attribute {}: expected {} {} values", file.path().string(), object,
                    name, count, type_name(type));
  return attribute;
}

}  // namespace

Hdf5File Hdf5File::open(const std::filesystem::path& path) {
  hdf5::quiet();
  SPARSESCOPE_CHECK(ErrorKind::kData, std::filesystem::is_regular_file(path),
                    "{}: expected an HDF5 file, which is missing", path.string());
  Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  SPARSESCOPE_CHECK(ErrorKind::kData, file, "{}: not a complete HDF5 file: {}", path.string(),
                    hdf5::last_error());
  hdf5::check_heaps(path);
  return Hdf5File(std::make_unique<State>(State{path, std::move(file)}));
}

bool Hdf5File::exists(const std::string& name) const {
  return hard_path_exists(state_->file.id(), name);
}

bool Hdf5File::has_attribute(const std::string& object, const std::string& name) const {
  const Handle owner = open_object(*this, state_->file.id(), object, H5I_BADID);
  return H5Aexists(owner.id(), name.c_str()) > 0;
}

std::vector<Hdf5Entry> Hdf5File::list(const std::string& group) const {
  const Handle opened = open_object(*this, state_->file.id(), group, H5I_GROUP);
  std::vector<std::string> names;
  const auto visit = [](hid_t, const char* name, const H5L_info_t* link, void* list) -> herr_t {
    if (link->type == H5L_TYPE_HARD) static_cast<std::vector<std::string>*>(list)->push_back(name);
    return 0;
  };
  if (H5Literate(opened.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, visit, &names) < 0) {
    fail_read(*this, group);
  }
  std::vector<Hdf5Entry> entries;
  for (const std::string& name : names) {
    const Handle object(H5Oopen(opened.id(), name.c_str(), H5P_DEFAULT), H5Oclose);
    if (!object) fail_read(*this, group + "/" + name);
    entries.push_back({name, H5Iget_type(object.id()) == H5I_GROUP});
  }
  return entries;
}

Hdf5DatasetInfo Hdf5File::info(const std::string& dataset) const {
  const Handle opened = open_object(*this, state_->file.id(), dataset, H5I_DATASET);
  const Handle type(H5Dget_type(opened.id()), H5Tclose);
  const Handle space(H5Dget_space(opened.id()), H5Sclose);
  if (!type || !space) fail_read(*this, dataset);
  return {type_of(type.id()), shape_of(*this, dataset, space.id())};
}

template <typename T>
std::vector<T> Hdf5File::read(const std::string& dataset,
                              const std::vector<int64_t>& expected_shape) const {
  const Handle opened =
      open_dataset(*this, state_->file.id(), dataset, hdf5::Element<T>::kType, expected_shape);
  const uint64_t count = plausible_count(*this, dataset, opened.id(), expected_shape, sizeof(T));
  std::vector<T> values(count);
  if (count > 0 && H5Dread(opened.id(), hdf5::Element<T>::memory(), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                           values.data()) < 0) {
    fail_read(*this, dataset);
  }
  return values;
}

template std::vector<float> Hdf5File::read(const std::string&, const std::vector<int64_t>&) const;
template std::vector<double> Hdf5File::read(const std::string&, const std::vector<int64_t>&) const;
template std::vector<uint8_t> Hdf5File::read(const std::string&, const std::vector<int64_t>&) const;
template std::vector<int64_t> Hdf5File::read(const std::string&, const std::vector<int64_t>&) const;

std::vector<std::string> Hdf5File::read_strings(const std::string& dataset,
                                                int64_t expected_count) const {
  const Handle opened =
      open_dataset(*this, state_->file.id(), dataset, Hdf5Type::kString, {expected_count});
  std::vector<char*> texts(
      plausible_count(*this, dataset, opened.id(), {expected_count}, sizeof(char*)));
  const Handle type = hdf5::text_type();
  const Handle space(H5Dget_space(opened.id()), H5Sclose);
  if (!texts.empty() &&
      H5Dread(opened.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()) < 0) {
    fail_read(*this, dataset);
  }
  std::vector<std::string> values;
  for (const char* text : texts) values.emplace_back(text != nullptr ? text : "");
  if (!texts.empty()) H5Dvlen_reclaim(type.id(), space.id(), H5P_DEFAULT, texts.data());
  return values;
}

std::string Hdf5File::string_attribute(const std::string& object, const std::string& name) const {
  const Handle attribute =
      open_attribute(*this, state_->file.id(), object, name, Hdf5Type::kString, 1);
  const Handle type = hdf5::text_type();
  char* text = nullptr;
  if (H5Aread(attribute.id(), type.id(), &text) < 0) fail_read(*this, object + "@" + name);
  const std::string value = text != nullptr ? text : "";
  H5free_memory(text);
  return value;
}

int64_t Hdf5File::int64_attribute(const std::string& object, const std::string& name) const {
  return int64s_attribute(object, name, 1).front();
}

double Hdf5File::double_attribute(const std::string& object, const std::string& name) const {
  const Handle attribute =
      open_attribute(*this, state_->file.id(), object, name, Hdf5Type::kDouble, 1);
  double value = 0;
  if (H5Aread(attribute.id(), H5T_NATIVE_DOUBLE, &value) < 0) fail_read(*this, object + "@" + name);
  return value;
}

int64_t Hdf5File::attribute_count(const std::string& object, const std::string& name) const {
  const Handle attribute = open_attribute(*this, state_->file.id(), object, name);
  const Handle space(H5Aget_space(attribute.id()), H5Sclose);
  return H5Sget_simple_extent_npoints(space.id());
}

std::vector<int64_t> Hdf5File::int64s_attribute(const std::string& object, const std::string& name,
                                                int64_t expected_count) const {
  const Handle attribute =
      open_attribute(*this, state_->file.id(), object, name, Hdf5Type::kInt64, expected_count);
  std::vector<int64_t> values(static_cast<size_t>(expected_count));
  if (H5Aread(attribute.id(), H5T_NATIVE_INT64, values.data()) < 0) {
    fail_read(*this, object + "@" + name);
  }
  return values;
}

std::vector<std::string> Hdf5File::scales(const std::string& dataset) const {
  const Handle opened = open_object(*this, state_->file.id(), dataset, H5I_DATASET);
  const auto visit = [](hid_t, unsigned, hid_t scale, void* name) -> herr_t {
    char text[256] = "";
    if (H5Iget_name(scale, text, sizeof(text)) < 0) return -1;
    *static_cast<std::string*>(name) = text;
    return 1;
  };
  std::vector<std::string> names(info(dataset).shape.size());
  for (size_t axis = 0; axis < names.size(); ++axis) {
    if (H5DSget_num_scales(opened.id(), static_cast<unsigned>(axis)) <= 0) continue;
    if (H5DSiterate_scales(opened.id(), static_cast<unsigned>(axis), nullptr, visit, &names[axis]) <
        0) {
      fail_read(*this, dataset);
    }
  }
  return names;
}

}  // namespace sparsescope
