// HDF5 files behind one checked wrapper of the C calls that we need. Every error carries the file,
// the object and HDF5's own message; the library's printing to standard error is off. Files are
// untrusted input: type, rank, extents and stored size are checked before anything is allocated,
// only hard links are followed, and data that lie in other files (external, virtual) are refused.
//
// Element types T: float, double, uint8_t, int64_t.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace sparsescope {

enum class Hdf5Type { kFloat, kDouble, kUint8, kInt64, kString, kOther };

struct Hdf5Entry {
  std::string name;  // within its group
  bool is_group = false;
};

struct Hdf5DatasetInfo {
  Hdf5Type type = Hdf5Type::kOther;
  std::vector<int64_t> shape;  // empty for a scalar
};

class Hdf5File {
 public:
  // Truncates: give it the temporary name of an atomic write.
  static Hdf5File create(const std::filesystem::path& path);
  // Read-only. Error(kData) where the file is missing, truncated or no HDF5 file.
  static Hdf5File open(const std::filesystem::path& path);
  Hdf5File(Hdf5File&&) noexcept;
  Hdf5File& operator=(Hdf5File&&) noexcept;
  ~Hdf5File();

  const std::filesystem::path& path() const;
  // Flushes; a failure (a full disk) is Error(kResource). The destructor closes in silence.
  void close();

  // Writing. Names are absolute ("/stats/entropy"); missing groups are made.
  void create_group(const std::string& name);
  // Chunked, shuffled, compressed and checksummed; shape {} makes a scalar.
  template <typename T>
  void write(const std::string& name, const std::vector<T>& values,
             const std::vector<int64_t>& shape);
  void write_strings(const std::string& name, const std::vector<std::string>& values);  // [n]
  void set_attribute(const std::string& object, const std::string& name, const std::string& value);
  void set_attribute(const std::string& object, const std::string& name, int64_t value);
  void set_attribute(const std::string& object, const std::string& name, double value);
  void set_attribute(const std::string& object, const std::string& name,
                     const std::vector<int64_t>& values);
  // Declares a one-dimensional dataset to be the scale of an axis, and names it.
  void make_scale(const std::string& dataset, const std::string& axis_name);
  void attach_scale(const std::string& dataset, int64_t axis, const std::string& scale);

  // Reading. What is missing or of another type or shape is Error(kData).
  bool exists(const std::string& name) const;
  bool has_attribute(const std::string& object, const std::string& name) const;
  std::vector<Hdf5Entry> list(const std::string& group) const;  // sorted by name
  Hdf5DatasetInfo info(const std::string& dataset) const;
  template <typename T>
  std::vector<T> read(const std::string& dataset, const std::vector<int64_t>& expected_shape) const;
  std::vector<std::string> read_strings(const std::string& dataset, int64_t expected_count) const;
  std::string string_attribute(const std::string& object, const std::string& name) const;
  int64_t int64_attribute(const std::string& object, const std::string& name) const;
  double double_attribute(const std::string& object, const std::string& name) const;
  int64_t attribute_count(const std::string& object, const std::string& name) const;  // of values
  std::vector<int64_t> int64s_attribute(const std::string& object, const std::string& name,
                                        int64_t expected_count) const;
  // The name of the scale attached to each axis, "" where there is none.
  std::vector<std::string> scales(const std::string& dataset) const;

 private:
  struct State;
  explicit Hdf5File(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope
