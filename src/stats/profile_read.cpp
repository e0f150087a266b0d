#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "core/error.h"
#include "core/hdf5_file.h"
#include "stats/kept_store.h"
#include "stats/profile_schema.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

class Reader {
 public:
  explicit Reader(std::shared_ptr<const Hdf5File> file)
      : shared_(std::move(file)), file_(*shared_), name_(file_.path().string()) {}

  Profile read() {
    identify();
    profile_.manifest = parse_json(file_.string_attribute("/", "manifest"), name_ + ": manifest");
    profile_.grid = read_grid();
    profile_.tile = read_tile();
    read_sites();
    read_group("/stats", "");
    if (file_.exists("/vmoba")) {
      for (const Hdf5Entry& entry : file_.list("/vmoba")) {
        require(entry.is_group, "/vmoba/" + entry.name, "a group of one partition");
        read_group("/vmoba/" + entry.name, "vmoba/" + entry.name + "/");
      }
    }
    if (file_.exists("/maps")) read_maps();
    profile_.kept = read_kept(shared_, profile_);
    return std::move(profile_);
  }

 private:
  void require(bool condition, const std::string& place, const std::string& expected) const {
    SPARSESCOPE_CHECK(ErrorKind::kData, condition, "{}: {}: expected {}", name_, place, expected);
  }

  void identify() const {
    SPARSESCOPE_CHECK(ErrorKind::kData,
                      file_.has_attribute("/", "format") && file_.has_attribute("/", "version") &&
                          file_.string_attribute("/", "format") == kProfileFormat,
                      "{}: expected the attributes format = \"{}\" and version, which are missing",
                      name_, kProfileFormat);
    const int64_t version = file_.int64_attribute("/", "version");
    SPARSESCOPE_CHECK(ErrorKind::kUnsupported, version == kProfileVersion,
                      "{}: is a profile of version {}; this program reads version {}", name_,
                      version, kProfileVersion);
  }

  std::vector<int64_t> positive_triple(const std::string& attribute) const {
    const std::vector<int64_t> values = file_.int64s_attribute("/", attribute, 3);
    for (const int64_t value : values) {
      require(value >= 1 && value <= (int64_t{1} << 20), "attribute " + attribute,
              "three positive numbers");
    }
    return values;
  }

  TokenGrid read_grid() const {
    const std::vector<int64_t> values = positive_triple("grid");
    return {values[0], values[1], values[2]};
  }

  TileShape read_tile() const {
    const std::vector<int64_t> values = positive_triple("tile");
    return {values[0], values[1], values[2]};
  }

  void read_sites() {
    Profile& p = profile_;
    const Hdf5DatasetInfo recorded = file_.info("/recorded");
    require(recorded.shape.size() == 4, "/recorded", "the axes prompt, branch, step, layer");
    p.prompts = recorded.shape[0];
    p.branches = recorded.shape[1];
    p.steps = recorded.shape[2];
    p.layers = recorded.shape[3];
    require(p.branches == 1 || p.branches == 2, "/recorded", "one or two branches");
    p.recorded = file_.read<uint8_t>("/recorded", recorded.shape);
    const Hdf5DatasetInfo heads = file_.info("/head");
    require(heads.shape.size() == 1, "/head", "one axis");
    p.heads = heads.shape[0];
    p.timestep = file_.read<double>("/timestep", {p.steps});
    p.sigma = file_.read<double>("/sigma", {p.steps});
    if (file_.exists("/expert")) read_experts();
    p.layer_name = file_.read_strings("/layer_name", p.layers);
    const int64_t rows = file_.read<int64_t>("/rows", {}).front();
    const int64_t all = rows_of_full_tile(p);
    require(rows >= 1 && rows <= all, "/rows", fmt::format("1 to {}, found {}", all, rows));
    p.rows_per_tile = rows == all ? 0 : rows;
  }

  // Noise falls from step to step, so that the second expert follows the first.
  void read_experts() {
    profile_.expert = file_.read<int64_t>("/expert", {profile_.steps});
    int64_t least = 0;
    for (const int64_t expert : profile_.expert) {
      require(expert >= least && expert <= 1, "/expert",
              fmt::format("0 or 1, rising, found [{}]", fmt::join(profile_.expert, ", ")));
      least = expert;
    }
  }

  void read_group(const std::string& group, const std::string& prefix) {
    for (const Hdf5Entry& entry : file_.list(group)) {
      const std::string dataset = group + "/" + entry.name;
      require(!entry.is_group, dataset, "a dataset");
      // The scale of the partition's own axis lies among its statistics.
      if (scale_of_axis("k", dataset) == dataset) continue;
      profile_.arrays.emplace(prefix + entry.name, read_array(dataset));
    }
  }

  ProfileArray read_array(const std::string& dataset) const {
    ProfileArray array;
    array.shape = file_.info(dataset).shape;
    std::istringstream names(file_.string_attribute(dataset, "axes"));
    for (std::string axis; names >> axis;) array.axes.push_back(axis);
    const std::vector<int64_t> leading = {profile_.prompts, profile_.branches, profile_.steps,
                                          profile_.layers, profile_.heads};
    require(array.shape.size() >= leading.size() &&
                std::equal(leading.begin(), leading.end(), array.shape.begin()),
            dataset,
            fmt::format("leading extents [{}], found [{}]", fmt::join(leading, ", "),
                        fmt::join(array.shape, ", ")));
    require(array.axes.size() == array.shape.size() &&
                std::equal(kLeadingAxes.begin(), kLeadingAxes.end(), array.axes.begin()),
            dataset, "the attribute axes to name every axis, the leading ones first");
    array.unit = file_.string_attribute(dataset, "unit");
    array.description = file_.string_attribute(dataset, "description");
    array.values = file_.read<float>(dataset, array.shape);
    return array;
  }

  void read_maps() {
    const int64_t tiles = TileGrid(profile_.grid, profile_.tile).num_tiles();
    for (const Hdf5Entry& entry : file_.list("/maps")) {
      profile_.maps.emplace(
          entry.name, file_.read<float>("/maps/" + entry.name, {profile_.heads, tiles, tiles}));
    }
  }

  std::shared_ptr<const Hdf5File> shared_;  // what is kept whole is read later
  const Hdf5File& file_;
  const std::string name_;
  Profile profile_;
};

}  // namespace

Profile read_profile(const std::filesystem::path& path) {
  return Reader(std::make_shared<const Hdf5File>(Hdf5File::open(path))).read();
}

}  // namespace sparsescope
