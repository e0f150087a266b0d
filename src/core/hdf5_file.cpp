// Opening, closing and writing; reading is in hdf5_read.cpp.
#include "core/hdf5_file.h"

#include <hdf5_hl.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/hdf5_handle.h"

namespace sparsescope {
namespace {

using hdf5::Handle;

// One chunk is read and unpacked at a time; 1 MiB is also the size of HDF5's chunk cache.
constexpr int64_t kChunkBytes = int64_t{1} << 20;
constexpr unsigned kDeflateLevel = 4;
// Up to this many links and attributes stay in the checksummed object header. HDF5 1.10 crashes
// while listing a group whose other form of storage (a fractal heap) is damaged.
constexpr unsigned kMaxCompact = 4096;

[[noreturn]] void fail_write(const Hdf5File& file, const std::string& object) {
  fail(ErrorKind::kResource, "{}: {} cannot be written: {}", file.path().string(), object,
       hdf5::last_error());
}

Handle checked(const Hdf5File& file, const std::string& object, hid_t id, Handle::Close close) {
  if (id < 0) fail_write(file, object);
  return Handle(id, close);
}

void check(const Hdf5File& file, const std::string& object, herr_t result) {
  if (result < 0) fail_write(file, object);
}

Handle make_space(const std::vector<int64_t>& shape) {
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  return Handle(shape.empty()
                    ? H5Screate(H5S_SCALAR)
                    : H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr),
                H5Sclose);
}

// Trailing axes whole, leading ones cut, so that a site's values lie together.
std::vector<hsize_t> chunk_shape(const std::vector<int64_t>& shape, size_t element_bytes) {
  std::vector<hsize_t> chunk(shape.size(), 1);
  int64_t left = std::max<int64_t>(1, kChunkBytes / static_cast<int64_t>(element_bytes));
  for (size_t axis = shape.size(); axis-- > 0;) {
    const int64_t extent = std::clamp<int64_t>(shape[axis], 1, left);
    chunk[axis] = static_cast<hsize_t>(extent);
    left = std::max<int64_t>(1, left / extent);
  }
  return chunk;
}

// Of groups, datasets and the file. Attributes stay with their object, and no object carries the
// time: equal content, equal bytes.
void set_object_properties(hid_t properties) {
  H5Pset_attr_phase_change(properties, kMaxCompact, 0);
  H5Pset_obj_track_times(properties, false);
}

// Makes the groups above an object; HDF5's own way would give them default properties.
void make_parents(const Hdf5File& file, hid_t file_id, const std::string& name) {
  const Handle properties(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
  H5Pset_link_phase_change(properties.id(), kMaxCompact, 0);
  set_object_properties(properties.id());
  for (size_t end = name.find('/', 1); end != std::string::npos; end = name.find('/', end + 1)) {
    const std::string group = name.substr(0, end);
    if (H5Lexists(file_id, group.c_str(), H5P_DEFAULT) > 0) continue;
    checked(file, group,
            H5Gcreate2(file_id, group.c_str(), H5P_DEFAULT, properties.id(), H5P_DEFAULT),
            H5Gclose);
  }
}

Handle dataset_properties(const std::vector<int64_t>& shape, size_t element_bytes) {
  Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  set_object_properties(properties.id());
  const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  if (shape.empty() || empty) return properties;  // neither can be chunked
  const std::vector<hsize_t> chunk = chunk_shape(shape, element_bytes);
  H5Pset_chunk(properties.id(), static_cast<int>(chunk.size()), chunk.data());
  H5Pset_shuffle(properties.id());
  H5Pset_deflate(properties.id(), kDeflateLevel);
  H5Pset_fletcher32(properties.id());
  return properties;
}

void write_attribute(const Hdf5File& file, hid_t file_id, const std::string& object,
                     const std::string& name, hid_t type, const Handle& space, const void* value) {
  const Handle owner =
      checked(file, object, H5Oopen(file_id, object.c_str(), H5P_DEFAULT), H5Oclose);
  const Handle attribute = checked(
      file, object,
      H5Acreate2(owner.id(), name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  check(file, object + "@" + name, H5Awrite(attribute.id(), type, value));
}

}  // namespace

Hdf5File::Hdf5File(std::unique_ptr<State> state) : state_(std::move(state)) {}
Hdf5File::Hdf5File(Hdf5File&&) noexcept = default;
Hdf5File& Hdf5File::operator=(Hdf5File&&) noexcept = default;
Hdf5File::~Hdf5File() = default;

const std::filesystem::path& Hdf5File::path() const { return state_->path; }

Hdf5File Hdf5File::create(const std::filesystem::path& path) {
  hdf5::quiet();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  // The format of 1.10 checksums its metadata: a damaged index cannot pass for unwritten data.
  H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110);
  const Handle properties(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_link_phase_change(properties.id(), kMaxCompact, 0);
  set_object_properties(properties.id());
  Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, properties.id(), access.id()), H5Fclose);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, file, "{}: cannot be written: {}", path.string(),
                    hdf5::last_error());
  return Hdf5File(std::make_unique<State>(State{path, std::move(file)}));
}

void Hdf5File::close() {
  const herr_t flushed = H5Fflush(state_->file.id(), H5F_SCOPE_GLOBAL);
  if (flushed < 0 || state_->file.reset() < 0) fail_write(*this, "the end of the file");
}

void Hdf5File::create_group(const std::string& name) {
  make_parents(*this, state_->file.id(), name + "/");
}

template <typename T>
void Hdf5File::write(const std::string& name, const std::vector<T>& values,
                     const std::vector<int64_t>& shape) {
  const int64_t count =
      std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
  SPARSESCOPE_ASSERT(count == static_cast<int64_t>(values.size()));
  make_parents(*this, state_->file.id(), name);
  const Handle space = make_space(shape);
  const Handle properties = dataset_properties(shape, sizeof(T));
  const hid_t type = hdf5::Element<T>::memory();
  const Handle dataset = checked(*this, name,
                                 H5Dcreate2(state_->file.id(), name.c_str(), type, space.id(),
                                            H5P_DEFAULT, properties.id(), H5P_DEFAULT),
                                 H5Dclose);
  check(*this, name, H5Dwrite(dataset.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()));
}

template void Hdf5File::write(const std::string&, const std::vector<float>&,
                              const std::vector<int64_t>&);
template void Hdf5File::write(const std::string&, const std::vector<double>&,
                              const std::vector<int64_t>&);
template void Hdf5File::write(const std::string&, const std::vector<uint8_t>&,
                              const std::vector<int64_t>&);
template void Hdf5File::write(const std::string&, const std::vector<int64_t>&,
                              const std::vector<int64_t>&);

void Hdf5File::write_strings(const std::string& name, const std::vector<std::string>& values) {
  std::vector<const char*> texts;
  for (const std::string& value : values) texts.push_back(value.c_str());
  make_parents(*this, state_->file.id(), name);
  const Handle space = make_space({static_cast<int64_t>(values.size())});
  const Handle type = hdf5::text_type();
  const Handle properties = dataset_properties({}, sizeof(char*));
  const Handle dataset = checked(*this, name,
                                 H5Dcreate2(state_->file.id(), name.c_str(), type.id(), space.id(),
                                            H5P_DEFAULT, properties.id(), H5P_DEFAULT),
                                 H5Dclose);
  check(*this, name,
        H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()));
}

void Hdf5File::set_attribute(const std::string& object, const std::string& name,
                             const std::string& value) {
  const char* text = value.c_str();
  write_attribute(*this, state_->file.id(), object, name, hdf5::text_type().id(), make_space({}),
                  &text);
}

void Hdf5File::set_attribute(const std::string& object, const std::string& name, int64_t value) {
  write_attribute(*this, state_->file.id(), object, name, H5T_NATIVE_INT64, make_space({}), &value);
}

void Hdf5File::set_attribute(const std::string& object, const std::string& name, double value) {
  write_attribute(*this, state_->file.id(), object, name, H5T_NATIVE_DOUBLE, make_space({}),
                  &value);
}

void Hdf5File::set_attribute(const std::string& object, const std::string& name,
                             const std::vector<int64_t>& values) {
  const Handle space = make_space({static_cast<int64_t>(values.size())});
  write_attribute(*this, state_->file.id(), object, name, H5T_NATIVE_INT64, space, values.data());
}

void Hdf5File::make_scale(const std::string& dataset, const std::string& axis_name) {
  const Handle scale =
      checked(*this, dataset, H5Dopen2(state_->file.id(), dataset.c_str(), H5P_DEFAULT), H5Dclose);
  check(*this, dataset, H5DSset_scale(scale.id(), axis_name.c_str()));
}

void Hdf5File::attach_scale(const std::string& dataset, int64_t axis, const std::string& scale) {
  const hid_t file = state_->file.id();
  const Handle target =
      checked(*this, dataset, H5Dopen2(file, dataset.c_str(), H5P_DEFAULT), H5Dclose);
  const Handle source = checked(*this, scale, H5Dopen2(file, scale.c_str(), H5P_DEFAULT), H5Dclose);
  check(*this, dataset, H5DSattach_scale(target.id(), source.id(), static_cast<unsigned>(axis)));
}

}  // namespace sparsescope
